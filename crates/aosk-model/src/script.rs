//! The script of a scripted model: data, checked when it is loaded.
//!
//! ```json
//! {"agents": {"*": [
//!   {"id": "look", "say": "Task: {{task}}", "calls": [{"tool": "list_files", "id": "files"}]},
//!   {"say": "Files: {{result:files}}", "next": [{"when": {"contains": "more"}, "goto": "look"}]}
//! ]}}
//! ```
//!
//! A text may hold `{{task}}` (the first user message), `{{last}}` (the last tool result or user
//! message), `{{result:ID}}` (the result of the latest call with this id) and
//! `{{result:ID.field.sub}}` (a field of the JSON in it; a number picks from a list).

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{Error, ErrorCode, Millis};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A script: for each agent its turns.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The turns by process name. A name that ends in `*` stands for all that begin so; the longest
    /// that fits is taken.
    pub agents: BTreeMap<String, Vec<Turn>>,
}

/// One answer of the model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// The name under which `goto` finds the turn.
    pub id: Option<String>,
    /// The text.
    pub say: Option<String>,
    /// The tools to call.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// Where to go on; the first that fits decides. Without one, at the following turn.
    #[serde(default)]
    pub next: Vec<Next>,
    /// How long the answer takes, word for word. For demonstrations.
    pub latency_ms: Option<Millis>,
}

/// One tool call of a turn.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The tool.
    pub tool: String,
    /// Its arguments; texts in them may hold templates.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// The name under which templates find the result.
    pub id: Option<String>,
}

/// A way out of a turn.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Next {
    /// When it is taken; always, if nothing is asked.
    #[serde(default)]
    pub when: When,
    /// The turn to go on at.
    pub goto: String,
}

/// A condition on the results of a turn, or on the user's message after it. All that is asked must
/// hold of the same one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// It has this text in it.
    pub contains: Option<String>,
    /// It matches this regular expression.
    #[serde(default, deserialize_with = "regex")]
    pub matches: Option<Regex>,
    /// It is (or is not) the result of a call that failed.
    pub is_error: Option<bool>,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// `config.invalid`, naming the agent and the turn, if the JSON is not a script, a `goto` leads
    /// nowhere, two turns of an agent have one id, or a template is not known.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::new(ErrorCode::ConfigInvalid, format!("reading the script: {what}"))
        };
        let script: Self = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        for (agent, turns) in &script.agents {
            check(turns).map_err(|what| wrong(format!("agent {agent}: {what}")))?;
        }
        Ok(script)
    }

    /// The turns of the process with this name.
    #[must_use]
    pub fn turns(&self, process: &str) -> Option<&[Turn]> {
        let fits = |name: &&String| match name.strip_suffix('*') {
            Some(prefix) => process.starts_with(prefix),
            None => process == name.as_str(),
        };
        let exact = self.agents.get(process);
        let longest = || {
            let name = self.agents.keys().filter(fits).max_by_key(|name| name.len())?;
            self.agents.get(name)
        };
        exact.or_else(longest).map(Vec::as_slice)
    }
}

impl When {
    /// Whether it holds of a text that is (or is not) the result of a failed call.
    #[must_use]
    pub fn holds(&self, text: &str, is_error: bool) -> bool {
        let contains = self.contains.as_ref().is_none_or(|part| text.contains(part.as_str()));
        let matches = self.matches.as_ref().is_none_or(|pattern| pattern.is_match(text));
        contains && matches && self.is_error.is_none_or(|wanted| wanted == is_error)
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.contains.is_none() && self.matches.is_none() && self.is_error.is_none()
    }
}

/// A piece of a text with templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text as it is.
    Plain(&'a str),
    /// `{{task}}`
    Task,
    /// `{{last}}`
    Last,
    /// `{{result:ID}}` or `{{result:ID.field.sub}}`
    Result {
        /// The call's id in the script.
        id: &'a str,
        /// The path into the JSON of the result; empty for all of it.
        path: &'a str,
    },
}

/// The pieces of `text`, or the template that is not known.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, &str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        pieces.push(match name.trim() {
            "task" => Piece::Task,
            "last" => Piece::Last,
            name => {
                let name = name.strip_prefix("result:").ok_or(name)?;
                let (id, path) = name.split_once('.').unwrap_or((name, ""));
                Piece::Result { id, path }
            }
        });
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest));
    }
    Ok(pieces)
}

/// What is wrong with the turns of one agent.
fn check(turns: &[Turn]) -> Result<(), String> {
    if turns.is_empty() {
        return Err("it has no turns".to_owned());
    }
    let mut ids = BTreeSet::new();
    for id in turns.iter().filter_map(|turn| turn.id.as_deref()) {
        if !ids.insert(id) {
            return Err(format!("two turns are called {id}"));
        }
    }
    let calls = turns.iter().flat_map(|turn| &turn.calls);
    let results: BTreeSet<_> = calls.filter_map(|call| call.id.as_deref()).collect();
    for (index, turn) in turns.iter().enumerate() {
        let at = |what: String| format!("turn {index}: {what}");
        if turn.say.is_none() && turn.calls.is_empty() {
            return Err(at("it neither says nor calls anything".to_owned()));
        }
        for next in &turn.next {
            if !ids.contains(next.goto.as_str()) {
                return Err(at(format!("no turn is called {}", next.goto)));
            }
        }
        let mut texts: Vec<&str> = turn.say.iter().map(String::as_str).collect();
        for value in turn.calls.iter().flat_map(|call| call.arguments.values()) {
            gather_texts(value, &mut texts);
        }
        for text in texts {
            let known = pieces(text)
                .map_err(|name| at(format!("the template {{{{{name}}}}} is not known")))?;
            for piece in known {
                if let Piece::Result { id, .. } = piece
                    && !results.contains(id)
                {
                    return Err(at(format!("no call has the id {id}")));
                }
            }
        }
    }
    Ok(())
}

/// All texts in a JSON value.
fn gather_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| gather_texts(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| gather_texts(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn regex<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Regex>, D::Error> {
    let Some(pattern) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    Regex::new(&pattern).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
