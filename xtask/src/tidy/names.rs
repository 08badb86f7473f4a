//! Types are named after what they are. The endings here say only that something does something.

use super::Finding;
use super::lexer;
use super::source::Source;

const RULE: &str = "names";

const ENDINGS: [&str; 7] = ["Manager", "Helper", "Helpers", "Util", "Utils", "Handler", "Service"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    let keywords = ["struct", "enum", "trait", "type", "union"];
    let places = keywords.iter().flat_map(|keyword| lexer::find(&tokens, keyword));
    let names = places.filter_map(|at| tokens.get(at + 1));
    let bad = names.filter_map(|name| {
        let ending = ENDINGS.iter().find(|ending| name.text.ends_with(*ending))?;
        let what = format!("`{}`: say what it is, not that it is a {ending}", name.text);
        Some(Finding::new(RULE, &source.path, name.line, what))
    });
    bad.collect()
}
