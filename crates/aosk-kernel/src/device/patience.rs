//! What a device's refusals for its rates teach: how long to leave it alone, and how many calls to
//! give it at once after that.
//!
//! Calls at once are halved by a refusal and grow by one with every answer (additive increase,
//! multiplicative decrease; Chiu and Jain 1989), so that many callers of one provider come to share
//! what it takes, without anybody being told what that is.

use aosk_abi::{Millis, Timestamp, limits};

use super::backoff::doubled;

/// What is known from refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Until when no call goes out.
    until: Timestamp,
    /// Refusals since the last answer, those of calls that were under way together counted once.
    refusals: u32,
    /// The most calls at once.
    allowed: u32,
}

impl Patience {
    /// Of a device that never refused.
    pub(super) fn new(slots: u32) -> Self {
        Self { until: Timestamp::ZERO, refusals: 0, allowed: slots.max(1) }
    }

    /// The same of a device that has another number of slots now. One that never refused may be given
    /// all of them.
    pub(super) fn of_slots(self, before: u32, slots: u32) -> Self {
        let was_all = self.allowed >= before.max(1);
        let allowed = if was_all { slots.max(1) } else { self.allowed.min(slots.max(1)) };
        Self { allowed, ..self }
    }

    /// Whether a call may start while `in_use` others run.
    pub(crate) fn admits(&self, now: Timestamp, in_use: u32) -> bool {
        now >= self.until && in_use < self.allowed
    }

    /// Until when no call goes out, if that is ahead.
    pub(crate) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.until).filter(|until| *until > now)
    }

    /// Until when no call goes out, or went.
    pub(crate) fn end(&self) -> Timestamp {
        self.until
    }

    /// The most calls at once.
    pub(crate) fn allowed(&self) -> u32 {
        self.allowed
    }

    /// A call was refused while `in_use` ran, itself included. What the device asks for is believed up
    /// to a bound.
    pub(super) fn refused(&mut self, now: Timestamp, in_use: u32, asked: Option<Millis>) {
        if now >= self.until {
            self.refusals = self.refusals.saturating_add(1);
            self.allowed = (self.allowed.min(in_use) / 2).max(1);
        }
        let asked = asked.map_or(0, |asked| asked.0.min(limits::RETRY_AFTER_MAX.0));
        let wait = doubled(self.refusals).0.max(asked);
        self.until = self.until.max(now.after(Millis(wait)));
    }

    /// A call was answered.
    pub(super) fn answered(&mut self, slots: u32) {
        self.refusals = 0;
        self.allowed = self.allowed.saturating_add(1).min(slots.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_come_together_count_once() {
        let mut patience = Patience::new(8);
        for _ in 0..8 {
            patience.refused(Timestamp(1_000), 8, None);
        }
        assert_eq!((patience.allowed, patience.refusals), (4, 1));
        assert!(!patience.admits(Timestamp(1_499), 0));
        assert!(patience.admits(Timestamp(1_500), 3) && !patience.admits(Timestamp(1_500), 4));
    }

    #[test]
    fn what_the_device_asks_for_is_kept_to_within_reason() {
        let mut patience = Patience::new(8);
        patience.refused(Timestamp(0), 1, Some(Millis::from_secs(20)));
        assert_eq!(patience.until(Timestamp(0)), Some(Timestamp(20_000)));
        patience.refused(Timestamp(20_000), 1, Some(Millis::from_secs(1_000_000)));
        assert_eq!(patience.until(Timestamp(20_000)), Some(Timestamp(620_000)));
    }

    #[test]
    fn answers_give_back_what_refusals_took() {
        let mut patience = Patience::new(8);
        patience.refused(Timestamp(0), 8, None);
        patience.refused(Timestamp(500), 4, None);
        assert_eq!((patience.allowed, patience.until), (2, Timestamp(1_500)));
        for _ in 0..20 {
            patience.answered(8);
        }
        assert_eq!((patience.allowed, patience.refusals), (8, 0));
    }
}
