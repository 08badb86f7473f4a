//! From the text a model wrote to arguments that fit a schema, before anything runs.

use std::fmt;

use aosk_abi::limits::ARGUMENTS_BYTES_MAX;
use aosk_abi::tool::ToolSpec;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{RegisterError, ToolError};
use crate::limits;

/// A tool's schema, compiled.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    /// What the tool takes, in one line for error messages.
    expected: String,
}

impl Schema {
    /// Checks and compiles the parameters of `spec`.
    ///
    /// # Errors
    /// If they are not a JSON Schema (draft 2020-12) of type `object`, or point elsewhere.
    pub(crate) fn compile(spec: &ToolSpec) -> Result<Self, RegisterError> {
        let wrong = |reason: String| RegisterError::Schema { name: spec.name.clone(), reason };
        if spec.parameters.get("type").and_then(Value::as_str) != Some("object") {
            return Err(wrong("its type must be \"object\"".into()));
        }
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            // Linear in the length of the text; a pattern cannot be made to backtrack.
            .with_pattern_options(PatternOptions::regex())
            .build(&spec.parameters)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { validator, expected: expected(&spec.parameters) })
    }

    /// The arguments in `text`, if they are JSON and fit. No text at all stands for `{}`, which is
    /// what some models send to a tool without arguments.
    ///
    /// # Errors
    /// `tool.arguments`, which says what is wrong where, and what the tool takes.
    pub(crate) fn check(&self, text: &str) -> Result<Value, ToolError> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        if text.len() > ARGUMENTS_BYTES_MAX {
            return Err(ToolError::Arguments(format!(
                "the arguments have {} bytes, more than the {ARGUMENTS_BYTES_MAX} allowed",
                text.len()
            )));
        }
        let Strict(value) = serde_json::from_str(text).map_err(|error| {
            self.refuse(&format!("the arguments are not a valid JSON object: {error}"))
        })?;
        let mistakes: Vec<String> = self
            .validator
            .iter_errors(&value)
            .take(limits::MISTAKES_SHOWN_MAX)
            .map(explain)
            .collect();
        if mistakes.is_empty() { Ok(value) } else { Err(self.refuse(&mistakes.join("; "))) }
    }

    fn refuse(&self, mistakes: &str) -> ToolError {
        ToolError::Arguments(format!("{mistakes}. {}", self.expected))
    }
}

/// The typed form of arguments that have passed their schema.
///
/// # Errors
/// `tool.arguments`, if type and schema of a tool disagree.
pub(crate) fn typed<T: DeserializeOwned>(arguments: Value) -> Result<T, ToolError> {
    serde_json::from_value(arguments).map_err(|error| ToolError::Arguments(error.to_string()))
}

/// One mistake: which argument, what is wrong. Never the value itself, which may be long.
// By value, because that is what the iterator over the mistakes gives.
#[expect(clippy::needless_pass_by_value, reason = "used as a function of `map` over owned errors")]
fn explain(error: ValidationError<'_>) -> String {
    let pointer = error.instance_path().as_str();
    let path = pointer.trim_start_matches('/').replace('/', ".");
    let inside = if path.is_empty() { String::new() } else { format!(" of `{path}`") };
    if let ValidationErrorKind::Required { property } = error.kind() {
        let name = property.as_str().unwrap_or_default();
        return format!("argument `{name}`{inside} is missing");
    }
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        return format!("argument `{}`{inside} is not known", unexpected.join("`, `"));
    }
    let subject = if path.is_empty() { "arguments".into() } else { format!("argument `{path}`") };
    let wrong = error.masked_with("the value").to_string();
    if let ValidationErrorKind::Type { .. } = error.kind() {
        return format!("{subject}: {wrong} but {}", kind_of(error.instance()));
    }
    format!("{subject}: {wrong}")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What a schema takes, in one line.
fn expected(schema: &Value) -> String {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let parts: Vec<String> = properties
        .iter()
        .map(|(name, property)| {
            let kind = property.get("type").and_then(Value::as_str).unwrap_or("any");
            let must = required.iter().any(|required| required.as_str() == Some(name));
            format!("{name} ({kind}, {})", if must { "required" } else { "optional" })
        })
        .collect();
    if parts.is_empty() {
        return "The tool takes no arguments: {}".into();
    }
    format!("The tool takes {}", parts.join(", "))
}

/// A JSON value in which no key stands twice.
///
/// With two of the same key, what a person approved and what the tool used could differ.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("key {key:?} stands twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
