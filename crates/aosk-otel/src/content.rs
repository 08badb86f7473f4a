//! What is said to models and what they answer, in the form that the conventions have for it. It is told
//! only if somebody asks for it, and no more than fits.

use std::sync::Arc;

use aosk_abi::{Body, Content, Message};
use serde_json::{Value, json};

use crate::limits::CONTENT_BYTES_MAX;

/// Messages as text: the last ones, as many as fit.
pub(crate) fn messages(bodies: &[Body]) -> String {
    let mut left = CONTENT_BYTES_MAX;
    let mut shown = Vec::new();
    for body in bodies.iter().rev() {
        let message = message(body.message());
        let size = message.to_string().len();
        if size > left && !shown.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        shown.push(message);
    }
    shown.reverse();
    Value::Array(shown).to_string()
}

/// The text of a message, as much as fits.
pub(crate) fn plain(body: &Body) -> String {
    cut(body.message().text())
}

fn message(message: &Arc<Message>) -> Value {
    let parts: Vec<Value> = match message.as_ref() {
        Message::System { content } | Message::User { content, .. } => vec![said(content)],
        Message::Assistant { content, reasoning, tool_calls } => {
            let reasoning = reasoning
                .as_ref()
                .map(|reasoning| json!({ "type": "reasoning", "content": cut(reasoning.clone()) }));
            let calls = tool_calls.iter().map(|call| {
                let arguments = cut(call.arguments.clone());
                json!({ "type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments })
            });
            reasoning.into_iter().chain(content.as_ref().map(said)).chain(calls).collect()
        }
        Message::Tool { tool_call_id, content, .. } => {
            let response = cut(content.text());
            vec![json!({ "type": "tool_call_response", "id": tool_call_id, "response": response })]
        }
    };
    json!({ "role": message.role(), "parts": parts })
}

fn said(content: &Content) -> Value {
    json!({ "type": "text", "content": cut(content.text()) })
}

/// As much of a text as fits.
fn cut(mut text: String) -> String {
    if text.len() > CONTENT_BYTES_MAX {
        let end = (0..=CONTENT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_form_of_the_conventions() {
        let call = aosk_abi::ToolUse {
            id: "u1".to_owned(),
            name: "read".to_owned(),
            arguments: "{}".to_owned(),
        };
        let asks = Message::Assistant { content: None, reasoning: None, tool_calls: vec![call] };
        let bodies = [Message::user("hi"), asks, Message::tool("u1", "text")].map(Body::new);
        let told: Value = serde_json::from_str(&messages(&bodies)).unwrap();
        let expected = json!([
            { "role": "user", "parts": [{ "type": "text", "content": "hi" }] },
            { "role": "assistant", "parts":
                [{ "type": "tool_call", "id": "u1", "name": "read", "arguments": "{}" }] },
            { "role": "tool", "parts":
                [{ "type": "tool_call_response", "id": "u1", "response": "text" }] },
        ]);
        assert_eq!(told, expected);
    }

    #[test]
    fn of_a_long_conversation_the_end_is_told() {
        let long = "ä".repeat(CONTENT_BYTES_MAX / 4);
        let bodies = [long.as_str(), &long, "last"].map(|text| Body::new(Message::user(text)));
        let told = messages(&bodies);
        assert!(told.len() <= CONTENT_BYTES_MAX && told.contains("last"), "{}", told.len());
        let whole = [Body::new(Message::user("ä".repeat(CONTENT_BYTES_MAX)))];
        let told: Value = serde_json::from_str(&messages(&whole)).unwrap();
        let told = told[0]["parts"][0]["content"].as_str().unwrap().to_owned();
        assert_eq!(told, format!("{}…", "ä".repeat(CONTENT_BYTES_MAX / 2)));
    }
}
