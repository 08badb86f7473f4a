//! What a client asks in Messages.

mod answer;

use aosk_abi::{Content, Message, Part, Tokens, ToolUse};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Asked;
use super::read::{self, Object, Read, Wrong};
use super::talk::{self, Talk};
use super::{carried, told, wished};
use crate::wishes::{AnswerForm, Thinking, ToolChoice, Wishes};

pub(super) use answer::Answer;

/// Fields that only a provider of this format can do something with. What would only spare tokens or time,
/// such as `context_management`, is not among them.
const BOUND: &[&str] = &["mcp_servers", "container"];

/// What was thought and signed, as it goes back.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Thought<'a> {
    Thinking { thinking: &'a str, signature: &'a str },
    RedactedThinking { data: &'a str },
}

pub(super) fn understand(json: &RawValue) -> Read<Asked> {
    let body = Object::read(json)?;
    let model = body.needed("model")?.into_owned();
    let mut talk = Talk::default();
    let mut is_bound = body.has_any(BOUND);
    if let Some(content) = body.read_with("system", |json| talk::content(json, part))? {
        talk.take(Message::System { content });
    }
    let mut count = 0_usize;
    body.each("messages", |json| {
        count += 1;
        turn(&Object::read(json)?, &mut talk)
    })?;
    if count == 0 {
        return Err(Wrong::new("it is missing or empty").within("messages"));
    }
    let (messages, translated) = talk.finish();
    let (mut tools, mut strict_tools) = (Vec::new(), Vec::new());
    body.each("tools", |json| {
        let tool = Object::read(json)?;
        if !matches!(tool.kind()?.as_ref(), "custom" | "") {
            is_bound = true;
            return Ok(());
        }
        let spec = talk::tool(&tool, "input_schema", &tools)?;
        if tool.flag("strict")?.unwrap_or_default() {
            strict_tools.push(spec.name.clone());
        }
        tools.push(spec);
        Ok(())
    })?;
    let choice = body.object("tool_choice")?;
    let at_once = choice.as_ref().map(|choice| choice.flag("disable_parallel_tool_use"));
    let at_once = at_once.transpose().map_err(|wrong| wrong.within("tool_choice"))?.flatten();
    let choice = choice.map(|choice| which(&choice)).transpose();
    let (mut answer, mut effort) = (None, None);
    if let Some(config) = body.object("output_config")? {
        let within = |wrong: Wrong| wrong.within("output_config");
        effort = config.owned("effort").map_err(within)?;
        answer = config.read_with("format", form).map_err(within)?;
    }
    let metadata = body.object("metadata")?;
    let user = metadata.map(|metadata| metadata.owned("user_id")).transpose();
    let wishes = Wishes {
        stop: body.read_with("stop_sequences", wished::stop)?.unwrap_or_default(),
        tool_choice: choice.map_err(|wrong| wrong.within("tool_choice"))?,
        parallel_tools: at_once.map(|disabled| !disabled),
        strict_tools,
        answer,
        reasoning_effort: effort,
        thinking: body.read_with("thinking", thinking)?.flatten(),
        ..wished::sampling(&body)?
    };
    Ok(Asked {
        model,
        provider_tools: is_bound || talk::is_bound_to_its_format(&messages),
        messages,
        tools,
        translated,
        output_max: body.count("max_tokens")?.map(Tokens),
        stream: body.flag("stream")?.unwrap_or_default(),
        stream_usage: true,
        choices: 1,
        user: user.map_err(|wrong| wrong.within("metadata"))?.flatten(),
        wishes,
    })
}

/// Takes what one side says before the other does.
fn turn(turn: &Object<'_>, talk: &mut Talk) -> Read<()> {
    match turn.needed("role")?.as_ref() {
        "user" => needed(turn.read_with("content", |json| user(json, talk))?),
        "assistant" => needed(turn.read_with("content", |json| assistant(json, talk))?),
        "system" => {
            let content = needed(turn.read_with("content", |json| talk::content(json, part))?)?;
            talk.take(Message::System { content });
            Ok(())
        }
        other => Err(Wrong::new(format!("there is no role {other:?}")).within("role")),
    }
}

fn needed<T>(content: Option<T>) -> Read<T> {
    content.ok_or_else(|| Wrong::new("it is missing").within("content"))
}

/// Takes a turn of the user's side: results of calls first, as the format itself wants it, and then
/// what else is said.
fn user(json: &RawValue, talk: &mut Talk) -> Read<()> {
    if read::is_text(json) {
        talk.take(Message::user(read::text(json)?));
        return Ok(());
    }
    if !json.get().starts_with('[') {
        return Err(Wrong::expected("a string or a list of blocks", json));
    }
    let mut parts = Vec::new();
    let mut has_result = false;
    read::each(json, |json| {
        let block = Object::read(json)?;
        if block.kind()? != "tool_result" {
            parts.push(part(&block, json)?);
            return Ok(());
        }
        has_result = true;
        let content = block.read_with("content", |json| talk::content(json, part))?;
        let content = content.unwrap_or_else(|| Content::Text(String::new()));
        let is_error = block.flag("is_error")?.unwrap_or_default();
        let taken = talk.take_result(&block.needed("tool_use_id")?, content, is_error);
        taken.map_err(|wrong| wrong.within("tool_use_id"))
    })?;
    if !parts.is_empty() || !has_result {
        talk.take(Message::User { content: Content::Parts(parts), name: None });
    }
    Ok(())
}

/// Takes a turn of the model's.
fn assistant(json: &RawValue, talk: &mut Talk) -> Read<()> {
    let mut answer = talk::Answer::default();
    if read::is_text(json) {
        answer.text(&read::text(json)?);
    } else if json.get().starts_with('[') {
        read::each(json, |json| said(&Object::read(json)?, json, &mut answer))?;
    } else {
        return Err(Wrong::expected("a string or a list of blocks", json));
    }
    talk.take_answer(answer);
    Ok(())
}

/// Takes a block of what the model said.
fn said(block: &Object<'_>, json: &RawValue, answer: &mut talk::Answer) -> Read<()> {
    match block.kind()?.as_ref() {
        "thinking" => {
            let thinking = block.text("thinking")?.unwrap_or_default();
            let signature = block.text("signature")?.unwrap_or_default();
            if signature == carried::UNSIGNED {
                answer.thought_translated(&thinking);
            } else if signature.is_empty() {
                answer.thought(&thinking);
            } else {
                let thought = Thought::Thinking { thinking: &thinking, signature: &signature };
                answer.own(told::json(&thought));
            }
        }
        "redacted_thinking" => {
            let data = block.text("data")?.unwrap_or_default();
            if !answer.carried(&data) {
                answer.own(told::json(&Thought::RedactedThinking { data: &data }));
            }
        }
        "tool_use" => {
            let id = block.needed("id")?.into_owned();
            let name = block.needed("name")?.into_owned();
            let arguments = block.get("input").map_or("{}", RawValue::get).to_owned();
            answer.call(ToolUse { id, name, arguments });
        }
        _ => answer.part(part(block, json)?),
    }
    Ok(())
}

fn part(block: &Object<'_>, json: &RawValue) -> Read<Part> {
    match block.kind()?.as_ref() {
        "text" => Ok(Part::Text { text: block.owned("text")?.unwrap_or_default() }),
        "" => Err(Wrong::new("it is missing or empty").within("type")),
        _ => talk::other(json),
    }
}

/// Which tools are called.
fn which(choice: &Object<'_>) -> Read<ToolChoice> {
    match choice.kind()?.as_ref() {
        "auto" => Ok(ToolChoice::Auto),
        "any" => Ok(ToolChoice::Required),
        "none" => Ok(ToolChoice::None),
        "tool" => Ok(ToolChoice::Tool(choice.needed("name")?.into_owned())),
        other => Err(Wrong::new(format!("there is no choice {other:?}")).within("type")),
    }
}

/// The form of the answer. In this format an answer is always held to its schema.
fn form(json: &RawValue) -> Read<AnswerForm> {
    let format = Object::read(json)?;
    match format.kind()?.as_ref() {
        "json_schema" => {
            let schema = format.read_with("schema", wished::a_schema)?;
            let schema = schema.ok_or_else(|| Wrong::new("it is missing").within("schema"))?;
            Ok(AnswerForm::JsonSchema { name: String::new(), schema, strict: Some(true) })
        }
        other => Err(Wrong::new(format!("there is no form {other:?}")).within("type")),
    }
}

/// Whether the model thinks.
fn thinking(json: &RawValue) -> Read<Option<Thinking>> {
    let thinking = Object::read(json)?;
    match thinking.kind()?.as_ref() {
        "disabled" => Ok(Some(Thinking::Off)),
        "adaptive" => Ok(Some(Thinking::Adaptive)),
        "enabled" => {
            let budget = thinking.count("budget_tokens")?;
            Ok(Some(budget.map_or(Thinking::Adaptive, Thinking::Budget)))
        }
        // There are more ways of it than other providers know.
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
