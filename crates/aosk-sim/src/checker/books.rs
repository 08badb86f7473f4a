//! The books: what must be true of every process, kept from facts alone. A crash takes them back
//! to the last commit.

use std::collections::{BTreeMap, BTreeSet};

use aosk_abi::{
    CallId, CutCause, Entry, ErrorCode, Fact, FailureClass, Hash, MicroUsd, Pid, Price, Spend,
    Timestamp, Tokens, Usage,
};

use aosk_kernel::Process;

use super::Rule;
use super::memory::{Asked, Tasks};
use crate::reference::Breaker;

/// What the kernel writes down of a call whose process no longer wants it.
const ABANDONED: &str = "the process no longer wants the answer";

/// What is wrong with a summary that a model answered with.
const FLAWS: [ErrorCode; 3] =
    [ErrorCode::ModelTruncated, ErrorCode::ModelRefused, ErrorCode::ModelMalformed];

/// All accounts.
#[derive(Debug, Default, Clone)]
pub(super) struct Books {
    /// By process; a process that is reaped is struck out when the next batch is handed
    /// over.
    pub(super) accounts: BTreeMap<Pid, Account>,
    /// What the root of the budget tree must have used.
    pub(super) root: Spend,
    /// No attempt of the call may start earlier.
    pub(super) not_before: BTreeMap<CallId, Timestamp>,
    /// Entries of the journal.
    pub(super) entries: u64,
    /// The highest id given to a process.
    pub(super) last_pid: u64,
    /// The scheduler policy.
    pub(super) policy: String,
    /// For whom a slot was given up that it has not had yet: it goes before others.
    pub(super) promised: BTreeSet<Pid>,
    /// One for each model that was ever heard of.
    pub(super) breakers: BTreeMap<String, Breaker>,
}

/// What is known of one process.
#[derive(Debug, Default, Clone)]
pub(super) struct Account {
    /// What its stats must say it spent.
    pub(super) spent: Spend,
    /// Calls that have not ended, by number.
    pub(super) open: BTreeMap<u32, OpenCall>,
    /// The number of its last call.
    pub(super) calls: u32,
    /// Its mailbox, in order.
    pub(super) mail: Vec<(Option<Pid>, Hash)>,
    /// Tokens and money that facts say it was charged.
    pub(super) told: (Tokens, MicroUsd),
    /// From whom it wants to receive, if it asked: anyone if none.
    pub(super) wants: Option<Option<Pid>>,
    /// When it is killed, if it was asked to end.
    pub(super) killed_at: Option<Timestamp>,
    /// The tool calls of its last turn.
    pub(super) turn: Vec<u32>,
    /// Their results.
    pub(super) results: BTreeMap<u32, Hash>,
    /// Whether its end is written down.
    pub(super) exited: bool,
    /// How it asked the model last.
    pub(super) asked: Asked,
    /// Its tasks.
    pub(super) tasks: Tasks,
}

/// A call that has not ended.
#[derive(Debug, Clone)]
pub(super) enum OpenCall {
    Model { model: String, input: Tokens },
    Tool,
}

/// Who is charged what.
pub(super) type Charges = Vec<(Pid, Spend)>;

impl Books {
    /// Takes a fact into the books. Returns what it says must be charged; `came` is the output of the
    /// call whose end was reported.
    pub(super) fn enter(
        &mut self,
        entry: &Entry,
        prices: &BTreeMap<String, Price>,
        came: Tokens,
    ) -> Result<Charges, Rule> {
        self.entries += 1;
        let Some(pid) = entry.pid else {
            if let Fact::ModelPreempted { by, .. } = &entry.fact {
                self.promised.insert(*by);
            }
            if let Fact::PolicySet { policy } = &entry.fact {
                self.policy.clone_from(policy);
            }
            return Ok(Vec::new());
        };
        if let Fact::Spawned { parent, forked, .. } = &entry.fact {
            if pid.0 <= self.last_pid {
                return Err(Rule("a process id is never used twice", format!("{pid}")));
            }
            self.last_pid = pid.0;
            // One that is forked begins with the tasks of its parent.
            let parent = parent.filter(|_| forked.is_some());
            let parent = parent.and_then(|parent| self.accounts.get(&parent));
            let tasks = parent.map(|parent| parent.tasks.clone()).unwrap_or_default();
            self.accounts.insert(pid, Account { tasks, ..Account::default() });
            self.root.children += 1;
            return Ok(Vec::new());
        }
        let account = self.accounts.get_mut(&pid).filter(|account| !account.exited);
        let Some(account) = account else {
            let what = format!("{pid}: {}", entry.fact.kind());
            return Err(Rule("a process has facts between its beginning and its end only", what));
        };
        let spend = account.enter(pid, entry, (prices, came), &mut self.breakers)?;
        Ok(if spend == Spend::default() { Vec::new() } else { vec![(pid, spend)] })
    }

    /// Charges what was used.
    pub(super) fn charge(&mut self, charges: &Charges) {
        for (pid, spend) in charges {
            self.root = self.root.plus(spend);
            if let Some(account) = self.accounts.get_mut(pid) {
                account.spent = account.spent.plus(spend);
            }
        }
    }

    /// Whether the call was written down. A process that is gone made all of its calls.
    pub(super) fn has_call(&self, call: CallId) -> bool {
        let account = self.accounts.get(&call.pid);
        account.map_or(call.pid.0 <= self.last_pid, |account| account.calls >= call.number)
    }

    /// Strikes out processes that are gone.
    pub(super) fn strike_out(&mut self, live: &BTreeSet<Pid>) {
        self.accounts.retain(|pid, account| !account.exited || live.contains(pid));
        let accounts = &self.accounts;
        self.not_before.retain(|call, _| accounts.contains_key(&call.pid));
    }
}

impl Account {
    fn enter(
        &mut self,
        pid: Pid,
        entry: &Entry,
        (prices, came): (&BTreeMap<String, Price>, Tokens),
        breakers: &mut BTreeMap<String, Breaker>,
    ) -> Result<Spend, Rule> {
        let mut spend = Spend::default();
        match &entry.fact {
            Fact::ModelCalled { call, model, input, .. }
            | Fact::SummaryCalled { call, model, input, .. } => {
                self.open(*call, OpenCall::Model { model: model.clone(), input: *input })?;
            }
            Fact::ModelAnswered { call, usage, cost, .. }
            | Fact::Summarised { call, usage, cost, .. } => {
                let (model, _) = self.close_model(*call)?;
                breaker(breakers, &model).succeeded();
                self.told.0 += usage.input() + usage.output;
                self.told.1 += *cost;
            }
            // None was asked for if its pages do not fit.
            Fact::SummaryFailed { call, code: ErrorCode::ModelContextLength, .. }
                if !self.open.contains_key(&call.number) => {}
            Fact::SummaryFailed { call, code, .. } => {
                let (model, input) = self.close_model(*call)?;
                if FLAWS.contains(code) {
                    // The call was answered, and is charged as any answer.
                    breaker(breakers, &model).succeeded();
                } else if ![ErrorCode::BudgetExceeded, ErrorCode::ModelUnknown].contains(code) {
                    spend = lost(*code, prices, &model, (input, came));
                    heard(breaker(breakers, &model), *code, entry.at);
                }
            }
            Fact::ModelCharged { spend, .. } => {
                self.told.0 += spend.tokens;
                self.told.1 += spend.micro_usd;
            }
            Fact::ModelRetried { call, code, class, .. } => {
                if let Some(OpenCall::Model { model, input }) = self.open.get(&call.number) {
                    // A model that asks for patience is well.
                    if *class == FailureClass::RateLimited {
                        breaker(breakers, model).succeeded();
                    } else {
                        breaker(breakers, model).failed(entry.at);
                    }
                    spend = cut_off(*code, prices, model, (*input, came));
                }
            }
            Fact::ModelFailed { call, code, message } => {
                let (model, input) = self.close_model(*call)?;
                // No device had these calls.
                let gone = [ErrorCode::BudgetExceeded, ErrorCode::ModelUnknown].contains(code);
                if message != ABANDONED && !gone {
                    spend = lost(*code, prices, &model, (input, came));
                    heard(breaker(breakers, &model), *code, entry.at);
                }
            }
            Fact::ToolCalled { call, .. } => {
                self.turn.push(call.number);
                self.open(*call, OpenCall::Tool)?;
                spend.calls += 1;
            }
            Fact::ToolReturned { call, body, .. } => {
                if !matches!(self.open.remove(&call.number), Some(OpenCall::Tool)) {
                    return Err(ends_once(*call, "returned"));
                }
                self.results.insert(call.number, *body);
            }
            Fact::MessageSent { from, body } => self.mail.push((*from, *body)),
            Fact::MessageReceived { from, body, .. } => self.receive(pid, *from, *body)?,
            Fact::Exited { .. } => {
                if let Some(number) = self.open.keys().next() {
                    let what = format!("{pid}.c{number} has not ended and its process has");
                    return Err(Rule("every call ends exactly once", what));
                }
                self.exited = true;
                self.mail.clear();
            }
            // Said of a call that was too long. The model is well that says so.
            Fact::MemoryCut { call, cause: CutCause::Refused, .. } => {
                if let Some(OpenCall::Model { model, .. }) = self.open.get(&call.number) {
                    breaker(breakers, model).succeeded();
                }
            }
            Fact::MemoryCut { .. }
            | Fact::ModelRouted { .. }
            | Fact::WindowExceeded { .. }
            | Fact::PageFaulted { .. }
            | Fact::PageRecalled { .. }
            | Fact::PagePinned { .. }
            | Fact::PageForgotten { .. }
            | Fact::TaskBegun { .. }
            | Fact::TaskEnded { .. }
            | Fact::CacheMissed { .. }
            | Fact::Spawned { .. }
            | Fact::Refused { .. }
            | Fact::Signalled { .. }
            | Fact::Reniced { .. }
            | Fact::BudgetExpired { .. }
            | Fact::BudgetAsked { .. }
            | Fact::BudgetAnswered { .. }
            | Fact::RunawayFound { .. }
            | Fact::BudgetSet { .. }
            | Fact::ModelPreempted { .. }
            | Fact::PolicySet { .. }
            | Fact::Reconfigured { .. }
            | Fact::Booted { .. } => {}
        }
        Ok(spend)
    }

    /// A message was taken out of the mailbox.
    fn receive(&mut self, pid: Pid, from: Option<Pid>, body: Hash) -> Result<(), Rule> {
        // Messages of one sender come in their order.
        let at = self.mail.iter().position(|(sender, _)| *sender == from);
        let taken = at.map(|at| self.mail.remove(at));
        if taken != Some((from, body)) {
            let what = format!("{pid} received {body:?} from {from:?}, expected {taken:?}");
            return Err(Rule("mail is received once and in order", what));
        }
        let wanted = self.wants.take();
        let fits = match wanted {
            Some(Some(wanted)) => from == Some(wanted),
            Some(None) => at == Some(0),
            None => false,
        };
        if !fits {
            let what = format!(
                "{pid} received from {from:?}, number {at:?} in its mailbox, wanted {wanted:?}"
            );
            return Err(Rule("a process receives what it asked for", what));
        }
        Ok(())
    }

    fn open(&mut self, call: CallId, open: OpenCall) -> Result<(), Rule> {
        if call.number != self.calls + 1 {
            let what = format!("{call} after {}", self.calls);
            return Err(Rule("calls are numbered without gaps", what));
        }
        self.calls = call.number;
        self.open.insert(call.number, open);
        Ok(())
    }

    fn close_model(&mut self, call: CallId) -> Result<(String, Tokens), Rule> {
        match self.open.remove(&call.number) {
            Some(OpenCall::Model { model, input }) => Ok((model, input)),
            Some(OpenCall::Tool) | None => Err(ends_once(call, "ended")),
        }
    }

    /// What an attempt has read that is cut off from now on.
    pub(super) fn note_reserved(&mut self, process: &Process) {
        if let Some(asked) = process.state.call()
            && let Some(OpenCall::Model { input, .. }) = self.open.get_mut(&asked.number)
        {
            *input = asked.input;
        }
    }

    /// A turn of tool calls begins.
    pub(super) fn begin_turn(&mut self) {
        self.turn.clear();
        self.results.clear();
    }

    /// The results of the last turn in the order of the calls, if all are there.
    pub(super) fn turn_results(&self) -> Option<Vec<Hash>> {
        self.turn.iter().map(|number| self.results.get(number).copied()).collect()
    }
}

/// Whether the same call would fail again, which says nothing against the model.
fn is_final(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ModelBadRequest | ErrorCode::ModelContextLength | ErrorCode::ModelRateLimited
    )
}

fn ends_once(call: CallId, what: &str) -> Rule {
    Rule("every call ends exactly once", format!("{call} {what} and was not open"))
}

fn breaker<'a>(breakers: &'a mut BTreeMap<String, Breaker>, model: &str) -> &'a mut Breaker {
    breakers.entry(model.to_owned()).or_insert(Breaker::Closed(0))
}

/// What the last attempt of a call costs that was not answered. It is a call and a step all the same.
fn lost(
    code: ErrorCode,
    prices: &BTreeMap<String, Price>,
    model: &str,
    used: (Tokens, Tokens),
) -> Spend {
    Spend { calls: 1, steps: 1, ..cut_off(code, prices, model, used) }
}

/// What a failure says of the device.
fn heard(breaker: &mut Breaker, code: ErrorCode, at: Timestamp) {
    if is_final(code) {
        breaker.succeeded();
    } else {
        breaker.failed(at);
    }
}

/// What an attempt costs that ran out of time: its input, and what had come of its answer. Any other
/// failed attempt costs what its report says.
fn cut_off(
    code: ErrorCode,
    prices: &BTreeMap<String, Price>,
    model: &str,
    (input, output): (Tokens, Tokens),
) -> Spend {
    if code != ErrorCode::ModelTimeout {
        return Spend::default();
    }
    cost(prices, model, &Usage { input_uncached: input, output, ..Usage::default() })
}

/// The cost of what an attempt used. Prices are the same at all hours in this world.
pub(super) fn cost(prices: &BTreeMap<String, Price>, model: &str, usage: &Usage) -> Spend {
    let price = prices.get(model).copied().unwrap_or_default();
    let tokens = usage.input() + usage.output;
    Spend { tokens, micro_usd: price.of(usage, Timestamp::ZERO), ..Spend::default() }
}
