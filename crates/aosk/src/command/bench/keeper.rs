//! Who keeps the context while a history is replayed: the kernel's page table and a policy, or a rival.

use std::time::Duration;

use aosk::abi::{Error, MessageIndex, TEXT_END, Timestamp, Tokens};
use aosk::kernel::STUB_TOKENS;
use aosk::kernel::memory::{
    AddressSpace, ArenaId, BlockId, CacheRules, GroupId, Learner, Memo, NeedTable, Needs, NewPage,
    Page, PageId, PageKind, Plan, Prefer, Replacement, Situation, emergency, replacement,
};

use super::fit::Oracle;
use super::pages::{History, Role, TracePage};
use super::provider::Sent;

/// An entry of the context.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) sent: Sent,
    /// The page of the history that it carries in full, or what the keeper knows its content by.
    pub(crate) carries: Option<usize>,
    /// What the keeper knows it by.
    pub(crate) handle: u32,
}

/// What a keeper did before a call.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    /// Pages that left.
    pub(crate) evicted: u64,
    /// Whether anything left.
    pub(crate) cut: bool,
    /// Whether another process begins, or a task ended, so that what was sent is not gone on with.
    pub(crate) anew: bool,
    /// Pages of the history for which a summary of so many tokens is to be made.
    pub(crate) summary: Option<(u32, Vec<usize>)>,
    /// How long it thought.
    pub(crate) thought: Duration,
    /// Whether no request can be made, since what must be in it does not fit.
    pub(crate) refused: bool,
}

/// Keeps the context.
pub(crate) trait Keeper {
    /// Appends a page of the history.
    fn append(&mut self, at: usize, page: &TracePage) -> Result<(), Error>;

    /// Makes room before a call, at a time in seconds.
    fn plan(&mut self, now: f64) -> Result<Planned, Error>;

    /// What the next request is.
    fn entries(&self) -> Vec<Entry>;

    /// The entries, by their place, behind which breakpoints go.
    fn breakpoints(&self) -> Vec<usize>;

    /// How many leading entries it holds to be those of the last request; none if it plans nothing and
    /// cannot say.
    fn unchanged(&self) -> Option<usize>;

    /// The request was made.
    fn sent(&mut self, now: f64);

    /// The model's answer uses what an entry carries.
    fn touch(&mut self, entry: &Entry);

    /// Brings pages of the history back, for which these identifiers are needed.
    fn recall(&mut self, pages: &[usize], ids: &[u32]) -> Result<(), Error>;

    /// The identifiers that an entry carries.
    fn ids<'a>(&'a self, history: &'a History, entry: &Entry) -> &'a [u32] {
        let page = entry.carries.and_then(|at| history.pages.get(at));
        page.map_or(&[], |page| &page.ids)
    }

    /// The summary asked for is made.
    fn summarised(&mut self) {}
}

/// What is known of the future in a replay.
#[derive(Debug)]
pub(crate) enum Knowledge {
    /// A table that learns.
    Table(NeedTable),
    /// All of it.
    Oracle(Box<Oracle>),
}

/// The kernel's page table under a policy.
#[derive(Debug)]
pub(crate) struct Paged<'a> {
    policy: &'a dyn Replacement,
    window: Tokens,
    rules: &'static CacheRules,
    prefer: Prefer,
    knowledge: Knowledge,
    learner: Learner,
    space: AddressSpace,
    memo: Memo,
    plan: Plan,
    /// The pages of the table that hold a page of the history first.
    first_pages: Vec<PageId>,
    /// Blocks of recalls are numbered beyond those of messages.
    recalls: u32,
    tasks: bool,
    task: Option<u32>,
    /// Whether a task ended since the last plan.
    anew: bool,
    /// Whether it says what it changes.
    announces: bool,
    /// How often each plan is made, so that being interrupted is not taken for thinking. The
    /// kernel's policies are pure: the same plan comes of it.
    timings: usize,
}

/// How often, for a policy of the kernel.
pub(crate) const TIMINGS: usize = 3;

/// What a stub takes in the simulation whose results page traces are held against.
pub(crate) const STUDY_STUB_TOKENS: u32 = 14;

/// The tokens of a summary.
const SUMMARY_TOKENS: u32 = 2_000;

/// Blocks beyond those of messages.
const RECALLS: u32 = 1 << 30;

/// What a page table takes a recalled page to cost beside its content: that it is one.
const RECALL_TOKENS: u32 = 12;

impl<'a> Paged<'a> {
    pub(crate) fn new(
        policy: &'a dyn Replacement,
        (window, rules, prefer): (Tokens, &'static CacheRules, Prefer),
        knowledge: Knowledge,
        (fixed, stub): (u32, u32),
        tasks: bool,
    ) -> Self {
        let mut space = AddressSpace::new(stub);
        space.append(new_page(PageKind::System, fixed.max(1), (RECALLS - 1, RECALLS - 1), 0));
        Self {
            policy,
            window,
            rules,
            prefer,
            knowledge,
            learner: Learner::default(),
            space,
            memo: Memo::default(),
            plan: Plan::default(),
            first_pages: Vec::new(),
            recalls: RECALLS,
            tasks,
            task: None,
            anew: false,
            announces: true,
            timings: if replacement(policy.name()).is_ok() { TIMINGS } else { 1 },
        }
    }

    /// One that evicts nothing.
    pub(crate) fn unlimited(knowledge: Knowledge, fixed: u32) -> Self {
        let how = (Tokens::MAX, CacheRules::none(), Prefer::Cost);
        Self::new(&Append, how, knowledge, (fixed, STUB_TOKENS), false)
    }

    /// The same for a policy that is no plan: it changes what was sent whenever that has become too
    /// long.
    pub(crate) fn unannounced(mut self) -> Self {
        self.announces = false;
        self
    }

    /// What it learned.
    pub(crate) fn into_table(self) -> NeedTable {
        match self.knowledge {
            Knowledge::Table(table) => table,
            Knowledge::Oracle(_) => NeedTable::empty(),
        }
    }

    /// The page of the history that a page of the table holds.
    fn carried(&self, page: &Page) -> Option<usize> {
        let at = usize::try_from(page.source.0.checked_sub(1)?).ok()?;
        (at < self.first_pages.len()).then_some(at)
    }
}

/// Evicts nothing.
#[derive(Debug)]
struct Append;

impl Replacement for Append {
    fn name(&self) -> &'static str {
        "append"
    }

    fn plan(&self, _: &Situation<'_>, _: &mut Memo) -> Plan {
        Plan::default()
    }
}

fn new_page(kind: PageKind, tokens: u32, (group, block): (u32, u32), source: u32) -> NewPage {
    NewPage {
        kind,
        tokens,
        group: GroupId(group),
        block: BlockId(block),
        arena: ArenaId(0),
        source: MessageIndex(source),
        part: 0,
        end: TEXT_END,
        importance: 500,
        pinned: false,
    }
}

/// The time as the kernel has it.
pub(crate) fn timestamp(now: f64) -> Timestamp {
    let seconds = now.clamp(0.0, 1e12);
    Timestamp(Duration::from_secs_f64(seconds).as_millis().try_into().unwrap_or(u64::MAX))
}

impl Paged<'_> {
    /// No request is larger than the window: the kernel lets the oldest go if its policy freed too
    /// little. So does this, for policies of the kernel.
    fn fit(&mut self, now: f64) {
        if self.timings < TIMINGS || self.space.total() <= self.window {
            return;
        }
        let needs: &dyn Needs = match &self.knowledge {
            Knowledge::Table(table) => table,
            Knowledge::Oracle(oracle) => oracle.as_ref(),
        };
        let situation = Situation {
            space: &self.space,
            window: self.window,
            rules: self.rules,
            needs,
            prefer: self.prefer,
            now: timestamp(now),
        };
        let rest = emergency(&situation, &mut self.memo);
        self.space.apply(&rest);
        self.plan.evict.extend(rest.evict);
        self.plan.breakpoints = rest.breakpoints;
    }
}

impl Keeper for Paged<'_> {
    fn append(&mut self, at: usize, page: &TracePage) -> Result<(), Error> {
        let kind = match page.role {
            Role::User => PageKind::User,
            Role::Assistant => PageKind::Assistant,
            Role::Tool => PageKind::ToolResult,
        };
        if self.tasks
            && let Some(before) = self.task.replace(page.task).filter(|task| *task != page.task)
        {
            self.space.close_arena(ArenaId(before.saturating_add(1)));
            self.memo.spare.clear();
            self.anew = true;
        }
        let source = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
        let mut new = new_page(kind, page.tokens, (page.group, page.message), source);
        new.arena = ArenaId(page.task.saturating_add(1));
        let id = self.space.append(new);
        self.first_pages.push(id);
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "what is measured is the time of planning")]
    fn plan(&mut self, now: f64) -> Result<Planned, Error> {
        if let Knowledge::Table(table) = &mut self.knowledge {
            self.learner.call(&self.space, table);
        }
        let needs: &dyn Needs = match &self.knowledge {
            Knowledge::Table(table) => table,
            Knowledge::Oracle(oracle) => oracle.as_ref(),
        };
        let situation = Situation {
            space: &self.space,
            window: self.window,
            rules: self.rules,
            needs,
            prefer: self.prefer,
            now: timestamp(now),
        };
        let before = self.memo.clone();
        let mut thought = Duration::MAX;
        for _ in 0..self.timings {
            self.memo.clone_from(&before);
            let began = std::time::Instant::now();
            self.plan = self.policy.plan(&situation, &mut self.memo);
            thought = thought.min(began.elapsed());
        }
        self.space.apply(&self.plan);
        self.fit(now);
        let summary = self.plan.summarise.map(|(first, last)| {
            let pages = self.space.shown().filter(|one| (first..=last).contains(&one.id));
            (SUMMARY_TOKENS, pages.filter_map(|one| self.carried(one.page)).collect())
        });
        Ok(Planned {
            evicted: u64::try_from(self.plan.evict.len()).unwrap_or(u64::MAX),
            cut: !self.plan.evict.is_empty(),
            anew: std::mem::take(&mut self.anew),
            summary,
            thought,
            refused: false,
        })
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |one: aosk::kernel::memory::Shown<'_>| {
            let (id, extent) = one.identity();
            // The summary of a range is told from the stub of the same range.
            let form = u64::from(extent) * 2 + u64::from(one.page.summary);
            Entry {
                sent: Sent {
                    key: (u64::from(id.0) << 32) | form,
                    tokens: one.tokens,
                    block: one.page.block.0,
                },
                carries: if one.is_stub() { None } else { self.carried(one.page) },
                handle: id.0,
            }
        };
        self.space.shown().map(entry).collect()
    }

    fn breakpoints(&self) -> Vec<usize> {
        let places = &self.plan.breakpoints;
        let shown = self.space.shown().enumerate();
        shown.filter(|(_, one)| places.contains(&one.id)).map(|(at, _)| at).collect()
    }

    fn unchanged(&self) -> Option<usize> {
        self.announces.then_some(self.space.unchanged().entries)
    }

    fn sent(&mut self, now: f64) {
        self.memo.sent(&self.space, &self.plan.breakpoints, timestamp(now));
        self.space.sent();
        if let Knowledge::Oracle(oracle) = &self.knowledge {
            oracle.called();
        }
    }

    fn touch(&mut self, entry: &Entry) {
        let id = PageId(entry.handle);
        match &mut self.knowledge {
            Knowledge::Table(table) => self.learner.touch(&mut self.space, table, id),
            Knowledge::Oracle(_) => self.space.touch(id),
        }
    }

    fn recall(&mut self, pages: &[usize], _: &[u32]) -> Result<(), Error> {
        let ids: Vec<PageId> =
            pages.iter().filter_map(|at| self.first_pages.get(*at).copied()).collect();
        if let Knowledge::Table(table) = &mut self.knowledge {
            for id in &ids {
                self.learner.touch(&mut self.space, table, *id);
            }
        }
        if let Knowledge::Oracle(oracle) = &self.knowledge {
            oracle.faulted();
        }
        self.recalls = self.recalls.saturating_add(1);
        for id in &ids {
            let Some(page) = self.space.page(*id).copied() else { continue };
            let group = (self.recalls, self.recalls);
            let tokens = page.tokens.saturating_add(RECALL_TOKENS);
            // The copy costs its frame too; the kernel's own recall has it rendered in the block.
            let new = new_page(PageKind::Recalled, tokens, group, page.source.0);
            self.space.recall_as(*id, NewPage { arena: page.arena, ..new });
        }
        Ok(())
    }

    fn summarised(&mut self) {
        if let Some(range) = self.plan.summarise {
            self.space.summarise(range, SUMMARY_TOKENS, None);
            self.memo.spare.clear();
        }
    }
}
