//! `aosk mem`: the window of an agent that has outgrown it, while it runs, after it was killed, and
//! when it has ended.

use std::fs;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::machine::{Machine, Ran};
use crate::model_server::{Asked, ModelServer, Reply, Wire};
use crate::run::Scene;

/// Files that the agent reads, one a call, before it pins, recalls and ends.
const FILES: usize = 30;

/// The request that is answered only when the test says so.
const HELD: usize = FILES + 2;

/// What a request takes, and what of it is as in the one before, at four bytes a token.
fn tokens(asked: &Asked, last: &mut Vec<String>) -> (u64, u64) {
    let texts = asked.messages().iter().map(Value::to_string);
    let parts: Vec<String> =
        std::iter::once(asked.body["tools"].to_string()).chain(texts).collect();
    let sum = |parts: &[String]| parts.iter().map(|part| part.len() as u64 / 4).sum();
    let same = parts.iter().zip(last.iter()).take_while(|(one, other)| one == other).count();
    let figures = (sum(&parts), sum(&parts[..same]));
    *last = parts;
    figures
}

/// A page that a stub stands for, by the last stub of the request.
fn stub(asked: &Asked) -> u64 {
    let text = asked.body["messages"].to_string();
    let (before, _) = text.rsplit_once(" left out: ").expect("something has left the window");
    let (_, page) = before.rsplit_once("[page ").expect("a stub");
    page.split(' ').next().and_then(|page| page.parse().ok()).expect("a number")
}

/// An agent with a window of 3,904 tokens that reads files, pins the task, and asks for a page again.
fn scene() -> Scene {
    let last = Mutex::new(Vec::new());
    let server = ModelServer::start(Wire::OpenAi, move |index, asked| {
        let (input, cached) = tokens(asked, &mut last.lock().expect("no test panicked"));
        let read = format!("part{}.txt", index % FILES);
        let reply = match index {
            0..FILES => Reply::call("r", "read_file", &json!({ "path": read })),
            FILES => Reply::call("p", "pin", &json!({"page": 2})),
            _ if index == FILES + 1 => Reply::call("q", "recall", &json!({"pages": [stub(asked)]})),
            HELD => Reply::Held(Box::new(Reply::say("\u{1b}[31mAll is read & done"))),
            _ => Reply::say("All is read & done"),
        };
        Reply::Used { input, cached, reply: Box::new(reply) }
    });
    let scene = Scene::new(Wire::OpenAi, server);
    for part in 0..FILES {
        let lines = (0..30).map(|line| format!("line {line} of part {part}: \u{1b}[2J<b>\n"));
        fs::write(scene.machine.path(&format!("work/part{part}.txt")), lines.collect::<String>())
            .expect("writes");
    }
    scene
}

const RUN: [&str; 5] = ["Read <all> parts", "--window", "8000", "--tools", "read_file,recall,pin"];

/// What `aosk mem 1` says with these options, which are all good.
fn mem(machine: &Machine, more: &[&str]) -> Ran {
    let ran = machine.aosk(&[&["mem", "1"], more].concat()).expect(0);
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:#?}");
    ran
}

fn sum(object: &Value, names: &[&str]) -> u64 {
    names.iter().map(|name| object[*name].as_u64().expect("a figure")).sum()
}

/// Holds what is said in JSON against itself.
fn check(object: &Value, cuts: &Value) {
    let pages = &object["pages"];
    let parts = ["resident", "behind_stubs", "evicted", "forgotten"];
    assert_eq!(sum(pages, &parts), sum(pages, &["all"]), "{pages}");
    let table = object["table"].as_array().expect("a list");
    // One row more for the tools.
    assert_eq!(table.len() as u64, sum(pages, &["all"]) + 1);
    let shown: u64 = table.iter().map(|page| sum(page, &["shown_tokens"])).sum();
    assert_eq!(object["shown_tokens"], shown);
    let full = object["full_percent"].as_f64().expect("a figure");
    assert!((30.0..=100.0).contains(&full), "{full}");
    let is = |page: &&Value, what: &str| page["residency"] == what;
    let behind: u64 =
        table.iter().filter(|page| is(page, "stub")).map(|page| sum(page, &["stands_for"])).sum();
    assert_eq!(sum(pages, &["behind_stubs"]), behind);
    // Every page that is away left in a cut, and each cut freed what it says.
    let cuts = cuts["cuts"].as_array().expect("a list");
    assert_eq!(object["cuts"], cuts.len());
    assert!(cuts.len() >= 2, "{cuts:?}");
    let evicted = |page: &&Value| !is(page, "resident");
    for page in table.iter().filter(evicted) {
        let left = |cut: &Value| {
            let pages = cut["evicted"].as_array().expect("a list");
            pages.iter().any(|gone| gone["page"] == page["page"])
        };
        assert!(cuts.iter().any(left), "{page}");
    }
    for cut in cuts {
        assert_eq!(cut["cause"], "pressure");
        assert_eq!(sum(cut, &["freed", "after"]), sum(cut, &["before"]), "{cut}");
        assert!(cut["full_percent"].as_f64().expect("a figure") > 90.0, "{cut}");
    }
}

#[test]
fn a_window_is_shown_while_it_is_in_use_after_a_crash_and_at_the_end() {
    let scene = scene();
    let machine = &scene.machine;
    let running = scene.start(&RUN);
    scene.server.wait_for_requests(HELD);
    // The request that is held has been sent, so what it shows is committed.
    let live = crate::machine::until("the call that is held", || {
        let live = mem(machine, &["--json"]).json();
        (live["calls"] == HELD + 1).then_some(live)
    });
    check(&live, &mem(machine, &["--explain", "--json"]).json());
    assert_eq!(live["state"], "running");
    assert_eq!([&live["faults"], &live["recalls"], &live["recalled_unasked"]], [1, 1, 0]);
    assert!(sum(&live, &["cached_tokens"]) * 2 > sum(&live, &["input_tokens"]), "{live}");
    let of_copy = live["table"].as_array().expect("a list").last().expect("a page").clone();
    assert_eq!([&of_copy["kind"], &of_copy["residency"]], ["recalled", "resident"]);
    let original = of_copy["copy_of"].as_u64().expect("a number");
    assert!(of_copy["begins"].as_str().expect("a text").contains(&format!("[page {original} ")));
    // The call that is under way has no answer yet.
    let drawn = mem(machine, &["--timeline", "-"]).stdout;
    assert!(drawn.contains("no answer, by estimate"), "{drawn}");

    assert!(running.kill().was_killed());
    let object = |json: &Value| json["table"].clone();
    let killed = mem(machine, &["--json"]).json();
    assert_eq!(object(&killed), object(&live), "a crash moves no page");

    scene.server.release();
    let mut resume = machine.command(&["run", "--resume", "--base-url", &scene.server.base_url]);
    resume.env("OPENAI_API_KEY", crate::model_server::KEY);
    crate::machine::Running::start(resume).finish().expect(0);
    scene.server.requests();
    let ended = mem(machine, &["--json"]).json();
    assert_eq!([&ended["state"], &ended["status"]], ["exited", "finished"]);
    assert_eq!(ended["messages_waiting"], 1);
    check(&ended, &mem(machine, &["--explain", "--json"]).json());
    assert_eq!(object(&ended), object(&live));
}

#[test]
fn a_person_reads_what_is_there_what_left_and_why() {
    let scene = scene();
    let machine = &scene.machine;
    scene.server.release();
    scene.run(&RUN).expect(0);
    let short = mem(machine, &[]).stdout;
    let object = mem(machine, &["--json"]).json();
    for expected in [
        "process     p1 agent\n",
        "state       exited: finished\n",
        "model       openai:test-model\n",
        "limit       3,904 tokens by the provider, which counts 0.",
        "policy      priced, prefer cost\n",
        "^ pinned ",
        " . free ",
        "PAGE  KIND ",
        " pinned ",
        "copy of page ",
        "stub for ",
        "line 0 of part ",
    ] {
        assert!(short.contains(expected), "{expected}: {short}");
    }
    let bar = short.lines().find(|line| line.starts_with('[')).expect("a bar");
    assert_eq!(bar.chars().count(), 100);
    for letter in ['T', 'A', ':', 'C', '.'] {
        assert!(bar.contains(letter), "{letter}: {bar}");
    }
    assert!(short.contains(" left out, --all shows them …\n"), "{short}");
    let all = mem(machine, &["--all"]).stdout;
    let (_, table) = all.split_once("PAGE ").expect("a table");
    assert_eq!(table.lines().count() as u64, sum(&object["pages"], &["all"]) + 2);

    let explained = mem(machine, &["--explain"]).stdout;
    let cuts = sum(&object, &["cuts"]);
    for expected in [
        format!("cut 1 of {cuts}, before model call "),
        format!("cut {cuts} of {cuts}, before model call "),
        "  why        pressure: the window was ".to_owned(),
        "as the provider takes 3,904 and counts 0.5".to_owned(),
        "  loss       ".to_owned(),
        "A loss is what missing a page is expected to weigh, in tokens of input".to_owned(),
        "asked for once".to_owned(),
        "no cache miss\n".to_owned(),
    ] {
        assert!(explained.contains(&expected), "{expected}: {explained}");
    }

    let svg = machine.path("work/window.svg");
    for _ in 0..2 {
        let ran = mem(machine, &["--timeline", "window.svg"]);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains("window.svg: 33 model calls"), "{ran:#?}");
    }
    let drawn = fs::read_to_string(&svg).expect("reads");
    assert_eq!(mem(machine, &["--timeline", "-"]).stdout, drawn);
    assert_eq!(drawn.matches("<title>cut before call ").count() as u64, cuts);
    assert_eq!(drawn.matches("<title>fault after call 32: page ").count(), 1);
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"), "{drawn}");
    let ran = machine.aosk(&["mem", "1", "--timeline", "."]).expect(4);
    ran.error("io.failed");
}

#[test]
fn what_cannot_be_shown_is_said() {
    let machine = Machine::new();
    for json in [&[][..], &["--json"]] {
        let say = |command: &str, pid: &str| {
            let ran = machine.aosk(&[&[command, pid], json].concat());
            (ran.status.code(), ran.stdout, ran.stderr)
        };
        assert_eq!(say("mem", "1"), say("show", "1"), "there is no kernel");
    }
    machine.aosk(&["run", "hello", "--model", "scripted"]).expect(0);
    for pid in ["9", "p9", "-1", "agent"] {
        let say = |command: &str| {
            let ran = machine.aosk(&[command, pid]);
            (ran.status.code(), ran.stderr.replace(command, "COMMAND"))
        };
        assert_eq!(say("mem"), say("show"), "{pid}");
    }
    let ran = machine.aosk(&["mem", "1", "--timeline", "a.svg", "--json"]).expect(2);
    ran.error("cli.usage");
    // A small window in which nothing had to leave.
    let ran = machine.aosk(&["mem", "p1", "--explain"]).expect(0);
    assert_eq!(ran.stdout, "no page has left the window: there was no cut\nno cache miss\n");
}

#[test]
fn an_agent_that_never_asked_has_an_empty_window() {
    let scene = Scene::script(Vec::new());
    let machine = &scene.machine;
    // What must be shown does not fit, so the question is not asked.
    scene.run(&["hello", "--window", "4400"]).expect(3);
    for args in [&["mem", "1"][..], &["mem", "1", "--explain"], &["mem", "1", "--timeline", "-"]] {
        let ran = machine.aosk(args).expect(0);
        assert_eq!(ran.stderr, "p1 has never asked a model\n", "{ran:#?}");
    }
    let object = machine.aosk(&["mem", "1", "--json"]).expect(0).json();
    assert_eq!(
        [&object["calls"], &object["cuts"], &object["model"]],
        [&json!(0), &json!(0), &json!(null)]
    );
    // What did not fit is seen all the same: mostly the tools.
    let tools = &object["table"][0];
    assert_eq!([&tools["kind"], &tools["age_calls"]], [&json!("tools"), &json!(null)]);
    assert!(sum(tools, &["tokens"]) > 1_000, "{object}");
    assert_eq!([&object["window"], &object["room_tokens"]], [&json!(304), &json!(304)]);
    assert!(object["full_percent"].as_f64().expect("a figure") > 100.0, "{object}");
}

/// A provider that has never taken more than so many tokens, whatever it said of its window.
fn narrow(most: u64) -> Scene {
    let last = Mutex::new(Vec::new());
    let server = ModelServer::start(Wire::OpenAi, move |index, asked| {
        let (input, cached) = tokens(asked, &mut last.lock().expect("no test panicked"));
        if input > most {
            let said = json!({"error": {"message": "too long", "code": "context_length_exceeded"}});
            return Reply::Status(400, "", said.to_string());
        }
        // The same again and again would be a runaway.
        let path = format!("part{index}.txt");
        let read = Reply::call("r", "read_file", &json!({ "path": path }));
        let reply = match index {
            20 => Reply::Held(Box::new(read)),
            0..22 => read,
            _ => Reply::say("done"),
        };
        Reply::Used { input, cached, reply: Box::new(reply) }
    });
    let scene = Scene::new(Wire::OpenAi, server);
    let text = "a line of the part\n".repeat(30);
    for index in 0..22 {
        let path = scene.machine.path(&format!("work/part{index}.txt"));
        fs::write(path, &text).expect("writes");
    }
    scene
}

#[test]
fn what_fits_and_how_it_is_chosen_is_what_the_kernel_went_by() {
    let scene = narrow(3_000);
    let machine = &scene.machine;
    let args = ["read on", "--window", "8000", "--tools", "read_file,recall"];
    let how = ["--replacement", "lru", "--prefer", "quality"];
    let running = scene.start(&[&args[..], &how].concat());
    scene.server.wait_for_requests(21);
    let refused = crate::machine::until("the call that is held", || {
        let object = mem(machine, &["--json"]).json();
        (sum(&object, &["cuts"]) > 0).then_some(object)
    });
    assert!(running.kill().was_killed());
    // The provider takes 3,904 by what it says, and refused less.
    let window = sum(&refused, &["window"]);
    let room = sum(&refused, &["room_tokens"]);
    assert_eq!(window, 3_904);
    assert!(room < window, "{refused}");
    assert_eq!([&refused["policy"], &refused["prefer"]], ["lru", "quality"]);
    let said = mem(machine, &[]).stdout;
    let limit = "; it refused what was too long, and less is sent since\n";
    assert!(said.contains(limit) && said.contains("policy      lru, prefer quality\n"), "{said}");
    let explained = mem(machine, &["--explain"]).stdout;
    assert!(explained.contains(" fit by estimate after what the provider refused"), "{explained}");

    // A run that is taken up keeps how its window is kept, unless other things are named.
    scene.server.release();
    let resume = |more: &[&str]| {
        let base_url = ["run", "--resume", "--base-url", &scene.server.base_url];
        let mut command = machine.command(&[&base_url[..], more].concat());
        command.env("OPENAI_API_KEY", crate::model_server::KEY);
        crate::machine::Running::start(command).finish()
    };
    resume(&["--prefer", "utilisation"]).expect(0);
    let ended = mem(machine, &["--json"]).json();
    assert_eq!([&ended["policy"], &ended["prefer"]], ["lru", "utilisation"], "{ended}");
}

/// A provider that forgets what it had at one call, and half of it at another.
#[test]
fn a_cache_that_has_less_than_was_sent_is_warned_of() {
    let last = Mutex::new(Vec::new());
    let server = ModelServer::start(Wire::OpenAi, move |index, asked| {
        let (input, cached) = tokens(asked, &mut last.lock().expect("no test panicked"));
        let reply = match index {
            0..8 => Reply::call("r", "read_file", &json!({ "path": format!("part{index}.txt") })),
            _ => Reply::say("done"),
        };
        let cached = match index {
            5 => 0,
            7 => cached / 2,
            _ => cached,
        };
        Reply::Used { input, cached, reply: Box::new(reply) }
    });
    let scene = Scene::new(Wire::OpenAi, server);
    for index in 0..8 {
        let path = scene.machine.path(&format!("work/part{index}.txt"));
        fs::write(path, "a line of the part\n".repeat(400)).expect("writes");
    }
    let ran = scene.run(&["read on", "--tools", "read_file"]).expect(0);
    let warnings: Vec<&str> =
        ran.stderr.lines().filter(|line| line.contains("cache miss")).collect();
    let [all, half] = warnings[..] else { panic!("{ran:#?}") };
    assert!(all.contains("agent (p1): cache miss at c11: 0 of "), "{all}");
    let why = " sent before were read from it; the provider did not keep what was sent, or another \
               machine answered: nothing changed, and it was read anew from ";
    assert!(all.contains(why) && all.ends_with("the tools on"), "{all}");
    assert!(half.contains("cache miss at c15: ") && half.contains(why), "{half}");
    let (_, place) = half.rsplit_once("from page ").expect("a page");
    assert!(place.contains(" on (tool result, message "), "{half}");
    // The journal says the same to who looks later.
    let logs = scene.machine.aosk(&["logs", "1"]).expect(0).stdout;
    let explained = mem(&scene.machine, &["--explain"]).stdout;
    for said in [logs, explained] {
        assert!(said.contains("it was read anew from the tools on"), "{said}");
        assert!(said.contains(place), "{said}");
    }
}

/// What an agent is expected to need at first is what the table says that it is given, on the command
/// line or in the configuration.
#[test]
fn agents_begin_with_the_table_of_needs_that_is_named() {
    let cells = (0..11).flat_map(|idle| (0..4).map(move |refs| (idle, refs)));
    let cells = cells.flat_map(|(idle, refs)| (0..3).map(move |turns| (idle, refs, turns)));
    let lines: Vec<String> = ["user", "assistant", "tool"]
        .iter()
        .flat_map(|class| {
            cells.clone().map(move |(idle, refs, turns)| {
                format!("[\"{class}\",{idle},{refs},{turns},100,73,730]")
            })
        })
        .collect();
    let table = format!("[{}]", lines.join(","));
    // The chances in the first cut, in percent.
    let chances = |named: &dyn Fn(&Machine, &str) -> Vec<String>| {
        let scene = scene();
        scene.server.release();
        let file = scene.machine.write("needs.json", &table);
        let named = named(&scene.machine, &file);
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        scene.run(&[&RUN[..], &named].concat()).expect(0);
        let cuts = mem(&scene.machine, &["--explain", "--json"]).json();
        let evicted = cuts["cuts"][0]["evicted"].as_array().expect("a list").clone();
        evicted.iter().map(|page| page["chance_percent"].as_f64().expect("a figure")).collect()
    };
    let usual: Vec<f64> = chances(&|_, _| Vec::new());
    let high = |chance: &f64| *chance > 60.0;
    assert!(!usual.is_empty() && !usual.iter().any(high), "{usual:?}");
    let by_option: Vec<f64> = chances(&|_, file| vec!["--need-table".to_owned(), file.to_owned()]);
    assert!(by_option.iter().all(high), "{by_option:?}");
    let by_key: Vec<f64> = chances(&|machine, file| {
        let config = machine.write("c.yaml", format!("need_table: {file}\n"));
        vec!["--config".to_owned(), config]
    });
    assert_eq!(by_key, by_option);
}
