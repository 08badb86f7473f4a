//! Tenants, rates, routes and budgets as a person sets them up and sees them.

use serde_json::{Value, json};

use crate::machine::{Machine, Ran};
use crate::model_server::{KEY, MODEL, ModelServer, Reply, Wire};
use crate::run::Scene;

/// A script of three steps, each of which takes some 2,000 tokens.
const THREE_STEPS: &str = r#"{"agents": {"*": [
    {"say": "one", "calls": [{"tool": "calculator", "arguments": {"expression": "1+1"}}]},
    {"say": "two", "calls": [{"tool": "calculator", "arguments": {"expression": "1+2"}}]},
    {"say": "done"}
]}}"#;

/// Runs a task with this configuration on the script.
fn run(machine: &Machine, config: &str, args: &[&str]) -> Ran {
    let script = machine.write("s.json", THREE_STEPS);
    let config = machine.write("config.yaml", config.replace("SCRIPT", &script));
    machine.aosk(&[&["run", "hello", "--config", &config, "--tools", "calculator"], args].concat())
}

/// The node of this kind and name.
#[track_caller]
fn node<'a>(budget: &'a Value, kind: &str, name: &str) -> &'a Value {
    let nodes = budget["nodes"].as_array().expect("nodes");
    let found = nodes.iter().find(|node| node["kind"] == kind && node["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}: {budget:#}"))
}

#[test]
fn groups_and_devices_of_the_configuration_are_bounded_and_shown() {
    let machine = Machine::new();
    let config = "default_model: fast
slice: off
groups:
  acme:
    priority: 20
    tokens: 1000000
    per_minute: {tokens: 900000, calls: 50}
    per_call: {tokens: 90000}
  acme/research: {usd: 2.50, when_over: ask}
devices:
  'scripted:SCRIPT': {slots: 1, requests_per_minute: 100, usd_per_day: 3}
routes:
  fast: ['scripted:SCRIPT', scripted]
";
    let ran = run(&machine, config, &["--group", "acme/research"]).expect(0);
    assert_eq!(ran.stdout, "done\n");
    let begin = "model: fast, scripted:";
    assert!(
        ran.stderr.lines().any(|line| line.starts_with(begin) && line.ends_with(", then scripted")),
        "{ran:#?}"
    );
    let budget = machine.aosk(&["budget", "--json"]).expect(0).json();
    let acme = node(&budget, "group", "acme");
    assert_eq!(acme["priority"], 20);
    assert_eq!(
        acme["limits"],
        json!({
            "tokens": 1_000_000, "per_minute": {"calls": 50, "tokens": 900_000},
            "per_call": {"tokens": 90_000},
        })
    );
    let used = acme["used"]["tokens"].as_u64().expect("a figure");
    assert!(used > 100, "{acme:#}");
    assert_eq!(acme["minute"], json!({"calls": 3, "tokens": used, "micro_usd": 0}));
    let research = node(&budget, "group", "acme/research");
    assert_eq!(research["limits"], json!({"micro_usd": 2_500_000, "when_over": "ask"}));
    assert_eq!((&research["parent"], &research["used"]), (&acme["budget"], &acme["used"]));
    let device = machine.path("s.json").canonicalize().expect("is there");
    let device = node(&budget, "device", &format!("scripted:{}", device.display())).clone();
    let limits = json!({"per_minute": {"calls": 100}, "per_day": {"micro_usd": 3_000_000}});
    assert_eq!(device["limits"], limits);
    assert_eq!(device["minute"]["calls"], 3);
    assert_eq!(node(&budget, "root", "")["used"], acme["used"]);
    let shown = machine.aosk(&["budget"]).expect(0).stdout;
    for part in [
        "everything: ",
        "  tenant acme (priority 20): ",
        "tokens           [#.......................] ",
        "calls a minute   [#.......................] 3 of 50 (6 %)",
        "    group acme/research (priority 50): ",
        "money            [........................] $0.0000 of $2.5000 (0 %)",
        "calls a minute   [#.......................] 3 of 100 (3 %)",
    ] {
        let words: Vec<&str> = part.split_whitespace().collect();
        let shown: Vec<&str> = shown.split_whitespace().collect();
        assert!(shown.windows(words.len()).any(|some| some == words), "{part:?} in {shown:?}");
    }
}

#[test]
fn a_route_chooses_by_its_rule_and_says_why() {
    let machine = Machine::new();
    let other = machine.write("other.json", THREE_STEPS);
    let config = "default_model: smart
routes:
  smart:
    by: quality
    models: {scripted: low, 'scripted:SCRIPT': high, 'scripted:OTHER': medium}
";
    let config = config.replace("OTHER", &other);
    let ran = run(&machine, &config, &[]).expect(0);
    assert!(ran.stderr.contains("model: smart, by quality: "), "{ran:#?}");
    let logs = machine.aosk(&["logs", "p1"]).expect(0).stdout;
    let routed: Vec<&str> = logs.lines().filter(|line| line.contains("model.routed")).collect();
    assert_eq!(routed.len(), 3, "{logs}");
    for line in routed {
        let (chosen, others) = line.split_once("; not ").expect("others");
        assert!(chosen.contains("s.json by quality $0.0000"), "{line}");
        let at = |part: &str| others.find(part).unwrap_or_else(|| panic!("{part} in {line}"));
        assert!(at("other.json $0.0000 (later") < at("scripted $0.0000 (later"), "{line}");
    }
    // A least class leaves those out that do not have it, and some must be left.
    let least = |quality: &str| config.replace("by: quality", &format!("quality: {quality}"));
    let ran = run(&machine, &least("medium"), &[]).expect(0);
    let left_out = "scripted is left out of the route smart: its class is low";
    assert!(ran.stderr.contains(left_out), "{}", ran.stderr);
    let none = "default_model: smart
routes:
  smart: {by: cost, quality: high, models: {scripted: low}}
";
    let ran = run(&machine, none, &[]).expect(2);
    let line = ran.error("config.invalid");
    assert!(line.contains("the route smart by cost is left without models"), "{line}");
    assert!(line.contains("models.json"), "{line}");
}

#[test]
fn a_mistake_in_groups_devices_or_routes_is_told_with_line_and_example() {
    let machine = Machine::new();
    for (text, parts) in [
        (
            "groups:\n  acme:\n    priority: 101\n",
            &["line 3", "groups.acme.priority is \"101\"", "from 0", "to 100", "priority: 20"][..],
        ),
        ("groups:\n  acme:\n    priority: -1\n", &["line 3", "groups.acme.priority is \"-1\""]),
        (
            "groups:\n  acme:\n    tokens: -5\n",
            &["line 3", "groups.acme.tokens is \"-5\"", "from 1", "tokens: 1000000"],
        ),
        (
            "groups:\n  acme: {per_minute: {calls: 0}}\n",
            &["line 2", "groups.acme.per_minute.calls is \"0\""],
        ),
        ("groups:\n  acme: {usd: lots}\n", &["line 2", "groups.acme.usd is \"lots\"", "usd: 2.50"]),
        ("groups:\n  acme: {usd: -0.5}\n", &["line 2", "groups.acme.usd is \"-0.5\""]),
        (
            "groups:\n  acme: {when_over: panic}\n",
            &["line 2", "when_over is \"panic\"", "wait, stop or ask"],
        ),
        ("groups:\n  acme: {budget: 5}\n", &["line 2", "budget"]),
        ("groups:\n  a/b/c: {tokens: 5}\n", &["line 2", "\"a/b/c\" has 3 levels", "acme/research"]),
        ("groups:\n  'a//': {tokens: 5}\n", &["line 2", "a//"]),
        ("groups: 5\n", &["line 1"]),
        ("devices:\n  nobody:x: {slots: 1}\n", &["line 2", "nobody", "providers: "]),
        (
            "devices:\n  scripted: {slots: 0}\n",
            &["line 2", "devices.scripted.slots is \"0\"", "slots: 4"],
        ),
        (
            "devices:\n  scripted: {requests_per_minute: -1}\n",
            &["line 2", "requests_per_minute: 500"],
        ),
        ("devices:\n  scripted: {base_url: nowhere}\n", &["line 2", "base_url"]),
        (
            "routes:\n  fast: [slow]\n  slow: [fast]\n",
            &["line 2", "fast -> slow -> fast", "circle"],
        ),
        ("routes:\n  fast: [fast]\n", &["line 2", "fast -> fast"]),
        (
            "routes:\n  fast: [slow]\n  slow: [scripted]\n",
            &["line 2", "slow, which is a route itself"],
        ),
        ("routes:\n  fast: []\n", &["line 2", "routes.fast", "a list of models"]),
        (
            "routes:\n  fast: {scripted: -1}\n",
            &["line 2", "routes.fast.scripted is \"-1\"", "a weight"],
        ),
        ("routes:\n  fast: [scripted, scripted]\n", &["line 2", "scripted twice"]),
        ("routes:\n  fast: [nobody:x]\n", &["line 2", "nobody"]),
        (
            "routes:\n  smart:\n    by: price\n    models: [scripted]\n",
            &[
                "line 3",
                "routes.smart.by is \"price\"",
                "weight, cost, quality or latency",
                "by: cost",
            ],
        ),
        (
            "routes:\n  smart:\n    by: cost\n    quality: best\n    models: [scripted]\n",
            &["line 4", "routes.smart.quality is \"best\"", "low, medium or high"],
        ),
        (
            "routes:\n  smart: {by: cost, wait: 601, models: [scripted]}\n",
            &["line 2", "routes.smart.wait is \"601\"", "from 0 to 600"],
        ),
        (
            "routes:\n  smart: {by: weight, wait: 1, models: {scripted: 2}}\n",
            &["line 2", "routes.smart.wait", "by weight no model is better"],
        ),
        (
            "routes:\n  smart:\n    quality: low\n",
            &["line 3", "routes.smart.models is missing", "models: [anthropic:"],
        ),
        (
            "routes:\n  smart:\n    models: [scripted]\n    bye: cost\n",
            &["line 4", "there is no key routes.smart.bye", "did you mean by?"],
        ),
        (
            "routes:\n  smart:\n    by: cost\n    models: {scripted: 3}\n",
            &["line 4", "routes.smart.models.scripted is \"3\"", "low, medium or high"],
        ),
        (
            "routes:\n  smart:\n    by: weight\n    models: {scripted: high}\n",
            &["line 4", "routes.smart.models.scripted is \"high\"", "a weight"],
        ),
        ("routes:\n  smart: {by: cost, models: [scripted, scripted]}\n", &["scripted twice"]),
        ("routes:\n  smart: {by: cost, models: [nobody:x]}\n", &["line 2", "nobody"]),
        ("slice: -3\n", &["line 1", "slice is \"-3\"", "off"]),
        ("policy: fairest\n", &["line 1", "policy is \"fairest\"", "fair"]),
    ] {
        let file = machine.write("config.yaml", text);
        let ran = machine.aosk(&["run", "hello", "--config", &file]).expect(2);
        let line = ran.error("config.invalid");
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        assert!(line.contains("; hint: "), "no hint: {line}");
    }
    assert!(!machine.data_dir().exists(), "nothing was begun");
}

#[test]
fn a_group_on_the_command_line_is_checked() {
    let machine = Machine::new();
    for group in ["a/b/c", "", "a/", "/a"] {
        let ran = machine.aosk(&["run", "hello", "--group", group]).expect(2);
        assert!(ran.error("cli.usage").contains("--group"), "{ran:#?}");
    }
    let ran = machine.aosk(&["run", "hello", "--when-over", "cry"]).expect(2);
    assert!(ran.error("cli.usage").contains("wait, stop, ask"), "{ran:#?}");
}

/// Who asks a person says how it goes on, and goes on when the bound is raised.
#[test]
fn an_agent_that_asks_goes_on_with_larger_bounds() {
    let machine = Machine::new();
    let model = "default_model: 'scripted:SCRIPT'\n";
    let few = ["--budget-tokens", "5000", "--max-output", "4000", "--when-over", "ask"];
    let ran = run(&machine, model, &few).expect(1);
    let line = ran.error("budget.exceeded").to_owned();
    for part in [
        "p1 (agent)",
        "b2",
        " of 5,000 used",
        "asks a person",
        "`aosk run --resume --budget-tokens N`",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    let config = machine.path("config.yaml").display().to_string();
    let again = ["run", "--resume", "--config", &config];
    // Without more room it asks again.
    machine.aosk(&again).expect(1).error("budget.exceeded");
    let budget = machine.aosk(&["budget", "--json"]).expect(0).json();
    let own = node(&budget, "process", "agent");
    assert_eq!(own["processes"][0]["asks"], true);
    assert_eq!(own["limits"]["steps"], 100);
    let more = [&again[..], &["--budget-tokens", "90000"]].concat();
    let ran = machine.aosk(&more).expect(0);
    assert_eq!(ran.stdout, "done\n");
}

/// The same while no kernel runs.
#[test]
fn a_budget_is_set_while_no_kernel_runs() {
    let machine = Machine::new();
    let model = "default_model: 'scripted:SCRIPT'\ngroups: {acme: {tokens: 900000}}\n";
    let few = [
        "--budget-tokens",
        "5000",
        "--max-output",
        "4000",
        "--when-over",
        "ask",
        "--group",
        "acme",
    ];
    run(&machine, model, &few).expect(1);
    let set = |args: &[&str]| machine.aosk(&[&["budget", "set"], args].concat());
    for (args, what) in [
        (&["b2", "--budget-tokens", "9"][..], "configuration"),
        (&["b1", "--budget-tokens", "9"], "configuration"),
        (&["b77", "--budget-tokens", "9"], "no such budget"),
        (&["1"], "no other bounds"),
        (&["acme", "--budget-tokens", "9"], "no node, such as b2"),
    ] {
        let ran = set(args).expect(2);
        assert!(ran.error("cli.usage").contains(what), "{what}: {ran:#?}");
    }
    set(&["9", "--budget-tokens", "9"]).expect(2).error("kernel.no_such_process");
    let ran = set(&["1", "--budget-tokens", "90000", "--json"]).expect(0);
    assert_eq!(ran.json()["limits"]["tokens"], 90_000);
    assert_eq!(ran.json()["limits"]["when_over"], "ask", "what is not named stays");
    let facts = machine.aosk(&["audit", "show", "--kind", "budget.set"]).expect(0);
    assert_eq!(facts.stdout.lines().count(), 1, "{facts:#?}");
    machine.aosk(&["audit", "verify"]).expect(0);
    let config = machine.path("config.yaml").display().to_string();
    let ran = machine.aosk(&["run", "--resume", "--config", &config]).expect(0);
    assert_eq!(ran.stdout, "done\n");
}

/// A bound in a minute makes the agent wait, which it says while its kernel runs.
#[test]
fn an_agent_beyond_its_minute_waits_and_says_until_when() {
    let scene = Scene::script(vec![
        Reply::call("a", "calculator", &json!({"expression": "1+1"})),
        Reply::say("done"),
    ]);
    let running = scene.start(&["hello", "--calls-per-minute", "1", "--tools", "calculator"]);
    scene.server.wait_for_requests(1);
    let why = crate::machine::until("it to wait", || {
        let why = scene.machine.aosk(&["why", "1", "--json"]);
        (why.status.success() && why.json()["reason"] == "budget").then(|| why.json())
    });
    assert!(why["until_ms"].as_u64().is_some(), "{why:#}");
    let says = why["why"].as_str().expect("a sentence");
    assert!(says.contains("which has none for 1 call in a minute (1 at most) until"), "{says}");
    assert_eq!(why["kernel_runs"], true);
    let locked = scene.machine.aosk(&["budget", "set", "1", "--max-steps", "9"]).expect(4);
    assert!(locked.error("store.locked").contains("aosk run --resume"), "{locked:#?}");
    drop(running.kill());
    let args = ["run", "--resume", "--calls-per-minute", "9", "--base-url", &scene.server.base_url];
    let mut command = scene.machine.command(&args);
    command.env("OPENAI_API_KEY", KEY);
    let ran = crate::machine::Running::start(command).finish().expect(0);
    assert_eq!(ran.stdout, "done\n");
}

/// A route leads on to the next provider when the first is not there.
#[test]
fn a_route_goes_on_to_the_provider_that_answers() {
    let machine = Machine::new();
    let refuses = ModelServer::start(Wire::OpenAi, |_, _| {
        let body = "{\"error\":{\"message\":\"slow down\"}}".to_owned();
        Reply::Status(429, "retry-after: 30\r\n", body)
    });
    let answers = ModelServer::script(Wire::Anthropic, vec![Reply::say("from the second")]);
    let config = format!(
        "default_model: both\ndevices:\n  openai:{MODEL}: {{base_url: '{}', slots: 1}}\n  \
         anthropic:{MODEL}: {{base_url: '{}'}}\nroutes:\n  both: [openai:{MODEL}, anthropic:{MODEL}]\n",
        refuses.base_url,
        answers.base_url.trim_end_matches("/v1"),
    );
    let file = machine.write("config.yaml", config);
    let mut command = machine.command(&["run", "hello", "--config", &file]);
    command.env("OPENAI_API_KEY", KEY).env("ANTHROPIC_API_KEY", KEY);
    let ran = crate::machine::Running::start(command).finish().expect(0);
    assert_eq!(ran.stdout, "from the second\n");
    assert_eq!((refuses.requests().len(), answers.requests().len()), (1, 1));
}

/// A model that cannot be set up is left out with one note, whether its route is asked or not. Only a
/// route of which none is left is an error.
#[test]
fn a_model_that_cannot_be_set_up() {
    let machine = Machine::new();
    let routes = "routes:\n  fast: [scripted, openai:gpt-5.4-mini]\n  none: [openai, anthropic]\n";
    let file = machine.write("config.yaml", routes);
    let ran = machine.aosk(&["run", "hello", "--config", &file, "--model", "none"]).expect(3);
    let line = ran.error("model.key_missing");
    assert!(line.contains("a model of the route none"), "{line}");
    for args in [&["--model", "fast"][..], &[]] {
        let run = ["run", "hello", "--config", &file];
        let ran = machine.aosk(&[&run[..], args].concat()).expect(0);
        let note = "openai:gpt-5.4-mini of the configuration is left out";
        assert_eq!(ran.stderr.matches(note).count(), 1, "{ran:#?}");
    }
    let ran = machine.aosk(&["run", "hello", "--config", &file, "--model", "fats"]).expect(2);
    assert!(ran.error("model.unknown").contains("routes: fast"), "{ran:#?}");
}

/// Who makes summaries is looked for only where any are made.
#[test]
fn a_summary_model_without_a_key_stops_only_who_needs_it() {
    let machine = Machine::new();
    let file = machine.write("config.yaml", "summary_model: openai:gpt-5.4-mini\n");
    let run = ["run", "hello", "--config", &file, "--model", "scripted"];
    machine.aosk(&run).expect(0);
    let summarise = [&run[..], &["--replacement", "summarise"]].concat();
    let ran = machine.aosk(&summarise).expect(3);
    let line = ran.error("model.key_missing");
    assert!(line.contains("(the summary_model of ") && line.contains("config.yaml"), "{line}");
    let named = [&run[..], &["--summary-model", "openai:gpt-5.4-mini"]].concat();
    machine.aosk(&named).expect(3).error("model.key_missing");
}

/// `doctor` says of every model that the configuration names whether it is there.
#[test]
fn doctor_looks_for_every_model_of_the_configuration() {
    let machine = Machine::new();
    let config = "default_model: fast
summary_model: mistral
devices:
  groq: {slots: 2}
routes:
  fast: [scripted, openai:gpt-5.4-mini]
  slow: [scripted]
  none: [openai:gpt-5.4-mini]
";
    let file = machine.write("config.yaml", config);
    let verdicts = |code| {
        let doctor = machine.aosk(&["doctor", "--config", &file, "--json"]).expect(code).json();
        let checks = doctor["checks"].as_array().expect("checks").clone();
        let of = |check: &Value| (check["check"].clone(), check["verdict"].clone());
        checks.iter().map(of).collect::<Vec<_>>()
    };
    let checks = verdicts(0);
    for (check, verdict) in [
        ("model", "warn"),
        ("model groq", "warn"),
        ("model openai:gpt-5.4-mini", "warn"),
        ("model scripted", "ok"),
        ("route slow", "ok"),
        ("route none", "warn"),
        ("summary model", "warn"),
    ] {
        assert!(checks.contains(&(json!(check), json!(verdict))), "{check}: {checks:#?}");
    }
    machine.write("config.yaml", format!("{config}replacement: summarise\n"));
    assert!(verdicts(3).contains(&(json!("summary model"), json!("fail"))));
    machine.write("config.yaml", config.replace("default_model: fast", "default_model: none"));
    assert!(verdicts(3).contains(&(json!("model"), json!("fail"))));
}

/// What has no room is told with the option or the key that bounds it, whoever is told and how.
#[test]
fn what_has_no_room_is_told_with_what_makes_room() {
    let model =
        "default_model: 'scripted:SCRIPT'\ngroups:\n  few: {calls: 2}\n  little: {tokens: 4000}\n";
    for (bounds, parts) in [
        (
            &["--tokens-per-minute", "4500", "--when-over", "ask"][..],
            &["in a minute (4,500 at most), and asks", "`aosk run --resume --tokens-per-minute N`"]
                [..],
        ),
        (
            &["--tokens-per-minute", "4500"],
            &[
                "budget (tokens): its budget b",
                "in a minute",
                "allow more with --tokens-per-minute N",
            ],
        ),
        (
            &["--calls-per-minute", "1", "--when-over", "stop"],
            &["--calls-per-minute N", "1 call in a"],
        ),
        (&["--max-steps", "1"], &["1 step", "allow more with --max-steps N"]),
        (&["--group", "few"], &["the group few", "(2 of 2 used)", "raise calls of the group few"]),
        (&["--group", "little"], &["(0 of 4,000 used)", "raise tokens of the group little"]),
    ] {
        let machine = Machine::new();
        let ran = run(&machine, model, &[&["--max-output", "4096"], bounds].concat()).expect(1);
        let line = ran.error("budget.exceeded");
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        let why = machine.aosk(&["why", "1"]).expect(0).stdout;
        if let [_, raise] = parts
            && raise.starts_with('`')
        {
            assert!(why.contains(raise), "{raise:?} is not in {why:?}");
            let asked = machine.aosk(&["logs", "1"]).expect(0).stdout;
            assert!(asked.contains(" tokens in a minute"), "{asked}");
        }
    }
}

/// The option that the hint names is the one that helps.
#[test]
fn following_the_hint_makes_room() {
    let machine = Machine::new();
    let model = "default_model: 'scripted:SCRIPT'\n";
    let few = ["--tokens-per-minute", "4500", "--max-output", "4096", "--when-over", "ask"];
    run(&machine, model, &few).expect(1).error("budget.exceeded");
    let config = machine.path("config.yaml").display().to_string();
    let more = ["run", "--resume", "--config", &config, "--tokens-per-minute", "90000"];
    assert_eq!(machine.aosk(&more).expect(0).stdout, "done\n");
}
