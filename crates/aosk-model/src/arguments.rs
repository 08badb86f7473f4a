//! The arguments of earlier calls as the object that some formats want.

use serde::Serialize;
use serde_json::value::RawValue;

/// Arguments as an object, byte for byte where they are one.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Arguments<'a> {
    /// What the model wrote.
    Object(&'a RawValue),
    /// What is no object is passed on as text, so that the model sees what it wrote.
    Invalid {
        /// The text; none if the model wrote nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        arguments: Option<&'a str>,
    },
}

impl<'a> Arguments<'a> {
    /// The arguments that the model wrote.
    pub(crate) fn of(written: &'a str) -> Self {
        let trimmed = written.trim();
        match serde_json::from_str::<&RawValue>(trimmed) {
            Ok(json) if trimmed.starts_with('{') => Self::Object(json),
            _ if trimmed.is_empty() => Self::Invalid { arguments: None },
            _ => Self::Invalid { arguments: Some(written) },
        }
    }
}
