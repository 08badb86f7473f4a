//! The arguments of earlier calls: as the object that some formats want, and as the text that others do.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::IgnoredAny;
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

/// The arguments as JSON text. Servers parse those of earlier calls again, and some fail for good on what
/// is no JSON. The model still sees what it wrote.
pub(crate) fn as_json(written: &str) -> Cow<'_, str> {
    if written.trim().is_empty() {
        Cow::Borrowed("{}")
    } else if is_json(written) {
        Cow::Borrowed(written)
    } else {
        Cow::Owned(serde_json::json!({"arguments": written}).to_string())
    }
}

/// Whether the arguments are JSON. Those of a call that was cut off are none.
pub(crate) fn is_json(written: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(written).is_ok()
}
