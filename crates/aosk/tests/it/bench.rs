//! `aosk bench`: the real program on histories, and on those of the study where they are.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::machine::{Machine, skip};

/// A page trace in which tasks come and go.
fn trace() -> String {
    let mut pages = Vec::new();
    let mut message = 0;
    for task in 0..40 {
        for turn in 0..10 {
            let id = task * 10 + turn;
            for (role, tokens) in [("u", 20), ("a", 60), ("t", 400)] {
                message += 1;
                pages.push(format!(
                    "{{\"r\":\"{role}\",\"n\":{tokens},\"g\":{message},\"k\":{task},\"ids\":[{},{id}]}}",
                    task * 10
                ));
            }
        }
    }
    format!("{{\"static\":1500,\"pages\":[{}]}}", pages.join(","))
}

#[test]
fn a_bench_ends_with_one_json_object() {
    let machine = Machine::new();
    let file = machine.write("trace.json", trace());
    let args = ["bench", "context", "--pages", &file, "--window", "8000", "--json"];
    let ran = machine.aosk(&args).expect(0);
    let json = ran.json();
    assert_eq!((&json["window"], &json["calls"]), (&8000.into(), &400.into()));
    for policy in ["priced", "naive", "readme", "clairvoyant"] {
        let found = &json["policies"][policy];
        for cache in ["anthropic5m", "openai", "deepseek", "vllm16"] {
            assert!(found["hit_rate"][cache].is_f64(), "{policy} {cache}: {found}");
            assert!(found["cost_ratio"][cache].is_f64(), "{policy} {cache}: {found}");
        }
        for figure in ["occupancy", "ncr", "faults", "evictions", "plan_us_p50", "plan_us_p99"] {
            assert!(found[figure].is_number(), "{policy} {figure}: {found}");
        }
        let breaks = found["unplanned_breaks"].as_u64().unwrap();
        let is_planned = !["naive", "readme"].contains(&policy);
        assert_eq!(breaks == 0, is_planned, "{policy}: {found}");
        assert_eq!(found["overruns"], 0, "{policy}: {found}");
    }
    let hit = |policy: &str| json["policies"][policy]["hit_rate"]["vllm16"].as_f64().unwrap();
    assert!(hit("priced") > 0.85 && hit("priced") > hit("naive") + 0.2, "{json}");
    // Whichever policy is asked for, those it is compared with stand beside it, unless it is alone.
    let names = |more: &[&str]| {
        let ran = machine.aosk(&[&args[..], more].concat()).expect(0);
        let last = ran.stdout.lines().last().expect("a line");
        let json: Value = serde_json::from_str(last).expect("JSON");
        let policies = json["policies"].as_object().expect("an object");
        policies.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&["--policy", "lru"]), ["clairvoyant", "lru", "naive", "readme"]);
    assert_eq!(names(&["--policy", "naive,naive"]), ["clairvoyant", "naive", "readme"]);
    assert_eq!(names(&["--policy", "lru,naive", "--alone"]), ["lru", "naive"]);
    // The same again gives the same, but for the clock.
    let again = machine.aosk(&args).expect(0).json();
    assert_eq!(again["policies"]["priced"]["hit_rate"], json["policies"]["priced"]["hit_rate"]);
    let table = machine.aosk(&["bench", "context", "--pages", &file]).expect(0);
    assert!(table.stdout.contains("CLAIRVOYANT"), "{table:#?}");
}

#[test]
fn a_table_of_needs_is_made_and_used() {
    let machine = Machine::new();
    let file = machine.write("trace.json", trace());
    let table = machine.aosk(&["bench", "needs", &file]).expect(0).stdout;
    let needs = machine.write("needs.json", table);
    let args = ["bench", "context", "--pages", &file, "--policy", "priced", "--need-table", &needs];
    machine.aosk(&args).expect(0);
}

/// A table made of conversations is what agents begin with: what it says of a page stands in the reasons
/// of the cut.
#[test]
fn a_table_of_conversations_is_what_agents_begin_with() {
    let machine = Machine::new();
    let talk = machine.write("talk.jsonl", conversation("zh", &in_chinese(30)));
    let made =
        |args: &[&str]| machine.aosk(&[&["bench", "needs", &talk], args].concat()).expect(0).stdout;
    let (table, joined) = (made(&[]), made(&["--chain"]));
    assert!(table.starts_with("[\n[\"user\",") && table.contains("[\"tool\","), "{table}");
    assert_eq!(table, joined, "one conversation is a chain of one");
    let needs = machine.write("needs.json", table);
    let args = ["bench", "context", &talk, "--window", "4000", "--alone", "--json"];
    let with = machine.aosk(&[&args[..], &["--need-table", &needs]].concat()).expect(0).json();
    let without = machine.aosk(&args).expect(0).json();
    let cost = |json: &Value| json["policies"]["priced"]["cost_ratio"]["anthropic5m"].clone();
    assert_ne!(cost(&with), cost(&without));
}

#[test]
fn wrong_input_is_refused() {
    let machine = Machine::new();
    let bad = machine.write("bad.json", "{\"static\": 1, \"pages\": []}");
    let good = machine.write("trace.json", trace());
    let wide = "{\"static\": 900, \"pages\": [{\"r\": \"u\", \"n\": 9, \"g\": 0}]}";
    let wide = machine.write("wide.json", wide);
    for (args, word) in [
        (vec!["--pages", bad.as_str()], "no page"),
        (vec!["--pages", good.as_str(), "--policy", "lottery"], "lottery"),
        (vec!["--pages", good.as_str(), "--policy", "cvb:1"], "cvb:1"),
        (vec!["--pages", good.as_str(), "--policy", "priced:-1/0/0/0"], "wrong figures"),
        (vec!["--pages", good.as_str(), "--policy", "batch:0.6/0.97"], "wrong figures"),
        (vec!["--pages", good.as_str(), "--policy", "fifo-batch:0.97/0.6"], "batch:0.97/0.6"),
        (vec!["--pages", wide.as_str(), "--window", "300"], "static part of 900 tokens"),
        (vec!["--pages", good.as_str(), "--cache", "abacus"], "abacus"),
    ] {
        let ran = machine.aosk(&[&["bench", "context"][..], &args[..]].concat()).expect(2);
        assert!(ran.stderr.contains(word), "{args:?}: {ran:#?}");
    }
    let silent = machine.write(
        "silent.jsonl",
        conversation("a", &[serde_json::json!({ "role": "user", "content": "hello?" })]),
    );
    let nothing = machine.write("nothing.jsonl", "\n");
    for (file, word) in [(&silent, "no model answers"), (&nothing, "no conversation in it")] {
        for args in [&["bench", "context", file, "--json"][..], &["bench", "needs", file]] {
            let ran = machine.aosk(args).expect(2);
            assert!(ran.error("trace.invalid").contains(word), "{ran:#?}");
        }
    }
    let bytes = machine.write("bytes.json", b"\xff\xfe");
    for args in [
        &["context", "--pages", "/nowhere"][..],
        &["context", "--pages", &good, "--need-table", "/nowhere"],
        &["context", "/nowhere"],
        &["needs", "/nowhere"],
        &["recall", "/nowhere"],
    ] {
        let ran = machine.aosk(&[&["bench"], args].concat()).expect(4);
        let line = ran.error("io.failed");
        assert!(line.contains("/nowhere") && line.contains("; hint: "), "{args:?}: {line}");
    }
    for args in [&["context", "--pages"][..], &["needs"], &["recall"]] {
        let ran = machine.aosk(&[&["bench"], args, &[bytes.as_str()]].concat()).expect(2);
        assert!(ran.error("trace.invalid").contains("; hint: "), "{args:?}: {ran:#?}");
    }
}

/// A line of a file with one conversation.
fn conversation(id: &str, messages: &[Value]) -> String {
    serde_json::json!({ "id": id, "messages": messages }).to_string() + "\n"
}

/// A conversation in Chinese whose answers each make five calls, returned in another order.
fn in_chinese(turns: u32) -> Vec<Value> {
    use serde_json::json;
    let call = |turn: u32, at: u32| {
        let arguments = json!({ "path": format!("/srv/数据_{turn}_{at}.csv") }).to_string();
        let function = json!({ "name": "read_file", "arguments": arguments });
        json!({ "id": format!("{turn}-{at}"), "type": "function", "function": function })
    };
    let result = |turn: u32, at: u32| {
        let text = format!("第{turn}页的航班号是CA{turn}00{at}，从北京到上海。").repeat(20);
        json!({ "role": "tool", "tool_call_id": format!("{turn}-{at}"), "content": text })
    };
    let mut messages = vec![
        json!({ "role": "developer", "content": "你是一个助手。" }),
        json!({ "role": "user", "content": [{ "type": "text", "text": "请查一下航班。" }] }),
    ];
    for turn in 0..turns {
        let calls: Vec<Value> = (0..5).map(|at| call(turn, at)).collect();
        messages.push(json!({ "role": "assistant", "content": null, "tool_calls": calls }));
        messages.extend((0..5).rev().map(|at| result(turn, at)));
    }
    messages.push(json!({ "role": "assistant", "content": "查完了。" }));
    messages
}

#[test]
fn conversations_of_any_kind_are_replayed() {
    use serde_json::json;
    let machine = Machine::new();
    let huge = [
        json!({ "role": "user", "content": "read it" }),
        json!({ "role": "tool", "tool_call_id": "nobody", "content": "a result of no call" }),
        json!({ "role": "assistant", "content": "", "function_call": { "name": "read", "arguments": "{}" } }),
        json!({ "role": "function", "name": "read", "content": "row 4711 of the table\n".repeat(20_000) }),
        json!({ "role": "assistant", "content": "it has row 4711" }),
        json!({ "role": "assistant", "content": "and no other" }),
    ];
    let text = conversation("zh", &in_chinese(30))
        + "\n"
        + &conversation("wrong", &[json!({ "role": "critic", "content": "no" })])
        + &conversation("huge", &huge)
        + "{\"id\": 1\n";
    let file = machine.write("runs.jsonl", text);
    for chain in [&[][..], &["--chain"]] {
        let args = ["bench", "context", &file, "--window", "4000", "--json"];
        let ran = machine.aosk(&[&args[..], chain].concat()).expect(0);
        let json = ran.json();
        assert_eq!((&json["calls"], &json["lines_skipped"]), (&34.into(), &2.into()), "{chain:?}");
        assert!(ran.stderr.contains("critic is not known"), "{ran:#?}");
        let priced = &json["policies"]["priced"];
        let figures = ["overruns", "unplanned_breaks"].map(|name| &priced[name]);
        assert_eq!(figures, [&Value::from(0); 2], "{chain:?}: {priced}");
        assert!(priced["evictions"].as_u64() > Some(20), "{chain:?}: {priced}");
        assert!(priced["requests"].as_u64() >= Some(34), "{chain:?}: {priced}");
    }
}

/// The folder of the study, if it is on this machine.
fn study() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/context");
    found.is_dir().then_some(found)
}

/// The names of the same caches in the study.
const CACHES: [(&str, &str); 4] = [
    ("anthropic5m", "anthropic5m"),
    ("openai", "openai5"),
    ("deepseek", "deepseek"),
    ("vllm16", "vllm16"),
];

/// The policies of the study, as they are called there and here.
const POLICIES: [(&str, &str); 3] = [
    ("FIFO batch H=0.97 L=0.6", "batch:0.97/0.6"),
    ("CVB tight H.98 L.88 Q=1e4", "cvb:0.98/0.88/10000"),
    ("ROB cost mode Q=1e4 b=.5", "rob:0.97/0.85/10000/0.5"),
];

#[test]
fn the_results_of_the_study_are_met() {
    let Some(study) = study() else {
        skip("the context study", "its traces and results are not on this machine");
        return;
    };
    let machine = Machine::new();
    // With the table that stands beside the trace, and with the same one named.
    let cases = [("sweA", None), ("tauA", None), ("sweA", Some("sweB")), ("tauA", Some("tauB"))];
    for (trace, fitted_on) in cases {
        let file = study.join(format!("{trace}.json")).display().to_string();
        let table = study.join("value_table.json").display().to_string();
        let table = fitted_on.map(|name| format!("{table}#{name}"));
        let names = POLICIES.map(|(_, ours)| ours).join(",");
        let args = ["bench", "context", "--pages", &file, "--alone", "--policy", &names, "--json"];
        let table: Vec<&str> = table.iter().flat_map(|table| ["--need-table", table]).collect();
        let ours = machine.aosk(&[&args[..], &table].concat()).expect(0).json();
        let results = std::fs::read_to_string(study.join(format!("{trace}_32000.results.json")));
        let results: Value = serde_json::from_str(&results.expect("reads")).expect("JSON");
        for (name, our_name) in POLICIES {
            let theirs = results.as_array().expect("a list").iter();
            let theirs = theirs.clone().find(|one| one["policy"] == name).expect("the policy");
            let figure = |key: String| theirs[key].as_f64().expect("a figure");
            let ours = &ours["policies"][our_name];
            for (cache, their_cache) in CACHES {
                let hit = ours["hit_rate"][cache].as_f64().expect("a figure");
                let their_hit = figure(format!("hit_{their_cache}"));
                let case = format!("{trace} {fitted_on:?} {name} {cache}");
                assert!((hit - their_hit).abs() < 0.005, "{case}: {hit} {their_hit}");
                let cost = ours["cost_ratio"][cache].as_f64().expect("a figure");
                let their_cost = figure(format!("cost_{their_cache}")) / figure("base".into());
                assert!((cost / their_cost - 1.0).abs() < 0.03, "{case}: {cost} {their_cost}");
            }
        }
    }
}

/// The figures that hold for the policy of the kernel on these two, with some room.
#[test]
fn the_policy_of_the_kernel_is_better_than_those_of_the_study() {
    let Some(study) = study() else {
        skip("the context study", "its traces and results are not on this machine");
        return;
    };
    let machine = Machine::new();
    let run = |trace: &str, window: &str, prefer: &str| {
        let file = study.join(format!("{trace}.json")).display().to_string();
        let args = [
            "bench", "context", "--pages", &file, "--policy", "priced", "--window", window,
            "--prefer", prefer, "--json",
        ];
        let found = machine.aosk(&args).expect(0).json()["policies"]["priced"].clone();
        move |figure: &str| found.pointer(figure).and_then(Value::as_f64).expect("a figure")
    };
    let swe = run("sweA", "32000", "cost");
    assert!(swe("/hit_rate/anthropic5m") > 0.95 && swe("/hit_rate/openai") > 0.95);
    assert!(swe("/cost_ratio/anthropic5m") < 0.09 && swe("/ncr") > 0.99);
    assert!(run("sweA", "128000", "cost")("/cost_ratio/anthropic5m") < 0.022);
    assert!(run("sweA", "32000", "quality")("/ncr") > 0.9985);
    let full = run("sweA", "32000", "utilisation");
    assert!(full("/occupancy") > 0.91 && full("/hit_rate/anthropic5m") > 0.94);
    let full = run("sweA", "128000", "utilisation");
    assert!(full("/occupancy") > 0.92 && full("/hit_rate/anthropic5m") > 0.985);
    let tau = run("tauA", "32000", "cost");
    assert!(tau("/hit_rate/anthropic5m") > 0.98 && tau("/cost_ratio/anthropic5m") < 0.075);
}

/// A conversation whose answers stand in single turns.
fn asked() -> String {
    let turns = [
        ("Ann", "The spare key of the boat lies under the blue flowerpot."),
        ("Ben", "Good to know, I will be at the harbour on Sunday."),
        ("Ann", "My sister Rosa moved to Lisbon last spring."),
        ("Ben", "我上个月在上海的博物馆工作。"),
    ];
    let turns: Vec<Value> = (1..)
        .zip(turns)
        .map(|(at, (speaker, text))| {
            let id = format!("D1:{at}");
            serde_json::json!({
                "id": id, "session": 1, "time": "2:10 pm on 3 May, 2023", "speaker": speaker, "text": text,
            })
        })
        .collect();
    let question = |question: &str, evidence: &str| serde_json::json!({"question": question, "evidence": [evidence], "category": 1});
    let questions = [
        question("Where is the key of the boat?", "D1:1"),
        question("Which city does Ann's sister live in?", "D1:3"),
        question("谁在上海的博物馆工作？", "D1:4"),
        question("What is not said at all?", "D9:9"),
    ];
    serde_json::json!({"id": "1", "turns": turns, "questions": questions}).to_string()
}

#[test]
fn recall_is_counted() {
    let machine = Machine::new();
    let file = machine.write("asked.jsonl", asked());
    let json = machine.aosk(&["bench", "recall", &file, "--json"]).expect(0).json();
    assert_eq!((&json["questions"], &json["skipped"]), (&3.into(), &1.into()));
    for figure in ["recall_at_1", "recall_at_10", "recall_at_4000_tokens"] {
        assert_eq!(json[figure], 1.0, "{json}");
    }
    assert!(json["query_ms_p50"].as_f64().unwrap() >= 0.0 && json["embedder"].is_null(), "{json}");
    let table = machine.aosk(&["bench", "recall", &file]).expect(0);
    assert!(table.stdout.contains("1 question without evidence"), "{table:#?}");
    let broken = machine.write("broken.jsonl", "{\"id\": 1}");
    let ran = machine.aosk(&["bench", "recall", &broken]).expect(2);
    assert!(ran.stderr.contains("trace.invalid") && ran.stderr.contains("line 1"), "{ran:#?}");
}

#[test]
fn the_retrieval_set_is_recalled() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/retrieval/locomo-5.jsonl");
    let (Some(path), true) = (file.to_str(), file.exists()) else {
        return skip("the retrieval set", "it is not on this machine");
    };
    let json = Machine::new().aosk(&["bench", "recall", path, "--json"]).expect(0).json();
    assert!(json["recall_at_10"].as_f64().unwrap() > 0.80, "{json}");
    assert!(json["recall_at_4000_tokens"].as_f64().unwrap() > 0.94, "{json}");
}
