//! Tests that this machine cannot run.

use std::io::Write;

/// Says that something was not tested here, where those who count can see it.
#[expect(clippy::print_stderr, reason = "whoever runs the test by hand sees it here")]
pub(crate) fn skip(feature: &str, reason: &str) {
    let line = format!("SKIP {feature}: {reason}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("AOSK_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(log, "{line}").unwrap();
    }
}
