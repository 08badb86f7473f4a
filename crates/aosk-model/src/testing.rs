//! What the tests of wire formats have in common: a request, and what comes of the pieces of an answer.

use std::sync::Arc;

use aosk_abi::{
    Body, CallId, Failure, Message, ModelReply, Pid, ThinkOptions, Tokens, ToolSpec, ToolUse,
};
use reqwest::header::HeaderMap;

use crate::driver::{OnDelta, OnRates, Request};
use crate::endpoint::{Bounds, Endpoint};
use crate::exchange::{self, Assembly, Context};

/// A request of these messages.
pub(crate) fn asked(messages: Vec<Message>) -> Request {
    Request {
        call: CallId { pid: Pid(7), number: 3 },
        attempt: 1,
        process: String::new(),
        label: String::new(),
        options: Arc::new(ThinkOptions {
            model: "test:m".into(),
            output_max: Tokens(256),
            tools: vec![],
            temperature_milli: None,
            window: None,
        }),
        messages: messages.into_iter().map(Body::new).collect(),
        begun: None,
        tools: Arc::new([]),
        cache: crate::CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: OnRates::default(),
    }
}

/// A tool of one argument.
pub(crate) fn tool(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: "Looks.".into(),
        parameters: serde_json::json!({"type": "object", "properties": {"at": {"type": "string"}}}),
    }
}

/// A call of the tool `look`.
pub(crate) fn call(id: &str, arguments: &str) -> ToolUse {
    ToolUse { id: id.into(), name: "look".into(), arguments: arguments.into() }
}

/// What comes of these chunks of a stream.
pub(crate) fn outcome<A: Assembly>(
    chunks: &[&str],
    on_delta: OnDelta<'_>,
) -> Result<ModelReply, Failure> {
    let endpoint = Endpoint::new("test:m", "http://127.0.0.1:1", "", None, Bounds::default())
        .expect("an address");
    let request = asked(vec![Message::user("hi")]);
    let mut assembly = A::default();
    let headers = HeaderMap::new();
    let cx = Context { endpoint: &endpoint, request: &request, headers: &headers, on_delta };
    let read = chunks.iter().try_for_each(|chunk| assembly.take_event(chunk.as_bytes(), &cx));
    exchange::conclude(assembly, (read, b""), 100, &endpoint, &request, None)
}

/// The answer that these chunks of a stream make.
pub(crate) fn assemble<A: Assembly>(chunks: &[&str]) -> ModelReply {
    outcome::<A>(chunks, None).unwrap_or_else(|failure| panic!("{chunks:?}: {}", failure.message))
}
