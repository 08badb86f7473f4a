//! What must be true of every page table.

use std::collections::BTreeMap;

use aosk_abi::{MessageIndex, PageId, PageKind, Pid, TEXT_END};
use aosk_kernel::Process;
use aosk_kernel::memory::{AddressSpace, Page, Residency};

use super::super::{Rule, ensure};

/// What must be true of every page table.
pub(super) fn check_table(pid: Pid, process: &Process) -> Result<(), Rule> {
    let memory = &process.memory;
    let space = memory.space();
    let rendered = |page: &Page| matches!(page.residency, Residency::Resident | Residency::Stub);
    let expected = space.pages().filter(|(_, page)| rendered(page)).map(|(id, _)| id);
    let rule = "what is resident is shown, and what is not is not";
    ensure(space.shown().map(|one| one.id).eq(expected), rule, || pid.to_string())?;
    for (at, one) in space.shown().enumerate() {
        let is_static = at < space.fixed();
        ensure(!(is_static && one.is_stub()), "the static part stays", || {
            format!("{pid}: {:?}", one.id)
        })?;
    }
    let mut places: BTreeMap<MessageIndex, Vec<(u16, u32)>> = BTreeMap::new();
    for (id, page) in space.pages().skip(1) {
        places.entry(page.source).or_default().push((page.part, page.end));
        let held = page.pinned && page.residency != Residency::Forgotten;
        let rule = "what is pinned is shown with its content";
        ensure(!held || page.residency == Residency::Resident, rule, || format!("{pid}: {id:?}"))?;
        let stands_for = (page.residency == Residency::Stub) == (page.extent > 0);
        ensure(stands_for, "a stub stands for something", || format!("{pid}: {id:?} {page:?}"))?;
    }
    let rule = "the pages of a message are all of it";
    let all = places.keys().copied().eq((0..memory.taken().0).map(MessageIndex));
    ensure(all, rule, || format!("{pid}: {places:?}, of {}", memory.taken()))?;
    for (source, parts) in &places {
        let whole = parts.iter().zip(0..).all(|((part, _), at)| *part == at)
            && parts.is_sorted_by(|(_, one), (_, next)| one < next || (*one, *next) == (0, 0))
            && parts.last().is_some_and(|(_, end)| *end == TEXT_END);
        ensure(whole, rule, || format!("{pid}: message {source}: {parts:?}"))?;
    }
    check_answers(pid, space)
}

/// A call of tools and its results stay together.
fn check_answers(pid: Pid, space: &AddressSpace) -> Result<(), Rule> {
    let own = |page: &Page| page.source.0.saturating_add(1);
    let mut calls: BTreeMap<u32, bool> = BTreeMap::new();
    let mut results: BTreeMap<(u32, MessageIndex), (bool, bool)> = BTreeMap::new();
    for (_, page) in space.pages().skip(1) {
        let content = page.residency == Residency::Resident;
        if page.kind == PageKind::Assistant {
            *calls.entry(own(page)).or_insert(true) &= content;
        }
        if page.group.0 != own(page) {
            let (shown, all) = results.entry((page.group.0, page.source)).or_default();
            *shown |= content;
            *all |= content || page.residency == Residency::Stub;
        }
    }
    for ((group, source), (content, any)) in &results {
        let called = calls.get(group).copied().unwrap_or(false);
        let what =
            || format!("{pid}: result {source} of the call in group {group}, {}", describe(space));
        ensure(*any || !called, "a call is shown with all its results", what)?;
        ensure(called || !content, "a result is shown with its call", what)?;
    }
    Ok(())
}

/// A page table in one line.
pub(super) fn describe(space: &AddressSpace) -> String {
    let page = |(id, page): (PageId, &Page)| {
        let Page { kind, residency, group, source, tokens, extent, original, pinned, .. } = page;
        let pinned = if *pinned { " pinned" } else { "" };
        let (id, of) = (id.0, original.0);
        format!("{id}={of} {source} g{} {kind:?} {residency:?}{pinned} {tokens} x{extent}", group.0)
    };
    space.pages().map(page).collect::<Vec<_>>().join("; ")
}
