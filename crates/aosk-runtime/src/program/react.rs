//! `react`: the model, its tools, the model again, until it is done.
//!
//! Each turn the model sees the whole log. Tools it calls are called in its order; calls that are
//! system calls (start an agent, wait for it, send, receive, sleep, finish) go to the kernel and
//! their outcome enters the log as a tool's result.

use aosk_abi::{
    ArenaId, Body, Capabilities, Error, ErrorCode, ExitStatus, FinishReason, Grant, Limits,
    Message, PageId, Peer, Pid, ProgramSpec, SpawnSpec, ThinkOptions, ToolUse, limits,
};
use aosk_kernel::memory::Prefer;
use aosk_tools::kernel_calls::{self, KernelCall, SpawnAgent};
use serde::{Deserialize, Serialize};

use super::{Action, Call, Event, ProcessView, Program};
use crate::memory::recalled_message;

/// The program.
#[derive(Debug)]
pub struct React;

/// The parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// How to ask the model.
    pub options: ThinkOptions,
    /// The directory its tools work in; the node's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Where the model was found, if not at its provider's usual address. For whoever goes on with
    /// the process after a restart; the program does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The policy by which pages left its window when it was started, for the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// What mattered most then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefer: Option<Prefer>,
    /// After an answer without tool calls it waits for the next message instead of ending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chat: bool,
}

/// Where it is within a turn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// How many calls of the model's last answer have been made. The calls are in the answer.
    #[serde(default)]
    made: usize,
    /// The system call that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<Asked>,
}

/// A system call that the model asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// The id under which the model expects the result.
    use_id: String,
    /// The call's name.
    name: String,
    /// The child is to be waited for once it runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    then_wait: bool,
}

/// Calls every agent may make, whichever tools its parent chose for it.
const ALWAYS: &[&str] = &["send_message", "receive_message", "recall", "search_memory", "finish"];

/// Standing instructions of an agent that is started without any.
const SYSTEM: &str = "You are an agent that works for another agent. Do the task with the tools you \
    have. When it is done, call finish with the result, complete but short.";

impl Program for React {
    type State = State;

    fn name(&self) -> &'static str {
        "react"
    }

    fn next(&self, state: &mut State, process: &ProcessView<'_>, event: Event) -> Action {
        let Ok(param) = serde_json::from_str::<Param>(process.param) else {
            let status = ExitStatus::Failed(ErrorCode::ProgramInvalid);
            return Action::call(Call::Exit { status, result: None });
        };
        match event {
            Event::Started => think(&param, Vec::new()),
            Event::Answered { message, finish } => {
                answered(state, process, &param, &message, finish)
            }
            Event::ToolsReturned(_) => go_on(state, process, &param, Vec::new()),
            Event::Spawned(pid) => spawned(state, process, &param, pid),
            Event::ChildExited { pid, status, result } => {
                let result = result.map(|message| message.text());
                let outcome = serde_json::json!({
                    "pid": pid.to_string(), "status": status.to_string(), "result": result,
                });
                report(state, process, &param, Ok(&outcome.to_string()))
            }
            Event::Recalled(pages) => recalled(state, process, &param, &pages),
            Event::Pinned => report(state, process, &param, Ok(r#"{"done":true}"#)),
            Event::Forgotten(freed) => {
                let outcome = serde_json::json!({ "freed_tokens": freed });
                report(state, process, &param, Ok(&outcome.to_string()))
            }
            Event::TaskBegun(task) => {
                let outcome = serde_json::json!({ "begun": task });
                report(state, process, &param, Ok(&outcome.to_string()))
            }
            Event::TaskEnded { task, pages } => {
                report(state, process, &param, Ok(&ended(task, pages)))
            }
            Event::Sent => report(state, process, &param, Ok(r#"{"sent":true}"#)),
            Event::Received { from, message } => {
                if state.asked.is_none() {
                    return think(&param, vec![message.as_ref().clone()]);
                }
                let from = from.map_or_else(|| "operator".to_owned(), |pid| pid.to_string());
                let outcome = serde_json::json!({ "from": from, "text": message.text() });
                report(state, process, &param, Ok(&outcome.to_string()))
            }
            Event::Slept => report(state, process, &param, Ok(r#"{"slept":true}"#)),
            Event::TimedOut => report(state, process, &param, Ok(r#"{"timed_out":true}"#)),
            Event::Refused(error) if state.asked.is_some() => {
                report(state, process, &param, Err(error))
            }
            Event::Refused(_)
            | Event::ModelFailed(_)
            | Event::OutOfBudget(_)
            | Event::Terminated => Action::give_up(&event),
        }
    }
}

fn think(param: &Param, append: Vec<Message>) -> Action {
    Action { append, call: Call::Think(param.options.clone()) }
}

fn answered(
    state: &mut State,
    process: &ProcessView<'_>,
    param: &Param,
    message: &Message,
    finish: FinishReason,
) -> Action {
    if !message.tool_calls().is_empty() {
        state.made = 0;
        return go_on(state, process, param, Vec::new());
    }
    match finish {
        FinishReason::Stop | FinishReason::ToolCalls if param.chat => {
            Action::call(Call::Receive { from: None, timeout: None })
        }
        FinishReason::Stop | FinishReason::ToolCalls => Action::call(Call::Exit {
            status: ExitStatus::Finished,
            result: Some(Message::assistant(message.text())),
        }),
        // Half an answer is none; what there is of it is in the log.
        FinishReason::Length => Action::give_up(&Event::Refused(
            Error::new(
                ErrorCode::ModelTruncated,
                format!(
                    "asking {}: the answer was cut off at its greatest length",
                    param.options.model
                ),
            )
            .hint("allow longer answers with --max-output"),
        )),
        FinishReason::Refused => Action::give_up(&Event::Refused(
            Error::new(
                ErrorCode::ModelRefused,
                format!("asking {}: the provider withheld the answer", param.options.model),
            )
            .hint("change the task or the model; `aosk logs` shows what was asked"),
        )),
    }
}

/// Makes the next calls of the turn, or asks the model when all are made. `append` has results that
/// are not in the log yet.
fn go_on(
    state: &mut State,
    process: &ProcessView<'_>,
    param: &Param,
    mut append: Vec<Message>,
) -> Action {
    let calls = process.answer.map(Message::tool_calls).unwrap_or_default();
    loop {
        let left = calls.get(state.made..).unwrap_or_default();
        let is_kernel_call = |wanted: &ToolUse| kernel_calls::spec(&wanted.name).is_some();
        let is_too_long = |wanted: &ToolUse| wanted.arguments.len() > limits::ARGUMENTS_BYTES_MAX;
        let tools =
            left.iter().take_while(|wanted| !is_kernel_call(wanted) && !is_too_long(wanted));
        let tools: Vec<_> = tools.take(limits::TOOL_CALLS_PER_TURN_MAX).cloned().collect();
        if !tools.is_empty() {
            state.made = state.made.saturating_add(tools.len());
            return Action { append, call: Call::CallTools(tools) };
        }
        let Some(wanted) = left.first().cloned() else {
            return think(param, append);
        };
        state.made = state.made.saturating_add(1);
        if is_too_long(&wanted) {
            let text = format!(
                "the arguments have {} bytes, more than {}; do it in smaller parts",
                wanted.arguments.len(),
                limits::ARGUMENTS_BYTES_MAX
            );
            append.push(Message::failed(wanted.id, wanted.name, ErrorCode::ToolArguments, text));
            continue;
        }
        match kernel_calls::parse(&wanted.name, &wanted.arguments) {
            Ok(call) => return system_call(state, process, param, append, wanted, call),
            Err(error) => {
                append.push(Message::failed(wanted.id, wanted.name, error.code(), error));
            }
        }
    }
}

fn system_call(
    state: &mut State,
    process: &ProcessView<'_>,
    param: &Param,
    mut append: Vec<Message>,
    wanted: ToolUse,
    call: KernelCall,
) -> Action {
    let mut then_wait = false;
    let call = match call {
        KernelCall::SpawnAgent(spawn) => {
            then_wait = spawn.wait;
            Call::Spawn(Box::new(child(process, param, spawn, state.made)))
        }
        KernelCall::WaitAgent(wait) => {
            Call::Wait { child: wait.pid.map(Peer::Pid), timeout: wait.timeout }
        }
        KernelCall::SendMessage(send) => {
            let text = format!("Message from {} ({}): {}", process.name, process.pid, send.text);
            Call::Send { to: send.to, message: Message::user(text) }
        }
        KernelCall::ReceiveMessage(receive) => {
            Call::Receive { from: receive.from, timeout: receive.timeout }
        }
        KernelCall::Sleep(sleep) => Call::Sleep(sleep.span),
        KernelCall::Recall(recall) => Call::Recall(recall.pages.into_iter().map(PageId).collect()),
        KernelCall::Pin(pin) => Call::Pin { page: PageId(pin.page), pinned: true },
        KernelCall::Unpin(pin) => Call::Pin { page: PageId(pin.page), pinned: false },
        KernelCall::Forget(forget) => Call::Forget(PageId(forget.page)),
        KernelCall::BeginTask(begin) => Call::BeginTask { goal: Message::assistant(begin.goal) },
        KernelCall::EndTask(end) => Call::EndTask { result: Message::assistant(end.result) },
        // A device has it: to the kernel it is a tool like any other.
        KernelCall::SearchMemory(_) => {
            return Action { append, call: Call::CallTools(vec![wanted]) };
        }
        KernelCall::Finish(finish) => {
            // The log stays well-formed, so that it can be read and continued.
            append.push(Message::returned(wanted.id, wanted.name, r#"{"finished":true}"#));
            let calls = process.answer.map(Message::tool_calls).unwrap_or_default();
            for unmade in calls.iter().skip(state.made) {
                let (code, what) =
                    (ErrorCode::ToolInterrupted, "the agent finished before this call");
                append.push(Message::failed(&unmade.id, &unmade.name, code, what));
            }
            let result = Some(Message::assistant(finish.result));
            return Action { append, call: Call::Exit { status: ExitStatus::Finished, result } };
        }
    };
    state.asked = Some(Asked { use_id: wanted.id, name: wanted.name, then_wait });
    Action { append, call }
}

/// Puts pages that were brought back into the log, as the result of the call that asked for them.
fn recalled(
    state: &mut State,
    process: &ProcessView<'_>,
    param: &Param,
    pages: &[(PageId, Option<String>)],
) -> Action {
    let append = match state.asked.take() {
        Some(Asked { use_id, name, .. }) => vec![recalled_message(use_id, name, pages)],
        None => Vec::new(),
    };
    go_on(state, process, param, append)
}

/// What a model is told that ended a task. Its result stands in its own call.
fn ended(task: ArenaId, pages: Option<(PageId, PageId)>) -> String {
    let mut outcome = serde_json::json!({ "ended": task });
    if let (Some((first, last)), Some(object)) = (pages, outcome.as_object_mut()) {
        object.insert("first_page".to_owned(), first.0.into());
        object.insert("last_page".to_owned(), last.0.into());
    }
    outcome.to_string()
}

fn spawned(state: &mut State, process: &ProcessView<'_>, param: &Param, pid: Pid) -> Action {
    if let Some(asked) = &mut state.asked
        && std::mem::take(&mut asked.then_wait)
    {
        return Action::call(Call::Wait { child: Some(Peer::Pid(pid)), timeout: None });
    }
    let outcome = serde_json::json!({ "pid": pid.to_string() });
    report(state, process, param, Ok(&outcome.to_string()))
}

/// Puts the outcome of the system call into the log and goes on with the turn.
fn report(
    state: &mut State,
    process: &ProcessView<'_>,
    param: &Param,
    outcome: Result<&str, Error>,
) -> Action {
    let append = match state.asked.take() {
        Some(Asked { use_id, name, .. }) => vec![match outcome {
            Ok(text) => Message::returned(use_id, name, text),
            Err(error) => Message::failed(use_id, name, error.code, error.message),
        }],
        None => Vec::new(),
    };
    go_on(state, process, param, append)
}

/// A child as the model described it; what it left open is as in the parent.
fn child(process: &ProcessView<'_>, param: &Param, wanted: SpawnAgent, made: usize) -> SpawnSpec {
    let mut options = param.options.clone();
    if let Some(model) = wanted.model {
        options.model = model;
    }
    let mut tools = Grant::All;
    if let Some(names) = wanted.tools {
        // Whoever works in tasks has children that do.
        let tasks = kernel_calls::TASKS.iter().filter(|name| offers(&param.options, name));
        let always = ALWAYS.iter().chain(tasks).map(|name| (*name).to_owned());
        let missing: Vec<_> = always.filter(|name| !names.contains(name)).collect();
        let named: Vec<_> = names.into_iter().chain(missing).collect();
        tools = Grant::only(named.iter().cloned());
        // One that goes on from here is offered what is offered here: another list would stand before
        // all that the provider has in its cache.
        if !wanted.fork {
            options.tools = named;
        }
    }
    let child = Param {
        options,
        workspace: param.workspace.clone(),
        base_url: param.base_url.clone(),
        replacement: param.replacement.clone(),
        prefer: param.prefer,
        chat: false,
    };
    let pages = if wanted.fork {
        forked_pages(process, &wanted.name, wanted.task, made)
    } else {
        let system = wanted.system.unwrap_or_else(|| SYSTEM.to_owned());
        vec![Message::system(system), Message::user(wanted.task)]
    };
    SpawnSpec {
        name: wanted.name,
        label: process.label.to_owned(),
        program: ProgramSpec {
            name: "react".to_owned(),
            // The parameter was read from JSON and has a JSON form.
            param: serde_json::to_string(&child).unwrap_or_default().into(),
        },
        priority: wanted.priority.unwrap_or(process.priority),
        capabilities: Capabilities { tools, ..process.capabilities.clone() },
        limits: Limits {
            tokens: wanted.budget_tokens,
            micro_usd: wanted.budget,
            ..Limits::default()
        },
        group: String::new(),
        fork: wanted.fork,
        pages: pages.into_iter().map(Body::new).collect(),
    }
}

/// Whether the call of this name is offered to the model.
fn offers(options: &ThinkOptions, name: &str) -> bool {
    options.tools.iter().any(|tool| tool == name)
}

/// What is new to one that begins with all of its parent's conversation. The calls that are not
/// answered there yet are answered here: it is the one that was called for.
fn forked_pages(process: &ProcessView<'_>, name: &str, task: String, made: usize) -> Vec<Message> {
    let calls = process.answer.map(Message::tool_calls).unwrap_or_default();
    let mut open = calls.iter().skip(made.saturating_sub(1));
    let mut pages = Vec::new();
    if let Some(call) = open.next() {
        let told = serde_json::json!({ "forked": true, "you_are": name });
        pages.push(Message::returned(&call.id, &call.name, told.to_string()));
    }
    for call in open {
        let what = "whoever you come from makes this call";
        pages.push(Message::failed(&call.id, &call.name, ErrorCode::ToolInterrupted, what));
    }
    pages.push(Message::user(task));
    pages
}

#[cfg(test)]
mod tests;
