//! Dying: when the kernel dies, what outlives it, and how it begins again.

use aosk_abi::{Effects, Input, Millis};
use aosk_kernel::Kernel;
use aosk_store::StoreError;

use super::{Event, Phase, World};
use crate::checker::Rule;
use crate::faults::Feature;
use crate::rng::{About, Rng};

/// When the kernel dies. Where deciding and releasing are apart, a moment that is not there falls to
/// the one next to it: the commit is in flight then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    /// After this many inputs.
    DiesDeciding(u64),
    DiesBeforeHandOver,
    /// Before it hears that the batch is kept.
    DiesInFlight,
    /// When this many effects have left.
    DiesReleasing(u64),
}

impl World<'_> {
    /// When the kernel dies in what comes.
    pub(super) fn fate(&self) -> Fate {
        let mut rng = Rng::of(self.case.seed, About::Batch, &[self.report.batches, 1]);
        if self.healthy || !self.case.has(Feature::Crashes) || !rng.chance(25) {
            return Fate::Lives;
        }
        match rng.below(4) {
            0 => Fate::DiesDeciding(rng.below(8)),
            1 => Fate::DiesBeforeHandOver,
            2 => Fate::DiesInFlight,
            _ => Fate::DiesReleasing(rng.below(3)),
        }
    }

    /// The kernel dies. What devices do goes on without it.
    pub(super) fn die(&mut self, moment: &str) -> Result<(), Rule> {
        self.report.crashes += 1;
        self.checker.seen.insert(format!("dies {moment}"));
        if let Phase::Draining { .. } = self.phase {
            self.checker.seen.insert("dies draining".to_owned());
        }
        self.phase = Phase::Down;
        self.fx = Effects::default();
        self.abandon_commit()?;
        self.leave_devices();
        Ok(())
    }

    /// Whatever devices do, a kernel that is gone does not learn of it.
    pub(super) fn leave_devices(&mut self) {
        self.running.clear();
        let mut rng = Rng::of(self.case.seed, About::Restart, &[self.report.batches]);
        // Some reports are lost with the kernel, some reach its next life.
        let lost: Vec<_> = self
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Report(_)))
            .filter(|_| rng.chance(500))
            .map(|(key, _)| *key)
            .collect();
        for key in lost {
            self.events.remove(&key);
        }
        self.now = self.now.after(Millis(rng.below(15_000)));
    }

    /// The kernel begins again from what is stored.
    pub(super) fn restart(&mut self) -> Result<(), Rule> {
        let failed = |error: StoreError| Rule("the store can be read", error.to_string());
        let image = self.disk.load().map_err(failed)?;
        let config = self.case.config(self.life);
        self.life += 1;
        self.kernel = Kernel::restore(config.clone(), &image)
            .map_err(|error| Rule("what is stored can be restored", error.to_string()))?;
        self.checker.restored(config, &self.kernel, &image)?;
        self.phase = Phase::Up;
        self.batch(vec![Input::Boot])
    }
}
