//! `${VAR}` and `${VAR:-otherwise}` in texts of the configuration. What variables have is never repeated
//! in an error.

use aosk::abi::{Error, ErrorCode};

use super::tree::Text;

/// The environment: the value of a variable, if it is set.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parts of a name that say that it stands for a secret.
const SECRET: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL"];

/// The text with what the variables in it stand for. `$${` stands for `${` itself.
///
/// # Errors
/// `config.invalid` if a variable is not set and nothing stands in for it, or what is written is none.
pub(super) fn replaced(written: String, env: Env<'_>) -> Result<Text, Error> {
    let mut text = String::with_capacity(written.len());
    let mut is_literal = false;
    let mut has_variables = false;
    let mut rest = written.as_str();
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let after = from.get(2..).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            text.push_str(before);
            text.push_str("${");
            is_literal = true;
            rest = after;
            continue;
        }
        let Some((inside, after)) = after.split_once('}') else {
            return Err(wrong("a ${ has no } after it".to_owned())
                .hint("write ${NAME} or ${NAME:-otherwise}, and $${ for a ${ itself"));
        };
        let (name, otherwise) = match inside.split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err(wrong(format!("${{{inside}}} names no variable"))
                .hint("write ${NAME} or ${NAME:-otherwise}; a name has letters, digits and _"));
        }
        has_variables = true;
        is_literal |= !before.is_empty() || otherwise.is_some_and(|text| !text.is_empty());
        text.push_str(before);
        match (env(name), otherwise) {
            (Some(value), None) => text.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => text.push_str(&value),
            (_, Some(otherwise)) => text.push_str(otherwise),
            (None, None) => {
                return Err(wrong(format!("the variable {name} is not set"))
                    .hint(format!("set {name}, or write ${{{name}:-}} where nothing will do")));
            }
        }
        rest = after;
    }
    is_literal |= !rest.is_empty();
    text.push_str(rest);
    Ok(Text { text, written: has_variables.then_some(written), is_literal })
}

/// The variables in a written text.
pub(super) fn names(written: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once("${") {
        rest = after;
        if before.ends_with('$') {
            continue;
        }
        let name = after.split(['}', ':']).next().unwrap_or_default();
        if is_name(name) && !all.iter().any(|known| known == name) {
            all.push(name.to_owned());
        }
    }
    all
}

/// Whether a variable in a written text has a name that secrets have.
pub(super) fn stands_for_secret(written: &str) -> bool {
    let mut names = names(written).into_iter().map(|name| name.to_ascii_uppercase());
    names.any(|name| SECRET.iter().any(|part| name.contains(part)))
}

fn is_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_word)
}

fn wrong(what: String) -> Error {
    Error::new(ErrorCode::ConfigInvalid, what)
}

#[cfg(test)]
mod tests;
