//! How fast a device answers, learned from its answers.

use aosk_abi::{Millis, Timestamp, Tokens, limits};

/// The part that a new answer has in the mean, as one of so many.
const MEMORY: u64 = 8;

/// Microseconds of an output token before the first answer: fifty tokens a second.
const FIRST: u64 = 20_000;

/// The mean time of an output token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    micros_per_token: u64,
    /// When it answered last.
    answered: Timestamp,
}

impl Default for Pace {
    fn default() -> Self {
        Self { micros_per_token: FIRST, answered: Timestamp::ZERO }
    }
}

impl Pace {
    /// An answer of so many tokens took so long.
    pub(super) fn answered(&mut self, now: Timestamp, took: Millis, output: Tokens) {
        self.answered = now;
        let seen = took.0.saturating_mul(1_000) / output.0.max(1);
        let kept = self.micros_per_token.saturating_mul(MEMORY - 1);
        self.micros_per_token = (kept.saturating_add(seen) / MEMORY).max(1);
    }

    /// How long an answer of so many tokens takes.
    pub(crate) fn time(&self, output: Tokens) -> Millis {
        Millis(self.micros_per_token.saturating_mul(output.0) / 1_000)
    }

    /// The same where devices are compared. What was measured long ago makes none slower than one that
    /// was never asked.
    pub(crate) fn time_now(&self, now: Timestamp, output: Tokens) -> Millis {
        if now.since(self.answered) <= limits::PACE_LIFETIME {
            return self.time(output);
        }
        self.time(output).min(Self::default().time(output))
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
            pace.answered(Timestamp::ZERO, Millis(1_000), Tokens(200));
        }
        let time = pace.time(Tokens(200)).0;
        assert!((995..=1_010).contains(&time), "{time}");
    }

    #[test]
    fn who_was_slow_long_ago_is_tried_again() {
        let (mut slow, mut fast) = (Pace::default(), Pace::default());
        for _ in 0..100 {
            slow.answered(Timestamp(5_000), Millis(9_000), Tokens(100));
            fast.answered(Timestamp(5_000), Millis(500), Tokens(100));
        }
        let time = |pace: &Pace, at| pace.time_now(Timestamp(at), Tokens(100)).0;
        assert!(time(&slow, 605_000) > 8_000 && time(&slow, 605_001) == 2_000);
        assert_eq!(time(&fast, 605_000), time(&fast, 605_001));
    }

    #[test]
    fn who_is_late_is_expected_to_take_as_long_again() {
        let pace = Pace::default();
        assert_eq!(pace.remaining(Millis(500), Tokens(100)), Millis(1_500));
        assert_eq!(pace.remaining(Millis(9_000), Tokens(100)), Millis(9_000));
    }
}
