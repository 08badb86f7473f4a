//! The configuration file: what the command line leaves open. Everything in it is optional.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aosk::abi::{Error, ErrorCode, PermissionLevel};
use serde::Deserialize;

/// Bytes of the file. One that is longer is something else.
const BYTES_MAX: u64 = 64 * 1024;

/// The file's content.
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// `provider:model`; found from the environment if none.
    #[serde(default)]
    pub(crate) default_model: Option<String>,
    /// The address of the model's provider, in place of the usual one.
    #[serde(default)]
    pub(crate) base_url: Option<String>,
    /// What agents may touch: RESTRICTED, STANDARD, ADVANCED or FULL.
    #[serde(default)]
    pub(crate) permission: Option<PermissionLevel>,
    /// Model calls at once.
    #[serde(default)]
    pub(crate) slots: Option<u32>,
    /// The scheduler policy.
    #[serde(default)]
    pub(crate) policy: Option<String>,
}

/// Reads the file; an empty configuration if there is none and none was asked for.
pub(crate) fn read(given: Option<&PathBuf>) -> Result<Config, Error> {
    let path = crate::paths::config_file(given)?;
    let text = match bounded(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && given.is_none() => {
            return Ok(Config::default());
        }
        Err(error) => {
            let text = format!("reading the configuration {}: {error}", path.display());
            return Err(Error::new(ErrorCode::ConfigInvalid, text)
                .hint("give a file that can be read with --config, or none"));
        }
    };
    if text.trim().is_empty() {
        return Ok(Config::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| {
        let first = error.to_string();
        let first = first.lines().next().unwrap_or_default().to_owned();
        Error::new(
            ErrorCode::ConfigInvalid,
            format!("reading the configuration {}: {first}", path.display()),
        )
        .hint("keys: default_model, base_url, permission, slots, policy")
    })
}

/// The text of a file, which is never read further than it may be long.
fn bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > BYTES_MAX) {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}
