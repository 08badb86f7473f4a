//! A page of the journal has so many bytes and little more.

use aosk_abi::{CallId, Entry, Timestamp};
use aosk_runtime::store::{Batch, Memory, Store};

use super::*;

#[test]
fn a_page_ends_when_it_has_many_bytes_and_has_one_entry_at_least() {
    let mut store = Memory::new();
    let message = "m".repeat(PART_BYTES_MAX / 2);
    let fact = |call| Fact::ModelFailed {
        call: CallId { pid: Pid(1), number: call },
        code: ErrorCode::ModelServer,
        message: message.clone(),
    };
    let entry = |call| Entry { at: Timestamp(0), pid: Some(Pid(1)), fact: fact(call) };
    let journal = (0..5).map(entry).collect();
    store.commit(&[Batch { journal, ..Batch::default() }]).expect("commits");
    let filter = Filter { pid: None, kind: None, caller: Caller::owner() };
    let reader = store.reader();
    let (mut from, mut pages) = (1, Vec::new());
    loop {
        let part = filter.read(reader.as_ref(), from, (ITEMS_MAX, PART_BYTES_MAX)).expect("reads");
        pages.push(part.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>());
        from = part.next;
        if !part.more {
            break;
        }
    }
    assert_eq!(pages, [vec![1, 2], vec![3, 4], vec![5]]);
}
