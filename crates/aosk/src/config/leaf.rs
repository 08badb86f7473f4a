//! Single values of the configuration that several keys have in common.

use std::path::PathBuf;

use aosk::abi::{Error, ErrorCode, MicroUsd};
use aosk::model::resolve;

use super::keys::Key;
use super::section::{Found, Read, Section};
use crate::cli::dollars;

/// A whole number from 1.
pub(super) fn number(section: &Section<'_>, key: &'static Key) -> Read<Option<u64>> {
    section.read(key, |found| {
        let number = found.value.as_u64().filter(|number| *number > 0);
        number.ok_or_else(|| found.must())
    })
}

/// A whole number from 1 that is not too large to count calls.
pub(super) fn slots(section: &Section<'_>, key: &'static Key) -> Read<Option<u32>> {
    section.read(key, |found| {
        let slots = found.value.as_u64().and_then(|slots| u32::try_from(slots).ok());
        slots.filter(|slots| *slots > 0).ok_or_else(|| found.must())
    })
}

/// Yes or no.
pub(super) fn boolean(section: &Section<'_>, key: &'static Key) -> Read<Option<bool>> {
    section.read(key, |found| found.value.as_bool().ok_or_else(|| found.must()))
}

/// An amount of dollars.
pub(super) fn money(section: &Section<'_>, key: &'static Key) -> Read<Option<MicroUsd>> {
    section.read(key, |found| {
        let value = &found.value;
        let amount = value.is_number().then(|| dollars(&value.to_string()).ok()).flatten();
        amount.ok_or_else(|| found.must())
    })
}

/// 0 (most urgent) to 100.
pub(super) fn priority(section: &Section<'_>, key: &'static Key) -> Read<Option<u8>> {
    section.read(key, |found| {
        let number = found.value.as_u64().and_then(|number| u8::try_from(number).ok());
        number.filter(|number| *number <= 100).ok_or_else(|| found.must())
    })
}

/// An address. What is wrong with it is said without it: it may carry a password.
pub(super) fn address(section: &Section<'_>, key: &'static Key) -> Read<Option<String>> {
    section.read(key, |found| {
        let url = found.value.as_str().unwrap_or_default();
        resolve::check_base_url(url, &found.name)?;
        Ok(url.to_owned())
    })
}

/// The path of a file. Whether it is there shows where it is read.
pub(super) fn file(section: &Section<'_>, key: &'static Key) -> Read<Option<PathBuf>> {
    section.read(key, |found| {
        let path = found.value.as_str().filter(|path| !path.is_empty());
        path.map(PathBuf::from).ok_or_else(|| found.must())
    })
}

/// A name that `check` knows.
pub(super) fn named(
    section: &Section<'_>,
    key: &'static Key,
    check: impl FnOnce(&str) -> Result<(), Error>,
) -> Read<Option<String>> {
    section.read(key, |found| {
        let Some(name) = found.value.as_str() else { return Err(found.must()) };
        check(name).map_err(|error| under(&found.name, error))?;
        Ok(name.to_owned())
    })
}

/// The error of a value under a key.
pub(super) fn under(key: &str, error: Error) -> Error {
    Error::new(ErrorCode::ConfigInvalid, format!("{key}: {}", error.message)).hint(error.hint)
}

/// The value if `parse` takes its word.
pub(super) fn word<T>(
    found: &Found<'_>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Error> {
    found.value.as_str().and_then(parse).ok_or_else(|| found.must())
}
