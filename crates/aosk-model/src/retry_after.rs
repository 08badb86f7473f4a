//! How long a provider asks to be left alone, from the headers of its answer.
//!
//! There is no clock here: a moment given as a date is measured against the answer's own `date`
//! header, which also makes a wrong clock on either side harmless.

use std::time::Duration;

use aosk_abi::Millis;
use jiff::Timestamp;
use reqwest::header::HeaderMap;

/// Pairs of headers that say how much of a rate is left and when there will be more.
const RATES: [(&str, &str); 5] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// The wait that `headers` ask for, if they ask for one.
///
/// `retry-after-ms` is the most exact and comes first, then `retry-after`, then the name under
/// which a LiteLLM proxy hands on the provider's, then the reset of a rate that is used up.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Millis> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let date = text("date").and_then(moment);
    text("retry-after-ms")
        .and_then(|value| millis(value, /*unit_ms*/ 1.0))
        .or_else(|| text("retry-after").and_then(|value| delay(value, date)))
        .or_else(|| text("llm_provider-retry-after").and_then(|value| delay(value, date)))
        .or_else(|| {
            let used_up = RATES.iter().filter(|(remaining, _)| text(remaining) == Some("0"));
            used_up.filter_map(|(_, reset)| text(reset).and_then(|value| delay(value, date))).max()
        })
}

/// What `x-should-retry` says; the official clients of OpenAI and Anthropic obey it.
pub(crate) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-should-retry")?.as_bytes() {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// Seconds (`7`, `0.5`), a span (`6m0s`, `20ms`) or a moment.
pub(crate) fn delay(value: &str, date: Option<Timestamp>) -> Option<Millis> {
    millis(value, /*unit_ms*/ 1000.0).or_else(|| span(value)).or_else(|| {
        let wait = moment(value)?.as_millisecond().saturating_sub(date?.as_millisecond());
        Some(Millis(u64::try_from(wait).unwrap_or(0)))
    })
}

/// An HTTP date or an RFC 3339 timestamp.
pub(crate) fn moment(value: &str) -> Option<Timestamp> {
    let from_http = jiff::fmt::rfc2822::parse(value).ok().map(|zoned| zoned.timestamp());
    from_http.or_else(|| value.parse().ok())
}

/// A number of units as milliseconds, rounded up; the longest span if it is longer than that. None
/// if it is no number or below zero.
fn millis(value: &str, unit_ms: f64) -> Option<Millis> {
    // Only the names of what is not finite have the letter.
    let number: f64 = value.parse().ok().filter(|_| !value.contains(['n', 'N']))?;
    if number < 0.0 {
        return None;
    }
    let span = Duration::try_from_secs_f64(number * unit_ms / 1000.0).unwrap_or(Duration::MAX);
    Some(Millis(u64::try_from(span.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)))
}

/// A span such as `6m0s`, `1h2m`, `20ms` or `7.5s`.
fn span(value: &str) -> Option<Millis> {
    let mut rest = value;
    let mut total = Millis::ZERO;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit_ms = match unit {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total += millis(number, unit_ms)?;
        rest = after;
    }
    (!value.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
