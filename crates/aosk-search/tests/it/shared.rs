//! Data that stands beside the repository on some machines.

use std::io::Write;
use std::path::Path;

/// The text of a file of the shared data; none, and a SKIP, where it is not here.
pub(crate) fn data(file: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    if let Ok(text) = std::fs::read_to_string(path) {
        return Some(text);
    }
    let line = format!("SKIP {file}: it is not on this machine");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("AOSK_SKIP_LOG") {
        let mut log =
            std::fs::OpenOptions::new().append(true).create(true).open(path).expect("opens");
        writeln!(log, "{line}").expect("writes");
    }
    None
}
