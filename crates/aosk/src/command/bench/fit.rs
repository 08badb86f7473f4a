//! What is known of the future of pages: a table made from histories, and one history's own future.

use std::cell::Cell;
use std::collections::BTreeMap;

use aosk::abi::Error;
use aosk::kernel::memory::{Class, Feature, Need, NeedTable, Needs, Page};

use super::keeper::{Knowledge, Paged};
use super::pages::{History, Role};
use super::replay::replay;
use super::table;

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

/// Ages at which the study counts: 2^0 - 1 calls to 2^10 - 1.
const STUDY_AGES: u32 = 11;

/// The table of the study for a history: by kind, idle calls and references, counted over the whole of
/// it, with what the future holds. It stays as it is.
pub(crate) fn counted(history: &History) -> NeedTable {
    let Oracle { uses, born, calls, .. } = Oracle::of(history);
    let mut cells: BTreeMap<(Class, u8, u8), (u32, u32, u32)> = BTreeMap::new();
    for ((page, uses), born) in history.pages.iter().zip(&uses).zip(&born) {
        let class = match page.role {
            Role::User => Class::User,
            Role::Assistant => Class::Assistant,
            Role::Tool => Class::Tool,
        };
        let times = std::iter::once(born).chain(uses);
        for (refs, last) in (0_u32..).zip(times) {
            let next = usize::try_from(refs).ok().and_then(|refs| uses.get(refs)).copied();
            for age in 0..STUDY_AGES {
                let idle = (1_u32 << age) - 1;
                let at = last.saturating_add(idle);
                if at >= calls || next.is_some_and(|next| at > next) {
                    break;
                }
                let refs = u8::try_from(refs.min(3)).unwrap_or(3);
                let (seen, needed, gap) =
                    cells.entry((class, Feature::idle(idle), refs)).or_default();
                *seen += 1;
                if let Some(next) = next {
                    *needed += 1;
                    *gap = gap.saturating_add(next - at + 1);
                }
            }
        }
    }
    let mut table = NeedTable::empty();
    for feature in NeedTable::features() {
        let cell = cells.get(&(feature.class, feature.idle, feature.refs));
        let (chance, usual_gap) = table::USUAL;
        let need = cell.map_or((chance, usual_gap), |(seen, needed, gap)| {
            let chance = (f64::from(*needed) + chance) / (f64::from(*seen) + 1.0);
            let gap = f64::from(*gap) / f64::from((*needed).max(1));
            (chance, if *needed > 0 { gap } else { usual_gap })
        });
        table.fix(feature, table::need(need.0, need.1));
    }
    table
}

/// Knows which pages are needed at which calls: the newest that carries what an answer uses.
#[derive(Debug)]
pub(crate) struct Oracle {
    /// For each page of the history, the calls that need it.
    uses: Vec<Vec<u32>>,
    /// For each page, the call that it was there for first.
    born: Vec<u32>,
    /// How many calls there are.
    calls: u32,
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
        let mut born = Vec::with_capacity(history.pages.len());
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
                born.push(call);
                newest.extend(page.ids.iter().map(|id| (*id, at)));
            }
        }
        Self { uses, born, calls: call, call: Cell::new(0) }
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
