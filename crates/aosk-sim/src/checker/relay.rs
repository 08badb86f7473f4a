//! Calls that somebody outside asks: nothing of the log is shown, and what they heard a part of is not
//! begun anew.

use std::collections::BTreeSet;

use aosk_abi::{CallId, Input, ModelOutcome, Release, Tokens};
use aosk_kernel::{Kernel, State};

use super::{Rule, ensure};

/// What is known of such calls.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// Calls of whose answers a part was heard.
    heard: BTreeSet<CallId>,
}

/// The call of this kind, if the input reports one of whose answer a part was heard.
pub(super) fn heard(kernel: &Kernel, input: &Input) -> Option<CallId> {
    let Input::ModelDone { call, attempt, outcome } = input else { return None };
    let State::Running { call: asked, .. } = kernel.process(call.pid)?.state.inner() else {
        return None;
    };
    let output = match outcome {
        ModelOutcome::Answered(_) => Tokens::ZERO,
        ModelOutcome::Failed(failure) => failure.usage.map_or(Tokens::ZERO, |usage| usage.output),
        ModelOutcome::Cancelled { output } => *output,
        ModelOutcome::Yielded { usage, .. } => usage.output,
    };
    let awaited = asked.number == call.number && asked.attempt == *attempt;
    (asked.relayed && awaited && output > Tokens::ZERO).then_some(*call)
}

impl Relays {
    /// Notes a call of whose answer a part was heard.
    pub(super) fn note(&mut self, heard: Option<CallId>) {
        self.heard.extend(heard);
    }

    /// Judges what an input did with such calls.
    pub(super) fn check(
        &self,
        kernel: &Kernel,
        input: &Input,
        releases: &[Release],
    ) -> Result<(), Rule> {
        if matches!(input, Input::Boot) {
            let left = kernel
                .processes()
                .find(|(_, process)| process.state.call().is_some_and(|call| call.relayed));
            ensure(left.is_none(), "what was asked from outside ends with its kernel", || {
                format!("{left:?}")
            })?;
        }
        for release in releases {
            match release {
                Release::Think { call, window, .. } if window.relayed => {
                    let what = || format!("{call}: {window:?}");
                    ensure(window.frames.is_empty(), "what is relayed shows no page", what)?;
                    let anew = self.heard.contains(call);
                    ensure(!anew, "what was heard in part is not begun anew", what)?;
                }
                Release::Yield { call, .. } => {
                    let process = kernel.process(call.pid);
                    let asked = process.and_then(|process| process.state.call());
                    let relayed = asked.is_some_and(|asked| asked.relayed);
                    ensure(!relayed, "what is relayed is not cut off for others", || {
                        call.to_string()
                    })?;
                }
                Release::Think { .. }
                | Release::Tool(_)
                | Release::Cancel { .. }
                | Release::Reply { .. } => {}
            }
        }
        Ok(())
    }
}
