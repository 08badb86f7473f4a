//! Tests of `exchange`.

use super::*;

#[test]
fn the_beginning_of_an_answer_is_not_a_whole_one_or_another_thing() {
    for begun in [r#" {"choices":[{"mess"#, "{"] {
        assert!(is_cut(begun.as_bytes()), "{begun}");
    }
    for other in ["{}", r#"{"choices":[null]}"#, "", "<html>", "[1,"] {
        assert!(!is_cut(other.as_bytes()), "{other}");
    }
}
