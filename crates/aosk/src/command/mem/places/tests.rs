//! Where pages are, from page tables made by hand.

use aosk::abi::{ArenaId, CallId, Fact, Hash, MessageIndex, Pid, TEXT_END};
use aosk::kernel::Entry;
use aosk::kernel::memory::Kept;

use super::*;

/// A page of a message of its own.
fn page(number: u32, tokens: u32, kept: Kept) -> KeptPage {
    let entry = Entry {
        kind: PageKind::ToolResult,
        tokens,
        end: TEXT_END,
        pinned: number == 1,
        answers: false,
        arena: ArenaId::NONE,
        kept,
    };
    KeptPage {
        page: PageId(number),
        source: MessageIndex(number - 1),
        body: Hash::of(b""),
        text: (0, TEXT_END),
        entry,
    }
}

fn away(residency: Residency, extent: u32, copy_of: Option<u32>) -> Kept {
    let stand_in = if residency == Residency::Stub { 48 } else { 0 };
    Kept { residency, copy_of: copy_of.map(PageId), extent, stand_in, summary: false, text: None }
}

fn places(pages: Vec<KeptPage>, input: u64, messages: u32) -> Places {
    let mut history = History::default();
    history.note(Fact::ModelCalled {
        call: CallId { pid: Pid(1), number: 1 },
        model: "m".to_owned(),
        pages: MessageIndex(messages),
        input: Tokens(input),
        output_max: Tokens(1),
        window: Some(Tokens(2_000)),
        room: None,
        policy: None,
        prefer: None,
    });
    let taken = MessageIndex(u32::try_from(pages.len()).expect("few"));
    Places::new(&PageTable { messages: taken, taken, pages }, &history)
}

#[test]
fn every_page_is_somewhere_and_counted_once() {
    let usual = Kept::default();
    let places = places(
        vec![
            page(1, 10, usual),
            page(2, 100, away(Residency::Stub, 3, None)),
            page(3, 100, away(Residency::Evicted, 0, None)),
            page(4, 100, away(Residency::Forgotten, 0, None)),
            page(5, 100, away(Residency::Evicted, 0, Some(2))),
            page(6, 100, away(Residency::Evicted, 0, None)),
            page(7, 100, away(Residency::Evicted, 0, None)),
            page(8, 20, usual),
            page(9, 100, away(Residency::Evicted, 0, None)),
            page(10, 100, away(Residency::Closed, 0, None)),
        ],
        378,
        10,
    );
    let at: Vec<At> = places.all.iter().map(|place| place.at).collect();
    let expected = [
        At::Resident,
        At::Resident,
        At::Stub(3),
        At::Behind(PageId(2)),
        At::Forgotten,
        At::Evicted,
        At::Behind(PageId(2)),
        At::Evicted,
        At::Resident,
        At::Evicted,
        At::Closed,
    ];
    assert_eq!(at, expected);
    let counts =
        Counts { resident: 2, behind_stubs: 3, evicted: 3, closed: 1, forgotten: 1, pinned: 1 };
    assert_eq!(places.counts, counts);
    assert_eq!(counts.all(), 10);
    // What the tools take is what is shown beside the pages: 10 + 48 + 20.
    assert_eq!(places.all[0].tokens, 300);
    assert_eq!((places.shown, places.fullness()), (Tokens(378), Some(189)));
}

#[test]
fn the_tools_take_what_the_pages_of_the_call_left() {
    // The last page came after the call, so it was not in what that call took.
    let usual = Kept::default();
    let places = places(vec![page(1, 10, usual), page(2, 20, usual), page(3, 500, usual)], 130, 2);
    assert_eq!(places.all[0].tokens, 100);
    assert_eq!(places.shown, Tokens(630));
    assert_eq!(places.room, Some(Tokens(2_000)));
}

#[test]
fn without_a_call_there_is_nothing() {
    let table = PageTable { messages: MessageIndex(1), taken: MessageIndex(0), pages: Vec::new() };
    let places = Places::new(&table, &History::default());
    assert_eq!((places.all, places.shown, places.window), (Vec::new(), Tokens(0), None));
}
