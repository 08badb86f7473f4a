//! The list of models, and counts of tokens.

use aosk_abi::{Error, ErrorCode};
use aosk_runtime::model::client::{self, Format};
use aosk_server::App;
use aosk_server::access::Caller;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::limits::{REQUEST_BYTES_MAX, REQUEST_TIMEOUT};
use crate::{ask, model, refusal};

/// Clients of Anthropic say so with a header of every request.
fn format_of(headers: &HeaderMap) -> Format {
    if headers.contains_key("anthropic-version") { Format::Messages } else { Format::Chat }
}

/// A model as clients of either format read it.
fn entry(name: &str) -> Value {
    let owner = name.split_once(':').map_or("aosk", |(provider, _)| provider);
    json!({
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "type": "model",
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
    })
}

pub(crate) async fn models(State(app): State<App>, _: Caller) -> Response {
    let equipment = app.handle().equipment();
    let names = model::names(&equipment);
    let all: Vec<Value> = names.iter().map(|name| entry(name)).collect();
    let (first, last) = (names.first(), names.last());
    let list = json!({
        "object": "list", "data": all, "has_more": false, "first_id": first, "last_id": last,
    });
    Json(list).into_response()
}

pub(crate) async fn model(
    State(app): State<App>,
    _: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Response {
    match model::resolve(&app.handle().equipment(), &name) {
        Ok(_) => Json(entry(&name)).into_response(),
        Err(error) => refusal::answer(format_of(&headers), &error, None),
    }
}

/// Counts the tokens of a request in the format of Messages. Nobody is asked: where the vocabulary of the
/// model is known the count is exact but for what stands around messages, and an estimate elsewhere.
pub(crate) async fn count_tokens(State(app): State<App>, _: Caller, request: Request) -> Response {
    let counted = async {
        let body = aosk_server::body(request, REQUEST_BYTES_MAX, REQUEST_TIMEOUT).await?;
        let asked = client::understand(Format::Messages, &with_bound(&body)?)?;
        let equipment = app.handle().equipment();
        let name = model::resolve(&equipment, &asked.model)?;
        let count = model::behind(&equipment, &name).next().map(|device| device.tokenizer);
        let count = count.unwrap_or_default();
        let said = asked.messages.iter().map(|message| ask::tokens(count, message).0).sum::<u64>();
        Ok(said.saturating_add(count.of_tools(&asked.tools).0))
    };
    match counted.await {
        Ok(tokens) => Json(json!({ "input_tokens": tokens })).into_response(),
        Err(error) => refusal::answer(Format::Messages, &error, None),
    }
}

/// The request with the bound of the answer that requests for counts do not have.
fn with_bound(body: &[u8]) -> Result<Vec<u8>, Error> {
    let wrong = |error: serde_json::Error| {
        Error::new(ErrorCode::ApiBadRequest, format!("reading the request: {error}"))
    };
    let mut asked: serde_json::Map<String, Value> = serde_json::from_slice(body).map_err(wrong)?;
    asked.entry("max_tokens").or_insert(1.into());
    serde_json::to_vec(&asked).map_err(wrong)
}
