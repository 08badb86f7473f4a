//! `aosk serve`, and the commands that speak to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::machine::{Machine, Running, until};
use crate::model_server::{KEY, MODEL, ModelServer, Reply, Wire};
use crate::run::Scene;

/// A daemon on the scene's machine, once it listens.
fn serve(scene: &Scene, args: &[&str]) -> Running {
    let model = format!("openai:{MODEL}");
    let mut all = vec!["serve", "--model", &model, "--base-url", &scene.server.base_url];
    all.extend(args);
    let mut command = scene.machine.command(&all);
    command.env("OPENAI_API_KEY", KEY);
    let daemon = Running::start(command);
    daemon.says("listening on ");
    daemon
}

/// `aosk run` where a daemon has the data directory: it needs no model and no key.
fn run(machine: &Machine, args: &[&str]) -> Running {
    machine.start(&[&["run"], args].concat())
}

/// The daemon's answer to a request, and its status.
fn http(mut stream: impl Read + Write, request: &str) -> (u16, Value) {
    stream.write_all(request.as_bytes()).expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).expect("JSON"))
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n")
}

/// A process as the daemon sees it.
fn process(machine: &Machine, pid: u64) -> Value {
    let stream = UnixStream::connect(machine.data_dir().join("aosk.sock")).expect("connects");
    let (status, process) = http(stream, &get(&format!("/api/v1/processes/{pid}"), ""));
    assert_eq!(status, 200, "{process}");
    process
}

fn state(machine: &Machine, pid: u64) -> String {
    process(machine, pid)["state"].as_str().expect("a state").to_owned()
}

#[test]
fn a_daemon_that_is_killed_goes_on_with_its_processes() {
    let held = |text: &str| Reply::Held(Box::new(Reply::say(text)));
    let server = ModelServer::start(Wire::OpenAi, move |_, asked| {
        let task = asked.messages().last().and_then(|last| last["content"].as_str());
        held(&format!("did {}", task.unwrap_or_default()))
    });
    let scene = Scene::new(Wire::OpenAi, server);
    let daemon = serve(&scene, &["--slots", "4"]);
    let runs: Vec<_> = ["one", "two", "three"].map(|task| run(&scene.machine, &[task])).into();
    scene.server.wait_for_requests(3);
    assert!(daemon.kill().was_killed());
    for ended in runs {
        ended.finish().expect(4).error("api.no_daemon");
    }
    assert!(scene.machine.data_dir().join("aosk.sock").exists(), "the dead leave it");

    let daemon = serve(&scene, &["--slots", "4"]);
    scene.server.wait_for_requests(6);
    scene.server.release();
    let mut results: Vec<String> = (1..=3)
        .map(|pid| {
            until("the end of an agent", || {
                process(&scene.machine, pid)["result"].as_str().map(str::to_owned)
            })
        })
        .collect();
    results.sort_unstable();
    assert_eq!(results, ["did one", "did three", "did two"]);
    daemon.signal(Signal::TERM);
    daemon.finish().expect(0);
    scene.machine.aosk(&["audit", "verify"]).expect(0);
}

#[test]
fn a_run_in_a_daemon_is_as_one_without() {
    let replies = || vec![Reply::say("forty-two"), Reply::say("and this")];
    let (with, without) = (Scene::script(replies()), Scene::script(replies()));
    let daemon = serve(&with, &[]);
    for json in [&["--json"][..], &[]] {
        let here = run(&with.machine, &[&["what is it?"], json].concat()).finish().expect(0);
        let alone = without.run(&[&["what is it?"], json].concat()).expect(0);
        assert_eq!(here.stdout, alone.stdout);
        let ends = |text: &str| {
            let found = text.lines().find(|line| line.contains(": finished; "));
            found.map(str::to_owned).expect("how it ended")
        };
        if json.is_empty() {
            assert_eq!(ends(&here.stderr), ends(&alone.stderr));
        }
    }
    // What it asked of the model, too.
    let asked = |scene: &Scene| -> Vec<Value> {
        scene.server.requests().into_iter().map(|asked| asked.body).collect()
    };
    let without_paths = |scene: &Scene| {
        let text = json!(asked(scene)).to_string();
        scene.machine.redact(&text)
    };
    assert_eq!(without_paths(&with), without_paths(&without));
    drop(daemon);
}

#[test]
fn a_run_in_a_daemon_fails_as_one_without() {
    let refused = || Reply::Status(401, "", r#"{"error":{"message":"no"}}"#.to_owned());
    let (with, without) = (Scene::script(vec![refused()]), Scene::script(vec![refused()]));
    let daemon = serve(&with, &[]);
    let here = run(&with.machine, &["hello"]).finish().expect(3);
    let alone = without.run(&["hello"]).expect(3);
    let said = here.error("model.unauthorized");
    assert_eq!(said, alone.error("model.unauthorized"));
    for (args, says) in [
        (&["--resume"][..], "goes on with the agents"),
        (&["hello", "--slots", "3"], "--slots"),
        (&["hello", "--base-url", "http://127.0.0.1:1"], "--base-url"),
    ] {
        let ran = run(&with.machine, args).finish().expect(2);
        assert!(ran.error("cli.usage").contains(says), "{ran:#?}");
    }
    run(&with.machine, &["hello", "--model", "none:such"])
        .finish()
        .expect(2)
        .error("model.unknown");
    drop(daemon);
}

#[test]
fn a_run_that_is_left_goes_on_in_the_daemon() {
    let held = Reply::Held(Box::new(Reply::say("done all the same")));
    let scene = Scene::script(vec![held]);
    let daemon = serve(&scene, &[]);
    let running = run(&scene.machine, &["hello"]);
    running.says("p1 runs in the kernel");
    scene.server.wait_for_requests(1);
    running.signal(Signal::INT);
    let left = running.finish().expect(130);
    assert!(left.error("cli.interrupted").contains("aosk kill 1"), "{left:#?}");
    scene.server.release();
    until("the end of the agent", || {
        (process(&scene.machine, 1)["result"] == "done all the same").then_some(())
    });
    drop(daemon);
}

#[test]
fn processes_are_signalled_spoken_to_and_reniced() {
    let server = ModelServer::start(Wire::OpenAi, |_, asked| {
        let last = asked.messages().last().map(|last| last["content"].to_string());
        match last.unwrap_or_default().contains("hear this") {
            true => Reply::say("heard"),
            false => Reply::Stall,
        }
    });
    let scene = Scene::new(Wire::OpenAi, server);
    let machine = &scene.machine;
    let daemon = serve(&scene, &[]);
    let running = run(machine, &["hello"]);
    scene.server.wait_for_requests(1);
    assert_eq!(state(machine, 1), "running");
    machine.aosk(&["stop", "1"]).expect(0);
    assert_eq!(state(machine, 1), "stopped");
    machine.aosk(&["cont", "p1"]).expect(0);
    assert_eq!(state(machine, 1), "running");
    machine.aosk(&["signal", "1", "STOP"]).expect(0);
    assert_eq!(state(machine, 1), "stopped");
    machine.aosk(&["signal", "1", "cont"]).expect(0);
    machine.aosk(&["renice", "1", "7"]).expect(0);
    assert_eq!(process(machine, 1)["priority"], 7);
    machine.aosk(&["send", "1", "hear this"]).expect(0);
    machine.aosk(&["kill", "1", "--now"]).expect(0);
    let ended = running.finish().expect(1);
    assert!(ended.error("program.failed").contains("killed"), "{ended:#?}");
    assert_eq!(process(machine, 1)["status"], "killed");

    for gone in [&["kill", "1"][..], &["send", "1", "x"], &["renice", "1", "3"], &["stop", "99"]] {
        machine.aosk(gone).expect(2).error("kernel.no_such_process");
    }
    drop(daemon);
}

#[test]
fn a_policy_is_chosen_while_the_kernel_runs() {
    let scene = Scene::script(vec![]);
    let daemon = serve(&scene, &[]);
    let machine = &scene.machine;
    let policies = |args: &[&str]| machine.aosk(&[&["policy"], args].concat()).expect(0).stdout;
    assert_eq!(policies(&[]), "* fair\n  priority\n  round-robin\n  fifo\n");
    assert_eq!(policies(&["fifo"]), "  fair\n  priority\n  round-robin\n* fifo\n");
    let told: Value = serde_json::from_str(&policies(&["--json"])).expect("JSON");
    assert_eq!(told["scheduler"]["current"], "fifo");
    let none = machine.aosk(&["policy", "none"]).expect(2);
    assert!(none.error("cli.usage").contains("round-robin"), "{none:#?}");
    drop(daemon);
}

#[test]
fn a_budget_is_raised_while_the_kernel_runs() {
    let scene = Scene::script(vec![Reply::say("enough now")]);
    let machine = &scene.machine;
    let daemon = serve(&scene, &[]);
    let running = run(machine, &["hello", "--budget-tokens", "10", "--when-over", "ask"]);
    running.says("asks for a larger budget");
    let same = machine.aosk(&["budget", "set", "1", "--budget-tokens", "10"]).expect(2);
    assert!(same.error("cli.usage").contains("no other bounds"), "{same:#?}");
    let set = ["budget", "set", "1", "--budget-tokens", "100000", "--json"];
    let set = machine.aosk(&set).expect(0);
    assert_eq!(set.json()["limits"]["tokens"], 100_000);
    assert_eq!(set.json()["limits"]["steps"], 100, "the other bounds stay");
    assert_eq!(running.finish().expect(0).stdout, "enough now\n");
    let ended = machine.aosk(&["budget", "set", "1", "--budget-tokens", "9"]).expect(2);
    assert!(ended.error("cli.usage").contains("has ended"), "{ended:#?}");
    machine.aosk(&["budget", "set", "b77", "--budget-tokens", "9"]).expect(2).error("cli.usage");
    drop(daemon);
}

#[test]
fn a_person_answers_agents_that_ask() {
    let scene = Scene::script(vec![Reply::say("allowed")]);
    let machine = &scene.machine;
    let daemon = serve(&scene, &[]);
    let nothing = machine.aosk(&["approvals"]).expect(0);
    assert_eq!(
        (nothing.stdout.as_str(), nothing.stderr.trim()),
        ("", "nothing waits for a person")
    );
    let bounds = ["hello", "--budget-tokens", "10", "--when-over", "ask"];
    let one = run(machine, &bounds);
    one.says("asks for a larger budget");
    let two = run(machine, &bounds);
    two.says("asks for a larger budget");
    let listed = machine.aosk(&["approvals"]).expect(0).stdout;
    let rows: Vec<_> = listed.lines().map(|line| line.split_whitespace().next()).collect();
    assert_eq!(rows, [Some("PID"), Some("1"), Some("2")], "{listed}");
    assert!(listed.contains("tokens (0 of 10 used)"), "{listed}");
    let listed = machine.aosk(&["approvals", "--json"]).expect(0).json();
    assert_eq!((&listed[0]["id"], &listed[1]["id"]), (&"p1.c1".into(), &"p2.c1".into()));
    let why = machine.aosk(&["why", "1"]).expect(0).stdout;
    assert!(why.contains("`aosk approve 1 --budget-tokens N`"), "{why}");

    let same = machine.aosk(&["approve", "1"]).expect(2);
    assert!(same.error("cli.usage").contains("no larger bounds"), "{same:#?}");
    let note = ["--note", "for today"];
    machine.aosk(&[&["approve", "1", "--budget-tokens", "100000"], &note[..]].concat()).expect(0);
    assert_eq!(one.finish().expect(0).stdout, "allowed\n");
    machine.aosk(&["deny", "2", "--note", "too dear"]).expect(0);
    let denied = two.finish().expect(1);
    denied.error("budget.exceeded");
    for late in [&["approve", "1", "--budget-tokens", "9"][..], &["deny", "2"], &["deny", "77"]] {
        machine.aosk(late).expect(1).error("kernel.not_asking");
    }
    let logs = machine.aosk(&["logs", "1"]).expect(0).stdout;
    assert!(logs.contains("c1 of b2 granted by local: for today"), "{logs}");
    let logs = machine.aosk(&["logs", "2"]).expect(0).stdout;
    assert!(logs.contains("denied by local: too dear"), "{logs}");
    drop(daemon);
}

#[test]
fn it_ends_in_order_and_leaves_no_socket() {
    let scene = Scene::script(vec![Reply::say("ended while it stopped")]);
    let socket = scene.machine.data_dir().join("aosk.sock");
    let daemon = serve(&scene, &[]);
    // A second one does not take the socket of the first.
    let second = scene.machine.aosk(&["serve", "--model", "scripted"]).expect(4);
    second.error("store.locked");
    run(&scene.machine, &["hello"]).finish().expect(0);
    daemon.signal(Signal::TERM);
    let ended = daemon.finish().expect(0);
    assert_eq!(ended.stdout, "");
    assert!(!socket.exists());
    for command in [
        &["kill", "1"][..],
        &["stop", "1"],
        &["cont", "1"],
        &["signal", "1", "TERM"],
        &["send", "1", "x"],
        &["renice", "1", "3"],
        &["policy"],
        &["approvals"],
        &["approve", "1", "--budget-tokens", "9"],
        &["deny", "1"],
    ] {
        scene.machine.aosk(command).expect(4).error("api.no_daemon");
    }
}

#[test]
fn over_tcp_a_token_says_who_asks() {
    let scene = Scene::script(vec![]);
    let machine = &scene.machine;
    let daemon = serve(&scene, &["--listen", "127.0.0.1:0", "--json"]);
    let said = std::fs::read_to_string(machine.data_dir().join("server.json")).expect("reads");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let address = said["tcp"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL");
    let ask = |headers: &str| {
        http(TcpStream::connect(address).expect("connects"), &get("/api/v1/version", headers))
    };
    assert_eq!(ask("").0, 401);
    let token =
        machine.aosk(&["token", "create", "--role", "viewer", "--tenant", "acme"]).expect(0);
    let token = token.stdout.trim();
    let bearer = format!("authorization: Bearer {token}\r\n");
    assert_eq!(ask(&bearer).1["name"], "aosk");
    let more = ["token", "create", "--role", "admin", "--name", "mine", "--json"];
    let more = machine.aosk(&more).expect(0).json();
    assert_eq!((&more["role"], &more["name"]), (&json!("admin"), &json!("mine")));
    let list = machine.aosk(&["token", "list"]).expect(0).stdout;
    let rows: Vec<Vec<&str>> = list.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..3], ["viewer-1", "viewer", "acme"]);
    assert_eq!(rows[2][..3], ["mine", "admin", "(all)"]);
    assert!(!list.contains(token), "it is shown once");
    machine.aosk(&["token", "revoke", "viewer-1"]).expect(0);
    assert_eq!(ask(&bearer).0, 401);
    machine.aosk(&["token", "revoke", "viewer-1"]).expect(2).error("cli.usage");
    machine.aosk(&["token", "create", "--role", "root"]).expect(2).error("cli.usage");
    daemon.signal(Signal::INT);
    let ended = daemon.finish().expect(0);
    assert_eq!(ended.json()["tcp"], said["tcp"]);
}

/// What a daemon with these options has said on stderr that was asked for `/api/v1/version` as `order-17`.
fn logged(options: &[&str]) -> String {
    let machine = Machine::new();
    let daemon = machine.start(&[&["serve", "--model", "scripted"], options].concat());
    daemon.says("listening");
    let stream = UnixStream::connect(machine.data_dir().join("aosk.sock")).expect("connects");
    let (status, _) = http(stream, &get("/api/v1/version", "x-request-id: order-17\r\n"));
    assert_eq!(status, 200);
    daemon.signal(Signal::TERM);
    daemon.finish().expect(0).stderr
}

#[test]
fn a_request_leaves_one_line_in_the_log() {
    let json = logged(&["--log-format", "json"]);
    let lines: Vec<Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("each is JSON")).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 1, "{json}");
    let line = requests[0];
    assert_eq!(line["level"], "INFO");
    assert_eq!((&line["method"], &line["route"]), (&json!("GET"), &json!("/api/v1/version")));
    assert_eq!((&line["status"], &line["request_id"]), (&json!(200), &json!("order-17")));
    assert!(line["duration_ms"].is_number(), "{line}");
    assert!(
        lines.iter().any(|line| line["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("listening on "))),
        "{json}"
    );

    let text = logged(&["--log-format", "text"]);
    let line = text.lines().find(|line| line.contains("order-17")).expect("a line");
    assert!(line.contains("route=\"/api/v1/version\"") && line.contains("status=200"), "{line}");
    assert_eq!(logged(&[]).matches("order-17").count(), 0, "nobody asked for a log");
    let machine = Machine::new();
    machine.aosk(&["serve", "--log-format", "xml"]).expect(2).error("cli.usage");
}

#[test]
fn the_description_is_printed() {
    let printed = Machine::new().aosk(&["serve", "--print-openapi"]).expect(0).stdout;
    assert_eq!(printed, include_str!("../../../../docs/openapi.json"));
}

/// Agents who could write the tokens would be whoever they like.
#[test]
fn no_agent_works_where_the_tokens_are() {
    let scene = Scene::script(vec![]);
    let machine = &scene.machine;
    machine.aosk(&["token", "create", "--role", "viewer", "--tenant", "default"]).expect(2);
    machine.aosk(&["token", "create", "--role", "viewer"]).expect(0);
    let mode = std::fs::metadata(machine.data_dir()).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "the journal comes into it too");
    let data = machine.data_dir();
    let above = data.parent().expect("a parent");
    for bad in [above, &data] {
        let bad = bad.to_str().expect("UTF-8");
        let refused = machine.aosk(&["serve", "--model", "scripted", "--workspace", bad]).expect(2);
        let refused = refused.error("config.invalid");
        assert!(refused.contains("they could change the tokens"), "{refused}");
    }
    let daemon = serve(&scene, &[]);
    assert!(data.join("workspaces").join("default").is_dir());
    daemon.signal(Signal::INT);
    daemon.finish().expect(0);
}
