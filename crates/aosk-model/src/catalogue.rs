//! What is known of models: the data file of this crate, and what a person says besides.
//!
//! A person's own entries come first. One of a model that the data file has too stands in its place as a
//! whole; nothing of the other is taken over.

use std::sync::Arc;

use aosk_abi::{Error, ErrorCode, Tokens};
use serde::Deserialize;
use serde_json::Value;

use crate::price::{self, Model};
use crate::provider;

/// Models, and what is known of each.
#[derive(Debug, Default, Clone)]
pub struct Catalogue {
    own: Arc<[Model]>,
}

/// A file of models. What it says of itself is for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "about")]
    _about: Option<Value>,
    #[serde(rename = "as_of")]
    _as_of: Option<Value>,
    models: Vec<Model>,
}

impl Catalogue {
    /// The data file, and before it the models of a file of the same form. `name` is that file's name in
    /// messages.
    ///
    /// # Errors
    /// `config.invalid` if the file is not understood or says what cannot be. The error names the place.
    pub fn with(text: &str, name: &str) -> Result<Self, Error> {
        let wrong = |what: String, hint: &str| {
            Error::new(ErrorCode::ConfigInvalid, format!("reading {name}: {what}")).hint(hint)
        };
        let file: File = serde_json::from_str(text).map_err(|error| {
            wrong(error.to_string(), "docs/guide/models.md has the form of the file and an example")
        })?;
        let mut own = file.models;
        let mut seen = std::collections::BTreeSet::new();
        for model in &mut own {
            check(model).map_err(|(what, hint)| {
                wrong(format!("the model {}:{}: {what}", model.provider, model.id), &hint)
            })?;
            for id in std::iter::once(&model.id).chain(&model.aliases) {
                if !seen.insert((model.provider.clone(), id.clone())) {
                    let what = format!("{}:{id} stands twice", model.provider);
                    return Err(wrong(what, "keep one of the two"));
                }
            }
            if model.source.is_empty() {
                name.clone_into(&mut model.source);
            }
        }
        Ok(Self { own: own.into() })
    }

    /// The models, each once.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        let is_replaced = |model: &&Model| {
            !self.own.iter().any(|own| own.provider == model.provider && own.id == model.id)
        };
        self.own.iter().chain(price::models().iter().filter(is_replaced))
    }

    /// What is known of `model` at `provider`. A dated id (`claude-haiku-4-5-20251001`,
    /// `gpt-5.4-mini-2026-03-17`) or one that ends in `-latest` is the model it is a version of.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<&Model> {
        let is_of = |known: &&Model, id: &str| {
            known.provider == provider
                && (known.id == id || known.aliases.iter().any(|alias| alias == id))
        };
        let find = |id: &str| self.models().find(|known| is_of(known, id));
        find(model)
            .or_else(|| find(model.strip_suffix("-latest")?))
            .or_else(|| find(undated(model)?))
    }
}

/// Whether what is said of a model can be; else what cannot, and what to do.
fn check(model: &Model) -> Result<(), (String, String)> {
    let is_known = |name: &str| provider::find(name).is_some_and(|known| known.models_of() == name);
    if !is_known(&model.provider) {
        let near = provider::near(&model.provider).join(" or ");
        let near = if near.is_empty() { String::new() } else { format!("did you mean {near}? ") };
        let sellers = provider::PROVIDERS.iter().filter(|one| one.models_of() == one.name);
        let names: Vec<_> = sellers.map(|provider| provider.name).collect();
        let hint = format!("{near}write one of {}", names.join(", "));
        return Err((format!("no provider is called {:?}", model.provider), hint));
    }
    let write = |example: &str| format!("write, for example, {example}");
    if model.id.trim().is_empty() {
        return Err(("it has no id".to_owned(), write("\"id\": \"gpt-5.4-mini\"")));
    }
    for (name, tokens) in [("context", model.context), ("output_max", model.output_max)] {
        if tokens == Some(Tokens::ZERO) {
            return Err((format!("{name} is 0"), write(&format!("\"{name}\": 32768"))));
        }
    }
    if model.has_two_lifetimes_and_hours() {
        let what = "off_peak stands beside cache_write_long_lived".to_owned();
        return Err((
            what,
            "leave one of the two out: their prices together are not known".to_owned(),
        ));
    }
    if !model.as_of.is_empty() && model.as_of.parse::<jiff::civil::Date>().is_err() {
        return Err((
            format!("as_of is {:?} and must be a date", model.as_of),
            write("2026-11-20"),
        ));
    }
    Ok(())
}

/// The id without the date at its end: eight digits, which may have hyphens between them.
fn undated(model: &str) -> Option<&str> {
    let tail = model.char_indices().rev();
    let date = tail.take_while(|(_, c)| c.is_ascii_digit() || *c == '-');
    let (first, _) = date.filter(|(_, c)| c.is_ascii_digit()).nth(7)?;
    model.get(..first)?.strip_suffix('-')
}

#[cfg(test)]
mod tests;
