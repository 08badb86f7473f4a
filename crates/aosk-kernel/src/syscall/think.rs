//! Asking the model: what of the log it is shown is decided here, once for each call.

use std::sync::Arc;

use aosk_abi::{
    Abilities, Ability, CallId, Error, ErrorCode, Evicted, Fact, MessageIndex, PageId, Pid, Piece,
    RowKey, ThinkOptions, Timestamp, Tokens,
};

use crate::config::Config;
use crate::kernel::{Ctx, Kernel};
use crate::memory::CacheRules;
use crate::mutant::broken;
use crate::process::memory::{Planned, Terms};
use crate::process::{ModelCall, SummaryCall};

/// What a process asks of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) options: &'a ThinkOptions,
    /// What the tools take that are offered.
    pub(crate) tools: Tokens,
    /// What the page table does not have yet.
    pub(crate) pieces: &'a [Piece],
    /// The pages that the newest answer used.
    pub(crate) uses: &'a [PageId],
}

impl Kernel {
    /// Queues a model call. It starts when a slot is free and its worst case fits the budget.
    pub(crate) fn think(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        asked: &Asked<'_>,
    ) -> Result<(), Error> {
        let options = asked.options;
        if self.devices.queue(&options.model).is_none() {
            let text = format!("asking the model: no such device: {}", options.model);
            return Err(Error::new(ErrorCode::ModelUnknown, text));
        }
        self.check_able(&options.model, needs(options, asked.tools))?;
        self.take_in(cx, pid, asked.pieces)?;
        let terms = self.terms(pid, options, cx.now);
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let planned = process.memory.plan(asked.tools, asked.uses, &terms);
        match planned.plan.summarise {
            Some(pages) => {
                let then = Arc::new(options.clone());
                let summary = SummaryCall { pages, then, tools: asked.tools };
                self.ask_for_summary(cx, pid, &summary, &planned)
            }
            None => self.queue(cx, pid, (options, asked.tools), &terms, &planned),
        }
    }

    /// Refuses what no model of a route can do.
    pub(super) fn check_able(&self, model: &str, needs: Abilities) -> Result<(), Error> {
        let Some(lacking) = self.devices.lacks(model, needs) else {
            return Ok(());
        };
        let what = match lacking {
            Ability::Tools => "takes tools",
            Ability::Images => "sees images",
            Ability::Schema => "keeps its answer to a schema",
        };
        let text = format!("asking {model}: none of its models {what}");
        Err(Error::new(ErrorCode::ModelUnable, text)
            .hint("name a model in the route that does, or ask for less"))
    }

    /// Queues a call that is planned.
    pub(super) fn queue(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        (options, tools): (&ThinkOptions, Tokens),
        terms: &Terms<'_>,
        planned: &Planned,
    ) -> Result<(), Error> {
        let since = self.next_since();
        let overruns = broken!(self, WindowOverrun);
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let number = process.calls.saturating_add(1);
        let estimate = process.memory.space().total();
        let tokens = (estimate, process.memory.scaled(estimate));
        let call = ModelCall {
            needs: needs(options, tools),
            breakpoints: planned.plan.breakpoints.clone(),
            long_lived: planned.long_lived,
            ..ModelCall::new(number, Arc::new(options.clone()), tokens, since)
        };
        let pages = process.page_count();
        let room = process.memory.window();
        let id = Self::call_id(pid, number);
        self.planned(cx, id, terms, planned);
        if planned.plan.excess > Tokens::ZERO && !overruns {
            cx.fact(pid, exceeded(options, pages, (estimate, planned.window), terms));
            return Err(does_not_fit(options, planned, estimate));
        }
        cx.fact(
            pid,
            Fact::ModelCalled {
                call: id,
                model: options.model.clone(),
                pages,
                input: estimate,
                output_max: options.output_max,
                window: terms.limit,
                room,
                policy: Some(terms.policy.name().to_owned()),
                prefer: Some(terms.prefer.name().to_owned()),
            },
        );
        if let Some(process) = self.processes.get_mut(pid) {
            process.calls = number;
        }
        self.enqueue(pid, call);
        Ok(())
    }

    /// Writes down what planning a call did to the page table.
    pub(super) fn planned(
        &mut self,
        cx: &mut Ctx<'_>,
        id: CallId,
        terms: &Terms<'_>,
        planned: &Planned,
    ) {
        if !broken!(self, RowNotRewritten) {
            self.page_rows_changed(id.pid);
        } else if let Some(process) = self.processes.get_mut(id.pid) {
            process.memory.take_changed();
        }
        self.tell_cut(cx, id, terms, planned);
    }

    /// On what terms a process asks a model.
    pub(super) fn terms(&self, pid: Pid, options: &ThinkOptions, now: Timestamp) -> Terms<'static> {
        let config = &self.config;
        let model = config.model(&options.model);
        Terms {
            policy: config.replacement,
            prefer: config.prefer,
            limit: limit(config, options),
            cache: model.map_or_else(CacheRules::free, |model| model.cache),
            long_cache: model.and_then(|model| model.long_cache),
            seeds: config.needs,
            now,
            asks_summaries: self.summary_model(pid).is_some(),
        }
    }

    /// Takes what is new of the log into the page table.
    fn take_in(&mut self, cx: &mut Ctx<'_>, pid: Pid, pieces: &[Piece]) -> Result<(), Error> {
        let Some(process) = self.processes.get_mut(pid) else {
            return Ok(());
        };
        let log = process.page_count();
        let first = process.memory.taken();
        let copies = process.memory.take_in(log, pieces).map_err(|what| {
            Error::new(ErrorCode::BadSyscall, format!("asking the model for {pid}: {what}"))
        })?;
        for (page, copy) in copies {
            let tokens = process.memory.space().page(copy).map_or(0, |page| page.tokens);
            cx.fact(pid, Fact::PageRecalled { page, copy, tokens });
        }
        let new = (first.0..log.0).map(|index| RowKey::Message(pid, MessageIndex(index)));
        self.dirty.extend(new);
        Ok(())
    }

    /// Writes down which pages left, and why.
    fn tell_cut(&self, cx: &mut Ctx<'_>, call: CallId, terms: &Terms<'_>, planned: &Planned) {
        let Planned { plan, before, .. } = planned;
        let Some(process) = self.processes.get(call.pid) else {
            return;
        };
        let (space, room) = (process.memory.space(), process.memory.window());
        let after = space.total();
        // What takes the place of stubs alone changes what the provider has read, too.
        let changed = !plan.evict.is_empty() || *before != after;
        if !changed || broken!(self, CutUntold) {
            return;
        }
        let cut = plan.cut.unwrap_or_default();
        let evicted = plan.evict.iter().filter_map(|one| {
            Some(Evicted {
                page: one.page,
                kind: space.page(one.page)?.kind,
                tokens: one.tokens,
                chance_ppm: one.chance_ppm,
                gap_16ths: one.gap_16ths,
                loss: one.loss,
            })
        });
        cx.fact(
            call.pid,
            Fact::MemoryCut {
                call,
                policy: terms.policy.name().to_owned(),
                cause: cut.cause,
                window: terms.limit,
                room,
                before: *before,
                after,
                rewritten: cut.rewritten,
                price: cut.price,
                loss: cut.loss,
                growth: cut.growth,
                evicted: evicted.collect(),
            },
        );
    }

    /// Cuts what a provider said is too long, once. Whether there is reason to ask again.
    pub(crate) fn shrink(&mut self, cx: &mut Ctx<'_>, pid: Pid, call: &mut ModelCall) -> bool {
        let mut terms = self.terms(pid, &call.options, cx.now);
        // Who was refused is not kept waiting for another call.
        terms.asks_summaries = false;
        let may = !call.shrunk || broken!(self, ShrunkTwice);
        let Some(process) = self.processes.get_mut(pid).filter(|_| may) else {
            return false;
        };
        let (mut planned, freed) = process.memory.shrink(&terms);
        let changed = process.memory.take_changed();
        self.dirty.extend(changed.into_iter().map(|index| RowKey::Message(pid, index)));
        planned.plan.cut.get_or_insert_default().cause = aosk_abi::CutCause::Refused;
        self.tell_cut(cx, Self::call_id(pid, call.number), &terms, &planned);
        let Some(process) = self.processes.get(pid).filter(|_| freed) else {
            return false;
        };
        call.shrunk = true;
        call.estimate = process.memory.space().total();
        call.input = process.memory.scaled(call.estimate);
        call.breakpoints = planned.plan.breakpoints;
        true
    }
}

/// What a call needs of its model.
fn needs(options: &ThinkOptions, tools: Tokens) -> Abilities {
    let has_tools = !options.tools.is_empty() || tools > Tokens::ZERO;
    if has_tools { Abilities::NONE.with(Ability::Tools) } else { Abilities::NONE }
}

/// The most that a model may be shown: its own limit less the answer, and no more than is asked for;
/// none if that is not known.
pub(crate) fn limit(config: &Config, options: &ThinkOptions) -> Option<Tokens> {
    let context = config.context(&options.model);
    let room = context.map(|context| context.saturating_sub(options.output_max));
    match (room, options.window) {
        (Some(room), Some(window)) => Some(room.min(window)),
        (one, other) => one.or(other),
    }
}

/// What is told of a call that is not made, as what must be shown is more than what fits.
fn exceeded(
    options: &ThinkOptions,
    pages: MessageIndex,
    (input, room): (Tokens, Tokens),
    terms: &Terms<'_>,
) -> Fact {
    Fact::WindowExceeded {
        model: options.model.clone(),
        pages,
        input,
        window: terms.limit,
        room,
        policy: terms.policy.name().to_owned(),
        prefer: terms.prefer.name().to_owned(),
    }
}

/// What must stay does not fit: such a call would fail.
fn does_not_fit(options: &ThinkOptions, planned: &Planned, estimate: Tokens) -> Error {
    // In tokens of the estimate, as what it is held against.
    let window = planned.window;
    let (model, output) = (&options.model, options.output_max);
    let what = format!(
        "asking {model}: what must be in the window takes {estimate} tokens, and {window} fit \
         beside an answer of {output}"
    );
    Error::new(ErrorCode::ModelContextLength, what).hint(
        "instructions, tools, pinned pages and the newest message must fit: make them shorter, \
         allow shorter answers, or use a model with a larger window",
    )
}
