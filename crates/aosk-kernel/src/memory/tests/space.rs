//! The page table: what is rendered after each operation.

use aosk_abi::Tokens;
use proptest::prelude::*;

use super::super::{Leave, MemoryError};
use super::*;

#[test]
fn a_run_leaves_one_stub() {
    let mut space = space(&[50, 60, 70, 80]);
    assert_eq!(space.evict(&ids(&[2, 3]), Leave::Stub), Tokens(60 + 70 - 20));
    assert_eq!(shown(&space), [(0, 0, 100), (1, 0, 50), (2, 2, 20), (4, 0, 80)]);
    assert_eq!(space.total(), Tokens(250));
    assert!(is_at(&space, 2, Residency::Stub) && is_at(&space, 3, Residency::Evicted));
}

#[test]
fn a_stub_takes_in_what_is_evicted_next_to_it() {
    let mut space = space(&[50, 60, 70, 80, 90]);
    space.evict(&ids(&[2]), Leave::Stub);
    space.evict(&ids(&[4]), Leave::Stub);
    space.evict(&ids(&[3]), Leave::Stub);
    assert_eq!(shown(&space), [(0, 0, 100), (1, 0, 50), (2, 3, 20), (5, 0, 90)]);
    assert_eq!(space.total(), Tokens(260));
}

#[test]
fn stubs_apart_stay_byte_for_byte() {
    let mut space = space(&[50, 60, 70, 80, 90]);
    space.evict(&ids(&[2]), Leave::Apart);
    space.sent();
    space.evict(&ids(&[3]), Leave::Apart);
    assert_eq!(shown(&space), [(0, 0, 100), (1, 0, 50), (2, 1, 20), (4, 0, 80), (5, 0, 90)]);
    assert_eq!(space.unchanged().entries, 3);
}

#[test]
fn what_is_pinned_or_static_stays() {
    let mut space = space(&[50, 60]);
    space.pin(PageId(1), true).unwrap();
    assert_eq!(space.evict(&ids(&[0, 1]), Leave::Stub), Tokens(0));
    space.pin(PageId(1), false).unwrap();
    assert_eq!(space.evict(&ids(&[0, 1]), Leave::Stub), Tokens(30));
}

#[test]
fn a_page_comes_back_at_the_tail_and_not_in_its_place() {
    let mut space = space(&[50, 60, 70]);
    space.evict(&ids(&[1]), Leave::Stub);
    assert_eq!(space.recall(&ids(&[1]), BlockId(9)), Ok(ids(&[4])));
    assert_eq!(shown(&space), [(0, 0, 100), (1, 1, 20), (2, 0, 60), (3, 0, 70), (4, 0, 50)]);
    let copy = *space.page(PageId(4)).unwrap();
    assert_eq!((copy.kind, copy.original), (PageKind::Recalled, PageId(1)));
    assert_eq!(copy.source, space.page(PageId(1)).unwrap().source);
    // The copy goes without a stub, since that of the original is there; and comes back again.
    space.evict(&ids(&[4]), Leave::Stub);
    assert_eq!(space.entries(), 4);
    assert_eq!(space.recall(&ids(&[4]), BlockId(10)), Ok(ids(&[5])));
    assert_eq!(space.page(PageId(5)).unwrap().original, PageId(1));
}

#[test]
fn recall_of_what_is_resident_changes_nothing_and_of_what_is_not_there_fails() {
    let mut space = space(&[50, 60]);
    space.evict(&ids(&[1]), Leave::Stub);
    let before = space.clone();
    assert_eq!(space.recall(&ids(&[2]), BlockId(9)), Ok(ids(&[2])));
    let missing = space.recall(&ids(&[1, 7]), BlockId(9));
    assert_eq!(missing, Err(MemoryError::NoSuchPage(PageId(7))));
    assert_eq!(space, before);
}

#[test]
fn what_is_forgotten_is_gone_with_its_copies() {
    let mut space = space(&[50, 60]);
    space.evict(&ids(&[1]), Leave::Stub);
    space.recall(&ids(&[1]), BlockId(9)).unwrap();
    space.forget(PageId(3)).unwrap();
    assert_eq!(shown(&space), [(0, 0, 100), (2, 0, 60)]);
    assert_eq!(space.recall(&ids(&[1]), BlockId(9)), Err(MemoryError::Forgotten(PageId(1))));
    assert_eq!(space.forget(PageId(0)), Err(MemoryError::Static(PageId(0))));
    assert_eq!(space.total(), Tokens(160));
}

#[test]
fn a_summary_stands_in_the_place_of_what_it_replaces() {
    let mut space = space(&[50, 60, 70, 80]);
    assert_eq!(space.summarise((PageId(1), PageId(3)), 40, None), Tokens(140));
    assert_eq!(shown(&space), [(0, 0, 100), (1, 3, 40), (4, 0, 80)]);
    assert!(space.page(PageId(1)).unwrap().summary);
    assert_eq!(space.recall(&ids(&[2]), BlockId(9)), Ok(ids(&[5])));
}

#[test]
fn an_arena_leaves_without_a_trace() {
    let mut space = space(&[50]);
    for block in 2..4 {
        let mut child = page(PageKind::Assistant, 500, block);
        child.arena = ArenaId(7);
        space.append(child);
    }
    space.append(page(PageKind::Message, 30, 4));
    assert_eq!(space.close_arena(ArenaId(7)), Tokens(1000));
    assert_eq!(shown(&space), [(0, 0, 100), (1, 0, 50), (4, 0, 30)]);
}

#[test]
fn a_fork_is_of_its_own() {
    let mut parent = space(&vec![50; 300]);
    let mut child = parent.fork();
    assert_eq!(child, parent);
    child.evict(&ids(&[290]), Leave::Stub);
    child.touch(PageId(299));
    parent.append(page(PageKind::User, 5, 900));
    assert!(is_at(&parent, 290, Residency::Resident));
    assert_eq!(parent.page(PageId(299)).unwrap().refs, 0);
    assert_eq!(child.page(PageId(301)), None);
    assert_eq!(shown(&child)[..290], shown(&parent)[..290]);
}

#[test]
fn an_entry_is_small() {
    assert!(size_of::<super::super::Page>() <= 100, "{}", size_of::<super::super::Page>());
}

/// What is done to a page table.
#[derive(Debug, Clone)]
enum Op {
    Append(u32),
    Evict(Vec<u32>, bool),
    Recall(u32),
    Forget(u32),
    Pin(u32, bool),
    Sent,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..900_u32).prop_map(Op::Append),
        2 => (proptest::collection::vec(0..60_u32, 0..20), any::<bool>())
            .prop_map(|(pages, apart)| Op::Evict(pages, apart)),
        1 => (0..60_u32).prop_map(Op::Recall),
        1 => (0..60_u32).prop_map(Op::Forget),
        1 => ((0..60_u32), any::<bool>()).prop_map(|(page, pinned)| Op::Pin(page, pinned)),
        2 => Just(Op::Sent),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done: the order stays, the total is the sum, what was said to be unchanged is, and
    /// a page is resident, or can be recalled, or was forgotten.
    #[test]
    fn the_page_table_holds(ops in proptest::collection::vec(op(), 1..80)) {
        let mut space = space(&[100, 200]);
        let mut sent: Vec<_> = Vec::new();
        for (op, block) in ops.into_iter().zip(100..) {
            match op {
                Op::Append(tokens) => {
                    space.append(page(PageKind::ToolResult, tokens, block));
                }
                Op::Evict(pages, apart) => {
                    let leave = if apart { Leave::Apart } else { Leave::Stub };
                    space.evict(&ids(&pages), leave);
                }
                Op::Recall(page) => drop(space.recall(&ids(&[page]), BlockId(block))),
                Op::Forget(page) => drop(space.forget(PageId(page))),
                Op::Pin(page, pinned) => drop(space.pin(PageId(page), pinned)),
                Op::Sent => {
                    space.sent();
                    sent = space.shown().map(|one| one.identity()).collect();
                }
            }
            let now: Vec<_> = space.shown().map(|one| one.identity()).collect();
            prop_assert!(now.is_sorted_by(|a, b| a.0 < b.0), "{now:?}");
            let tokens: u64 = space.shown().map(|one| u64::from(one.tokens)).sum();
            prop_assert_eq!(space.total(), Tokens(tokens));
            let unchanged = space.unchanged().entries;
            prop_assert_eq!(&now[..unchanged], &sent[..unchanged]);
            let rendered: std::collections::BTreeSet<_> = now.iter().map(|one| one.0).collect();
            for (id, page) in space.pages() {
                let is_shown = matches!(page.residency, Residency::Resident | Residency::Stub);
                prop_assert_eq!(is_shown, rendered.contains(&id), "{:?}", id);
            }
        }
        for id in space.clone().pages().map(|(id, _)| id) {
            let forgotten = is_at(&space, id.0, Residency::Forgotten);
            prop_assert_eq!(space.recall(&[id], BlockId(9_999)).is_ok(), !forgotten);
        }
    }
}
