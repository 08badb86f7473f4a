//! `aosk logs`: what a process did, from the journal, a line for each fact.

use aosk::abi::{
    CallId, Change, Changed, Choice, Error, ErrorCode, Evicted, ExitStatus, Hash, Lack, Message,
    MicroUsd, Millis, PassedOver, Pid, Runaway, Spend, Usage,
};
use aosk::store::{JournalQuery, Reader, Sqlite, StoredEntry};
use aosk::words::route_figure;
use aosk::{inspect, lack};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::{LogsArgs, Place};
use crate::fail::Done;
use crate::miss;
use crate::term::{self, count, cut, json as print_json, line, money, plural, time};

/// Characters of an answer, a result or a message on its line.
const TEXT_MAX: usize = 100;

/// Characters of a tool's arguments on the line of the answer that asks for them.
const ARGUMENTS_MAX: usize = 60;

/// Characters of any other text.
const WORD_MAX: usize = 80;

pub(crate) fn run(place: &Place, args: &LogsArgs) -> Result<Done, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let reader = Sqlite::open_reader(&dir)?;
    let reader = reader.as_ref();
    // Says that there is no such process, where a journal would only be empty.
    let process = inspect::process(reader, args.pid)?;
    let (mut begins, mut ends, mut first) = (false, !process.has_ended, true);
    let query = JournalQuery { pid: Some(args.pid), ..JournalQuery::default() };
    inspect::journal(reader, &query, |entry| {
        begins |= std::mem::take(&mut first) && entry.kind == "process.spawned";
        ends |= entry.kind == "process.exited";
        if args.json {
            let message = body_of(&entry).and_then(|hash| message(reader, hash));
            print_json(&object(&entry, message));
        } else {
            line(&text(&entry, Some(reader)));
        }
        term::is_open()
    })?;
    if term::is_open() && !(begins && ends) {
        let end = if begins { "end" } else { "beginning" };
        let what = format!("reading what {} did: the journal does not lead to its {end}", args.pid);
        return Err(Error::new(ErrorCode::StoreCorrupt, what)
            .hint("`aosk audit verify` says what is damaged"));
    }
    Ok(Done::Well)
}

/// An entry as JSON: as it is kept, the fact read, with the message that it points to if one is
/// given.
pub(super) fn object(entry: &StoredEntry, message: Option<Value>) -> Value {
    let fact = serde_json::from_str(&entry.data).unwrap_or_else(|_| json!(entry.data));
    let mut fields = vec![
        ("seq", json!(entry.seq)),
        ("at_ms", json!(entry.at)),
        ("pid", json!(entry.pid)),
        ("kind", json!(entry.kind)),
        ("fact", fact),
        ("hash", json!(entry.hash)),
    ];
    fields.extend(message.map(|message| ("message", message)));
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// An entry as a line: when, which, what kind, and the figures that matter. With a reader also the
/// beginning of the text that it points to.
pub(super) fn text(entry: &StoredEntry, reader: Option<&dyn Reader>) -> String {
    let fact = serde_json::from_str(&entry.data).unwrap_or(Value::Null);
    let mut figures =
        figures(&entry.kind, &Fields(&fact)).unwrap_or_else(|| cut(&entry.data, TEXT_MAX));
    let said = reader.zip(body_of(entry)).and_then(|(reader, hash)| said(reader, hash));
    if let Some(said) = said {
        figures.push_str(if figures.is_empty() { "" } else { ": " });
        figures.push_str(&said);
    }
    let line =
        format!("{}  {:>6}  {:<17}  {figures}", time(entry.at), entry.seq, cut(&entry.kind, 32));
    line.trim_end().to_owned()
}

/// The body that a fact points to, if it points to one that is worth a look.
fn body_of(entry: &StoredEntry) -> Option<Hash> {
    let fact: Value = serde_json::from_str(&entry.data).ok()?;
    let key = match entry.kind.as_str() {
        "process.exited" | "task.ended" => "result",
        "task.begun" => "goal",
        _ => "body",
    };
    Fields(&fact).get(key)
}

fn message(reader: &dyn Reader, hash: Hash) -> Option<Value> {
    let body = inspect::body(reader, hash).ok()?;
    serde_json::from_str(body.bytes()).ok()
}

/// What the body at an address says, in few words.
fn said(reader: &dyn Reader, hash: Hash) -> Option<String> {
    match inspect::body(reader, hash) {
        Ok(body) => Some(gist(body.message())).filter(|gist| !gist.is_empty()),
        Err(_) => Some("(its text is missing or damaged)".to_owned()),
    }
}

/// What a message says, in few words: its text, then the tools it asks for.
pub(super) fn gist(message: &Message) -> String {
    let text = message.text();
    let mut said = Vec::new();
    if !text.trim().is_empty() {
        said.push(cut(text.trim(), TEXT_MAX));
    }
    for wish in message.tool_calls() {
        let (name, arguments) = (cut(&wish.name, WORD_MAX), cut(&wish.arguments, ARGUMENTS_MAX));
        said.push(format!("{name}({arguments})"));
    }
    said.join("  ")
}

/// What an answer used.
fn answered(fact: &Fields<'_>) -> String {
    let usage: Usage = fact.get("usage").unwrap_or_default();
    let cost = money(fact.get("cost").unwrap_or(MicroUsd::ZERO));
    let cached = match usage.cache_read.0 {
        0 => String::new(),
        cached => format!(" ({} cached)", count(cached)),
    };
    let (read, written) = (count(usage.input().0), count(usage.output.0));
    // A summary has no finish.
    let finish = Some(fact.word("finish")).filter(|finish| !finish.is_empty());
    let call = finish.map_or_else(|| fact.call(), |finish| format!("{} {finish}", fact.call()));
    format!("{call}, {read} in{cached}, {written} out, {cost}")
}

/// The figures of a fact that matter to a person; none for a kind that this version does not know.
fn figures(kind: &str, fact: &Fields<'_>) -> Option<String> {
    Some(match kind {
        "process.spawned" => {
            let parent: Option<Pid> = fact.get("parent");
            let by = parent.map_or_else(|| "the operator".to_owned(), |parent| parent.to_string());
            let (name, program) = (fact.word("name"), fact.word("program"));
            format!("{name}, program {program}, priority {}, by {by}", fact.count("priority"))
        }
        "model.called" => format!(
            "{} {}, {}, about {} in, at most {} out",
            fact.call(),
            fact.word("model"),
            fact.plural("pages", "message"),
            fact.plural("input", "token"),
            fact.count("output_max"),
        ),
        "model.routed" => routed(fact),
        "window.exceeded" => format!(
            "{} not asked: about {} must be shown, {} fit",
            fact.word("model"),
            fact.plural("input", "token"),
            fact.count("room"),
        ),
        "model.answered" | "summary.answered" => answered(fact),
        "model.retried" => format!(
            "{} failure {} [{}], again in {}: {}",
            fact.call(),
            fact.count("failure"),
            fact.word("code"),
            fact.get("wait").unwrap_or(Millis::ZERO),
            fact.word("message"),
        ),
        "model.failed" | "summary.failed" => {
            format!("{} [{}] {}", fact.call(), fact.word("code"), fact.word("message"))
        }
        "model.charged" => {
            let spend: Spend = fact.get("spend").unwrap_or_default();
            let (tokens, cost) = (plural(spend.tokens.0, "token"), money(spend.micro_usd));
            format!("{} without an answer: {tokens}, {cost}", fact.call())
        }
        "summary.called" => {
            let (first, last) = fact.get::<(u32, u32)>("pages").unwrap_or_default();
            let (model, input) = (fact.word("model"), fact.plural("input", "token"));
            format!("{} {model}, pages {first} to {last}, about {input} in", fact.call())
        }
        "memory.cut" => evicted(fact),
        "page.faulted" => {
            format!("page {} of {}", fact.count("page"), fact.plural("tokens", "token"))
        }
        "page.recalled" => format!(
            "page {} is back as page {}, {}",
            fact.count("page"),
            fact.count("copy"),
            fact.plural("tokens", "token")
        ),
        "page.pinned" => {
            let pinned: bool = fact.get("pinned").unwrap_or_default();
            let how = if pinned { "stays" } else { "may leave" };
            format!("page {} {how}", fact.count("page"))
        }
        "page.forgotten" => {
            format!("page {}, {} freed", fact.count("page"), fact.plural("freed", "token"))
        }
        "task.begun" => begun(fact),
        "task.ended" => format!(
            "task {}, {} of {}",
            fact.count("task"),
            fact.plural("pages", "page"),
            fact.plural("tokens", "token")
        ),
        "cache.missed" => missed(fact),
        "tool.called" => {
            format!("{} {} ({} risk)", fact.call(), fact.word("tool"), fact.word("risk"))
        }
        "tool.returned" => {
            let failed: bool = fact.get("is_error").unwrap_or_default();
            format!("{}{}", fact.call(), if failed { " failed" } else { "" })
        }
        "syscall.refused" => {
            format!("{} [{}] {}", fact.word("syscall"), fact.word("code"), fact.word("message"))
        }
        "message.sent" | "message.received" => {
            let from: Option<Pid> = fact.get("from");
            let from = from.map_or_else(|| "the operator".to_owned(), |from| from.to_string());
            let way = if kind == "message.sent" { "into the mailbox" } else { "taken" };
            format!("{way}, from {from}")
        }
        "process.signalled" => fact.word("signal"),
        "process.reniced" => format!("priority {}", fact.count("priority")),
        "process.exited" => {
            let status: Option<ExitStatus> = fact.get("status");
            let how = status.map_or_else(|| fact.word("status"), |status| status.to_string());
            format!("{how}, {}", fact.plural("pages", "message"))
        }
        "budget.expired" | "budget.set" => format!("b{}", fact.count("budget")),
        "process.runaway" => runaway(fact),
        "budget.asked" => fact.lack(),
        "budget.answered" => decided(fact),
        "model.preempted" => {
            let call: Option<CallId> = fact.get("call");
            let call = call.map_or_else(String::new, |call| call.to_string());
            let (by, ran) = (fact.count("by"), Millis(fact.get("ran").unwrap_or_default()));
            format!("{call} for p{by} after {ran}: {}", fact.word("cause"))
        }
        "scheduler.policy" => fact.word("policy"),
        "node.reconfigured" => reconfigured(fact),
        "node.booted" => booted(fact),
        _ => return None,
    })
}

/// What a cache had of a request, and why no more.
fn missed(fact: &Fields<'_>) -> String {
    let changed: Option<Changed> = fact.get("changed").unwrap_or_default();
    let why = fact.get("reason").map(|reason| miss::why(reason, changed.as_ref()));
    format!(
        "{} {} read of {} sent before: {}",
        fact.call(),
        fact.count("read"),
        fact.plural("unchanged", "token"),
        why.unwrap_or_default()
    )
}

/// What a person answered.
fn decided(fact: &Fields<'_>) -> String {
    let said = if fact.get("granted").unwrap_or_default() { "granted" } else { "denied" };
    let note = fact.word("note");
    let note = if note.is_empty() { note } else { format!(": {note}") };
    format!("{} of b{} {said} by {}{note}", fact.call(), fact.count("budget"), fact.word("by"))
}

/// What was done again and again.
fn runaway(fact: &Fields<'_>) -> String {
    let ended = fact.get("ended").unwrap_or_default();
    let what: Option<Runaway> = fact.get("what");
    let what = what.map_or("", Runaway::word);
    format!("{what}, {} times{}", fact.count("times"), if ended { ", ended" } else { "" })
}

/// Where an attempt goes, by which rule, and why not elsewhere.
fn routed(fact: &Fields<'_>) -> String {
    let by: Choice = fact.get("by").unwrap_or_default();
    let figure = |figure| route_figure(by, figure);
    let passed: Vec<PassedOver> = fact.get("passed").unwrap_or_default();
    let passed = passed.iter().map(|one| {
        let figure = figure(one.figure);
        format!("{}{figure} ({})", cut(&one.device, WORD_MAX), one.why.word())
    });
    let passed: Vec<String> = passed.collect();
    let cached = match fact.get::<u64>("cached").unwrap_or_default() {
        0 => String::new(),
        cached => format!(", {} cached there", count(cached)),
    };
    let waited = match fact.get("waited").unwrap_or(Millis::ZERO) {
        Millis::ZERO => String::new(),
        waited => format!(", after {waited}"),
    };
    let over =
        if passed.is_empty() { String::new() } else { format!("; not {}", passed.join(", ")) };
    let (call, device) = (fact.call(), fact.word("device"));
    format!(
        "{call} to {device} by {}{}{cached}{waited}{over}",
        by.word(),
        figure(fact.get("figure"))
    )
}

/// Which task was begun, and within which.
fn begun(fact: &Fields<'_>) -> String {
    match fact.get::<u32>("within").unwrap_or_default() {
        0 => format!("task {}", fact.count("task")),
        outer => format!("task {} within task {outer}", fact.count("task")),
    }
}

/// What left the window, and why.
fn evicted(fact: &Fields<'_>) -> String {
    let evicted: Vec<Evicted> = fact.get("evicted").unwrap_or_default();
    let pages = plural(evicted.len() as u64, "page");
    let [before, after] = ["before", "after"].map(|name| fact.count(name));
    let cause = fact.word("cause");
    format!("{} {pages} left ({cause}), {before} tokens to {after}", fact.call())
}

/// What the configuration says anew.
fn reconfigured(fact: &Fields<'_>) -> String {
    let changes: Vec<Change> = fact.get("changes").unwrap_or_default();
    let said = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
    let one = |Change { key, from, to }| format!("{key} from {} to {}", said(from), said(to));
    changes.into_iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What a start of the kernel found.
fn booted(fact: &Fields<'_>) -> String {
    let calls = |name| fact.get::<Vec<CallId>>(name).unwrap_or_default().len() as u64;
    let start = fact.get::<u64>("boots").unwrap_or_default().saturating_add(1);
    format!(
        "start {start}, {}, {} asked again, {} made again, {} interrupted",
        fact.plural("processes", "live process"),
        plural(calls("asked_again"), "model call"),
        plural(calls("called_again"), "tool call"),
        calls("interrupted"),
    )
}

/// The fields of a fact. One that is missing or of another type, as in a journal of another version,
/// shows as nothing.
struct Fields<'a>(&'a Value);

impl Fields<'_> {
    fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.0.get(name)?).ok()
    }

    fn word(&self, name: &str) -> String {
        match self.0.get(name) {
            Some(Value::String(text)) => cut(text, WORD_MAX),
            Some(Value::Null) | None => String::new(),
            Some(other) => cut(&other.to_string(), WORD_MAX),
        }
    }

    fn count(&self, name: &str) -> String {
        count(self.get(name).unwrap_or_default())
    }

    /// The bound that the fact is about.
    fn lack(&self) -> String {
        let no_room = |lack: Lack| format!("{} has no room for {}", lack.budget, lack::need(&lack));
        Lack::deserialize(self.0).map(no_room).unwrap_or_default()
    }

    fn plural(&self, name: &str, noun: &str) -> String {
        plural(self.get(name).unwrap_or_default(), noun)
    }

    /// The call's number; whose it is stands elsewhere on the line or is known.
    fn call(&self) -> String {
        let call: Option<CallId> = self.get("call");
        call.map_or_else(String::new, |call| format!("c{}", call.number))
    }
}

#[cfg(test)]
mod tests;
