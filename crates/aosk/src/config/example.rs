//! The example of a configuration, made from the table of keys.

use super::keys::{KEYS, Key, Usual, is_free};

/// What it begins with.
const HEAD: &str = "\
## A configuration of aosk. All of it is optional; `aosk config path` says where it belongs, and
## `aosk config example` prints this. Take the \"# \" away in front of what you want.
## What goes before it: the variable of the environment that is named with a key, then the option.
## Texts may have variables: ${NAME}, or ${NAME:-otherwise}; $${ is a ${ itself.
";

/// The lines, all of them comments. Without the first `# ` of each that has one they are a configuration.
pub(crate) fn text() -> String {
    let mut text = HEAD.to_owned();
    let mut before: Vec<&str> = Vec::new();
    for key in KEYS {
        let parts: Vec<&str> = key.path.split('.').collect();
        if parts.first() != before.first() {
            text.push('\n');
        }
        add(key, &parts, &before, &mut text);
        before = parts;
    }
    text
}

/// Adds a key, and the mappings around it that are not begun yet.
fn add(key: &Key, parts: &[&str], before: &[&str], text: &mut String) {
    let Some((last, around)) = parts.split_last() else { return };
    let shared = around.iter().zip(before).take_while(|(part, other)| part == other).count();
    let mut is_entry = false;
    for (depth, part) in around.iter().enumerate().skip(shared) {
        is_entry = *part == "N";
        if !is_entry {
            let name = stand_in(parts, depth);
            setting(depth, &format!("{name}:"), text);
        }
    }
    let depth = around.len();
    for line in comments(key) {
        if depth == 0 {
            text.push_str(&format!("## {line}\n"));
        } else {
            setting(depth - usize::from(is_entry), &format!("## {line}"), text);
        }
    }
    let name = if is_free(last) { stand_in(parts, depth) } else { last };
    let value = quoted(key.example);
    if is_entry {
        setting(depth.saturating_sub(1), &format!("- {name}: {value}"), text);
    } else {
        setting(depth, &format!("{name}: {value}"), text);
    }
}

fn setting(depth: usize, line: &str, text: &mut String) {
    text.push_str(&format!("# {:1$}{line}\n", "", depth * 2));
}

/// A value as YAML takes it.
fn quoted(value: &str) -> String {
    if value.contains("${") { format!("\"{value}\"") } else { value.to_owned() }
}

/// What is said of a key.
fn comments(key: &Key) -> Vec<String> {
    let usual = match key.usual {
        Usual::Value(value) => value,
        Usual::Otherwise(words) => words,
    };
    let mut about = format!("{}; without it: {usual}", key.form);
    let ways: Vec<String> = key.variable().into_iter().chain(key.flag.map(str::to_owned)).collect();
    if !ways.is_empty() {
        about = format!("{about} [{}]", ways.join(", "));
    }
    vec![key.doc.to_owned(), about]
}

/// A name that people could choose.
fn stand_in<'a>(parts: &[&'a str], depth: usize) -> &'a str {
    match (parts.first().copied(), parts.get(depth).copied()) {
        (Some("groups"), Some("NAME")) => "acme",
        (Some("routes"), Some("NAME")) => "fast",
        (Some("routes"), Some("ROUTE")) => "smart",
        (Some("devices"), Some("MODEL")) => "openai:gpt-5.4-mini",
        (Some("api_keys"), Some("PROVIDER")) => "openai",
        (Some("otel"), Some("HEADER")) => "api-key",
        (_, part) => part.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
