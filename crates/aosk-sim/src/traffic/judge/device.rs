//! What is known of a device from outside: what runs on it, and whether it is to be left alone.

use std::collections::BTreeSet;

use aosk_abi::{CallId, FailureClass, Millis, Pid, Timestamp, limits};

use crate::reference::Breaker;

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) slots: u32,
    pub(super) continues: bool,
    /// Attempts that hold a slot.
    pub(super) running: BTreeSet<(CallId, u32)>,
    pub(super) breaker: Breaker,
    /// It asked for patience until then.
    pub(super) until: Timestamp,
    refusals: u32,
    /// The most calls at once since it refused.
    pub(super) allowed: u32,
    /// It said something of its rates.
    pub(super) told: bool,
    /// For whom a call gives up its slot.
    pub(super) promised: Option<Pid>,
}

impl Device {
    pub(super) fn new(slots: u32, continues: bool) -> Self {
        Self {
            slots,
            continues,
            running: BTreeSet::new(),
            breaker: Breaker::Closed(0),
            until: Timestamp::ZERO,
            refusals: 0,
            allowed: slots.max(1),
            told: false,
            promised: None,
        }
    }

    /// It has another number of slots. Nobody has a claim to one that was given up.
    pub(super) fn resize(&mut self, slots: u32) {
        let was_all = self.allowed >= self.slots.max(1);
        self.allowed = if was_all { slots.max(1) } else { self.allowed.min(slots.max(1)) };
        self.slots = slots;
        self.promised = None;
    }

    pub(super) fn in_use(&self) -> u32 {
        u32::try_from(self.running.len()).unwrap_or(u32::MAX)
    }

    /// It answered.
    pub(super) fn answered(&mut self) {
        self.breaker.succeeded();
        self.refusals = 0;
        self.allowed = (self.allowed + 1).min(self.slots);
    }

    /// It failed while `in_use` calls ran, this one included. Refusals of calls that were under way
    /// together count once; calls at once are halved by a refusal; it is left alone for a time that
    /// doubles, and for as long as it asks, within reason.
    pub(super) fn failed(
        &mut self,
        now: Timestamp,
        in_use: u32,
        class: FailureClass,
        asked: Option<Millis>,
    ) {
        match class {
            FailureClass::Final => self.breaker.succeeded(),
            FailureClass::Transient => self.breaker.failed(now),
            FailureClass::RateLimited => {
                self.breaker.succeeded();
                if now >= self.until {
                    self.refusals += 1;
                    self.allowed = (self.allowed.min(in_use) / 2).max(1);
                }
                let doubled = limits::RETRY_WAIT_BASE.0 << self.refusals.saturating_sub(1).min(16);
                let asked = asked.map_or(0, |asked| asked.0.min(limits::RETRY_AFTER_MAX.0));
                let wait = doubled.min(limits::RETRY_WAIT_MAX.0).max(asked);
                self.until = self.until.max(now.after(Millis(wait)));
            }
        }
    }

    /// Whether it would take a call.
    pub(super) fn admits(&self, now: Timestamp) -> bool {
        let closed = matches!(self.breaker, Breaker::Closed(_));
        closed && now >= self.until && self.in_use() < self.slots.min(self.allowed)
    }
}
