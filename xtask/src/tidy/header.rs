//! Every file begins by saying what it is.

use super::Finding;
use super::source::Source;

const RULE: &str = "header";

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Finding::new(RULE, &source.path, 1, "the file does not begin with `//!`")]
}
