//! Recorded conversations, made up: the usual ones in bulk, and the odd ones by hand.

use serde_json::{Value, json};

use crate::rng::Rng;

/// What a trace must come to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) processes: u64,
    pub(crate) model_calls: u64,
    pub(crate) tool_calls: u64,
}

/// Conversations as a tool would record them, and what they come to.
pub(crate) fn usual(seed: u64, count: u64) -> (String, Sums) {
    let mut rng = Rng(seed);
    let mut lines = String::new();
    let mut sums = Sums { processes: count, ..Sums::default() };
    for index in 0..count {
        let mut messages = vec![json!({"role": "system", "content": "You book flights. ✈ 航班"})];
        for _ in 0..2 + rng.below(4) {
            messages.push(json!({"role": "user", "content": text(&mut rng)}));
            while !rng.once_in(3) {
                sums.model_calls += 1;
                sums.tool_calls += tool_turn(&mut rng, &mut messages);
            }
            sums.model_calls += 1;
            messages.push(json!({"role": "assistant", "content": text(&mut rng)}));
        }
        lines += &json!({"id": format!("usual-{index}"), "messages": messages}).to_string();
        lines.push('\n');
    }
    (lines, sums)
}

/// An answer that calls tools, and their results, out of order now and then. Returns how many.
fn tool_turn(rng: &mut Rng, messages: &mut Vec<Value>) -> u64 {
    let count = 1 + rng.below(3);
    let ids: Vec<String> = (0..count).map(|at| format!("call_{}_{at}", messages.len())).collect();
    let calls: Vec<Value> = ids
        .iter()
        .map(|id| {
            let name = *rng.pick(&["search_flights", "book", "cancel"]);
            let arguments = json!({"from": text(rng), "seats": rng.below(9)}).to_string();
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
        })
        .collect();
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
    let mut results: Vec<Value> = ids
        .iter()
        .map(|id| json!({"role": "tool", "tool_call_id": id, "name": "t", "content": text(rng)}))
        .collect();
    if rng.once_in(3) {
        results.reverse();
    }
    messages.extend(results);
    count
}

fn text(rng: &mut Rng) -> String {
    const WORDS: &[&str] = &[
        "flight",
        "to",
        "Zürich",
        "北京",
        "tomorrow",
        "🙂",
        "\"quoted\"",
        "\\",
        "\n",
        "12:30",
        "e\u{301}",
    ];
    let count = 1 + rng.below(12);
    (0..count).map(|_| *rng.pick(WORDS)).collect::<Vec<_>>().join(" ")
}

/// One odd conversation: a name, its messages, its model calls and its tool calls that have results.
type Odd = (&'static str, Value, u64, u64);

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn result(id: &str, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": content})
}

/// Everything that a file of the form may hold and that a reader could stumble over.
pub(crate) fn odd() -> Vec<Odd> {
    let user = |text: &str| json!({"role": "user", "content": text});
    let said = |text: &str| json!({"role": "assistant", "content": text});
    let calls =
        |calls: Vec<Value>| json!({"role": "assistant", "content": null, "tool_calls": calls});
    let many: Vec<Value> = (0..300).map(|at| call(&format!("m{at}"), "many", "{}")).collect();
    let mut crowd = vec![user("all at once"), calls(many)];
    crowd.extend((0..300).map(|at| result(&format!("m{at}"), "ok")));
    crowd.push(said("done"));
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(300_000));
    let mut long = vec![json!({"role": "system", "content": "be brief"})];
    long.extend((0..150).flat_map(|at| [user(&format!("question {at}")), said("answer")]));
    vec![
        ("nothing", json!([]), 0, 0),
        ("only instructions", json!([{"role": "system", "content": "wait"}]), 0, 0),
        ("only a question", json!([user("hello?")]), 0, 0),
        ("only an answer", json!([said("hello")]), 1, 0),
        ("the model begins", json!([said("hello"), user("hi"), said("bye")]), 2, 0),
        (
            "parallel calls",
            json!([
                user("both"),
                calls(vec![call("a", "left", "{}"), call("b", "right", "{}")]),
                result("a", "1"),
                result("b", "2"),
                said("3")
            ]),
            2,
            2,
        ),
        (
            "results out of order",
            json!([
                user("three"),
                calls(vec![call("a", "x", "1"), call("b", "y", "2"), call("c", "z", "3")]),
                result("c", "C"),
                result("a", "A"),
                result("b", "B"),
                said("abc")
            ]),
            2,
            3,
        ),
        (
            "a call without a result",
            json!([
                user("two"),
                calls(vec![call("a", "x", "{}"), call("b", "y", "{}")]),
                result("b", "B"),
                said("one of them"),
                calls(vec![call("c", "z", "{}")])
            ]),
            3,
            1,
        ),
        (
            "calls without any result, and the model goes on",
            json!([
                user("?"),
                calls(vec![call("a", "x", "{}")]),
                said("never mind"),
                user("ok"),
                said("!")
            ]),
            3,
            0,
        ),
        (
            "a result that nobody asked for",
            json!([user("?"), result("ghost", "boo"), said("what?"), result("a", "late")]),
            1,
            0,
        ),
        (
            "a result after another message",
            json!([
                user("?"),
                calls(vec![call("a", "x", "{}")]),
                user("quick"),
                result("a", "A"),
                said("done")
            ]),
            2,
            0,
        ),
        (
            "more results than calls",
            json!([
                user("?"),
                calls(vec![call("a", "x", "{}")]),
                result("a", "A"),
                result("a", "B"),
                said("done")
            ]),
            2,
            1,
        ),
        (
            "content as parts",
            json!([
                {"role": "user", "content": [
                    {"type": "text", "text": "see "},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    "this"
                ]},
                {"role": "assistant", "content": [{"type": "text", "text": "a cat"}]},
                {"role": "user", "content": []},
                {"role": "assistant", "content": []}
            ]),
            2,
            0,
        ),
        (
            "content null or absent",
            json!([
                {"role": "system"}, {"role": "user", "content": null}, {"role": "assistant"},
                {"role": "user"}, {"role": "assistant", "content": null, "tool_calls": null},
                {"role": "user", "content": ""}, {"role": "assistant", "content": "", "tool_calls": []}
            ]),
            3,
            0,
        ),
        (
            "system in the middle and twice at the beginning",
            json!([
                {"role": "system", "content": "one"}, {"role": "developer", "content": "two"},
                user("hi"), said("hi"), {"role": "system", "content": "be rude"}, user("hi"), said("no"),
                {"role": "system", "content": "the end"}
            ]),
            2,
            0,
        ),
        ("consecutive answers", json!([user("go"), said("one"), said("two"), said("three")]), 3, 0),
        (
            "consecutive questions",
            json!([user("a"), user("b"), user("c"), said("abc"), user("d")]),
            1,
            0,
        ),
        (
            "unicode",
            json!([
                user("e\u{301} 🏳️‍🌈 \u{202e}rtl\u{202c} \u{0} \u{7f} 中文 \u{1f1e8}\u{1f1ed}"),
                calls(vec![call("🙂", "search", "{\"q\":\"中文\\u0000\"}")]),
                result("🙂", "\u{feff}ok\u{2028}"),
                said("İ")
            ]),
            2,
            1,
        ),
        (
            "arguments that are not JSON",
            json!([
                user("?"),
                calls(vec![
                    call("a", "x", "{not json"),
                    call("b", "x", ""),
                    call("c", "x", "\u{0}")
                ]),
                result("a", "A"),
                result("b", "B"),
                result("c", "C"),
                said("done")
            ]),
            2,
            3,
        ),
        (
            "arguments that are JSON and not its text, and none",
            json!([
                user("?"),
                {"role": "assistant", "tool_calls": [
                    {"id": "a", "function": {"name": "x", "arguments": {"n": 1}}},
                    {"id": "b", "function": {"name": "x"}}
                ]},
                result("a", "A"),
                result("b", "B"),
                said("done")
            ]),
            2,
            2,
        ),
        (
            "duplicate call ids in one answer",
            json!([
                user("?"),
                calls(vec![call("a", "x", "1"), call("a", "y", "2")]),
                result("a", "first"),
                result("a", "second"),
                said("done")
            ]),
            2,
            2,
        ),
        (
            "the same call id in every answer",
            json!([
                user("?"),
                calls(vec![call("a", "x", "1")]),
                result("a", "one"),
                calls(vec![call("a", "x", "2")]),
                result("a", "two"),
                calls(vec![call("a", "x", "3")]),
                result("a", "three"),
                said("done")
            ]),
            4,
            3,
        ),
        (
            "missing call ids",
            json!([
                user("?"),
                {"role": "assistant", "tool_calls": [
                    {"function": {"name": "x", "arguments": "{}"}},
                    {"id": "", "function": {"name": "y", "arguments": "{}"}},
                    {"id": null, "function": {"name": "z", "arguments": "{}"}}
                ]},
                {"role": "tool", "content": "X"}, {"role": "tool", "tool_call_id": "", "content": "Y"},
                {"role": "tool", "tool_call_id": null, "content": "Z"},
                said("done")
            ]),
            2,
            3,
        ),
        (
            "the older function call",
            json!([
                user("?"),
                {"role": "assistant", "content": null, "function_call": {"name": "x", "arguments": "{}"}},
                {"role": "function", "name": "x", "content": "X"},
                said("done")
            ]),
            2,
            1,
        ),
        (
            "names that mean something elsewhere",
            json!([
                user("?"),
                calls(vec![
                    call("a", "finish", "{\"result\":\"no\"}"),
                    call("b", "run_command", "{\"command\":\"touch /tmp/no\"}"),
                    call("c", "replay", "{}"),
                    call("d", "", "{}"),
                    call("e", "a name with spaces/and\u{7}more", "{}")
                ]),
                result("a", "A"),
                result("b", "B"),
                result("c", "C"),
                result("d", "D"),
                result("e", "E"),
                said("done")
            ]),
            2,
            5,
        ),
        ("three hundred calls at once", json!(crowd), 2, 300),
        (
            "large arguments and a large result",
            json!([
                user("?"),
                calls(vec![call("a", "write", &large)]),
                result("a", &large),
                said("done")
            ]),
            2,
            1,
        ),
        ("a long one", json!(long), 150, 0),
    ]
}
