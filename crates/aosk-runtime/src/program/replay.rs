//! `replay`: drives a process through a recorded conversation, turn by turn. The model and the tools
//! answer from the record; every user turn of the record comes as a message from outside.

use aosk_abi::{ErrorCode, ExitStatus, Message, ThinkOptions, ToolUse};
use serde::{Deserialize, Serialize};

use super::{Action, Call, Event, ProcessView, Program};

/// The program.
#[derive(Debug)]
pub struct Replay;

/// The parameter: what the record has after its first messages, without their content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// How to ask the model.
    pub options: ThinkOptions,
    /// The turns, in order.
    pub turns: Vec<Turn>,
}

/// One turn of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// A message comes from outside.
    #[serde(rename = "u")]
    Mail,
    /// The model answers.
    #[serde(rename = "a")]
    Answer,
    /// Tools return: the places, in the answer before, of the calls whose results the record has,
    /// in the order in which it has them.
    #[serde(rename = "t")]
    Tools(Vec<u16>),
}

/// Where it is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Turns that are over or under way.
    turn: usize,
    /// The tool calls of the last answer, if they are called in more than one part. Otherwise they
    /// are called at once: arguments may be larger than what a program may remember.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calls: Vec<ToolUse>,
}

impl Program for Replay {
    type State = State;

    fn name(&self) -> &'static str {
        "replay"
    }

    fn next(&self, state: &mut State, process: &ProcessView<'_>, event: Event) -> Action {
        let mut append = Vec::new();
        let mut calls = std::mem::take(&mut state.calls);
        match &event {
            Event::Received { message, .. } => append.push(message.as_ref().clone()),
            Event::Answered { message, .. } => calls = message.tool_calls().to_vec(),
            Event::Started | Event::ToolsReturned(_) => {}
            Event::ModelFailed(_)
            | Event::Refused(_)
            | Event::OutOfBudget(_)
            | Event::Terminated
            | Event::Spawned(_)
            | Event::ChildExited { .. }
            | Event::Recalled(_)
            | Event::Pinned
            | Event::Forgotten(_)
            | Event::TaskBegun(_)
            | Event::TaskEnded { .. }
            | Event::Sent
            | Event::Slept
            | Event::TimedOut => return Action::give_up(&event),
        }
        let Ok(param) = serde_json::from_str::<Param>(process.param) else {
            return exit(append, ExitStatus::Failed(ErrorCode::ProgramInvalid));
        };
        let turn = param.turns.get(state.turn);
        state.turn = state.turn.saturating_add(1);
        match turn {
            None => exit(append, ExitStatus::Finished),
            Some(Turn::Mail) => {
                Action { append, call: Call::Receive { from: None, timeout: None } }
            }
            Some(Turn::Answer) => Action { append, call: Call::Think(param.options) },
            Some(Turn::Tools(places)) => {
                let call = |place: &u16| calls.get(usize::from(*place)).cloned();
                let wanted = places.iter().map(call).collect::<Option<Vec<_>>>();
                if let Some(Turn::Tools(_)) = param.turns.get(state.turn) {
                    state.calls = calls;
                }
                match wanted {
                    Some(wanted) => Action { append, call: Call::CallTools(wanted) },
                    // The answer that was checked against the record has these calls.
                    None => exit(append, ExitStatus::Failed(ErrorCode::ReplayDiffers)),
                }
            }
        }
    }
}

fn exit(append: Vec<Message>, status: ExitStatus) -> Action {
    Action { append, call: Call::Exit { status, result: None } }
}

#[cfg(test)]
mod tests;
