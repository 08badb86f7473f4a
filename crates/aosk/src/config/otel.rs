//! The collector in the configuration.

use std::collections::BTreeMap;
use std::fmt;

use aosk::abi::{Error, ErrorCode};
use secrecy::SecretString;

use super::keys;
use super::leaf;
use super::section::{Read, Section};
use super::tree::Node;

/// What is said of the collector.
#[derive(Default, Clone)]
pub(crate) struct Otel {
    /// Where it is.
    pub(crate) endpoint: Option<String>,
    /// Headers of requests to it.
    pub(crate) headers: BTreeMap<String, SecretString>,
    /// Whether it is told what is said.
    pub(crate) content: bool,
}

impl fmt::Debug for Otel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Otel").field("headers", &names).field("content", &self.content).finish()
    }
}

/// Reads it.
pub(super) fn read(section: &Section<'_>) -> Read<Otel> {
    let mut headers = BTreeMap::new();
    let written = section.section("headers")?;
    for (name, item) in written.names() {
        let Node::Text(text) = &item.node else {
            // What is written may be a part of a secret.
            let what = format!("{} must be a text", written.name(&name.text));
            let error = Error::new(ErrorCode::ConfigInvalid, what).hint(format!(
                "write, for example, {}: {}",
                name.text,
                keys::OTEL_HEADER.example
            ));
            return Err((item.origin.clone(), error));
        };
        headers.insert(name.text.clone(), SecretString::from(text.text.clone()));
    }
    Ok(Otel {
        endpoint: leaf::address(section, &keys::OTEL_ENDPOINT)?,
        headers,
        content: leaf::boolean(section, &keys::OTEL_CONTENT)?.unwrap_or_default(),
    })
}
