//! Progress of running agents: a spinner per agent on a terminal, plain lines when piped.

use std::collections::BTreeMap;
use std::time::Duration;

use aosk::abi::Pid;
use aosk::{Handle, Snapshot};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::term::{count, cut, is_live, money, note};

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Spinners shown at once; further agents are counted only.
const SPINNERS_MAX: usize = 16;

/// Shows agents until it is dropped or its future is.
pub(crate) struct Progress {
    screen: Option<MultiProgress>,
    spinners: BTreeMap<Pid, ProgressBar>,
    said: BTreeMap<Pid, Said>,
}

/// What was said of an agent last, where lines are plain.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Said {
    ended: bool,
    steps: u64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let screen = is_live()
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
        Self { screen, spinners: BTreeMap::new(), said: BTreeMap::new() }
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
            match &self.screen {
                Some(screen) => Self::spin(&mut self.spinners, screen, process),
                None => self.say(process),
            }
        }
    }

    fn spin(spinners: &mut BTreeMap<Pid, ProgressBar>, screen: &MultiProgress, process: &Snapshot) {
        let ended = process.status.is_some();
        if !spinners.contains_key(&process.pid) {
            if ended || spinners.len() >= SPINNERS_MAX {
                return;
            }
            let spinner = screen.add(ProgressBar::new_spinner());
            // The template is a constant; a bad one would fall back to the usual look.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:16} {msg}") {
                spinner.set_style(style);
            }
            spinner.set_prefix(cut(&process.spec.name, 16));
            spinner.enable_steady_tick(INTERVAL);
            spinners.insert(process.pid, spinner);
        }
        if let Some(spinner) = spinners.get(&process.pid)
            && !spinner.is_finished()
        {
            spinner.set_message(line(process));
            if ended {
                spinner.finish();
            }
        }
    }

    fn say(&mut self, process: &Snapshot) {
        let now = Said { ended: process.status.is_some(), steps: process.stats.spend.steps };
        let before = self.said.insert(process.pid, now);
        if before == Some(now) {
            return;
        }
        if before.is_none() || now.ended {
            note(&format!("{} ({}): {}", process.spec.name, process.pid, line(process)));
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
        "{state:<10} {} steps, {} tools, {} tokens, {}",
        process.stats.spend.steps,
        process.stats.tool_calls,
        count(process.stats.input.0.saturating_add(process.stats.output.0)),
        money(process.stats.spend.micro_usd),
    )
}
