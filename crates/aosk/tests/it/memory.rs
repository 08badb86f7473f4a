//! A session of a thousand pages in a small window, killed again and again: every page is in the page
//! table at the end, and every file that was read is brought back through the kernel, byte for byte,
//! while the kills go on.

use std::fs;

use serde_json::{Value, json};

use crate::machine::{Machine, Running, until};
use crate::model_server::{Asked, KEY, MODEL, ModelServer, Reply, Wire};
use crate::rng::Rng;
use crate::store;

/// Files that the agent reads, one in each turn. A turn is two pages.
const PARTS: usize = 500;

/// Parts that are asked for at once at the end.
const BATCH: usize = 4;

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
        let page = page.and_then(|page| page["page"].as_u64());
        return match page.and_then(|page| first_page(page, 7)) {
            Some(first) => recall(first, 0),
            None => Reply::say(format!("not found: {last}")),
        };
    }
    if last.starts_with("[page ") {
        return brought_back(&last);
    }
    read(0)
}

/// The page of the first part, by that of another: a turn is a page of the model and one of the result.
fn first_page(page: u64, part: u64) -> Option<u64> {
    page.checked_sub(2 * part)
}

/// Asks for parts from one on, of which the first is on this page.
fn recall(first: u64, from: usize) -> Reply {
    let parts = from..(from + BATCH).min(PARTS);
    let pages: Vec<u64> = parts.map(|part| first + 2 * part as u64).collect();
    Reply::call("p", "recall", &json!({ "pages": pages }))
}

/// Looks at what was brought back, page by page, and asks for more or says that all is there.
fn brought_back(text: &str) -> Reply {
    let mut pages: Vec<(u64, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let number = line.strip_prefix("[page ").and_then(|rest| rest.split(' ').next());
        match (number.and_then(|number| number.parse().ok()), pages.last_mut()) {
            (Some(page), _) if line.ends_with(" as it was]\n") => pages.push((page, String::new())),
            (_, Some((_, text))) => text.push_str(line),
            (_, None) => return Reply::say(format!("in no page: {line}")),
        }
    }
    let begins = |text: &str| text.strip_prefix("part ")?.split(' ').next()?.parse::<usize>().ok();
    let Some((page, from)) = pages.first().and_then(|(page, text)| Some((*page, begins(text)?)))
    else {
        return Reply::say(format!("no part: {text}"));
    };
    let Some(first) = first_page(page, from as u64) else {
        return Reply::say(format!("part {from} on page {page}"));
    };
    let until = (from + BATCH).min(PARTS);
    let expected =
        (from..until).map(|part_number| (first + 2 * part_number as u64, part(part_number)));
    // Between two pages stands an empty line.
    let whole = |(page, text): &(u64, String)| (*page, text.trim_end().to_owned() + "\n");
    if !pages.iter().map(whole).eq(expected) {
        return Reply::say(format!("from part {from}, not as it was: {text}"));
    }
    if until < PARTS { recall(first, until) } else { Reply::say(ALL) }
}

/// What the agent says at the end.
const ALL: &str = "every part is as it was";

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

    // The agent brought back every part, and each was what it had read. It may have been killed after it
    // had said so, before that was printed.
    let log = store::log(&machine.data_dir(), 1);
    let said = log.last().map(|(_, text)| text.clone()).unwrap_or_default();
    assert_eq!(said, ALL, "seed {seed}");

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

    // And in the page table: none missing, none forgotten, each brought back once or more, and most of
    // them not in the window.
    let memory = machine.aosk(&["mem", "1", "--json"]).expect(0).json();
    let pages = |name: &str| memory["pages"][name].as_u64().expect("a figure");
    assert!(pages("all") >= 2 * PARTS as u64, "seed {seed}: {}", memory["pages"]);
    let away = pages("behind_stubs") + pages("evicted");
    assert_eq!(pages("resident") + away, pages("all"), "seed {seed}");
    assert_eq!(pages("forgotten"), 0, "seed {seed}");
    assert!(away > pages("resident"), "seed {seed}: {}", memory["pages"]);
    let facts = store::facts(&machine.data_dir());
    store::check_calls(&facts);
    let told = |kind: &str| facts.values().flatten().filter(|(told, _)| told == kind).count();
    assert!(told("memory.cut") > 10, "{} cuts", told("memory.cut"));
    assert!(told("page.faulted") > PARTS / 2, "{} faults", told("page.faulted"));
    machine.aosk(&["audit", "verify"]).expect(0);
    server.requests();
}
