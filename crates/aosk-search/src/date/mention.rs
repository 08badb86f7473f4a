//! Dates that a text names: `7 May 2023`, `last week of June`, `2022`, `2023年5月7日`, `yesterday`.

use super::calendar::{YEARS, days_in};
use super::{Day, Span, relative, words};

/// A time that a text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mention {
    /// These days and no others.
    Span(Span),
    /// These days of whichever year: `in July`, `on 4 March`.
    Yearly {
        /// The month, from 1.
        month: u8,
        /// The first day of the month.
        first: u8,
        /// The last day of the month.
        last: u8,
    },
}

/// Most mentions that are read of one text. A page of a log has a time on every line; the first
/// ones tell as much as all.
pub(super) const MENTIONS_MAX: usize = 32;

/// The times that `text` names. `said` is the day on which it was said: with it "yesterday" is
/// understood, and "in July" is the July nearest to it.
#[must_use]
pub fn mentions(text: &str, said: Option<Day>) -> Vec<Mention> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut rest = tokens.as_slice();
    while let [_, after @ ..] = rest {
        if found.len() >= MENTIONS_MAX {
            break;
        }
        let hit = absolute(rest).or_else(|| said.and_then(|said| relative::read(rest, said)));
        match hit {
            Some((mention, used)) => {
                found.push(nearest(mention, said));
                rest = rest.get(used.max(1)..).unwrap_or_default();
            }
            None => rest = after,
        }
    }
    found
}

/// A word or a number of a text, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Number { value: i32, digits: usize },
    Mark(char),
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Token::Word(word) => Some(word),
            Token::Number { .. } | Token::Mark(_) => None,
        }
    }
}

/// Letters, numbers, and the marks that dates are written with. Ordinal endings and commas go.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let length = digits.max(letters).max(c.len_utf8());
        let (piece, after) = rest.split_at(length);
        rest = after;
        if digits > 0 {
            tokens.push(Token::Number { value: piece.parse().unwrap_or(i32::MAX), digits });
        } else if letters > 0 {
            let after_number = matches!(tokens.last(), Some(Token::Number { .. }));
            if !(after_number && matches!(piece, "st" | "nd" | "rd" | "th")) {
                tokens.push(Token::Word(piece.to_ascii_lowercase()));
            }
        } else if matches!(c, '-' | '/' | '年' | '月' | '日' | '号') {
            tokens.push(Token::Mark(c));
        } else if !c.is_whitespace() && c != ',' {
            relative::cjk_word(piece, after, &mut tokens);
        }
    }
    tokens
}

/// The date at the start of the tokens, and how many tokens it takes.
fn absolute(tokens: &[Token]) -> Option<(Mention, usize)> {
    numeric(tokens)
        .or_else(|| chinese(tokens))
        .or_else(|| part_of_month(tokens))
        .or_else(|| day_and_month(tokens))
        .or_else(|| season(tokens))
        .or_else(|| year_alone(tokens))
}

/// `2023-05-07`, `2023/5/7`, `2023-05`.
fn numeric(tokens: &[Token]) -> Option<(Mention, usize)> {
    let [Token::Number { value: year, digits: 4 }, Token::Mark(mark @ ('-' | '/')), rest @ ..] =
        tokens
    else {
        return None;
    };
    let [Token::Number { value: month, digits: 1..=2 }, rest @ ..] = rest else { return None };
    if let [Token::Mark(second), Token::Number { value: day, digits: 1..=2 }, ..] = rest
        && mark == second
    {
        return Some((one_day(Some(*year), *month, *day)?, 5));
    }
    Some((in_month(Some(*year), u8::try_from(*month).ok()?)?, 3))
}

/// `2023年5月7日`, `5月7日`, `2023年`.
fn chinese(tokens: &[Token]) -> Option<(Mention, usize)> {
    let (year, rest) = match tokens {
        [Token::Number { value, .. }, Token::Mark('年'), rest @ ..] => (Some(*value), rest),
        _ => (None, tokens),
    };
    let used = tokens.len() - rest.len();
    let [Token::Number { value: month, .. }, Token::Mark('月'), rest @ ..] = rest else {
        return year.and_then(whole_year).map(|mention| (mention, used));
    };
    if let [Token::Number { value: day, .. }, Token::Mark('日' | '号'), ..] = rest {
        return Some((one_day(year, *month, *day)?, used + 4));
    }
    Some((in_month(year, u8::try_from(*month).ok()?)?, used + 2))
}

/// `first week of June`, `last week of May 2023`, `early July`, `end of August`.
fn part_of_month(tokens: &[Token]) -> Option<(Mention, usize)> {
    let at = tokens
        .iter()
        .take(5)
        .position(|token| token.word().is_some_and(|w| words::month(w).is_some()))?;
    let (before, from) = tokens.split_at(at);
    let spoken: Vec<&str> = before.iter().filter_map(Token::word).collect();
    if spoken.len() != before.len() {
        return None;
    }
    let days = |month: u8, last: bool| if last { days_in(2023, month) } else { 7 };
    let month = from.first().and_then(Token::word).and_then(words::month)?;
    let (first, last) = match spoken.as_slice() {
        ["first", "week" | "weekend", "of" | "in"] => (1, 7),
        ["second", "week" | "weekend", "of" | "in"] => (8, 14),
        ["third", "week" | "weekend", "of" | "in"] => (15, 21),
        ["fourth", "week" | "weekend", "of" | "in"] => (22, 28),
        ["last", "week" | "weekend", "of" | "in"] => {
            (days(month, true).saturating_sub(6), days(month, true))
        }
        ["early"] | ["beginning", "of"] | ["start", "of"] => (1, 10),
        ["mid"] | ["middle", "of"] => (11, 20),
        ["late"] | ["end", "of"] => (21, days(month, true)),
        _ => return None,
    };
    let (year, more) = year_after(from.get(1..).unwrap_or_default());
    let used = at + 1 + more;
    let Some(year) = year else { return Some((Mention::Yearly { month, first, last }, used)) };
    let span = Span { first: Day::new(year, month, first)?, last: Day::new(year, month, last)? };
    Some((Mention::Span(span), used))
}

/// `7 May 2023`, `May 7th, 2023`, `7th of May`, `May 2023`, `in May`.
fn day_and_month(tokens: &[Token]) -> Option<(Mention, usize)> {
    if let [Token::Number { value: day, digits: 1..=2 }, rest @ ..] = tokens {
        let rest = match rest {
            [Token::Word(of), rest @ ..] if of == "of" => rest,
            _ => rest,
        };
        let [Token::Word(name), rest @ ..] = rest else { return None };
        let month = words::month(name)?;
        let (year, more) = year_after(rest);
        let mention = one_day(year, i32::from(month), *day)?;
        return Some((mention, tokens.len() - rest.len() + more));
    }
    let [Token::Word(first), rest @ ..] = tokens else { return None };
    // "may" and "march" are verbs too, unless a day or a year follows or "in" stands before.
    let (name, rest, sure) = match (first.as_str(), rest) {
        ("in" | "of" | "since" | "until" | "during", [Token::Word(name), rest @ ..]) => {
            (name, rest, true)
        }
        _ => (
            first,
            rest,
            !matches!(first.as_str(), "may" | "march" | "mar" | "dec" | "jun" | "sep"),
        ),
    };
    let month = words::month(name)?;
    let used = tokens.len() - rest.len();
    if let [Token::Number { value: day, digits: 1..=2 }, rest @ ..] = rest {
        let (year, more) = year_after(rest);
        return Some((one_day(year, i32::from(month), *day)?, used + 1 + more));
    }
    let (year, more) = year_after(rest);
    (sure || year.is_some()).then_some(())?;
    Some((in_month(year, month)?, used + more))
}

/// `summer of 2022`, `winter 2023`.
fn season(tokens: &[Token]) -> Option<(Mention, usize)> {
    let (from, to) = words::season(tokens.first()?.word()?)?;
    let rest = tokens.get(1..)?;
    let (year, more) = year_after(rest);
    let year = year?;
    let last_year = if to < from { year + 1 } else { year };
    let first = Day::new(year, from, 1)?;
    let last = Day::new(last_year, to, days_in(last_year, to))?;
    Some((Mention::Span(Span { first, last }), 1 + more))
}

/// `2022`, where a number of four digits can only be a year.
fn year_alone(tokens: &[Token]) -> Option<(Mention, usize)> {
    let (year, used) = year_after(tokens);
    Some((whole_year(year?)?, used))
}

/// The year at the start of the tokens, perhaps behind "of" or "in", and how many tokens it takes.
fn year_after(tokens: &[Token]) -> (Option<i32>, usize) {
    let (tokens, skipped) = match tokens {
        [Token::Word(word), rest @ ..] if matches!(word.as_str(), "of" | "in") => (rest, 1),
        _ => (tokens, 0),
    };
    match tokens {
        [Token::Number { value, digits: 4 }, ..] if (1950..=2060).contains(value) => {
            (Some(*value), skipped + 1)
        }
        _ => (None, 0),
    }
}

fn one_day(year: Option<i32>, month: i32, day: i32) -> Option<Mention> {
    let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
    match year {
        Some(year) => Day::new(year, month, day).map(|day| Mention::Span(Span::day(day))),
        None => {
            let known = (1..=12).contains(&month) && (1..=days_in(2024, month)).contains(&day);
            known.then_some(Mention::Yearly { month, first: day, last: day })
        }
    }
}

fn in_month(year: Option<i32>, month: u8) -> Option<Mention> {
    let Some(year) = year else {
        let known = (1..=12).contains(&month);
        return known.then(|| Mention::Yearly { month, first: 1, last: days_in(2024, month) });
    };
    let last = Day::new(year, month, days_in(year, month))?;
    Some(Mention::Span(Span { first: Day::new(year, month, 1)?, last }))
}

fn whole_year(year: i32) -> Option<Mention> {
    YEARS.contains(&year).then_some(())?;
    let (first, last) = (Day::new(year, 1, 1)?, Day::new(year, 12, 31)?);
    Some(Mention::Span(Span { first, last }))
}

/// A day of whichever year is the one nearest to when it was said.
fn nearest(mention: Mention, said: Option<Day>) -> Mention {
    let (Mention::Yearly { month, first, last }, Some(said)) = (mention, said) else {
        return mention;
    };
    let (year, ..) = said.civil();
    let years = [year - 1, year, year + 1].into_iter();
    let spans = years.filter_map(|year| in_year(year, month, first, last));
    spans.min_by_key(|span| span.gap(Span::day(said))).map_or(mention, Mention::Span)
}

/// Days of a month in one year.
pub(crate) fn in_year(year: i32, month: u8, first: u8, last: u8) -> Option<Span> {
    let last = last.min(days_in(year, month));
    Some(Span { first: Day::new(year, month, first)?, last: Day::new(year, month, last)? })
}
