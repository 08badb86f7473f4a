//! Tests of the tree.

use serde_json::json;

use super::*;

fn env(name: &str) -> Option<String> {
    (name == "N").then(|| "4".to_owned())
}

#[test]
fn values_have_the_lines_they_stand_on() {
    let root = parse("a: 1\nb:\n  c: [x, '${N}']\n  d:\n", &env).expect("parsed");
    assert_eq!(root.value(false), json!({ "a": 1, "b": { "c": ["x", "4"], "d": null } }));
    assert_eq!(root.value(true)["b"]["c"], json!(["x", "${N}"]));
    let Node::Map(top) = &root.node else { panic!("{root:?}") };
    let Node::Map(below) = &top[1].1.node else { panic!("{root:?}") };
    let lines: Vec<_> = below.iter().map(|(name, item)| (name.line, item.origin.clone())).collect();
    assert_eq!(lines[0], (3, Origin::Line(3)));
    assert_eq!(lines[1].0, 4);
    assert_eq!((top[0].1.has_variables(), top[1].1.has_variables()), (false, true));
}

#[test]
fn a_variable_that_is_not_set_is_told_with_its_line() {
    let (origin, error) = parse("a: 1\nb: [1,\n  '${NONE}']\n", &env).expect_err("refused");
    assert_eq!(origin, Origin::Line(3));
    assert!(error.message.contains("NONE"), "{error:?}");
}

#[test]
fn a_file_that_says_nothing_is_nothing() {
    for text in ["", "  \n", "# only this\n", "---\n"] {
        assert!(parse(text, &env).expect("parsed").is_nothing(), "{text:?}");
    }
}
