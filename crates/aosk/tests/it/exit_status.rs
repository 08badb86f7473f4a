//! The exit status, which follows from the code of the error in one way for every command: 2 is what
//! was typed or written, 3 the model, 4 a file or a directory, 5 damage, 1 what was begun and failed.

use std::fs;

use crate::conversation;
use crate::machine::{Machine, Running};
use crate::model_server::Reply;
use crate::run::Scene;

const FILE: &str = "a.jsonl";

/// What is wrong, the command line, the status and the code.
const TABLE: &[(&str, &[&str], i32, &str)] = &[
    ("an option", &["ps", "--al"], 2, "cli.usage"),
    ("a command", &["fly"], 2, "cli.usage"),
    ("a number", &["run", "x", "--max-steps", "0"], 2, "cli.usage"),
    ("a permission", &["run", "x", "--permission", "root"], 2, "cli.usage"),
    ("a tool", &["run", "x", "--tools", "fly"], 2, "cli.usage"),
    (
        "a tool too much",
        &["run", "x", "--permission", "restricted", "--tools", "run_command"],
        2,
        "cli.usage",
    ),
    ("a kind", &["audit", "show", "--kind", "x"], 2, "cli.usage"),
    ("a head", &["audit", "verify", "--head", "x"], 2, "cli.usage"),
    ("a policy", &["trace", "run", FILE, "--policy", "lottery"], 2, "cli.usage"),
    ("a provider", &["run", "x", "--model", "opanai:x"], 2, "model.unknown"),
    ("no model", &["run", "x", "--model", "openai:"], 2, "model.unknown"),
    ("an address", &["run", "x", "--base-url", "no url"], 2, "config.invalid"),
    ("a process", &["show", "99"], 2, "kernel.no_such_process"),
    ("a process", &["logs", "99"], 2, "kernel.no_such_process"),
    ("a process", &["mem", "99"], 2, "kernel.no_such_process"),
    ("a configuration", &["run", "x", "--config", "wrong.yaml"], 2, "config.invalid"),
    ("a configuration", &["trace", "run", FILE, "--config", "wrong.yaml"], 2, "config.invalid"),
    ("a configuration", &["ps", "--config", "wrong.yaml"], 2, "config.invalid"),
    ("no configuration", &["run", "x", "--config", "nope.yaml"], 2, "config.invalid"),
    ("no configuration", &["ps", "--config", "nope.yaml"], 2, "config.invalid"),
    ("no configuration", &["show", "1", "--config", "nope.yaml"], 2, "config.invalid"),
    ("no configuration", &["logs", "1", "--config", "nope.yaml"], 2, "config.invalid"),
    ("no configuration", &["audit", "verify", "--config", "nope.yaml"], 2, "config.invalid"),
    ("no configuration", &["demo", "--config", "nope.yaml"], 2, "config.invalid"),
    ("a trace", &["trace", "run", "wrong.jsonl"], 2, "trace.invalid"),
    ("a script", &["run", "x", "--model", "scripted:wrong.jsonl"], 2, "config.invalid"),
    ("no key", &["run", "x", "--model", "anthropic"], 3, "model.key_missing"),
    ("no server", &["run", "x", "--base-url", "http://127.0.0.1:1/v1"], 3, "model.unreachable"),
    ("no trace", &["trace", "run", "nope.jsonl"], 4, "io.failed"),
    ("no script", &["run", "x", "--model", "scripted:nope.json"], 4, "io.failed"),
    ("no workspace", &["run", "x", "--workspace", "nope"], 4, "io.failed"),
    ("no store", &["ps", "--data-dir", "nope"], 4, "store.io"),
    ("no store", &["show", "1", "--data-dir", "nope"], 4, "store.io"),
    ("no store", &["logs", "1", "--data-dir", "nope"], 4, "store.io"),
    ("no store", &["audit", "verify", "--data-dir", "nope"], 4, "store.io"),
    ("no store", &["audit", "show", "--data-dir", "nope"], 4, "store.io"),
    ("no store", &["run", "--resume", "--data-dir", "nope"], 4, "store.io"),
    ("no daemon", &["kill", "1"], 4, "api.no_daemon"),
    ("no daemon", &["policy", "--data-dir", FILE], 4, "api.no_daemon"),
    ("a file for a store", &["run", "x", "--data-dir", FILE], 4, "store.io"),
];

#[test]
fn the_status_follows_from_the_code() {
    let machine = Machine::new();
    machine.aosk(&["run", "hello"]).expect(0);
    machine.write("work/a.jsonl", conversation::usual(1, 1).0);
    machine.write("work/wrong.jsonl", "{\n");
    machine.write("work/wrong.yaml", "slots: 0\n");
    let mut wrong = Vec::new();
    for (what, args, status, code) in TABLE {
        let ran = machine.aosk(args);
        let line = ran.stderr.lines().last().unwrap_or_default().to_owned();
        let is_right = ran.status.code() == Some(*status)
            && line.starts_with(&format!("error[{code}]: "))
            && line.contains("; hint: ");
        if !is_right {
            wrong.push(format!("{what} {args:?}: {:?} {line}", ran.status.code()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for made in ["nope", "nope.json", "nope.jsonl"] {
        assert!(!machine.path("work").join(made).exists(), "{made} was made");
    }
}

/// What an agent gets wrong was not typed by the person: then it is the agent that failed, or the
/// provider that refused.
#[test]
fn an_agent_that_fails_is_no_wrong_usage() {
    let body = r#"{"error":{"message":"no such model","code":"model_not_found"}}"#;
    let scene = Scene::script(vec![Reply::Status(404, "", body.to_owned())]);
    let ran = scene.run(&["ask"]).expect(3);
    assert!(ran.error("model.unknown").contains("; hint: "), "{ran:#?}");
}

/// `doctor` tells of what is wrong as any other command does.
#[test]
fn doctor_exits_as_the_first_check_that_fails() {
    let machine = Machine::new();
    machine.aosk(&["doctor"]).expect(0);
    let wrong = machine.write("wrong.yaml", "slots: 0\n");
    machine.aosk(&["doctor", "--config", &wrong]).expect(2);
    let mut command = machine.command(&["doctor", "--json"]);
    command.env("OPENAI_API_KEY", "sk").env("OPENAI_BASE_URL", "no url");
    let ran = Running::start(command).finish().expect(2);
    assert_eq!(ran.json()["ok"], false);
    let key = machine.write("key.yaml", "default_model: anthropic\n");
    machine.aosk(&["doctor", "--config", &key]).expect(3);
    fs::create_dir(machine.data_dir()).expect("makes a directory");
    machine.write("data/aosk.db", "a diary, and no database at all. ".repeat(100));
    machine.aosk(&["doctor"]).expect(4);
}
