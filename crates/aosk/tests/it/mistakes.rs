//! Slips of a person who uses the program for the first time: each is told where it is made, before
//! anything is begun, in the person's own words, and nothing secret is repeated.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::conversation;
use crate::machine::{Machine, Ran, Running, until};
use crate::store;

#[track_caller]
fn check(ran: &Ran, code: &str, parts: &[&str]) {
    let line = ran.error(code);
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    assert!(line.contains("; hint: "), "{line}");
}

/// Every file in a directory and below it.
fn bytes_below(dir: &std::path::Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            bytes_below(&path, into);
        } else {
            into.extend(fs::read(&path).expect("reads"));
        }
    }
}

#[test]
fn a_password_in_an_address_goes_nowhere() {
    let machine = Machine::new();
    let url = "http://u:SECRETPW@127.0.0.1:1/v1";
    let file = machine.write("home/c.yaml", format!("slots: 2\nbase_url: {url}\n"));
    let cases: [(&[&str], &[&str]); 3] = [
        (&["run", "x", "--model", "openai:x", "--base-url", url], &["OPENAI_API_KEY"]),
        (&["run", "x", "--base-url", url, "--json"], &["a user or a password"]),
        (&["run", "x", "--config", &file], &["c.yaml: line 2: ", "base_url"]),
    ];
    for (args, parts) in cases {
        let ran = machine.aosk(args).expect(2);
        check(&ran, "config.invalid", parts);
        assert!(!format!("{ran:?}").contains("SECRETPW"), "{ran:#?}");
    }
    let mut command = machine.command(&["run", "x", "--model", "openai:x"]);
    command.env("OPENAI_BASE_URL", url);
    let ran = Running::start(command).finish().expect(2);
    check(&ran, "config.invalid", &["OPENAI_BASE_URL"]);
    assert!(!format!("{ran:?}").contains("SECRETPW"), "{ran:#?}");
    let ran = machine.aosk(&["doctor", "--config", &file, "--json"]).expect(2);
    assert!(!format!("{ran:?}").contains("SECRETPW"), "{ran:#?}");
    let mut stored = Vec::new();
    bytes_below(&machine.data_dir(), &mut stored);
    assert!(!stored.windows(8).any(|bytes| bytes == b"SECRETPW"), "it was written down");
}

#[test]
fn a_cargo_that_does_not_work_is_told_of_at_the_start() {
    let machine = Machine::new();
    fs::create_dir(machine.path("bin")).expect("makes a directory");
    let cargo = machine.write(
        "bin/cargo",
        "#!/bin/sh\necho 'error: rustup could not choose a version of cargo to run' >&2\nexit 1\n",
    );
    fs::set_permissions(cargo, fs::Permissions::from_mode(0o755)).expect("sets");
    let with_path = |args: &[&str]| {
        let mut command = machine.command(args);
        command.env("PATH", format!("{}:/usr/bin:/bin", machine.path("bin").display()));
        Running::start(command).finish()
    };
    let ran = with_path(&["demo"]).expect(1);
    let parts = ["cargo does not work", "could not choose a version", "rustup default"];
    check(&ran, "tool.failed", &parts);
    assert_eq!(ran.stderr.lines().count(), 1, "nothing was begun: {ran:#?}");
    let ran = with_path(&["doctor", "--json"]).expect(0);
    let checks = ran.json()["checks"].as_array().expect("a list").clone();
    let cargo = checks.iter().find(|check| check["check"] == "program cargo").expect("a check");
    assert_eq!(cargo["verdict"], "warn", "{cargo}");
    assert!(cargo["found"].as_str().expect("a text").contains("could not choose"), "{cargo}");
}

#[test]
fn a_workspace_that_does_not_exist_is_not_made() {
    let machine = Machine::new();
    let ran = machine.aosk(&["run", "x", "--workspace", "no/such"]).expect(4);
    check(&ran, "io.failed", &["no/such", "does not exist", "mkdir -p no/such"]);
    assert!(!machine.path("work/no").exists());
    assert!(!machine.data_dir().exists(), "nothing was begun");
}

#[test]
fn a_configuration_is_told_of_with_its_file_and_line() {
    let machine = Machine::new();
    for (text, parts) in [
        ("slots: 0\n", &["line 1", "slots is \"0\" and must be a whole number from 1"][..]),
        ("\nslots: abc\n", &["line 2", "slots is \"abc\"", "slots: 4"]),
        ("slots: -1\n", &["line 1", "slots is \"-1\""]),
        ("slots: 5000000000\n", &["line 1", "slots is \"5000000000\""]),
        ("slots: 1.5\n", &["line 1", "slots is \"1.5\""]),
        ("slots: [1]\n", &["line 1", "slots is \"[1]\""]),
        ("policy: luck\n", &["line 1", "policy is \"luck\"", "fair, priority, round-robin, fifo"]),
        (
            "slots: 1\npermission: root\n",
            &[
                "line 2",
                "permission is \"root\" and must be restricted, standard, advanced or full",
            ],
        ),
        ("default_model: nosuch:x\n", &["line 1", "default_model", "nosuch", "providers: "]),
        ("default_model: 7\n", &["line 1", "default_model is \"7\""]),
        ("base_url: nowhere\n", &["line 1", "base_url"]),
        ("embedder: anthropic:x\n", &["line 1", "embedder", "no embeddings", "providers: "]),
        ("embedder: openai\n", &["line 1", "no model is named", "openai:MODEL"]),
        ("summary_model: nosuch:x\n", &["line 1", "summary_model", "nosuch", "providers: "]),
        ("tasks: maybe\n", &["line 1", "tasks is \"maybe\" and must be true or false"]),
        ("embedder: 7\n", &["line 1", "embedder is \"7\""]),
        ("embedder_url: nowhere\n", &["line 1", "embedder_url"]),
    ] {
        let file = machine.write("c.yaml", text);
        for args in [&["run", "x"][..], &["ps"]] {
            let ran = machine.aosk(&[args, &["--config", &file]].concat()).expect(2);
            check(&ran, "config.invalid", &[&["c.yaml: "], parts].concat());
            let line = ran.error("config.invalid");
            assert!(!line.contains("u32") && !line.contains("variant"), "{line}");
        }
    }
    assert!(!machine.data_dir().exists(), "nothing was begun");
    // What is only found out later says who named the model.
    let file = machine.write("c.yaml", "default_model: anthropic\n");
    let ran = machine.aosk(&["run", "x", "--config", &file]).expect(3);
    check(&ran, "model.key_missing", &["the default_model of ", "c.yaml"]);
    // All of it right, in capitals as well, and with nothing behind a key.
    let file = machine.write(
        "c.yaml",
        "default_model: scripted\npermission: STANDARD\nslots: 4\npolicy: fifo\nbase_url:\n",
    );
    machine.aosk(&["run", "x", "--config", &file]).expect(0);
}

#[test]
fn budgets_that_allow_nothing_are_wrong_usage() {
    let machine = Machine::new();
    for args in [
        ["--budget-usd", "0"],
        ["--budget-usd", "0.0000001"],
        ["--budget-usd", "-0"],
        ["--budget-seconds", "0"],
        ["--budget-tokens", "0"],
        ["--max-steps", "0"],
    ] {
        let ran = machine.aosk(&[&["run", "x"], &args[..]].concat()).expect(2);
        check(&ran, "cli.usage", &[args[0], args[1]]);
    }
    machine.aosk(&["run", "x", "--budget-usd", "0.000001"]).expect(0);
}

#[test]
fn a_negative_process_is_no_option() {
    let machine = Machine::new();
    for command in ["show", "logs", "mem"] {
        let ran = machine.aosk(&[command, "-1"]).expect(2);
        check(&ran, "cli.usage", &["-1", "p7"]);
        assert!(!ran.stderr.contains("-- -1"), "{ran:#?}");
    }
}

/// A script of one's own is a model like any other: it is taken up after a crash, from another
/// directory too.
#[test]
fn a_script_plays_the_model() {
    let machine = Machine::new();
    let script = json!({"agents": {"*": [
        {"say": "let me see", "calls": [
            {"tool": "calculator", "arguments": {"expression": "6*7"}, "id": "sum"}]},
        {"say": "{{task}} {{result:sum}}"}
    ]}});
    machine.write("work/s.json", script.to_string());
    let ran = machine.aosk(&["run", "It is", "--model", "scripted:s.json", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "It is 42");

    let slow = json!({"agents": {"*": [{"say": "at last", "latency_ms": 600_000}]}});
    machine.write("work/slow.json", slow.to_string());
    let running = machine.start(&["run", "wait", "--model", "scripted:slow.json"]);
    let reader = store::reader(&machine.data_dir());
    until("a call", || {
        let facts = store::facts(&machine.data_dir());
        let called = facts.values().flatten().filter(|(kind, _)| kind == "model.called").count();
        (called == 3).then_some(())
    });
    drop(reader);
    assert!(running.kill().was_killed());
    let quick = json!({"agents": {"*": [{"say": "at last"}]}});
    machine.write("work/slow.json", quick.to_string());
    let mut command = machine.command(&["run", "--resume", "--json"]);
    command.current_dir(machine.path("home"));
    let ran = Running::start(command).finish().expect(0);
    assert_eq!(ran.json()["result"], "at last");
}

#[test]
fn a_script_with_a_mistake_says_where() {
    let machine = Machine::new();
    let run = |machine: &Machine, file: &str| machine.aosk(&["run", "x", "--model", file]);
    machine.write("work/s.json", r#"{"agents": {"*": [{"say": "a", "next": [{"goto": "b"}]}]}}"#);
    let ran = run(&machine, "scripted:s.json").expect(2);
    let parts = ["s.json: agent *: turn 0: no turn is called b", "docs/guide/scripts.md"];
    check(&ran, "config.invalid", &parts);
    check(&run(&machine, "scripted:nope.json").expect(4), "io.failed", &["nope.json"]);
    check(&run(&machine, "replay:x.jsonl").expect(2), "model.unknown", &["aosk trace run FILE"]);
    let ran = run(&machine, "nosuch:x").expect(2);
    check(&ran, "model.unknown", &["llamacpp", "or scripted, offline, or scripted:FILE"]);
}

/// The example of the guide is played as it stands there.
#[test]
fn the_script_of_the_guide_plays() {
    let guide = include_str!("../../../../docs/guide/scripts.md");
    let after = guide.split_once("```json\n").expect("an example").1;
    let machine = Machine::new();
    machine.write("work/s.json", after.split_once("```").expect("its end").0);
    fs::create_dir(machine.path("work/notes")).expect("makes a directory");
    let ran = machine.aosk(&["run", "Look around", "--model", "scripted:s.json"]).expect(0);
    assert!(ran.stdout.contains("Look around") && ran.stdout.contains("notes"), "{ran:#?}");
}

#[test]
fn other_files_than_the_runs_are_told_by_what_they_hold() {
    let machine = Machine::new();
    let few = machine.write("few.jsonl", conversation::usual(/*seed*/ 1, 3).0);
    let more = machine.write("more.jsonl", conversation::usual(/*seed*/ 1, 5).0);
    let other = machine.write("other.jsonl", conversation::usual(/*seed*/ 2, 3).0);
    let line = |id: &str, text: &str| {
        json!({"id": id, "messages": [{"role": "user", "content": text},
            {"role": "assistant", "content": "a"}]})
        .to_string()
    };
    let named = machine.write("named.jsonl", [line("x", "1"), line("y", "2")].join("\n"));
    machine.aosk(&["trace", "run", &few]).expect(0);
    let resume = |file: &str| machine.aosk(&["trace", "run", file, "--resume"]).expect(2);
    let cases: [(&str, &[&str]); 3] = [
        (&more, &["it has 3 conversations and these files have 5", "\"usual-3\" is the first"]),
        (&other, &["conversation 1, \"usual-0\", has another content"]),
        (
            &named,
            &["3 conversations", "have 2", "conversation 1 is \"usual-0\" and theirs is \"x\""],
        ),
    ];
    for (file, parts) in cases {
        let ran = resume(file);
        check(&ran, "trace.invalid", parts);
        assert!(!ran.stderr.contains("-of-"), "{ran:#?}");
    }
}

#[test]
fn a_small_trace_is_told_of_in_few_lines() {
    let machine = Machine::new();
    for (count, most) in [(5, 1), (19, 2), (20, 2), (150, 10)] {
        let mut lines = conversation::usual(/*seed*/ 3, count).0;
        lines.push_str("{not json\n");
        let file = machine.write("some.jsonl", lines);
        let ran = machine.aosk(&["trace", "run", &file]).expect(1);
        let progress = |line: &&str| line.ends_with(" conversations") && line.contains(" of ");
        let told = ran.stderr.lines().filter(progress).count();
        assert!((1..=most).contains(&told), "{told} of {count}: {ran:#?}");
        let last = ran.stderr.lines().last().unwrap_or_default();
        assert_eq!(last, "told of above: 0 conversations failed, 1 line left out", "{ran:#?}");
    }
}

#[test]
fn what_a_record_leaves_open_is_told() {
    let machine = Machine::new();
    let call = |id: &str| json!({"id": id, "function": {"name": "x", "arguments": "{}"}});
    let line = |id: &str, messages: Value| json!({"id": id, "messages": messages}).to_string();
    let file = machine.write(
        "gaps.jsonl",
        [
            line("nothing", json!([])),
            line(
                "open",
                json!([{"role": "user", "content": "u"},
                    {"role": "assistant", "tool_calls": [call("a"), call("b")]},
                    {"role": "tool", "tool_call_id": "b", "content": "B"},
                    {"role": "assistant", "tool_calls": [call("c")]}]),
            ),
            line(
                "orphan",
                json!([{"role": "tool", "tool_call_id": "z", "content": "Z"},
                    {"role": "assistant", "content": "a"}]),
            ),
        ]
        .join("\n"),
    );
    for resume in [&[][..], &["--resume"]] {
        let args = [&["trace", "run", &file, "--json"], resume].concat();
        let ran = machine.aosk(&args).expect(0);
        for told in [
            "nothing: the model never answers in it, so nothing is called",
            "open: 2 tool calls without a recorded result are not made",
            "orphan: 1 tool result without a recorded call is sent as a message",
        ] {
            assert!(ran.stderr.lines().any(|line| line == told), "{told}: {ran:#?}");
        }
        let object = ran.json();
        let figures = ["calls_without_result", "results_without_call", "without_answer"];
        assert_eq!(figures.map(|name| object[name].as_u64()), [Some(2), Some(1), Some(1)]);
        assert_eq!((&object["model_calls"], &object["tool_calls"]), (&json!(3), &json!(1)));
    }
    let ran = machine.aosk(&["trace", "run", &file]).expect(0);
    let gaps = "gaps         2 calls without a result, 1 result without a call, 1 conversation without an answer";
    assert!(ran.stdout.lines().any(|line| line == gaps), "{ran:#?}");
}

/// Whether the model is named, so that the agent asks, or the server is asked which it has.
#[test]
fn https_to_a_server_of_http_says_so() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("https://{}/v1", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        for connection in listener.incoming().take(3) {
            let mut connection = connection.expect("connects");
            let mut hello = [0; 16];
            connection.read_exact(&mut hello).expect("reads");
            connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("writes");
        }
    });
    let machine = Machine::new();
    for model in [&[][..], &["--model", "openai:x"]] {
        let args = [&["run", "x", "--base-url", &url], model].concat();
        let ran = machine.aosk(&args).expect(3);
        check(&ran, "model.unreachable", &["speaks http there, not https"]);
    }
    server.join().expect("ends");
}

#[test]
fn nothing_to_resume_makes_nothing() {
    let machine = Machine::new();
    let ran = machine.aosk(&["run", "--resume"]).expect(4);
    check(&ran, "store.io", &["no kernel has run here"]);
    assert!(!machine.data_dir().exists());
}

/// A figure that is less than nothing is one that is too small, and no option.
#[test]
fn a_figure_that_is_too_small_says_the_least() {
    let machine = Machine::new();
    for (option, least) in [
        ("--window", "256"),
        ("--slots", "1"),
        ("--budget-tokens", "1"),
        ("--calls-per-minute", "1"),
        ("--max-output", "1"),
    ] {
        let ran = machine.aosk(&["run", "hi", option, "0"]).expect(2);
        check(&ran, "cli.usage", &[option, &format!("0 is less than {least};")]);
        let ran = machine.aosk(&["run", "hi", option, "-5"]).expect(2);
        check(&ran, "cli.usage", &[option, "'-5'"]);
        assert!(!ran.stderr.contains("-- -5"), "{ran:#?}");
    }
    let ran = machine.aosk(&["run", "hi", "--priority", "-5"]).expect(2);
    check(&ran, "cli.usage", &["--priority", "0..=100"]);
    let ran = machine.aosk(&["run", "hi", "--group", "a\nb"]).expect(2);
    check(&ran, "cli.usage", &["a control character"]);
    let file = machine.write("c.yaml", "embedder_url: http://127.0.0.1:1/v1\n");
    let ran = machine.aosk(&["run", "hi", "--config", &file]).expect(2);
    check(&ran, "config.invalid", &["no name", "c.yaml"]);
}

/// A table of needs that is none is refused before anything is asked, by whoever would use it.
#[test]
fn a_wrong_table_of_needs_is_refused() {
    let machine = Machine::new();
    let wrong = machine.write("wrong.json", "[[\"tool\",11,0,0,5,1,1]]");
    let config = machine.write("c.yaml", format!("need_table: {wrong}\n"));
    let named = ["--need-table", &wrong];
    for command in [&["run", "hi"][..], &["serve"]] {
        for how in [named, ["--config", &config]] {
            let ran = machine.aosk(&[command, &how].concat()).expect(2);
            check(
                &ran,
                "config.invalid",
                &["wrong.json", "entry 1: idle is 11", "aosk bench needs"],
            );
        }
        let ran = machine.aosk(&[command, &["--need-table", "/nowhere.json"]].concat()).expect(4);
        check(&ran, "io.failed", &["/nowhere.json", "aosk bench needs"]);
    }
    let config = machine.write("c.yaml", "need_table: 7\n");
    let ran = machine.aosk(&["run", "hi", "--config", &config]).expect(2);
    check(&ran, "config.invalid", &["line 1", "need_table"]);
}

/// Bounds that hold nothing are told of.
#[test]
fn bounds_that_do_not_hold_are_told_of() {
    let scene = crate::run::Scene::script(vec![crate::model_server::Reply::say("done")]);
    let file = scene.machine.write("c.yaml", "groups: {acme: {tokens: 9000000}}\n");
    let ran = scene.run(&["hi", "--budget-usd", "1", "--group", "acmee", "--config", &file]);
    let ran = ran.expect(0);
    assert!(ran.stderr.contains("the price of openai:test-model is not known"), "{ran:#?}");
    assert!(ran.stderr.contains("bounds acme, and not acmee"), "{ran:#?}");
}

/// An agent that does the same without end says what it was ended for.
#[test]
fn a_runaway_says_what_it_did() {
    let machine = Machine::new();
    let say = json!({"say": "again", "calls": [
        {"tool": "calculator", "arguments": {"expression": "1+1"}, "id": "sum"}]});
    let script = json!({"agents": {"*": vec![say; 20]}});
    let script = machine.write("s.json", script.to_string());
    let model = format!("scripted:{script}");
    let ran = machine.aosk(&["run", "hi", "--model", &model, "--json"]).expect(1);
    check(
        &ran,
        "kernel.runaway",
        &["the same tool calls with the same results, 8 times", "logs p1"],
    );
    assert_eq!(ran.json()["code"], "kernel.runaway");
}
