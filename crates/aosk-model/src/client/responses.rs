//! What a client asks in Responses.

mod answer;
mod echo;
mod event;

use aosk_abi::{Content, Message, Part, Tokens, ToolUse};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Asked;
use super::read::{self, Object, Read, Wrong};
use super::talk::{self, Talk};
use super::{carried, told, wished};
use crate::wishes::{AnswerForm, ToolChoice, Wishes};

pub(super) use answer::Answer;

/// Fields that only a provider of this format can do something with: conversations and instructions that
/// it keeps, work that it does by itself, figures about tokens. What would only spare tokens is not among
/// them.
const BOUND: &[&str] =
    &["previous_response_id", "conversation", "prompt", "moderation", "top_logprobs"];

/// Reasoning as it goes back.
#[derive(Serialize)]
struct Thought<'a> {
    r#type: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a RawValue>,
    encrypted_content: &'a str,
}

pub(super) fn understand(json: &RawValue) -> Read<Asked> {
    let body = Object::read(json)?;
    let model = body.needed("model")?.into_owned();
    if body.flag("background")?.unwrap_or_default() {
        let what = "answers that are made in the background cannot be asked for later here";
        return Err(Wrong::new(what).within("background"));
    }
    let kept = body.has_any(&["previous_response_id", "conversation", "prompt"]);
    let mut input = Input { is_bound: body.has_any(BOUND), ..Input::default() };
    input.talk.begins_elsewhere = kept;
    if let Some(instructions) = body.read_with("instructions", |json| talk::content(json, part))? {
        input.talk.take(Message::System { content: instructions });
    }
    let is_there = body.read_with("input", |json| input.read(json))?.is_some();
    if !is_there && !kept {
        return Err(Wrong::new("it is missing or empty").within("input"));
    }
    let Input { talk, mut is_bound, .. } = input;
    let (messages, translated) = talk.finish();
    let (mut tools, mut strict_tools) = (Vec::new(), Vec::new());
    body.each("tools", |json| {
        let tool = Object::read(json)?;
        if tool.kind()? != "function" {
            is_bound = true;
            return Ok(());
        }
        let spec = talk::tool(&tool, "parameters", &tools)?;
        if tool.flag("strict")?.unwrap_or_default() {
            strict_tools.push(spec.name.clone());
        }
        tools.push(spec);
        Ok(())
    })?;
    let text = body.object("text")?;
    let in_text = |wrong: Wrong| wrong.within("text");
    let (mut answer, mut verbosity) = (None, None);
    if let Some(text) = text {
        answer = text.read_with("format", form).map_err(in_text)?.flatten();
        verbosity = text.owned("verbosity").map_err(in_text)?;
    }
    let reasoning = body.object("reasoning")?;
    let effort = reasoning.map(|reasoning| reasoning.owned("effort")).transpose();
    let wishes = Wishes {
        tool_choice: body.read_with("tool_choice", |json| choice(json, &mut is_bound))?,
        parallel_tools: body.flag("parallel_tool_calls")?,
        strict_tools,
        answer,
        reasoning_effort: effort.map_err(|wrong| wrong.within("reasoning"))?.flatten(),
        verbosity,
        ..wished::sampling(&body)?
    };
    let user = body.owned("user")?;
    Ok(Asked {
        model,
        provider_tools: is_bound || talk::is_bound_to_its_format(&messages),
        messages,
        tools,
        translated,
        output_max: body.count("max_output_tokens")?.map(Tokens),
        stream: body.flag("stream")?.unwrap_or_default(),
        stream_usage: true,
        choices: 1,
        user: user.or(body.owned("safety_identifier")?),
        wishes,
    })
}

/// The items so far. Those of an answer follow each other: what was thought, said and called.
#[derive(Default)]
struct Input {
    talk: Talk,
    /// The answer that is open.
    answer: talk::Answer,
    /// Whether something of it would be lost in another format.
    is_bound: bool,
}

impl Input {
    fn read(&mut self, json: &RawValue) -> Read<()> {
        if read::is_text(json) {
            self.talk.take(Message::user(read::text(json)?));
            return Ok(());
        }
        if !json.get().starts_with('[') {
            return Err(Wrong::expected("a string or a list of items", json));
        }
        read::each(json, |json| self.item(&Object::read(json)?, json))?;
        self.close();
        Ok(())
    }

    fn item(&mut self, item: &Object<'_>, json: &RawValue) -> Read<()> {
        match item.kind()?.as_ref() {
            "message" | "" => self.message(item),
            "reasoning" => self.reasoning(item),
            "function_call" => {
                let arguments = item.read_with("arguments", wished::arguments)?;
                self.call(item, arguments.unwrap_or_default())
            }
            "custom_tool_call" => {
                self.is_bound = true;
                let input = item.owned("input")?;
                self.call(item, input.unwrap_or_default())
            }
            "function_call_output" => self.output(item),
            "custom_tool_call_output" => {
                self.is_bound = true;
                self.output(item)
            }
            _ => {
                // An item of a kind that only its provider knows.
                self.close();
                let part = Part::Other { json: read::value(json)? };
                let content = Content::Parts(vec![part]);
                self.talk.take(Message::User { content, name: None });
                Ok(())
            }
        }
    }

    fn message(&mut self, item: &Object<'_>) -> Read<()> {
        let content = item.read_with("content", |json| talk::content(json, part))?;
        let content = content.unwrap_or_else(|| Content::Text(String::new()));
        match item.needed("role")?.as_ref() {
            "assistant" => {
                // Several messages are several answers, unless calls came between them.
                if self.answer.has_text() && !self.answer.has_calls() {
                    self.close();
                }
                match content {
                    Content::Text(text) => self.answer.text(&text),
                    Content::Parts(parts) => {
                        parts.into_iter().for_each(|part| self.answer.part(part));
                    }
                }
            }
            "user" => {
                self.close();
                self.talk.take(Message::User { content, name: None });
            }
            "system" | "developer" => {
                self.close();
                self.talk.take(Message::System { content });
            }
            other => return Err(Wrong::new(format!("there is no role {other:?}")).within("role")),
        }
        Ok(())
    }

    fn reasoning(&mut self, item: &Object<'_>) -> Read<()> {
        let encrypted = item.text("encrypted_content")?;
        let is_translated = encrypted.as_deref() == Some(carried::UNSIGNED);
        if let Some(encrypted) = encrypted.filter(|_| !is_translated) {
            if !self.answer.carried(&encrypted) {
                let id = item.text("id")?.unwrap_or_default();
                let summary = item.get("summary");
                let thought = Thought {
                    r#type: "reasoning",
                    id: &id,
                    summary,
                    encrypted_content: &encrypted,
                };
                self.answer.own(told::json(&thought));
            }
            return Ok(());
        }
        let mut thought = String::new();
        let mut take = |json: &RawValue| {
            thought.push_str(&Object::read(json)?.text("text")?.unwrap_or_default());
            Ok(())
        };
        if !item.each("content", &mut take)? {
            item.each("summary", &mut take)?;
        }
        if is_translated {
            self.answer.thought_translated(&thought);
        } else {
            self.answer.thought(&thought);
        }
        Ok(())
    }

    fn call(&mut self, item: &Object<'_>, arguments: String) -> Read<()> {
        let id = item.needed("call_id")?.into_owned();
        self.answer.call(ToolUse { id, name: item.needed("name")?.into_owned(), arguments });
        Ok(())
    }

    fn output(&mut self, item: &Object<'_>) -> Read<()> {
        self.close();
        let content = item.read_with("output", |json| talk::content(json, part))?;
        let content = content.unwrap_or_else(|| Content::Text(String::new()));
        let taken =
            self.talk.take_result(&item.needed("call_id")?, content, /*is_error*/ false);
        taken.map_err(|wrong| wrong.within("call_id"))
    }

    /// Ends the answer that is open.
    fn close(&mut self) {
        let answer = std::mem::take(&mut self.answer);
        if answer.has_begun() {
            self.talk.take_answer(answer);
        }
    }
}

fn part(object: &Object<'_>, json: &RawValue) -> Read<Part> {
    match object.kind()?.as_ref() {
        "input_text" | "output_text" | "text" => {
            Ok(Part::Text { text: object.owned("text")?.unwrap_or_default() })
        }
        "refusal" => Ok(Part::Text { text: object.owned("refusal")?.unwrap_or_default() }),
        "" => Err(Wrong::new("it is missing or empty").within("type")),
        _ => talk::other(json),
    }
}

/// Which tools are called: a word, or the one of a name.
fn choice(json: &RawValue, is_bound: &mut bool) -> Read<ToolChoice> {
    if read::is_text(json) {
        return wished::choice_by_word(&read::text(json)?);
    }
    let choice = Object::read(json)?;
    match choice.kind()?.as_ref() {
        "function" => Ok(ToolChoice::Tool(choice.needed("name")?.into_owned())),
        "allowed_tools" => {
            *is_bound = true;
            wished::choice_by_word(&choice.text("mode")?.unwrap_or_else(|| "auto".into()))
        }
        _ => {
            *is_bound = true;
            Ok(ToolChoice::Required)
        }
    }
}

/// The form of the answer; none if it is free.
fn form(json: &RawValue) -> Read<Option<AnswerForm>> {
    let format = Object::read(json)?;
    match format.kind()?.as_ref() {
        "text" => Ok(None),
        "json_object" => Ok(Some(AnswerForm::JsonObject)),
        "json_schema" => wished::schema(&format).map(Some),
        other => Err(Wrong::new(format!("there is no form {other:?}")).within("type")),
    }
}

#[cfg(test)]
mod tests;
