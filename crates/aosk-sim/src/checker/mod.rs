//! What must be true of every run. The kernel checks its own invariants after every input; here is
//! what needs more than the kernel to see: its inputs and effects, the store, and the past.
//!
//! After every input: `Kernel::check`; facts fit each other (`books`); what is charged is what was
//! used; slots, the ready order and the circuit breakers are as the reference says; programs are
//! resumed once, in turn and never while stopped; capabilities hold; stale reports change nothing.
//! After every commit: `commit`, which holds the store against the kernel as it was when the batch
//! was handed over. Of everything that leaves: it was committed before. At the end: nobody is stuck.

mod books;
mod calls;
mod commit;
mod effects;
mod memory;
mod relay;
mod shutdown;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use aosk_abi::{
    CallId, Effects, Fact, Failure, Image, Input, ModelOutcome, Peer, Pid, Price, Release, RowKey,
    Signal, Spend, Syscall, Timestamp, Tokens, Usage, Wake, limits,
};
use aosk_kernel::{Config, Kernel, ModelCall, Process, State, Termination, Wait};

use self::books::{Books, Charges, cost};
pub(crate) use self::calls::is_awaited;
use self::calls::{Device, awaited, in_flight};
use self::commit::Decided;
pub(crate) use self::commit::HandedOver;
use self::memory::{Held, Last};
use self::relay::Relays;
use self::shutdown::Shutdown;
pub(crate) use self::shutdown::leaves_after_cut_off;
use crate::case::Case;
use crate::faults::Feature;

/// A rule that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule(pub(crate) &'static str, pub(crate) String);

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

/// Fails unless the rule holds.
pub(crate) fn ensure(
    holds: bool,
    rule: &'static str,
    what: impl FnOnce() -> String,
) -> Result<(), Rule> {
    if holds { Ok(()) } else { Err(Rule(rule, what())) }
}

/// How much of the effects was there before an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    resumes: usize,
    inline: usize,
    journal: usize,
    releases: usize,
}

impl Mark {
    pub(crate) fn of(fx: &Effects) -> Self {
        Self {
            resumes: fx.resumes.len(),
            inline: fx.inline.len(),
            journal: fx.journal.len(),
            releases: fx.releases.len(),
        }
    }
}

/// What is noted before an input.
#[derive(Debug)]
pub(crate) struct Before {
    /// What the input must cost, beyond what facts say.
    charges: Charges,
    /// Whether the input is a report that nobody waits for.
    stale: bool,
    ignored: u64,
    /// Calls that wait for a slot.
    ready: BTreeMap<Pid, u32>,
    /// The page table that the input is about.
    memory: Option<Held>,
    /// The call that somebody outside asks and of whose answer the input says that a part was heard.
    heard: Option<CallId>,
}

/// The checker of one run.
#[derive(Debug)]
pub(crate) struct Checker {
    prices: BTreeMap<String, Price>,
    config: Config,
    /// Whether a call may have to wait for room in a budget.
    bounded: bool,
    /// The books as the kernel has them in memory.
    books: Books,
    /// What was decided since the last batch was handed over.
    decided: Decided,
    /// The books as of what the store keeps.
    kept: Books,
    /// The rows that the store keeps.
    kept_rows: Vec<(RowKey, String)>,
    /// What may leave and has not: the effects of the last commit.
    due: VecDeque<Release>,
    shutdown: Shutdown,
    /// Calls that had been cut off for their time when the last kernel was stopped.
    late: BTreeSet<CallId>,
    /// Attempts that devices were given in this life of the kernel.
    started: BTreeSet<(CallId, u32)>,
    /// Attempts that devices were ever given.
    ever_started: BTreeSet<(CallId, u32)>,
    /// What processes were shown last in this life of the kernel.
    last: BTreeMap<Pid, Last>,
    relays: Relays,
    /// What was seen at least once, to know that the runs are worth something.
    pub(crate) seen: BTreeSet<String>,
}

impl Checker {
    pub(crate) fn new(case: &Case) -> Self {
        let config = case.config(0);
        let prices = config.models.iter().map(|(name, model)| (name.clone(), model.price));
        let books = Books { policy: config.policy.name().to_owned(), ..Books::default() };
        Self {
            prices: prices.collect(),
            bounded: case.has(Feature::Limits)
                || case.has(Feature::RootLimits)
                || (case.has(Feature::Spans) && case.has(Feature::Groups)),
            decided: Decided::default(),
            kept: books.clone(),
            kept_rows: Vec::new(),
            due: VecDeque::new(),
            shutdown: Shutdown::Not,
            late: BTreeSet::new(),
            books,
            started: BTreeSet::new(),
            ever_started: BTreeSet::new(),
            last: BTreeMap::new(),
            relays: Relays::default(),
            seen: BTreeSet::new(),
            config,
        }
    }

    /// Notes what is needed to judge what an input does.
    pub(crate) fn before(&self, kernel: &Kernel, now: Timestamp, input: &Input) -> Before {
        let mut before = Before {
            charges: Vec::new(),
            stale: false,
            ignored: kernel.ignored(),
            ready: BTreeMap::new(),
            memory: memory::hold(kernel, input),
            heard: relay::heard(kernel, input),
        };
        for (pid, process) in kernel.processes() {
            if let State::Ready { call } = &process.state {
                before.ready.insert(pid, call.number);
            }
        }
        match input {
            Input::ModelDone { call, attempt, outcome } => {
                let flight = kernel.process(call.pid).and_then(|p| awaited(p, *call, *attempt));
                before.stale = flight.is_none();
                if let Some(Device::Model { call: asked, .. }) = flight.map(|f| f.device) {
                    // TERM cancels the call of a process that goes on.
                    let asked_to_end = kernel.process(call.pid).is_some_and(|process| {
                        matches!(process.termination, Termination::Asked { .. })
                    });
                    let ended = flight.is_some_and(|flight| flight.cancelled.is_some());
                    let cancelled = ended || asked_to_end;
                    let mut spend = self.cost_of_report(asked, cancelled, outcome);
                    // Where the process goes on, a fact says whether its call ended.
                    let has_used = |failure: &Failure| failure.usage.is_some();
                    if ended && matches!(outcome, ModelOutcome::Failed(f) if has_used(f)) {
                        spend = spend.plus(&Spend { calls: 1, steps: 1, ..Spend::default() });
                    }
                    before.charges.push((call.pid, spend));
                }
            }
            Input::ToolDone { call, attempt, .. } => {
                let process = kernel.process(call.pid);
                before.stale = process.and_then(|p| awaited(p, *call, *attempt)).is_none();
            }
            Input::Syscall { pid, turn, .. } => {
                before.stale = !kernel.process(*pid).is_some_and(|p| {
                    p.turn == *turn && matches!(p.state.inner(), State::Program { .. })
                });
            }
            Input::Tick => {
                let live = kernel.processes();
                before.charges.extend(live.flat_map(|(pid, process)| given_up(pid, process, now)));
            }
            Input::Boot | Input::Drain | Input::Operator { .. } | Input::RateReported { .. } => {}
        }
        before
    }

    /// What a report costs that is awaited.
    fn cost_of_report(&self, asked: &ModelCall, cancelled: bool, outcome: &ModelOutcome) -> Spend {
        let one = Spend { calls: 1, steps: 1, ..Spend::default() };
        let model = &asked.options.model;
        match outcome {
            ModelOutcome::Answered(reply) => cost(&self.prices, model, &reply.usage).plus(&one),
            ModelOutcome::Cancelled { output } if cancelled => {
                let seen =
                    Usage { input_uncached: asked.input, output: *output, ..Usage::default() };
                cost(&self.prices, model, &seen).plus(&one)
            }
            ModelOutcome::Failed(failure) => {
                let usage = failure.usage.unwrap_or_default();
                cost(&self.prices, model, &usage)
            }
            ModelOutcome::Cancelled { .. } => Spend::default(),
            ModelOutcome::Yielded { usage, .. } if cancelled => {
                cost(&self.prices, model, usage).plus(&one)
            }
            ModelOutcome::Yielded { usage, .. } => cost(&self.prices, model, usage),
        }
    }

    /// Judges what an input did.
    pub(crate) fn after(
        &mut self,
        kernel: &Kernel,
        now: Timestamp,
        input: &Input,
        before: &Before,
        (fx, mark): (&Effects, Mark),
    ) -> Result<(), Rule> {
        kernel.check().map_err(|violation| Rule("kernel", violation.0))?;
        self.note_input(kernel, now, input, before)?;
        let facts = fx.journal.get(mark.journal..).unwrap_or_default();
        if before.stale {
            ensure(
                kernel.ignored() == before.ignored + 1
                    && !facts.iter().any(|f| is_of(&f.fact, input)),
                "a report that nobody waits for changes nothing",
                || format!("{input:?}"),
            )?;
        }
        self.books.charge(&before.charges);
        let mut came = Tokens::ZERO;
        if let Input::ModelDone { outcome: ModelOutcome::Cancelled { output }, .. } = input {
            came = *output;
        }
        let mut returned = BTreeSet::new();
        for entry in facts {
            self.seen.insert(entry.fact.kind().to_owned());
            self.check_boot(&entry.fact)?;
            let charges = self.books.enter(entry, &self.prices, came)?;
            self.books.charge(&charges);
            if let (Fact::ToolReturned { .. }, Some(pid)) = (&entry.fact, entry.pid) {
                returned.insert(pid);
            }
            if let Fact::Spawned { parent: Some(parent), priority, .. } = &entry.fact {
                let most = kernel.process(*parent).map(|parent| parent.priority);
                let modest = most.is_none_or(|most| *priority >= most);
                ensure(modest, "a child is at most as urgent as its parent", || {
                    format!("{:?}: {priority}, its parent {most:?}", entry.pid)
                })?;
            }
        }
        for (pid, process) in kernel.processes() {
            self.check_process(now, pid, process)?;
        }
        for pid in returned {
            self.check_results(kernel, pid)?;
        }
        self.check_slots(kernel)?;
        self.check_resumes(kernel, fx.resumes.get(mark.resumes..).unwrap_or_default())?;
        for start in fx.inline.get(mark.inline..).unwrap_or_default() {
            self.check_tool_start(kernel, start)?;
        }
        let releases = fx.releases.get(mark.releases..).unwrap_or_default();
        self.check_releases(kernel, now, before, releases)?;
        self.check_memory(kernel, input, before, (facts, releases))?;
        self.relays.note(before.heard);
        self.relays.check(kernel, input, releases)?;
        self.decided.facts.extend_from_slice(facts);
        self.decided.releases.extend_from_slice(releases);
        if *input == Input::Tick {
            let next = kernel.next_deadline();
            ensure(next.is_none_or(|at| at > now), "a tick carries out all that is due", || {
                format!("now {now:?}, due {next:?}")
            })?;
        }
        Ok(())
    }

    /// Takes from the input itself what no fact says.
    fn note_input(
        &mut self,
        kernel: &Kernel,
        now: Timestamp,
        input: &Input,
        before: &Before,
    ) -> Result<(), Rule> {
        match input {
            Input::Boot => self.books.policy = self.config.policy.name().to_owned(),
            Input::Syscall { pid, step, .. } => {
                if let Some(account) = self.books.accounts.get_mut(pid)
                    && !before.stale
                {
                    account.wants = None;
                    if let Syscall::CallTools { .. } = &step.call {
                        account.begin_turn();
                    }
                    // The simulated processes know each other by id.
                    if let Syscall::Receive { from, .. } = &step.call {
                        // The simulated processes know each other by id.
                        account.wants = match from {
                            None => Some(None),
                            Some(Peer::Pid(from)) => Some(Some(*from)),
                            Some(Peer::Name(_)) => None,
                        };
                    }
                }
            }
            Input::ModelDone { call, outcome: ModelOutcome::Failed(failure), .. } => {
                if let Some(asked) = failure.retry_after
                    && !before.stale
                {
                    self.books.not_before.insert(*call, now.after(asked));
                }
            }
            Input::Operator { command: aosk_abi::Command::Signal { pid, signal }, .. } => {
                self.seen.insert(format!("signal {signal:?}"));
                let stops = *signal == Signal::Stop;
                let runs = kernel.process(*pid).is_some_and(|process| {
                    !process.state.is_over() && !matches!(process.state, State::Stopped { .. })
                });
                ensure(!(stops && runs), "a process that gets STOP is stopped", || {
                    pid.to_string()
                })?;
                let stopped = kernel
                    .process(*pid)
                    .is_some_and(|process| matches!(process.state, State::Stopped { .. }));
                ensure(!(*signal == Signal::Cont && stopped), "CONT ends a stop", || {
                    pid.to_string()
                })?;
            }
            Input::Tick
            | Input::Drain
            | Input::Operator { .. }
            | Input::ModelDone { .. }
            | Input::RateReported { .. }
            | Input::ToolDone { .. } => {}
        }
        Ok(())
    }

    fn check_process(&mut self, now: Timestamp, pid: Pid, process: &Process) -> Result<(), Rule> {
        self.seen.insert(format!("state {}", process.state.word()));
        if let State::Stopped { was } = &process.state {
            self.seen.insert(format!("stopped {}", was.word()));
        }
        let Some(account) = self.books.accounts.get_mut(&pid) else {
            return Err(Rule("a process begins with a fact", pid.to_string()));
        };
        if let Termination::Asked { deadline, .. } | Termination::Told { deadline, .. } =
            process.termination
        {
            let first = *account.killed_at.get_or_insert(deadline);
            let latest = first.min(now.after(limits::TERM_GRACE));
            ensure(deadline <= latest, "a grace time is not prolonged", || {
                format!("{pid}: {deadline:?}, at the latest {latest:?}")
            })?;
        }
        account.note_reserved(process);
        ensure(process.stats.spend == account.spent, "what is charged is what was used", || {
            format!("{pid}: stats {:?}, facts {:?}", process.stats.spend, account.spent)
        })?;
        let charged = (process.stats.spend.tokens, process.stats.spend.micro_usd);
        ensure(charged == account.told, "the journal tells of all that is charged", || {
            format!("{pid}: charged {charged:?}, told {:?}", account.told)
        })?;
        ensure(
            process
                .mailbox
                .values()
                .map(|mail| (mail.from, mail.body))
                .eq(account.mail.iter().copied()),
            "a mailbox holds what was sent and not received",
            || format!("{pid}: {:?}, expected {:?}", process.mailbox, account.mail),
        )
    }

    /// Slots, counted from the states of processes.
    fn check_slots(&self, kernel: &Kernel) -> Result<(), Rule> {
        let mut models: BTreeMap<&str, u32> = BTreeMap::new();
        let mut tools = 0_u32;
        let flights = kernel.processes().flat_map(|(_, process)| in_flight(process));
        for flight in flights {
            match flight.device {
                Device::Model { call, .. } => {
                    *models.entry(&call.options.model).or_default() += 1;
                }
                Device::Tool { name } => {
                    tools += u32::from(!name.is_some_and(|n| self.is_inline(n)))
                }
            }
        }
        for (name, model) in &self.config.models {
            let taken = models.get(name.as_str()).copied().unwrap_or(0);
            ensure(taken <= model.slots, "a slot is held by one call", || {
                format!("{name}: {taken} calls in {} slots", model.slots)
            })?;
        }
        ensure(tools <= self.config.tool_slots, "a slot is held by one call", || {
            format!("{tools} tools in {} slots", self.config.tool_slots)
        })
    }

    fn is_inline(&self, tool: &str) -> bool {
        self.config.tools.get(tool).is_none_or(|tool| tool.inline)
    }

    /// Results enter the log in the order of the calls, whatever order they came in.
    fn check_results(&self, kernel: &Kernel, pid: Pid) -> Result<(), Rule> {
        let rule = "tool results enter the log in the order of the calls";
        let (Some(process), Some(account)) = (kernel.process(pid), self.books.accounts.get(&pid))
        else {
            return Ok(());
        };
        let State::Program { wake: Wake::ToolsReturned { first, count } } = process.state.inner()
        else {
            return Ok(());
        };
        let first = usize::try_from(first.0).unwrap_or(usize::MAX);
        let count = usize::try_from(*count).unwrap_or(usize::MAX);
        let pages = process.pages.iter().skip(first).take(count).map(|page| page.hash);
        let expected = account.turn_results();
        ensure(expected == Some(pages.collect()), rule, || format!("{pid}: {expected:?}"))
    }

    /// The kernel was restored: what was not committed never was.
    pub(crate) fn restored(
        &mut self,
        config: Config,
        kernel: &Kernel,
        image: &Image,
    ) -> Result<(), Rule> {
        let holds = image.rows == self.kept_rows && image.journal_length == self.kept.entries;
        ensure(holds, "what is committed is not lost", || {
            format!("{} entries, of {}", image.journal_length, self.kept.entries)
        })?;
        self.config = config;
        self.books = self.kept.clone();
        self.decided = Decided::default();
        self.due.clear();
        if self.shutdown != Shutdown::InOrder {
            self.shutdown = Shutdown::Not;
        }
        self.books.breakers.clear();
        self.started.clear();
        self.last.clear();
        let same = image.rows.is_empty() || kernel.rows() == image.rows;
        ensure(same, "a restored kernel is the kernel", || "after a crash".to_owned())
    }

    /// Nothing happens any more and nothing is due: whoever is left must wait for what only another
    /// process or the operator can give.
    pub(crate) fn check_quiet(&self, kernel: &Kernel) -> Result<(), Rule> {
        for (pid, process) in kernel.processes() {
            let for_another = matches!(
                &process.state,
                State::Waiting { on: Wait::Message { until, .. } | Wait::Child { until, .. } }
                    if until.is_none()
            );
            // Until a kernel is started that has the model again.
            let for_model = matches!(
                &process.state,
                State::Ready { call } if !self.config.models.contains_key(&call.options.model)
            );
            let stopped = matches!(process.state, State::Stopped { .. });
            let unwanted = matches!(process.state, State::Zombie { .. });
            let may_wait =
                for_another || for_model || stopped || (unwanted && process.spec.parent.is_some());
            ensure(may_wait, "a healthy world comes to rest", || {
                format!("{pid} is stuck: {:?}", process.state)
            })?;
        }
        Ok(())
    }
}

/// What is charged for cancelled model calls that are not waited for any longer.
fn given_up(pid: Pid, process: &Process, now: Timestamp) -> Charges {
    let flights = in_flight(process).into_iter();
    let late = flights.filter(|flight| flight.cancelled.is_some_and(|until| until <= now));
    late.filter_map(|flight| match flight.device {
        Device::Model { held, .. } => Some((pid, held)),
        Device::Tool { .. } => None,
    })
    .collect()
}

/// Whether the fact is what a report leads to.
fn is_of(fact: &Fact, report: &Input) -> bool {
    let model = if let Input::ModelDone { call, .. } = report { Some(call) } else { None };
    let tool = if let Input::ToolDone { call, .. } = report { Some(call) } else { None };
    if let Fact::ModelAnswered { call, .. }
    | Fact::ModelRetried { call, .. }
    | Fact::Summarised { call, .. } = fact
    {
        return model == Some(call);
    }
    if let Fact::ToolReturned { call, .. } = fact {
        return tool == Some(call);
    }
    false
}
