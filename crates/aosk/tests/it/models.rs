//! `aosk models`: what is known of models, a person's own figures, and whether models answer.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::machine::{Machine, Ran, Running, skip};
use crate::model_server::{KEY, MODEL, ModelServer, Reply, USAGE, Wire};

/// Two models of one's own: one that is in the data file too, and one that is not.
const OWN: &str = r#"{"models": [
  {"provider": "openai", "id": "test-model", "context": 9000, "capabilities": ["tools"],
   "input": 2000000, "output": 30000000, "as_of": "2026-11-01"},
  {"provider": "gemini", "id": "gemini-3.8-flash", "input": 1500000, "output": 7500000}
]}"#;

/// The program with these arguments, this configuration, and `models.json` beside it.
fn with_own(machine: &Machine, own: &str, args: &[&str]) -> Command {
    let config = machine.write("config.yaml", "slots: 2\n");
    machine.write("models.json", own);
    let mut all = vec!["--config", &config];
    all.extend(args);
    machine.command(&all)
}

fn finish(command: Command) -> Ran {
    Running::start(command).finish()
}

/// The rows of a list, by `provider:model`.
fn row<'a>(list: &'a Value, provider: &str, model: &str) -> &'a Value {
    let all = list.as_array().expect("a list");
    let found = all.iter().find(|row| row["provider"] == provider && row["model"] == model);
    found.unwrap_or_else(|| panic!("no {provider}:{model} in {list}"))
}

#[test]
fn the_list_says_what_is_known_and_whether_the_key_is_there() {
    let machine = Machine::new();
    let mut command = machine.command(&["models", "list", "--json"]);
    command.env("GEMINI_API_KEY", "a-key-nobody-sees").env("MISTRAL_API_KEY", " ");
    let ran = finish(command).expect(0);
    assert!(!(ran.stdout.clone() + &ran.stderr).contains("nobody-sees"), "{}", ran.stdout);
    let list = ran.json();
    let opus = row(&list, "anthropic", "claude-haiku-5-5");
    assert_eq!(
        (&opus["price"], &opus["long_price"]["above"], &opus["long_price"]["rates"]["input"]),
        (
            &json!({"input": 100_000, "cache_read": 10_000, "cache_write": 125_000, "output": 500_000}),
            &json!(100_000),
            &json!(500_000)
        )
    );
    assert!(opus["source"].as_str().is_some_and(|source| !source.is_empty()), "{opus}");
    let key = |provider: &str, model| row(&list, provider, model)["key"].clone();
    assert_eq!(
        key("gemini", "gemini-3.8-flash"),
        json!({"variable": "GEMINI_API_KEY", "set": true, "needed": true})
    );
    assert_eq!(key("mistral", "mistral-small-2603")["set"], false);
    let ollama = list.as_array().expect("a list").iter().find(|row| row["provider"] == "ollama");
    let ollama = ollama.expect("it is there, whatever it has");
    assert_eq!((&ollama["model"], &ollama["key"]["needed"]), (&Value::Null, &json!(false)));
}

#[test]
fn the_list_is_a_table_for_people() {
    let machine = Machine::new();
    let ran = machine.aosk(&["models", "list", "--provider", "kimi"]).expect(0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines.len() > 3, "{}", ran.stdout);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        words(lines[0]),
        ["PROVIDER", "MODEL", "WINDOW", "IN", "CACHED", "OUT", "CAN", "CLASS", "KEY", "AS", "OF"]
    );
    assert!(lines[1..].iter().all(|line| line.starts_with("moonshot ")), "{}", ran.stdout);
    let k2 = lines.iter().find(|line| line.contains("kimi-k2.6")).expect("is there");
    assert_eq!(words(k2)[1..6], ["kimi-k2.6", "262,144", "0.95", "0.16", "4.00"]);
    let ran = machine.aosk(&["models", "list", "--provider", "deepseek"]).expect(0);
    let flash = ran.stdout.lines().find(|line| line.contains("deepseek-flash")).expect("is there");
    assert_eq!(words(flash)[3], "0.30*", "other hours cost less");
    assert!(words(flash).contains(&"medium".to_owned()), "{flash}");
    let list = machine.aosk(&["models", "list", "--json"]).expect(0).json();
    let flash = row(&list, "deepseek", "deepseek-flash");
    assert_eq!(
        (&flash["off_peak_price"]["outside"], &flash["off_peak_price"]["rates"]["input"]),
        (&json!("mon-fri 01:00-04:00, mon-fri 06:00-10:00"), &json!(150_000))
    );
    let unknown = machine.aosk(&["models", "list", "--provider", "moonshit"]).expect(2);
    assert!(unknown.error("model.unknown").contains("did you mean moonshot?"));
}

#[test]
fn figures_of_ones_own_stand_in_front() {
    let machine = Machine::new();
    let list = finish(with_own(&machine, OWN, &["models", "list", "--json"])).expect(0).json();
    let flash = row(&list, "gemini", "gemini-3.8-flash");
    assert_eq!((&flash["price"]["input"], &flash["context"]), (&json!(1_500_000), &Value::Null));
    assert_eq!(flash["source"], machine.path("models.json").to_str().expect("UTF-8"));
    assert_eq!(row(&list, "openai", "test-model")["capabilities"], json!(["tools"]));
    let count = |list: &Value| list.as_array().expect("a list").len();
    let known = machine.aosk(&["models", "list", "--json"]).expect(0).json();
    assert_eq!(count(&list), count(&known) + 1);

    let wrong = OWN.replace("\"input\": 2000000", "\"input\": \"cheap\"");
    for args in [
        &["models", "list"][..],
        &["models", "test", "scripted"],
        &["run", "x", "--model", "scripted"],
    ] {
        let ran = finish(with_own(&machine, &wrong, args)).expect(2);
        let error = ran.error("config.invalid");
        assert!(error.contains("models.json: invalid type: string \"cheap\""), "{error}");
        assert!(error.contains("line 3 column"), "{error}");
    }
}

#[test]
fn models_that_answer_say_what_it_took_and_others_why_not() {
    let machine = Machine::new();
    let server = ModelServer::start(Wire::OpenAi, |_, asked| match &asked.body["max_tokens"] {
        small if *small == 32 => Reply::say("ready"),
        other => Reply::Status(400, "", format!("{{\"error\":{{\"message\":\"{other}\"}}}}")),
    });
    let model = format!("openai:{MODEL}");
    let args = ["models", "test", &model, "scripted", "--base-url", &server.base_url];
    let mut command = with_own(&machine, OWN, &[&args[..], &["--json"]].concat());
    command.env("OPENAI_API_KEY", KEY);
    let came = finish(command).expect(0).json();
    let answer = &came[0];
    assert_eq!((&answer["model"], &answer["ok"]), (&json!(model), &json!(true)));
    assert_eq!(answer["usage"]["input_uncached"], USAGE.0);
    // Two dollars and thirty for a million tokens.
    assert_eq!(answer["micro_usd"], USAGE.0 * 2 + USAGE.1 * 30);
    assert!(answer["first_token_ms"].as_u64() <= answer["all_ms"].as_u64(), "{answer}");
    assert!(answer["first_token_ms"].is_u64(), "it was streamed: {answer}");
    assert_eq!((&came[1]["model"], &came[1]["micro_usd"]), (&json!("scripted"), &json!(0)));

    let mut command = machine.command(&args);
    command.env("OPENAI_API_KEY", KEY);
    let ran = finish(command).expect(0);
    let line = ran.stdout.lines().nth(1).expect("a row");
    assert!(line.starts_with(&model) && line.ends_with("not known"), "{}", ran.stdout);
}

#[test]
fn one_that_fails_says_why_and_fails_the_test() {
    let machine = Machine::new();
    let body =
        r#"{"error":{"message":"no such key: test-key-7c1f","type":"x","code":"invalid_api_key"}}"#;
    let server =
        ModelServer::start(Wire::OpenAi, move |_, _| Reply::Status(401, "", body.to_owned()));
    let model = format!("openai:{MODEL}");
    let args = ["models", "test", "scripted", &model, "groq:m", "--base-url", &server.base_url];
    let run = |more: &[&str]| {
        let mut command = machine.command(&[&args, more].concat());
        command.env("OPENAI_API_KEY", KEY).env("GROQ_API_KEY", KEY);
        finish(command).expect(3)
    };
    let ran = run(&["--json"]);
    let came = ran.json();
    assert_eq!(came[0]["ok"], true);
    for failed in [&came[1], &came[2]] {
        assert_eq!(
            (&failed["ok"], &failed["error"]["code"]),
            (&json!(false), &json!("model.unauthorized"))
        );
        assert!(failed["error"]["hint"].as_str().is_some_and(|hint| hint.contains("key")));
    }
    assert!(!(ran.stdout + &ran.stderr).contains(KEY), "the key shows");
    let ran = run(&[]);
    assert!(
        ran.stderr.contains(&format!("{model}: error[model.unauthorized]: ")),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_names_all_of_the_configuration_are_asked() {
    let machine = Machine::new();
    let config = machine.write(
        "config.yaml",
        "default_model: quick\nroutes:\n  quick: [scripted, vllm:m]\ndevices:\n  vllm:m:\n    base_url: http://127.0.0.1:1/v1\n",
    );
    let came = machine.aosk(&["--config", &config, "models", "test", "--json"]).expect(3).json();
    let models: Vec<_> = came.as_array().expect("a list").iter().collect();
    assert_eq!(models.len(), 2, "{came}");
    assert_eq!((&models[0]["model"], &models[0]["ok"]), (&json!("scripted"), &json!(true)));
    assert_eq!(
        (&models[1]["model"], &models[1]["error"]["code"]),
        (&json!("vllm:m"), &json!("model.unreachable"))
    );
    // Without a configuration it is the one that an agent would ask.
    let came = machine.aosk(&["models", "test", "--json"]).expect(0).json();
    assert_eq!((&came[0]["model"], came.as_array().map(Vec::len)), (&json!("scripted"), Some(1)));
}

#[test]
fn one_that_does_not_answer_is_given_up() {
    let machine = Machine::new();
    let server = ModelServer::start(Wire::OpenAi, |_, _| Reply::Stall);
    let model = format!("openai:{MODEL}");
    let args = ["models", "test", &model, "--base-url", &server.base_url, "--timeout", "1"];
    let mut command = machine.command(&args);
    command.env("OPENAI_API_KEY", KEY);
    let ran = finish(command).expect(3);
    assert!(
        ran.stderr.contains("error[model.timeout]: asking openai:test-model"),
        "{}",
        ran.stderr
    );
    server.wait_for_hang_up();
}

/// A server that ends with the test.
struct Llama(Child);

impl Drop for Llama {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

/// llama.cpp's own server, where the machine has one: `AOSK_LLAMA`, or `shared/llama` beside the
/// checkout.
#[test]
fn a_real_server_answers() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/llama");
    let folder =
        std::env::var_os("AOSK_LLAMA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if !folder.join("llama-server").is_file() {
        skip("llama-server", "it is not here; set AOSK_LLAMA");
        return;
    }
    let mut command = Command::new(folder.join("llama-server"));
    command.arg("-m").arg(folder.join("random-tiny.gguf"));
    command.args(["--host", "127.0.0.1", "--port", "0", "-c", "1024", "-np", "1", "-t", "1"]);
    command.args(["--jinja", "--offline", "--no-ui", "--api-key", KEY]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let llama = Llama(child);
    let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("listening on http://")?;
        rest.split_whitespace().next().map(str::to_owned)
    });
    let base_url = format!("http://{}/v1", address.expect("it listens"));
    // The pipe must be read on, or the server stops when it is full.
    std::thread::spawn(move || lines.map_while(Result::ok).count());
    let machine = Machine::new();
    let models = ["llamacpp:any", "openai-responses:any"];
    let args = [&["models", "test"], &models[..], &["--base-url", &base_url, "--json"]].concat();
    let mut command = machine.command(&args);
    command.env("LLAMA_API_KEY", KEY).env("OPENAI_API_KEY", KEY);
    let came = finish(command).expect(0).json();
    for (at, model) in models.iter().enumerate() {
        let answer = &came[at];
        assert_eq!((&answer["model"], &answer["ok"]), (&json!(model), &json!(true)), "{came}");
        assert!(answer["usage"]["output"].as_u64() > Some(0), "{answer}");
        assert!(answer["usage"].get("estimated").is_none(), "{answer}");
    }
    drop(llama);
}
