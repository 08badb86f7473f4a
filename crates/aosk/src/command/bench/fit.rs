//! What is known of the future of pages: a table made from histories, and one history's own future.

use std::cell::Cell;
use std::collections::BTreeMap;

use aosk::abi::Error;
use aosk::kernel::memory::{Need, NeedTable, Needs, Page};

use super::keeper::{Knowledge, Paged};
use super::pages::{History, Role};
use super::replay::replay;

/// Replays histories with nothing evicted, and counts.
pub(crate) fn fit(histories: &[History]) -> Result<NeedTable, Error> {
    let mut table = NeedTable::unfitted();
    for history in histories {
        let mut keeper = Paged::unlimited(Knowledge::Table(table), history.fixed);
        replay(history, u64::MAX, &[], &mut keeper)?;
        table = keeper.into_table();
    }
    Ok(table)
}

/// Knows which pages are needed at which calls: the newest that carries what an answer uses.
#[derive(Debug)]
pub(crate) struct Oracle {
    /// For each page of the history, the calls that need it.
    uses: Vec<Vec<u32>>,
    /// The call that comes next, faults not counted.
    call: Cell<u32>,
}

impl Oracle {
    /// A call was made; if it turns out to have been a fault, it is taken back.
    pub(crate) fn called(&self) {
        self.call.set(self.call.get().saturating_add(1));
    }

    /// The last call was a fault.
    pub(crate) fn faulted(&self) {
        self.call.set(self.call.get().saturating_sub(1));
    }

    pub(crate) fn of(history: &History) -> Self {
        let mut uses = vec![Vec::new(); history.pages.len()];
        let mut newest: BTreeMap<u32, usize> = BTreeMap::new();
        let mut call = 0_u32;
        for range in history.messages() {
            let pages = history.pages.get(range.clone()).unwrap_or_default();
            if pages.first().is_some_and(|page| page.role == Role::Assistant) {
                for page in pages {
                    for id in &page.ids {
                        let Some(at) = newest.get(id) else { continue };
                        let task = history.pages.get(*at).map(|one| one.task);
                        if let Some(calls) = uses.get_mut(*at)
                            && task == Some(page.task)
                            && calls.last() != Some(&call)
                        {
                            calls.push(call);
                        }
                    }
                }
                call = call.saturating_add(1);
            }
            for (at, page) in range.zip(pages) {
                newest.extend(page.ids.iter().map(|id| (*id, at)));
            }
        }
        Self { uses, call: Cell::new(0) }
    }
}

impl Needs for Oracle {
    fn need(&self, page: &Page, _: u32, _: u32) -> Need {
        let step = self.call.get();
        let at = page.source.0.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let calls = at.and_then(|at| self.uses.get(at));
        let next = calls.and_then(|calls| calls.iter().find(|call| **call >= step));
        next.map_or_else(Need::default, |call| Need {
            chance_ppm: 1_000_000,
            gap_16ths: (call - step).saturating_add(1).saturating_mul(16),
        })
    }
}
