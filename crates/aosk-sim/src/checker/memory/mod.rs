//! What must be true of the memory of processes: of each page table, of what one input does to it,
//! and of what a model is shown.

mod change;
mod table;
mod tasks;

use aosk_abi::{
    CallId, CutCause, Entry, Fact, Form, Frame, Input, MessageIndex, PageId, Pid, Release, Syscall,
    Tokens, Window,
};
use aosk_kernel::memory::{AddressSpace, Page, Residency};
use aosk_kernel::{Kernel, Process};

use self::change::Change;
use self::table::{check_table, describe};
pub(super) use self::tasks::Tasks;
use super::{Before, Checker, Rule, ensure};

/// The page table of whose process an input is about, as it was before.
#[derive(Debug)]
pub(super) struct Held {
    pid: Pid,
    space: AddressSpace,
    taken: MessageIndex,
}

/// What was agreed on when a process asked the model.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Asked {
    /// What the tools take.
    tools: Tokens,
    /// The most that is shown, in tokens of the estimate; none if that is not known.
    window: Option<Tokens>,
    /// The number of the call.
    number: u32,
    /// Whether the provider said of it that it is too long.
    refused: bool,
}

/// What a process was shown last in this life of the kernel.
#[derive(Debug, Clone)]
pub(super) struct Last {
    frames: Vec<Frame>,
    /// Something of it has changed since.
    touched: bool,
}

/// Looks up what an input is about.
pub(super) fn hold(kernel: &Kernel, input: &Input) -> Option<Held> {
    let pid = match input {
        Input::Syscall { pid, .. } => *pid,
        Input::ModelDone { call, .. } => call.pid,
        Input::ToolDone { .. }
        | Input::RateReported { .. }
        | Input::Boot
        | Input::Tick
        | Input::Drain
        | Input::Operator { .. } => {
            return None;
        }
    };
    let memory = &kernel.process(pid)?.memory;
    Some(Held { pid, space: memory.space().clone(), taken: memory.taken() })
}

impl Checker {
    /// Judges what an input did to the page table of its process, and what leaves for models.
    pub(super) fn check_memory(
        &mut self,
        kernel: &Kernel,
        input: &Input,
        before: &Before,
        (facts, releases): (&[Entry], &[Release]),
    ) -> Result<(), Rule> {
        if let Some(old) = &before.memory
            && let Some(process) = kernel.process(old.pid)
        {
            let facts = facts.iter().filter(|entry| entry.pid == Some(old.pid));
            let facts = facts.map(|entry| &entry.fact).collect();
            let change = Change { pid: old.pid, old, process, facts };
            check_table(old.pid, process)?;
            change.check(input, before.stale)?;
            self.note_change(&change, input)?;
        }
        let about = before.memory.as_ref().map(|held| held.pid);
        for entry in facts {
            if let (Fact::ModelCalled { call, .. }, true) = (&entry.fact, entry.pid != about) {
                self.note_unawaited(kernel, *call);
            }
            // What was sent for its parent is in the cache for one that is forked.
            if let (Fact::Spawned { parent: Some(parent), forked: Some(_), .. }, Some(pid)) =
                (&entry.fact, entry.pid)
                && let Some(last) = self.last.get(parent).cloned()
            {
                self.last.insert(pid, last);
            }
        }
        for release in releases {
            if let Release::Think { call, window, .. } = release
                && let Some(process) = kernel.process(call.pid)
            {
                match window.summarise {
                    None if window.relayed => {}
                    Some(tokens) => check_summarised(call.pid, process, window, tokens)?,
                    None => self.check_shown(call.pid, process, window)?,
                }
            }
        }
        Ok(())
    }

    /// A call is made that waited for a summary, and what gave that up was no report of it.
    fn note_unawaited(&mut self, kernel: &Kernel, call: CallId) {
        if let Some(last) = self.last.get_mut(&call.pid) {
            last.touched = true;
        }
        if let Some(account) = self.books.accounts.get_mut(&call.pid)
            && let Some(process) = kernel.process(call.pid)
        {
            let (tools, window) = (account.asked.tools, process.memory.window());
            account.asked = Asked { tools, window, number: call.number, refused: false };
        }
    }

    /// What later calls are held against.
    fn note_change(&mut self, change: &Change<'_>, input: &Input) -> Result<(), Rule> {
        let (old, new) = (&change.old.space, change.process.memory.space());
        if let Some(last) = self.last.get_mut(&change.pid) {
            let tools = |space: &AddressSpace| space.page(PageId(0)).map(|page| page.tokens);
            last.touched |= tools(old) != tools(new) || !change.moved().is_empty();
        }
        let Some(account) = self.books.accounts.get_mut(&change.pid) else {
            return Ok(());
        };
        account.tasks.check(change, input, &mut self.seen)?;
        let window = change.process.memory.window();
        for fact in &change.facts {
            if let Fact::CacheMissed { reason, .. } = fact {
                self.seen.insert(format!("missed {reason:?}"));
            }
            if let Fact::Refused { syscall, code, .. } = fact
                && is_of_memory(syscall)
            {
                self.seen.insert(format!("refused {syscall} {code}"));
            }
            if let Fact::SummaryCalled { .. } | Fact::SummaryFailed { .. } = fact {
                account.asked.tools = tools_of(input).unwrap_or(account.asked.tools);
            }
            if let Fact::ModelCalled { call, .. } = fact {
                // What waited for a summary offers what it offered then.
                let tools = tools_of(input).unwrap_or(account.asked.tools);
                account.asked = Asked { tools, window, number: call.number, refused: false };
            }
            if let Fact::MemoryCut { call, cause, .. } = fact {
                self.seen.insert(format!("cut {cause:?}"));
                if *cause == CutCause::Refused {
                    let twice = account.asked.refused && account.asked.number == call.number;
                    ensure(!twice, "a call is cut once for its provider", || call.to_string())?;
                    account.asked.window = window;
                    account.asked.refused = true;
                }
            }
        }
        Ok(())
    }

    /// What a model is shown is what the table says, fits, and begins as the last call did as far as
    /// it is said to.
    fn check_shown(&mut self, pid: Pid, process: &Process, window: &Window) -> Result<(), Rule> {
        let frames = &window.frames;
        let rises = frames.is_sorted_by(|one, next| {
            one.page < next.page && (one.source, one.text) < (next.source, next.text)
        });
        ensure(rises, "pages are shown in the order of the log", || format!("{pid}: {frames:?}"))?;
        let expected = frames_of(process);
        ensure(*frames == expected, "a model is shown what the page table says", || {
            format!("{pid}: {frames:?}, by its table {expected:?}")
        })?;
        let in_order = window.breakpoints.is_sorted_by(|one, next| one < next);
        let there = window.breakpoints.last().is_none_or(|last| *last < frames.len());
        ensure(in_order && there, "breakpoints stand behind frames, in order", || {
            format!("{pid}: {:?} of {}", window.breakpoints, frames.len())
        })?;
        let asked = self.books.accounts.get(&pid).map(|account| account.asked).unwrap_or_default();
        let space = process.memory.space();
        let shown = space.shown().filter(|one| one.id != PageId(0));
        let tokens: u64 = shown.map(|one| u64::from(one.tokens)).sum();
        let tokens = Tokens(tokens) + asked.tools;
        let fits = asked.window.is_none_or(|most| tokens <= most);
        ensure(fits, "what is shown fits the window", || {
            let space = describe(process.memory.space());
            format!("{pid}: {tokens} tokens, {:?}; {space}", asked)
        })?;
        let last = Last { frames: frames.clone(), touched: false };
        let last = self.last.insert(pid, last);
        let same = last.as_ref().map_or(0, |last| {
            last.frames.iter().zip(frames).take_while(|(one, other)| one == other).count()
        });
        ensure(window.unchanged <= same, "what is said to be unchanged is", || {
            let space = describe(process.memory.space());
            format!("{pid}: {} frames, {same} are the same; {space}", window.unchanged)
        })?;
        // A summary may be asked for anew where nothing else is done.
        let whole = last.filter(|last| !last.touched && same == last.frames.len());
        let whole = whole.map_or(0, |last| last.frames.len());
        ensure(window.unchanged >= whole, "where nothing leaves, nothing changes", || {
            format!("{pid}: {} frames of {whole} are unchanged", window.unchanged)
        })
    }
}

/// What the tools take that a call to the model offers.
fn tools_of(input: &Input) -> Option<Tokens> {
    let Input::Syscall { step, .. } = input else { return None };
    let Syscall::Think { tools, .. } = &step.call else { return None };
    Some(*tools)
}

/// Who is to make a summary is shown pages as they stand in the window, in order, and nothing has left
/// for it yet.
fn check_summarised(
    pid: Pid,
    process: &Process,
    window: &Window,
    tokens: Tokens,
) -> Result<(), Rule> {
    let shown = frames_of(process);
    let fine = tokens > Tokens::ZERO
        && window.frames.is_sorted_by(|one, next| one.page < next.page)
        && window.frames.iter().all(|frame| shown.contains(frame));
    let pages = process.state.call().and_then(|call| call.summary.as_ref()).map(|one| one.pages);
    let within = pages.is_some_and(|(first, last)| {
        let within = |frame: &Frame| (first..=last).contains(&frame.page);
        !window.frames.is_empty() && window.frames.iter().all(within)
    });
    // One that was ended meanwhile does not wait for it any more.
    let over = process.state.call().is_none();
    ensure(fine && (within || over), "what is to be summarised is shown as it is", || {
        format!("{pid}: {:?}, {:?}", window.frames, process.state)
    })
}

fn is_of_memory(syscall: &str) -> bool {
    ["think", "recall", "pin", "forget", "begin_task", "end_task"].contains(&syscall)
}

/// What a model must be shown, from the table and the log.
fn frames_of(process: &Process) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut before: Option<&Page> = None;
    for (id, page) in process.memory.space().pages() {
        let from = before.filter(|one| one.source == page.source).map_or(0, |one| one.end);
        before = (id != PageId(0)).then_some(page);
        let form = match page.residency {
            Residency::Resident => Form::Content,
            Residency::Stub if page.summary => {
                let body = process.memory.space().summary(id);
                Form::Summary { pages: page.extent, tokens: page.stand_in, body }
            }
            Residency::Stub => Form::Stub { pages: page.extent, tokens: page.tokens },
            Residency::Evicted | Residency::Closed | Residency::Forgotten => continue,
        };
        let at = usize::try_from(page.source.0).unwrap_or(usize::MAX);
        let Some(body) = process.pages.get(at).filter(|_| id != PageId(0)) else { continue };
        let (source, kind, text) = (page.source, page.kind, (from, page.end));
        frames.push(Frame { page: id, body: body.hash, source, kind, text, form });
    }
    frames
}
