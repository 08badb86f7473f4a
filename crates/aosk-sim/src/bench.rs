//! What one input costs with many processes. The kernel's time must not grow with how much lives:
//! its queues are indexed, and only what an input touches is looked at.
//!
//! Two inputs are told apart. A call that ends frees a slot, so who is next is chosen and started:
//! that is the decision of the scheduler, with all that belongs to an answer. A process that asks
//! while all slots are taken is put into its queue.

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

/// Who is in a crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// All are alike.
    Equal,
    /// They have all priorities, and belong to a hundred groups of ten tenants.
    Groups,
}

/// Nanoseconds that single inputs took.
#[derive(Debug, Default, Clone)]
pub struct Costs {
    /// A call ended and the next one was chosen and started.
    pub decided: Vec<u64>,
    /// A process asked and was put into its queue.
    pub queued: Vec<u64>,
}

impl Costs {
    /// How many inputs there were.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.decided.len().saturating_add(self.queued.len())
    }
}

/// The value below which so many of a thousand lie; zero of none.
#[must_use]
pub fn quantile(values: &[u64], per_mille: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = sorted.len().saturating_mul(per_mille) / 1_000;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

impl Crowd {
    /// A kernel with `processes` live ones: most wait for a slot, some have one.
    #[must_use]
    pub fn new(processes: u32, mix: Mix) -> Self {
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
            let command = Command::Spawn(Box::new(spec(number, mix)));
            let input = Input::Operator { request: RequestId(u64::from(number)), command };
            crowd.apply(&input, &mut Costs::default(), &|| 0);
        }
        crowd
    }

    /// The number of live processes.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.kernel.process_count()
    }

    /// Answers `turns` model calls, each of which makes its process ask again and another one
    /// start. Returns what each input took, by a clock in nanoseconds.
    pub fn work(&mut self, turns: u32, clock: &impl Fn() -> u64) -> Costs {
        let mut costs = Costs::default();
        for _ in 0..turns {
            let Some(done) = self.running.pop_front() else {
                break;
            };
            self.apply(&done, &mut costs, clock);
        }
        costs
    }

    /// Applies an input and the steps it leads to; stores nothing but forgets what was to be
    /// stored.
    fn apply(&mut self, input: &Input, costs: &mut Costs, clock: &impl Fn() -> u64) {
        self.now = self.now.after(Millis(1));
        let mut fx = Effects::default();
        let begun = clock();
        self.kernel.apply(self.now, input, &mut fx);
        costs.decided.push(clock().saturating_sub(begun));
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
            let begun = clock();
            self.kernel.apply(self.now, &input, &mut fx);
            costs.queued.push(clock().saturating_sub(begun));
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

fn spec(number: u32, mix: Mix) -> SpawnSpec {
    let (priority, group) = match mix {
        Mix::Equal => (50, String::new()),
        Mix::Groups => (
            u8::try_from(number % 101).unwrap_or(50),
            format!("tenant-{}/group-{}", number % 10, number % 100),
        ),
    };
    SpawnSpec {
        name: format!("agent-{number}"),
        label: String::new(),
        program: ProgramSpec { name: "bench".to_owned(), param: "null".into() },
        priority,
        capabilities: PermissionLevel::Full.capabilities(),
        // One in ten has a budget of its own, as children of a planner would.
        limits: Limits {
            tokens: number.is_multiple_of(10).then_some(Tokens(u64::MAX / 2)),
            ..Limits::default()
        },
        group,
        fork: false,
        pages: Vec::new(),
    }
}
