//! The gateway: programs that speak to OpenAI, to Anthropic or to AIOS speak to the kernel instead.
//!
//! | room | what it holds |
//! |---|---|
//! | [`further`] | what a server joins to its own routes |
//! | `ask` | a request in any of the formats, until it is answered |
//! | `answer` | the answer, whole or as it comes |
//! | `caller` | what the headers of a request say: for whom, how urgent, and whether it is paged |
//! | `conversation` | which process has which conversation |
//! | `model` | which model is meant by a name |
//! | `catalogue` | the list of models, and counts of tokens |
//! | `aios` | the routes of AIOS |
//! | `refusal` | errors in the shape of each format |
//! | `limits` | every bound, with its reason |
//!
//! Every conversation is a process whose program is the client. A request that goes on with one is asked
//! by the process that has it; any other begins a new one. What is asked and answered goes through
//! untouched where the model is asked in the client's format, and is put into the other's words where it
//! is not.

mod aios;
mod answer;
mod ask;
mod caller;
mod catalogue;
mod conversation;
mod limits;
mod model;
mod refusal;

use std::sync::Arc;

use aosk_server::{App, Further};
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Extension, Router};

use crate::conversation::Conversations;

/// The gateway, to be joined to a server.
#[must_use]
pub fn further() -> Further {
    let conversations = Arc::<Conversations>::default();
    let kept = conversations.clone();
    let routes = Router::new()
        .route("/v1/chat/completions", post(ask::chat))
        .route("/v1/responses", post(ask::responses))
        .route("/v1/messages", post(ask::messages))
        .route("/v1/embeddings", post(ask::embeddings))
        .route("/v1/messages/count_tokens", post(catalogue::count_tokens))
        .route("/v1/models", get(catalogue::models))
        .route("/v1/models/{*name}", get(catalogue::model))
        .route("/query", post(aios::query))
        .route("/core/llms/list", get(aios::models))
        .layer(DefaultBodyLimit::disable())
        .layer(Extension(conversations));
    Further {
        routes,
        wrap: |router: Router<App>| router.layer(from_fn(refusal::shape)),
        run: Box::new(move |app| Box::pin(conversation::keep(app, kept))),
    }
}
