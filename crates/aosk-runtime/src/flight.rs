//! The flight recorder: the last inputs of the kernel, for the report after a crash. Bounded, and
//! without content: what was said between agents is in the journal, under its own rules.

use std::collections::VecDeque;
use std::fmt::Write;

use aosk_abi::{Command, Input, ModelOutcome, Pid, Timestamp, ToolOutcome};

/// Inputs that are remembered.
const INPUTS_MAX: usize = 1_024;

/// The recorder.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    inputs: VecDeque<(Timestamp, Seen)>,
}

/// An input without its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    what: &'static str,
    pid: Option<Pid>,
    number: u64,
}

impl Flight {
    /// Remembers an input that is about to be applied.
    pub(crate) fn record(&mut self, now: Timestamp, input: &Input) {
        if self.inputs.len() >= INPUTS_MAX {
            self.inputs.pop_front();
        }
        self.inputs.push_back((now, Seen::of(input)));
    }

    /// The last input.
    pub(crate) fn last(&self) -> Option<Seen> {
        self.inputs.back().map(|(_, seen)| *seen)
    }

    /// What is remembered, a line each, oldest first.
    pub(crate) fn report(&self) -> String {
        let mut report = String::new();
        for (at, seen) in &self.inputs {
            let pid = seen.pid.map(|pid| pid.to_string()).unwrap_or_default();
            // Writing to a string cannot fail.
            let _infallible = writeln!(report, "{} {} {pid} {}", at.0, seen.what, seen.number);
        }
        report
    }
}

impl Seen {
    /// Whose input it was.
    pub(crate) fn pid(self) -> Option<Pid> {
        self.pid
    }

    fn of(input: &Input) -> Self {
        let (what, pid, number) = match input {
            Input::Boot => ("boot", None, 0),
            Input::Tick => ("tick", None, 0),
            Input::Drain => ("drain", None, 0),
            Input::RateReported { .. } => ("rates", None, 0),
            Input::Operator { request, command } => {
                let (what, pid) = match command {
                    Command::Spawn(_) => ("operator spawn", None),
                    Command::Signal { pid, .. } => ("operator signal", Some(*pid)),
                    Command::Send { pid, .. } => ("operator send", Some(*pid)),
                    Command::Renice { pid, .. } => ("operator renice", Some(*pid)),
                    Command::SetLimits { .. } => ("operator limits", None),
                    Command::Answer(answer) => ("operator answer", Some(answer.call.pid)),
                    Command::SetPolicy { .. } => ("operator policy", None),
                    Command::Reconfigure { .. } => ("operator reconfigure", None),
                };
                (what, pid, request.0)
            }
            Input::Syscall { pid, turn, step } => (step.call.name(), Some(*pid), *turn),
            Input::ModelDone { call, outcome, .. } => {
                let what = match outcome {
                    ModelOutcome::Answered(_) => "model answered",
                    ModelOutcome::Failed(_) => "model failed",
                    ModelOutcome::Cancelled { .. } => "model cancelled",
                    ModelOutcome::Yielded { .. } => "model yielded",
                };
                (what, Some(call.pid), u64::from(call.number))
            }
            Input::ToolDone { call, outcome, .. } => {
                let what = match outcome {
                    ToolOutcome::Returned(_) => "tool returned",
                    ToolOutcome::Cancelled => "tool cancelled",
                };
                (what, Some(call.pid), u64::from(call.number))
            }
        };
        Self { what, pid, number }
    }
}
