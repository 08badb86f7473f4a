//! The reading of wishes, as far as the formats have it in common.

use serde_json::value::RawValue;

use super::read::{self, Object, Read, Wrong};
use crate::wishes::{AnswerForm, Schema, ToolChoice, Wishes};

/// How tokens are drawn: the formats call it the same.
pub(super) fn sampling(body: &Object<'_>) -> Read<Wishes> {
    Ok(Wishes {
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: body.count("top_k")?,
        frequency_penalty: body.number("frequency_penalty")?,
        presence_penalty: body.number("presence_penalty")?,
        ..Wishes::default()
    })
}

/// Where the answer ends: one text or several.
pub(super) fn stop(json: &RawValue) -> Read<Vec<String>> {
    if read::is_text(json) {
        return Ok(vec![read::text(json)?.into_owned()]);
    }
    let mut stops = Vec::new();
    read::each(json, |json| {
        stops.push(read::text(json)?.into_owned());
        Ok(())
    })?;
    Ok(stops)
}

/// Which tools are called, by OpenAI's words for it.
pub(super) fn choice_by_word(word: &str) -> Read<ToolChoice> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        // Some vendors have Anthropic's word for it.
        "required" | "any" => Ok(ToolChoice::Required),
        other => Err(Wrong::new(format!("there is no choice {other:?}"))),
    }
}

/// A schema with its name, as OpenAI's formats have it.
pub(super) fn schema(object: &Object<'_>) -> Read<AnswerForm> {
    let Some(schema) = object.get("schema") else {
        return Err(Wrong::new("it is missing").within("schema"));
    };
    Ok(AnswerForm::JsonSchema {
        name: object.owned("name")?.unwrap_or_default(),
        schema: a_schema(schema).map_err(|wrong| wrong.within("schema"))?,
        strict: object.flag("strict")?,
    })
}

/// The schema that is written so.
pub(super) fn a_schema(json: &RawValue) -> Read<Schema> {
    if !json.get().starts_with('{') {
        return Err(Wrong::expected("an object", json));
    }
    Ok(Schema::new(json.to_owned()))
}

/// Arguments of a call: a text as the model wrote it or, in some clients, the JSON itself.
pub(super) fn arguments(json: &RawValue) -> Read<String> {
    if read::is_text(json) { Ok(read::text(json)?.into_owned()) } else { Ok(json.get().to_owned()) }
}
