//! Headers as providers send them, and as they should not.

use super::*;

const DATE: (&str, &str) = ("date", "Sat, 21 Nov 2026 17:00:00 GMT");

fn said(pairs: &[(&'static str, &'static str)]) -> Option<RateReport> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.insert(*name, value.parse().expect("a value"));
    }
    report(&headers, || "2026-11-21T17:00:10Z".parse().expect("a moment"))
}

fn gauge(limit: u64, remaining: u64, reset: u64) -> Option<Gauge> {
    Some(Gauge { limit: Some(limit), remaining, reset: Millis(reset) })
}

#[test]
fn the_style_of_openai() {
    let mut pairs = vec![
        ("x-ratelimit-limit-requests", "500"),
        ("x-ratelimit-remaining-requests", "499"),
        ("x-ratelimit-reset-requests", "120ms"),
        ("x-ratelimit-limit-tokens", "30000"),
        ("x-ratelimit-remaining-tokens", "12000"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    let report =
        RateReport { requests: gauge(500, 499, 120), tokens: gauge(30_000, 12_000, 360_000) };
    assert_eq!(said(&pairs), Some(report));
    // The tighter of the account's and the project's counts.
    pairs.extend([
        ("x-ratelimit-limit-project-tokens", "20000"),
        ("x-ratelimit-remaining-project-tokens", "400"),
        ("x-ratelimit-reset-project-tokens", "1.5s"),
    ]);
    let tighter = RateReport { tokens: gauge(20_000, 400, 1_500), ..report };
    assert_eq!(said(&pairs), Some(tighter));
}

#[test]
fn the_style_of_anthropic_is_measured_from_the_date_of_the_answer() {
    let pairs = [
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-requests-reset", "2026-11-21T17:00:30Z"),
        ("anthropic-ratelimit-tokens-limit", "40000"),
        ("anthropic-ratelimit-tokens-remaining", "39000"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-21T16:59:59Z"),
    ];
    let with = |requests, tokens| Some(RateReport { requests, tokens });
    let dated = [&[DATE], pairs.as_slice()].concat();
    assert_eq!(said(&dated), with(gauge(50, 0, 30_000), gauge(40_000, 39_000, 0)));
    // Without a date, from the local clock.
    assert_eq!(said(&pairs), with(gauge(50, 0, 20_000), gauge(40_000, 39_000, 0)));
}

#[test]
fn anthropics_two_directions_stand_in_for_both_together() {
    let both = |input, output| {
        let report = said(&[
            DATE,
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", input),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-21T17:00:05Z"),
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-remaining", output),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-21T17:00:40Z"),
        ]);
        report.and_then(|report| report.tokens)
    };
    assert_eq!(both("20000", "7000"), gauge(38_000, 27_000, 40_000));
    assert_eq!(both("20000", "0"), gauge(38_000, 0, 40_000), "no call does without output");
    assert_eq!(both("20000", "many"), None);
}

#[test]
fn what_cannot_be_is_left_out() {
    let requests = |limit, remaining, reset| {
        let report = said(&[
            ("x-ratelimit-limit-requests", limit),
            ("x-ratelimit-remaining-requests", remaining),
            ("x-ratelimit-reset-requests", reset),
            ("x-ratelimit-limit-tokens", "9"),
            ("x-ratelimit-remaining-tokens", "9"),
            ("x-ratelimit-reset-tokens", "1"),
        ]);
        let report = report.expect("the other gauge is as it should be");
        assert_eq!(report.tokens, gauge(9, 9, 1_000));
        report.requests
    };
    assert_eq!(requests("60", "59", "1s"), gauge(60, 59, 1_000));
    let unlimited = Gauge { limit: None, remaining: 59, reset: Millis(1_000) };
    for limit in ["", "-60", "6e1", "lots", "99999999999999999999", "9999999999999"] {
        assert_eq!(requests(limit, "59", "1s"), Some(unlimited), "{limit}");
    }
    for remaining in ["", "-1", "0.5", "none", "61", "99999999999999999999"] {
        assert_eq!(requests("60", remaining, "1s"), None, "{remaining}");
    }
    // Seconds since 1970 are no span.
    for reset in ["", "-1s", "-5", "soon", "NaN", "inf", "9e99", "25h", "1795280000", "2027-01-01"]
    {
        assert_eq!(requests("60", "59", reset), None, "{reset}");
    }
}

#[test]
fn who_says_nothing_is_not_heard() {
    assert_eq!(said(&[DATE, ("x-ratelimit-limit-requests", "60"), ("retry-after", "1")]), None);
    assert_eq!(said(&[("x-ratelimit-remaining-requests", "x")]), None);
}
