//! The cache: two generations, bounded, in front of the store.

use aosk_abi::Message;
use aosk_store::{Batch, Memory, Store};

use super::*;

fn body(number: usize) -> Body {
    Body::new(Message::user(format!("{number:04}{}", "x".repeat(100))))
}

/// A cache of `bytes_max` over a store that keeps the first `kept` bodies.
fn cache(kept: usize, bytes_max: usize) -> Bodies {
    let mut store = Memory::new();
    let bodies = (0..kept).map(body).collect();
    store.commit(&[Batch { bodies, ..Batch::default() }]).unwrap();
    Bodies { bytes_max, ..Bodies::new(store.reader()) }
}

fn held(cache: &Bodies) -> usize {
    cache.young.values().chain(cache.old.values()).map(|cached| cached.bytes().len()).sum()
}

#[test]
fn what_is_not_in_memory_is_read_from_the_store() {
    let mut cache = cache(1, 1_000_000);
    let read = cache.get(body(0).hash()).unwrap();
    assert_eq!(read, body(0));
    assert_eq!(cache.young.len(), 1);
}

#[test]
fn what_is_nowhere_is_a_damaged_store() {
    let error = cache(0, 1_000_000).get(body(0).hash()).err().unwrap();
    assert_eq!(error.code, ErrorCode::StoreCorrupt);
}

#[test]
fn a_new_body_is_there_before_it_is_stored() {
    let mut cache = cache(0, 1_000_000);
    cache.insert(&body(0));
    cache.insert(&body(0));
    assert_eq!(cache.get(body(0).hash()).unwrap(), body(0));
    assert_eq!(cache.young.len(), 1);
}

#[test]
fn memory_is_bounded_and_everything_comes_back() {
    let bytes_max = 4_000;
    let mut cache = cache(200, bytes_max);
    for number in (0..200).chain((0..200).rev()) {
        assert_eq!(cache.get(body(number).hash()).unwrap(), body(number));
        cache.committed();
        assert!(held(&cache) <= bytes_max, "{} bytes are held", held(&cache));
    }
}

#[test]
fn what_is_used_outlives_what_is_not() {
    let mut cache = cache(200, 4_000);
    for number in 1..200 {
        cache.get(body(number).hash()).unwrap();
        cache.get(body(0).hash()).unwrap();
        cache.committed();
    }
    let has = |number| {
        let hash = body(number).hash();
        cache.young.contains_key(&hash) || cache.old.contains_key(&hash)
    };
    assert!(has(0), "the body that is used all the time was dropped");
    assert!(!has(1), "a body that is used no more was kept");
}

#[test]
fn what_is_not_committed_is_kept_however_much_it_is() {
    let mut cache = cache(0, 400);
    for number in 0..50 {
        cache.insert(&body(number));
    }
    for number in 0..50 {
        assert_eq!(cache.get(body(number).hash()).unwrap(), body(number));
    }
}
