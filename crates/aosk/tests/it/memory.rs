//! A session of a thousand pages in a small window, killed again and again: every page is there at the
//! end, byte for byte, in the window or to be brought back.

use std::fs;

use serde_json::{Value, json};

use crate::machine::{Machine, Running, until};
use crate::model_server::{Asked, KEY, MODEL, ModelServer, Reply, Wire};
use crate::rng::Rng;
use crate::store;

/// Files that the agent reads, one in each turn. A turn is two pages.
const PARTS: usize = 500;

/// Tokens of a request and its answer.
const WINDOW: &str = "8000";

/// Kills, at least.
const KILLS_MIN: u32 = 12;

/// Entries that the journal may grow by between two kills.
const GROWTH_MAX: u64 = 260;

/// What a file holds.
fn part(number: usize) -> String {
    format!(
        "part {number} of the story\n{}the end of part {number}\n",
        "words of it go on\n".repeat(40)
    )
}

/// What the model wants next, by the last result that it is shown.
fn answer(asked: &Asked) -> Reply {
    let said = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let last = asked.messages().last().map(said).unwrap_or_default();
    let read = |number: usize| {
        Reply::call("r", "read_file", &json!({ "path": format!("part-{number}.txt") }))
    };
    if let Some(rest) = last.strip_prefix("part ") {
        let number: usize = rest.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
        if number + 1 < PARTS {
            return read(number + 1);
        }
        return Reply::call(
            "s",
            "search_memory",
            &json!({ "query": "the end of part 7", "limit": 4 }),
        );
    }
    if last.starts_with("{\"found\"") {
        let found: Value = serde_json::from_str(&last).unwrap_or_default();
        let begins = |page: &&Value| {
            let text = page["begins"].as_str().unwrap_or_default();
            text.starts_with("part 7 ") && page["in_window"] == false
        };
        let page = found["found"].as_array().and_then(|all| all.iter().find(begins).cloned());
        return match page {
            Some(page) => Reply::call("p", "recall", &json!({ "pages": [page["page"]] })),
            None => Reply::say(format!("not found: {last}")),
        };
    }
    if last.starts_with("[page ") {
        return Reply::say(last);
    }
    read(0)
}

#[test]
fn a_session_of_a_thousand_pages_that_is_killed_keeps_every_page() {
    let seed = std::env::var("AOSK_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()) ^ 0x0bad_cafe);
    eprintln!("AOSK_TEST_SEED={seed}");
    let mut rng = Rng(seed);
    let machine = Machine::new();
    let workspace = machine.path("workspace");
    fs::create_dir(&workspace).expect("makes the workspace");
    for number in 0..PARTS {
        let file = workspace.join(format!("part-{number}.txt"));
        fs::write(file, part(number)).expect("writes a part");
    }
    let server = ModelServer::start(Wire::OpenAi, |_, asked| answer(asked));
    let (model, base_url) = (format!("openai:{MODEL}"), server.base_url.as_str());
    let workspace = workspace.to_str().expect("a path");
    let common = ["--model", &model, "--base-url", base_url, "--window", WINDOW, "--json"];
    let tools = ["--tools", "read_file,search_memory,recall", "--max-steps", "2000"];
    let first = ["run", "read the story", "--workspace", workspace];
    let first = [&first[..], &tools, &common].concat();
    let resumed = [&["run", "--resume"][..], &common].concat();
    let mut kills = 0;
    loop {
        let begun = machine.data_dir().join("aosk.db").exists()
            && store::journal_length(store::reader(&machine.data_dir()).as_ref()) > 1;
        let mut command = machine.command(if begun { &resumed } else { &first });
        command.env("OPENAI_API_KEY", KEY);
        let mut running = Running::start(command);
        let reader = store::reader(&machine.data_dir());
        let target = store::journal_length(reader.as_ref()) + 2 + rng.below(GROWTH_MAX);
        let has_ended = until("growth of the journal", || {
            let is_there = store::journal_length(reader.as_ref()) >= target;
            if running.has_ended() { Some(true) } else { is_there.then_some(false) }
        });
        if has_ended {
            running.finish().expect(0);
            break;
        }
        running.kill();
        kills += 1;
    }
    assert!(kills >= KILLS_MIN, "only {kills} kills: seed {seed}");

    // What the agent brought back at the end is what it read at the beginning. It may have been killed
    // after it had said so, before that was printed.
    let log = store::log(&machine.data_dir(), 1);
    let said = log.last().map(|(_, text)| text.clone()).unwrap_or_default();
    assert!(said.starts_with("[page ") && said.ends_with(&part(7)), "seed {seed}: {said}");

    // Every page is in the log, whole and in order.
    let read: Vec<&str> = log
        .iter()
        .filter(|(_, text)| text.starts_with("part "))
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(read.len(), PARTS, "seed {seed}");
    for (number, text) in read.iter().enumerate() {
        assert_eq!(*text, part(number), "seed {seed}");
    }

    // And in the page table: none twice, none missing, most of them not in the window.
    let facts = store::facts(&machine.data_dir());
    store::check_calls(&facts);
    let cuts = facts.values().flatten().filter(|(kind, _)| kind == "memory.cut").count();
    assert!(cuts > 10, "{cuts} cuts");
    machine.aosk(&["audit", "verify"]).expect(0);
    server.requests();
}
