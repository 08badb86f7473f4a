//! Model drivers: how a conversation in neutral form becomes a provider's request, and its answer a
//! neutral message again.
//!
//! | room | what it holds |
//! |---|---|
//! | [`driver`] | the trait every driver has, its request and its deltas |
//! | [`openai`] | the chat-completions wire format |
//! | [`anthropic`] | the Messages wire format |
//! | [`responses`] | OpenAI's newer wire format |
//! | [`gemini`] | Gemini's own wire format |
//! | `order`, `arguments` | what of an answer goes back to its provider, and in which order |
//! | [`embedder`], [`embeddings`] | from texts to vectors: the trait, and the wire format |
//! | [`client`] | the same formats as clients speak them: what is asked, and the answer written |
//! | [`passage`] | what clients ask, passed on as they wrote it |
//! | `wishes` | what is asked beside the conversation and the tools |
//! | [`scripted`], [`script`] | a model that plays a script, for work without a provider |
//! | [`replay`], [`record`] | a model that plays a recorded conversation |
//! | [`provider`] | what is known of each provider |
//! | [`mod@resolve`] | from `provider:model` and an environment to a driver or an embedder |
//! | `own_server` | what a server of one's own says of its models |
//! | `cache_hints`, `caching` | what a prefix cache is told, and which rules hold where |
//! | [`continuing`], `seam` | who goes on from an answer that was begun, and where the rest joins it |
//! | [`price`], [`catalogue`] | windows and prices of models, from a dated data file and one's own |
//! | [`tokenizer`], [`tokens`] | the count of tokens where a vocabulary is known, and the estimate |
//! | `counted` | what a provider counted, and whether to believe it |
//! | [`endpoint`] | one provider's address, key and bounds |
//! | `exchange` | one attempt over HTTP, as all wire formats make it |
//! | `picture` | pictures in whichever form they came |
//! | `egress`, `sse`, `text`, `surrogate` | the HTTP client, event streams, lenient texts |
//! | `failure`, `retry_after` | what a refusal means, and when to come back |
//! | `rate_headers` | how much more a provider takes for now |
//!
//! A driver makes one attempt; only a stale connection is replaced. Retries, slots, budgets and total time are the kernel's.

pub mod anthropic;
mod arguments;
mod cache_hints;
mod caching;
pub mod catalogue;
pub mod client;
pub mod continuing;
mod counted;
pub mod driver;
mod egress;
pub mod embedder;
pub mod embeddings;
pub mod endpoint;
mod exchange;
mod failure;
pub mod gemini;
pub mod openai;
mod order;
mod own_server;
pub mod passage;
mod picture;
pub mod price;
pub mod provider;
mod rate_headers;
pub mod record;
pub mod replay;
pub mod resolve;
pub mod responses;
mod retry_after;
pub mod script;
pub mod scripted;
mod seam;
mod sse;
mod surrogate;
#[cfg(test)]
mod testing;
mod text;
pub mod tokenizer;
pub mod tokens;
mod wishes;

pub use cache_hints::CacheHints;
pub use catalogue::Catalogue;
pub use driver::{Delta, Driver, OnDelta, OnRates, Request};
pub use egress::client as client_for;
pub use embedder::Embedder;
pub use embeddings::Embeddings;
pub use passage::{OnPassed, Passage, Passed};
pub use record::{Record, parse_line};
pub use replay::Replay;
pub use resolve::{How, Resolved, resolve, resolve_in};
pub use script::Script;
pub use scripted::Scripted;
pub use tokenizer::Tokenizer;
pub use wishes::{AnswerForm, Schema, Thinking, ToolChoice, Wishes};
