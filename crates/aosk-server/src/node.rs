//! The id of this node: that of its data directory, made once and kept there.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use aosk_abi::{Error, ErrorCode};

use crate::{file, random};

/// The file that has it.
const FILE: &str = "node_id";

/// What every id begins with.
const PREFIX: char = 'n';

/// Random bytes of an id: so many that no two nodes have the same.
const BYTES: usize = 8;

/// The id of the node of this data directory.
///
/// # Errors
/// If it can neither be read nor made, or the file has something else.
pub(crate) fn id(dir: &Path) -> Result<String, Error> {
    let path = dir.join(FILE);
    let failed = |what: &dyn std::fmt::Display| {
        let text = format!("reading the id of the node in {}: {what}", path.display());
        Error::new(ErrorCode::Io, text)
    };
    let mut text = String::new();
    match file::open(&path) {
        Ok(file) => {
            // One byte more than it has, so that a longer text is not taken for it.
            let most = 2 * BYTES as u64 + 3;
            file.take(most).read_to_string(&mut text).map_err(|error| failed(&error))?;
            let text = text.trim_end();
            if is_id(text) {
                return Ok(text.to_owned());
            }
            Err(failed(&"it is not one").hint("remove the file, and a new one is made"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut bytes = [0; BYTES];
            random::fill(&mut bytes)?;
            let id = format!("{PREFIX}{}", random::hex(&bytes));
            file::replace(&path, &format!("{id}\n"), 0o600).map_err(|error| failed(&error))?;
            Ok(id)
        }
        Err(error) => Err(failed(&error)),
    }
}

fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == 2 * BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn it_is_made_once_and_is_another_elsewhere() {
        let [one, two] = [(); 2].map(|()| TempDir::new().expect("a directory"));
        let first = id(one.path()).expect("is made");
        assert!(is_id(&first), "{first}");
        assert_eq!(id(one.path()).expect("is kept"), first);
        assert_ne!(id(two.path()).expect("is made"), first);
        for bad in ["", "n12", "../../../etc/pass", &format!("{first}0")] {
            std::fs::write(one.path().join(FILE), bad).expect("writes");
            assert_eq!(id(one.path()).expect_err(bad).code, ErrorCode::Io);
        }
    }
}
