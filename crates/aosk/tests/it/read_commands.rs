//! `ps`, `show`, `logs`, `audit`, `doctor`, `version`, `completions`: what a person reads, word for
//! word, and what a program reads.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::model_server::Reply;
use crate::run::Scene;

/// A data directory in which an agent used a tool, was denied another, and wrote an answer.
fn scene() -> Scene {
    let scene = Scene::script(vec![
        Reply::Call(vec![
            ("a", "calculator", json!({"expression": "17 * 23"}).to_string()),
            ("b", "run_command", json!({"command": "rm -rf /"}).to_string()),
        ]),
        Reply::say("It is 391."),
    ]);
    scene.run(&["What is 17 * 23?", "--system", "Be brief.", "--max-steps", "5"]).expect(0);
    scene
}

fn check(machine: &Machine, args: &[&str], expected: &Expect) {
    let ran = machine.aosk(args);
    let status = ran.status.code().expect("exits");
    let stderr: String = ran.stderr.lines().map(|line| format!("2> {line}\n")).collect();
    let transcript = format!("$ aosk {}\n{}{stderr}[{status}]\n", args.join(" "), ran.stdout);
    expected.assert_eq(&machine.redact(&transcript));
}

/// Every line of stdout, which are JSON.
fn lines(machine: &Machine, args: &[&str]) -> Vec<Value> {
    let ran = machine.aosk(args).expect(0);
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_run_as_a_person_reads_it() {
    let scene = scene();
    let machine = &scene.machine;
    check(
        machine,
        &["ps"],
        &expect![[r#"
        $ aosk ps
        2> no live processes in [MACHINE]/data; `aosk ps --all` lists ended ones
        [0]
    "#]],
    );
    check(
        machine,
        &["ps", "--all"],
        &expect![[r#"
        $ aosk ps --all
        PID  PARENT  NAME   STATE   PRI  MODEL CALLS  TOOL CALLS   IN  OUT     COST  AGE  STATUS
          1       -  agent  exited   50            2           2  200   20  $0.0000  [AGE]  finished
        [0]
    "#]],
    );
    check(
        machine,
        &["show", "1"],
        &expect![[r#"
        $ aosk show 1
        process     p1 agent
        state       exited: finished
        program     react
        started     [TIME], [AGE] ago, by the operator
        priority    50
        may         tools: all, up to medium risk; models: all; may start agents
        label       run
        budget      steps at most 5
        used        2 model calls (0 attempts retried), 2 tool calls, 200 tokens in (0 cached), 20 out, $0.0000
        time        waited [SPAN] for a model, was answered for [SPAN], was held back for [SPAN]
        log         6 messages
            0  system           39 B  Be brief.
            1  user             44 B  What is 17 * 23?
            2  assistant       182 B  calculator({"expression":"17 * 23"})  run_command({"command":"rm -rf /"})
            3  tool             70 B  391
            4  tool            161 B  tool.denied: agent may call tools of risk Medium at most; run_command is High
            5  assistant        43 B  It is 391.
        [0]
    "#]],
    );
    check(
        machine,
        &["logs", "1"],
        &expect![[r#"
        $ aosk logs 1
        [TIME]       2  process.spawned    agent, program react, priority 50, by the operator
        [TIME]       3  model.called       c1 openai:test-model, 2 messages, about [COUNT] tokens in, at most 4,096 out
        [TIME]       4  model.answered     c1 tool_calls, 100 in, 10 out, $0.0000: calculator({"expression":"17 * 23"})  run_command({"command":"rm -rf /"})
        [TIME]       5  tool.called        c2 calculator (safe risk)
        [TIME]       6  tool.called        c3 run_command (high risk)
        [TIME]       7  tool.returned      c3 failed: tool.denied: agent may call tools of risk Medium at most; run_command is High
        [TIME]       8  tool.returned      c2: 391
        [TIME]       9  model.called       c4 openai:test-model, 5 messages, about [COUNT] tokens in, at most 4,096 out
        [TIME]      10  model.answered     c4 stop, 100 in, 10 out, $0.0000: It is 391.
        [TIME]      11  process.exited     finished, 6 messages: It is 391.
        [0]
    "#]],
    );
    check(
        machine,
        &["audit", "verify"],
        &expect![[r#"
            $ aosk audit verify
            11 entries, no break
            1 log, no page missing or changed
            6 messages that they name, all there and unchanged
            head 11:[HASH]
            2> whoever can write the files can write a new chain; keep this head elsewhere and check against it with `aosk audit verify --head LENGTH:HASH`
            [0]
        "#]],
    );
    check(
        machine,
        &["audit", "show", "--kind", "tool.called"],
        &expect![[r#"
        $ aosk audit show --kind tool.called
            p1  [TIME]       5  tool.called        c2 calculator (safe risk)
            p1  [TIME]       6  tool.called        c3 run_command (high risk)
        [0]
    "#]],
    );
    check(
        machine,
        &["audit", "show", "--from", "1000"],
        &expect![[r#"
        $ aosk audit show --from 1000
        2> no such entries
        [0]
    "#]],
    );
    check(
        machine,
        &["version"],
        &expect![[r#"
        $ aosk version
        aosk 0.1.0
        [0]
    "#]],
    );
}

#[test]
fn one_of_a_thing_is_not_spoken_of_as_many() {
    let scene = Scene::script(vec![Reply::call("a", "finish", &json!({"result": "done"}))]);
    let machine = &scene.machine;
    let ran = scene.run(&["be done"]).expect(0);
    let mut said = ran.stderr;
    for args in [
        &["show", "1"][..],
        &["logs", "1"],
        &["mem", "1"],
        &["audit", "verify"],
        &["audit", "show"],
    ] {
        said += &machine.aosk(args).expect(0).stdout;
    }
    let trace = machine.write(
        "one.jsonl",
        r#"{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}"#,
    );
    let ran = machine.aosk(&["trace", "run", &trace]).expect(0);
    said = said + &ran.stdout + &ran.stderr;
    let wrong = regex::Regex::new(r"\b1 (\w+ )?\w+s\b").expect("a pattern");
    let wrong: Vec<&str> = wrong
        .find_iter(&said)
        .map(|found| found.as_str())
        .filter(|found| !found.ends_with(" is"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?} in {said}");
}

#[test]
fn a_run_as_a_program_reads_it() {
    let scene = scene();
    let machine = &scene.machine;
    assert_eq!(lines(machine, &["ps", "--json"]), [json!([])]);
    let all = lines(machine, &["ps", "--all", "--json"]);
    assert_eq!(all[0][0]["name"], "agent");
    assert_eq!(all[0][0]["status"], "finished");
    assert_eq!(all[0][0]["model_calls"], 2);
    let shown = lines(machine, &["show", "p1", "--json"]);
    assert_eq!(shown.len(), 1);
    let roles: Vec<&Value> = shown[0]["log"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|page| &page["message"]["role"])
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "assistant"]);

    let logs = lines(machine, &["logs", "1", "--json"]);
    let kinds: Vec<&str> =
        logs.iter().map(|entry| entry["kind"].as_str().expect("a text")).collect();
    let expected = [
        "process.spawned",
        "model.called",
        "model.answered",
        "tool.called",
        "tool.called",
        "tool.returned",
        "tool.returned",
        "model.called",
        "model.answered",
        "process.exited",
    ];
    let sorted = |mut kinds: Vec<&'static str>| {
        kinds.sort_unstable();
        kinds
    };
    let mut found = kinds.clone();
    found.sort_unstable();
    assert_eq!(found, sorted(expected.to_vec()));
    assert_eq!((kinds.first(), kinds.last()), (Some(&"process.spawned"), Some(&"process.exited")));

    let audit = lines(machine, &["audit", "show", "--json"]);
    assert_eq!(audit[0]["kind"], "node.booted");
    let seqs: Vec<u64> =
        audit.iter().map(|entry| entry["seq"].as_u64().expect("a figure")).collect();
    assert_eq!(seqs, (1..=audit.len() as u64).collect::<Vec<_>>());
    let some =
        lines(machine, &["audit", "show", "--json", "--from", "3", "--limit", "2", "--pid", "1"]);
    assert_eq!(some, audit[2..4], "the same entries");
    let version = lines(machine, &["version", "--json"]);
    assert_eq!(version, [json!({"name": "aosk", "version": env!("CARGO_PKG_VERSION")})]);
}

#[test]
fn verify_finds_what_was_changed() {
    let changes = [
        (
            "edited",
            "UPDATE journal SET data = replace(data, 'calculator', 'calculater') WHERE kind = 'tool.called'",
        ),
        ("moved in time", "UPDATE journal SET at = at - 1 WHERE seq = 4"),
        ("given to another", "UPDATE journal SET pid = 2 WHERE seq = 4"),
        ("renamed", "UPDATE journal SET kind = 'tool.returned' WHERE seq = 5"),
        ("deleted", "DELETE FROM journal WHERE seq = 4"),
        ("cut off", "DELETE FROM journal WHERE seq > 5"),
        ("emptied", "DELETE FROM journal"),
        (
            "swapped",
            "UPDATE journal SET seq = -1 WHERE seq = 4; UPDATE journal SET seq = 4 WHERE seq = 5; \
                     UPDATE journal SET seq = 5 WHERE seq = -1",
        ),
        (
            "appended",
            "INSERT INTO journal SELECT 9999, at, pid, kind, data, hash FROM journal WHERE seq = 4",
        ),
    ];
    for (name, sql) in changes {
        let scene = scene();
        let machine = &scene.machine;
        let good = lines(machine, &["audit", "verify", "--json"]);
        assert_eq!(good[0]["ok"], true);
        let database =
            rusqlite::Connection::open(machine.data_dir().join("aosk.db")).expect("opens");
        database.execute_batch(sql).expect("changes");
        assert!(database.total_changes() > 0, "{name}: nothing was changed");
        drop(database);
        let ran = machine.aosk(&["audit", "verify", "--json"]);
        assert_eq!(ran.status.code(), Some(5), "{name}: {ran:#?}");
        let line = ran.error("journal.broken");
        assert!(line.contains("; hint: "), "{name}: {line}");
        assert_eq!(ran.json()["error"]["code"], "journal.broken", "{name}");
    }
}

/// A chain that was written anew is whole; only a head that was kept elsewhere tells.
#[test]
fn verify_holds_the_journal_against_a_head() {
    let scene = scene();
    let machine = &scene.machine;
    let head = lines(machine, &["audit", "verify", "--json"])[0]["head"]
        .as_str()
        .expect("a text")
        .to_owned();
    scene.machine.aosk(&["run", "more", "--model", "scripted"]).expect(0);
    machine.aosk(&["audit", "verify", "--head", &head]).expect(0);
    let other = Machine::new();
    other.aosk(&["run", "hello", "--model", "scripted"]).expect(0);
    let ran = other.aosk(&["audit", "verify", "--head", &head]).expect(5);
    ran.error("journal.broken");
    let ran = other.aosk(&["audit", "verify", "--head", "nonsense"]).expect(2);
    ran.error("cli.usage");
}

/// A body that was changed is noticed where it is read.
#[test]
fn a_changed_body_is_not_shown_as_the_real_one() {
    let scene = scene();
    let machine = &scene.machine;
    let database = rusqlite::Connection::open(machine.data_dir().join("aosk.db")).expect("opens");
    let changed = database
        .execute(
            "UPDATE blob SET bytes = replace(bytes, '391', '392') WHERE bytes LIKE '%It is 391%'",
            [],
        )
        .expect("changes");
    assert_eq!(changed, 1);
    drop(database);
    let ran = machine.aosk(&["show", "1"]).expect(5);
    assert!(ran.error("store.corrupt").contains("; hint: "), "{ran:#?}");
    assert!(!ran.stdout.contains("392"), "{ran:#?}");
    let ran = machine.aosk(&["audit", "verify"]).expect(5);
    let line = ran.error("store.corrupt");
    assert!(
        line.contains("names a message that is damaged") && line.contains("; hint: "),
        "{line}"
    );
}

#[test]
fn doctor_tells_what_is_there_and_what_is_not() {
    let machine = Machine::new();
    let object = &lines(&machine, &["doctor", "--json"])[0];
    assert_eq!(object["ok"], true);
    let checks = object["checks"].as_array().expect("a list");
    assert!(checks.len() > 5, "{object}");
    for check in checks {
        for key in ["check", "verdict", "found", "hint"] {
            assert!(check[key].is_string(), "{key}: {check}");
        }
    }
    assert!(!machine.data_dir().exists(), "it changes nothing");

    let mut command = machine.command(&["doctor"]);
    command.env("OPENAI_API_KEY", "sk-very-secret-key");
    let ran = crate::machine::Running::start(command).finish().expect(0);
    assert!(ran.stdout.contains("OPENAI_API_KEY"), "{ran:#?}");
    assert!(!ran.stdout.contains("very-secret"), "{ran:#?}");

    machine.write("broken.yaml", "nonsense: 1\n");
    let broken = machine.path("broken.yaml");
    let ran =
        machine.aosk(&["doctor", "--config", broken.to_str().expect("UTF-8"), "--json"]).expect(2);
    assert_eq!(ran.json()["ok"], false);
}

#[test]
fn completions_are_scripts() {
    let machine = Machine::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = machine.aosk(&["completions", shell]).expect(0);
        assert!(ran.stdout.contains("aosk") && ran.stdout.contains("trace"), "{shell}");
        for hidden in ["__exec", "life"] {
            assert!(!ran.stdout.contains(hidden), "{shell}: {hidden} is not completed");
        }
        for shown in ["data-dir", "base-url", "mem", "timeline", "audit", "verify", "concurrency"] {
            assert!(ran.stdout.contains(shown), "{shell}: {shown} is completed");
        }
    }
}
