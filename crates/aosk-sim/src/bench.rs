//! What one input costs with many processes. The kernel's time must not grow with how much lives:
//! its queues are indexed, and only what an input touches is looked at.

use aosk_abi::{
    Command, Effects, Input, Limits, MessageIndex, MicroUsd, Millis, ModelOutcome, PageKind,
    PermissionLevel, Pid, Piece, Price, ProgramSpec, Rates, Release, RequestId, SpawnSpec, Step,
    Syscall, TEXT_END, ThinkOptions, Timestamp, Tokens,
};
use aosk_kernel::{Config, Kernel, ModelConfig};

use crate::case::BEGIN;
use crate::model::{Attempt, reports};
use crate::{Case, Features};

const MODEL: &str = "sim:fast";

/// A kernel with many processes, in the middle of its work.
#[derive(Debug)]
pub struct Crowd {
    kernel: Kernel,
    now: Timestamp,
    running: std::collections::VecDeque<Input>,
    case: Case,
}

impl Crowd {
    /// A kernel with `processes` live ones: most wait for a slot, some have one.
    #[must_use]
    pub fn new(processes: u32) -> Self {
        let mut config = Config::default();
        let price = Price::flat(Rates { input: MicroUsd(1_000_000), ..Rates::default() });
        let model = ModelConfig {
            slots: 64,
            price,
            timeout: Millis::from_secs(3600),
            ..ModelConfig::default()
        };
        config.models.insert(MODEL.to_owned(), model);
        let mut crowd = Self {
            kernel: Kernel::new(config),
            now: BEGIN,
            running: std::collections::VecDeque::new(),
            case: Case { features: Features::from_bits(0), ..Case::of_seed(0) },
        };
        for number in 0..processes {
            let command = Command::Spawn(Box::new(spec(number)));
            crowd.apply(&Input::Operator { request: RequestId(u64::from(number)), command });
        }
        crowd
    }

    /// The number of live processes.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.kernel.process_count()
    }

    /// Answers `turns` model calls, each of which makes its process ask again and another one
    /// start. Returns the number of inputs applied.
    pub fn work(&mut self, turns: u32) -> u64 {
        let mut applied = 0;
        for _ in 0..turns {
            let Some(done) = self.running.pop_front() else {
                break;
            };
            applied += self.apply(&done);
        }
        applied
    }

    /// Applies an input and the steps it leads to; stores nothing but forgets what was to be
    /// stored.
    fn apply(&mut self, input: &Input) -> u64 {
        self.now = self.now.after(Millis(1));
        let mut fx = Effects::default();
        self.kernel.apply(self.now, input, &mut fx);
        let mut applied = 1;
        for resume in std::mem::take(&mut fx.resumes) {
            let options = ThinkOptions {
                model: MODEL.to_owned(),
                output_max: Tokens(100),
                tools: Vec::new(),
                temperature_milli: None,
                window: None,
            };
            let call = Syscall::Think {
                options,
                tools: Tokens(100),
                pieces: self.new_pieces(resume.pid),
                uses: Vec::new(),
            };
            let step = Step { append: Vec::new(), call, state: "0".into() };
            let input = Input::Syscall { pid: resume.pid, turn: resume.turn, step };
            self.kernel.apply(self.now, &input, &mut fx);
            applied += 1;
        }
        self.kernel.flush(&mut fx);
        for release in fx.releases {
            if let Release::Think { call, attempt, options, .. } = release {
                let started = Attempt {
                    call,
                    attempt,
                    input: Tokens(100),
                    options: &options,
                    now: self.now,
                    healthy: true,
                };
                let answers = reports(&self.case, &started).into_iter();
                self.running.extend(answers.map(|(_, outcome): (_, ModelOutcome)| {
                    Input::ModelDone { call, attempt, outcome }
                }));
            }
        }
        applied
    }

    /// The messages that the page table of a process does not have yet, each as one page.
    fn new_pieces(&self, pid: Pid) -> Vec<Piece> {
        let Some(process) = self.kernel.process(pid) else { return Vec::new() };
        let new = (process.memory.taken().0..process.page_count().0).map(MessageIndex);
        let piece = |source| Piece {
            source,
            kind: PageKind::Assistant,
            tokens: 20,
            end: TEXT_END,
            answers: false,
            copy_of: None,
        };
        new.map(piece).collect()
    }

    /// Whether the kernel is sound, and the process lives.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.kernel.check().is_ok() && self.kernel.process(Pid(1)).is_some()
    }
}

fn spec(number: u32) -> SpawnSpec {
    SpawnSpec {
        name: format!("agent-{number}"),
        label: String::new(),
        program: ProgramSpec { name: "bench".to_owned(), param: "null".into() },
        priority: 50,
        capabilities: PermissionLevel::Full.capabilities(),
        // One in ten has a budget of its own, as children of a planner would.
        limits: Limits {
            tokens: number.is_multiple_of(10).then_some(Tokens(u64::MAX / 2)),
            ..Limits::default()
        },
        group: String::new(),
        fork: false,
        pages: Vec::new(),
    }
}
