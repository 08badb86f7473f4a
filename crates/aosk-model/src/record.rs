//! Recorded conversations: one JSON line each, in chat-completions form, as many tools write them.
//!
//! Reading is lenient where the meaning is plain (missing ids, `null`, extra fields, the older
//! `function_call`, halves of surrogate pairs) and exact about what is wrong where it is not.

mod said;

use aosk_abi::{Content, Error, ErrorCode, Message, Part, Timestamp, ToolSpec, ToolUse};
use serde_json::{Map, Value};

use crate::surrogate;

/// One recorded conversation.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name; empty if the line has none.
    pub id: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// When each message came, as far as that is said: milliseconds since 1970.
    pub times: Vec<Option<Timestamp>>,
    /// The tools that were offered, if that is said.
    pub tools: Vec<ToolSpec>,
}

/// Reads one line.
///
/// # Errors
/// `trace.invalid`, naming the message and the field, if the line is no conversation.
pub fn parse_line(line: &str) -> Result<Record, Error> {
    let wrong = |what: String| {
        Error::new(ErrorCode::TraceInvalid, format!("reading a recorded conversation: {what}"))
    };
    // Some editors begin a file with a byte order mark, which is none of its content.
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let value: Value = serde_json::from_slice(&surrogate::mended(line.as_bytes()))
        .map_err(|error| wrong(format!("not JSON: {error}")))?;
    let Some(object) = value.as_object() else {
        return Err(wrong("the line is not a JSON object".to_owned()));
    };
    let id = match object.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let Some(Value::Array(list)) = object.get("messages") else {
        return Err(wrong("field `messages` is not a list".to_owned()));
    };
    let mut reader = Reader::default();
    for (index, value) in list.iter().enumerate() {
        reader.take(value).map_err(|what| wrong(format!("message {index}: {what}")))?;
    }
    let Reader { messages, times, .. } = reader;
    Ok(Record { id, messages, times, tools: said::tools(object) })
}

/// A conversation as far as it is read.
#[derive(Debug, Default)]
struct Reader {
    messages: Vec<Message>,
    times: Vec<Option<Timestamp>>,
    /// Ids of the calls that no result has answered yet.
    open: Vec<String>,
}

impl Reader {
    fn take(&mut self, value: &Value) -> Result<(), String> {
        let fields = value.as_object().ok_or("it is not a JSON object")?;
        let role =
            fields.get("role").and_then(Value::as_str).ok_or("field `role` is not a text")?;
        let name = match fields.get("name") {
            Some(Value::String(name)) => Some(name.clone()),
            _ => None,
        };
        let content = content(fields.get("content"))?;
        let message = match role {
            "system" | "developer" => Message::System { content: or_empty(content) },
            "user" => Message::User { content: or_empty(content), name },
            "assistant" => {
                let reasoning = ["reasoning_content", "reasoning"].iter().find_map(|field| {
                    fields.get(*field).and_then(Value::as_str).filter(|text| !text.is_empty())
                });
                let tool_calls = self.calls(fields)?;
                self.open = tool_calls.iter().map(|call| call.id.clone()).collect();
                Message::Assistant { content, reasoning: reasoning.map(str::to_owned), tool_calls }
            }
            "tool" | "function" => Message::Tool {
                tool_call_id: self.answered(fields),
                name,
                content: or_empty(content),
                is_error: fields.get("is_error").and_then(Value::as_bool).unwrap_or(false),
            },
            role => return Err(format!("field `role`: {role} is not known")),
        };
        self.messages.push(message);
        self.times.push(said::time(fields));
        Ok(())
    }

    /// The calls of an answer, in today's form or the older one of a single function.
    fn calls(&self, fields: &Map<String, Value>) -> Result<Vec<ToolUse>, String> {
        let own_id = |index: usize| format!("call_{}_{index}", self.messages.len());
        let mut calls = Vec::new();
        match fields.get("tool_calls") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for (index, call) in list.iter().enumerate() {
                    let at = |field: &str| format!("field `tool_calls[{index}]{field}`");
                    let function = call.get("function").unwrap_or(call);
                    let name = function.get("name").and_then(Value::as_str);
                    let name = name.ok_or_else(|| at(".function.name") + " is not a text")?;
                    let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
                    calls.push(ToolUse {
                        id: id.map_or_else(|| own_id(index), str::to_owned),
                        name: name.to_owned(),
                        arguments: arguments(function.get("arguments")),
                    });
                }
            }
            Some(_) => return Err("field `tool_calls` is not a list".to_owned()),
        }
        match fields.get("function_call") {
            Some(Value::Object(function)) if calls.is_empty() => {
                let name = function.get("name").and_then(Value::as_str);
                let name = name.ok_or("field `function_call.name` is not a text")?.to_owned();
                let arguments = arguments(function.get("arguments"));
                calls.push(ToolUse { id: own_id(0), name, arguments });
            }
            _ => {}
        }
        Ok(calls)
    }

    /// The id of the call that a result answers: as it says, or else the first that is open.
    fn answered(&mut self, fields: &Map<String, Value>) -> String {
        let said = fields.get("tool_call_id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let at = match said {
            Some(id) => self.open.iter().position(|open| open == id),
            None => (!self.open.is_empty()).then_some(0),
        };
        let open = at.map(|at| self.open.remove(at));
        said.map(str::to_owned).or(open).unwrap_or_default()
    }
}

/// The content of a role that must have one.
fn or_empty(content: Option<Content>) -> Content {
    content.unwrap_or_else(|| Content::Text(String::new()))
}

fn content(value: Option<&Value>) -> Result<Option<Content>, String> {
    Ok(match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(Content::Text(text.clone())),
        Some(Value::Array(parts)) => {
            let mut content = Vec::with_capacity(parts.len());
            for (index, part) in parts.iter().enumerate() {
                content.push(match part {
                    Value::String(text) => Part::Text { text: text.clone() },
                    Value::Object(fields) => match (fields.get("type"), fields.get("text")) {
                        (None, Some(Value::String(text))) => Part::Text { text: text.clone() },
                        (Some(kind), Some(Value::String(text))) if kind == "text" => {
                            Part::Text { text: text.clone() }
                        }
                        _ => Part::Other { json: part.clone() },
                    },
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                        return Err(format!("field `content[{index}]` is not a part"));
                    }
                });
            }
            Some(Content::Parts(content))
        }
        Some(_) => return Err("field `content` is neither a text nor a list".to_owned()),
    })
}

/// Arguments as they were written; some tools write the JSON itself instead of its text.
fn arguments(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
