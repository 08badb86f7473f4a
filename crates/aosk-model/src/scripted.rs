//! A model that plays a script. It needs no provider, and the same conversation always gets the
//! same answer.
//!
//! It keeps no state: at every call the place in the script is found anew by walking the
//! conversation's answers through it. So a process goes on after a crash where it was.

use std::time::Duration;

use aosk_abi::{
    Body, Content, ErrorCode, Failure, FailureClass, FinishReason, Message, Millis, ModelReply,
    ToolUse,
};
use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::driver::{Delta, Driver, OnDelta, Request, tell};
use crate::failure::failed;
use crate::script::{Piece, Script, Turn, pieces};
use crate::tokens;

/// The tool that the built-in script looks around with, where it is offered.
const LOOK_TOOL: &str = "list_files";

/// What the built-in script says when it has looked around. It makes no claim of work done.
const OFFLINE_LOOKING: &str = r#"{"agents": {"*": [
  {"say": "I am the scripted offline model: no model provider is configured, so I cannot think about this task. I can show that the kernel works by looking around the workspace once.",
   "calls": [{"tool": "list_files", "id": "files"}]},
  {"say": "No model provider is configured, so this answer comes from the built-in offline script and the task was not worked on.\n\nThe task was: {{task}}\n\nWhat list_files returned: {{result:files}}\n\nTo use a real model, set the key of a provider (for example ANTHROPIC_API_KEY, OPENAI_API_KEY or DEEPSEEK_API_KEY), or start Ollama on this machine, or name a model as provider:model."}
]}}"#;

/// The same without a tool to look with.
const OFFLINE: &str = r#"{"agents": {"*": [
  {"say": "No model provider is configured, so this answer comes from the built-in offline script and the task was not worked on.\n\nThe task was: {{task}}\n\nTo use a real model, set the key of a provider (for example ANTHROPIC_API_KEY, OPENAI_API_KEY or DEEPSEEK_API_KEY), or start Ollama on this machine, or name a model as provider:model."}
]}}"#;

/// A driver that plays a script.
#[derive(Debug, Clone)]
pub struct Scripted {
    /// What is played where `list_files` is offered.
    looking: Option<Script>,
    script: Script,
}

impl Scripted {
    /// The driver that plays `script`.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self { looking: None, script }
    }

    /// The driver for when there is no provider: it says so, looks at the workspace once, and ends.
    #[must_use]
    pub fn offline() -> Self {
        // A test reads both, so neither is ever empty for want of understanding it.
        let empty = |_| Script { agents: std::collections::BTreeMap::new() };
        Self {
            looking: Script::from_json(OFFLINE_LOOKING).ok(),
            script: Script::from_json(OFFLINE).unwrap_or_else(empty),
        }
    }

    /// The next turn, and what has become of the calls of the turns before.
    fn place<'a>(&'a self, request: &'a Request) -> Result<(&'a Turn, Played<'a>), Failure> {
        let is_looking = request.tools.iter().any(|tool| tool.name == LOOK_TOOL);
        let script = self.looking.as_ref().filter(|_| is_looking).unwrap_or(&self.script);
        let exhausted = |what: String| {
            let mut failure = failed(FailureClass::Final, ErrorCode::ScriptExhausted, what);
            failure.hint = "add a turn to the script".to_owned();
            failure
        };
        let turns = script.turns(&request.process).ok_or_else(|| {
            exhausted(format!("playing the script: it has no agent for {}", request.process))
        })?;
        let mut played = Played::default();
        // Of answers that are no longer shown each counts as a turn.
        let shown = request.messages.iter().filter(|body| is_answer(body)).count();
        let unshown = usize::try_from(request.answers).unwrap_or(usize::MAX).saturating_sub(shown);
        let mut place = unshown;
        for body in &request.messages {
            match body.message().as_ref() {
                message @ Message::Assistant { .. } => {
                    if played.answers > 0 {
                        place = played.after(turns, place);
                    }
                    played.answer(turns.get(place), message);
                }
                Message::Tool { tool_call_id, content, is_error, name: _ } => {
                    played.result(tool_call_id, content.text(), *is_error);
                }
                Message::User { content, name: _ } => played.said(content.text()),
                Message::System { .. } => {}
            }
        }
        if played.answers > 0 {
            place = played.after(turns, place);
        }
        let Some(turn) = turns.get(place) else {
            let (agent, count) = (&request.process, turns.len());
            return Err(exhausted(format!(
                "playing the script: {agent} is asked again, and its turns are over: {count}"
            )));
        };
        Ok((turn, played))
    }
}

fn is_answer(body: &Body) -> bool {
    matches!(body.message().as_ref(), Message::Assistant { .. })
}

/// What the conversation shows of the script's course.
#[derive(Debug, Default)]
struct Played<'a> {
    /// The model's answers so far.
    answers: usize,
    task: Option<String>,
    last: String,
    /// Calls of the last answer: the id under which the result comes, and the script's id.
    open: Vec<(&'a str, Option<&'a str>)>,
    /// Results by the script's id; a later one comes later.
    results: Vec<(&'a str, String)>,
    /// Results of the last answer's calls, and whether they tell of a failure.
    latest: Vec<(String, bool)>,
    /// What the user said since the last answer.
    user: Option<String>,
}

impl<'a> Played<'a> {
    fn answer(&mut self, turn: Option<&'a Turn>, message: &'a Message) {
        self.answers += 1;
        self.latest.clear();
        self.user = None;
        let scripted = turn.map(|turn| turn.calls.as_slice()).unwrap_or_default();
        let ids = scripted.iter().map(|call| call.id.as_deref()).chain(std::iter::repeat(None));
        let uses = message.tool_calls().iter().map(|call| call.id.as_str());
        self.open = uses.zip(ids).collect();
    }

    fn result(&mut self, use_id: &str, text: String, is_error: bool) {
        self.last.clone_from(&text);
        let Some((_, id)) = self.open.iter().find(|(open, _)| *open == use_id) else { return };
        if let Some(id) = id {
            self.results.push((id, text.clone()));
        }
        self.latest.push((text, is_error));
    }

    fn said(&mut self, text: String) {
        self.last.clone_from(&text);
        self.task.get_or_insert_with(|| text.clone());
        self.user = Some(text);
    }

    /// Where to go on after the turn at `place`.
    fn after(&self, turns: &[Turn], place: usize) -> usize {
        let Some(turn) = turns.get(place) else { return place };
        for next in &turn.next {
            let results = self.latest.iter().any(|(text, failed)| next.when.holds(text, *failed));
            let user = self.user.as_ref().is_some_and(|text| next.when.holds(text, false));
            if results || user || next.when.is_always() {
                let target = turns.iter().position(|turn| turn.id.as_ref() == Some(&next.goto));
                return target.unwrap_or(turns.len());
            }
        }
        place + 1
    }

    /// `text` with its templates filled in.
    fn fill(&self, text: &str) -> Result<String, Failure> {
        let missing = |what: String| {
            let message = format!("playing the script: {what}");
            failed(FailureClass::Final, ErrorCode::ScriptExhausted, message)
        };
        let pieces = pieces(text).map_err(|name| missing(format!("{name} is not known")))?;
        let mut filled = String::new();
        for piece in pieces {
            match piece {
                Piece::Plain(text) => filled.push_str(text),
                Piece::Task => filled.push_str(self.task.as_deref().unwrap_or_default()),
                Piece::Last => filled.push_str(&self.last),
                Piece::Result { id, path } => {
                    let result = self.results.iter().rev().find(|(known, _)| *known == id);
                    let (_, text) = result
                        .ok_or_else(|| missing(format!("no call with the id {id} has returned")))?;
                    filled.push_str(&field(text, path).ok_or_else(|| {
                        missing(format!("the result of {id} has no field {path}: {text}"))
                    })?);
                }
            }
        }
        Ok(filled)
    }

    /// `value` with the templates in its texts filled in.
    fn fill_value(&self, value: &Value) -> Result<Value, Failure> {
        Ok(match value {
            Value::String(text) => Value::String(self.fill(text)?),
            Value::Array(values) => Value::Array(
                values.iter().map(|value| self.fill_value(value)).collect::<Result<_, _>>()?,
            ),
            Value::Object(fields) => Value::Object(self.fill_fields(fields)?),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn fill_fields(&self, fields: &Map<String, Value>) -> Result<Map<String, Value>, Failure> {
        let filled = fields.iter().map(|(key, value)| Ok((key.clone(), self.fill_value(value)?)));
        filled.collect()
    }
}

/// A field of the JSON in `text`: a text as it is, anything else as JSON. All of it for no path.
fn field(text: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(text.to_owned());
    }
    let json: Value = serde_json::from_str(text).ok()?;
    let mut value = &json;
    for step in path.split('.') {
        value = match value {
            Value::Array(values) => values.get(step.parse::<usize>().ok()?)?,
            Value::Object(fields) => fields.get(step)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Says `rest`, of an answer of `whole` bytes that takes `latency`, word for word in the part of that
/// time that is left for it; at once if it takes none.
async fn speak(rest: &str, whole: usize, latency: Option<Duration>, on_delta: OnDelta<'_>) {
    let Some(latency) = latency else {
        if !rest.is_empty() {
            tell(on_delta, || Delta::Text(rest.to_owned()));
        }
        return;
    };
    let began = Instant::now();
    let parts = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let mut said = 0;
    for word in rest.split_inclusive(char::is_whitespace) {
        said += word.len();
        let due = latency.mul_f64(f64::from(parts(said)) / f64::from(parts(whole.max(1))));
        tokio::time::sleep_until(began + due).await;
        tell(on_delta, || Delta::Text(word.to_owned()));
    }
    if whole == 0 {
        tokio::time::sleep_until(began + latency).await;
    }
}

#[async_trait]
impl Driver for Scripted {
    async fn complete(
        &self,
        request: Request,
        on_delta: OnDelta<'_>,
    ) -> Result<ModelReply, Failure> {
        let (turn, played) = self.place(&request)?;
        let text = turn.say.as_deref().map(|say| played.fill(say)).transpose()?;
        let rest = text.as_deref().unwrap_or_default().strip_prefix(request.begun_text());
        let rest = rest.ok_or_else(|| {
            let message = "playing the script: what was begun of this answer is not in it";
            failed(FailureClass::Final, ErrorCode::ScriptExhausted, message)
        })?;
        let mut tool_calls = Vec::with_capacity(turn.calls.len());
        for (index, call) in turn.calls.iter().enumerate() {
            tool_calls.push(ToolUse {
                // The number of the answer makes it unique in the conversation.
                id: format!("call_{}_{index}", played.answers),
                name: call.tool.clone(),
                arguments: Value::Object(played.fill_fields(&call.arguments)?).to_string(),
            });
        }
        let whole = text.as_ref().map_or(0, String::len);
        speak(rest, whole, turn.latency_ms.map(Millis::duration), on_delta).await;
        if let Some(on_delta) = on_delta {
            for (index, call) in tool_calls.iter().enumerate() {
                on_delta(Delta::ToolCall { index, name: call.name.clone() });
            }
        }
        let is_calling = !tool_calls.is_empty();
        let content = text.is_some().then(|| Content::Text(rest.to_owned()));
        let message = Message::Assistant { content, reasoning: None, tool_calls };
        Ok(ModelReply {
            usage: tokens::of_call(&request, &message),
            body: Body::new(message),
            finish: if is_calling { FinishReason::ToolCalls } else { FinishReason::Stop },
        })
    }
}

#[cfg(test)]
mod tests;
