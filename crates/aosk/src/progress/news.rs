//! What the journal tells of model calls while they are made: attempts that failed and are made again,
//! and caches that had less than could be expected.

use std::collections::BTreeMap;
use std::sync::Arc;

use aosk::abi::{Error, ErrorCode, Fact, FailureClass, Millis, Pid, Timestamp};
use aosk::store::{JournalQuery, Reader};
use aosk::{Snapshot, inspect};

use crate::miss;
use crate::term::cut;

/// Characters of what went wrong.
const TEXT_MAX: usize = 300;

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Retry {
    at: Timestamp,
    failure: u32,
    class: FailureClass,
    code: ErrorCode,
    message: String,
    wait: Millis,
}

impl Retry {
    /// It in a line, with how long is left at `now` until the next one.
    pub(super) fn line(&self, now: Timestamp) -> String {
        let (failure, most) = (self.failure, self.class.attempts_max());
        let left = self.at.after(self.wait).since(now);
        let message = cut(&self.message, TEXT_MAX);
        format!("attempt {failure} of {most} failed [{}], again in {left}: {message}", self.code)
    }

    /// When the kernel decided to try again.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }
}

/// Something new.
#[derive(Debug)]
pub(super) enum Item {
    /// An attempt failed.
    Retry(Retry),
    /// A cache had less than could be expected; the line that says so.
    Miss(String),
}

/// Finds what is new of processes, each item once.
pub(super) struct News {
    reader: Arc<dyn Reader>,
    /// The first entry that is news to whoever watches.
    from: u64,
    /// How many items a process had when it was looked at last, and the entry to go on at.
    seen: BTreeMap<Pid, (u64, u64)>,
}

impl News {
    /// Those from now on.
    pub(super) fn new(reader: Arc<dyn Reader>) -> Self {
        let from = reader.head().map_or(1, |head| head.length.saturating_add(1));
        Self { reader, from, seen: BTreeMap::new() }
    }

    /// What is new since the last look. The journal is read only if there is something.
    pub(super) fn of(&mut self, process: &Snapshot) -> Vec<Item> {
        let stats = &process.stats;
        let count = stats.model_retries.saturating_add(stats.cache_misses);
        let (before, from) = self.seen.get(&process.pid).copied().unwrap_or((0, self.from));
        if count == before {
            return Vec::new();
        }
        let Ok((found, next)) = items(self.reader.as_ref(), process.pid, from) else {
            // A store that cannot be read ends the run by itself; here it only means to look again.
            return Vec::new();
        };
        self.seen.insert(process.pid, (count, next));
        found
    }
}

/// The items of a process from an entry of the journal on, and the entry to go on at.
fn items(reader: &dyn Reader, pid: Pid, from: u64) -> Result<(Vec<Item>, u64), Error> {
    let (mut found, mut next) = (Vec::new(), from);
    let query = JournalQuery { from, limit: u32::MAX, pid: Some(pid) };
    inspect::journal(reader, &query, |entry| {
        next = entry.seq.saturating_add(1);
        let fact = Fact::read(&entry.kind, &entry.data);
        if let Some(Fact::ModelRetried { failure, class, code, message, wait, .. }) = fact {
            let at = entry.at;
            found.push(Item::Retry(Retry { at, failure, class, code, message, wait }));
        } else if let Some(Fact::CacheMissed { call, reason, unchanged, read, changed }) = fact {
            let figures = (read, unchanged);
            found.push(Item::Miss(miss::warning(call.number, figures, reason, changed.as_ref())));
        }
        true
    })?;
    Ok((found, next))
}

/// What is to be said of the caches of a process, from the beginning of the journal.
pub(crate) fn misses(reader: &dyn Reader, pid: Pid) -> Result<Vec<String>, Error> {
    let (items, _) = items(reader, pid, 1)?;
    let line = |item| match item {
        Item::Miss(line) => Some(line),
        Item::Retry(_) => None,
    };
    Ok(items.into_iter().filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_wait_is_counted_down() {
        let retry = Retry {
            at: Timestamp(10_000),
            failure: 2,
            class: FailureClass::Transient,
            code: ErrorCode::ModelServer,
            message: "asking\u{1b}[2J".to_owned(),
            wait: Millis(1_500),
        };
        let lines = [10_000, 11_000, 12_000].map(|now| retry.line(Timestamp(now)));
        let line =
            |left| format!("attempt 2 of 6 failed [model.server], again in {left}: asking [2J");
        assert_eq!(lines, ["1.5 s", "500 ms", "0 ms"].map(line));
    }

    #[test]
    fn a_refusal_for_rates_says_how_many_it_may_be() {
        let retry = Retry {
            at: Timestamp(0),
            failure: 7,
            class: FailureClass::RateLimited,
            code: ErrorCode::ModelRateLimited,
            message: "asking".to_owned(),
            wait: Millis(500),
        };
        let line = "attempt 7 of 12 failed [model.rate_limited], again in 500 ms: asking";
        assert_eq!(retry.line(Timestamp(0)), line);
    }
}
