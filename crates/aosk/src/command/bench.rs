//! `aosk bench`: replacement and retrieval held against recorded data.
//!
//! `context` replays a history through the kernel's page table and says what providers' caches would
//! have answered. `needs` makes the table of needs that the kernel begins with. `recall` asks
//! questions of conversations and counts the evidence that is found. `sched` measures the scheduler.

mod fit;
mod keeper;
mod live;
mod pages;
mod policies;
mod provider;
mod recall;
mod replay;
mod report;
mod rival;
mod sched;
mod table;
mod talk;
mod vectors;

use std::path::{Path, PathBuf};

use aosk::abi::{Error, ErrorCode, Tokens};
use aosk::kernel::STUB_TOKENS;
use aosk::kernel::memory::{
    CacheRules, NeedTable, Prefer, Priced, Replacement, Setting, replacement, rules,
};
use aosk::rehearsal::Conditions;

use crate::cli::{BenchArgs, BenchCommand, BenchContextArgs, BenchNeedsArgs};
use crate::command::trace::input;
use crate::fail::Done;
use crate::term::{count, json as print_json, line, note};

use fit::Oracle;
use keeper::{Keeper, Knowledge, Paged, STUDY_STUB_TOKENS};
use live::Live;
use pages::History;
use policies::{Batch, Naive, Study};
use replay::{Account, replay};
use rival::Sorted;

pub(crate) fn run(args: &BenchArgs) -> Result<Done, Error> {
    match &args.command {
        BenchCommand::Context(args) => context(args),
        BenchCommand::Needs(args) => needs(args),
        BenchCommand::Recall(args) => recall::run(args),
        BenchCommand::Sched(args) => sched::run(args),
        BenchCommand::ModelServer { latency_ms } => {
            crate::on_runtime(async |mut stop| stop.or(sched::serve(*latency_ms)).await)
        }
    }
}

fn context(args: &BenchContextArgs) -> Result<Done, Error> {
    let (histories, skipped) = histories(args)?;
    let calls = histories.iter().map(History::calls).sum();
    if calls == 0 {
        return Err(silent("replaying"));
    }
    let caches = caches(&args.cache)?;
    let table = args.need_table.as_deref().map(table::read).transpose()?;
    let bench = Bench {
        window: args.window,
        // Where several are asked for, what is planned for breakpoints does well by block too.
        rules: caches
            .iter()
            .find(|rules| rules.breakpoints() > 0)
            .or_else(|| caches.first())
            .copied(),
        caches,
        prefer: args.prefer.into(),
        // It is asked at every call until the program ends.
        table: table.map(|table| &*Box::leak(Box::new(table))),
        tasks: args.tasks,
        stub: if args.pages { STUDY_STUB_TOKENS } else { STUB_TOKENS },
    };
    if args.need_table.is_none() && args.policy.iter().any(|name| is_of_study(name)) {
        for (name, _) in histories.iter().filter_map(|history| history.counted.as_ref()) {
            note(&format!("what cvb and rob know of needs is the table {name}"));
        }
    }
    let mut policies: Vec<(String, Account)> = Vec::new();
    for name in compared(args) {
        let accounts: Result<Vec<Account>, Error> =
            histories.iter().map(|history| bench.account(name, history)).collect();
        policies.push((name.to_owned(), report::joined(accounts?)));
    }
    if args.json {
        print_json(&report::object(args.window, calls, skipped, &policies));
    } else {
        line(&report::lines(&policies));
    }
    Ok(Done::Well)
}

/// Whether it is a policy of the study that knows something of needs.
fn is_of_study(name: &str) -> bool {
    ["cvb:", "rob:"].iter().any(|kind| name.starts_with(kind))
}

/// What every policy is compared with: two that clients have, and one that knows the future.
const RIVALS: [&str; 3] = ["naive", "readme", "clairvoyant"];

/// The policies that are replayed, each once.
fn compared(args: &BenchContextArgs) -> Vec<&str> {
    let rivals = if args.alone { &[][..] } else { &RIVALS };
    let mut names: Vec<&str> = Vec::new();
    for name in args.policy.iter().map(String::as_str).chain(rivals.iter().copied()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn needs(args: &BenchNeedsArgs) -> Result<Done, Error> {
    let mut histories = Vec::new();
    let mut talks = Vec::new();
    for path in &args.files {
        if pages::is_trace(&read_text(path)?) {
            histories.push(History::read(path)?);
        } else {
            talks.push(path.clone());
        }
    }
    if !talks.is_empty() {
        histories.extend(spoken(&talks, args.chain)?.0);
    }
    if histories.iter().all(|history| history.calls() == 0) {
        return Err(silent("counting what is needed again"));
    }
    line(fit::fit(&histories)?.print().trim_end());
    Ok(Done::Well)
}

/// What is said where no model answers.
fn silent(attempt: &str) -> Error {
    let what = format!("{attempt}: no model answers in the recordings");
    Error::new(ErrorCode::TraceInvalid, what)
        .hint("each message of the role assistant is a call that is replayed")
}

/// The histories of recorded conversations, and how many lines of the files were left out.
fn spoken(files: &[PathBuf], chain: bool) -> Result<(Vec<History>, usize), Error> {
    let (conversations, skipped) = input::read(files)?;
    let records: Vec<_> = conversations.into_iter().map(|one| one.record).collect();
    Ok((talk::histories(&records, chain), skipped))
}

/// What is replayed, and how many lines of the files were left out.
fn histories(args: &BenchContextArgs) -> Result<(Vec<History>, usize), Error> {
    if args.pages {
        let room = |path: &PathBuf| {
            let history = History::read(path)?;
            let fixed = u64::from(history.fixed);
            if fixed < args.window {
                return Ok(history);
            }
            let (window, fixed) = (count(args.window), count(fixed));
            let text = format!(
                "choosing the window: {window} tokens have no room beside the static part of {fixed} \
                 tokens of {}",
                path.display()
            );
            Err(Error::new(ErrorCode::Usage, text).hint("allow a larger one with --window"))
        };
        let histories: Result<Vec<History>, Error> = args.files.iter().map(room).collect();
        return Ok((histories?, 0));
    }
    spoken(&args.files, args.chain)
}

/// The text of a file that was named.
fn read_text(path: &Path) -> Result<String, Error> {
    let failed = |code, what: String, hint: &str| {
        Error::new(code, format!("reading {}: {what}", path.display())).hint(hint)
    };
    let bytes = std::fs::read(path).map_err(|error| {
        failed(ErrorCode::Io, error.to_string(), "give files that are there and can be read")
    })?;
    String::from_utf8(bytes).map_err(|error| {
        failed(ErrorCode::TraceInvalid, error.to_string(), "a file of this kind is UTF-8")
    })
}

fn caches(names: &[String]) -> Result<Vec<&'static CacheRules>, Error> {
    let known = |name: &String| {
        rules(name).ok_or_else(|| {
            let names: Vec<_> = CacheRules::names().collect();
            Error::new(ErrorCode::Usage, format!("choosing a cache: no such cache: {name}"))
                .hint(format!("caches: {}", names.join(", ")))
        })
    };
    names.iter().map(known).collect()
}

/// What all policies are replayed under.
struct Bench {
    window: u64,
    caches: Vec<&'static CacheRules>,
    rules: Option<&'static CacheRules>,
    prefer: Prefer,
    /// In the place of those that policies have.
    table: Option<&'static NeedTable>,
    tasks: bool,
    /// What a stub takes.
    stub: u32,
}

impl Bench {
    fn account(&self, name: &str, history: &History) -> Result<Account, Error> {
        let (kind, figures) = name.split_once(':').unwrap_or((name, ""));
        let figures = parse_figures(name, figures)?;
        let mut knowledge = Knowledge::Table(self.needs().clone());
        let policy: Box<dyn Replacement> = match (kind, figures.as_slice()) {
            ("readme", []) => {
                let mut keeper = Sorted::new(self.window, history.fixed);
                return self.replay(history, &mut keeper);
            }
            ("naive", []) => Box::new(Naive),
            ("clairvoyant", []) => {
                knowledge = Knowledge::Oracle(Box::new(Oracle::of(history)));
                Box::new(Priced::default())
            }
            ("batch", [high, low]) if parts(*high, *low) => {
                Box::new(Batch { high: *high, low: *low })
            }
            ("cvb", [high, low, fault]) if parts(*high, *low) => {
                knowledge = self.counted(history);
                Box::new(Study::new((*high, *low), *fault, None))
            }
            ("rob", [high, low, fault, rent]) if parts(*high, *low) => {
                knowledge = self.counted(history);
                Box::new(Study::new((*high, *low), *fault, Some(*rent)))
            }
            ("priced", [high, keep, fault, weight]) if parts(*high, *keep) => {
                let thousandths = |part: f64| u64::from(table::whole(part * 1000.0));
                let setting = Setting {
                    high: thousandths(*high),
                    keep: thousandths(*keep),
                    fault: u64::from(table::whole(*fault)),
                    weight: thousandths(*weight),
                    early: self.prefer != Prefer::Utilisation,
                };
                // A kernel has its policy for as long as the program runs, and so has this.
                let policy = Box::leak(Box::new(Priced { setting: Some(setting) }));
                return self.kernel(policy, history);
            }
            (_, []) => return self.kernel(known(kind)?, history),
            (_, _) => return Err(wrong_figures(name)),
        };
        let keeper = self.paged(policy.as_ref(), knowledge, history);
        let mut keeper = if kind == "naive" { keeper.unannounced() } else { keeper };
        self.replay(history, &mut keeper)
    }

    /// What the kernel's policies know of needs to begin with.
    fn needs(&self) -> &'static NeedTable {
        self.table.unwrap_or_else(NeedTable::seeded)
    }

    /// What the study's policies know of needs: what the study counted over the other half of the trace
    /// or, where that is not known, what is counted over the history itself.
    fn counted(&self, history: &History) -> Knowledge {
        if let Some(table) = self.table {
            return Knowledge::Table(table.clone());
        }
        let studied = history.counted.as_ref().map(|(_, table)| table.clone());
        Knowledge::Table(studied.unwrap_or_else(|| fit::counted(history)))
    }

    /// A policy of the kernel: in a live process if it is known what was said, or else on its page
    /// table.
    fn kernel(
        &self,
        policy: &'static dyn Replacement,
        history: &History,
    ) -> Result<Account, Error> {
        let Some(talk) = &history.talk else {
            let knowledge = Knowledge::Table(self.needs().clone());
            let mut keeper = self.paged(policy, knowledge, history);
            return self.replay(history, &mut keeper);
        };
        let conditions = Conditions {
            window: Tokens(self.window),
            count: talk::tokenizer(),
            cache: self.rules.unwrap_or_else(CacheRules::none),
            replacement: policy,
            prefer: self.prefer,
            needs: self.needs(),
            tools: talk.tools,
        };
        let mut keeper = Live::new(talk, &conditions, self.tasks)?;
        self.replay(history, &mut keeper)
    }

    fn paged<'a>(
        &self,
        policy: &'a dyn Replacement,
        knowledge: Knowledge,
        history: &History,
    ) -> Paged<'a> {
        let rules = self.rules.unwrap_or_else(CacheRules::none);
        let how = (Tokens(self.window), rules, self.prefer);
        Paged::new(policy, how, knowledge, (history.fixed, self.stub), self.tasks)
    }

    fn replay(&self, history: &History, keeper: &mut dyn Keeper) -> Result<Account, Error> {
        replay(history, self.window, &self.caches, keeper)
    }
}

fn known(name: &str) -> Result<&'static dyn Replacement, Error> {
    replacement(name).map_err(|error| {
        let here = "naive, readme, clairvoyant, batch:H/L, cvb:H/L/Q, rob:H/L/Q/B";
        let there = error.hint.clone();
        error.hint(format!("{there}, {here}"))
    })
}

fn parse_figures(name: &str, figures: &str) -> Result<Vec<f64>, Error> {
    let figures = figures.split('/').filter(|figure| !figure.is_empty());
    let is_figure = |figure: &f64| figure.is_finite() && *figure >= 0.0;
    let parse = |figure: &str| figure.parse::<f64>().ok().filter(is_figure);
    figures.map(|figure| parse(figure).ok_or_else(|| wrong_figures(name))).collect()
}

/// Whether both are parts of the window, the lower below the higher.
fn parts(high: f64, low: f64) -> bool {
    low < high && high <= 1.0
}

fn wrong_figures(name: &str) -> Error {
    Error::new(ErrorCode::Usage, format!("choosing a policy of replacement: wrong figures: {name}"))
        .hint(
            "such as batch:0.97/0.6, priced:0.99/0/30000/12, cvb:0.98/0.88/10000, \
             rob:0.97/0.85/10000/0.5",
        )
}

#[cfg(test)]
mod tests;
