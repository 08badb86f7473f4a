//! Reasoning on its way through a client: given out with an answer in a field that clients send back
//! as it is, so that a provider which wants its own back gets it in whichever format the client speaks.

use std::borrow::Cow;

use aosk_abi::{Message, ToolUse};
use serde::Deserialize;
use serde_json::Value;

use crate::order;

/// How it begins. What a provider writes into the same field does not.
const BEGINNING: &str = "aosk1:";

/// What stands where a provider's signature would, of thoughts that have none.
pub(super) const UNSIGNED: &str = BEGINNING;

/// The reasoning as a client is given it; none if it is in plain words, which need no such thing.
pub(super) fn close(reasoning: Option<&str>) -> Option<String> {
    let blocks = reasoning.filter(|reasoning| order::is_blocks(reasoning))?;
    Some(format!("{BEGINNING}{blocks}"))
}

/// The reasoning in what came back; none if something else did.
pub(super) fn open(data: &str) -> Option<&str> {
    data.strip_prefix(BEGINNING).filter(|blocks| order::is_blocks(blocks))
}

/// Whether all that was signed is of the format itself, by its kinds of blocks, so that it can be given
/// out as it is.
pub(super) fn is_native(reasoning: Option<&str>, own: &[&str]) -> bool {
    #[derive(Deserialize)]
    struct Block<'a> {
        #[serde(rename = "type")]
        kind: Cow<'a, str>,
        signature: Option<String>,
    }
    let blocks = reasoning.filter(|reasoning| order::is_blocks(reasoning));
    let blocks: Option<Vec<Block<'_>>> =
        blocks.and_then(|blocks| serde_json::from_str(blocks).ok());
    let is_own = |block: &Block<'_>| own.contains(&block.kind.as_ref());
    let is_native = |block: &Block<'_>| {
        is_own(block)
            || matches!(block.kind.as_ref(), "said" | "called") && block.signature.is_none()
    };
    blocks.is_some_and(|blocks| blocks.iter().any(is_own) && blocks.iter().all(is_native))
}

/// What of an answer's reasoning a person can read.
pub(super) fn readable(reasoning: Option<&str>) -> String {
    let Some(reasoning) = reasoning else { return String::new() };
    if !order::is_blocks(reasoning) {
        return reasoning.to_owned();
    }
    let blocks: Vec<Value> = serde_json::from_str(reasoning).unwrap_or_default();
    let said = |block: &Value| {
        let text = |name: &str| block.get(name).and_then(Value::as_str).map(unmarked);
        let summary = || {
            let parts = block.get("summary").and_then(Value::as_array)?;
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            Some(texts.collect::<Vec<_>>().join("\n\n"))
        };
        text("thinking").or_else(|| text("text")).or_else(summary)
    };
    blocks.iter().filter_map(said).collect()
}

/// What was thought, without the marks that some servers leave around it.
fn unmarked(text: &str) -> String {
    let inner = text.trim_start().strip_prefix("<think>");
    inner.map_or(text, |inner| inner.trim_end().trim_end_matches("</think>")).to_owned()
}

/// The parts of an answer's message: its text, its reasoning and its calls.
pub(super) struct Parts<'a> {
    pub(super) text: String,
    pub(super) reasoning: Option<&'a str>,
    pub(super) calls: &'a [ToolUse],
}

impl<'a> Parts<'a> {
    /// The parts of a message.
    pub(super) fn of(message: &'a Message) -> Self {
        let reasoning = match message {
            Message::Assistant { reasoning, .. } => reasoning.as_deref(),
            Message::System { .. } | Message::User { .. } | Message::Tool { .. } => None,
        };
        Self { text: message.text(), reasoning, calls: message.tool_calls() }
    }
}

/// The arguments of a call as the model wrote them. Clients parse them also where it wrote none.
pub(super) fn arguments(call: &ToolUse) -> &str {
    if call.arguments.trim().is_empty() { "{}" } else { &call.arguments }
}
