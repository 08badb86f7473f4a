//! Progress of running agents: a spinner per agent on a terminal, plain lines when piped.

mod news;

use std::collections::BTreeMap;
use std::time::Duration;

use aosk::abi::Pid;
use aosk::{Clock, Handle, Snapshot};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::term::{cut, is_live, money, note, plural};

use news::{Item, News, Retry};

pub(crate) use news::misses;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Spinners shown at once; further agents are counted only.
const SPINNERS_MAX: usize = 16;

/// Characters of a name on a line.
const NAME_MAX: usize = 64;

/// Shows agents until it is dropped or its future is.
pub(crate) struct Progress {
    screen: Option<MultiProgress>,
    spinners: BTreeMap<Pid, ProgressBar>,
    said: BTreeMap<Pid, Said>,
    news: News,
    /// What failed last of each process that has retried.
    failed: BTreeMap<Pid, Retry>,
    clock: Clock,
}

/// What was said of an agent last, where lines are plain.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Said {
    ended: bool,
    steps: u64,
}

impl Progress {
    /// Shows what happens from now on.
    pub(crate) fn new(handle: &Handle) -> Self {
        let screen = is_live()
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        Self {
            screen,
            spinners: BTreeMap::new(),
            said: BTreeMap::new(),
            news: News::new(handle.reader()),
            failed: BTreeMap::new(),
            clock: Clock::start(),
        }
    }

    /// Shows the processes of `handle` for ever.
    pub(crate) async fn watch(&mut self, handle: &Handle) {
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            ticks.tick().await;
            self.show(&handle.processes());
        }
    }

    /// Shows how things stand.
    pub(crate) fn show(&mut self, processes: &[Snapshot]) {
        for process in processes {
            let who = format!("{} ({})", cut(&process.spec.name, NAME_MAX), process.pid);
            let mut news = Vec::new();
            for item in self.news.of(process) {
                match (item, &self.screen) {
                    (Item::Retry(retry), _) => news.push(retry),
                    (Item::Miss(text), Some(screen)) => {
                        screen.suspend(|| note(&format!("{who}: {text}")));
                    }
                    (Item::Miss(text), None) => note(&format!("{who}: {text}")),
                }
            }
            match &self.screen {
                Some(screen) => {
                    self.failed.extend(news.into_iter().map(|retry| (process.pid, retry)));
                    let failed = self.failed.get(&process.pid);
                    let now = self.clock.now();
                    let line = match failed.filter(|_| process.state == "backoff") {
                        Some(failed) => failed.line(now),
                        None => line(process),
                    };
                    Self::spin(&mut self.spinners, screen, process, line);
                }
                None => self.say(process, &who, &news),
            }
        }
    }

    fn spin(
        spinners: &mut BTreeMap<Pid, ProgressBar>,
        screen: &MultiProgress,
        process: &Snapshot,
        line: String,
    ) {
        let ended = process.status.is_some();
        if !spinners.contains_key(&process.pid) {
            if ended || spinners.len() >= SPINNERS_MAX {
                return;
            }
            let spinner = screen.add(ProgressBar::new_spinner());
            // The template is a constant; a bad one would fall back to the usual look.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:16} {wide_msg}") {
                spinner.set_style(style);
            }
            spinner.set_prefix(cut(&process.spec.name, 16));
            spinner.enable_steady_tick(INTERVAL);
            spinners.insert(process.pid, spinner);
        }
        if let Some(spinner) = spinners.get(&process.pid)
            && !spinner.is_finished()
        {
            spinner.set_message(line);
            if ended {
                spinner.finish();
            }
        }
    }

    fn say(&mut self, process: &Snapshot, who: &str, news: &[Retry]) {
        for retry in news {
            note(&format!("{who}: {}", retry.line(retry.at())));
        }
        let now = Said { ended: process.status.is_some(), steps: process.stats.spend.steps };
        let before = self.said.insert(process.pid, now);
        if before == Some(now) {
            return;
        }
        // How an agent without a parent ended is told in the end, with its result.
        if before.is_none() && !now.ended || now.ended && process.spec.parent.is_some() {
            note(&format!("{who}: {}", line(process)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        for spinner in self.spinners.values() {
            if !spinner.is_finished() {
                spinner.abandon();
            }
        }
    }
}

/// An agent in a line.
fn line(process: &Snapshot) -> String {
    let state =
        process.status.map_or_else(|| process.state.to_owned(), |status| status.to_string());
    format!(
        "{state}; {}, {}, {}, {}",
        plural(process.stats.spend.steps, "step"),
        plural(process.stats.tool_calls, "tool call"),
        plural(process.stats.input.0.saturating_add(process.stats.output.0), "token"),
        money(process.stats.spend.micro_usd),
    )
}
