//! Tests of `order`.

use super::*;

fn call(id: &str) -> ToolUse {
    ToolUse { id: id.into(), name: "look".into(), arguments: "{}".into() }
}

fn is_thought(kind: &str) -> bool {
    kind == "thought"
}

const THOUGHT: &str = r#"{"type":"thought","text": "hm"}"#;

#[test]
fn what_is_not_signed_needs_no_order() {
    let mut order = Order::default();
    order.said(3, None);
    order.called(None);
    assert_eq!(order.finish(), None);
}

#[test]
fn an_answer_is_said_again_as_it_came() {
    let mut order = Order::default();
    order.said(2, None);
    order.said(1, None);
    order.own(THOUGHT.to_owned());
    order.called(Some("s1"));
    order.called(None);
    order.said(5, Some("s2"));
    order.called(None);
    order.said(1, None);
    let reasoning = order.finish().expect("something is signed");
    assert!(is_blocks(&reasoning));
    let calls = [call("a"), call("b"), call("c"), call("d")];
    assert_eq!(
        of(Some(&reasoning), "onetwo..x", &calls, is_thought),
        [
            Item::Text("one", None),
            Item::Own(THOUGHT),
            Item::Call(&calls[0], Some("s1".into())),
            Item::Call(&calls[1], None),
            Item::Text("two..", Some("s2".into())),
            Item::Text("x", None),
            Item::Call(&calls[2], None),
            Item::Call(&calls[3], None),
        ]
    );
}

#[test]
fn blocks_of_another_provider_are_left_out() {
    let reasoning = format!("[{THOUGHT}]");
    assert_eq!(of(Some(&reasoning), "hi", &[], |_| false), [Item::Text("hi", None)]);
    assert_eq!(of(Some("I thought so."), "hi", &[], |_| true), [Item::Text("hi", None)]);
}

#[test]
fn a_text_that_was_changed_is_said_all_the_same() {
    let (far, within) = (
        r#"[{"type":"said","bytes":9,"signature":"s"},{"type":"called","signature":"s"}]"#,
        r#"[{"type":"said","bytes":1,"signature":"s"},{"type":"said"},{"type":7}]"#,
    );
    for reasoning in [far, within, r#"[{"type":"said""#] {
        assert_eq!(of(Some(reasoning), "é", &[], |_| true), [Item::Text("é", None)], "{reasoning}");
    }
}
