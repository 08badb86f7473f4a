//! Drivers against servers on loopback that say exactly what a test wants, byte for byte.

#![expect(clippy::expect_used, reason = "a test fails by panicking, and so do its helpers")]

mod anthropic;
mod embeddings;
mod llama;
mod openai;
mod own_server;
mod prefix_cache;
mod resolve;
mod server;
mod skip;
mod traces;
