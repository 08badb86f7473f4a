//! What a person sees: tables, figures, colours only on terminals.

use std::io::{Error, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use aosk::abi::{MicroUsd, Timestamp};
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

/// Whether a character is a control one, or one of Unicode's that turn the direction of writing.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}')
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

/// A figure with thousands apart.
pub(crate) fn count(figure: u64) -> String {
    let digits = figure.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A figure with its noun, which is given in the singular.
pub(crate) fn plural(figure: u64, noun: &str) -> String {
    let end = match noun.strip_suffix('y') {
        _ if figure == 1 => return format!("1 {noun}"),
        Some(stem) => return format!("{} {stem}ies", count(figure)),
        None if noun.ends_with('s') => "es",
        None => "s",
    };
    format!("{} {noun}{end}", count(figure))
}

/// Money, to a hundredth of a cent.
pub(crate) fn money(amount: MicroUsd) -> String {
    let hundredths = amount.0.div_ceil(100);
    format!("${}.{:04}", hundredths / 10_000, hundredths % 10_000)
}

/// A moment in local time.
pub(crate) fn time(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(moment) => moment
            .to_zoned(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S%.3f")
            .to_string(),
        Err(_) => at.0.to_string(),
    }
}

/// The text as one harmless line, cut to a number of characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let clean: String = text.chars().map(|c| if steers(c) { ' ' } else { c }).collect();
    if clean.chars().count() <= most {
        return clean;
    }
    let mut short: String = clean.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests;
