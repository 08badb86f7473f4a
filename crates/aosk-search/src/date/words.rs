//! The words of dates: months, weekdays, numbers.

/// The month from 1 that a lower-case word names. `may` counts: it is told from the verb by what
/// stands beside it.
pub(super) fn month(word: &str) -> Option<u8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let short = |name: &str| name == word || name.get(..3) == Some(word);
    let at = MONTHS.iter().position(|name| short(name) || word == "sept" && *name == "september");
    at.and_then(|at| u8::try_from(at + 1).ok())
}

/// 0 for Monday to 6 for Sunday.
pub(super) fn weekday(word: &str) -> Option<i32> {
    const DAYS: [&str; 7] =
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    const SHORT: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let at = DAYS.iter().position(|day| *day == word || word.strip_suffix('s') == Some(day));
    // `sat` and `sun` are words of their own; the rest is never anything else.
    let short = SHORT.iter().take(5).position(|day| *day == word);
    at.or(short).and_then(|at| i32::try_from(at).ok())
}

/// The months of a season, in the north.
pub(super) fn season(word: &str) -> Option<(u8, u8)> {
    match word {
        "spring" => Some((3, 5)),
        "summer" => Some((6, 8)),
        "autumn" | "fall" => Some((9, 11)),
        "winter" => Some((12, 2)),
        _ => None,
    }
}

/// A small count in words or digits; "a few" is three and "a couple" two.
pub(super) fn count(word: &str) -> Option<i32> {
    const WORDS: [&str; 13] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    match word {
        "a" | "an" => return Some(1),
        "couple" => return Some(2),
        "few" | "several" => return Some(3),
        _ => {}
    }
    let at = WORDS.iter().position(|name| *name == word);
    at.and_then(|at| i32::try_from(at).ok())
        .or_else(|| word.parse().ok().filter(|count| (0..=999).contains(count)))
}

/// A unit of time in days, or in months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Days(i32),
    Months(i32),
}

/// The unit a word names.
pub(super) fn unit(word: &str) -> Option<Unit> {
    match word.strip_suffix('s').unwrap_or(word) {
        "day" => Some(Unit::Days(1)),
        "week" => Some(Unit::Days(7)),
        "weekend" => Some(Unit::Days(7)),
        "month" => Some(Unit::Months(1)),
        "year" => Some(Unit::Months(12)),
        _ => None,
    }
}
