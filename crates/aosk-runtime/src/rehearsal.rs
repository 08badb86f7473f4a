//! The memory of a process without devices, disk or clock: a conversation that is known beforehand goes
//! through the core and the pages of a live process, call by call.
//!
//! What is decided is decided by the same [`Kernel`], and messages are cut into pages, found again and
//! rendered by the same code as in a node. Nothing of that may be written here a second time. What
//! the model says, and when, the caller knows.

use std::sync::Arc;

use aosk_abi::{
    Body, CallId, Command, Effects, Error, ErrorCode, Evicted, ExitStatus, Fact, FinishReason,
    Frame, Input, Limits, Message, MessageIndex, ModelOutcome, ModelReply, PageId, PermissionLevel,
    Pid, ProgramSpec, Release, Reply, RequestId, SpawnSpec, Step, Syscall, ThinkOptions, Timestamp,
    Tokens, ToolUse, Usage, Wake, Window,
};
use aosk_kernel::memory::{CacheRules, NeedTable, Prefer, Replacement};
use aosk_kernel::{Config, Kernel, Memory, ModelConfig};
use aosk_model::Tokenizer;
use aosk_store::{Batch, Store};

use crate::bodies::Bodies;
use crate::memory::{
    Carried, Contents, LOOKED_AT, Log, Shown, Told, brought_back, calls_back, noted,
    recalled_message, render, text_of, unasked,
};

/// The device that is asked, under a name of its own.
const DEVICE: &str = "rehearsal";

/// The tool by which a model asks for pages.
const RECALL: &str = "recall";

/// What holds for every call of a rehearsal.
#[derive(Debug, Clone, Copy)]
pub struct Conditions {
    /// What a request may take.
    pub window: Tokens,
    /// What counts tokens.
    pub count: Tokenizer,
    /// How the provider caches.
    pub cache: &'static CacheRules,
    /// What leaves when the window is full.
    pub replacement: &'static dyn Replacement,
    /// What matters most when something leaves.
    pub prefer: Prefer,
    /// What is known of needs before a process has shown its own.
    pub needs: &'static NeedTable,
    /// What the tools take that are offered with every call.
    pub tools: Tokens,
}

/// A process whose model and tools are the caller. A question is made in three parts, so that they can
/// be measured: what the core is told, what it decides, and what the model is sent.
#[expect(missing_debug_implementations, reason = "it holds the bodies of a whole conversation")]
pub struct Rehearsal {
    kernel: Kernel,
    contents: Contents,
    bodies: Bodies,
    /// Where bodies are kept, as long as the rehearsal lasts.
    store: aosk_store::Memory,
    options: ThinkOptions,
    count: Tokenizer,
    pid: Pid,
    window: Tokens,
    tools: Tokens,
    /// What is appended with the next question.
    append: Vec<Body>,
    /// The call under way, and which attempt of it.
    call: Option<(CallId, u32)>,
    now: Timestamp,
}

/// What the model is asked.
#[derive(Debug)]
pub struct Question {
    /// The messages, in order, with what of them is shown.
    pub messages: Vec<Asked>,
    /// Leading messages that are as in the last question.
    pub unchanged: usize,
}

/// A message of a question.
#[derive(Debug)]
pub struct Asked {
    /// The message.
    pub body: Body,
    /// The pages of which it is made; none if it stands for nothing.
    pub frames: Vec<Frame>,
    /// Whether a breakpoint of the provider's cache goes behind it.
    pub breakpoint: bool,
}

/// What the core makes of a question.
#[derive(Debug)]
pub enum Decision {
    /// The model is shown this, after these pages have left.
    Asked {
        /// What it is shown.
        window: Window,
        /// What left for it.
        left: Vec<Evicted>,
    },
    /// It is not asked: what must be shown does not fit.
    Refused(Error),
}

impl Rehearsal {
    /// A process that has these instructions.
    ///
    /// # Errors
    /// If the kernel refuses to start it.
    pub fn new(conditions: &Conditions, instructions: Option<Message>) -> Result<Self, Error> {
        let model = ModelConfig {
            context: Some(conditions.window),
            cache: conditions.cache,
            ..ModelConfig::default()
        };
        let config = Config {
            models: [(DEVICE.to_owned(), model)].into(),
            replacement: conditions.replacement,
            prefer: conditions.prefer,
            needs: conditions.needs,
            ..Config::default()
        };
        let options = ThinkOptions {
            model: DEVICE.to_owned(),
            output_max: Tokens::ZERO,
            tools: Vec::new(),
            temperature_milli: None,
            window: None,
        };
        let store = aosk_store::Memory::new();
        let mut rehearsal = Self {
            kernel: Kernel::new(config),
            contents: Contents::default(),
            bodies: Bodies::new(Arc::new(store.clone())),
            store,
            options,
            count: conditions.count,
            pid: Pid(0),
            window: conditions.window,
            tools: conditions.tools,
            append: Vec::new(),
            call: None,
            now: Timestamp(0),
        };
        rehearsal.begin(instructions)?;
        Ok(rehearsal)
    }

    /// Ends the process and starts another with these instructions: a task of its own.
    ///
    /// # Errors
    /// If the kernel refuses to start it.
    pub fn begin(&mut self, instructions: Option<Message>) -> Result<(), Error> {
        if self.kernel.process(self.pid).is_some() {
            self.step(Syscall::Exit { status: ExitStatus::Finished, result: None })?;
        }
        let spec = SpawnSpec {
            name: DEVICE.to_owned(),
            label: String::new(),
            program: ProgramSpec { name: DEVICE.to_owned(), param: "".into() },
            priority: 50,
            capabilities: PermissionLevel::Restricted.capabilities(),
            limits: Limits::default(),
            fork: false,
            group: String::new(),
            pages: instructions.map(Body::new).into_iter().collect(),
        };
        let command = Command::Spawn(Box::new(spec));
        let effects = self.apply(&Input::Operator { request: RequestId(0), command })?;
        let spawned = effects.releases.into_iter().find_map(|release| match release {
            Release::Reply { reply, .. } => Some(reply),
            Release::Think { .. }
            | Release::Tool(_)
            | Release::Cancel { .. }
            | Release::Yield { .. } => None,
        });
        match spawned {
            Some(Reply::Spawned(pid)) => self.pid = pid,
            Some(Reply::Refused(error)) => return Err(error),
            Some(Reply::Done) | None => return Err(lost("starting it: no answer")),
        }
        (self.contents, self.append) = (Contents::default(), Vec::new());
        Ok(())
    }

    /// Something is said to the model, or a tool returned it.
    pub fn append(&mut self, message: Message) {
        self.append.push(Body::new(message));
    }

    /// What the core is told with the next question.
    ///
    /// # Errors
    /// If a message of the log is lost.
    pub fn tell(&mut self, now: Timestamp) -> Result<Syscall, Error> {
        self.now = self.now.max(now);
        let mut append = std::mem::take(&mut self.append);
        let process = self.kernel.process(self.pid).ok_or_else(|| lost("no process"))?;
        let (bodies, count, window) = (&mut self.bodies, self.count, Some(self.window));
        // What a node does beside its loop is done here at once: nobody waits.
        if let Some(said) = calls_back(process, &append) {
            let log = self.contents.hand_over(process);
            while log.read_on(&self.store, /*vectors*/ false)? {}
            let back = unasked(process, bodies, &log.search(&said, None, LOOKED_AT))?;
            append.extend(back.map(Body::new));
        }
        let Told { pieces, uses, older } =
            self.contents.tell(bodies, process, &append, count, window)?;
        if !older.is_empty() {
            self.contents.put_behind(noted(Carried::default(), &self.store, &older)?);
        }
        self.append = append;
        Ok(Syscall::Think { options: self.options.clone(), tools: self.tools, pieces, uses })
    }

    /// A copy of the core that has yet to decide, so that deciding can be measured more than once.
    pub fn dry_run(&self, told: &Syscall) -> impl FnOnce() -> (Kernel, Effects) + use<> {
        let (mut kernel, now, pid) = (self.kernel.clone(), self.now, self.pid);
        let turn = kernel.process(pid).map_or(0, |process| process.turn);
        let (append, call) = (self.append.clone(), told.clone());
        let input = Input::Syscall { pid, turn, step: Step { append, call, state: "".into() } };
        move || {
            let mut effects = Effects::default();
            kernel.apply(now, &input, &mut effects);
            (kernel, effects)
        }
    }

    /// What the core makes of it.
    ///
    /// # Errors
    /// If the question before has not been answered.
    pub fn decide(&mut self, told: Syscall) -> Result<Decision, Error> {
        let effects = self.step(told)?;
        let mut left = Vec::new();
        for entry in effects.journal {
            if let Fact::MemoryCut { evicted, .. } = entry.fact {
                left.extend(evicted);
            }
        }
        for resume in effects.resumes {
            if let Wake::Refused { error } = resume.wake {
                return Ok(Decision::Refused(error));
            }
        }
        for release in effects.releases {
            if let Release::Think { call, attempt, window, .. } = release {
                self.call = Some((call, attempt));
                return Ok(Decision::Asked { window, left });
            }
        }
        Err(lost("no call was made"))
    }

    /// What the model is sent of a window.
    ///
    /// # Errors
    /// If a message of the log is lost.
    pub fn question(&mut self, window: &Window) -> Result<Question, Error> {
        let process = self.kernel.process(self.pid);
        let log = &mut Log { bodies: &mut self.bodies, process };
        let Shown { messages, pages, breakpoints, unchanged, .. } = render(window, log)?;
        let mut frames = window.frames.iter().copied();
        let asked = messages.into_iter().zip(pages).enumerate().map(|(at, (body, pages))| Asked {
            body,
            frames: frames.by_ref().take(pages).collect(),
            breakpoint: breakpoints.contains(&at),
        });
        Ok(Question { messages: asked.collect(), unchanged })
    }

    /// The model says this, to the question or unasked. Its provider counted so many tokens of input.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn answer(&mut self, message: Message, input: Tokens) -> Result<(), Error> {
        let body = Body::new(message);
        let Some((call, attempt)) = self.call.take() else {
            self.append.push(body);
            return Ok(());
        };
        let usage = Usage { input_uncached: input, ..Usage::default() };
        let reply = ModelReply { body, usage, finish: FinishReason::Stop };
        let outcome = ModelOutcome::Answered(Box::new(reply));
        self.apply(&Input::ModelDone { call, attempt, outcome })?;
        Ok(())
    }

    /// The model asks for pages. They come with the next question.
    ///
    /// # Errors
    /// If it has no such pages.
    pub fn recall(&mut self, pages: &[PageId], input: Tokens) -> Result<(), Error> {
        let id = format!("recall-{}", self.now.0);
        let numbers: Vec<u32> = pages.iter().map(|page| page.0).collect();
        let call = ToolUse {
            id: id.clone(),
            name: RECALL.to_owned(),
            arguments: serde_json::json!({ "pages": numbers }).to_string(),
        };
        let asks = Message::Assistant { content: None, reasoning: None, tool_calls: vec![call] };
        self.answer(asks, input)?;
        let effects = self.step(Syscall::Recall { pages: pages.to_vec() })?;
        for resume in effects.resumes {
            if let Wake::Recalled { pages } = resume.wake {
                let process = self.kernel.process(self.pid).ok_or_else(|| lost("no process"))?;
                let pages = brought_back(&mut self.bodies, process, pages)?;
                self.append(recalled_message(id, RECALL.to_owned(), &pages));
                return Ok(());
            }
            if let Wake::Refused { error } = resume.wake {
                return Err(error);
            }
        }
        Err(lost("nothing came back"))
    }

    /// The page table of the process.
    #[must_use]
    pub fn memory(&self) -> Option<&Memory> {
        self.kernel.process(self.pid).map(|process| &process.memory)
    }

    /// The text of a part of a message of the log.
    ///
    /// # Errors
    /// If the log has no such message.
    pub fn text(&mut self, source: MessageIndex, range: (u32, u32)) -> Result<String, Error> {
        let at = usize::try_from(source.0).unwrap_or(usize::MAX);
        let process = self.kernel.process(self.pid);
        let page = process.and_then(|process| process.pages.get(at));
        let body = self.bodies.get(page.ok_or_else(|| lost("no such message"))?.hash)?;
        Ok(text_of(body.message(), range).unwrap_or_default())
    }

    fn step(&mut self, call: Syscall) -> Result<Effects, Error> {
        let process = self.kernel.process(self.pid).ok_or_else(|| lost("no process"))?;
        let (pid, turn) = (self.pid, process.turn);
        let append = std::mem::take(&mut self.append);
        self.apply(&Input::Syscall { pid, turn, step: Step { append, call, state: "".into() } })
    }

    fn apply(&mut self, input: &Input) -> Result<Effects, Error> {
        let mut effects = Effects::default();
        self.kernel.apply(self.now, input, &mut effects);
        for body in &effects.bodies {
            self.bodies.insert(body);
        }
        let bodies = std::mem::take(&mut effects.bodies);
        self.store.commit(&[Batch { bodies, ..Batch::default() }])?;
        self.bodies.committed();
        Ok(effects)
    }
}

fn lost(what: &str) -> Error {
    Error::new(ErrorCode::ProgramFailed, format!("rehearsing a conversation: {what}"))
}
