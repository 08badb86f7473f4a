//! Tasks and summaries of an agent, through the program: what they leave in the window, and what that
//! saves.

use std::fs;

use serde_json::json;

use crate::machine::Ran;
use crate::model_server::{Asked, MODEL, ModelServer, Reply, Wire};
use crate::run::Scene;
use crate::store;

/// Files that are read in each piece of work, and pieces of a session.
const FILES: usize = 6;
const PIECES: usize = 6;

fn part(number: usize) -> String {
    format!("part {number}\n{}", "words of it go on and on\n".repeat(60))
}

/// What the model of a session says at each request. With `tasks` it says where each piece of work
/// begins and ends; without, it makes as many calls.
fn works(index: usize, tasks: bool) -> Reply {
    let (piece, step) = (index / (FILES + 2), index % (FILES + 2));
    let file = json!({ "path": format!("part{}.txt", piece * FILES + step.saturating_sub(1)) });
    let list = json!({ "path": "." });
    match step {
        _ if piece >= PIECES => Reply::say("all is done"),
        0 if tasks => Reply::call("b", "begin_task", &json!({ "goal": format!("piece {piece}") })),
        1..=FILES => Reply::call("r", "read_file", &file),
        0 => Reply::call("l", "list_files", &list),
        _ if tasks => Reply::call("e", "end_task", &json!({ "result": format!("found {piece}") })),
        _ => Reply::call("l", "list_files", &list),
    }
}

fn prepared(server: ModelServer) -> Scene {
    let scene = Scene::new(Wire::OpenAi, server);
    for number in 0..FILES * PIECES {
        let file = scene.machine.path(&format!("work/part{number}.txt"));
        fs::write(file, part(number)).expect("writes a part");
    }
    scene
}

fn size(asked: &Asked) -> usize {
    asked.body["messages"].to_string().len()
}

fn session(tasks: bool) -> (Scene, Vec<Asked>) {
    let scene = prepared(ModelServer::start(Wire::OpenAi, move |index, _| works(index, tasks)));
    let args = ["do the work", "--window", "128000", "--max-steps", "500", "--tasks"];
    scene.run(if tasks { &args } else { &args[..5] }).expect(0);
    let requests = scene.server.requests();
    (scene, requests)
}

#[test]
fn what_is_done_in_tasks_takes_less_of_the_window() {
    let (_, plain) = session(false);
    let (scene, tasks) = session(true);
    assert_eq!(plain.len(), tasks.len());
    let sum = |requests: &[Asked]| requests.iter().map(size).sum::<usize>();
    let (without, with) = (sum(&plain), sum(&tasks));
    eprintln!("input of {} calls: {without} bytes without tasks, {with} with", tasks.len());
    assert!(with * 3 < without, "{with} of {without}");

    // At the end the goals and results are shown, and nothing of what was read.
    let last = tasks.last().expect("it asked").body["messages"].to_string();
    for piece in 0..PIECES {
        assert!(last.contains(&format!("piece {piece}")), "{last}");
        assert!(last.contains(&format!("found {piece}")), "{last}");
    }
    assert!(!last.contains("words of it"), "{last}");

    let machine = &scene.machine;
    let object = machine.aosk(&["mem", "1", "--json"]).expect(0).json();
    assert_eq!(object["tasks"].as_array().map(Vec::len), Some(PIECES));
    assert_eq!(object["tasks"][0]["goal"], "piece 0");
    assert_eq!(object["tasks"][0]["result"], "found 0");
    assert_eq!(object["tasks"][5]["open"], false);
    // Each read is a call and a result.
    assert_eq!(object["pages"]["closed"], 2 * FILES * PIECES);
    let text = machine.aosk(&["mem", "1"]).expect(0).stdout;
    assert!(text.contains("tasks       6 tasks begun, none open"), "{text}");
    let explained = machine.aosk(&["mem", "1", "--explain"]).expect(0).stdout;
    assert!(explained.contains("task: one has ended"), "{explained}");
    let logs = machine.aosk(&["logs", "1"]).expect(0).stdout;
    assert!(logs.contains("task.begun") && logs.contains("found 3"), "{logs}");
    machine.aosk(&["audit", "verify"]).expect(0);
}

#[test]
fn the_calls_for_tasks_are_offered_to_who_asks_for_them() {
    let offered = |more: &[&str], config: &str| {
        let scene = Scene::script(vec![Reply::say("done")]);
        let file = scene.machine.write("config.yaml", config);
        scene.run(&[&["do it", "--config", &file], more].concat()).expect(0);
        let requests = scene.server.requests();
        requests[0].tools().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let has = |tools: &[String]| {
        ["begin_task", "end_task"].map(|name| tools.iter().any(|tool| tool == name))
    };
    let plain = offered(&[], "");
    assert_eq!(has(&plain), [false, false]);
    let tasks = offered(&["--tasks"], "");
    assert_eq!((has(&tasks), tasks.len()), ([true, true], plain.len() + 2));
    assert_eq!(offered(&[], "tasks: true\n"), tasks);
    assert_eq!(offered(&[], "tasks: false\n"), plain);
    let named = offered(&["--tools", "calculator,end_task", "--tasks"], "");
    assert_eq!(named, ["calculator", "end_task", "begin_task"]);
    assert_eq!(has(&offered(&["--tools", "calculator"], "tasks: false\n")), [false, false]);
}

/// Whether a request is for a summary.
fn is_for_summary(asked: &Asked) -> bool {
    let first = asked.messages()[0]["content"].as_str();
    first.is_some_and(|text| text.starts_with("You make summaries"))
}

const SUMMARY: &str = "Parts were read, and nothing in them mattered but the number 4711.";

fn summarised(say: &'static str) -> (Scene, Ran) {
    let answered = std::sync::atomic::AtomicUsize::new(0);
    let scene = prepared(ModelServer::start(Wire::OpenAi, move |_, asked| {
        if is_for_summary(asked) {
            return Reply::say(say);
        }
        works(answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed), false)
    }));
    let ran = scene.run(&[
        "do the work",
        "--window",
        "12000",
        "--replacement",
        "summarise",
        "--summary-model",
        &format!("openai:{MODEL}"),
        "--max-steps",
        "500",
    ]);
    (scene, ran)
}

#[test]
fn a_model_makes_the_summary_of_what_leaves() {
    let (scene, ran) = summarised(SUMMARY);
    ran.expect(0);
    let requests = scene.server.requests();
    let (asked, usual): (Vec<_>, Vec<_>) = requests.iter().partition(|asked| is_for_summary(asked));
    assert!(asked.len() > 1, "{}", asked.len());
    assert!(asked[0].body["messages"].to_string().contains("words of it go on"));
    // A later one is made of the earlier one, too.
    assert!(asked[1].body["messages"].to_string().contains(SUMMARY));
    let shown: Vec<_> = usual
        .iter()
        .filter(|asked| asked.body["messages"].to_string().contains("left out; in short:"))
        .collect();
    assert!(shown.iter().all(|asked| asked.body["messages"].to_string().contains(SUMMARY)));
    // From call to call it stands there byte for byte, but where another takes its place.
    let place = |asked: &&Asked| {
        asked
            .messages()
            .iter()
            .find(|one| one["content"].as_str().is_some_and(|text| text.contains("in short:")))
            .cloned()
    };
    let places: Vec<_> = shown.iter().map(|asked| place(asked)).collect();
    let changes = places.windows(2).filter(|two| two[0] != two[1]).count();
    assert!(shown.len() > 4 && changes < asked.len(), "{changes} of {}", shown.len());

    let facts = store::facts(&scene.machine.data_dir());
    let count = |kind: &str| facts.values().flatten().filter(|(one, _)| one == kind).count();
    assert_eq!(count("summary.answered"), asked.len());
    assert_eq!(count("summary.failed"), 0);
    scene.machine.aosk(&["audit", "verify"]).expect(0);
}

#[test]
fn without_a_summary_lines_are_quoted_from_the_pages() {
    let (scene, ran) = summarised(" ");
    ran.expect(0);
    let requests = scene.server.requests();
    let last = requests.last().expect("it asked").body["messages"].to_string();
    assert!(last.contains("in short]"), "{last}");
    let facts = store::facts(&scene.machine.data_dir());
    let failed = facts.values().flatten().filter(|(kind, _)| kind == "summary.failed").count();
    assert!(failed > 0);
    let logs = scene.machine.aosk(&["logs", "1"]).expect(0).stdout;
    assert!(logs.contains("model.malformed"), "{logs}");
}
