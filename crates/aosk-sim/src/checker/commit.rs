//! What must be true when the store has taken a batch.

use std::collections::BTreeSet;

use aosk_abi::{Body, CallId, Hash, Image, Pid, RowChange, RowKey, RowOp, Spend};
use aosk_kernel::{Kernel, State};
use aosk_store::Reader;
use serde::Deserialize;

use super::calls::{Device, in_flight};
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

impl Checker {
    /// Judges a batch that the store has kept. `image` is what the store would give a booting
    /// kernel.
    pub(crate) fn committed(
        &mut self,
        kernel: &Kernel,
        image: &Image,
        reader: &dyn Reader,
        changes: &[RowChange],
    ) -> Result<(), Rule> {
        let rows = kernel.rows();
        if let Some(what) = first_difference(&rows, &image.rows) {
            return Err(Rule("the store holds what the kernel holds", what));
        }
        let restored = Kernel::restore(self.config.clone(), image)
            .map_err(|error| Rule("what is stored can be restored", error.to_string()))?;
        if let Some(what) = first_difference(&rows, &restored.rows()) {
            return Err(Rule("a restored kernel is the kernel", what));
        }
        ensure(image.journal_length == self.books.entries, "the journal holds every fact", || {
            format!("{} entries, {} facts", image.journal_length, self.books.entries)
        })?;
        for (key, text) in &rows {
            if let RowKey::Budget(id) = key {
                let budget = parse::<BudgetRow>(text)?;
                ensure(id.0 != 1 || budget.used == self.books.root, "the root counts all", || {
                    format!("used {:?}, facts {:?}", budget.used, self.books.root)
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
        self.check_owed(kernel)?;
        let live: BTreeSet<Pid> = kernel.processes().map(|(pid, _)| pid).collect();
        self.books.strike_out(&live);
        self.kept = self.books.clone();
        Ok(())
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

    /// Judges the kernel when all effects of a batch have left.
    pub(crate) fn check_in_flight(&self, kernel: &Kernel) -> Result<(), Rule> {
        let rule = "nobody waits for a call that was not started";
        for (pid, process) in kernel.processes() {
            for flight in in_flight(process) {
                // A cancelled call is not waited for, only its confirmation, and not for long.
                let attempt = (CallId { pid, number: flight.number }, flight.attempt);
                let started = flight.cancelled.is_some() || self.started.contains(&attempt);
                ensure(started, rule, || format!("{attempt:?}"))?;
            }
        }
        Ok(())
    }
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
        RowKey::Page(..) => Kernel::read_page(change.key, text)
            .map_err(|error| Rule("rows can be read", error.to_string()))?,
        RowKey::Mail(..) => parse::<MailRow>(text)?.body,
        RowKey::Kernel | RowKey::Spec(_) | RowKey::Process(_) | RowKey::Budget(_) => return Ok(()),
    };
    let bytes = reader.body(hash).ok().flatten();
    let body = bytes.and_then(|bytes| Body::from_bytes(&bytes).ok());
    ensure(body.is_some_and(|body| body.hash() == hash), "every page has its body", || {
        format!("{:?}", change.key)
    })
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
