//! Stopping in order, as the real loop does it: no call is made any more, calls in flight may end for
//! a while, what came of them is committed. The kernel can die at any point of it.

use std::collections::BTreeSet;

use aosk_abi::{CallId, Input, Millis};

use super::{Event, Phase, World};
use crate::case::{BEGIN, HORIZON};
use crate::checker::Rule;
use crate::defect::ShellMutant;
use crate::faults::Feature;
use crate::rng::{About, Rng};

impl World<'_> {
    /// Chooses the moments at which the kernel is stopped.
    pub(super) fn plan_shutdowns(&mut self) {
        if !self.case.has(Feature::Shutdowns) {
            return;
        }
        let mut rng = Rng::of(self.case.seed, About::Shutdown, &[]);
        for number in 0..rng.between(1, 3) {
            let at = BEGIN.after(Millis(rng.below(HORIZON.0)));
            self.schedule(at, Event::Stop(number));
        }
    }

    /// Begins to stop the kernel.
    pub(super) fn shut_down(&mut self, number: u64) -> Result<(), Rule> {
        let mut rng = Rng::of(self.case.seed, About::Shutdown, &[number]);
        // Often too short for what is in flight, sometimes none at all.
        let most = if rng.chance(400) { 2_000 } else { 30_000 };
        self.phase = Phase::Draining { until: self.now.after(Millis(rng.below(most))) };
        self.checker.drains();
        self.batch(vec![Input::Drain])?;
        self.stop_if_over()
    }

    /// Lets the next thing happen while the kernel is stopped. Timers and the operator wait for the
    /// next boot.
    pub(super) fn wind_down(&mut self) -> Result<(), Rule> {
        let due = self.events.range(..=(self.now, u64::MAX));
        let wanted = |event: &Event| match event {
            Event::Commit => true,
            Event::Report(_) => self.phase != Phase::CutOff,
            Event::Action(_) | Event::Stop(_) => false,
        };
        let keys: Vec<_> = due.filter(|(_, event)| wanted(event)).map(|(key, _)| *key).collect();
        let mut reports = Vec::new();
        for key in keys {
            match self.events.get(&key) {
                // What comes before the commit is done is decided first.
                Some(Event::Commit) if !reports.is_empty() => break,
                Some(Event::Commit) => {
                    self.events.remove(&key);
                    self.commit_done()?;
                    return self.stop_if_over();
                }
                Some(_) | None => {}
            }
            if let Some(Event::Report(input)) = self.events.remove(&key) {
                ended(&mut self.running, &input);
                reports.push(input);
            }
        }
        if !reports.is_empty() {
            self.batch(reports)?;
        } else if matches!(self.phase, Phase::Draining { until } if until <= self.now) {
            self.phase = Phase::CutOff;
            self.checker.cut_off();
        }
        self.stop_if_over()
    }

    /// Drops the kernel if nothing is left to wait for.
    fn stop_if_over(&mut self) -> Result<(), Rule> {
        let awaited = !self.running.is_empty() && !self.is_broken(ShellMutant::CallsNotAwaited);
        let in_order = match self.phase {
            Phase::Draining { .. } if !awaited => true,
            Phase::CutOff => false,
            Phase::Draining { .. } | Phase::Down | Phase::Up => return Ok(()),
        };
        if self.committing.is_some() {
            return Ok(());
        }
        self.checker.stopped(&self.kernel, in_order)?;
        self.report.shutdowns += 1;
        self.phase = Phase::Down;
        self.leave_devices();
        Ok(())
    }
}

/// Notes that a device has ended a call.
pub(super) fn ended(running: &mut BTreeSet<(CallId, u32)>, report: &Input) {
    if let Input::ModelDone { call, attempt, .. } | Input::ToolDone { call, attempt, .. } = report {
        running.remove(&(*call, *attempt));
    }
}
