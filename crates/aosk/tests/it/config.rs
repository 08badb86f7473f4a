//! `aosk config`: what is in force, where it comes from, and whether a file is right.

use serde_json::{Value, json};

use crate::machine::{Machine, Ran, Running};
use crate::model_server::{KEY, MODEL, ModelServer, Reply, Wire};

/// Runs the program with these variables.
fn with(machine: &Machine, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = machine.command(args);
    command.envs(variables.iter().copied());
    Running::start(command).finish()
}

/// The row of a key in what `config show --json` printed.
#[track_caller]
fn row(shown: &Value, key: &str) -> Value {
    let rows = shown.as_array().expect("a list");
    let row = rows.iter().find(|row| row["key"] == key);
    row.unwrap_or_else(|| panic!("no {key} in {shown:#}")).clone()
}

#[test]
fn every_setting_is_shown_with_where_it_comes_from() {
    let machine = Machine::new();
    let file = machine.write(
        "c.yaml",
        "slots: 3\n\ngroups:\n  acme:\n    per_minute: {calls: 7}\nroutes:\n  fast: [scripted]\n",
    );
    let args = ["config", "show", "--json", "--config", &file, "--prefer", "quality"];
    let shown = machine.aosk(&args).expect(0).json();
    let none: [&str; 0] = [];
    let at = |line: u64| json!({ "kind": "file", "file": file, "line": line });
    for (key, value, origin) in [
        ("slots", json!(3), at(1)),
        ("policy", json!("fair"), json!({ "kind": "default" })),
        ("window", Value::Null, json!({ "kind": "default" })),
        ("prefer", json!("quality"), json!({ "kind": "flag", "flag": "--prefer" })),
        ("groups.acme.per_minute.calls", json!(7), at(5)),
        ("routes.fast", json!(["scripted"]), at(7)),
    ] {
        let expected = json!({ "key": key, "value": value, "origin": origin, "variables": none });
        assert_eq!(row(&shown, key), expected);
    }

    let ran = machine.aosk(&["config", "show", "--origin", "--config", &file]).expect(0);
    let line = |key: &str| -> Vec<String> {
        let line = ran.stdout.lines().find(|line| line.starts_with(key)).expect("a line");
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(line("slots "), ["slots", "3", &format!("{file}:1")]);
    assert_eq!(line("slice "), ["slice", "30", "default"]);
    let ran = machine.aosk(&["config", "show", "--config", &file]).expect(0);
    assert!(!ran.stdout.contains("c.yaml"), "{ran:#?}");
}

#[test]
fn options_are_checked_as_the_file_is() {
    let machine = Machine::new();
    let ran = machine.aosk(&["config", "show", "--model", "nosuch:x"]).expect(2);
    let line = ran.error("config.invalid");
    assert!(line.contains("--model") && line.contains("providers: "), "{line}");
}

#[test]
fn a_file_is_checked() {
    let machine = Machine::new();
    let good = machine.write("good.yaml", "slots: 3\n");
    let ran = machine.aosk(&["config", "check", &good]).expect(0);
    assert_eq!(ran.stdout, format!("{good} is right\n"));
    let json = machine.aosk(&["config", "check", &good, "--json"]).expect(0).json();
    assert_eq!(json, json!({ "ok": true, "file": good, "exists": true }));
    machine.aosk(&["config", "check", "--config", &good]).expect(0);
    let ran = machine.aosk(&["config", "check"]).expect(0);
    assert!(ran.stdout.contains("none is needed"), "{ran:#?}");
    for (text, parts) in [
        ("slots: 3\nslot: 4\n", &["line 2", "no key slot", "did you mean slots"][..]),
        (
            "groups:\n  acme:\n    per_minutes: {calls: 1}\n",
            &["line 3", "no key groups.acme.per_minutes", "did you mean per_minute?"],
        ),
        ("groups:\n  acme:\n    per_day: {cals: 1}\n", &["line 3", "did you mean calls?"]),
        ("devices:\n  openai:x: {slotz: 1}\n", &["line 2", "devices.openai:x.slotz", "slots"]),
        ("slots: 3\nslots: 4\n", &["line 2", "duplicate"]),
        ("- 1\n", &["line 1", "must be names or keys"]),
        ("slots: {a: 1}\n", &["line 1", "slots is", "a whole number"]),
    ] {
        let file = machine.write("c.yaml", text);
        let ran = machine.aosk(&["config", "check", &file]).expect(2);
        let line = ran.error("config.invalid");
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
    }
    machine.aosk(&["config", "check", "nope.yaml"]).expect(2).error("config.invalid");
}

/// What is nested without end is refused, and nothing overflows.
#[test]
fn a_deep_file_is_refused() {
    let machine = Machine::new();
    let file = machine.write("c.yaml", format!("routes: {}", "[".repeat(60_000)));
    machine.aosk(&["config", "check", &file]).expect(2).error("config.invalid");
    let file = machine.write("c.yaml", format!("routes: {}", "{a: ".repeat(12_000)));
    machine.aosk(&["config", "check", &file]).expect(2).error("config.invalid");
}

#[test]
fn the_path_is_where_the_file_would_be() {
    let machine = Machine::new();
    let ran = machine.aosk(&["config", "path"]).expect(0);
    let usual = machine.path("home/.config/aosk/config.yaml");
    assert_eq!(ran.stdout, format!("{}\n", usual.display()));
    let ran = with(&machine, &[("AOSK_CONFIG", "/x/y.yaml")], &["config", "path"]).expect(0);
    assert_eq!(ran.stdout, "/x/y.yaml\n");
}

/// Defaults, then the file, then the environment, then options.
#[test]
fn the_environment_goes_before_the_file_and_options_before_both() {
    let machine = Machine::new();
    let file = machine.write("c.yaml", "slots: 3\nwindow: 3000\nprefer: cost\n");
    let variables = [
        ("AOSK_SLOTS", "5"),
        ("AOSK_WINDOW", "5000"),
        ("AOSK_TASKS", "true"),
        ("AOSK_SLICE", "off"),
        ("AOSK_PREFER", ""),
    ];
    let args = ["config", "show", "--json", "--config", &file, "--window", "7000"];
    let shown = with(&machine, &variables, &args).expect(0).json();
    let variable = |name: &str| json!({ "kind": "variable", "variable": name });
    for (key, value, origin) in [
        ("policy", json!("fair"), json!({ "kind": "default" })),
        ("prefer", json!("cost"), json!({ "kind": "file", "file": file, "line": 3 })),
        ("slots", json!(5), variable("AOSK_SLOTS")),
        ("tasks", json!(true), variable("AOSK_TASKS")),
        ("slice", json!("off"), variable("AOSK_SLICE")),
        ("window", json!(7000), json!({ "kind": "flag", "flag": "--window" })),
    ] {
        let row = row(&shown, key);
        assert_eq!((&row["value"], &row["origin"]), (&value, &origin), "{key}");
    }
    // It holds for what is run, too.
    let ran = with(&machine, &[("AOSK_DEFAULT_MODEL", "anthropic")], &["run", "x"]).expect(3);
    assert!(ran.error("model.key_missing").contains("(AOSK_DEFAULT_MODEL)"), "{ran:#?}");
    let ran = with(&machine, &[("AOSK_SLOTS", "many")], &["run", "x"]).expect(2);
    let line = ran.error("config.invalid");
    assert!(line.contains("AOSK_SLOTS: slots is \"many\"") && line.contains("whole"), "{line}");
    let ran = with(&machine, &[("AOSK_SLOT", "1")], &["config", "check"]).expect(0);
    assert!(ran.stderr.contains("AOSK_SLOT ") && ran.stderr.contains("AOSK_SLOTS"), "{ran:#?}");
}

#[test]
fn variables_in_the_file_are_replaced() {
    let machine = Machine::new();
    let file = machine.write(
        "c.yaml",
        "slots: ${N}\nroutes:\n  fast: [\"${M:-scripted}\"]\ndefault_model: ${ROUTE:-fast}\n",
    );
    let args = ["config", "show", "--json", "--config", &file];
    let shown = with(&machine, &[("N", "6")], &args).expect(0).json();
    let slots = row(&shown, "slots");
    assert_eq!((&slots["value"], &slots["variables"]), (&json!(6), &json!(["N"])));
    assert_eq!(row(&shown, "routes.fast")["value"], json!(["scripted"]));
    with(&machine, &[("N", "6")], &["run", "hello", "--config", &file]).expect(0);

    let line = machine.aosk(&args).expect(2).error("config.invalid").to_owned();
    assert!(line.contains("line 1: the variable N is not set"), "{line}");
    // What a variable has is not repeated.
    for secret in ["sk-SECRET", "7.5"] {
        let ran = with(&machine, &[("N", secret)], &args).expect(2);
        let line = ran.error("config.invalid");
        assert!(line.contains("slots is \"${N}\"") && !line.contains(secret), "{line}");
    }
}

/// The form that others have: keys and models in the file.
#[cfg(unix)]
#[test]
fn keys_and_models_of_the_file_are_used_and_not_shown() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let machine = Machine::new();
    let server = ModelServer::script(
        Wire::OpenAi,
        vec![Reply::say("from the list"), Reply::say("from the list")],
    );
    let text = |key: &str| {
        format!(
            "api_keys:\n  openai: {key}\n  groq: \"${{MY_GROQ_KEY:-}}\"\nllms:\n  models:\n  \
             - name: {MODEL}\n    backend: openai\n    base_url: {}\n",
            server.base_url
        )
    };
    let file = machine.write("c.yaml", text(KEY));
    let mode = |mode| set_permissions(&file, Permissions::from_mode(mode)).expect("set");
    mode(0o644);
    let ran = machine.aosk(&["run", "hello", "--config", &file]).expect(2);
    let line = ran.error("config.invalid");
    for part in ["line 2", "api_keys.openai", "others can read", "chmod 600", "${OPENAI_API_KEY}"] {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    mode(0o600);
    let ran = machine.aosk(&["run", "hello", "--config", &file, "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "from the list");
    // The environment goes before it.
    machine.write("c.yaml", text("sk-VERYSECRET"));
    with(&machine, &[("OPENAI_API_KEY", KEY)], &["run", "hello", "--config", &file]).expect(0);
    assert_eq!(server.requests().len(), 2, "and each had the right key");

    let shown = machine.aosk(&["config", "show", "--json", "--config", &file]).expect(0).json();
    assert_eq!(row(&shown, "api_keys.openai")["value"], "[redacted]");
    assert_eq!(row(&shown, "api_keys.groq")["value"], Value::Null);
    assert_eq!(row(&shown, "llms.models.0.name")["value"], MODEL);
    let default = row(&shown, "default_model");
    assert_eq!(
        (&default["value"], &default["origin"]["line"]),
        (&json!(format!("openai:{MODEL}")), &json!(6))
    );
    for args in [
        &["config", "show", "--origin"][..],
        &["config", "check"],
        &["doctor"],
        &["models", "list"],
        &["models", "list", "--json"],
    ] {
        let ran = machine.aosk(&[args, &["--config", &file]].concat());
        assert!(!ran.stdout.contains("SECRET") && !ran.stderr.contains("SECRET"), "{ran:#?}");
        let said = [ran.stdout, ran.stderr].concat();
        assert!(args[0] != "doctor" || said.contains("in the configuration"), "{said}");
    }
}

/// What the READMEs and the example say is a configuration that is taken.
#[test]
fn the_configurations_that_are_documented_are_right() {
    let machine = Machine::new();
    let variables =
        [("OPENAI_API_KEY", "x"), ("ANTHROPIC_API_KEY", "x"), ("DEEPSEEK_API_KEY", "x")];
    for readme in ["README.md", "README.zh-CN.md"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(readme);
        let text = std::fs::read_to_string(path).expect("reads");
        let blocks: Vec<_> = text.split("```yaml\n").skip(1).collect();
        assert!(!blocks.is_empty(), "{readme}");
        for block in blocks {
            let (yaml, _) = block.split_once("```").expect("an end");
            let file = machine.write("c.yaml", yaml);
            with(&machine, &variables, &["config", "check", &file]).expect(0);
        }
    }
    let ran = machine.aosk(&["config", "example"]).expect(0);
    let file = machine.write("c.yaml", &ran.stdout);
    machine.aosk(&["config", "check", &file]).expect(0);
}
