//! Where breakpoints of the cache go.
//!
//! One stands at the end of the log and one at the end of the static part, if that is long enough to
//! be cached. Those to spare keep entries alive where the next cut is to be, so that it finds one.

use super::super::page::PageId;
use super::super::plan::{Memo, Situation};

/// The pages behind which breakpoints go, in order, when what is `gone` has been evicted. Spare ones
/// are taken in the order in which they stand in the memo.
pub(super) fn breakpoints(
    situation: &Situation<'_>,
    memo: &Memo,
    gone: impl Fn(PageId) -> bool,
) -> Vec<PageId> {
    let (space, rules) = (situation.space, situation.rules);
    let most = rules.breakpoints();
    if most == 0 {
        return Vec::new();
    }
    let mut places = Vec::with_capacity(most);
    places.extend(space.shown().map(|one| one.id).rfind(|id| !gone(*id)));
    let mut fixed = 0_u64;
    let mut last = None;
    for one in space.shown().take(space.fixed()) {
        fixed = fixed.saturating_add(u64::from(one.tokens));
        last = Some(one.id);
    }
    if fixed >= u64::from(rules.minimum) {
        places.extend(last);
    }
    for spare in &memo.spare {
        if places.len() < most && !places.contains(spare) && !gone(*spare) {
            places.push(*spare);
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}
