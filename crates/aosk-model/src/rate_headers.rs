//! How much more a provider takes for now, from the headers of its answers and refusals.
//!
//! Headers are what somebody says: a figure that is missing, malformed, negative or beyond all measure
//! is left out, and with it the gauge that needs it. Nothing here is ever an error.

use aosk_abi::{Gauge, Millis, RateReport};
use jiff::Timestamp;
use reqwest::header::HeaderMap;

use crate::retry_after::{delay, moment};

/// More than any provider takes in a minute: a figure beyond it is none.
const FIGURE_MAX: u64 = 1_000_000_000_000;

/// Rates are there again within a day, or what is said is no rate.
const RESET_MAX: Millis = Millis::from_secs(24 * 60 * 60);

/// The headers of one gauge.
struct Names {
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

/// Gauges of requests: OpenAI's, which most others copied, and Anthropic's.
const REQUESTS: [Names; 2] = [
    Names {
        limit: "x-ratelimit-limit-requests",
        remaining: "x-ratelimit-remaining-requests",
        reset: "x-ratelimit-reset-requests",
    },
    Names {
        limit: "anthropic-ratelimit-requests-limit",
        remaining: "anthropic-ratelimit-requests-remaining",
        reset: "anthropic-ratelimit-requests-reset",
    },
];

/// Gauges of tokens, input and output together.
const TOKENS: [Names; 3] = [
    Names {
        limit: "x-ratelimit-limit-tokens",
        remaining: "x-ratelimit-remaining-tokens",
        reset: "x-ratelimit-reset-tokens",
    },
    Names {
        limit: "x-ratelimit-limit-project-tokens",
        remaining: "x-ratelimit-remaining-project-tokens",
        reset: "x-ratelimit-reset-project-tokens",
    },
    Names {
        limit: "anthropic-ratelimit-tokens-limit",
        remaining: "anthropic-ratelimit-tokens-remaining",
        reset: "anthropic-ratelimit-tokens-reset",
    },
];

/// Anthropic's gauges of the two directions, for answers that have none of both together.
const INPUT: Names = Names {
    limit: "anthropic-ratelimit-input-tokens-limit",
    remaining: "anthropic-ratelimit-input-tokens-remaining",
    reset: "anthropic-ratelimit-input-tokens-reset",
};
const OUTPUT: Names = Names {
    limit: "anthropic-ratelimit-output-tokens-limit",
    remaining: "anthropic-ratelimit-output-tokens-remaining",
    reset: "anthropic-ratelimit-output-tokens-reset",
};

/// What `headers` say, if they say anything. A moment at which a rate is there again is measured from
/// the answer's own date or, if it has none, from `now`.
pub(crate) fn report(headers: &HeaderMap, now: impl FnOnce() -> Timestamp) -> Option<RateReport> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    // Most answers have none of these, and the time is not asked for them.
    let all = REQUESTS.iter().chain(&TOKENS).chain([&INPUT, &OUTPUT]);
    if !all.into_iter().any(|names| headers.contains_key(names.remaining)) {
        return None;
    }
    let date = text("date").and_then(moment).unwrap_or_else(now);
    let gauge = |names: &Names| {
        let limit = text(names.limit).and_then(figure);
        let remaining = text(names.remaining).and_then(figure)?;
        let reset = text(names.reset).and_then(|value| delay(value, Some(date)))?;
        let is_possible = reset <= RESET_MAX && limit.is_none_or(|limit| remaining <= limit);
        is_possible.then_some(Gauge { limit, remaining, reset })
    };
    let tightest = |all: &[Names]| all.iter().filter_map(gauge).min_by_key(|one| one.remaining);
    let both = || Some(together(gauge(&INPUT)?, gauge(&OUTPUT)?));
    let report =
        RateReport { requests: tightest(&REQUESTS), tokens: tightest(&TOKENS).or_else(both) };
    (report != RateReport::default()).then_some(report)
}

/// A gauge of input and one of output as one of both. If one is at its end, so are both: no call
/// does without either.
fn together(input: Gauge, output: Gauge) -> Gauge {
    let is_over = input.remaining == 0 || output.remaining == 0;
    let remaining = if is_over { 0 } else { input.remaining.saturating_add(output.remaining) };
    let limit = input.limit.zip(output.limit).map(|(one, other)| one.saturating_add(other));
    Gauge { limit, remaining, reset: input.reset.max(output.reset) }
}

/// A number of requests or tokens.
fn figure(text: &str) -> Option<u64> {
    text.parse().ok().filter(|figure| *figure <= FIGURE_MAX)
}

#[cfg(test)]
mod tests;
