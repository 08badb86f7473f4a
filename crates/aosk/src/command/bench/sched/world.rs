//! A kernel with simulated agents and a simulated model, on a virtual clock: nothing else takes part,
//! so a run depends on its seed alone.

use std::collections::BTreeMap;

use aosk::abi::{
    Body, CallId, Command, Effects, ExitStatus, FinishReason, Input, Limits, Message, MessageIndex,
    Millis, ModelOutcome, ModelReply, PageKind, PermissionLevel, Pid, Piece, ProgramSpec, Release,
    RequestId, SpawnSpec, Step, Syscall, TEXT_END, ThinkOptions, Timestamp, Tokens, Usage, Wake,
};
use aosk::kernel::{Config, Kernel, ModelConfig};

/// The one model.
pub(super) const MODEL: &str = "sim";

/// What an agent's request takes.
const INPUT: u64 = 200;

/// The model's pace, and what a call takes beside it.
const TOKEN: u64 = 20;
const OVERHEAD: u64 = 300;

/// Answers have so many tokens at least and at most.
const SHORTEST: u64 = 20;
const LONGEST: u64 = 2_000;

/// When the virtual clock begins.
const BEGIN: Timestamp = Timestamp(1_000_000);

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The tokens of an answer, heavy-tailed: a Pareto distribution of index 1.5, cut at the end.
    #[expect(clippy::cast_precision_loss, reason = "a length need not be exact")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded")]
    fn length(&mut self) -> u64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let tokens = SHORTEST as f64 / (1.0 - share).max(1e-9).powf(1.0 / 1.5);
        (tokens as u64).clamp(SHORTEST, LONGEST)
    }
}

/// A stretch of time in which a call of an agent ran.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) pid: Pid,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// Whether it was cut off for another.
    pub(super) cut: bool,
}

/// A call under way.
#[derive(Debug, Clone, Copy)]
struct UnderWay {
    attempt: u32,
    started: Timestamp,
    ends: Timestamp,
    /// The tokens that are still to be written.
    left: u64,
}

/// The world.
pub(super) struct World {
    pub(super) kernel: Kernel,
    pub(super) now: Timestamp,
    rng: Rng,
    slots: u64,
    under_way: BTreeMap<CallId, UnderWay>,
    ends: BTreeMap<(Timestamp, CallId), ()>,
    /// How much of its answer each call has left that was cut off.
    left: BTreeMap<CallId, u64>,
    /// Calls answered.
    pub(super) answered: u64,
    /// What was served to each, in tenths of an input token.
    pub(super) served: BTreeMap<Pid, u64>,
    /// Slot-milliseconds in use, and there were, while somebody was ready.
    pub(super) busy: u64,
    pub(super) offered: u64,
    /// What ran when, as long as there is room.
    pub(super) stretches: Vec<Stretch>,
    /// Real time that each answer took the kernel, up to the next call's release.
    pub(super) decisions: Vec<std::time::Duration>,
}

/// Stretches that are kept.
const STRETCHES_MAX: usize = 20_000;

impl World {
    /// A world whose model has so many slots and goes on from what was begun.
    pub(super) fn new(slots: u32, seed: u64, change: impl FnOnce(&mut Config)) -> Self {
        let model = ModelConfig {
            slots,
            continues: true,
            timeout: Millis::from_secs(24 * 3_600),
            ..ModelConfig::default()
        };
        let mut config = Config { models: [(MODEL.to_owned(), model)].into(), ..Config::default() };
        change(&mut config);
        let mut world = Self {
            kernel: Kernel::new(config),
            now: BEGIN,
            rng: Rng(seed),
            slots: u64::from(slots),
            under_way: BTreeMap::new(),
            ends: BTreeMap::new(),
            left: BTreeMap::new(),
            answered: 0,
            served: BTreeMap::new(),
            busy: 0,
            offered: 0,
            stretches: Vec::new(),
            decisions: Vec::new(),
        };
        world.apply(&Input::Boot);
        world
    }

    /// Starts an agent that asks again and again.
    pub(super) fn spawn(&mut self, name: &str, priority: u8, group: &str, limits: Limits) {
        let spec = SpawnSpec {
            name: name.to_owned(),
            label: String::new(),
            program: ProgramSpec { name: "bench".to_owned(), param: "null".into() },
            priority,
            capabilities: PermissionLevel::Full.capabilities(),
            limits,
            group: group.to_owned(),
            fork: false,
            pages: Vec::new(),
        };
        let command = Command::Spawn(Box::new(spec));
        self.apply(&Input::Operator { request: RequestId(1), command });
    }

    /// Lets so many calls end.
    pub(super) fn run(&mut self, calls: u64) {
        let until = self.answered.saturating_add(calls);
        while self.answered < until && self.step() {}
    }

    /// Lets the next thing happen; false if nothing ever will.
    fn step(&mut self) -> bool {
        let next = self.ends.first_key_value().map(|((at, call), ())| (*at, *call));
        let due = self.kernel.next_deadline();
        match (next, due) {
            (None, None) => false,
            (Some((at, _)), Some(due)) if due < at => {
                self.pass(due);
                self.apply(&Input::Tick);
                true
            }
            (None, Some(due)) => {
                self.pass(due);
                self.apply(&Input::Tick);
                true
            }
            (Some((at, call)), _) => {
                self.pass(at);
                self.finish(call);
                true
            }
        }
    }

    /// Time passes. As long as more agents live than there are slots, somebody waits.
    fn pass(&mut self, to: Timestamp) {
        let span = to.since(self.now).0;
        let running = u64::try_from(self.under_way.len()).unwrap_or(u64::MAX);
        let waits = self.kernel.process_count() > self.under_way.len();
        if waits {
            self.busy = self.busy.saturating_add(span.saturating_mul(running));
            self.offered = self.offered.saturating_add(span.saturating_mul(self.slots));
        }
        self.now = self.now.max(to);
    }

    fn note(&mut self, call: CallId, one: &UnderWay, cut: bool) {
        if self.stretches.len() < STRETCHES_MAX {
            let (pid, from, to) = (call.pid, one.started, self.now);
            self.stretches.push(Stretch { pid, from, to, cut });
        }
    }

    fn finish(&mut self, call: CallId) {
        let Some(one) = self.under_way.remove(&call) else { return };
        self.ends.remove(&(one.ends, call));
        self.note(call, &one, /*cut*/ false);
        self.answered = self.answered.saturating_add(1);
        let usage = self.used(call.pid, one.left);
        let body = Body::new(Message::assistant("answer"));
        let reply = ModelReply { body, usage, finish: FinishReason::Stop };
        let outcome = ModelOutcome::Answered(Box::new(reply));
        self.apply_timed(&Input::ModelDone { call, attempt: one.attempt, outcome });
    }

    /// What an attempt used that wrote so many tokens; it is counted as served, at the price that a
    /// model without prices has.
    fn used(&mut self, pid: Pid, output: u64) -> Usage {
        let served = self.served.entry(pid).or_default();
        *served = served.saturating_add(INPUT * 10 + output * 40);
        Usage { input_uncached: Tokens(INPUT), output: Tokens(output), ..Usage::default() }
    }

    fn give_up(&mut self, call: CallId) -> Option<Input> {
        let one = self.under_way.remove(&call)?;
        self.ends.remove(&(one.ends, call));
        self.note(call, &one, /*cut*/ true);
        let ran = self.now.since(one.started).0.saturating_sub(OVERHEAD);
        let written = (ran / TOKEN).min(one.left.saturating_sub(1));
        self.left.insert(call, one.left.saturating_sub(written));
        let usage = self.used(call.pid, written);
        let begun = (written > 0).then(|| Body::new(Message::assistant("begun")));
        let outcome = ModelOutcome::Yielded { begun, usage };
        Some(Input::ModelDone { call, attempt: one.attempt, outcome })
    }

    #[expect(clippy::disallowed_methods, reason = "what a decision takes is measured")]
    fn apply_timed(&mut self, input: &Input) {
        let mut fx = Effects::default();
        let before = std::time::Instant::now();
        self.kernel.apply(self.now, input, &mut fx);
        self.decisions.push(before.elapsed());
        self.follow(fx);
    }

    fn apply(&mut self, input: &Input) {
        let mut fx = Effects::default();
        self.kernel.apply(self.now, input, &mut fx);
        self.follow(fx);
    }

    /// Programs take their next steps, and what leaves the kernel happens.
    fn follow(&mut self, mut fx: Effects) {
        loop {
            for resume in std::mem::take(&mut fx.resumes) {
                let spent = matches!(resume.wake, Wake::OutOfBudget { .. });
                let call = if spent {
                    Syscall::Exit { status: ExitStatus::Finished, result: None }
                } else {
                    self.think(resume.pid)
                };
                let step = Step { append: Vec::new(), call, state: "0".into() };
                let input = Input::Syscall { pid: resume.pid, turn: resume.turn, step };
                self.kernel.apply(self.now, &input, &mut fx);
            }
            let mut yielded = Vec::new();
            for release in std::mem::take(&mut fx.releases) {
                match release {
                    Release::Think { call, attempt, .. } => self.start(call, attempt),
                    Release::Yield { call, .. } => yielded.extend(self.give_up(call)),
                    Release::Tool(_) | Release::Cancel { .. } | Release::Reply { .. } => {}
                }
            }
            for input in yielded {
                self.kernel.apply(self.now, &input, &mut fx);
            }
            if fx.resumes.is_empty() && fx.releases.is_empty() {
                break;
            }
        }
        // What a store would keep is forgotten.
        self.kernel.flush(&mut fx);
        drop(self.kernel.take_ended());
    }

    fn start(&mut self, call: CallId, attempt: u32) {
        let left = self.left.remove(&call).unwrap_or_else(|| self.rng.length());
        let ends = self.now.after(Millis(OVERHEAD + left * TOKEN));
        self.under_way.insert(call, UnderWay { attempt, started: self.now, ends, left });
        self.ends.insert((ends, call), ());
    }

    /// The next call of an agent, with what its page table does not have yet.
    fn think(&self, pid: Pid) -> Syscall {
        let options = ThinkOptions {
            model: MODEL.to_owned(),
            output_max: Tokens(LONGEST),
            tools: Vec::new(),
            temperature_milli: None,
            window: None,
        };
        let process = self.kernel.process(pid);
        let known = process.map_or(0, |process| process.memory.taken().0);
        let there = process.map_or(0, |process| process.page_count().0);
        let pieces = (known..there).map(|source| Piece {
            source: MessageIndex(source),
            kind: PageKind::Assistant,
            tokens: 0,
            end: TEXT_END,
            answers: false,
            copy_of: None,
        });
        Syscall::Think { options, tools: Tokens(INPUT), pieces: pieces.collect(), uses: Vec::new() }
    }
}
