//! What a client asks of an embedder. The texts are kept as one message, so that the log says what was
//! asked; the vectors are not, as nobody reads them.

use aosk_abi::{Content, Message, Part};
use serde_json::value::RawValue;

use super::Asked;
use super::read::{Object, Read, Wrong};
use crate::wishes::Wishes;

pub(super) fn understand(json: &RawValue) -> Read<Asked> {
    let body = Object::read(json)?;
    let model = body.needed("model")?.into_owned();
    let input = body.get("input").ok_or_else(|| Wrong::new("it is missing").within("input"))?;
    let wrong = |_| Wrong::expected("texts, or lists of tokens", input).within("input");
    let content = match serde_json::from_str(input.get()).map_err(wrong)? {
        Input::One(text) => Content::Text(text),
        Input::Texts(texts) => {
            Content::Parts(texts.into_iter().map(|text| Part::Text { text }).collect())
        }
        Input::Tokens(json) => Content::Parts(vec![Part::Other { json: json.into() }]),
    };
    Ok(Asked {
        model,
        messages: vec![Message::User { content, name: None }],
        tools: Vec::new(),
        // Vectors cannot be put into other words.
        provider_tools: true,
        translated: false,
        output_max: None,
        stream: false,
        stream_usage: false,
        choices: 1,
        user: body.owned("user")?,
        wishes: Wishes::default(),
    })
}

/// The forms of what is asked.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Texts(Vec<String>),
    Tokens(Vec<serde_json::Value>),
}
