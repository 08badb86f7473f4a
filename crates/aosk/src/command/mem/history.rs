//! What the journal says of the memory of a process: its model calls, what left the window before
//! them, and what came back. It reads facts and knows nothing of rows.

use std::collections::{BTreeMap, BTreeSet};

use aosk::abi::{
    ArenaId, Changed, CutCause, ErrorCode, Evicted, Fact, Hash, MessageIndex, MissReason, PageId,
    Tokens, Usage,
};

use aosk::kernel::Memory;

/// What happened, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct History {
    pub(super) calls: Vec<Call>,
    pub(super) cuts: Vec<Cut>,
    pub(super) faults: Vec<Mark>,
    /// Copies that came back.
    pub(super) recalls: Vec<Mark>,
    /// Those among them that nobody had asked for.
    pub(super) unasked: usize,
    pub(super) misses: Vec<Miss>,
    /// Tasks that it began itself, in order; one that was forked has those of its parent, too.
    pub(super) tasks: Vec<Task>,
    /// What the provider is expected to count for a thousand tokens of the estimate.
    pub(super) rate: u64,
    /// What the last plan was made for.
    pub(super) plan: Plan,
    shown: Option<Shown>,
    /// What copies are copies of.
    originals: BTreeMap<PageId, PageId>,
    /// Pages that were asked for and are not back yet.
    asked: BTreeSet<PageId>,
    /// Pages in whose place a stub stands, as far as the journal says.
    gone: BTreeSet<PageId>,
}

/// What the window was planned for. What an older kernel did not say of it is none.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Plan {
    /// The most that may be shown, as the provider counts; none if that is not known.
    pub(super) window: Option<Tokens>,
    /// The tokens of the estimate that fit.
    pub(super) room: Option<Tokens>,
    /// By which policy pages leave.
    pub(super) policy: Option<String>,
    /// What matters most when they do.
    pub(super) prefer: Option<String>,
}

/// A task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) task: ArenaId,
    pub(super) within: ArenaId,
    pub(super) goal: Hash,
    /// What came of it, if it has ended.
    pub(super) result: Option<Hash>,
}

/// A model call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// Its number among the calls of the process.
    pub(super) number: u32,
    pub(super) model: String,
    /// Messages that the log had.
    pub(super) messages: MessageIndex,
    /// What the model was shown, by estimate.
    pub(super) shown: Tokens,
    /// The most that it may be shown.
    pub(super) limit: Option<Tokens>,
    /// What the provider counted; none before it answers.
    pub(super) usage: Option<Usage>,
}

/// A cut. `at` is the place in `calls` of the call before which it was made; behind the last if that
/// call was never made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cut {
    pub(super) at: usize,
    pub(super) call: u32,
    pub(super) policy: String,
    pub(super) cause: CutCause,
    pub(super) window: Option<Tokens>,
    /// The tokens of the estimate that fitted; none if that is not known.
    pub(super) room: Option<Tokens>,
    pub(super) before: Tokens,
    pub(super) after: Tokens,
    pub(super) rewritten: Tokens,
    /// In thousandths of an input token, as `loss` is.
    pub(super) price: u64,
    pub(super) loss: u64,
    pub(super) growth: u64,
    pub(super) evicted: Vec<Gone>,
    /// What a provider counts for a thousand tokens of the estimate, as far as was known then.
    pub(super) rate: u64,
}

/// A page that left.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gone {
    pub(super) page: Evicted,
    /// Whether its content had left before: what goes is its stub, into another.
    pub(super) was_stub: bool,
}

/// Something that happened to a page, with its tokens. `at` is a place in `calls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: usize,
    pub(super) page: PageId,
    pub(super) tokens: u64,
}

/// A provider's cache did not have what was sent before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Miss {
    pub(super) at: usize,
    pub(super) call: u32,
    pub(super) reason: MissReason,
    pub(super) changed: Option<Changed>,
    pub(super) unchanged: Tokens,
    pub(super) read: Tokens,
}

/// What the window takes as of the last fact that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) tokens: Tokens,
    /// Messages that were pages then; all that are now if none.
    pub(super) messages: Option<MessageIndex>,
}

impl Cut {
    /// Tokens that it freed, by estimate.
    pub(super) fn freed(&self) -> u64 {
        self.before.saturating_sub(self.after).0
    }

    /// How full the window was, in thousandths; none if its size is not known.
    pub(super) fn fullness(&self) -> Option<u64> {
        fullness(self.before, self.room?)
    }
}

impl Miss {
    /// Tokens that were sent before and had to be paid for as new.
    pub(super) fn uncached(&self) -> u64 {
        self.unchanged.saturating_sub(self.read).0
    }
}

/// How full a window is, in thousandths; none if nothing fits. Both are by estimate.
pub(super) fn fullness(shown: Tokens, room: Tokens) -> Option<u64> {
    shown.0.saturating_mul(1_000).checked_div(room.0)
}

impl Default for History {
    /// Of a process of which nothing is told.
    fn default() -> Self {
        Self {
            calls: Vec::new(),
            cuts: Vec::new(),
            faults: Vec::new(),
            recalls: Vec::new(),
            unasked: 0,
            misses: Vec::new(),
            tasks: Vec::new(),
            rate: 1_000,
            plan: Plan::default(),
            shown: None,
            originals: BTreeMap::new(),
            asked: BTreeSet::new(),
            gone: BTreeSet::new(),
        }
    }
}

impl History {
    /// Takes in the next fact of the process.
    pub(super) fn note(&mut self, fact: Fact) {
        match fact {
            Fact::ModelCalled {
                call, model, pages, input, window, room, policy, prefer, ..
            } => {
                self.shown = Some(Shown { tokens: input, messages: Some(pages) });
                self.note_room(window, room);
                let policy = policy.or_else(|| self.plan.policy.take());
                self.plan = Plan { window, room, policy, prefer };
                self.calls.push(Call {
                    number: call.number,
                    model,
                    messages: pages,
                    shown: input,
                    limit: window,
                    usage: None,
                });
            }
            Fact::WindowExceeded { pages, input, window, room, policy, prefer, .. } => {
                self.shown = Some(Shown { tokens: input, messages: Some(pages) });
                self.note_room(window, Some(room));
                let (policy, prefer) = (Some(policy), Some(prefer));
                self.plan = Plan { window, room: Some(room), policy, prefer };
            }
            Fact::ModelAnswered { call, usage, .. } => {
                let asked = self.calls.iter_mut().rev().find(|asked| asked.number == call.number);
                if let Some(asked) = asked {
                    asked.usage = Some(usage);
                    self.rate = Memory::corrected(self.rate, asked.shown, &usage);
                }
            }
            // No budget had room for it, so it was not made.
            Fact::ModelFailed { call, code: ErrorCode::BudgetExceeded, .. } => {
                self.calls.pop_if(|asked| asked.number == call.number);
            }
            Fact::MemoryCut { .. } => self.note_cut(fact),
            Fact::PageFaulted { page, tokens } => {
                self.faults.push(Mark { at: self.last(), page, tokens: u64::from(tokens) });
                self.asked.insert(self.original(page));
            }
            Fact::PageRecalled { page, copy, tokens } => {
                // It is told of before the call that shows it.
                let at = self.calls.len();
                self.recalls.push(Mark { at, page, tokens: u64::from(tokens) });
                self.originals.insert(copy, page);
                self.unasked += usize::from(!self.asked.remove(&page));
            }
            Fact::PageForgotten { freed, .. } => {
                if let Some(shown) = &mut self.shown {
                    shown.tokens = shown.tokens.saturating_sub(freed);
                }
            }
            Fact::TaskBegun { task, within, goal } => {
                self.tasks.push(Task { task, within, goal, result: None });
            }
            Fact::TaskEnded { task, result, .. } => {
                if let Some(ended) = self.tasks.iter_mut().rev().find(|one| one.task == task) {
                    ended.result = Some(result);
                }
            }
            Fact::CacheMissed { call, reason, unchanged, read, changed } => {
                let (at, call) = (self.last(), call.number);
                self.misses.push(Miss { at, call, reason, changed, unchanged, read });
            }
            Fact::Spawned { .. }
            | Fact::ModelRouted { .. }
            | Fact::ModelRetried { .. }
            | Fact::ModelFailed { .. }
            | Fact::ModelCharged { .. }
            | Fact::SummaryCalled { .. }
            | Fact::Summarised { .. }
            | Fact::SummaryFailed { .. }
            | Fact::PagePinned { .. }
            | Fact::ToolCalled { .. }
            | Fact::ToolReturned { .. }
            | Fact::Refused { .. }
            | Fact::MessageSent { .. }
            | Fact::MessageReceived { .. }
            | Fact::Signalled { .. }
            | Fact::Reniced { .. }
            | Fact::Exited { .. }
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
    }

    /// A kernel that was started anew does not remember how the provider counts, and plans with all
    /// of the limit.
    fn note_room(&mut self, window: Option<Tokens>, room: Option<Tokens>) {
        if room.is_some() && room == window && self.room_of(window) != room {
            self.rate = 1_000;
        }
    }

    /// What fits, for a journal that does not say it.
    fn room_of(&self, window: Option<Tokens>) -> Option<Tokens> {
        window.map(|window| Memory::room(window, self.rate))
    }

    /// The tokens of the estimate that fit; none if that is not known.
    pub(super) fn room(&self) -> Option<Tokens> {
        self.plan.room.or_else(|| self.room_of(self.plan.window))
    }

    /// Whether the provider ever said that a request was too long.
    pub(super) fn was_refused(&self) -> bool {
        self.cuts.iter().any(|cut| cut.cause == CutCause::Refused)
    }

    fn note_cut(&mut self, fact: Fact) {
        let Fact::MemoryCut {
            call,
            policy,
            cause,
            window,
            room,
            before,
            after,
            rewritten,
            price,
            loss,
            growth,
            evicted,
        } = fact
        else {
            return;
        };
        self.note_room(window, room);
        self.plan.window = window;
        self.plan.room = room;
        self.plan.policy = Some(policy.clone());
        let (rate, room) = (self.rate, room.or_else(|| self.room_of(window)));
        self.shown = Some(Shown { tokens: after, messages: None });
        // A call that a provider refused has been told of; any other comes after its cut.
        let made = self.calls.last().is_some_and(|made| made.number == call.number);
        let at = if made { self.last() } else { self.calls.len() };
        let gone = |page: Evicted| Gone { page, was_stub: !self.gone.insert(page.page) };
        let evicted = evicted.into_iter().map(gone).collect();
        let call = call.number;
        self.cuts.push(Cut {
            at,
            call,
            policy,
            cause,
            window,
            room,
            before,
            after,
            rewritten,
            price,
            loss,
            growth,
            evicted,
            rate,
        });
    }

    /// What the window took when that was last said.
    pub(super) fn shown(&self) -> Option<Shown> {
        self.shown
    }

    /// How many calls ago a message was first shown; none if it has not been.
    pub(super) fn age(&self, message: MessageIndex) -> Option<usize> {
        let first = self.calls.partition_point(|call| call.messages <= message);
        let made = self.calls.len().checked_sub(first)?;
        made.checked_sub(1)
    }

    fn last(&self) -> usize {
        self.calls.len().saturating_sub(1)
    }

    fn original(&self, page: PageId) -> PageId {
        self.originals.get(&page).copied().unwrap_or(page)
    }
}

/// What a provider counts for a token of the estimate.
pub(super) fn rate(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

/// Why a cut was made, in words.
pub(super) fn why(cut: &Cut) -> String {
    let window = cut.fullness().map_or_else(
        || "how much fits is not known".to_owned(),
        |full| format!("the window was {} full", percent(full)),
    );
    match cut.cause {
        CutCause::Pressure => format!("pressure: {window}"),
        CutCause::Price => {
            format!("price: {window}, and carrying the dead costs more than rewriting what stays")
        }
        CutCause::Emergency => {
            format!(
                "emergency: {window}, and what the policy found did not suffice, so the oldest go"
            )
        }
        CutCause::Task => format!("task: one has ended, and its result stands for it; {window}"),
        CutCause::Refused => {
            format!("refused by the provider: the request was too long; by estimate {window}")
        }
    }
}

/// Thousandths as a whole percentage, with a decimal below one.
pub(super) fn percent(thousandths: u64) -> String {
    match thousandths {
        0 => "0 %".to_owned(),
        1..10 => format!("0.{thousandths} %"),
        _ => format!("{} %", thousandths.saturating_add(5) / 10),
    }
}

#[cfg(test)]
mod tests;
