//! The table of needs, and how it learns.

use super::super::{Class, Feature, Learner, Need};
use super::*;

fn feature(class: Class, idle: u8, refs: u8, turns: u8) -> Feature {
    Feature { class, idle, refs, turns }
}

#[test]
fn the_seeds_are_a_table() {
    let table = NeedTable::seeded().clone();
    assert!(table != NeedTable::empty());
    let small = "[\n[\"user\",0,0,0,40,13,29],\n[\"tool\",9,3,2,7,0,0]\n]\n";
    assert_eq!(NeedTable::parse(small).unwrap().print(), small);
    // What was just said is needed more than what was not used for long.
    let fresh = table.expect(feature(Class::Assistant, 0, 0, 0)).chance_ppm;
    let stale = table.expect(feature(Class::Assistant, 6, 0, 2)).chance_ppm;
    assert!(fresh > 20 * stale, "{fresh} {stale}");
}

#[test]
fn what_was_never_seen_has_a_prior() {
    let need = NeedTable::empty().expect(feature(Class::Tool, 3, 1, 0));
    assert_eq!(need, Need { chance_ppm: 20_000, gap_16ths: 320 });
}

#[test]
fn bad_tables_are_refused() {
    for (wrong, what) in [
        ("{}", "invalid type: map"),
        ("[]", "it is empty"),
        ("[[\"nobody\",0,0,0,1,1,1]]", "unknown variant `nobody`"),
        ("[[\"tool\",0,0,0,1,1]]", "invalid length 6"),
        ("[[\"tool\",11,0,0,1,1,1]]", "entry 1: idle is 11, and at most 10"),
        ("[[\"tool\",10,4,0,1,1,1]]", "entry 1: refs is 4, and at most 3"),
        ("[[\"tool\",1,0,0,1,1,1],[\"tool\",0,0,3,1,1,1]]", "entry 2: turns is 3, and at most 2"),
        ("[[\"tool\",0,0,0,4,5,1]]", "entry 1: needed is 5, and at most 4"),
        ("[[\"tool\",0,0,0,4,3,1],[\"tool\",0,0,0,4,3,1]]", "entry 2 says again"),
    ] {
        let error = NeedTable::parse(wrong).unwrap_err();
        assert_eq!(error.code, aosk_abi::ErrorCode::ConfigInvalid, "{wrong}");
        assert!(error.message.contains(what) && !error.hint.is_empty(), "{wrong}: {error}");
    }
    let wild = "[[\"tool\",10,3,2,4000000000,4000000000,4294967295]]";
    let table = NeedTable::parse(wild).unwrap();
    assert!(table.expect(feature(Class::Tool, 10, 3, 2)).chance_ppm <= 1_000_000);
}

#[test]
fn idle_time_is_a_power_of_two() {
    let buckets: Vec<u8> = [0, 1, 2, 3, 6, 7, 1022, 1023, 5000].map(Feature::idle).into();
    assert_eq!(buckets, [0, 1, 1, 2, 2, 3, 9, 10, 10]);
}

/// Four calls; the page appended first is used by the answer to the fourth.
#[test]
fn a_use_is_counted_at_every_age_it_passed() {
    let mut space = space(&[50]);
    let mut table = NeedTable::empty();
    let mut learner = Learner::default();
    for call in 0..4 {
        learner.call(&space, &mut table);
        if call == 3 {
            learner.touch(&mut space, &mut table, PageId(1));
        }
        space.sent();
    }
    let line = |idle: u8, seen: u32, needed: u32, gap: u32| {
        format!("[\"tool\",{idle},0,0,{seen},{needed},{gap}]")
    };
    // The instructions are counted too, and not needed.
    let expected =
        [line(0, 2, 1, 4), line(1, 2, 1, 3), line(2, 2, 1, 1), "[\"tool\",0,1,0,1,0,0]".into()];
    let mut printed: Vec<String> =
        table.print().lines().map(|line| line.trim_end_matches(',').to_owned()).collect();
    printed.retain(|line| line.len() > 1);
    printed.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(printed, expected);
}

#[test]
fn old_counts_fade() {
    let mut table = NeedTable::empty();
    let cell = feature(Class::Tool, 0, 0, 0);
    for _ in 0..5_000 {
        table.seen(cell);
        table.needed(cell, 1);
    }
    let before = table.expect(cell).chance_ppm;
    for _ in 0..1_000 {
        table.seen(cell);
    }
    let after = table.expect(cell).chance_ppm;
    assert!(before > 990_000 && after < 100_000, "{before} {after}");
}

#[test]
fn a_fixed_table_does_not_learn() {
    let mut table = NeedTable::empty();
    let cell = feature(Class::User, 1, 0, 0);
    let need = Need { chance_ppm: 123_456, gap_16ths: 80 };
    table.fix(cell, need);
    table.seen(cell);
    table.needed(cell, 3);
    assert_eq!(table.expect(cell), need);
}
