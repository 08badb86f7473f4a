//! What a person, a disk or another program can do wrong: each gives one line that says what was
//! attempted, what is wrong and what to do, with a stable code and exit status, and loses nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::conversation;
use crate::machine::{Machine, Ran, Running, skip};
use crate::model_server::{MODEL, Reply};
use crate::run::Scene;
use crate::store;
use crate::trace::sums;

/// Runs `aosk` and checks that it fails with this status and one line of this code that has all of
/// `parts` and a hint; and the same as JSON where the command has `--json`.
#[track_caller]
fn check_fails(machine: &Machine, args: &[&str], status: i32, code: &str, parts: &[&str]) -> Ran {
    let ran = machine.aosk(args).expect(status);
    let line = ran.error(code).to_owned();
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    assert!(line.contains("; hint: "), "no hint: {line}");
    assert!(!line.contains('\x1b'), "{line:?}");
    let as_json = machine.aosk(&[args, &["--json"]].concat()).expect(status);
    assert_eq!(as_json.error(code), line);
    assert_eq!(as_json.json()["error"]["code"], code);
    ran
}

#[test]
fn a_command_line_that_makes_no_sense() {
    let machine = Machine::new();
    for (args, help) in [
        (&["fly"][..], "`aosk --help`"),
        (&["ps", "--jsn"], "`aosk ps --help`"),
        (&["--data-dir", "run", "ps", "--jsn"], "`aosk ps --help`"),
        (&["--data-dir=run", "audit", "fly"], "`aosk audit --help`"),
        (&["audit", "verify", "--config", "show", "--hed"], "`aosk audit verify --help`"),
        (&["run"], "`aosk run --help`"),
        (&["run", "task", "--resume"], "`aosk run --help`"),
        (&["run", "task", "--priority", "101"], "`aosk run --help`"),
        (&["run", "task", "--permission", "root"], "`aosk run --help`"),
        (&["run", "task", "--max-steps", "many"], "`aosk run --help`"),
        (&["run", "task", "--slots", "0"], "`aosk run --help`"),
        (&["run", "task", "--max-output", "0"], "`aosk run --help`"),
        (&["run", ""], "`aosk run --help`"),
        (&["run", " \n"], "`aosk run --help`"),
        (&["trace", "run"], "`aosk trace run --help`"),
        (&["trace", "run", "file", "--concurrency", "0"], "`aosk trace run --help`"),
        (&["show", "seven"], "`aosk show --help`"),
        (&["logs", "-1"], "`aosk logs --help`"),
    ] {
        let ran = check_fails(&machine, args, 2, "cli.usage", &["the command line", help]);
        assert_eq!(ran.stdout, "");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:#?}");
    }
    let ran = machine.aosk(&["completions", "tcsh"]).expect(2);
    assert!(ran.error("cli.usage").contains("zsh"), "{ran:#?}");
    for amount in ["nan", "-1", "inf", "five"] {
        let args = ["run", "task", "--budget-usd", amount];
        let parts = ["--budget-usd", amount, "not an amount of dollars"];
        check_fails(&machine, &args, 2, "cli.usage", &parts);
    }
    assert!(
        !machine.data_dir().join("aosk.db").exists()
            || store::facts(&machine.data_dir()).is_empty()
    );
}

/// A tool that is not there or not allowed is told of before anything is begun.
#[test]
fn tools_that_cannot_be_given() {
    let machine = Machine::new();
    let run = |tools| ["run", "hello", "--tools", tools];
    for (tools, near) in [
        ("nosuch", "tools: "),
        ("calculator,raed_file", "did you mean read_file?"),
        ("spwan_agent", "did you mean spawn_agent?"),
        ("", "tools: "),
    ] {
        check_fails(&machine, &run(tools), 2, "cli.usage", &["choosing tools", near]);
    }
    for (args, level) in [
        (&["--tools", "run_command"][..], "--permission advanced"),
        (&["--tools", "calculator,run_command", "--permission", "standard"], "advanced"),
        (&["--tools", "write_file", "--permission", "restricted"], "--permission standard"),
        (&["--tools", "wait_agent", "--permission", "restricted"], "--permission standard"),
    ] {
        let args = [&["run", "hello"], args].concat();
        let parts = ["choosing tools", "may not use", level];
        let ran = check_fails(&machine, &args, 2, "cli.usage", &parts);
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:#?}");
    }
    assert!(!machine.data_dir().exists(), "nothing was begun");
    let all = ["--tools", "run_command,finish,sleep", "--permission", "ADVANCED"];
    machine.aosk(&[&["run", "hello"], &all[..]].concat()).expect(0);
    let least = ["--tools", "calculator,finish", "--permission", "restricted"];
    machine.aosk(&[&["run", "hello"], &least[..]].concat()).expect(0);
}

#[test]
fn a_kind_of_fact_that_is_not_known() {
    let machine = Machine::new();
    machine.aosk(&["run", "hello"]).expect(0);
    let args = ["audit", "show", "--kind", "model.caled"];
    let parts = ["model.caled", "model.called", "`aosk audit show --help`"];
    check_fails(&machine, &args, 2, "cli.usage", &parts);
    let help = machine.aosk(&["audit", "show", "--help"]).expect(0);
    for kind in aosk::abi::Fact::KINDS {
        assert!(help.stdout.contains(kind), "{kind}: {help:#?}");
        machine.aosk(&["audit", "show", "--kind", kind]).expect(0);
    }
}

#[test]
fn a_model_that_is_not_known() {
    let machine = Machine::new();
    let run = |model| ["run", "hello", "--model", model];
    check_fails(
        &machine,
        &run("opanai:gpt-5.4-mini"),
        2,
        "model.unknown",
        &["opanai", "did you mean openai"],
    );
    check_fails(&machine, &run("openai:"), 2, "model.unknown", &["no model is named"]);
    for nothing in ["", ":gpt-5.4-mini", " "] {
        check_fails(&machine, &run(nothing), 2, "model.unknown", &["no provider is named"]);
    }
    check_fails(&machine, &run("gpt-5.4-mini"), 2, "model.unknown", &["write openai:gpt-5.4-mini"]);
    check_fails(
        &machine,
        &run("anthropic"),
        3,
        "model.key_missing",
        &["anthropic", "ANTHROPIC_API_KEY"],
    );
    check_fails(&machine, &run("openai:gpt-5.4-mini"), 3, "model.key_missing", &["OPENAI_API_KEY"]);
    let mut command = machine.command(&run("openai:gpt-5.4-mini"));
    command.env("OPENAI_API_KEY", "two\nlines");
    let ran = Running::start(command).finish().expect(2);
    let line = ran.error("config.invalid");
    assert!(line.contains("the key has") && line.contains("; hint: copy the key"), "{line}");
    assert!(!line.contains("two"), "{line}");
    let at = |url| ["run", "hello", "--model", "openai:x", "--base-url", url];
    check_fails(&machine, &at("not a url"), 2, "config.invalid", &["base URL"]);
    check_fails(&machine, &at("ftp://127.0.0.1/v1"), 2, "config.invalid", &["http"]);
}

#[test]
fn a_server_that_should_say_its_models_and_is_not_there() {
    let machine = Machine::new();
    let args = ["run", "hello", "--base-url", "http://127.0.0.1:1/v1"];
    check_fails(
        &machine,
        &args,
        3,
        "model.unreachable",
        &["which models it has", "openai at 127.0.0.1:1: ", "start the server"],
    );
}

#[test]
fn a_configuration_with_a_mistake() {
    let machine = Machine::new();
    for (text, parts) in [
        ("default_model: scripted\nslot: 3\n", &["slot", "line 2", "policy"][..]),
        ("slots: many\n", &["line 1", "slots is \"many\"", "a whole number from 1"]),
        ("permission: [\n", &["config.yaml"]),
        ("permission: MAYBE\n", &["MAYBE", "restricted, standard, advanced or full", "line 1"]),
    ] {
        let file = machine.write("config.yaml", text);
        check_fails(&machine, &["run", "hello", "--config", &file], 2, "config.invalid", parts);
    }
    let args = ["run", "hello", "--config", "/nowhere/config.yaml"];
    check_fails(&machine, &args, 2, "config.invalid", &["/nowhere/config.yaml", "No such file"]);

    // A file without an end is not read to it.
    let args = ["run", "hello", "--config", "/dev/zero"];
    check_fails(&machine, &args, 2, "config.invalid", &["/dev/zero", "more than 65536 bytes"]);

    // The one in its usual place is found, and an empty one says nothing.
    fs::create_dir_all(machine.path("home/.config/aosk")).expect("makes a directory");
    machine.write("home/.config/aosk/config.yaml", "defaultmodel: x\n");
    let ran = machine.aosk(&["run", "hello"]).expect(2);
    assert!(ran.error("config.invalid").contains(".config/aosk/config.yaml"), "{ran:#?}");
    machine.write("home/.config/aosk/config.yaml", "# nothing yet\n");
    machine.aosk(&["run", "hello"]).expect(0);
}

#[test]
fn a_data_directory_that_is_another_programs() {
    let machine = Machine::new();
    machine.aosk(&["run", "hello"]).expect(0);
    let database = rusqlite::Connection::open(machine.data_dir().join("aosk.db")).expect("opens");
    let format: u32 =
        database.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("reads");
    database.pragma_update(None, "user_version", format + 7).expect("writes");
    drop(database);
    let newer = (format + 7).to_string();
    for args in
        [&["run", "hello"][..], &["ps"], &["logs", "1"], &["mem", "1"], &["audit", "verify"]]
    {
        check_fails(
            &machine,
            args,
            4,
            "store.newer_version",
            &[&newer, "use the version that wrote it"],
        );
    }

    let foreign = Machine::new();
    fs::create_dir(foreign.data_dir()).expect("makes a directory");
    foreign.write("data/aosk.db", "a diary, and no database at all. ".repeat(100));
    let before = foreign.read("data/aosk.db");
    for args in [&["run", "hello"][..], &["ps"], &["audit", "verify"]] {
        check_fails(&foreign, args, 4, "store.io", &["not a store of this program", "aosk.db"]);
    }
    assert_eq!(foreign.read("data/aosk.db"), before, "it is left as it was");

    let other = Machine::new();
    fs::create_dir(other.data_dir()).expect("makes a directory");
    let database = rusqlite::Connection::open(other.data_dir().join("aosk.db")).expect("opens");
    database
        .execute_batch("CREATE TABLE diary (day TEXT); PRAGMA application_id = 77;")
        .expect("writes");
    drop(database);
    check_fails(&other, &["run", "hello"], 4, "store.io", &["not a store of this program"]);
}

#[test]
fn a_second_kernel_on_the_same_directory() {
    let held = Reply::Held(Box::new(Reply::say("first")));
    let scene = Scene::script(vec![held]);
    let first = scene.start(&["be first", "--json"]);
    scene.server.wait_for_requests(1);
    let id = first.id().to_string();
    let second = ["run", "be second", "--model", "scripted"];
    check_fails(&scene.machine, &second, 4, "store.locked", &[&id, "another data directory"]);
    let trace = scene.machine.write("a.jsonl", conversation::usual(1, 1).0);
    check_fails(&scene.machine, &["trace", "run", &trace], 4, "store.locked", &[&id]);
    // Reading is no problem.
    let ran = scene.machine.aosk(&["ps", "--json"]).expect(0);
    assert_eq!(ran.json()[0]["state"], "running");
    scene.server.release();
    let ran = first.finish().expect(0);
    assert_eq!(ran.json()["result"], "first");
}

#[test]
fn a_data_directory_that_cannot_be_made() {
    let machine = Machine::new();
    let file = machine.write("file", "not a directory");
    let inside = format!("{file}/data");
    for dir in [file.as_str(), inside.as_str(), "/proc/aosk"] {
        let ran = machine.aosk(&["run", "hello", "--data-dir", dir]).expect(4);
        let line = ran.error("store.io");
        assert!(line.contains("data directory") && line.contains("; hint: "), "{line}");
    }
    assert_eq!(machine.read("file"), "not a directory");
}

#[test]
fn a_data_directory_that_may_not_be_written() {
    if rustix::process::geteuid().is_root() {
        skip("unwritable data directory", "root may write everywhere");
        return;
    }
    let machine = Machine::new();
    fs::create_dir(machine.data_dir()).expect("makes a directory");
    fs::set_permissions(machine.data_dir(), fs::Permissions::from_mode(0o500)).expect("sets");
    let ran = machine.aosk(&["run", "hello"]).expect(4);
    assert!(ran.error("store.io").contains("; hint: "), "{ran:#?}");
    fs::set_permissions(machine.data_dir(), fs::Permissions::from_mode(0o700)).expect("sets");
}

/// The program on a disk of two megabytes of its own, with a trace that needs more, and then on the
/// same disk with room. One shell script, since the disk is only there for its own processes.
const FULL_DISK: &str = r#"
mount -t tmpfs -o size=2m aosk-test "$AOSK_DATA_DIR" || exit 77
"$AOSK" trace run "$TRACE" --concurrency 4 --json > full.out 2> full.err; echo $? > full.status
"$AOSK" audit verify --json > verify.out 2> verify.err; echo $? > verify.status
"$AOSK" ps --all --json > ps.out 2> ps.err; echo $? > ps.status
mount -o remount,size=64m "$AOSK_DATA_DIR" || exit 78
"$AOSK" trace run "$TRACE" --concurrency 4 --resume --json > resume.out 2> resume.err; echo $? > resume.status
"$AOSK" audit verify --json > again.out 2> again.err; echo $? > again.status
umount "$AOSK_DATA_DIR"
"#;

#[test]
fn a_disk_that_is_full() {
    let machine = Machine::new();
    fs::create_dir(machine.data_dir()).expect("makes a directory");
    let (lines, expected) = conversation::usual(/*seed*/ 9, 60);
    let trace = machine.write("sixty.jsonl", lines);
    let template = machine.command(&[]);
    let script = |unshare: &[&str]| {
        let mut shell = Command::new("unshare");
        shell.args(unshare).args(["sh", "-c", FULL_DISK]).env_clear();
        for (name, value) in template.get_envs() {
            shell.envs(value.map(|value| (name, value)));
        }
        shell.env("AOSK", env!("CARGO_BIN_EXE_aosk")).env("TRACE", &trace);
        shell.current_dir(machine.path("work")).stdin(Stdio::null());
        shell.output().is_ok_and(|output| output.status.success())
    };
    if !script(&["--mount"]) && !script(&["--user", "--map-root-user", "--mount"]) {
        skip("full disk", "no small disk can be mounted here");
        return;
    }
    let file = |name: &str| machine.read(&format!("work/{name}"));
    let json = |name: &str| -> Value {
        let text = file(name);
        serde_json::from_str(text.lines().last().unwrap_or_default()).expect("JSON")
    };
    assert_eq!(file("full.status"), "4\n", "{}", file("full.err"));
    let errors = file("full.err");
    let last = errors.lines().last().expect("an error");
    assert!(
        last.starts_with("error[store.full]: ") && last.contains("; hint: free some space"),
        "{errors}"
    );
    assert_eq!(json("full.out")["error"]["code"], "store.full");

    // What was committed before is there and whole.
    assert_eq!(file("verify.status"), "0\n", "{}", file("verify.err"));
    assert!(json("verify.out")["entries"].as_u64().expect("a figure") > 100, "it got somewhere");
    assert_eq!(file("ps.status"), "0\n", "{}", file("ps.err"));

    // With room it goes on to the end.
    assert_eq!(file("resume.status"), "0\n", "{}", file("resume.err"));
    let totals = json("resume.out");
    assert_eq!(totals["model_calls"], expected.model_calls);
    assert_eq!(totals["tool_calls"], expected.tool_calls);
    assert_eq!(totals["failed"], 0);
    assert_eq!(file("again.status"), "0\n", "{}", file("again.err"));
}

#[test]
fn nothing_has_run_here() {
    let machine = Machine::new();
    for args in [
        &["show", "1"][..],
        &["logs", "1"],
        &["mem", "1"],
        &["audit", "verify"],
        &["audit", "show"],
        &["ps"],
    ] {
        check_fails(&machine, args, 4, "store.io", &["no kernel has run here", "data"]);
    }
    assert!(!machine.data_dir().exists(), "reading makes nothing");
}

#[test]
fn a_process_that_does_not_exist() {
    let machine = Machine::new();
    machine.aosk(&["run", "hello"]).expect(0);
    for args in
        [&["show", "99"][..], &["logs", "p99"], &["show", "18446744073709551615"], &["show", "0"]]
    {
        check_fails(
            &machine,
            args,
            2,
            "kernel.no_such_process",
            &["no such process", "aosk ps --all"],
        );
    }
}

#[test]
fn what_is_piped_has_no_escape_sequences() {
    let machine = Machine::new();
    let trace = machine.write(
        "hostile.jsonl",
        json!({"id": "\u{1b}[31mred", "messages": [
            {"role": "user", "content": "\u{1b}]0;title\u{7}\u{1b}[2J"},
            {"role": "assistant", "content": "\u{9b}31m", "tool_calls": [
                {"id": "a", "function": {"name": "\u{1b}[1mbold", "arguments": "\u{1b}[0m"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "\u{1b}[31m"}
        ]})
        .to_string(),
    );
    for args in [
        &["trace", "run", &trace][..],
        &["run", "hello"],
        &["ps", "--all"],
        &["show", "1"],
        &["logs", "1"],
        &["mem", "1"],
        &["audit", "show"],
        &["audit", "verify"],
        &["doctor"],
        &["--help"],
        &["fly"],
    ] {
        for json in [false, true] {
            let mut command = machine.command(args);
            command.env("NO_COLOR", "1").env("TERM", "xterm-256color");
            if json {
                command.arg("--json");
            }
            let ran = Running::start(command).finish();
            for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
                // In JSON the controls above the ASCII ones may stand as they are.
                let bad = |c: char| if json { c == '\x1b' } else { c.is_control() && c != '\n' };
                assert!(!text.contains(bad), "{args:?} {name}: {text:?}");
            }
        }
    }
}

/// Whoever reads only the beginning, as `head -1` does, makes nobody panic.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let machine = Machine::new();
    let trace = machine.write("a.jsonl", conversation::usual(/*seed*/ 4, 20).0);
    let ran = machine.aosk(&["trace", "run", &trace, "--json"]).expect(0);
    assert_eq!(sums(&ran).processes, 20);
    for args in [
        &["logs", "1"][..],
        &["mem", "1"],
        &["mem", "1", "--json"],
        &["mem", "1", "--explain"],
        &["mem", "1", "--timeline", "-"],
        &["logs", "1", "--json"],
        &["audit", "show"],
        &["audit", "verify"],
        &["ps", "--all"],
        &["ps", "--all", "--json"],
        &["show", "1"],
        &["doctor"],
        &["version"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let mut child = machine.command(args).spawn().expect("starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("ends");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
    }
    // What failed is still a failure.
    let mut child = machine.command(&["show", "99", "--json"]).spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    // Nobody listens on stderr either: the agent works all the same.
    let mut command = machine.command(&["run", "What is 1+1?", "--json"]);
    let (reader, writer) = std::io::pipe().expect("makes a pipe");
    drop(reader);
    command.stderr(writer);
    let ran = Running::start(command).finish();
    assert_eq!(ran.status.code(), Some(0), "{ran:#?}");
}

/// Whoever keeps the output in a file believes to have it all.
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let machine = Machine::new();
    machine.aosk(&["run", "hello"]).expect(0);
    for args in [&["logs", "1"][..], &["audit", "show"], &["ps", "--all", "--json"], &["--help"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("opens");
        let mut command = machine.command(args);
        command.stdout(full);
        let ran = Running::start(command).finish().expect(4);
        let line = ran.error("io.failed");
        assert!(line.contains("writing the output: ") && line.contains("; hint: "), "{line}");
    }
}

#[test]
fn an_agent_on_another_model_does_not_hold_up_the_rest() {
    let scene = Scene::script(vec![Reply::Stall, Reply::say("the first, at last")]);
    let running = scene.start(&["wait for it"]);
    scene.server.wait_for_requests(1);
    assert!(running.kill().was_killed());
    // Another model: the one that waits stays, is told of, and nothing is lost.
    let ran = scene.machine.aosk(&["run", "hello", "--model", "scripted", "--json"]).expect(0);
    assert!(ran.stderr.contains(&format!("waits for openai:{MODEL}")), "{ran:#?}");
    assert_eq!(ran.json()["pid"], 2);
    let ran = scene.run(&["--resume", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "the first, at last");
}

#[test]
fn a_workspace_that_is_no_directory() {
    let machine = Machine::new();
    let mut file = fs::File::create(machine.path("work/file")).expect("creates");
    file.write_all(b"text").expect("writes");
    for path in ["file/x", "file"] {
        let args = ["run", "hello", "--workspace", path];
        check_fails(&machine, &args, 4, "io.failed", &["workspace", path, "ot a directory"]);
    }
}
