//! `aosk run` against a provider of the test's own.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::machine::{Machine, Ran, Running, is_alive, until};
use crate::model_server::{KEY, MODEL, ModelServer, Reply, STREAM_HEAD, USAGE, Wire};
use crate::store;

/// A machine and the provider that its agents ask.
pub(crate) struct Scene {
    pub(crate) machine: Machine,
    pub(crate) server: ModelServer,
    provider: &'static str,
    key_variable: &'static str,
}

impl Scene {
    pub(crate) fn new(wire: Wire, server: ModelServer) -> Self {
        let (provider, key_variable) = match wire {
            Wire::OpenAi => ("openai", "OPENAI_API_KEY"),
            Wire::Anthropic => ("anthropic", "ANTHROPIC_API_KEY"),
        };
        Self { machine: Machine::new(), server, provider, key_variable }
    }

    /// An OpenAI-compatible provider that gives these replies.
    pub(crate) fn script(replies: Vec<Reply>) -> Self {
        Self::new(Wire::OpenAi, ModelServer::script(Wire::OpenAi, replies))
    }

    /// `aosk run` with these arguments and the provider as its model.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let model = format!("{}:{MODEL}", self.provider);
        let base_url = match self.provider {
            "anthropic" => self.server.base_url.trim_end_matches("/v1"),
            _ => &self.server.base_url,
        };
        let mut all = vec!["run", "--model", &model, "--base-url", base_url];
        all.extend(args);
        let mut command = self.machine.command(&all);
        command.env(self.key_variable, KEY);
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.start(args).finish()
    }

    fn work(&self, name: &str) -> PathBuf {
        self.machine.path("work").join(name)
    }
}

fn calculate(id: &'static str, expression: &str) -> Reply {
    Reply::call(id, "calculator", &json!({ "expression": expression }))
}

/// The texts of the tool results of the last request.
fn results(scene: &Scene) -> Vec<String> {
    let requests = scene.server.requests();
    let messages = requests.last().expect("a request").messages();
    let of_tools = messages.iter().filter(|message| message["role"] == "tool");
    of_tools.map(|message| message["content"].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn an_answer_is_the_result() {
    let scene = Scene::script(vec![Reply::say("17 × 23 = 391 ✓"), Reply::say("again")]);
    let ran = scene.run(&["What is 17 * 23?", "--system", "Be brief."]).expect(0);
    assert_eq!(ran.stdout, "17 × 23 = 391 ✓\n", "stdout is the answer and nothing else");
    assert!(!ran.stderr.contains("error"), "{ran:#?}");
    let ran = scene.run(&["And again?", "--json"]).expect(0);
    let expected = json!({
        "pid": 2, "status": "finished", "finished": true, "result": "again", "steps": 1,
        "model_calls": 1, "tool_calls": 0, "input_tokens": USAGE.0, "cached_tokens": 0,
        "output_tokens": USAGE.1, "cost_micro_usd": 0, "code": null,
    });
    assert_eq!(ran.json(), expected);
    let requests = scene.server.requests();
    let conversation = json!([
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 17 * 23?"},
    ]);
    assert_eq!(requests[0].body["messages"], conversation);
    // The level is STANDARD unless one says more.
    let tools = requests[0].tools();
    for tool in ["calculator", "read_file", "write_file", "spawn_agent", "finish"] {
        assert!(tools.contains(&tool), "{tool}: {tools:?}");
    }
    assert!(!tools.contains(&"run_command"), "{tools:?}");
}

#[test]
fn a_tool_call_is_made_and_its_result_sent_back() {
    let scene = Scene::script(vec![calculate("call_1", "17 * 23"), Reply::say("391")]);
    let ran = scene.run(&["What is 17 * 23?", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "391");
    assert_eq!(ran.json()["tool_calls"], 1);
    let requests = scene.server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].roles(), ["system", "user", "assistant", "tool"]);
    let (first, second) = (requests[0].messages(), requests[1].messages());
    assert_eq!(&second[..2], first, "what was sent once is sent the same again");
    assert_eq!(second[2]["tool_calls"][0]["function"]["arguments"], r#"{"expression":"17 * 23"}"#);
    assert_eq!(second[3], json!({"role": "tool", "tool_call_id": "call_1", "content": "391"}));
    assert_eq!(requests[0].body["tools"], requests[1].body["tools"]);
}

#[test]
fn parallel_calls_return_in_the_models_order() {
    let wish = |text: &str| json!({"path": "notes.txt", "content": text}).to_string();
    let wishes = vec![
        ("a", "calculator", json!({"expression": "1+1"}).to_string()),
        ("b", "write_file", wish("two\n")),
        ("c", "calculator", json!({"expression": "2+2"}).to_string()),
    ];
    let scene = Scene::script(vec![Reply::Call(wishes), Reply::say("done")]);
    scene.run(&["do three things"]).expect(0);
    let requests = scene.server.requests();
    let ids: Vec<&Value> = requests[1].messages()[3..].iter().map(|m| &m["tool_call_id"]).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let results = results(&scene);
    assert_eq!((results[0].as_str(), results[2].as_str()), ("2", "4"));
    assert_eq!(std::fs::read_to_string(scene.work("notes.txt")).expect("reads"), "two\n");
}

#[test]
fn a_model_that_errs_is_told_and_can_correct_itself() {
    let scene = Scene::script(vec![
        Reply::call("a", "calculator", &json!({"expr": "1+1"})),
        Reply::Call(vec![("b", "calculator", "{not json".to_owned())]),
        Reply::call("c", "calculater", &json!({"expression": "1+1"})),
        Reply::call("d", "read_file", &json!({"path": "../../etc/passwd"})),
        Reply::call("e", "read_file", &json!({"path": "missing.txt"})),
        Reply::call("f", "spawn_agent", &json!({"name": "x"})),
        calculate("g", "1+1"),
        Reply::say("2"),
    ]);
    let ran = scene.run(&["1+1?", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "2");
    let results = results(&scene);
    let codes: Vec<&str> =
        results.iter().map(|r| r.split(':').next().unwrap_or_default()).collect();
    let expected = [
        "tool.arguments",
        "tool.arguments",
        "tool.unknown",
        "tool.path_escape",
        "tool.failed",
        "tool.arguments",
        "2",
    ];
    assert_eq!(codes, expected, "{results:#?}");
    assert!(results[2].contains("calculator"), "a near name is named: {}", results[2]);
}

#[test]
fn a_limit_and_a_failure_of_the_provider_are_waited_out() {
    let scene = Scene::script(vec![
        Reply::Status(
            429,
            "retry-after: 0.05\r\n",
            r#"{"error":{"message":"slow down"}}"#.to_owned(),
        ),
        Reply::say("one"),
        Reply::Status(500, "", r#"{"error":{"message":"oops"}}"#.to_owned()),
        Reply::say("two"),
    ]);
    for (said, class, code) in
        [("one", "rate_limited", "model.rate_limited"), ("two", "transient", "model.server")]
    {
        let ran = scene.run(&["hello", "--json"]).expect(0);
        assert_eq!(ran.json()["result"], said);
        assert_eq!(ran.json()["model_calls"], 1, "a retry is the same call");
        let pid = ran.json()["pid"].to_string();
        let log = scene.machine.aosk(&["logs", &pid, "--json"]).expect(0);
        let entries: Vec<Value> =
            log.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let retried: Vec<&Value> =
            entries.iter().filter(|entry| entry["kind"] == "model.retried").collect();
        assert_eq!(retried.len(), 1, "{log:#?}");
        assert_eq!(retried[0]["fact"]["class"], class);
        assert_eq!(retried[0]["fact"]["code"], code);
    }
    let requests = scene.server.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0].body, requests[1].body, "it is asked the same again");
}

/// Whoever waits is told why, while it lasts and not in the end.
#[test]
fn every_retry_is_told_of_in_a_line() {
    let again = |status, headers| {
        Reply::Status(status, headers, r#"{"error":{"message":"please wait"}}"#.to_owned())
    };
    let last = Reply::Held(Box::new(Reply::say("at last")));
    let scene = Scene::script(vec![again(429, "retry-after: 0.05\r\n"), again(500, ""), last]);
    let running = scene.start(&["hello"]);
    scene.server.wait_for_requests(2);
    running.says("attempt 2 of 6 failed");
    scene.server.release();
    let ran = running.finish().expect(0);
    assert_eq!(ran.stdout, "at last\n");
    let told: Vec<&str> = ran.stderr.lines().filter(|line| line.contains(", again in ")).collect();
    assert_eq!(told.len(), 2, "{ran:#?}");
    let failed = [(1, 12, "model.rate_limited"), (2, 6, "model.server")];
    for (line, (number, most, code)) in told.iter().zip(failed) {
        let begin = format!("agent (p1): attempt {number} of {most} failed [{code}], again in ");
        assert!(line.starts_with(&begin) && line.contains("please wait"), "{line}");
    }
}

/// Answers that are no answers: none hangs, none is taken for one.
#[test]
fn a_broken_answer_is_asked_for_again() {
    let cut = format!("{STREAM_HEAD}20\r\ndata: {{\"choices\":[{{\"index\":0,\"del");
    let no_json = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: {oops\n\n";
    let silent = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let html = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html><body>Bad gateway</body></html>";
    for (name, bytes) in [
        ("cut", cut.as_str()),
        ("no JSON", no_json),
        ("silent", silent),
        ("HTML", html),
        ("hung up", ""),
    ] {
        let scene = Scene::script(vec![Reply::Raw(bytes.to_owned()), Reply::say("fine")]);
        let ran = scene.run(&["hello", "--json"]);
        assert_eq!(ran.status.code(), Some(0), "{name}: {ran:#?}");
        assert_eq!(ran.json()["result"], "fine", "{name}");
        assert_eq!(scene.server.requests().len(), 2, "{name}");
    }
}

#[test]
fn a_page_instead_of_an_answer_says_what_to_do() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 26\r\n\r\n<html><h1>Login</h1></html>";
    let replies = vec![Reply::Raw(html.to_owned()); 6];
    let scene = Scene::script(replies);
    let ran = scene.run(&["hello"]).expect(3);
    let error = ran.error("model.malformed");
    assert!(error.contains("; hint: "), "{error}");
}

#[test]
fn a_refused_key_ends_the_run_at_once() {
    let body = r#"{"error":{"message":"Incorrect API key provided: test-key-7c1f","code":"invalid_api_key"}}"#;
    let scene = Scene::script(vec![Reply::Status(401, "", body.to_owned())]);
    let ran = scene.run(&["hello", "--json"]).expect(3);
    let error = ran.error("model.unauthorized");
    assert!(error.contains("Incorrect API key") && error.contains("; hint: "), "{error}");
    assert!(error.contains("OPENAI_API_KEY"), "the hint names the variable: {error}");
    assert!(!ran.stderr.contains(KEY) && !ran.stdout.contains(KEY), "no key is shown: {ran:#?}");
    assert_eq!(ran.json()["finished"], false);
    assert_eq!(ran.json()["status"], "failed (model.unauthorized)");
    assert_eq!(scene.server.requests().len(), 1, "asking again would not help");
    let database = std::fs::read(scene.machine.data_dir().join("aosk.db")).expect("reads");
    assert!(!database.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()), "no key is kept");
}

/// The kernel asks six times with growing pauses, some thirteen seconds in all: enough for a server
/// that restarts, not more than a person waits.
#[test]
fn a_server_that_is_not_there_is_given_up_in_time() {
    let machine = Machine::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = nobody.local_addr().expect("has an address");
    drop(nobody);
    let base_url = format!("http://{address}/v1");
    let began = Instant::now();
    let ran = machine
        .aosk(&["run", "hello", "--model", "openai:local", "--base-url", &base_url])
        .expect(3);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(40), "{took:?}");
    let error = ran.error("model.unreachable");
    assert!(error.contains("refused") && error.contains("; hint: "), "{error}");
    eprintln!("given up after {took:?}");
}

#[test]
fn interrupted_in_the_middle_of_an_answer_it_hangs_up_and_resumes() {
    let scene = Scene::script(vec![Reply::Stall, Reply::Stall, Reply::say("done at last")]);
    let running = scene.start(&["take your time"]);
    scene.server.wait_for_requests(1);
    // Once: the answer gets a few seconds to end, and does not.
    running.signal(Signal::INT);
    running.says("stopping");
    let ran = running.finish().expect(130);
    assert!(ran.error("cli.interrupted").contains("aosk run --resume"), "{ran:#?}");
    assert_eq!(ran.stdout, "");
    scene.server.wait_for_hang_up();

    // Twice: at once.
    let running = scene.start(&["--resume"]);
    scene.server.wait_for_requests(2);
    running.signal(Signal::TERM);
    running.says("stopping");
    running.signal(Signal::INT);
    running.finish().expect(130);

    let ran = scene.run(&["--resume", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "done at last");
    assert_eq!(ran.json()["pid"], 1);
    assert_eq!(ran.json()["model_calls"], 1, "the call is the same one all along");
    let requests = scene.server.requests();
    assert_eq!(requests[0].body, requests[2].body);
    store::check_calls(&store::facts(&scene.machine.data_dir()));
}

#[test]
fn anthropic_messages_work_likewise() {
    let script = vec![
        Reply::Call(vec![
            ("toolu_1", "calculator", json!({"expression": "6*7"}).to_string()),
            ("toolu_2", "calculator", json!({"expression": "7*6"}).to_string()),
        ]),
        Reply::say("42, 两次"),
        Reply::Status(
            529,
            "retry-after: 0.05\r\n",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#.to_owned(),
        ),
        Reply::say("better"),
        Reply::Status(
            401,
            "",
            r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#.to_owned(),
        ),
    ];
    let scene = Scene::new(Wire::Anthropic, ModelServer::script(Wire::Anthropic, script));
    let ran = scene.run(&["6*7?", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "42, 两次");
    assert_eq!(ran.json()["input_tokens"], 2 * USAGE.0);
    assert_eq!(ran.json()["output_tokens"], 2 * USAGE.1);
    let requests = scene.server.requests();
    let last = requests[1].messages().last().expect("a message")["content"].clone();
    assert_eq!(last[0]["content"], json!([{"type": "text", "text": "42"}]));
    assert_eq!(last[1]["tool_use_id"], "toolu_2");

    assert_eq!(scene.run(&["well?", "--json"]).expect(0).json()["result"], "better");
    let ran = scene.run(&["and now?"]).expect(3);
    assert!(ran.error("model.unauthorized").contains("ANTHROPIC_API_KEY"), "{ran:#?}");
}

#[test]
fn agents_start_others_and_get_their_results() {
    // The server tells the agents apart by what they are asked to do.
    let server = ModelServer::start(Wire::OpenAi, |_, asked| {
        let task = asked.messages()[1]["content"].as_str().unwrap_or_default().to_owned();
        let turns = asked.roles().iter().filter(|role| **role == "assistant").count();
        match (task.as_str(), turns) {
            ("lead", 0) => Reply::Call(vec![
                (
                    "s1",
                    "spawn_agent",
                    json!({"name": "adder", "task": "add", "tools": ["calculator"]}).to_string(),
                ),
                (
                    "s2",
                    "spawn_agent",
                    json!({"name": "talker", "task": "talk", "wait": true}).to_string(),
                ),
            ]),
            ("lead", 1) => Reply::call("w", "wait_agent", &json!({"pid": "p2"})),
            ("lead", 2) => Reply::call("w2", "wait_agent", &json!({})),
            ("lead", 3) => Reply::call("f", "finish", &json!({"result": "all in"})),
            ("add", 0) => calculate("c", "1+2"),
            ("add", 1) => Reply::call("f", "finish", &json!({"result": "three"})),
            ("talk", 0) => Reply::say("hello from below"),
            (task, turns) => {
                Reply::Status(400, "", format!("{{\"error\":{{\"message\":\"{task} {turns}?\"}}}}"))
            }
        }
    });
    let scene = Scene::new(Wire::OpenAi, server);
    let ran = scene.run(&["lead", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "all in");
    let requests = scene.server.requests();
    let lead =
        requests.iter().rfind(|asked| asked.messages()[1]["content"] == "lead").expect("asks");
    let results: Vec<Value> = lead
        .messages()
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| {
            let text = message["content"].as_str().expect("a text");
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        })
        .collect();
    assert_eq!(results[0], json!({"pid": "p2"}));
    assert_eq!(
        results[1],
        json!({"pid": "p3", "status": "finished", "result": "hello from below"})
    );
    assert_eq!(results[2], json!({"pid": "p2", "status": "finished", "result": "three"}));
    let none_left = results[3].as_str().expect("a refusal");
    assert!(none_left.starts_with("kernel."), "no child is left to wait for: {none_left}");
    // The child had the tools that it was given, and those that every agent has.
    let adder =
        requests.iter().find(|asked| asked.messages()[1]["content"] == "add").expect("asks");
    assert_eq!(
        adder.tools(),
        ["calculator", "send_message", "receive_message", "recall", "search_memory", "finish"]
    );
    store::check_calls(&store::facts(&scene.machine.data_dir()));
}

#[test]
fn agents_send_messages_to_each_other() {
    let server = ModelServer::start(Wire::OpenAi, |_, asked| {
        let task = asked.messages()[1]["content"].as_str().unwrap_or_default().to_owned();
        let turns = asked.roles().iter().filter(|role| **role == "assistant").count();
        match (task.as_str(), turns) {
            ("ask", 0) => {
                Reply::call("s", "spawn_agent", &json!({"name": "oracle", "task": "answer"}))
            }
            ("ask", 1) => {
                Reply::call("m", "send_message", &json!({"to": "oracle", "text": "why?"}))
            }
            ("ask", 2) => {
                Reply::call("r", "receive_message", &json!({"from": "oracle", "timeout_s": 60}))
            }
            ("ask", 3) => Reply::call("t", "receive_message", &json!({"timeout_s": 0.05})),
            ("ask", 4) => {
                Reply::call("g", "send_message", &json!({"to": "nobody", "text": "there?"}))
            }
            ("ask", 5) => Reply::call("w", "wait_agent", &json!({})),
            ("ask", 6) => Reply::say("I see"),
            ("answer", 0) => Reply::call("r", "receive_message", &json!({})),
            ("answer", 1) => {
                Reply::call("m", "send_message", &json!({"to": "p1", "text": "because 因为"}))
            }
            ("answer", 2) => Reply::say("answered"),
            (task, turns) => {
                Reply::Status(400, "", format!("{{\"error\":{{\"message\":\"{task} {turns}?\"}}}}"))
            }
        }
    });
    let scene = Scene::new(Wire::OpenAi, server);
    let ran = scene.run(&["ask", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "I see");
    let results = results(&scene);
    assert_eq!(results[0], r#"{"pid":"p2"}"#);
    assert_eq!(results[1], r#"{"sent":true}"#);
    let received: Value = serde_json::from_str(&results[2]).expect("JSON");
    assert_eq!(received["from"], "p2");
    assert_eq!(received["text"], "Message from oracle (p2): because 因为");
    assert_eq!(results[3], r#"{"timed_out":true}"#);
    assert!(results[4].starts_with("kernel.no_such_process: "), "{}", results[4]);
    let ended: Value = serde_json::from_str(&results[5]).expect("JSON");
    assert_eq!(ended, json!({"pid": "p2", "status": "finished", "result": "answered"}));
}

#[test]
fn files_are_written_and_read_in_the_workspace() {
    let scene = Scene::script(vec![
        Reply::call(
            "a",
            "write_file",
            &json!({"path": "deep/er/file.txt", "content": "one\ntwo 二\n"}),
        ),
        Reply::call("b", "read_file", &json!({"path": "deep/er/file.txt"})),
        Reply::call("c", "write_file", &json!({"path": "/etc/aosk-test", "content": "no"})),
        Reply::say("done"),
    ]);
    let elsewhere = scene.machine.path("elsewhere");
    std::fs::create_dir(&elsewhere).expect("makes a directory");
    let ran = scene
        .run(&["write", "--workspace", elsewhere.to_str().expect("UTF-8"), "--json"])
        .expect(0);
    assert_eq!(ran.json()["tool_calls"], 3);
    let content = std::fs::read_to_string(elsewhere.join("deep/er/file.txt")).expect("reads");
    assert_eq!(content, "one\ntwo 二\n");
    let results = results(&scene);
    assert!(results[1].contains("two 二"), "{}", results[1]);
    assert!(results[2].starts_with("tool.path_escape: "), "{}", results[2]);
    assert!(!std::path::Path::new("/etc/aosk-test").exists());
}

#[test]
fn commands_run_only_where_that_is_permitted() {
    let command =
        json!({"command": "printf 'made by %s' \"$0\" > made.txt; echo out; echo err >&2; exit 3"});
    let call = || vec![Reply::call("a", "run_command", &command), Reply::say("done")];
    let scene = Scene::script([call(), call()].concat());
    scene.run(&["run it"]).expect(0);
    let denied = results(&scene);
    assert!(denied[0].starts_with("tool.denied: "), "{denied:?}");
    assert!(!scene.work("made.txt").exists(), "nothing was run");

    scene.run(&["run it", "--permission", "advanced"]).expect(0);
    let ran = results(&scene);
    assert!(ran[0].starts_with("exit code 3\n"), "{ran:?}");
    assert!(ran[0].contains("out") && ran[0].contains("err"), "{ran:?}");
    assert!(scene.work("made.txt").exists());
    assert!(scene.server.requests()[2].tools().contains(&"run_command"));
}

#[test]
fn a_flood_of_output_is_bounded() {
    let command = "head -c 104857600 /dev/zero | tr '\\0' x; echo end";
    let scene = Scene::script(vec![
        Reply::call("a", "run_command", &json!({ "command": command })),
        Reply::say("much"),
    ]);
    scene.run(&["flood", "--permission", "advanced"]).expect(0);
    let result = &results(&scene)[0];
    assert!(result.len() <= 17 * 1024, "{} bytes", result.len());
    assert!(result.starts_with("exit code 0\n"), "{}", &result[..200]);
    assert!(result.trim_end().ends_with("end"), "the end is kept");
    assert!(result.contains("xxxx"), "the beginning is kept");
    let size = std::fs::metadata(scene.machine.data_dir().join("aosk.db")).expect("is there").len();
    assert!(size < 4 << 20, "the store has {size} bytes");
}

#[test]
fn a_budget_stops_the_agent_and_says_which() {
    let endless = || {
        // Something new each time: the same again and again would be a runaway.
        let server =
            ModelServer::start(Wire::OpenAi, |index, _| calculate("a", &format!("1+{index}")));
        Scene::new(Wire::OpenAi, server)
    };
    let scene = endless();
    let ran = scene.run(&["for ever", "--max-steps", "3", "--json"]).expect(1);
    let error = ran.error("budget.exceeded");
    assert!(error.contains("out of budget (steps)") && error.contains("--max-steps"), "{error}");
    assert_eq!(ran.json()["model_calls"], 3);
    assert_eq!(ran.json()["status"], "out of budget (steps)");
    assert_eq!(scene.server.requests().len(), 3);

    let scene = endless();
    let ran = scene.run(&["for ever", "--budget-tokens", "20000", "--json"]).expect(1);
    let error = ran.error("budget.exceeded");
    assert!(
        error.contains("out of budget (tokens)") && error.contains("--budget-tokens"),
        "{error}"
    );
    let used = ran.json()["input_tokens"].as_u64().expect("a figure")
        + ran.json()["output_tokens"].as_u64().expect("a figure");
    assert!(used <= 20_000, "{used}");
    assert!(!scene.server.requests().is_empty(), "there was room for some calls");

    // Known by name, so that there is a price to reckon with.
    let scene = endless();
    let mut command = scene.machine.command(&["run", "for ever", "--model", "openai:gpt-5.4-mini"]);
    command.args(["--base-url", &scene.server.base_url, "--budget-usd", "0.0001", "--json"]);
    command.env("OPENAI_API_KEY", KEY);
    let ran = Running::start(command).finish().expect(1);
    let error = ran.error("budget.exceeded");
    assert!(error.contains("out of budget (money)") && error.contains("--budget-usd"), "{error}");
    assert_eq!(ran.json()["model_calls"], 0, "no call that could cost more is begun: {ran:#?}");
}

#[test]
fn a_budget_of_time_ends_a_call_that_takes_too_long() {
    let scene = Scene::script(vec![Reply::Stall]);
    let ran = scene.run(&["hurry", "--budget-seconds", "1", "--json"]).expect(1);
    let error = ran.error("budget.exceeded");
    assert!(error.contains("(wall time)") && error.contains("--budget-seconds"), "{error}");
    assert_eq!(ran.json()["finished"], false);
    scene.server.wait_for_hang_up();
}

#[test]
fn killed_in_the_middle_of_a_model_call_it_asks_again() {
    let scene = Scene::script(vec![calculate("a", "2*3"), Reply::Stall, Reply::say("six")]);
    let running = scene.start(&["2*3?"]);
    scene.server.wait_for_requests(2);
    assert!(running.kill().was_killed());
    scene.server.wait_for_hang_up();
    let ran = scene.run(&["--resume", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "six");
    assert_eq!(ran.json()["tool_calls"], 1, "the tool was not called again");
    let requests = scene.server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[1].body, requests[2].body);
    store::check_calls(&store::facts(&scene.machine.data_dir()));
    let ran = scene.run(&["--resume"]).expect(0);
    assert!(ran.stderr.contains("nothing to resume"), "{ran:#?}");
    assert_eq!(scene.server.requests().len(), 3);
}

#[test]
fn killed_in_the_middle_of_a_command_the_model_is_told_so() {
    let command = json!({"command": "echo $$ > pid.part; mv pid.part pid; echo once >> count; exec sleep 600"});
    let scene =
        Scene::script(vec![Reply::call("a", "run_command", &command), Reply::say("I saw it")]);
    let running = scene.start(&["run", "--permission", "advanced"]);
    let pid = until("the command's process id", || std::fs::read_to_string(scene.work("pid")).ok());
    until("the command at work", || scene.work("count").exists().then_some(()));
    assert!(running.kill().was_killed());
    // The command dies with the kernel that started it.
    until("the end of the command", || (!is_alive(&pid)).then_some(()));
    let ran = scene.run(&["--resume", "--json"]).expect(0);
    assert_eq!(ran.json()["result"], "I saw it");
    let results = results(&scene);
    assert!(results[0].starts_with("tool.interrupted: "), "{results:?}");
    let count = std::fs::read_to_string(scene.work("count")).expect("reads");
    assert_eq!(count, "once\n", "it was not run again in silence");
    store::check_calls(&store::facts(&scene.machine.data_dir()));
}

#[test]
fn without_a_provider_the_offline_model_answers() {
    let machine = Machine::new();
    let ran = machine.aosk(&["run", "What is 17 * 23?", "--json"]).expect(0);
    assert!(ran.stderr.contains("offline scripted model"), "{ran:#?}");
    assert_eq!(ran.json()["finished"], true);
}
