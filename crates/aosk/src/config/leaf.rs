//! Single values of the configuration: what a key must be, in words and with an example.

use aosk::abi::{Error, ErrorCode, MicroUsd};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::cli::dollars;
use crate::term::cut;

/// Characters of a value that are repeated in a message.
const VALUE_MAX: usize = 60;

/// A value with the line it stands on, if the key is there.
pub(super) type Leaf = Option<Spanned<Value>>;

/// What was read, or what is wrong and on which line.
pub(super) type Read<T> = Result<T, (u64, Error)>;

/// A mapping whose keys are names that people choose, in the order of the file.
#[derive(Debug)]
pub(super) struct Names<T>(pub(super) Vec<(Spanned<String>, T)>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Names<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Names<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("names, each with what is said of it")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Names(all))
            }

            // A key that nothing follows.
            fn visit_unit<E: serde::de::Error>(self) -> Result<Names<T>, E> {
                Ok(Names::default())
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

/// Checks the value of a key with `check`; an error comes with its line.
pub(super) fn key<T>(
    written: Leaf,
    check: impl FnOnce(&Value) -> Result<T, Error>,
) -> Read<Option<T>> {
    let Some(Spanned { value, referenced, .. }) = written else { return Ok(None) };
    if value.is_null() {
        return Ok(None);
    }
    check(&value).map(Some).map_err(|error| (referenced.line(), error))
}

/// What a key must be, in words and with an example; `value` is what it is.
pub(super) fn must(key: &str, value: &Value, be: &str, example: &str) -> Error {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = format!("{key} is {:?} and must be {be}", cut(&value, VALUE_MAX));
    let last = key.rsplit_once('.').map_or(key, |(_, last)| last);
    Error::new(ErrorCode::ConfigInvalid, text)
        .hint(format!("write, for example, {last}: {example}"))
}

/// A whole number from 1.
pub(super) fn number(written: Leaf, name: &str, example: &str) -> Read<Option<u64>> {
    key(written, |value| {
        let number = value.as_u64().filter(|number| *number > 0);
        number.ok_or_else(|| must(name, value, "a whole number from 1", example))
    })
}

/// An amount of dollars.
pub(super) fn money(written: Leaf, name: &str) -> Read<Option<MicroUsd>> {
    key(written, |value| {
        let amount = value.is_number().then(|| dollars(&value.to_string()).ok()).flatten();
        amount.ok_or_else(|| {
            must(name, value, "an amount of dollars of which something can be bought", "2.50")
        })
    })
}

/// 0 (most urgent) to 100.
pub(super) fn priority(written: Leaf, name: &str) -> Read<Option<u8>> {
    key(written, |value| {
        let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
        let number = number.filter(|number| *number <= 100);
        let be = "a whole number from 0, the largest share, to 100";
        number.ok_or_else(|| must(name, value, be, "20"))
    })
}
