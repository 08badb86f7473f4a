//! How fast a device answers, learned from its answers.

use aosk_abi::{Millis, Tokens};

/// The part that a new answer has in the mean, as one of so many.
const MEMORY: u64 = 8;

/// Microseconds of an output token before the first answer: fifty tokens a second.
const FIRST: u64 = 20_000;

/// The mean time of an output token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    micros_per_token: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { micros_per_token: FIRST }
    }
}

impl Pace {
    /// An answer of so many tokens took so long.
    pub(super) fn answered(&mut self, took: Millis, output: Tokens) {
        let seen = took.0.saturating_mul(1_000) / output.0.max(1);
        let kept = self.micros_per_token.saturating_mul(MEMORY - 1);
        self.micros_per_token = (kept.saturating_add(seen) / MEMORY).max(1);
    }

    /// How long an answer of so many tokens takes.
    pub(crate) fn time(&self, output: Tokens) -> Millis {
        Millis(self.micros_per_token.saturating_mul(output.0) / 1_000)
    }

    /// How much longer a call runs that has run for so long and is expected to have such an answer.
    /// One that has run longer than was expected is expected to run as long again: of heavy-tailed
    /// lengths, what is left grows with what has passed.
    pub(crate) fn remaining(&self, ran: Millis, expected: Tokens) -> Millis {
        let left = self.time(expected).saturating_sub(ran);
        if left > Millis::ZERO { left } else { ran }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_answers() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.answered(Millis(1_000), Tokens(200));
        }
        let time = pace.time(Tokens(200)).0;
        assert!((995..=1_010).contains(&time), "{time}");
    }

    #[test]
    fn who_is_late_is_expected_to_take_as_long_again() {
        let pace = Pace::default();
        assert_eq!(pace.remaining(Millis(500), Tokens(100)), Millis(1_500));
        assert_eq!(pace.remaining(Millis(9_000), Tokens(100)), Millis(9_000));
    }
}
