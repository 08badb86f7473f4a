//! `aosk mem`: what is in the window of a process, what left it and why, and how it went over its
//! calls. Everything is read from the store, while another kernel runs on it or after.

use aosk::abi::{ArenaId, Error, ErrorCode, Fact, Pid};
use aosk::store::{JournalQuery, Reader, Sqlite};
use aosk::{Snapshot, inspect};
use serde_json::{Value, json};

use crate::cli::{MemArgs, Place};
use crate::fail::Done;
use crate::term::{self, columns, cut, is_coloured, json as print_json, line, note, plural};

mod bar;
mod explain;
mod history;
mod places;
mod texts;
mod timeline;
mod view;

use explain::milli;
use history::History;
use places::{At, Places};
use texts::Texts;

/// Columns where stdout is no terminal.
const COLUMNS: usize = 100;

/// Characters of the beginning of a page in JSON.
const TEXT_MAX: usize = 200;

/// Characters of a name on a line.
const NAME_MAX: usize = 60;

pub(crate) fn run(place: &Place, args: &MemArgs) -> Result<Done, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let reader = Sqlite::open_reader(&dir)?;
    let reader = reader.as_ref();
    let snapshot = inspect::process(reader, args.pid)?;
    // The journal first: what it tells of is in the rows that are read after it.
    let history = history(reader, &snapshot)?;
    if let Some(file) = &args.timeline {
        let name = format!("{} {}", args.pid, cut(&snapshot.spec.name, NAME_MAX));
        timeline::write(file, &timeline::draw(&name, &history))?;
        if file.as_os_str() != "-" {
            note(&format!(
                "{}: {}, {}",
                file.display(),
                plural(history.calls.len() as u64, "model call"),
                plural(history.cuts.len() as u64, "cut")
            ));
        }
    } else if args.explain {
        if args.json {
            print_json(&json!({
                "pid": args.pid,
                "name": snapshot.spec.name,
                "cuts": explain::cuts(&history),
                "cache_misses": explain::misses(&history),
            }));
        } else {
            explain::print(&history, args.all);
        }
    } else {
        let table = inspect::page_table(reader, args.pid)?;
        let places = Places::new(&table, &history);
        let waiting = table.messages.0.saturating_sub(table.taken.0);
        let mut texts = Texts::new(reader);
        if args.json {
            print_json(&object(&snapshot, &history, &places, waiting, &mut texts));
        } else {
            print(&snapshot, &history, &places, waiting, &mut texts, args.all);
        }
    }
    if history.calls.is_empty() {
        let ever = if snapshot.has_ended {
            "has never asked a model"
        } else {
            "has not asked a model yet"
        };
        note(&format!("{} {ever}", args.pid));
    }
    Ok(Done::Well)
}

/// What the journal says of the memory of a process.
fn history(reader: &dyn Reader, snapshot: &Snapshot) -> Result<History, Error> {
    let mut history = History::default();
    let (mut begins, mut ends, mut first) = (false, !snapshot.has_ended, true);
    let query = JournalQuery { pid: Some(snapshot.pid), ..JournalQuery::default() };
    inspect::journal(reader, &query, |entry| {
        begins |= std::mem::take(&mut first) && entry.kind == "process.spawned";
        ends |= entry.kind == "process.exited";
        if let Some(fact) = Fact::read(&entry.kind, &entry.data) {
            history.note(fact);
        }
        true
    })?;
    if begins && ends {
        return Ok(history);
    }
    let end = if begins { "end" } else { "beginning" };
    let what = format!("reading what {} did: the journal does not lead to its {end}", snapshot.pid);
    Err(Error::new(ErrorCode::StoreCorrupt, what).hint("`aosk audit verify` says what is damaged"))
}

fn print(
    snapshot: &Snapshot,
    history: &History,
    places: &Places,
    waiting: u32,
    texts: &mut Texts<'_>,
    all: bool,
) {
    let width = columns().unwrap_or(COLUMNS);
    for text in view::headline(snapshot, history, places) {
        line(&text);
    }
    let bar = view::bar(places, width, is_coloured());
    if !bar.is_empty() {
        line("");
    }
    for text in bar {
        line(&text);
    }
    line("");
    line(&view::pages(places, texts, all, width));
    // One that has ended asks no more.
    if waiting > 0 && !snapshot.has_ended && term::is_open() {
        let messages = plural(u64::from(waiting), "message");
        note(&format!("{messages} came after the last call and will be pages at the next"));
    }
}

fn tasks(history: &History, texts: &Texts<'_>) -> Value {
    let tasks = history.tasks.iter().map(|task| {
        json!({
            "task": task.task,
            "within": Some(task.within).filter(|task| *task != ArenaId::NONE),
            "goal": texts.of(task.goal, TEXT_MAX),
            "result": task.result.map(|result| texts.of(result, TEXT_MAX)),
            "open": task.result.is_none(),
        })
    });
    tasks.collect()
}

fn object(
    snapshot: &Snapshot,
    history: &History,
    places: &Places,
    waiting: u32,
    texts: &mut Texts<'_>,
) -> Value {
    let Snapshot { pid, spec, stats, .. } = snapshot;
    let (pid, counts): (&Pid, _) = (pid, places.counts);
    let pages = places.all.iter().map(|place| {
        let (at, stands_for, behind) = match place.at {
            At::Resident => ("resident", None, None),
            At::Stub(pages) => ("stub", Some(pages), None),
            At::Summary(pages) => ("summary", Some(pages), None),
            At::Behind(stub) => ("behind_stub", None, Some(stub)),
            At::Evicted => ("evicted", None, None),
            At::Closed => ("closed", None, None),
            At::Forgotten => ("forgotten", None, None),
        };
        json!({
            "page": place.page,
            "message": place.kept.map(|kept| kept.source),
            "kind": place.kind,
            "tokens": place.tokens,
            "shown_tokens": place.shown,
            "age_calls": place.age,
            "residency": at,
            "pinned": place.pinned,
            "task": place.kept.map(|kept| kept.entry.arena).filter(|task| *task != ArenaId::NONE),
            "stands_for": stands_for,
            "behind": behind,
            "copy_of": place.copy_of,
            "begins": texts.begin(place, TEXT_MAX),
        })
    });
    let pages: Value = pages.collect();
    json!({
        "pid": pid,
        "name": spec.name,
        "state": snapshot.state,
        "status": snapshot.status.map(|status| status.to_string()),
        "model": history.calls.last().map(|call| &call.model),
        "window": places.window,
        "room_tokens": places.room,
        "policy": history.plan.policy,
        "prefer": history.plan.prefer,
        "shown_tokens": places.shown,
        "full_percent": places.fullness().map(|full| milli(full.saturating_mul(100))),
        "counted_per_estimate": milli(places.rate),
        "pages": {
            "all": counts.all(),
            "resident": counts.resident,
            "behind_stubs": counts.behind_stubs,
            "evicted": counts.evicted,
            "closed": counts.closed,
            "forgotten": counts.forgotten,
            "pinned": counts.pinned,
        },
        "tasks": tasks(history, texts),
        "messages_waiting": waiting,
        "calls": history.calls.len(),
        "cuts": history.cuts.len(),
        "faults": history.faults.len(),
        "recalls": history.recalls.len(),
        "recalled_unasked": history.unasked,
        "cache_misses": history.misses.len(),
        "input_tokens": stats.input,
        "cached_tokens": stats.cached,
        "cache_written_tokens": stats.written,
        "cost_micro_usd": stats.spend.micro_usd,
        "table": pages,
    })
}
