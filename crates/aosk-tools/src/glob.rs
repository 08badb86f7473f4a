//! File name patterns: `*`, `?`, `[a-z]`, `{a,b}` and `**`.

use regex::Regex;

use crate::error::ToolError;
use crate::limits;

/// A compiled pattern.
///
/// One with a `/` is compared with the whole path relative to the workspace; one without is
/// compared with the file's own name, at any depth. So `*.rs` finds all Rust files.
#[derive(Debug)]
pub(crate) struct Glob {
    regex: Regex,
    whole_path: bool,
}

impl Glob {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// `tool.arguments` if a bracket is not closed or the pattern is too large.
    pub(crate) fn new(pattern: &str) -> Result<Self, ToolError> {
        let pattern = pattern.trim_start_matches("./");
        let regex = translate(pattern)
            .and_then(|source| {
                regex::RegexBuilder::new(&source)
                    .size_limit(limits::REGEX_BYTES_MAX)
                    .build()
                    .map_err(|error| error.to_string())
            })
            .map_err(|reason| {
                ToolError::Arguments(format!("argument `glob`: {pattern:?}: {reason}"))
            })?;
        Ok(Self { regex, whole_path: pattern.contains('/') })
    }

    /// Whether the file at `path`, relative with `/` between its parts, fits.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.regex.is_match(if self.whole_path { path } else { name })
    }
}

/// The regular expression that says the same.
fn translate(pattern: &str) -> Result<String, String> {
    let mut source = String::from(r"(?s)\A");
    let mut rest = pattern.chars().peekable();
    let mut braces = 0_usize;
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                // `**/` also stands for no directory at all.
                let directories = rest.next_if_eq(&'/').is_some();
                source.push_str(if directories { "(?:.*/)?" } else { ".*" });
            }
            '*' => source.push_str("[^/]*"),
            '?' => source.push_str("[^/]"),
            '[' => source.push_str(&class(&mut rest)?),
            '{' => {
                braces += 1;
                source.push_str("(?:");
            }
            '}' if braces > 0 => {
                braces -= 1;
                source.push(')');
            }
            ',' if braces > 0 => source.push('|'),
            '\\' => {
                let literal = rest.next().ok_or("nothing follows the last `\\`")?;
                source.push_str(&regex::escape(&literal.to_string()));
            }
            literal => source.push_str(&regex::escape(&literal.to_string())),
        }
    }
    if braces > 0 {
        return Err("a `{` is not closed".into());
    }
    source.push_str(r"\z");
    Ok(source)
}

/// The regular expression of a `[...]`, of which the `[` has been read.
fn class(rest: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut source = String::from("[");
    for (index, c) in rest.enumerate() {
        match c {
            '!' | '^' if index == 0 => source.push('^'),
            ']' if source.len() > 1 && source != "[^" => {
                source.push(']');
                return Ok(source);
            }
            '-' => source.push('-'),
            literal => source.push_str(&regex::escape(&literal.to_string())),
        }
    }
    Err("a `[` is not closed".into())
}

#[cfg(test)]
mod tests;
