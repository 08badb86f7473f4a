//! Attributes: a key and a value in the form that OTLP has for them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Text.
pub(crate) fn text(key: &str, text: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(text.into()))
}

/// Texts.
pub(crate) fn texts(key: &str, texts: &[&str]) -> KeyValue {
    let value = |text: &&str| AnyValue { value: Some(Value::StringValue((*text).to_owned())) };
    attribute(key, Value::ArrayValue(ArrayValue { values: texts.iter().map(value).collect() }))
}

/// A whole number; the largest that there is for one that is larger.
pub(crate) fn number(key: &str, number: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// Seconds and the like.
pub(crate) fn fraction(key: &str, number: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(number))
}

/// Yes or no.
pub(crate) fn truth(key: &str, is: bool) -> KeyValue {
    attribute(key, Value::BoolValue(is))
}
