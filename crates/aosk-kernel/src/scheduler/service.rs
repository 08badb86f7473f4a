//! How much of a model a call takes: its tokens by what they cost.
//!
//! The unit of service is a tenth of an input token that no cache knew, at the price of that model.
//! So a call that reads its prefix from the cache takes a tenth of one that does not, and an answer
//! takes several times what as many tokens of input take.

use aosk_abi::{Price, Tokens, Usage};

use crate::process::{ModelCall, Stats};

/// Units of service of an input token that no cache knew.
const INPUT: u64 = 10;

/// What an output token takes where no price says it. Providers ask four to six times the price of
/// input, and a server of one's own needs about as much more time.
const OUTPUT: u64 = 40;

/// The answer that is expected of a process that has had none.
const FIRST_ANSWER: Tokens = Tokens(500);

/// The service that a call took.
pub(crate) fn service(price: &Price, usage: &Usage) -> u64 {
    let rates = price.rates(usage.input());
    let worth = |rate: u64, usual: u64| match rates.input.0 {
        0 => usual,
        input => (rate.saturating_mul(INPUT)).div_ceil(input),
    };
    let parts = [
        (usage.input_uncached, INPUT),
        (usage.cache_read, worth(rates.cache_read.0, INPUT / 10)),
        (usage.cache_write, worth(rates.cache_write.0, INPUT)),
        (usage.output, worth(rates.output.0, OUTPUT)),
    ];
    parts.iter().fold(0, |sum, (tokens, worth)| sum.saturating_add(tokens.0.saturating_mul(*worth)))
}

/// The service that a call is expected to take, by what its process has taken so far.
pub(crate) fn expected(price: &Price, call: &ModelCall, stats: &Stats) -> u64 {
    let share = |part: u64, of: u64| match stats.input.0 {
        0 => 0,
        all => saturated(u128::from(part) * u128::from(of) / u128::from(all)),
    };
    // What is summarised is told anew, so no cache knows it.
    let known = if call.summary.is_some() { 0 } else { share(stats.cached.0, call.estimate.0) };
    let cache_read = Tokens(known).min(call.estimate);
    let usage = Usage {
        input_uncached: call.estimate.saturating_sub(cache_read),
        cache_read,
        output: expected_output(call, stats),
        ..Usage::default()
    };
    service(price, &usage)
}

/// How long the answer is expected to be: as long as those before it were on average. A summary is as
/// long as it may be, for it is asked for in so many words.
pub(crate) fn expected_output(call: &ModelCall, stats: &Stats) -> Tokens {
    if call.summary.is_some() {
        return call.options.output_max;
    }
    let answers = stats.model_calls.saturating_add(stats.summaries);
    let mean = stats.output.0.checked_div(answers).map_or(FIRST_ANSWER, Tokens);
    mean.min(call.options.output_max)
}

fn saturated(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use aosk_abi::{MicroUsd, Rates};

    use super::*;

    #[test]
    fn tokens_count_by_what_they_cost() {
        let usage = Usage {
            input_uncached: Tokens(100),
            cache_read: Tokens(1_000),
            output: Tokens(10),
            ..Usage::default()
        };
        assert_eq!(service(&Price::default(), &usage), 1_000 + 1_000 + 400);
        let rates = Rates {
            input: MicroUsd(2_000_000),
            cache_read: MicroUsd(1_000_000),
            cache_write: MicroUsd(2_000_000),
            output: MicroUsd(10_000_000),
        };
        assert_eq!(service(&Price::flat(rates), &usage), 1_000 + 5_000 + 500);
    }

    #[test]
    fn a_count_beyond_measure_saturates() {
        let usage = Usage { output: Tokens::MAX, input_uncached: Tokens::MAX, ..Usage::default() };
        assert_eq!(service(&Price::default(), &usage), u64::MAX);
    }
}
