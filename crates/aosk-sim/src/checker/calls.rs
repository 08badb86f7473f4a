//! Calls that devices have, as the states of processes tell.

use aosk_abi::{CallId, Spend, Timestamp};
use aosk_kernel::{CancelKind, ModelCall, Process, State, ToolPhase, Wait};

/// A call that a device has.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight<'a> {
    pub(super) number: u32,
    pub(super) attempt: u32,
    pub(super) device: Device<'a>,
    /// The call was cancelled, and until then its confirmation is waited for.
    pub(super) cancelled: Option<Timestamp>,
}

/// Which device.
#[derive(Debug, Clone, Copy)]
pub(super) enum Device<'a> {
    Model {
        call: &'a ModelCall,
        held: Spend,
    },
    /// The name of a cancelled one is not known; it is not inline.
    Tool {
        name: Option<&'a str>,
    },
}

/// The calls of a process that devices have.
pub(super) fn in_flight(process: &Process) -> Vec<InFlight<'_>> {
    match process.state.inner() {
        State::Running { call, held, .. } => vec![InFlight {
            number: call.number,
            attempt: call.attempt,
            device: Device::Model { call, held: *held },
            cancelled: None,
        }],
        State::Waiting { on: Wait::Tools { calls } } => calls
            .iter()
            .filter(|call| matches!(call.phase, ToolPhase::InFlight { .. }))
            .map(|call| InFlight {
                number: call.number,
                attempt: call.attempt,
                device: Device::Tool { name: Some(&call.tool) },
                cancelled: None,
            })
            .collect(),
        State::Exiting { calls, .. } => calls
            .iter()
            .map(|call| InFlight {
                number: call.number,
                attempt: call.attempt,
                device: match &call.kind {
                    CancelKind::Model { call, held } => Device::Model { call, held: *held },
                    CancelKind::Tool => Device::Tool { name: None },
                },
                cancelled: Some(call.deadline),
            })
            .collect(),
        State::Program { .. }
        | State::Ready { .. }
        | State::Waiting { .. }
        | State::Stopped { .. }
        | State::Zombie { .. } => Vec::new(),
    }
}

/// The attempt, if its process waits for it.
pub(super) fn awaited(process: &Process, id: CallId, attempt: u32) -> Option<InFlight<'_>> {
    in_flight(process)
        .into_iter()
        .find(|flight| flight.number == id.number && flight.attempt == attempt)
}

/// Whether its process waits for the attempt, and not for the confirmation that it was cancelled.
pub(crate) fn is_awaited(process: &Process, id: CallId, attempt: u32) -> bool {
    awaited(process, id, attempt).is_some_and(|flight| flight.cancelled.is_none())
}

/// The models that have calls of the process.
pub(super) fn models(process: &Process) -> impl Iterator<Item = &str> {
    in_flight(process).into_iter().filter_map(|flight| match flight.device {
        Device::Model { call, .. } => Some(call.options.model.as_str()),
        Device::Tool { .. } => None,
    })
}
