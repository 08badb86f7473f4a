//! The routes of AIOS that its agents use to reach models: `POST /query` for queries of the class `llm`, and
//! `GET /core/llms/list`.
//!
//! Queries and answers are as the AIOS kernel has them: <https://github.com/agiresearch/AIOS>,
//! `runtime/launch.py` and `aios/syscall/syscall.py`. A query is put into chat completions and asked like
//! any other request; the name of the agent is its session.

use std::sync::Arc;

use aosk_abi::{Content, Error, ErrorCode, Message, ModelReply};
use aosk_runtime::Equipment;
use aosk_runtime::foreign::Said;
use aosk_runtime::model::client::{self, Format};
use aosk_runtime::model::{Passage, passage};
use aosk_server::App;
use aosk_server::access::{Caller, Role};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::Under;
use crate::caller::Session;
use crate::conversation::Conversations;
use crate::limits::{REQUEST_BYTES_MAX, REQUEST_TIMEOUT};
use crate::{ask, model, refusal};

/// A query as AIOS has it.
#[derive(Debug, Deserialize)]
struct Query {
    query_type: String,
    agent_name: String,
    query_data: Value,
}

/// What a model is asked.
#[derive(Debug, Deserialize)]
struct LlmQuery {
    #[serde(default)]
    llms: Option<Vec<Llm>>,
    messages: Vec<Value>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    action_type: Option<String>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    max_new_tokens: Option<u64>,
    #[serde(default)]
    message_return_type: Option<String>,
    #[serde(default)]
    response_format: Option<Value>,
}

/// A model as AIOS names it. Those behind the first are not asked: who stands in for a model is said by a
/// route.
#[derive(Debug, Deserialize)]
struct Llm {
    name: String,
    #[serde(default, alias = "backend")]
    provider: Option<String>,
}

/// The list of models.
pub(crate) async fn models(State(app): State<App>, _: Caller) -> Response {
    let equipment = app.handle().equipment();
    let named = model::names(&equipment).into_iter().map(|name| {
        let (provider, model) = name.split_once(':').unwrap_or(("aosk", name));
        json!({ "name": model, "provider": provider, "backend": provider })
    });
    let all: Vec<Value> = named.collect();
    Json(json!({ "status": "success", "llms": all })).into_response()
}

/// Answers a query.
pub(crate) async fn query(
    State(app): State<App>,
    Extension(kept): Extension<Arc<Conversations>>,
    caller: Caller,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let began = seconds(&app);
    let asked = async {
        caller.must(Role::Operator)?;
        let body = aosk_server::body(request, REQUEST_BYTES_MAX, REQUEST_TIMEOUT).await?;
        let query: Query = serde_json::from_slice(&body).map_err(|error| wrong(&error))?;
        if query.query_type != "llm" {
            let text =
                format!("asking: queries of the class {:?} are not answered", query.query_type);
            return Err(
                Error::new(ErrorCode::ApiBadRequest, text).hint("queries of the class `llm` are")
            );
        }
        let wanted: LlmQuery =
            serde_json::from_value(query.query_data).map_err(|error| wrong(&error))?;
        let equipment = app.handle().equipment();
        let around = (equipment.as_ref(), app.setup().model.as_str());
        let body = Bytes::from(completion(around, &query.agent_name, wanted)?.to_string());
        let asked = client::understand(Format::Chat, &body)?;
        let session = Session::of(&caller, &headers, &asked)?;
        let passage = |on_passed| Passage {
            format: Format::Chat,
            body,
            headers: passage::passed_headers(&headers),
            stream: false,
            stream_usage: false,
            on_passed,
        };
        ask::begin(&app, &kept, &session, (Format::Chat, /*passes*/ false), asked, passage).await
    };
    let answered = match asked.await {
        Ok(mut under) => {
            let before = under.waited();
            let reply = answer(&mut under).await;
            reply.map(|reply| (reply, under.waited().0.saturating_sub(before.0)))
        }
        Err(error) => Err(error),
    };
    match answered {
        Ok((reply, waited)) => {
            let ended = seconds(&app);
            Json(json!({
                "response": response(&reply),
                "start_times": [began],
                "end_times": [ended],
                "waiting_times": [in_seconds(waited)],
                "turnaround_times": [ended - began],
            }))
            .into_response()
        }
        Err(error) => {
            let status = match refusal::status_of(error.code) {
                // Its clients know no other word for what the server could not do.
                status if status.is_server_error() => StatusCode::INTERNAL_SERVER_ERROR,
                status => status,
            };
            (status, Json(json!({ "detail": refusal::line(&error) }))).into_response()
        }
    }
}

fn wrong(error: &serde_json::Error) -> Error {
    Error::new(ErrorCode::ApiBadRequest, format!("reading the query: {error}"))
}

/// The time, in seconds since 1970.
fn seconds(app: &App) -> f64 {
    in_seconds(app.clock().now().0)
}

#[expect(clippy::cast_precision_loss, reason = "to a thousandth of a second it is exact")]
fn in_seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1_000.0
}

/// A query as chat completions have it. One that names no model is for the `usual` one.
fn completion(
    (equipment, usual): (&Equipment, &str),
    agent: &str,
    query: LlmQuery,
) -> Result<Value, Error> {
    if query.action_type.as_deref() == Some("call_tool")
        || query.action_type.as_deref() == Some("operate_file")
    {
        let text = "asking: tools of AIOS are not run here";
        return Err(Error::new(ErrorCode::ApiBadRequest, text)
            .hint("`chat_with_tool_call_output` gives the calls, which the agent runs"));
    }
    let first = query.llms.unwrap_or_default().into_iter().next();
    let name = match first {
        None => usual.to_owned(),
        Some(Llm { name, provider: Some(provider) }) => {
            let whole = format!("{provider}:{name}");
            if equipment.answers(&whole) { whole } else { name }
        }
        Some(Llm { name, provider: None }) => name,
    };
    let mut body = Map::new();
    body.insert("model".to_owned(), name.into());
    body.insert("user".to_owned(), agent.into());
    body.insert("messages".to_owned(), query.messages.into());
    let tools: Vec<Value> = query.tools.unwrap_or_default().into_iter().map(tool).collect();
    if !tools.is_empty() {
        body.insert("tools".to_owned(), tools.into());
    }
    // The value that every query has is that of the provider.
    if let Some(temperature) = query.temperature.filter(|one| (*one - 1.0).abs() > f64::EPSILON) {
        body.insert("temperature".to_owned(), temperature.into());
    }
    if let Some(most) = query.max_new_tokens {
        body.insert("max_completion_tokens".to_owned(), most.into());
    }
    let is_json = query.message_return_type.as_deref() == Some("json");
    let form = query.response_format.or_else(|| is_json.then(|| json!({ "type": "json_object" })));
    if let Some(form) = form.filter(|form| !form.is_null()) {
        body.insert("response_format".to_owned(), form);
    }
    Ok(body.into())
}

/// A tool as chat completions have it. The names of AIOS have a slash, which models do not take.
fn tool(tool: Value) -> Value {
    let within = tool.get("function").cloned();
    let mut function = within.unwrap_or(tool);
    if let Some(name) = function.get_mut("name") {
        *name = name.as_str().unwrap_or_default().replace('/', "__").into();
    }
    json!({ "type": "function", "function": function })
}

/// The answer to a query that was asked.
async fn answer(under: &mut Under) -> Result<Box<ModelReply>, Error> {
    loop {
        match under.next().await {
            Some(Said::Answered(reply)) => {
                under.answered(&reply);
                return Ok(reply);
            }
            Some(Said::Failed { error, .. }) => {
                under.failed(&error);
                return Err(error);
            }
            Some(Said::Process(_) | Said::Passed(_) | Said::Delta(_)) => {}
            None => return Err(under.broken_off()),
        }
    }
}

/// An answer as AIOS has it.
fn response(reply: &ModelReply) -> Value {
    let message = reply.body.message();
    let calls = message.tool_calls().iter().map(|call| {
        // Arguments that are no JSON are shown as the model wrote them.
        let parameters = serde_json::from_str(&call.arguments)
            .unwrap_or_else(|_| Value::String(call.arguments.clone()));
        json!({ "name": call.name.replace("__", "/"), "parameters": parameters, "id": call.id })
    });
    let calls: Vec<Value> = calls.collect();
    let text = match message.as_ref() {
        Message::Assistant { content, .. } => content.as_ref().map(Content::text),
        Message::System { .. } | Message::User { .. } | Message::Tool { .. } => None,
    };
    json!({
        "response_class": "llm",
        "response_message": text,
        "tool_calls": if calls.is_empty() { Value::Null } else { calls.into() },
        "finished": true,
        "error": null,
        "status_code": 200,
    })
}

#[cfg(test)]
mod tests;
