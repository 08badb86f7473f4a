//! `aosk trace run`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::conversation::{self, Sums};
use crate::machine::{Machine, Ran, skip, until};
use crate::store;

/// The keys of the object that `--json` prints, all of them.
const KEYS: [&str; 17] = [
    "processes",
    "steps",
    "model_calls",
    "tool_calls",
    "input_tokens",
    "output_tokens",
    "wall_s",
    "cpu_s",
    "steps_per_s",
    "peak_rss_mb",
    "journal_entries",
    "journal_ok",
    "failed",
    "lines_skipped",
    "calls_without_result",
    "results_without_call",
    "without_answer",
];

/// The object without what a run costs, which differs from run to run.
pub(crate) fn totals(ran: &Ran) -> Value {
    let mut object = ran.json();
    let fields = object.as_object_mut().expect("an object");
    for cost in ["wall_s", "cpu_s", "steps_per_s", "peak_rss_mb"] {
        assert!(fields.remove(cost).is_some_and(|cost| cost.is_number()), "{cost}: {ran:#?}");
    }
    object
}

pub(crate) fn sums(ran: &Ran) -> Sums {
    let object = ran.json();
    let figure = |name: &str| object[name].as_u64().expect("a figure");
    Sums {
        processes: figure("processes"),
        model_calls: figure("model_calls"),
        tool_calls: figure("tool_calls"),
    }
}

#[test]
fn usual_conversations_run_to_exact_totals() {
    let machine = Machine::new();
    let (lines, expected) = conversation::usual(/*seed*/ 7, 40);
    let file = machine.write("usual.jsonl", lines);
    let ran = machine.aosk(&["trace", "run", &file, "--concurrency", "100", "--json"]).expect(0);
    assert_eq!(sums(&ran), expected);
    let object = ran.json();
    assert_eq!(object["failed"], 0);
    assert_eq!(object["lines_skipped"], 0);
    assert_eq!(object["journal_ok"], true);
    assert_eq!(object["steps"], expected.model_calls, "a step is a turn of the loop");
    assert_eq!(ran.stdout.lines().count(), 1, "stdout has the object and nothing else");

    let fields = object.as_object().expect("an object");
    let keys: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(keys, KEYS.into_iter().collect());
    assert!(
        fields.values().all(|value| value.is_number() || value.is_boolean()),
        "it is flat: {object}"
    );

    let facts = store::facts(&machine.data_dir());
    store::check_calls(&facts);
    let entries: usize = facts.values().map(Vec::len).sum();
    assert_eq!(object["journal_entries"], entries as u64);
    machine.aosk(&["audit", "verify"]).expect(0);
}

#[test]
fn every_conversation_of_the_form_runs() {
    // Each by itself, so that a failure says which; then all in one file.
    let mut all = String::new();
    let mut expected = Sums::default();
    for (name, messages, model_calls, tool_calls) in conversation::odd() {
        let line = json!({"id": name, "messages": messages}).to_string() + "\n";
        let machine = Machine::new();
        let file = machine.write("odd.jsonl", &line);
        let ran = machine.aosk(&["trace", "run", &file, "--json"]);
        assert_eq!(ran.status.code(), Some(0), "{name}: {}", ran.stderr);
        assert_eq!(sums(&ran), Sums { processes: 1, model_calls, tool_calls }, "{name}");
        store::check_calls(&store::facts(&machine.data_dir()));
        let log = store::log(&machine.data_dir(), 1);
        assert_eq!(
            log.len(),
            messages.as_array().expect("a list").len(),
            "{name}: the log is the record"
        );
        all += &line;
        expected.processes += 1;
        expected.model_calls += model_calls;
        expected.tool_calls += tool_calls;
    }
    // The way a file may be written: other line ends, empty lines, ids missing or twice, no end of line.
    let odd_ids = [
        r#"{"messages":[{"role":"user","content":"no id"},{"role":"assistant","content":"a"}]}"#,
        r#"{"id":7,"messages":[{"role":"user","content":"a number"},{"role":"assistant","content":"a"}]}"#,
        r#"{"id":"twice","extra":{"deep":[1]},"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}"#,
        r#"{"id":"twice","extra":{"deep":[1]},"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}"#,
    ];
    let crlf = all.replace('\n', "\r\n") + "\r\n   \r\n\n" + &odd_ids.join("\n\n\n");
    expected.processes += 4;
    expected.model_calls += 4;
    let machine = Machine::new();
    let file = machine.write("odd.jsonl", crlf);
    for concurrency in ["1", "100"] {
        let ran = machine
            .aosk(&["trace", "run", &file, "--json", "--concurrency", concurrency])
            .expect(0);
        assert_eq!(sums(&ran), expected, "at a concurrency of {concurrency}");
        assert_eq!(ran.json()["failed"], 0);
    }
}

#[test]
fn broken_lines_are_told_one_line_each_and_the_others_run() {
    let machine = Machine::new();
    let good = r#"{"id":"good","messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}"#;
    let lines: Vec<&[u8]> = vec![
        good.as_bytes(),
        b"{not json",
        b"[]",
        b"{\"id\":\"x\"}",
        b"{\"id\":\"x\",\"messages\":{}}",
        b"{\"messages\":[{\"role\":\"wizard\",\"content\":\"\"}]}",
        b"{\"messages\":[{\"content\":\"\"}]}",
        b"{\"messages\":[{\"role\":\"user\",\"content\":7}]}",
        b"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\"}]}]}",
        b"\xff\xfe",
        good.as_bytes(),
        b"{\"messages\":[{\"role\":\"user\",",
    ];
    let file = machine.write("broken.jsonl", lines.join(&b'\n'));
    let ran = machine.aosk(&["trace", "run", &file, "--json"]).expect(1);
    assert_eq!(sums(&ran), Sums { processes: 2, model_calls: 2, tool_calls: 0 });
    assert_eq!(ran.json()["failed"], 0);
    assert_eq!(ran.json()["lines_skipped"], 10);
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(errors.len(), 10, "{ran:#?}");
    for (error, number) in errors.iter().zip([2, 3, 4, 5, 6, 7, 8, 9, 10, 12]) {
        assert!(error.starts_with("error[trace.invalid]: "), "{error}");
        assert!(error.contains(&format!("broken.jsonl line {number}: ")), "{number}: {error}");
        assert!(error.contains("; hint: "), "{error}");
    }
}

/// Whoever gives another kind of file sees that, and not every line of it.
#[test]
fn of_many_broken_lines_some_are_told() {
    let machine = Machine::new();
    let file = machine.write("prose.md", "not a conversation\n".repeat(500));
    let ran = machine.aosk(&["trace", "run", &file]).expect(2);
    assert_eq!(ran.stderr.lines().count(), 12, "{ran:#?}");
    assert!(ran.stderr.contains("… and 490 more that are left out"), "{ran:#?}");
}

/// What is beyond a bound is told of before it is begun, and leaves the others alone.
#[test]
fn a_conversation_beyond_the_bounds_is_left_out() {
    let good = json!([{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]);
    let call =
        json!({"id": "a", "function": {"name": "x", "arguments": "y".repeat(1024 * 1024 + 1)}});
    let crowd: Vec<Value> =
        (0..16_385).map(|_| json!({"role": "assistant", "content": ""})).collect();
    let too_large = [
        (json!([{"role": "assistant", "tool_calls": [call]}]), "1048577 bytes of arguments"),
        (json!([{"role": "user", "content": "z".repeat(9 << 20)}]), "more than a page holds"),
        (json!([{"role": "user", "content": "\u{1}".repeat(2 << 20)}]), "more than a page holds"),
        (json!(crowd), "16385 messages"),
    ];
    let line = |messages: &Value| json!({ "messages": messages }).to_string();
    let mut lines = vec![line(&good)];
    lines.extend(too_large.iter().map(|(messages, _)| line(messages)));
    lines.push(line(&good));
    let machine = Machine::new();
    let file = machine.write("large.jsonl", lines.join("\n"));
    let ran = machine.aosk(&["trace", "run", &file, "--json"]).expect(1);
    assert_eq!(sums(&ran), Sums { processes: 2, model_calls: 2, tool_calls: 0 });
    assert_eq!(ran.json()["failed"], 0);
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(errors.len(), too_large.len(), "{ran:#?}");
    for (at, (error, (_, why))) in errors.iter().zip(&too_large).enumerate() {
        let place = format!("large.jsonl line {}: ", at + 2);
        assert!(error.contains(&place) && error.contains(why), "{place} {why}: {error}");
    }
}

#[test]
fn a_file_without_conversations_is_refused() {
    let machine = Machine::new();
    for (name, content) in
        [("empty.jsonl", ""), ("blank.jsonl", "\n\r\n  \n"), ("wrong.jsonl", "{")]
    {
        let file = machine.write(name, content);
        let ran = machine.aosk(&["trace", "run", &file]).expect(2);
        let last = ran.stderr.lines().last().expect("an error");
        assert!(last.starts_with("error[trace.invalid]: "), "{ran:#?}");
        assert!(last.contains(name) && last.contains("; hint: "), "{last}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_no_trace_with_a_mistake() {
    let machine = Machine::new();
    let folder = machine.path("work");
    for file in ["nowhere.jsonl", folder.to_str().expect("UTF-8")] {
        let ran = machine.aosk(&["trace", "run", file, "--json"]).expect(4);
        let line = ran.error("io.failed");
        assert!(line.contains(file) && line.contains("; hint: "), "{line}");
        assert_eq!(ran.json()["error"]["code"], "io.failed");
    }
}

#[test]
fn resume_with_nothing_to_do_says_so_and_gives_the_same_object() {
    let machine = Machine::new();
    let (lines, expected) = conversation::usual(/*seed*/ 3, 5);
    let file = machine.write("five.jsonl", lines);
    let resume = ["trace", "run", &file, "--resume", "--json"];

    let fresh = machine.aosk(&resume).expect(0);
    assert!(fresh.stderr.contains("nothing to resume: no run here"), "{fresh:#?}");
    assert_eq!(sums(&fresh), expected);
    let before = store::facts(&machine.data_dir());

    let again = machine.aosk(&resume).expect(0);
    assert!(again.stderr.contains("nothing to resume: the run is finished"), "{again:#?}");
    assert_eq!(totals(&again), totals(&fresh));
    assert_eq!(store::facts(&machine.data_dir()), before, "nothing was done twice");

    // Another run in the same directory is another run: its own processes, its own totals.
    let second = machine.aosk(&["trace", "run", &file, "--json"]).expect(0);
    assert_eq!(totals(&second), totals(&fresh));
    assert_eq!(store::facts(&machine.data_dir()).len(), 10);
}

#[test]
fn a_broken_journal_is_an_error_of_its_own() {
    let machine = Machine::new();
    let file = machine.write("five.jsonl", conversation::usual(/*seed*/ 3, 5).0);
    machine.aosk(&["trace", "run", &file, "--json"]).expect(0);
    let database = rusqlite::Connection::open(machine.data_dir().join("aosk.db")).expect("opens");
    let changed = database.execute("UPDATE journal SET at = at - 1 WHERE seq = 4", []);
    assert_eq!(changed, Ok(1));
    drop(database);
    let ran = machine.aosk(&["trace", "run", &file, "--resume", "--json"]).expect(5);
    assert!(ran.error("journal.broken").contains("; hint: "), "{ran:#?}");
    assert_eq!(ran.json()["journal_ok"], false);
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    let machine = Machine::new();
    let (lines, expected) = conversation::usual(/*seed*/ 3, 2);
    let file = machine.write("marked.jsonl", format!("\u{feff}{lines}"));
    let ran = machine.aosk(&["trace", "run", &file, "--json"]).expect(0);
    assert_eq!(sums(&ran), expected);
}

#[test]
fn resume_with_other_files_is_refused() {
    let machine = Machine::new();
    let file = machine.write("one.jsonl", conversation::usual(/*seed*/ 1, 3).0);
    let other = machine.write("two.jsonl", conversation::usual(/*seed*/ 2, 3).0);
    machine.aosk(&["trace", "run", &file, "--json"]).expect(0);
    let before = store::facts(&machine.data_dir());
    let ran = machine.aosk(&["trace", "run", &other, "--resume"]).expect(2);
    assert!(ran.error("trace.invalid").contains("; hint: give the same files"), "{ran:#?}");
    assert_eq!(store::facts(&machine.data_dir()), before);
}

/// A conversation that takes many commits: killed somewhere in the middle of it.
fn killed_halfway(machine: &Machine) -> String {
    let mut messages = vec![json!({"role": "system", "content": "count"})];
    for at in 0..400 {
        messages.push(json!({"role": "user", "content": format!("what comes after {at}?")}));
        messages.push(json!({"role": "assistant", "content": format!("{}", at + 1)}));
    }
    let file = machine.write("long.jsonl", json!({"id": "long", "messages": messages}).to_string());
    let running = machine.start(&["trace", "run", &file, "--json"]);
    let reader = store::reader(&machine.data_dir());
    until("some entries in the journal", || {
        (store::journal_length(reader.as_ref()) > 60).then_some(())
    });
    assert!(running.kill().was_killed(), "the conversation was too short for this machine");
    file
}

#[test]
fn an_unfinished_run_is_not_begun_again_by_accident() {
    let machine = Machine::new();
    let file = killed_halfway(&machine);
    let ran = machine.aosk(&["trace", "run", &file, "--json"]).expect(2);
    assert!(ran.error("cli.usage").contains("--resume"), "{ran:#?}");
    let ran = machine.aosk(&["trace", "run", &file, "--resume", "--json"]).expect(0);
    assert!(ran.stderr.contains("resuming: 1 of 1 conversation to go"), "{ran:#?}");
    assert_eq!(sums(&ran), Sums { processes: 1, model_calls: 400, tool_calls: 0 });
}

/// Agents and recorded conversations share a data directory and leave each other alone.
#[test]
fn recorded_conversations_wait_for_a_trace_run() {
    let machine = Machine::new();
    let file = killed_halfway(&machine);
    let before = store::facts(&machine.data_dir());
    let ran = machine.aosk(&["run", "--resume"]).expect(0);
    let waits =
        "1 recorded conversation waits here; `aosk trace run FILE --resume` goes on with it";
    assert!(ran.stderr.contains(waits), "{ran:#?}");
    assert!(ran.stderr.contains("nothing to resume"), "{ran:#?}");
    assert_eq!(store::facts(&machine.data_dir()), before, "it was left alone");
    let ran = machine.aosk(&["run", "hello", "--model", "scripted", "--json"]).expect(0);
    assert_eq!(ran.json()["pid"], 2, "only the new agent is reported");
    let facts = store::facts(&machine.data_dir());
    assert!(before.iter().all(|(name, of_one)| facts.get(name) == Some(of_one)));
    let ran = machine.aosk(&["trace", "run", &file, "--resume", "--json"]).expect(0);
    assert_eq!(sums(&ran), Sums { processes: 1, model_calls: 400, tool_calls: 0 });
}

/// What the kernel sends is checked against the record: two pages of a log that change places in the
/// store are noticed at the next call, and fail the process and nothing else.
#[test]
fn a_request_that_differs_from_the_record_fails_its_process() {
    let machine = Machine::new();
    let file = killed_halfway(&machine);
    let database = rusqlite::Connection::open(machine.data_dir().join("aosk.db")).expect("opens");
    let page = |at: u32| -> String {
        database
            .query_row(
                "SELECT body FROM page WHERE pid = 1 AND idx = ?1 ORDER BY place DESC LIMIT 1",
                [at],
                |row| row.get(0),
            )
            .expect("has the page")
    };
    let (first, second) = (page(1), page(3));
    for (at, body) in [(1, second), (3, first)] {
        let changed = database
            .execute("UPDATE page SET body = ?2 WHERE pid = 1 AND idx = ?1", (at, body))
            .expect("writes");
        assert!(changed > 0);
    }
    forge_digest(&database);
    drop(database);
    let ran = machine.aosk(&["trace", "run", &file, "--resume", "--json"]).expect(1);
    assert_eq!(ran.json()["failed"], 1);
    let told = ran.stderr.lines().find(|line| line.contains("program.replay_differs"));
    let told = told.unwrap_or_else(|| panic!("the difference is printed: {ran:#?}"));
    assert!(
        told.contains("message 1 (user) differs") && told.contains("what comes after"),
        "{told}"
    );
    assert_eq!(ran.json()["journal_ok"], true);
}

/// Makes the row of process 1 say that the pages which are there are those that were written.
fn forge_digest(database: &rusqlite::Connection) {
    // A row that was written again stands further on.
    let pages = "SELECT body ->> '$.row.hash' FROM page WHERE place IN
                 (SELECT max(place) FROM page WHERE pid = 1 GROUP BY idx) ORDER BY idx";
    let mut pages = database.prepare(pages).expect("prepares");
    let pages = pages.query_map([], |row| row.get::<_, String>(0)).expect("reads");
    let pages = pages.map(|hash| hash.expect("is text").parse().expect("is a hash"));
    let hash = aosk::kernel::LogDigest::of(pages).hash.to_string();
    let forge = "UPDATE process SET body = json_set(body, '$.row.log.hash', ?1) WHERE pid = 1";
    assert_eq!(database.execute(forge, [hash]), Ok(1));
}

#[test]
fn interrupted_by_the_person_it_stops_in_order_and_resumes() {
    let machine = Machine::new();
    let (lines, expected) = conversation::usual(/*seed*/ 11, 60);
    let file = machine.write("sixty.jsonl", lines);
    let running = machine.start(&["trace", "run", &file, "--concurrency", "4"]);
    let reader = store::reader(&machine.data_dir());
    until("some entries in the journal", || {
        (store::journal_length(reader.as_ref()) > 40).then_some(())
    });
    running.signal(rustix::process::Signal::INT);
    let ran = running.finish().expect(130);
    assert!(ran.error("cli.interrupted").contains("--resume"), "{ran:#?}");
    let ran = machine.aosk(&["trace", "run", &file, "--resume", "--json"]).expect(0);
    assert_eq!(sums(&ran), expected);
    store::check_calls(&store::facts(&machine.data_dir()));
}

#[test]
fn the_recorded_airline_conversations_run() {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/traces");
    let file = traces.join("tau-airline-100.jsonl");
    if !file.exists() {
        skip("tau-airline-100.jsonl", "the recorded conversations are not on this machine");
        return;
    }
    let machine = Machine::new();
    let file = file.to_str().expect("UTF-8");
    let ran = machine.aosk(&["trace", "run", file, "--concurrency", "100", "--json"]).expect(0);
    assert_eq!(sums(&ran), Sums { processes: 100, model_calls: 1051, tool_calls: 487 });
    assert_eq!(ran.json()["failed"], 0);
    assert_eq!(ran.json()["journal_ok"], true);
}

#[test]
fn every_policy_comes_to_the_same() {
    let machine = Machine::new();
    let (lines, expected) = conversation::usual(/*seed*/ 5, 8);
    let file = machine.write("eight.jsonl", lines);
    for policy in ["fifo", "round-robin", "priority"] {
        let ran = machine
            .aosk(&["trace", "run", &file, "--policy", policy, "--concurrency", "3", "--json"])
            .expect(0);
        assert_eq!(sums(&ran), expected, "{policy}");
    }
    let ran = machine.aosk(&["trace", "run", &file, "--policy", "lottery"]).expect(2);
    assert!(ran.stderr.contains("lottery") && ran.stderr.contains("round-robin"), "{ran:#?}");
}
