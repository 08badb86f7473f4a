//! What a client asks in chat completions.

mod answer;

use aosk_abi::{Content, Message, Part, Tokens, ToolUse};
use serde_json::value::RawValue;

use super::Asked;
use super::read::{self, Object, Read, Wrong};
use super::talk::{self, Talk};
use super::wished;
use crate::wishes::{AnswerForm, ToolChoice, Wishes};

pub(super) use answer::Answer;

/// Fields that only a provider of this format can do something with: the older form of tools, tools of
/// its own, other forms of answers, figures about tokens. What would only spare time is not among them.
const BOUND: &[&str] = &[
    "functions",
    "function_call",
    "web_search_options",
    "audio",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "moderation",
];

pub(super) fn understand(json: &RawValue) -> Read<Asked> {
    let body = Object::read(json)?;
    let model = body.needed("model")?.into_owned();
    let mut talk = Talk::default();
    let mut is_bound = body.has_any(BOUND) || wants_other_than_text(&body)?;
    let has_messages = body.each("messages", |json| {
        is_bound |= message(&Object::read(json)?, &mut talk)?;
        Ok(())
    })?;
    let (messages, translated) = talk.finish();
    if !has_messages || messages.is_empty() {
        return Err(Wrong::new("it is missing or empty").within("messages"));
    }
    let (mut tools, mut strict_tools) = (Vec::new(), Vec::new());
    body.each("tools", |json| {
        let tool = Object::read(json)?;
        let function = tool.object("function")?;
        let Some(function) = function.filter(|_| is_function(&tool)) else {
            is_bound = true;
            return Ok(());
        };
        let spec = talk::tool(&function, "parameters", &tools);
        let spec = spec.map_err(|wrong| wrong.within("function"))?;
        if function.flag("strict")?.unwrap_or_default() {
            strict_tools.push(spec.name.clone());
        }
        tools.push(spec);
        Ok(())
    })?;
    let choices = body.count("n")?.unwrap_or(1);
    let choices = u32::try_from(choices).ok().filter(|choices| *choices > 0);
    let stream_options = body.object("stream_options")?;
    let stream_usage = stream_options.map(|options| options.flag("include_usage")).transpose()?;
    let output_max = body.count("max_completion_tokens")?;
    let wishes = Wishes {
        stop: body.read_with("stop", wished::stop)?.unwrap_or_default(),
        seed: body.integer("seed")?,
        tool_choice: body.read_with("tool_choice", |json| choice(json, &mut is_bound))?,
        parallel_tools: body.flag("parallel_tool_calls")?,
        strict_tools,
        answer: body.read_with("response_format", form)?.flatten(),
        reasoning_effort: body.owned("reasoning_effort")?,
        verbosity: body.owned("verbosity")?,
        ..wished::sampling(&body)?
    };
    let user = body.owned("user")?;
    Ok(Asked {
        model,
        provider_tools: is_bound || talk::is_bound_to_its_format(&messages),
        messages,
        tools,
        translated,
        output_max: output_max.or(body.count("max_tokens")?).map(Tokens),
        stream: body.flag("stream")?.unwrap_or_default(),
        stream_usage: stream_usage.flatten().unwrap_or_default(),
        choices: choices
            .ok_or_else(|| Wrong::new("expected a number from 1 to 4294967295").within("n"))?,
        user: user.or(body.owned("safety_identifier")?),
        wishes,
    })
}

/// Whether the answer is to be in sound too.
fn wants_other_than_text(body: &Object<'_>) -> Read<bool> {
    let mut wants = false;
    body.each("modalities", |json| {
        wants |= read::text(json)? != "text";
        Ok(())
    })?;
    Ok(wants)
}

/// Whether a tool or a call is of a function, which is what it is if nothing is said.
fn is_function(object: &Object<'_>) -> bool {
    object.kind().is_ok_and(|kind| kind.is_empty() || kind == "function")
}

/// Takes a message; says whether something of it would be lost in another format.
fn message(object: &Object<'_>, talk: &mut Talk) -> Read<bool> {
    let content = || object.read_with("content", |json| talk::content(json, part));
    let said = || Ok(content()?.unwrap_or_else(|| Content::Text(String::new())));
    match object.needed("role")?.as_ref() {
        "system" | "developer" => talk.take(Message::System { content: said()? }),
        "user" => talk.take(Message::User { content: said()?, name: object.owned("name")? }),
        "assistant" => return assistant(object, content()?, talk),
        "tool" => {
            let id = object.needed("tool_call_id")?;
            let taken = talk.take_result(&id, said()?, /*is_error*/ false);
            taken.map_err(|wrong| wrong.within("tool_call_id"))?;
        }
        // The older form, in which a result has no id.
        "function" => {
            let name = object.needed("name")?;
            let id = talk.last_call_of(&name).unwrap_or_default();
            let taken = talk.take_result(&id, said()?, /*is_error*/ false);
            taken.map_err(|wrong| wrong.within("name"))?;
        }
        other => return Err(Wrong::new(format!("there is no role {other:?}")).within("role")),
    }
    Ok(false)
}

/// Takes something that the model said.
fn assistant(object: &Object<'_>, content: Option<Content>, talk: &mut Talk) -> Read<bool> {
    let mut answer = talk::Answer::default();
    let mut is_bound = object.has_any(&["audio"]);
    match content {
        Some(Content::Text(text)) => answer.text(&text),
        Some(Content::Parts(parts)) => parts.into_iter().for_each(|part| answer.part(part)),
        None => answer.text(&object.text("refusal")?.unwrap_or_default()),
    }
    // What providers that show what was thought call it; they want it back.
    let thought = match object.text("reasoning_content")? {
        Some(thought) => Some(thought),
        None => object
            .get("reasoning")
            .filter(|json| read::is_text(json))
            .map(read::text)
            .transpose()?,
    };
    answer.thought(&thought.unwrap_or_default());
    if let Some(data) = object.get(answer::CARRIED).filter(|json| read::is_text(json)) {
        answer.carried(&read::text(data)?);
    }
    object.each("tool_calls", |json| {
        let call = Object::read(json)?;
        let id = call.needed("id")?.into_owned();
        if is_function(&call) {
            let function = call.object("function")?;
            let function =
                function.ok_or_else(|| Wrong::new("it is missing").within("function"))?;
            answer.call(called(id, &function).map_err(|wrong| wrong.within("function"))?);
        } else {
            is_bound = true;
            answer.call(custom(id, &call)?);
        }
        Ok(())
    })?;
    if let Some(function) = object.object("function_call")? {
        let id = format!("call_{}", talk.len());
        answer.call(called(id, &function).map_err(|wrong| wrong.within("function_call"))?);
    }
    talk.take_answer(answer);
    Ok(is_bound)
}

fn called(id: String, function: &Object<'_>) -> Read<ToolUse> {
    let name = function.needed("name")?.into_owned();
    let arguments = function.read_with("arguments", wished::arguments)?.unwrap_or_default();
    Ok(ToolUse { id, name, arguments })
}

/// A call of a tool whose argument is a text.
fn custom(id: String, call: &Object<'_>) -> Read<ToolUse> {
    let custom = call.object("custom")?;
    let custom = custom.ok_or_else(|| Wrong::new("it is missing").within("custom"))?;
    let name = custom.needed("name").map_err(|wrong| wrong.within("custom"))?.into_owned();
    let arguments = custom.owned("input").map_err(|wrong| wrong.within("custom"))?;
    Ok(ToolUse { id, name, arguments: arguments.unwrap_or_default() })
}

fn part(object: &Object<'_>, json: &RawValue) -> Read<Part> {
    match object.kind()?.as_ref() {
        "text" => Ok(Part::Text { text: object.owned("text")?.unwrap_or_default() }),
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
        "function" | "" => {
            let function = choice.object("function")?;
            let function =
                function.ok_or_else(|| Wrong::new("it is missing").within("function"))?;
            let name = function.needed("name").map_err(|wrong| wrong.within("function"))?;
            Ok(ToolChoice::Tool(name.into_owned()))
        }
        "allowed_tools" => {
            *is_bound = true;
            let allowed = choice.object("allowed_tools")?;
            let mode = allowed.map(|allowed| allowed.owned("mode")).transpose()?.flatten();
            wished::choice_by_word(&mode.unwrap_or_else(|| "auto".to_owned()))
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
        "json_schema" => {
            let schema = format.object("json_schema")?;
            let schema = schema.ok_or_else(|| Wrong::new("it is missing").within("json_schema"))?;
            wished::schema(&schema).map(Some).map_err(|wrong| wrong.within("json_schema"))
        }
        other => Err(Wrong::new(format!("there is no form {other:?}")).within("type")),
    }
}

#[cfg(test)]
mod tests;
