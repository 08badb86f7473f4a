//! System calls in the form in which a model makes them.
//!
//! To a model they look like tools. No device carries them out: the program of a process turns them
//! into system calls, after the same checks of the arguments that tools get.

mod specs;

use std::sync::LazyLock;

use aosk_abi::Peer;
use aosk_abi::id::Pid;
use aosk_abi::tool::{Risk, ToolSpec, ToolTraits};
use aosk_abi::unit::{MicroUsd, Millis, Tokens};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::arguments::{Schema, typed};
use crate::error::{RegisterError, ToolError};

/// A system call as a model asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelCall {
    /// `spawn_agent`
    SpawnAgent(SpawnAgent),
    /// `wait_agent`
    WaitAgent(WaitAgent),
    /// `send_message`
    SendMessage(SendMessage),
    /// `receive_message`
    ReceiveMessage(ReceiveMessage),
    /// `sleep`
    Sleep(Sleep),
    /// `recall`
    Recall(Recall),
    /// `search_memory`. A tool that the runtime makes itself, for it needs the log of its caller.
    SearchMemory(SearchMemory),
    /// `pin`
    Pin(OnePage),
    /// `unpin`
    Unpin(OnePage),
    /// `forget`
    Forget(OnePage),
    /// `begin_task`
    BeginTask(BeginTask),
    /// `end_task`
    EndTask(EndTask),
    /// `finish`
    Finish(Finish),
}

/// The name of the call that searches the log of its caller.
pub const SEARCH_MEMORY: &str = "search_memory";

/// The names of the calls that begin and end tasks. Every call that is offered takes part of each
/// request, so these are offered only to agents that are to work in tasks.
pub const TASKS: [&str; 2] = ["begin_task", "end_task"];

/// What [`SEARCH_MEMORY`] is to the kernel: a tool that only reads. It takes too long to be made between
/// two inputs: a long log has to be read first, and an embedder may be asked.
#[must_use]
pub fn search_traits() -> ToolTraits {
    ToolTraits {
        risk: Risk::Safe,
        idempotent: true,
        inline: false,
        parallel: true,
        timeout: Millis::from_secs(30),
    }
}

/// Whether a call is about the memory of the one who makes it.
#[must_use]
pub fn is_of_memory(name: &str) -> bool {
    let pages = matches!(name, "recall" | SEARCH_MEMORY | "pin" | "unpin" | "forget");
    pages || TASKS.contains(&name)
}

/// Bring pages back into the window.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// Their numbers.
    pub pages: Vec<u32>,
}

/// Search one's own log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchMemory {
    /// What for.
    pub query: String,
    /// How many pages to tell of at most.
    #[serde(default)]
    pub limit: Option<u8>,
}

/// A call on one page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnePage {
    /// Its number.
    pub page: u32,
}

/// Begin a part of the work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginTask {
    /// What is to be done.
    pub goal: String,
}

/// End the part of the work that was begun last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndTask {
    /// What came of it.
    pub result: String,
}

/// Start a child.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnAgent {
    /// Its name; never one that reads as a process id.
    #[serde(deserialize_with = "agent_name")]
    pub name: String,
    /// What it is to do.
    pub task: String,
    /// Standing instructions, in place of the usual ones.
    #[serde(default)]
    pub system: Option<String>,
    /// The tools it may call; those of its parent if none.
    #[serde(default)]
    pub tools: Option<Vec<String>>,
    /// 0 (most urgent) to 100; its parent's if none.
    #[serde(default)]
    pub priority: Option<u8>,
    /// The model it thinks with; its parent's if none.
    #[serde(default)]
    pub model: Option<String>,
    /// The most tokens it may use, its own children's included.
    #[serde(default)]
    pub budget_tokens: Option<Tokens>,
    /// The most it may cost, its own children's included.
    #[serde(default, rename = "budget_usd", deserialize_with = "dollars")]
    pub budget: Option<MicroUsd>,
    /// Whether it begins with the conversation of its parent.
    #[serde(default)]
    pub fork: bool,
    /// Whether the call returns only when the child has ended, with its result.
    #[serde(default)]
    pub wait: bool,
}

/// Wait until a child has ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitAgent {
    /// Which; any if none.
    #[serde(default, deserialize_with = "pid")]
    pub pid: Option<Pid>,
    /// How long; forever if none.
    #[serde(default, rename = "timeout_s", deserialize_with = "optional_span")]
    pub timeout: Option<Millis>,
}

/// Send a message to another agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// To whom.
    pub to: Peer,
    /// What.
    pub text: String,
}

/// Take the next message from the mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiveMessage {
    /// Only from this agent; from anyone if none.
    #[serde(default)]
    pub from: Option<Peer>,
    /// How long to wait; forever if none.
    #[serde(default, rename = "timeout_s", deserialize_with = "optional_span")]
    pub timeout: Option<Millis>,
}

/// Do nothing for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// How long.
    #[serde(rename = "seconds", deserialize_with = "span")]
    pub span: Millis,
}

/// End, with a result.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// What the parent, or the person who asked, gets.
    pub result: String,
}

#[derive(Debug)]
struct Entry {
    spec: ToolSpec,
    schema: Schema,
}

static ENTRIES: LazyLock<Result<Vec<Entry>, RegisterError>> = LazyLock::new(|| {
    let compile = |spec: ToolSpec| Ok(Entry { schema: Schema::compile(&spec)?, spec });
    specs::all().into_iter().map(compile).collect()
});

/// What a model is shown of every kernel call.
pub fn specs() -> impl Iterator<Item = &'static ToolSpec> {
    ENTRIES.iter().flatten().map(|entry| &entry.spec)
}

/// What a model is shown of the kernel call `name`; none if there is no such call.
#[must_use]
pub fn spec(name: &str) -> Option<&'static ToolSpec> {
    specs().find(|spec| spec.name == name)
}

/// The call that a model asked for by `name`, with `arguments` as it wrote them.
///
/// # Errors
/// `tool.unknown` if there is no such call, `tool.arguments` if the arguments do not fit.
pub fn parse(name: &str, arguments: &str) -> Result<KernelCall, ToolError> {
    let entry = ENTRIES.iter().flatten().find(|entry| entry.spec.name == name);
    let unknown = || ToolError::Unknown { name: name.to_owned(), near: Vec::new() };
    let arguments = entry.ok_or_else(unknown)?.schema.check(arguments)?;
    Ok(match name {
        "spawn_agent" => KernelCall::SpawnAgent(typed(arguments)?),
        "wait_agent" => KernelCall::WaitAgent(typed(arguments)?),
        "send_message" => KernelCall::SendMessage(typed(arguments)?),
        "receive_message" => KernelCall::ReceiveMessage(typed(arguments)?),
        "sleep" => KernelCall::Sleep(typed(arguments)?),
        "recall" => KernelCall::Recall(typed(arguments)?),
        SEARCH_MEMORY => KernelCall::SearchMemory(typed(arguments)?),
        "pin" => KernelCall::Pin(typed(arguments)?),
        "unpin" => KernelCall::Unpin(typed(arguments)?),
        "forget" => KernelCall::Forget(typed(arguments)?),
        "begin_task" => KernelCall::BeginTask(typed(arguments)?),
        "end_task" => KernelCall::EndTask(typed(arguments)?),
        "finish" => KernelCall::Finish(typed(arguments)?),
        _ => return Err(unknown()),
    })
}

fn agent_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.parse::<Pid>().is_ok() {
        return Err(D::Error::custom("argument `name`: a name must not look like a process id"));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return Err(D::Error::custom(
            "argument `name`: a name has no control characters, and no spaces at its ends",
        ));
    }
    Ok(name)
}

fn pid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Pid>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |error| D::Error::custom(format!("argument `pid`: {error}"));
    text.parse().map(Some).map_err(wrong)
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Ok(Millis(scaled(seconds, 1e3)))
}

fn optional_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Millis>, D::Error> {
    span(deserializer).map(Some)
}

fn dollars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MicroUsd>, D::Error> {
    let usd = f64::deserialize(deserializer)?;
    Ok(Some(MicroUsd(scaled(usd, 1e6))))
}

/// `amount` in units that are `factor` times smaller, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and schemas bound the amounts"
)]
fn scaled(amount: f64, factor: f64) -> u64 {
    (amount * factor).round() as u64
}

#[cfg(test)]
mod tests;
