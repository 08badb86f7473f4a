//! Times that are told from when they were said: "yesterday", "two weeks ago", "next month".

use super::calendar::plus_months;
use super::mention::{Mention, Token};
use super::words::{self, Unit};
use super::{Day, Span};

/// The time at the start of the tokens, and how many tokens it takes.
pub(super) fn read(tokens: &[Token], said: Day) -> Option<(Mention, usize)> {
    single(tokens, said)
        .or_else(|| counted(tokens, said))
        .or_else(|| neighbouring(tokens, said))
        .map(|(span, used)| (Mention::Span(span), used))
}

/// One word, or a fixed phrase.
fn single(tokens: &[Token], said: Day) -> Option<(Span, usize)> {
    let word = tokens.first()?.word()?;
    let spoken = |at: usize| tokens.get(at).and_then(Token::word).unwrap_or_default();
    match (word, spoken(1), spoken(2)) {
        ("day", "before", "yesterday") => Some((Span::day(said.plus(-2)), 3)),
        ("day", "after", "tomorrow") => Some((Span::day(said.plus(2)), 3)),
        ("yesterday", ..) => Some((Span::day(said.plus(-1)), 1)),
        ("last", "night", _) => Some((Span::day(said.plus(-1)), 2)),
        ("tomorrow", ..) => Some((Span::day(said.plus(1)), 1)),
        ("today" | "tonight", ..) => Some((Span::day(said), 1)),
        ("this", "morning" | "evening" | "afternoon", _) => Some((Span::day(said), 2)),
        ("the", "other", "day") => Some((around(said.plus(-3), 2), 3)),
        _ => None,
    }
}

/// `two weeks ago`, `a few days ago`, `in three months`.
fn counted(tokens: &[Token], said: Day) -> Option<(Span, usize)> {
    let (ahead, from) = match tokens {
        [Token::Word(word), rest @ ..] if word == "in" => (true, rest),
        _ => (false, tokens),
    };
    let mut count = None;
    for (at, token) in from.iter().take(4).enumerate() {
        let (word, number) = match token {
            Token::Word(word) => (word.as_str(), words::count(word)),
            Token::Number { value, digits: 1..=3 } => ("", Some(*value)),
            Token::Number { .. } | Token::Mark(_) => return None,
        };
        if let Some(unit) = words::unit(word) {
            let count = count?;
            let ago = from.get(at + 1).and_then(Token::word) == Some("ago");
            (ahead || ago).then_some(())?;
            let used = (tokens.len() - from.len()) + at + 1 + usize::from(ago);
            return Some((shifted(said, unit, if ahead { count } else { -count })?, used));
        }
        match number {
            Some(number) => count = Some(number),
            None if word == "of" && count.is_some() => {}
            None => return None,
        }
    }
    None
}

/// `last week`, `this weekend`, `next month`, `last Friday`, `past summer`.
fn neighbouring(tokens: &[Token], said: Day) -> Option<(Span, usize)> {
    let step = match tokens.first()?.word()? {
        "last" | "past" | "previous" => -1,
        "this" => 0,
        "next" | "upcoming" | "coming" => 1,
        _ => return None,
    };
    let word = tokens.get(1)?.word()?;
    if word == "weekend" {
        let saturday = said.plus(5 - said.weekday());
        // On Monday "this weekend" is ahead and "last weekend" just over.
        let first = saturday.plus(7 * step);
        return Some((Span { first, last: first.plus(1) }, 2));
    }
    if let Some(weekday) = words::weekday(word) {
        let ahead = (weekday - said.weekday()).rem_euclid(7);
        let day = match step {
            -1 if ahead == 0 => said.plus(-7),
            -1 => said.plus(ahead - 7),
            0 => said.plus(ahead),
            _ => said.plus(if ahead == 0 { 7 } else { ahead }),
        };
        return Some((Span::day(day), 2));
    }
    if let Some((from, to)) = words::season(word) {
        return Some((nearest_season(said, from, to, step)?, 2));
    }
    match words::unit(word)? {
        Unit::Days(_) => {
            let monday = said.plus(7 * step - said.weekday());
            Some((Span { first: monday, last: monday.plus(6) }, 2))
        }
        Unit::Months(months) => Some((period(said, months, step)?, 2)),
    }
}

/// The whole month or year that is `step` of them away.
fn period(said: Day, months: i32, step: i32) -> Option<Span> {
    let (year, month, _) = said.civil();
    let first = Day::new(year, if months == 12 { 1 } else { month }, 1)?;
    let first = plus_months(first, months * step)?;
    Some(Span { first, last: plus_months(first, months)?.plus(-1) })
}

/// The season before, around or after a day.
fn nearest_season(said: Day, from: u8, to: u8, step: i32) -> Option<Span> {
    let (year, ..) = said.civil();
    let season = |year: i32| -> Option<Span> {
        let last_year = if to < from { year + 1 } else { year };
        let last = plus_months(Day::new(last_year, to, 1)?, 1)?.plus(-1);
        Some(Span { first: Day::new(year, from, 1)?, last })
    };
    let mut seasons = [year - 1, year, year + 1].into_iter().filter_map(season);
    match step {
        -1 => seasons.rfind(|season| season.last < said),
        0 => seasons.min_by_key(|season| season.gap(Span::day(said))),
        _ => seasons.find(|season| season.first > said),
    }
}

/// A count of units away from a day. The larger the unit, the vaguer the speaker.
fn shifted(said: Day, unit: Unit, count: i32) -> Option<Span> {
    match unit {
        Unit::Days(days) => Some(around(said.plus(days.checked_mul(count)?), days / 2)),
        Unit::Months(months) => {
            let middle = plus_months(said, months.checked_mul(count)?)?;
            Some(around(middle, if months == 12 { 180 } else { 15 }))
        }
    }
}

fn around(day: Day, slack: i32) -> Span {
    Span { first: day.plus(-slack), last: day.plus(slack) }
}

/// Chinese words for times, as the English ones they stand for.
pub(super) fn cjk_word(piece: &str, after: &str, tokens: &mut Vec<Token>) {
    const WORDS: [(&str, &str, &[&str]); 16] = [
        ("昨", "天", &["yesterday"]),
        ("昨", "晚", &["last", "night"]),
        ("今", "天", &["today"]),
        ("明", "天", &["tomorrow"]),
        ("前", "天", &["day", "before", "yesterday"]),
        ("后", "天", &["day", "after", "tomorrow"]),
        ("上", "周", &["last", "week"]),
        ("上", "个月", &["last", "month"]),
        ("上", "星期", &["last", "week"]),
        ("下", "周", &["next", "week"]),
        ("下", "个月", &["next", "month"]),
        ("下", "星期", &["next", "week"]),
        ("本", "周", &["this", "week"]),
        ("去", "年", &["last", "year"]),
        ("今", "年", &["this", "year"]),
        ("明", "年", &["next", "year"]),
    ];
    let known = WORDS.iter().find(|(first, rest, _)| *first == piece && after.starts_with(rest));
    match known {
        Some((.., words)) => {
            tokens.extend(words.iter().map(|word| Token::Word((*word).to_owned())));
        }
        None => tokens.push(Token::Mark('.')),
    }
}
