//! An agent as a person asks for it, from a command line or over the network: which tools it is given,
//! and what it is started with.

mod grant;

use aosk_abi::{Body, Capabilities, Limits, Message, ProgramSpec, SpawnSpec, ThinkOptions, Tokens};

use crate::program::react;

pub use grant::{GrantError, Granted, choose, offered};

/// The most steps of an agent for which none are named.
pub const STEPS_MAX: u64 = 100;

/// The most tokens of an answer for which none are named.
pub const OUTPUT_MAX: Tokens = Tokens(4096);

/// The priority of an agent for which none is named.
pub const PRIORITY: u8 = 50;

/// Standing instructions of an agent that is given none.
const SYSTEM: &str = "You are an agent. Do the task with the tools you have, in the workspace they \
    work in. When it is done, answer with the result, complete but short.";

/// An agent of the program `react` that is to be started.
#[derive(Debug, Clone)]
pub struct Agent {
    /// A name for people.
    pub name: String,
    /// What it belongs to, for whoever started it.
    pub label: String,
    /// What it is to do.
    pub task: String,
    /// Standing instructions, if they are not the usual ones.
    pub system: Option<String>,
    /// How it asks its model, and where it works.
    pub param: react::Param,
    /// What it may touch.
    pub capabilities: Capabilities,
    /// 0 (most urgent) to 100.
    pub priority: u8,
    /// Its bounds; of steps the usual one if none is named.
    pub limits: Limits,
    /// The tenant or group that it belongs to; empty if none.
    pub group: String,
}

impl Agent {
    /// What the kernel is asked to start.
    #[must_use]
    pub fn spec(self) -> SpawnSpec {
        let system = self.system.unwrap_or_else(|| SYSTEM.to_owned());
        let limits = Limits { steps: self.limits.steps.or(Some(STEPS_MAX)), ..self.limits };
        SpawnSpec {
            name: self.name,
            label: self.label,
            program: ProgramSpec {
                name: "react".to_owned(),
                param: serde_json::to_string(&self.param).unwrap_or_default().into(),
            },
            priority: self.priority,
            capabilities: self.capabilities,
            limits,
            group: self.group,
            fork: false,
            pages: vec![Body::new(Message::system(system)), Body::new(Message::user(self.task))],
        }
    }
}

/// How a model is asked that is given no more than its name and tools.
#[must_use]
pub fn usual_options(model: String, tools: Vec<String>) -> ThinkOptions {
    ThinkOptions { model, output_max: OUTPUT_MAX, tools, temperature_milli: None, window: None }
}
