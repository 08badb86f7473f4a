//! Turns of programs: the part of a batch that is pure. A wake becomes an event with its content, a
//! program's action becomes a system call.

use std::collections::HashMap;
use std::sync::Arc;

use aosk_abi::{
    Body, Error, ErrorCode, ExitStatus, Input, Message, MessageIndex, Pid, Resume, Step, Syscall,
    ThinkOptions, ToolOutcome, ToolStart, Wake, limits,
};
use aosk_kernel::{Kernel, Process, State};
use aosk_tools::kernel_calls::{self, KernelCall, SearchMemory};

use crate::bodies::Bodies;
use crate::devices::Devices;
use crate::foreign::{Ask, Asking, FOREIGN, Foreign, Live, Woken};
use crate::memory::{
    Background, Contents, Done, FOUND, FOUND_MAX, Searched, Told, Waiting, at, brought_back,
    calls_back, told, unasked,
};
use crate::program::{Call, Event, ProcessView, Programs, Stepped};

/// Runs programs.
pub(crate) struct Turns {
    programs: Programs,
    /// What is known of the content of each log.
    contents: HashMap<Pid, Contents>,
    /// What is done with logs beside the loop.
    pub(crate) background: Background,
    /// Processes whose program is outside.
    pub(crate) foreign: Foreign,
    /// Turns taken in this batch.
    taken: HashMap<Pid, u32>,
}

impl Turns {
    pub(crate) fn new(programs: Programs, background: Background) -> Self {
        let foreign = Foreign::default();
        Self { programs, contents: HashMap::new(), background, foreign, taken: HashMap::new() }
    }

    /// A new batch begins.
    pub(crate) fn begin_batch(&mut self) {
        self.taken.clear();
    }

    /// A process is gone.
    pub(crate) fn forget(&mut self, pid: Pid) {
        self.contents.remove(&pid);
        self.foreign.forget(pid);
    }

    /// Runs the program and gives the step it takes; none if it was stopped or ended meanwhile, or if
    /// the step waits for what may be brought back.
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
        if process.spec.program.name == FOREIGN {
            let state = process.program_state.clone();
            let step = match self.foreign.woken(pid, turn, wake) {
                Woken::Waits => return None,
                Woken::Ends(call) => Step { append: Vec::new(), call, state },
                Woken::Asks(live) => self.asks(bodies, devices, (pid, process), &live),
            };
            return Some(Input::Syscall { pid, turn, step });
        }
        let taken = self.taken.entry(pid).or_default();
        *taken = taken.saturating_add(1);
        let step = if *taken > limits::STEPS_PER_BATCH_MAX {
            let text = format!("running {pid}: {taken} steps without waiting for anything");
            give_up(process, &Error::new(ErrorCode::ProgramFailed, text))
        } else {
            self.step(bodies, devices, pid, process, wake)
                .unwrap_or_else(|error| Some(give_up(process, &error)))?
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
    ) -> Result<Option<Step>, Error> {
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
        let Stepped { append, call, state } =
            self.programs.step(program, &process.program_state, &view, event)?;
        let call = match call {
            Call::Think(options) => {
                if let Some(said) = calls_back(process, &append) {
                    let log = self.contents.entry(pid).or_default().hand_over(process);
                    let waiting = Waiting { pid, turn: process.turn, append, options, state };
                    self.background.recall(log, said, waiting);
                    return Ok(None);
                }
                return self
                    .think(bodies, devices, (pid, process), append, options, state)
                    .map(Some);
            }
            Call::Recall(pages) => Syscall::Recall { pages },
            Call::Pin { page, pinned } => Syscall::Pin { page, pinned },
            Call::Forget(page) => Syscall::Forget { page },
            Call::BeginTask { goal } => Syscall::BeginTask { goal: Body::new(goal) },
            Call::EndTask { result } => Syscall::EndTask { result: Body::new(result) },
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
        Ok(Some(Step { append, call, state }))
    }

    /// Takes a request of the client of a process. Gives the step in which it asks; none if it cannot yet,
    /// or cannot at all, which the client hears.
    pub(crate) fn asked(
        &mut self,
        kernel: &Kernel,
        bodies: &mut Bodies,
        devices: &mut Devices,
        (pid, live): (Pid, Live),
    ) -> Option<Input> {
        match self.foreign.ask(pid, live)? {
            Asking::Now(turn, live) => {
                // Who has a seat lives.
                let process = kernel.process(pid)?;
                let step = self.asks(bodies, devices, (pid, process), &live);
                Some(Input::Syscall { pid, turn, step })
            }
            Asking::Later => None,
        }
    }

    /// The step in which a process asks what its client asks.
    fn asks(
        &mut self,
        bodies: &mut Bodies,
        devices: &mut Devices,
        (pid, process): (Pid, &Process),
        live: &Live,
    ) -> Step {
        let Ask { options, input, needs, append, .. } = &live.ask;
        let (append, options, state) =
            (append.clone(), options.clone(), process.program_state.clone());
        if !live.ask.paged {
            let call = Syscall::Relay { options, input: *input, needs: *needs };
            return Step { append, call, state };
        }
        let step = self.think(bodies, devices, (pid, process), append, options, state);
        match step {
            Ok(mut step) => {
                if let Syscall::Think { tools, .. } = &mut step.call {
                    *tools = live.ask.tool_tokens;
                }
                step
            }
            Err(error) => {
                live.outlet.fail(error.clone());
                give_up(process, &error)
            }
        }
    }

    /// The step that asks the model.
    fn think(
        &mut self,
        bodies: &mut Bodies,
        devices: &mut Devices,
        (pid, process): (Pid, &Process),
        append: Vec<Body>,
        options: ThinkOptions,
        state: Arc<str>,
    ) -> Result<Step, Error> {
        let count = devices.models().tokenizer(&options.model);
        let tools = devices.tokens_of_tools(&options.tools, count);
        let contents = self.contents.entry(pid).or_default();
        let Told { pieces, uses, older } =
            contents.tell(bodies, process, &append, count, devices.models().room(&options))?;
        if !older.is_empty() {
            self.background.note(pid, older);
        }
        if self.background.has_embedder() {
            self.background.read_on(contents.hand_over(process));
        }
        Ok(Step { append, call: Syscall::Think { options, tools, pieces, uses }, state })
    }

    /// Takes what was done beside the loop. Gives the step that waited for it, unless the process was
    /// stopped or has ended meanwhile.
    pub(crate) fn done(
        &mut self,
        kernel: &Kernel,
        bodies: &mut Bodies,
        devices: &mut Devices,
        done: Done,
    ) -> Option<Input> {
        let (waiting, found) = match done {
            Done::Recalled(waiting, found) => (waiting, found),
            Done::Carried(pid, carried) => {
                if let Some(contents) = self.contents.get_mut(&pid) {
                    contents.put_behind(carried);
                }
                return None;
            }
            Done::Nothing => return None,
        };
        let Waiting { pid, turn, mut append, options, state } = *waiting;
        let process = kernel.process(pid)?;
        // One that was stopped is run again when it goes on.
        if process.turn != turn || !matches!(process.state, State::Program { .. }) {
            return None;
        }
        let log = self.contents.entry(pid).or_default().hand_over(process);
        if !log.is_read() {
            self.background.read_on(log);
        }
        let back = unasked(process, bodies, &found);
        let step = back.and_then(|back| {
            append.extend(back.map(Body::new));
            self.think(bodies, devices, (pid, process), append, options, state)
        });
        let step = step.unwrap_or_else(|error| give_up(process, &error));
        Some(Input::Syscall { pid, turn, step })
    }

    /// Begins a call of `search_memory`: what is searched is the log of the process that calls.
    ///
    /// # Errors
    /// If the call is none.
    pub(crate) fn search(
        &mut self,
        kernel: &Kernel,
        start: &ToolStart,
    ) -> Result<impl Future<Output = Searched> + Send + 'static, Error> {
        let pid = start.call.pid;
        let wanted = wanted(start)?;
        let process = kernel.process(pid).ok_or_else(|| {
            Error::new(ErrorCode::NoSuchProcess, format!("searching: no such process: {pid}"))
        })?;
        let log = self.contents.entry(pid).or_default().hand_over(process);
        Ok(self.background.search(log, wanted.query))
    }
}

/// What came of a call of `search_memory`, as the window of its process stands now.
pub(crate) fn searched(kernel: &Kernel, start: &ToolStart, searched: Searched) -> Input {
    let found = searched.found.and_then(|found| {
        let pid = start.call.pid;
        let process = kernel.process(pid).ok_or_else(|| {
            Error::new(ErrorCode::NoSuchProcess, format!("searching: no such process: {pid}"))
        })?;
        let limit = wanted(start)?.limit.map_or(FOUND, usize::from).min(FOUND_MAX);
        Ok(told(process, &found, limit, searched.note.as_deref()))
    });
    let message = match found {
        Ok(found) => Message::returned(&start.use_id, &start.tool, found),
        Err(error) => Message::failed(&start.use_id, &start.tool, error.code, error.message),
    };
    let outcome = ToolOutcome::Returned(Body::new(message));
    Input::ToolDone { call: start.call, attempt: start.attempt, outcome }
}

/// What a call of `search_memory` asks for.
fn wanted(start: &ToolStart) -> Result<SearchMemory, Error> {
    match kernel_calls::parse(&start.tool, &start.arguments) {
        Ok(KernelCall::SearchMemory(wanted)) => Ok(wanted),
        Ok(_) => Err(Error::new(ErrorCode::ToolUnknown, "this is no search")),
        Err(error) => Err(Error::new(error.code(), error.to_string())),
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
        Wake::TaskBegun { task } => Event::TaskBegun(task),
        Wake::TaskEnded { task, pages } => Event::TaskEnded { task, pages },
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
