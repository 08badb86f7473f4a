//! Tests of `price`.

use super::*;

const RATES: Rates = Rates {
    input: MicroUsd(2_000_000),
    cache_read: MicroUsd(100_000),
    cache_write: MicroUsd(2_500_000),
    output: MicroUsd(10_000_000),
};

const NIGHT: Rates = Rates {
    input: MicroUsd(1_000_000),
    cache_read: MicroUsd(50_000),
    cache_write: MicroUsd(1_000_000),
    output: MicroUsd(5_000_000),
};

/// 2026-11-20, a Friday, at this time of day.
fn friday(hours: u64, minutes: u64) -> Timestamp {
    Timestamp(1_795_132_800_000 + (hours * 60 + minutes) * 60_000)
}

fn weekdays() -> Hours {
    Hours::default().and((0, 4), (2, 8)).and((0, 4), (12, 20))
}

#[test]
fn a_long_request_has_its_own_price() {
    let dear = Rates { input: MicroUsd(4_000_000), ..RATES };
    let price = Price { long: Some((Tokens(1_000), dear)), ..Price::flat(RATES) };
    let usage = |input, read| Usage {
        input_uncached: Tokens(input),
        cache_read: Tokens(read),
        ..Usage::default()
    };
    let at = Timestamp::ZERO;
    assert_eq!(price.of(&usage(1_000, 0), at), MicroUsd(2_000));
    assert_eq!(price.of(&usage(1_001, 0), at), MicroUsd(4_004));
    // What counts is all of the input, cached or not.
    assert_eq!(price.of(&usage(500, 501), at), MicroUsd(2_051));
    assert_eq!(price.worst_case(Tokens(1_000), Tokens(0)), MicroUsd(2_500));
    assert_eq!(price.worst_case(Tokens(1_001), Tokens(0)), MicroUsd(4_004));
}

#[test]
fn cost_is_rounded_up_once() {
    let price = Price::flat(RATES);
    let at = Timestamp::ZERO;
    let usage = Usage {
        input_uncached: Tokens(1_000),
        cache_read: Tokens(10_000),
        cache_write: Tokens(0),
        output: Tokens(33),
        ..Usage::default()
    };
    // 1000*2 + 10000*0.1 + 33*10 = 2000 + 1000 + 330 micro-dollars
    assert_eq!(price.of(&usage, at), MicroUsd(3_330));
    assert_eq!(price.of(&Usage { output: Tokens(1), ..Usage::default() }, at), MicroUsd(10));
    let tiny = Price::flat(Rates { input: MicroUsd(1), ..Rates::default() });
    let one = Usage { input_uncached: Tokens(1), ..Usage::default() };
    assert_eq!(tiny.of(&one, at), MicroUsd(1));
    assert_eq!(price.worst_case(Tokens(1_000), Tokens(0)), MicroUsd(2_500));
}

#[test]
fn the_hour_at_which_a_request_begins_decides() {
    let off_peak = Some(OffPeak { rates: NIGHT, peak: weekdays() });
    let price = Price { off_peak, ..Price::flat(RATES) };
    let million = Usage { input_uncached: Tokens(1_000_000), ..Usage::default() };
    let cost = |at| price.of(&million, at).0;
    assert_eq!([cost(friday(0, 59)), cost(friday(1, 0))], [1_000_000, 2_000_000]);
    assert_eq!([cost(friday(3, 59)), cost(friday(4, 0))], [2_000_000, 1_000_000]);
    assert_eq!([cost(friday(6, 0)), cost(friday(10, 0))], [2_000_000, 1_000_000]);
    // The next day is a Saturday, three days on it is a Monday.
    assert_eq!([cost(friday(25, 0)), cost(friday(73, 0))], [1_000_000, 2_000_000]);
    // What is reserved is enough at any hour, whichever of the two is the dearer.
    assert_eq!(price.worst_case(Tokens(1_000_000), Tokens(0)), MicroUsd(2_500_000));
    let turned = Price {
        off_peak: Some(OffPeak { rates: RATES, peak: weekdays() }),
        usual: NIGHT,
        long: None,
    };
    assert_eq!(turned.worst_case(Tokens(1_000_000), Tokens(0)), MicroUsd(2_500_000));
    // A long request has one price at all hours.
    let dear = Rates { input: MicroUsd(9_000_000), ..RATES };
    let long = Price { long: Some((Tokens(10), dear)), ..price };
    assert_eq!(long.of(&million, friday(12, 0)), MicroUsd(9_000_000));
}

#[test]
fn hours_are_written_as_they_are_read() {
    assert_eq!(weekdays().to_string(), "mon-fri 01:00-04:00, mon-fri 06:00-10:00");
    let odd = Hours::default().and((0, 6), (47, 48)).and((6, 6), (0, 1)).and((2, 2), (1, 3));
    assert_eq!(
        odd.to_string(),
        "mon-tue 23:30-24:00, wed 00:30-01:30, wed 23:30-24:00, thu-sat 23:30-24:00, \
         sun 00:00-00:30, sun 23:30-24:00"
    );
    assert_eq!(Hours::default().to_string(), "");
    assert!(Hours::default().and((0, 6), (0, 48)).holds(friday(23, 59)));
}
