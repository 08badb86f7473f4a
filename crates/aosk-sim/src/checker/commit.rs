//! What must be true when the store has taken a batch. The kernel may have gone on deciding since it
//! was handed over, so what is stored is held against what was true at that moment.

use std::collections::BTreeSet;

use aosk_abi::{
    Body, CallId, Entry, Hash, Image, Pid, Release, RowChange, RowKey, RowOp, Spend, ToolStart,
};
use aosk_kernel::{Kernel, State};
use aosk_store::{JournalQuery, Reader};
use serde::Deserialize;

use super::books::Books;
use super::calls::{Device, in_flight};
use super::shutdown::Shutdown;
use super::{Checker, Rule, ensure};

/// As much of the rows as the checker looks at.
#[derive(Deserialize)]
struct Row<T> {
    row: T,
}

#[derive(Deserialize)]
struct BudgetRow {
    used: Spend,
    reserved: Spend,
}

#[derive(Deserialize)]
struct MailRow {
    body: Hash,
}

/// What inputs led to that no batch holds yet.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub(super) facts: Vec<Entry>,
    pub(super) releases: Vec<Release>,
}

/// What was true when a batch was handed to the store.
#[derive(Debug)]
pub(crate) struct HandedOver {
    kernel: Kernel,
    books: Books,
    decided: Decided,
}

impl Checker {
    /// Notes what the store must hold when it keeps the batch that it is given now.
    pub(crate) fn handed_over(&mut self, kernel: &Kernel) -> HandedOver {
        let live: BTreeSet<Pid> = kernel.processes().map(|(pid, _)| pid).collect();
        self.books.strike_out(&live);
        let decided = std::mem::take(&mut self.decided);
        HandedOver { kernel: kernel.clone(), books: self.books.clone(), decided }
    }

    /// Judges a batch that the store has kept. `image` is what the store would give a booting
    /// kernel.
    pub(crate) fn committed(
        &mut self,
        then: HandedOver,
        image: &Image,
        reader: &dyn Reader,
        changes: &[RowChange],
    ) -> Result<(), Rule> {
        let HandedOver { kernel, books, decided } = then;
        let rows = kernel.rows();
        if let Some(what) = first_difference(&rows, &image.rows) {
            return Err(Rule("the store holds what the kernel holds", what));
        }
        let restored = Kernel::restore(self.config.clone(), image)
            .map_err(|error| Rule("what is stored can be restored", error.to_string()))?;
        if let Some(what) = first_difference(&rows, &restored.rows()) {
            return Err(Rule("a restored kernel is the kernel", what));
        }
        check_tables(&kernel, &restored)?;
        ensure(image.journal_length == books.entries, "the journal holds every fact", || {
            format!("{} entries, {} facts", image.journal_length, books.entries)
        })?;
        self.check_journal(reader, &decided.facts)?;
        for (key, text) in &rows {
            if let RowKey::Budget(id) = key {
                let budget = parse::<BudgetRow>(text)?;
                ensure(id.0 != 1 || budget.used == books.root, "the root counts all", || {
                    format!("used {:?}, facts {:?}", budget.used, books.root)
                })?;
                let idle = kernel.process_count() == 0;
                ensure(
                    !idle || budget.reserved == Spend::default(),
                    "nobody holds nothing",
                    || format!("{id}: {:?} reserved", budget.reserved),
                )?;
            }
        }
        for change in changes {
            check_body(reader, change)?;
        }
        self.check_owed(&kernel)?;
        ensure(self.due.is_empty(), "what is committed happens", || format!("{:?}", self.due))?;
        self.kept = books;
        self.kept_rows = rows;
        self.due = self.still_due(decided.releases).into();
        Ok(())
    }

    /// The end of the journal is what was decided, in that order.
    fn check_journal(&self, reader: &dyn Reader, decided: &[Entry]) -> Result<(), Rule> {
        let rule = "the journal is in the order of the decisions";
        let query = JournalQuery { from: self.kept.entries + 1, ..JournalQuery::default() };
        let stored = reader.journal(&query).map_err(|error| Rule(rule, error.to_string()))?;
        let same = stored.len() == decided.len()
            && stored.iter().zip(decided).all(|(stored, decided)| {
                let Entry { at, pid, fact } = decided;
                let text = serde_json::to_string(fact).unwrap_or_default();
                (stored.at, stored.pid, &*stored.kind) == (*at, *pid, fact.kind())
                    && stored.data == text
            });
        ensure(same, rule, || format!("{stored:?}, decided {decided:?}"))
    }

    /// Between two batches nobody owes a step.
    fn check_owed(&self, kernel: &Kernel) -> Result<(), Rule> {
        for (pid, process) in kernel.processes() {
            let program = matches!(process.state, State::Program { .. });
            ensure(!program, "every wake is carried out before the commit", || pid.to_string())?;
            for flight in in_flight(process) {
                let Device::Tool { name: Some(name) } = flight.device else {
                    continue;
                };
                ensure(!self.is_inline(name), "inline tools run before the commit", || {
                    format!("{pid}: {flight:?}")
                })?;
            }
        }
        Ok(())
    }

    /// Judges the kernel when all effects of a batch have left. What was decided since that batch
    /// was handed over is still held back.
    pub(crate) fn check_in_flight(&self, kernel: &Kernel) -> Result<(), Rule> {
        let rule = "nobody waits for a call that was not started";
        ensure(self.due.is_empty(), "what is committed happens", || format!("{:?}", self.due))?;
        let held_back = self.decided.releases.iter().filter_map(|release| match release {
            Release::Think { call, attempt, .. }
            | Release::Tool(ToolStart { call, attempt, .. }) => Some((*call, *attempt)),
            Release::Cancel { .. } | Release::Yield { .. } | Release::Reply { .. } => None,
        });
        let held_back: BTreeSet<_> = held_back.collect();
        if self.shutdown == Shutdown::CutOff {
            return Ok(());
        }
        for (pid, process) in kernel.processes() {
            for flight in in_flight(process) {
                // A cancelled call is not waited for, only its confirmation, and not for long.
                let attempt = (CallId { pid, number: flight.number }, flight.attempt);
                let started = flight.cancelled.is_some()
                    || self.started.contains(&attempt)
                    || held_back.contains(&attempt);
                ensure(started, rule, || format!("{attempt:?}"))?;
            }
        }
        Ok(())
    }
}

/// A restored process is shown what the process was shown.
fn check_tables(kernel: &Kernel, restored: &Kernel) -> Result<(), Rule> {
    for (pid, process) in kernel.processes() {
        let space = process.memory.space();
        let same = restored.process(pid).is_some_and(|other| {
            let other = other.memory.space();
            space.fixed() == other.fixed()
                && space.shown().map(|one| one.identity()).eq(other.shown().map(|o| o.identity()))
        });
        ensure(same, "a restored page table is the page table", || pid.to_string())?;
    }
    Ok(())
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Rule> {
    let row: Row<T> = serde_json::from_str(text)
        .map_err(|error| Rule("rows can be read", format!("{error}: {text}")))?;
    Ok(row.row)
}

/// Content that a row points to is in the store, and is a message.
fn check_body(reader: &dyn Reader, change: &RowChange) -> Result<(), Rule> {
    let RowOp::Put(text) = &change.op else {
        return Ok(());
    };
    let hash = match change.key {
        RowKey::Message(..) => Kernel::read_page(change.key, text)
            .map_err(|error| Rule("rows can be read", error.to_string()))?,
        RowKey::Mail(..) => parse::<MailRow>(text)?.body,
        RowKey::Kernel | RowKey::Spec(_) | RowKey::Process(_) | RowKey::Budget(_) => return Ok(()),
    };
    let is_kept = |hash: Hash| {
        let bytes = reader.body(hash).ok().flatten();
        let body = bytes.and_then(|bytes| Body::from_bytes(&bytes).ok());
        body.is_some_and(|body| body.hash() == hash)
    };
    if let RowKey::Message(..) = change.key {
        let entries = Kernel::read_entries(change.key, text).unwrap_or_default();
        let lost = entries.iter().filter_map(|entry| entry.kept.text).find(|text| !is_kept(*text));
        ensure(lost.is_none(), "every summary has its body", || format!("{change:?}"))?;
    }
    ensure(is_kept(hash), "every page has its body", || format!("{:?}", change.key))
}

fn first_difference(a: &[(RowKey, String)], b: &[(RowKey, String)]) -> Option<String> {
    if a == b {
        return None;
    }
    let (mut a, mut b) = (a.iter(), b.iter());
    loop {
        match (a.next(), b.next()) {
            (Some(left), Some(right)) if left == right => {}
            (left, right) => return Some(format!("kernel {left:?}, store {right:?}")),
        }
    }
}
