//! What a person sees: tables, figures, colours only on terminals.

use std::io::{Error, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use aosk::words::steers;
pub(crate) use aosk::words::{count, cut, money, plural, time};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

/// Why stdout cannot be written any more: the first failure. What the exit status makes of it is
/// the matter of `fail::exit`; what a command does besides talking goes on.
static LOST: OnceLock<Error> = OnceLock::new();

/// Writes a line of data to stdout; nothing once that has failed.
pub(crate) fn line(text: &str) {
    if is_open()
        && let Err(error) = writeln!(std::io::stdout(), "{text}")
    {
        lose(error);
    }
}

/// Writes a line of text that may come from a model, a tool or a server. On a terminal it can do
/// nothing but be read; a program gets it as it is.
pub(crate) fn text(text: &str) {
    if std::io::stdout().is_terminal() {
        line(&harmless(text));
    } else {
        line(text);
    }
}

/// Remembers that stdout cannot be written.
pub(crate) fn lose(error: Error) {
    // Only the first failure is the cause; those after it follow from it.
    drop(LOST.set(error));
}

/// Why stdout cannot be written any more, if so.
pub(crate) fn lost() -> Option<&'static Error> {
    LOST.get()
}

/// Whether stdout can still be written, as far as is known.
pub(crate) fn is_open() -> bool {
    LOST.get().is_none()
}

/// The text with spaces for what would steer a terminal or turn the order of what it shows; lines
/// and tabs stay.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\n' | '\t') || !steers(c) { c } else { ' ' }).collect()
}

/// Writes one JSON value as a line of data.
pub(crate) fn json(value: &Value) {
    line(&value.to_string());
}

/// Whether stderr is a log of one JSON object a line.
static NOTES_ARE_LOGGED: AtomicBool = AtomicBool::new(false);

/// From now on conversation is part of the log, since a line of text among objects is none.
pub(crate) fn log_notes() {
    NOTES_ARE_LOGGED.store(true, Ordering::Relaxed);
}

/// Writes a line of conversation to stderr.
pub(crate) fn note(text: &str) {
    if NOTES_ARE_LOGGED.load(Ordering::Relaxed) {
        tracing::info!(text, "note");
        return;
    }
    // Nobody may be listening.
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// Whether stderr is a terminal that may be drawn on.
pub(crate) fn is_live() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether colours are welcome on stdout.
pub(crate) fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

/// The columns of the terminal that stdout is; none if it is none, or does not say.
pub(crate) fn columns() -> Option<usize> {
    let stdout = std::io::stdout();
    let size =
        stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(stdout).ok()).flatten()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// A table with a head; columns named in `right` are figures.
pub(crate) fn table(head: &[&str], right: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|name| name.to_uppercase()));
    table.add_rows(rows);
    for (at, name) in head.iter().enumerate() {
        if let Some(column) = table.column_mut(at) {
            column.set_padding((0, 2));
            if right.contains(name) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
