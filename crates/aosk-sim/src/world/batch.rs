//! One batch: decide, commit, act, and dying in the middle of it.

use std::collections::VecDeque;

use aosk_abi::{Effects, Input, Millis, Release, Resume, ToolOutcome, ToolStart, limits};
use aosk_kernel::Kernel;
use aosk_store::Batch;

use super::{Event, World};
use crate::checker::{Mark, Rule, ensure};
use crate::faults::Feature;
use crate::program::{self, View};
use crate::rng::{About, Rng};
use crate::store::Committed;
use crate::tools;

/// When the kernel dies within a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lives,
    /// After this many inputs.
    DiesDeciding(u64),
    DiesBeforeCommit,
    DiesAfterCommit,
    /// When this many effects have left.
    DiesReleasing(u64),
}

impl World<'_> {
    /// Carries out a batch of inputs.
    pub(super) fn batch(&mut self, inputs: Vec<Input>) -> Result<(), Rule> {
        let fate = self.fate();
        let mut fx = Effects::default();
        if !self.decide(inputs, fate, &mut fx)? {
            return self.die();
        }
        self.kernel.flush(&mut fx);
        if fate == Fate::DiesBeforeCommit {
            return self.die();
        }
        if fate == Fate::DiesAfterCommit {
            self.disk.die_after_next_commit();
        }
        let Effects { bodies, rows, journal, releases, .. } = fx;
        let batch = Batch { rows, journal, bodies };
        let failed =
            |error: aosk_store::StoreError| Rule("the store takes every batch", error.to_string());
        let committed = self.disk.commit(&batch).map_err(failed)?;
        if committed == Committed::Lost {
            return self.die();
        }
        self.report.commits += 1;
        self.report.facts += u64::try_from(batch.journal.len()).unwrap_or(0);
        let image = self.disk.load().map_err(failed)?;
        self.checker.committed(&self.kernel, &image, self.disk.reader().as_ref(), &batch.rows)?;
        if committed == Committed::Unacknowledged {
            return self.die();
        }
        self.release(releases, fate)
    }

    /// When the kernel dies in the batch that comes.
    fn fate(&self) -> Fate {
        let mut rng = Rng::of(self.case.seed, About::Batch, &[self.report.batches, 1]);
        if self.healthy || !self.case.has(Feature::Crashes) || !rng.chance(25) {
            return Fate::Lives;
        }
        match rng.below(4) {
            0 => Fate::DiesDeciding(rng.below(8)),
            1 => Fate::DiesBeforeCommit,
            2 => Fate::DiesAfterCommit,
            _ => Fate::DiesReleasing(rng.below(3)),
        }
    }

    /// Applies the inputs, then whatever programs and inline tools make of it, until none is left.
    /// Returns false if the kernel died meanwhile.
    fn decide(&mut self, inputs: Vec<Input>, fate: Fate, fx: &mut Effects) -> Result<bool, Rule> {
        let mut left = if let Fate::DiesDeciding(after) = fate { after } else { u64::MAX };
        let mut inputs = VecDeque::from(inputs);
        let mut inline: VecDeque<ToolStart> = VecDeque::new();
        let mut resumes: VecDeque<Resume> = VecDeque::new();
        let mut steps = 0;
        loop {
            let input = if let Some(input) = inputs.pop_front() {
                input
            } else if let Some(start) = inline.pop_front() {
                let outcome = ToolOutcome::Returned(tools::result(&start));
                Input::ToolDone { call: start.call, attempt: start.attempt, outcome }
            } else if let Some(resume) = resumes.pop_front() {
                let Some(input) = self.step(&resume) else {
                    continue;
                };
                steps += 1;
                ensure(steps < limits::STEPS_PER_BATCH_MAX, "programs come to wait", || {
                    format!("{} steps in one batch", limits::STEPS_PER_BATCH_MAX)
                })?;
                input
            } else {
                return Ok(true);
            };
            if left == 0 {
                return Ok(false);
            }
            left -= 1;
            self.apply(&input, fx)?;
            inline.extend(fx.inline.drain(..));
            resumes.extend(fx.resumes.drain(..));
        }
    }

    /// Runs a program. None if its process is gone or does not wait for this step.
    fn step(&self, resume: &Resume) -> Option<Input> {
        let process = self.kernel.process(resume.pid)?;
        let view = View {
            pid: resume.pid,
            param: &process.spec.program.param,
            state: &process.program_state,
            pages: process.page_count().0,
        };
        let step = program::next(&view, &resume.wake);
        Some(Input::Syscall { pid: resume.pid, turn: resume.turn, step })
    }

    fn apply(&mut self, input: &Input, fx: &mut Effects) -> Result<(), Rule> {
        self.report.inputs += 1;
        let before = self.checker.before(&self.kernel, self.now, input);
        let mark = Mark::of(fx);
        self.kernel.apply(self.now, input, fx);
        self.checker.after(&self.kernel, self.now, input, &before, (fx, mark))
    }

    /// Lets the effects out, in order.
    fn release(&mut self, releases: Vec<Release>, fate: Fate) -> Result<(), Rule> {
        let mut left = if let Fate::DiesReleasing(after) = fate { after } else { u64::MAX };
        for release in releases {
            if left == 0 {
                return self.die();
            }
            left -= 1;
            match release {
                Release::Think { call, attempt, pages, options } => {
                    self.checker.released(call, attempt)?;
                    self.think(call, attempt, pages.len(), &options);
                }
                Release::Tool(start) => {
                    self.checker.released(start.call, start.attempt)?;
                    self.call_tool(&start)?;
                }
                Release::Cancel { call, attempt } => self.cancel(call, attempt),
                Release::Reply { .. } => self.report.replies += 1,
                Release::Exited { .. } => self.report.exits += 1,
            }
        }
        self.checker.check_in_flight(&self.kernel)
    }

    /// The kernel dies. What devices do goes on without it.
    #[expect(clippy::unnecessary_wraps, reason = "callers end their batch with it")]
    fn die(&mut self) -> Result<(), Rule> {
        self.report.crashes += 1;
        self.down = true;
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
        Ok(())
    }

    /// The kernel begins again from what is stored.
    pub(super) fn restart(&mut self) -> Result<(), Rule> {
        let failed =
            |error: aosk_store::StoreError| Rule("the store can be read", error.to_string());
        let image = self.disk.load().map_err(failed)?;
        let config = self.case.config(self.life);
        self.life += 1;
        self.kernel = Kernel::restore(config.clone(), &image)
            .map_err(|error| Rule("what is stored can be restored", error.to_string()))?;
        self.checker.restored(config, &self.kernel, &image)?;
        self.down = false;
        self.batch(vec![Input::Boot])
    }
}
