//! Turns of programs: the part of a batch that is pure. A wake becomes an event with its content, a
//! program's action becomes a system call.

use std::collections::HashMap;
use std::sync::Arc;

use aosk_abi::{
    Body, Error, ErrorCode, ExitStatus, Input, Message, MessageIndex, Pid, Resume, Step, Syscall,
    ToolOutcome, ToolStart, Wake, limits,
};
use aosk_kernel::{Kernel, Process, State};
use aosk_tools::kernel_calls::{self, KernelCall};

use crate::bodies::Bodies;
use crate::devices::Devices;
use crate::memory::{Contents, FOUND, FOUND_MAX, Told, at, brought_back};
use crate::program::{Call, Event, ProcessView, Programs, Stepped};

/// Runs programs.
pub(crate) struct Turns {
    programs: Programs,
    /// What is known of the content of each log.
    contents: HashMap<Pid, Contents>,
    /// Turns taken in this batch.
    taken: HashMap<Pid, u32>,
}

impl Turns {
    pub(crate) fn new(programs: Programs) -> Self {
        Self { programs, contents: HashMap::new(), taken: HashMap::new() }
    }

    /// A new batch begins.
    pub(crate) fn begin_batch(&mut self) {
        self.taken.clear();
    }

    /// A process is gone.
    pub(crate) fn forget(&mut self, pid: Pid) {
        self.contents.remove(&pid);
    }

    /// Runs the program and gives the step it takes; none if it was stopped or ended meanwhile.
    pub(crate) fn take(
        &mut self,
        kernel: &Kernel,
        bodies: &mut Bodies,
        devices: &mut Devices,
        resume: Resume,
    ) -> Option<Input> {
        let Resume { pid, turn, wake } = resume;
        let process = kernel.process(pid)?;
        if process.turn != turn || !matches!(process.state, State::Program { .. }) {
            return None;
        }
        let taken = self.taken.entry(pid).or_default();
        *taken = taken.saturating_add(1);
        let step = if *taken > limits::STEPS_PER_BATCH_MAX {
            let text = format!("running {pid}: {taken} steps without waiting for anything");
            give_up(process, &Error::new(ErrorCode::ProgramFailed, text))
        } else {
            self.step(bodies, devices, pid, process, wake)
                .unwrap_or_else(|error| give_up(process, &error))
        };
        Some(Input::Syscall { pid, turn, step })
    }

    fn step(
        &mut self,
        bodies: &mut Bodies,
        devices: &mut Devices,
        pid: Pid,
        process: &Process,
        wake: Wake,
    ) -> Result<Step, Error> {
        let event = event(bodies, process, wake)?;
        let answer = answer(bodies, process, &event)?;
        let view = ProcessView {
            pid,
            name: &process.spec.name,
            label: &process.spec.label,
            param: &process.spec.program.param,
            priority: process.priority,
            parent: process.spec.parent,
            capabilities: &process.spec.capabilities,
            answer: answer.as_deref(),
        };
        let program = &process.spec.program.name;
        let Stepped { mut append, call, state } =
            self.programs.step(program, &process.program_state, &view, event)?;
        let call = match call {
            Call::Think(options) => {
                let count = devices.tokenizer(&options.model);
                let tools = devices.tokens_of_tools(&options.tools, count);
                let contents = self.contents.entry(pid).or_default();
                let Told { pieces, uses } =
                    contents.tell(bodies, process, &mut append, count, devices.room(&options))?;
                Syscall::Think { options, tools, pieces, uses }
            }
            Call::Recall(pages) => Syscall::Recall { pages },
            Call::Pin { page, pinned } => Syscall::Pin { page, pinned },
            Call::Forget(page) => Syscall::Forget { page },
            Call::CallTools(calls) => Syscall::CallTools { calls },
            Call::Spawn(spec) => Syscall::Spawn { spec },
            Call::Wait { child, timeout } => Syscall::Wait { child, timeout },
            Call::Send { to, message } => Syscall::Send { to, body: Body::new(message) },
            Call::Receive { from, timeout } => Syscall::Receive { from, timeout },
            Call::Sleep(span) => Syscall::Sleep { span },
            Call::Exit { status, result } => {
                Syscall::Exit { status, result: result.map(Body::new) }
            }
        };
        Ok(Step { append, call, state })
    }

    /// Makes a call of `search_memory`: what is searched is the log of the process that calls.
    pub(crate) fn search_memory(
        &mut self,
        kernel: &Kernel,
        bodies: &mut Bodies,
        start: &ToolStart,
    ) -> Input {
        let body = match self.search(kernel, bodies, start) {
            Ok(found) => Message::returned(&start.use_id, &start.tool, found),
            Err(error) => Message::failed(&start.use_id, &start.tool, error.code, error.message),
        };
        let outcome = ToolOutcome::Returned(Body::new(body));
        Input::ToolDone { call: start.call, attempt: start.attempt, outcome }
    }

    fn search(
        &mut self,
        kernel: &Kernel,
        bodies: &mut Bodies,
        start: &ToolStart,
    ) -> Result<String, Error> {
        let wanted = match kernel_calls::parse(&start.tool, &start.arguments) {
            Ok(KernelCall::SearchMemory(wanted)) => wanted,
            Ok(_) => return Err(Error::new(ErrorCode::ToolUnknown, "this is no search")),
            Err(error) => return Err(Error::new(error.code(), error.to_string())),
        };
        let pid = start.call.pid;
        let process = kernel.process(pid).ok_or_else(|| {
            Error::new(ErrorCode::NoSuchProcess, format!("searching: no such process: {pid}"))
        })?;
        let limit = wanted.limit.map_or(FOUND, usize::from).min(FOUND_MAX);
        self.contents.entry(pid).or_default().search(process, bodies, &wanted.query, limit)
    }
}

/// The step of a program that cannot be run.
fn give_up(process: &Process, error: &Error) -> Step {
    let result = Message::assistant(format!("{}: {}", error.code, error.message));
    Step {
        append: Vec::new(),
        call: Syscall::Exit {
            status: ExitStatus::Failed(error.code),
            result: Some(Body::new(result)),
        },
        state: process.program_state.clone(),
    }
}

/// What the model said last. It stands near the end of the log: behind it are results of its calls,
/// and messages that came since.
fn answer(
    bodies: &mut Bodies,
    process: &Process,
    event: &Event,
) -> Result<Option<Arc<Message>>, Error> {
    if let Event::Answered { message, .. } = event {
        return Ok(Some(message.clone()));
    }
    for page in process.pages.iter().rev() {
        let body = bodies.get(page.hash)?;
        if let Message::Assistant { .. } = body.message().as_ref() {
            return Ok(Some(body.message().clone()));
        }
    }
    Ok(None)
}

/// The wake with the content it points to.
fn event(bodies: &mut Bodies, process: &Process, wake: Wake) -> Result<Event, Error> {
    let page = |place: MessageIndex| at(process, place);
    Ok(match wake {
        Wake::Started => Event::Started,
        Wake::Answered { page: place, finish } => {
            Event::Answered { message: bodies.get(page(place)?)?.message().clone(), finish }
        }
        Wake::ModelFailed { failure } => Event::ModelFailed(failure),
        Wake::ToolsReturned { first, count } => {
            let mut results = Vec::new();
            for offset in 0..count {
                let hash = page(MessageIndex(first.0.saturating_add(offset)))?;
                results.push(bodies.get(hash)?.message().clone());
            }
            Event::ToolsReturned(results)
        }
        Wake::Spawned { pid } => Event::Spawned(pid),
        Wake::ChildExited { pid, status, result } => {
            let result = match result {
                Some(hash) => Some(bodies.get(hash)?.message().clone()),
                None => None,
            };
            Event::ChildExited { pid, status, result }
        }
        Wake::Recalled { pages } => Event::Recalled(brought_back(bodies, process, pages)?),
        Wake::Pinned => Event::Pinned,
        Wake::Forgotten { freed } => Event::Forgotten(freed),
        Wake::Sent => Event::Sent,
        Wake::Received { body, from } => {
            Event::Received { from, message: bodies.get(body)?.message().clone() }
        }
        Wake::Slept => Event::Slept,
        Wake::TimedOut => Event::TimedOut,
        Wake::Refused { error } => Event::Refused(error),
        Wake::OutOfBudget { resource } => Event::OutOfBudget(resource),
        Wake::Terminated => Event::Terminated,
    })
}
