//! Tests of `retry_after`.

use reqwest::header::{HeaderName, HeaderValue};

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header value"))
        })
        .collect()
}

fn check(pairs: &[(&'static str, &str)], expected_ms: Option<u64>) {
    assert_eq!(wait(&headers(pairs)), expected_ms.map(Millis), "{pairs:?}");
}

const DATE: (&str, &str) = ("date", "Fri, 20 Nov 2026 10:00:00 GMT");

#[test]
fn seconds_milliseconds_and_dates() {
    check(&[], None);
    check(&[("retry-after", "7")], Some(7_000));
    check(&[("retry-after", " 0.5 ")], Some(500));
    check(&[("retry-after", "0.0001")], Some(1));
    check(&[("retry-after-ms", "1250"), ("retry-after", "9")], Some(1_250));
    check(&[("retry-after-ms", "soon"), ("retry-after", "9")], Some(9_000));
    check(&[DATE, ("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT")], Some(90_000));
    check(&[DATE, ("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT")], Some(0));
    check(&[("llm_provider-retry-after", "60")], Some(60_000));
}

#[test]
fn a_wait_beyond_all_bounds_is_the_longest_there_is() {
    let digits = "9".repeat(400);
    for endless in ["99999999999999999999", "1e300", &digits] {
        check(&[DATE, ("retry-after", endless)], Some(u64::MAX));
        check(&[("retry-after-ms", endless)], Some(u64::MAX));
    }
    let endless = [
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "99999999999999999999h1s"),
    ];
    check(&endless, Some(u64::MAX));
}

#[test]
fn nonsense_is_no_wait() {
    for nonsense in ["-5", "NaN", "inf", "-infinity", "tomorrow", "", "5x", "6m0"] {
        check(&[DATE, ("retry-after", nonsense)], None);
    }
    // A date without the answer's own date to measure it against.
    check(&[("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT")], None);
}

#[test]
fn the_reset_of_a_used_up_rate_counts() {
    let openai = ("x-ratelimit-reset-tokens", "6m0s");
    check(&[("x-ratelimit-remaining-tokens", "0"), openai], Some(360_000));
    check(&[("x-ratelimit-remaining-tokens", "12"), openai], None);
    check(
        &[
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "20ms"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1m1.5s"),
        ],
        Some(61_500),
    );
    check(
        &[
            DATE,
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-20T10:00:12Z"),
        ],
        Some(12_000),
    );
}

#[test]
fn should_retry_is_true_false_or_nothing() {
    assert_eq!(should_retry(&headers(&[("x-should-retry", "true")])), Some(true));
    assert_eq!(should_retry(&headers(&[("x-should-retry", "false")])), Some(false));
    assert_eq!(should_retry(&headers(&[("x-should-retry", "maybe")])), None);
    assert_eq!(should_retry(&headers(&[])), None);
}
