//! Decide: inputs are applied, and what is pure of their consequences.

use std::collections::VecDeque;

use aosk_abi::{Input, Resume, ToolOutcome, ToolStart, limits};

use super::World;
use super::fate::Fate;
use crate::checker::{Mark, Rule, ensure};
use crate::faults::Feature;
use crate::program::{self, View};
use crate::tools;

impl World<'_> {
    /// Carries out a batch of inputs. What comes of it shares the next commit with whatever was
    /// decided since the last one was handed over.
    pub(super) fn batch(&mut self, inputs: Vec<Input>) -> Result<(), Rule> {
        let fate = self.fate();
        if !self.decide(inputs, fate)? {
            return self.die("deciding");
        }
        if fate == Fate::DiesBeforeHandOver {
            return self.die("before hand-over");
        }
        if !self.case.has(Feature::InFlight) {
            self.hand_over()?;
            return self.confirm(fate);
        }
        self.begin_commit()?;
        match fate {
            Fate::DiesInFlight | Fate::DiesReleasing(_) => self.die("after hand-over"),
            Fate::Lives | Fate::DiesDeciding(_) | Fate::DiesBeforeHandOver => Ok(()),
        }
    }

    /// Applies the inputs, then whatever programs and inline tools make of it, until none is left.
    /// Returns false if the kernel died meanwhile.
    fn decide(&mut self, inputs: Vec<Input>, fate: Fate) -> Result<bool, Rule> {
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
            self.apply(&input)?;
            inline.extend(self.fx.inline.drain(..));
            resumes.extend(self.fx.resumes.drain(..));
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
            taken: process.memory.taken().0,
            table: process.memory.space().pages_u32(),
        };
        let step = program::next(&view, &resume.wake);
        Some(Input::Syscall { pid: resume.pid, turn: resume.turn, step })
    }

    fn apply(&mut self, input: &Input) -> Result<(), Rule> {
        self.report.inputs += 1;
        let before = self.checker.before(&self.kernel, self.now, input);
        let mark = Mark::of(&self.fx);
        self.kernel.apply(self.now, input, &mut self.fx);
        self.checker.after(&self.kernel, self.now, input, &before, (&self.fx, mark))
    }
}
