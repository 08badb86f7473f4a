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
mod talk;
mod vectors;

use std::path::{Path, PathBuf};

use aosk::abi::{Error, ErrorCode, Tokens};
use aosk::kernel::STUB_TOKENS;
use aosk::kernel::memory::{
    CacheRules, Feature, Need, NeedTable, Prefer, Priced, Replacement, Setting, replacement, rules,
};
use aosk::rehearsal::Conditions;
use serde_json::Value;

use crate::cli::{BenchArgs, BenchCommand, BenchContextArgs, BenchNeedsArgs};
use crate::command::trace::input;
use crate::fail::Done;
use crate::term::{count, json as print_json, line};

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
        let what = "replaying the conversations: no model answers in them";
        return Err(Error::new(ErrorCode::TraceInvalid, what)
            .hint("each message of the role assistant is a call that is replayed"));
    }
    let caches = caches(&args.cache)?;
    let table = args.need_table.as_deref().map(read_table).transpose()?;
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
        table: table.map_or_else(NeedTable::seeded, |table| Box::leak(Box::new(table))),
        tasks: args.tasks,
        stub: if args.pages { STUDY_STUB_TOKENS } else { STUB_TOKENS },
    };
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
    let histories: Result<Vec<History>, Error> =
        args.files.iter().map(|path| History::read(path)).collect();
    line(fit::fit(&histories?)?.print().trim_end());
    Ok(Done::Well)
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
    let (conversations, skipped) = input::read(&args.files)?;
    let records: Vec<_> = conversations.into_iter().map(|one| one.record).collect();
    Ok((talk::histories(&records, args.chain), skipped))
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

/// Reads a table in the form of `aosk bench needs`, or the form of the study: `{"u,0,1": [chance,
/// gap]}` with kind, idle bucket and references, which may stand under a name that follows a `#`.
fn read_table(path: &Path) -> Result<NeedTable, Error> {
    let text = path.to_str().and_then(|path| path.rsplit_once('#'));
    let (path, name) = text.map_or((path, None), |(path, name)| (Path::new(path), Some(name)));
    let failed = |what: String| {
        Error::new(ErrorCode::ConfigInvalid, format!("reading {}: {what}", path.display()))
            .hint("make a table with `aosk bench needs`")
    };
    let text = read_text(path)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    if value.is_array() {
        return NeedTable::parse(&text);
    }
    let value = match name {
        Some(name) => value.get(name).cloned().ok_or_else(|| failed(format!("no {name} in it")))?,
        None => value,
    };
    let mut table = NeedTable::empty();
    for feature in NeedTable::features() {
        table.fix(feature, studied(&value, feature));
    }
    Ok(table)
}

fn studied(value: &Value, feature: Feature) -> Need {
    use aosk::kernel::memory::Class;
    let class = match feature.class {
        Class::User => "u",
        Class::Assistant => "a",
        Class::Tool => "t",
    };
    let cell = value.get(format!("{class},{},{}", feature.idle, feature.refs));
    let figure = |at: usize, usual: f64, scale: f64| {
        let figure = cell.and_then(|cell| cell.get(at)).and_then(Value::as_f64).unwrap_or(usual);
        serde_json::Number::from_f64((figure * scale).round().clamp(0.0, 1e9))
            .and_then(|number| number.as_f64())
            .map_or(0, whole)
    };
    // The file has four digits; what is rounded to none was not nothing.
    let chance_ppm = figure(0, 0.02, 1e6).max(ROUNDED_PPM);
    Need { chance_ppm, gap_16ths: figure(1, 20.0, 16.0) }
}

/// A chance that four digits do not show, in millionths.
const ROUNDED_PPM: u32 = 10;

/// A figure that is known to be small and not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was clamped")]
fn whole(figure: f64) -> u32 {
    figure as u32
}

/// What all policies are replayed under.
struct Bench {
    window: u64,
    caches: Vec<&'static CacheRules>,
    rules: Option<&'static CacheRules>,
    prefer: Prefer,
    table: &'static NeedTable,
    tasks: bool,
    /// What a stub takes.
    stub: u32,
}

impl Bench {
    fn account(&self, name: &str, history: &History) -> Result<Account, Error> {
        let (kind, figures) = name.split_once(':').unwrap_or((name, ""));
        let figures = parse_figures(name, figures)?;
        let mut knowledge = Knowledge::Table(self.table.clone());
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
                Box::new(Study::new((*high, *low), *fault, None))
            }
            ("rob", [high, low, fault, rent]) if parts(*high, *low) => {
                Box::new(Study::new((*high, *low), *fault, Some(*rent)))
            }
            ("priced", [high, keep, fault, weight]) if parts(*high, *keep) => {
                let thousandths = |part: f64| u64::from(whole((part * 1000.0).clamp(0.0, 1e9)));
                let setting = Setting {
                    high: thousandths(*high),
                    keep: thousandths(*keep),
                    fault: u64::from(whole(fault.clamp(0.0, 1e9))),
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
        let mut keeper = self.paged(policy.as_ref(), knowledge, history);
        self.replay(history, &mut keeper)
    }

    /// A policy of the kernel: in a live process if it is known what was said, or else on its page
    /// table.
    fn kernel(
        &self,
        policy: &'static dyn Replacement,
        history: &History,
    ) -> Result<Account, Error> {
        let Some(talk) = &history.talk else {
            let knowledge = Knowledge::Table(self.table.clone());
            let mut keeper = self.paged(policy, knowledge, history);
            return self.replay(history, &mut keeper);
        };
        let conditions = Conditions {
            window: Tokens(self.window),
            count: talk::tokenizer(),
            cache: self.rules.unwrap_or_else(CacheRules::none),
            replacement: policy,
            prefer: self.prefer,
            needs: self.table,
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
