//! What is known of models: what the program knows, and the file `models.json` beside the configuration.

use std::fs::File;
use std::io::{self, Read};

use aosk::abi::{Error, ErrorCode};
use aosk::model::Catalogue;

use crate::config::Config;

/// The file's name.
const NAME: &str = "models.json";

/// Bytes of the file. One that is longer is something else.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads the file, if there is one.
pub(crate) fn catalogue(config: &Config) -> Result<Catalogue, Error> {
    let path = config.path.with_file_name(NAME);
    let unread = |error: &dyn std::fmt::Display| {
        Error::new(ErrorCode::Io, format!("reading {}: {error}", path.display()))
            .hint("make it a file that can be read, or take it away")
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Catalogue::default()),
        Err(error) => return Err(unread(&error)),
    };
    let mut text = String::new();
    let read =
        file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unread(&error))?;
    if u64::try_from(read).is_ok_and(|read| read > BYTES_MAX) {
        return Err(unread(&format!("it has more than {BYTES_MAX} bytes")));
    }
    Catalogue::with(&text, &path.display().to_string())
}
