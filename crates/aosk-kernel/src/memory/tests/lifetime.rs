//! Which lifetime of the cache is asked for, by how long a process waits between its calls.

use super::super::rules;
use super::*;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

/// A process with 40,000 tokens in its window that adds 500 with each call.
struct Waiting {
    memo: Memo,
    space: AddressSpace,
    now: u64,
}

impl Waiting {
    fn new() -> Self {
        Self { memo: Memo::default(), space: space(&[40_000]), now: 0 }
    }

    /// Makes a call after so long, and says whether what it writes is to live longer.
    fn call(&mut self, after: u64) -> bool {
        let [short, long] = ["anthropic5m", "anthropic1h"].map(|name| rules(name).unwrap());
        self.now += after;
        let block = self.space.pages_u32();
        self.space.append(page(PageKind::User, 500, block));
        self.memo.waited(short, long, Timestamp(self.now));
        let wants = self.memo.wants_long(short, long, self.space.total());
        self.memo.sent(&self.space, &[], Timestamp(self.now));
        self.space.sent();
        wants
    }

    /// The same again and again: how many of the calls want the longer lifetime.
    fn calls(&mut self, times: usize, after: u64) -> usize {
        (0..times).filter(|_| self.call(after)).count()
    }
}

#[test]
fn who_never_waits_long_pays_for_the_shorter_lifetime() {
    let mut process = Waiting::new();
    assert_eq!(process.calls(40, 15 * SECOND), 0);
    assert_eq!(process.calls(40, 5 * MINUTE), 0, "it is there still");
}

#[test]
fn who_waits_longer_than_the_shorter_lifetime_pays_for_the_longer() {
    let mut process = Waiting::new();
    process.calls(5, 15 * SECOND);
    assert!(process.call(6 * MINUTE), "it has waited, and may again");
    assert_eq!(process.calls(20, 6 * MINUTE), 20);
    // One wait in so many calls makes up for what the calls between cost more.
    for _ in 0..5 {
        assert_eq!(process.calls(9, 15 * SECOND), 9);
        assert!(process.call(20 * MINUTE));
    }
}

#[test]
fn who_waits_no_more_goes_back_to_the_shorter_lifetime() {
    let mut process = Waiting::new();
    process.calls(5, 15 * SECOND);
    assert!(process.call(30 * MINUTE));
    assert!(process.calls(100, 15 * SECOND) < 40);
    assert!(!process.call(15 * SECOND));
}

#[test]
fn what_no_lifetime_outlives_is_no_reason_for_the_longer() {
    let mut process = Waiting::new();
    assert_eq!(process.calls(40, 61 * MINUTE), 0);
}
