//! Stopping in order, as the real loop does: calls in flight may end for a while, no new one is made,
//! all that came of it is committed, and the next kernel begins.

use aosk_abi::{Effects, Input, Millis, Timestamp};

use super::{Event, World};
use crate::checker::{Rule, has_calls_in_flight};
use crate::faults::Feature;
use crate::rng::{About, Rng};
use crate::store::Committed;

impl World<'_> {
    /// Whether somebody asks for the end at this moment.
    pub(super) fn is_asked_to_stop(&self) -> bool {
        let mut rng = Rng::of(self.case.seed, About::Drain, &[self.report.batches, 0]);
        !self.healthy && self.case.has(Feature::Drain) && rng.chance(10)
    }

    pub(super) fn begin_drain(&mut self) -> Result<(), Rule> {
        let mut rng = Rng::of(self.case.seed, About::Drain, &[self.report.batches, 1]);
        let patience = if rng.chance(300) { rng.below(500) } else { rng.between(500, 60_000) };
        self.draining = Some(self.now.after(Millis(patience)));
        self.batch(vec![Input::Drain])
    }

    /// The next thing that counts while the kernel is being stopped: a report, or word from the
    /// store. Timers and the operator wait for the next kernel.
    pub(super) fn drain(&mut self, until: Timestamp) -> Result<(), Rule> {
        let busy = self.kernel.processes().any(|(_, process)| has_calls_in_flight(process));
        if !busy && self.committing.is_none() {
            return self.end_in_order(/*whole*/ true);
        }
        let next = self
            .events
            .iter()
            .find(|(_, event)| matches!(event, Event::Report(_) | Event::Commit))
            .map(|(key, _)| *key)
            .filter(|(at, _)| *at <= until);
        let Some(key) = next else {
            self.now = self.now.max(until);
            return self.end_in_order(/*whole*/ false);
        };
        self.now = self.now.max(key.0);
        match self.events.remove(&key) {
            Some(Event::Report(input)) => self.batch(vec![input]),
            Some(Event::Commit) => self.commit_done(),
            Some(Event::Action(_)) | None => Ok(()),
        }
    }

    /// What is still in flight is cut off, what is not committed is, and nothing more leaves.
    fn end_in_order(&mut self, whole: bool) -> Result<(), Rule> {
        self.events.retain(|_, event| matches!(event, Event::Action(_)));
        self.checker.seen.insert(if whole { "ends whole" } else { "ends cut off" }.to_owned());
        let mut kept = true;
        if let Some(committing) = self.committing.take() {
            kept = self.keep(committing)? != Committed::Lost;
            self.checker.stays_here();
        }
        if kept && !(self.fx.journal.is_empty() && self.kernel.is_flushed()) {
            self.hand_over()?;
            if let Some(committing) = self.committing.take() {
                kept = self.keep(committing)? != Committed::Lost;
            }
        }
        self.report.stops += 1;
        self.down = true;
        self.draining = None;
        self.fx = Effects::default();
        self.checker.ended(whole && kept);
        let mut rng = Rng::of(self.case.seed, About::Drain, &[self.report.batches, 2]);
        self.now = self.now.after(Millis(rng.below(15_000)));
        Ok(())
    }
}
