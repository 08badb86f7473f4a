//! Dates as people write them, and the times they tell from.

use super::*;

fn day(year: i32, month: u8, of_month: u8) -> Day {
    Day::new(year, month, of_month).expect("a date")
}

fn span(first: Day, last: Day) -> Mention {
    Mention::Span(Span { first, last })
}

#[test]
fn the_calendar_agrees_with_itself_and_with_known_days() {
    assert_eq!(day(1970, 1, 1), Day(0));
    assert_eq!(day(2000, 3, 1), Day(11_017));
    assert_eq!(day(2023, 5, 8).weekday(), 0);
    assert_eq!(Day::new(2023, 2, 29), None);
    assert_eq!(Day::new(2024, 2, 30), None);
    for number in (-25_000..47_000).step_by(13) {
        let (year, month, of_month) = Day(number).civil();
        assert_eq!(Day::new(year, month, of_month), Some(Day(number)), "{number}");
    }
    assert_eq!(Day::of_unix(-1), Day(-1));
    assert_eq!(Day::of_unix(1_683_500_000), day(2023, 5, 7));
    // Beyond any calendar there is still a day, and reckoning with it does not fail.
    assert!(Day::of_unix(i64::MAX).civil().0 > 9_999);
}

#[test]
fn dates_with_a_year_are_read_in_many_forms() {
    for text in [
        "7 May 2023",
        "7th of May, 2023",
        "May 7, 2023",
        "May 7th 2023",
        "1:56 pm on 7 May, 2023",
        "2023-05-07",
        "2023-05-07T10:00:00Z",
        "2023/5/7",
        "2023年5月7日",
    ] {
        assert_eq!(Day::parse(text), Some(day(2023, 5, 7)), "{text}");
    }
    for text in ["", "May", "2023", "31 June 2023", "version 1.2.3", "7 dwarfs"] {
        assert_eq!(Day::parse(text), None, "{text}");
    }
}

#[test]
fn longer_times_are_spans() {
    let cases = [
        ("in 2022", span(day(2022, 1, 1), day(2022, 12, 31))),
        ("in May 2023", span(day(2023, 5, 1), day(2023, 5, 31))),
        ("2024-02", span(day(2024, 2, 1), day(2024, 2, 29))),
        ("the last week of June 2023", span(day(2023, 6, 24), day(2023, 6, 30))),
        ("early July 2023", span(day(2023, 7, 1), day(2023, 7, 10))),
        ("summer of 2022", span(day(2022, 6, 1), day(2022, 8, 31))),
        ("winter 2022", span(day(2022, 12, 1), day(2023, 2, 28))),
        ("last week of June", Mention::Yearly { month: 6, first: 24, last: 30 }),
        ("on 4 March", Mention::Yearly { month: 3, first: 4, last: 4 }),
        ("5月7日", Mention::Yearly { month: 5, first: 7, last: 7 }),
        ("in May", Mention::Yearly { month: 5, first: 1, last: 31 }),
    ];
    for (text, wanted) in cases {
        assert_eq!(mentions(text, None), [wanted], "{text}");
    }
}

#[test]
fn verbs_and_numbers_are_no_dates() {
    for text in ["you may march on", "it costs 2500 or 12", "a/b 1-2", "yesterday"] {
        assert_eq!(mentions(text, None), [], "{text}");
    }
}

#[test]
fn times_are_told_from_the_day_they_were_said() {
    // A Monday.
    let said = day(2023, 5, 8);
    let cases = [
        ("yesterday", span(day(2023, 5, 7), day(2023, 5, 7))),
        ("last night", span(day(2023, 5, 7), day(2023, 5, 7))),
        ("the day after tomorrow", span(day(2023, 5, 10), day(2023, 5, 10))),
        ("last Friday", span(day(2023, 5, 5), day(2023, 5, 5))),
        ("last Monday", span(day(2023, 5, 1), day(2023, 5, 1))),
        ("next Tuesday", span(day(2023, 5, 9), day(2023, 5, 9))),
        ("last week", span(day(2023, 5, 1), day(2023, 5, 7))),
        ("last weekend", span(day(2023, 5, 6), day(2023, 5, 7))),
        ("next month", span(day(2023, 6, 1), day(2023, 6, 30))),
        ("last year", span(day(2022, 1, 1), day(2022, 12, 31))),
        ("last summer", span(day(2022, 6, 1), day(2022, 8, 31))),
        ("two weeks ago", span(day(2023, 4, 21), day(2023, 4, 27))),
        ("in July", span(day(2023, 7, 1), day(2023, 7, 31))),
        ("昨天", span(day(2023, 5, 7), day(2023, 5, 7))),
        ("上周", span(day(2023, 5, 1), day(2023, 5, 7))),
    ];
    for (text, wanted) in cases {
        assert_eq!(mentions(text, Some(said)), [wanted], "{text}");
    }
}

#[test]
fn mentions_are_bounded_and_no_number_is_too_large() {
    let many = "2023-05-07 ".repeat(10_000);
    assert_eq!(mentions(&many, None).len(), mention::MENTIONS_MAX);
    let said = Some(day(2023, 5, 8));
    assert_eq!(mentions("in 99999999999999999999 days 999 years ago", said), []);
    assert_eq!(mentions(&"9".repeat(1 << 20), said), []);
}

#[test]
fn spans_know_their_length_and_distance() {
    let june = Span { first: day(2023, 6, 1), last: day(2023, 6, 30) };
    let july = Span { first: day(2023, 7, 2), last: day(2023, 7, 31) };
    assert_eq!((june.days(), june.gap(july), july.gap(june), june.gap(june)), (30, 2, 2, 0));
}
