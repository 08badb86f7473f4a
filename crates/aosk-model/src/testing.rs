//! What the tests of wire formats have in common: a request, and what comes of the pieces of an answer.

use std::sync::Arc;

use aosk_abi::{
    Body, CallId, Content, Failure, FinishReason, Message, ModelReply, Pid, ThinkOptions, Tokens,
    ToolSpec, ToolUse, Usage,
};
use reqwest::header::HeaderMap;

use crate::client::{Asked, Frame, Writer};
use crate::driver::{Delta, OnDelta, OnRates, Request};
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

/// A request of what a client asked.
pub(crate) fn request_of(asked: Asked) -> Request {
    let request = self::asked(asked.messages);
    let mut options = request.options.as_ref().clone();
    options.output_max = asked.output_max.unwrap_or(options.output_max);
    let (options, tools) = (Arc::new(options), asked.tools.into());
    Request { options, tools, wishes: Arc::new(asked.wishes), ..request }
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

/// An answer with these parts, which used some of everything.
pub(crate) fn answered(
    text: &str,
    reasoning: Option<&str>,
    tool_calls: Vec<ToolUse>,
    finish: FinishReason,
) -> ModelReply {
    let usage = Usage {
        input_uncached: Tokens(10),
        cache_read: Tokens(5),
        cache_write: Tokens(2),
        output: Tokens(7),
        reasoning: Tokens(3),
        estimated: false,
    };
    let content = Some(Content::Text(text.to_owned()));
    let reasoning = reasoning.map(str::to_owned);
    let body = Body::new(Message::Assistant { content, reasoning, tool_calls });
    ModelReply { body, usage, finish }
}

/// The lines of a stream of what was told in pieces and of the end.
pub(crate) fn streamed(mut writer: Writer, pieces: &[Delta], reply: &ModelReply) -> Vec<String> {
    let told: Vec<_> = pieces.iter().flat_map(|piece| writer.delta(piece)).collect();
    let frames = told.into_iter().chain(writer.finish(reply));
    let line = |frame: Frame| match frame.event {
        Some(event) => format!("{event} {}", frame.data),
        None => frame.data,
    };
    frames.map(line).collect()
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
