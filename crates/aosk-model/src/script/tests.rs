//! Tests of `script`.

use super::*;

#[test]
fn a_script_is_checked_when_it_is_read() {
    let cases = [
        ("{", "EOF while parsing"),
        (r#"{"agents": {"*": []}}"#, "agent *: it has no turns"),
        (r#"{"agents": {"*": [{}]}}"#, "agent *: turn 0: it neither says nor calls anything"),
        (
            r#"{"agents": {"a": [{"say": "x"}, {"say": "{{what}}"}]}}"#,
            "agent a: turn 1: the template {{what}} is not known",
        ),
        (
            r#"{"agents": {"a": [{"say": "{{result:f}}"}]}}"#,
            "agent a: turn 0: no call has the id f",
        ),
        (
            r#"{"agents": {"a": [{"calls": [{"tool": "t", "arguments": {"x": [{"y": "{{result:f}}"}]}}]}]}}"#,
            "turn 0: no call has the id f",
        ),
        (
            r#"{"agents": {"a": [{"say": "x", "next": [{"goto": "b"}]}]}}"#,
            "agent a: turn 0: no turn is called b",
        ),
        (
            r#"{"agents": {"a": [{"id": "b", "say": "x"}, {"id": "b", "say": "y"}]}}"#,
            "agent a: two turns are called b",
        ),
        (r#"{"agents": {"a": [{"say": "x", "sya": "y"}]}}"#, "unknown field `sya`"),
        (
            r#"{"agents": {"a": [{"id": "b", "say": "x", "next": [{"when": {"matches": "("}, "goto": "b"}]}]}}"#,
            "unclosed group",
        ),
    ];
    for (json, what) in cases {
        let error = Script::from_json(json).expect_err(json);
        assert_eq!(error.code, ErrorCode::ConfigInvalid);
        assert!(error.message.starts_with("reading the script: "), "{}", error.message);
        assert!(error.message.contains(what), "{}", error.message);
    }
}

#[test]
fn the_longest_name_that_fits_is_taken() {
    let json = r#"{"agents": {"*": [{"say": "any"}], "work*": [{"say": "work"}], "worker-1": [{"say": "one"}]}}"#;
    let script = Script::from_json(json).expect("a script");
    let say = |name| script.turns(name).and_then(|turns| turns[0].say.clone()).expect("has turns");
    assert_eq!([say("worker-1"), say("worker-2"), say("boss")], ["one", "work", "any"]);
    let script = Script::from_json(r#"{"agents": {"a": [{"say": "x"}]}}"#).expect("a script");
    assert!(script.turns("b").is_none());
}

#[test]
fn texts_are_cut_into_pieces() {
    assert_eq!(
        pieces("a{{task}}{{ last }}b{{result:f}}{{result:f.a.0}}{{open"),
        Ok(vec![
            Piece::Plain("a"),
            Piece::Task,
            Piece::Last,
            Piece::Plain("b"),
            Piece::Result { id: "f", path: "" },
            Piece::Result { id: "f", path: "a.0" },
            Piece::Plain("{{open"),
        ])
    );
    assert_eq!(pieces(""), Ok(vec![]));
    assert_eq!(pieces("{{}}"), Err(""));
}
