//! A table of needs made from histories: what was needed again, by what could be seen of it.

use aosk::kernel::memory::NeedTable;

use super::keeper::{Knowledge, Paged};
use super::pages::History;
use super::replay::replay;

/// Replays histories with nothing evicted, and counts.
pub(crate) fn fit(histories: &[History]) -> NeedTable {
    let mut table = NeedTable::unfitted();
    for history in histories {
        let mut keeper = Paged::unlimited(Knowledge::Table(table), history.fixed);
        replay(history, u64::MAX, &[], &mut keeper);
        table = keeper.into_table();
    }
    table
}
