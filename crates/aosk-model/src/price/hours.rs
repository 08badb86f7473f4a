//! Hours of the week as a file of models writes them: `mon-fri 01:00-04:00`, in UTC.

use aosk_abi::{Hours, WEEKDAYS};
use serde::Deserialize;

/// A span of each of some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span {
    /// The first and the last day, counted from Monday.
    days: (usize, usize),
    /// Half hours from midnight: from the first to before the second.
    halves: (u32, u32),
}

/// All of them together.
pub(super) fn all(spans: &[Span]) -> Hours {
    spans.iter().fold(Hours::default(), |hours, span| hours.and(span.days, span.halves))
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no span of hours; write, for example, \"mon-fri 01:00-04:00\" or \
                 \"sat 22:30-24:00\", in UTC and whole or half hours"
            )
        };
        let (days, times) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let days = day(first).zip(day(last)).filter(|(first, last)| first <= last);
        let (from, until) = times.trim().split_once('-').ok_or_else(wrong)?;
        let halves = half(from).zip(half(until)).filter(|(from, until)| from < until);
        let (days, halves) = days.zip(halves).ok_or_else(wrong)?;
        Ok(Self { days, halves })
    }
}

fn day(name: &str) -> Option<usize> {
    WEEKDAYS.iter().position(|day| *day == name)
}

/// A time of day in half hours.
fn half(time: &str) -> Option<u32> {
    let (hour, minute) = time.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.chars().all(|c| c.is_ascii_digit());
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| two(text));
    let (hour, minute) = (number(hour)?, number(minute)?);
    let half = hour * 2 + minute / 30;
    (minute % 30 == 0 && minute < 60 && half <= 48).then_some(half)
}
