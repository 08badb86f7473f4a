//! What drives the processes of the live benchmark.

use aosk::abi::{
    Body, ExitStatus, Limits, Message, PermissionLevel, ProgramSpec, SpawnSpec, ThinkOptions,
    Tokens,
};
use aosk::{Action, Call, Event, ProcessView, Program};
use serde::{Deserialize, Serialize};

use super::node::DEVICE;

/// Asks the model so many times, then ends.
pub(super) struct Caller;

/// How a caller asks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Calls {
    /// How often.
    pub(super) count: u32,
    /// The longest answer, in tokens.
    pub(super) output_max: u64,
}

impl Calls {
    /// As long as the node runs.
    pub(super) fn endless(output_max: u64) -> Self {
        Self { count: u32::MAX, output_max }
    }

    fn think(self) -> Call {
        Call::Think(ThinkOptions {
            model: DEVICE.to_owned(),
            output_max: Tokens(self.output_max),
            tools: Vec::new(),
            temperature_milli: None,
            window: None,
        })
    }
}

impl Program for Caller {
    /// How many answers came.
    type State = u32;

    fn name(&self) -> &'static str {
        "caller"
    }

    fn next(&self, answers: &mut u32, process: &ProcessView<'_>, event: Event) -> Action {
        let Ok(calls) = serde_json::from_str::<Calls>(process.param) else {
            return Action::give_up(&event);
        };
        if matches!(event, Event::Started) {
            return Action::call(calls.think());
        }
        if !matches!(event, Event::Answered { .. }) {
            return Action::give_up(&event);
        }
        *answers = answers.saturating_add(1);
        if *answers >= calls.count {
            return Action::call(Call::Exit { status: ExitStatus::Finished, result: None });
        }
        Action { append: vec![Message::user(GO_ON)], call: calls.think() }
    }
}

/// What a caller says between two calls.
pub(super) const GO_ON: &str = "Go on with the next part.";

/// What every conversation begins with.
pub(super) fn beginning(number: usize) -> Vec<Body> {
    vec![
        Body::new(Message::system("You write reports, part by part.")),
        Body::new(Message::user(format!("Write the report on district {number}."))),
    ]
}

/// A caller.
pub(super) fn caller(number: usize, priority: u8, calls: Calls) -> SpawnSpec {
    process(number, priority, "caller", serde_json::to_string(&calls))
}

/// Starts callers as its children, waits for them and ends.
pub(super) struct Family;

/// Which children a family has.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Children {
    /// How many.
    pub(super) count: u32,
    /// What each of them asks.
    pub(super) calls: Calls,
}

/// How far a family is.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Raised {
    started: u32,
    ended: u32,
}

impl Program for Family {
    type State = Raised;

    fn name(&self) -> &'static str {
        "family"
    }

    fn next(&self, raised: &mut Raised, process: &ProcessView<'_>, event: Event) -> Action {
        let Ok(children) = serde_json::from_str::<Children>(process.param) else {
            return Action::give_up(&event);
        };
        if matches!(event, Event::Spawned(_)) {
            raised.started = raised.started.saturating_add(1);
        } else if matches!(event, Event::ChildExited { .. }) {
            raised.ended = raised.ended.saturating_add(1);
        } else if !matches!(event, Event::Started) {
            return Action::give_up(&event);
        }
        Action::call(if raised.started < children.count {
            let number = usize::try_from(raised.started).unwrap_or(usize::MAX);
            Call::Spawn(Box::new(caller(number, 50, children.calls)))
        } else if raised.ended < children.count {
            Call::Wait { child: None, timeout: None }
        } else {
            Call::Exit { status: ExitStatus::Finished, result: None }
        })
    }
}

/// A family that may use so many tokens.
pub(super) fn family(children: Children, tokens: Tokens) -> SpawnSpec {
    SpawnSpec {
        limits: Limits { tokens: Some(tokens), ..Limits::default() },
        ..process(0, 50, "family", serde_json::to_string(&children))
    }
}

fn process(
    number: usize,
    priority: u8,
    program: &str,
    param: serde_json::Result<String>,
) -> SpawnSpec {
    SpawnSpec {
        name: format!("{program}-{number}"),
        label: String::new(),
        // A struct of numbers is always written.
        program: ProgramSpec { name: program.to_owned(), param: param.unwrap_or_default().into() },
        priority,
        capabilities: PermissionLevel::Standard.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: beginning(number),
    }
}
