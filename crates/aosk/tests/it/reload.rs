//! A daemon whose configuration changes while it runs, and one that tells a collector what it does.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::machine::{Machine, Running, until};
use crate::model_server::{KEY, MODEL, ModelServer, Reply, Wire};
use crate::run::Scene;

const CONFIG: &str = "config.yaml";

/// `aosk serve` with a configuration that says this, and nothing of it on the command line.
fn serving(scene: &Scene, config: &str) -> Command {
    let path = scene.machine.write(CONFIG, written(scene, config));
    let mut command = scene.machine.command(&["--config", &path, "serve"]);
    command.env("OPENAI_API_KEY", KEY);
    command
}

fn serve(scene: &Scene, config: &str) -> Running {
    let daemon = Running::start(serving(scene, config));
    daemon.says("listening on ");
    daemon
}

/// A configuration with the scene's model and what else it is to say.
fn written(scene: &Scene, config: &str) -> String {
    let base_url = &scene.server.base_url;
    format!("default_model: openai:{MODEL}\nbase_url: {base_url}\n{config}")
}

fn reload(machine: &Machine) -> Value {
    machine.aosk(&["config", "reload", "--json"]).expect(0).json()
}

/// The body of an answer over the socket.
fn ask(machine: &Machine, request: &str) -> Value {
    let mut stream = UnixStream::connect(machine.data_dir().join("aosk.sock")).expect("connects");
    stream.write_all(request.as_bytes()).expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).expect("JSON")
}

fn get(machine: &Machine, path: &str) -> Value {
    ask(machine, &format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"))
}

fn policy(machine: &Machine) -> Value {
    get(machine, "/api/v1/policies")["scheduler"]["current"].clone()
}

fn change(key: &str, from: Option<&str>, to: Option<&str>) -> Value {
    json!({ "key": key, "from": from, "to": to })
}

#[test]
fn more_slots_are_there_at_once_and_no_call_is_lost() {
    let server = ModelServer::start(Wire::OpenAi, |_, _| Reply::Held(Box::new(Reply::say("done"))));
    let scene = Scene::new(Wire::OpenAi, server);
    let daemon = serve(&scene, "slots: 1\n");
    let runs = ["one", "two"].map(|task| scene.machine.start(&["run", task]));
    scene.server.wait_for_requests(1);
    scene.machine.write(CONFIG, written(&scene, "slots: 2\nwindow: 5000\npolicy: fifo\n"));
    let told = reload(&scene.machine);
    let changed = json!([
        change("policy", Some("fair"), Some("fifo")),
        change("slots", Some("1"), Some("2"))
    ]);
    assert_eq!(told["changed"], changed);
    let window = json!([change("window", None, Some("5000"))]);
    assert_eq!(told["needs_restart"], window);
    scene.server.wait_for_requests(2);
    scene.server.release();
    for run in runs {
        run.finish().expect(0);
    }
    // What is in force is not new any more; what waits for a restart still does.
    assert_eq!(reload(&scene.machine), json!({ "changed": [], "needs_restart": window }));
    assert_eq!(policy(&scene.machine), "fifo");
    let kept = get(&scene.machine, "/api/v1/journal?kind=node.reconfigured");
    assert_eq!(kept["entries"].as_array().map(Vec::len), Some(1), "{kept}");
    assert_eq!(kept["entries"][0]["data"]["changes"], changed);
    daemon.signal(Signal::TERM);
    daemon.finish().expect(0);
    scene.machine.aosk(&["audit", "verify"]).expect(0);
}

#[test]
fn a_mistake_changes_nothing_and_is_told_with_its_line() {
    let scene = Scene::script(Vec::new());
    let daemon = serve(&scene, "policy: fair\n");
    scene.machine.write(CONFIG, written(&scene, "policy: fifo\nslots: none\n"));
    let failed = scene.machine.aosk(&["config", "reload"]).expect(2);
    let told = failed.error("config.invalid").to_owned();
    assert!(told.contains("line 4: slots is \"none\""), "{told}");
    assert_eq!(policy(&scene.machine), "fair");
    daemon.says("the configuration was not taken");
    // By a signal too, which ends nothing.
    scene.machine.write(CONFIG, written(&scene, "policy: fifo\n"));
    daemon.signal(Signal::HUP);
    daemon.says("the configuration was read: policy");
    assert_eq!(policy(&scene.machine), "fifo");
    daemon.signal(Signal::TERM);
    daemon.finish().expect(0);
}

#[test]
fn a_new_model_is_there_and_one_that_is_gone_is_named() {
    let scene = Scene::script(vec![Reply::say("hello")]);
    let daemon = serve(&scene, "devices:\n  openai:gpt-old:\n    slots: 2\n");
    let base_url = scene.server.base_url.clone();
    let devices = format!("devices:\n  openai:gpt-new:\n    slots: 3\n    base_url: {base_url}\n");
    scene.machine.write(CONFIG, written(&scene, &devices));
    let told = reload(&scene.machine);
    let gone = change("openai:gpt-old", Some("there"), None);
    assert_eq!(told["needs_restart"], json!([gone]));
    let new = change("openai:gpt-new", None, Some("there"));
    assert!(told["changed"].as_array().expect("a list").contains(&new), "{told}");
    let models = get(&scene.machine, "/api/v1/models");
    let names: Vec<_> =
        models["models"].as_array().expect("a list").iter().map(|m| &m["name"]).collect();
    assert!(names.contains(&&json!("openai:gpt-new")), "{models}");
    let body = r#"{"task":"say hello","model":"openai:gpt-new"}"#;
    let started = ask(
        &scene.machine,
        &format!(
            "POST /api/v1/processes HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let pid = started["pid"].as_u64().expect("a process");
    let result = until("the end of an agent", || {
        let process = get(&scene.machine, &format!("/api/v1/processes/{pid}"));
        process["result"].as_str().map(str::to_owned)
    });
    assert_eq!(result, "hello");
    daemon.signal(Signal::TERM);
    daemon.finish().expect(0);
}

#[test]
fn a_collector_is_told_in_the_trace_of_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    // Answers one request after another on each connection, and keeps what came.
    let collector = thread::spawn(move || {
        let mut all = Vec::new();
        while !contains(&all, b"POST /v1/metrics") {
            let (mut stream, _) = listener.accept().expect("accepts");
            let mut part = [0; 65_536];
            while let Ok(read @ 1..) = stream.read(&mut part) {
                all.extend_from_slice(&part[..read]);
                // One that is cut in two is answered twice, which the client does not mind.
                if stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .is_err()
                {
                    break;
                }
            }
        }
        all
    });
    let scene = Scene::script(vec![Reply::say("hello")]);
    let mut command = serving(&scene, &format!("otel:\n  endpoint: {endpoint}\n"));
    command.env("OTEL_SERVICE_NAME", "the-service");
    let daemon = Running::start(command);
    daemon.says("listening on ");
    let body = r#"{"task":"say hello"}"#;
    let started = ask(
        &scene.machine,
        &format!(
            "POST /api/v1/processes HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let pid = started["pid"].as_u64().expect("a process");
    until("the end of the agent", || {
        let process = get(&scene.machine, &format!("/api/v1/processes/{pid}"));
        process["result"].as_str().map(str::to_owned)
    });
    daemon.signal(Signal::TERM);
    daemon.finish().expect(0);
    let told = collector.join().expect("it ends");
    let trace = [
        0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47,
        0x36,
    ];
    for expected in [&trace[..], b"POST /v1/traces", b"invoke_agent agent", b"the-service"] {
        assert!(contains(&told, expected), "{:?}", String::from_utf8_lossy(expected));
    }
    assert!(!contains(&told, b"say hello"), "what is said is not told");
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}
