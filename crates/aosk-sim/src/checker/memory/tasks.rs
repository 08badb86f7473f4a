//! The tasks of a process, from what it asked alone: to which of them each page belongs, and when its
//! pages may leave with it.

use std::collections::BTreeSet;

use aosk_abi::{
    ArenaId, ErrorCode, Fact, Input, MessageIndex, PageId, PageKind, Syscall, Tokens, limits,
};
use aosk_kernel::memory::Residency;

use super::super::{Rule, ensure};
use super::change::Change;

/// The tasks of one process.
#[derive(Debug, Default, Clone)]
pub(in super::super) struct Tasks {
    begun: u32,
    /// Those that are open, with the messages that the log had when each began.
    open: Vec<(ArenaId, MessageIndex)>,
}

impl Tasks {
    /// Judges what an input did to the tasks of its process, and takes note of it.
    pub(super) fn check(
        &mut self,
        change: &Change<'_>,
        input: &Input,
        seen: &mut BTreeSet<String>,
    ) -> Result<(), Rule> {
        self.check_closed(change, seen)?;
        self.check_new(change)?;
        for fact in &change.facts {
            if let Fact::TaskBegun { task, within, .. } = fact {
                self.check_begin(change, *task, *within)?;
                seen.insert(format!("task {} deep", self.open.len()));
            }
            if let Fact::TaskEnded { task, pages, tokens, .. } = fact {
                self.check_end(change, input, *task, (*pages, *tokens))?;
            }
            if let Fact::Refused { syscall, code: ErrorCode::MemoryTask, .. } = fact {
                let fine = match syscall.as_str() {
                    "begin_task" => self.open.len() >= limits::TASK_DEPTH_MAX,
                    _ => self.open.is_empty() || is_empty(input),
                };
                ensure(fine, "what can be begun or ended is", || change.pid.to_string())?;
            }
        }
        let open = change.process.memory.space().arenas().open();
        let same = open.eq(self.open.iter().map(|(task, _)| *task));
        ensure(same, "the tasks that are open are those that were begun and not ended", || {
            format!("{}: {:?}, by the table {:?}", change.pid, self.open, arenas(change))
        })
    }

    fn check_begin(
        &mut self,
        change: &Change<'_>,
        task: ArenaId,
        within: ArenaId,
    ) -> Result<(), Rule> {
        let outer = self.open.last().map_or(ArenaId::NONE, |(task, _)| *task);
        let fine =
            task.0 == self.begun + 1 && within == outer && self.open.len() < limits::TASK_DEPTH_MAX;
        ensure(fine, "tasks are numbered and stand within one another", || {
            format!("{}: {task:?} within {within:?}, {:?}", change.pid, self.open)
        })?;
        self.begun = task.0;
        self.open.push((task, change.process.page_count()));
        Ok(())
    }

    fn check_end(
        &mut self,
        change: &Change<'_>,
        input: &Input,
        task: ArenaId,
        told: (u32, Tokens),
    ) -> Result<(), Rule> {
        let last = self.open.pop();
        let is_last = last.is_some_and(|(last, _)| last == task);
        ensure(is_last && !is_empty(input), "the task that was begun last ends", || {
            format!("{}: {task:?} of {last:?}", change.pid)
        })?;
        let space = change.process.memory.space();
        let pages = space.pages().filter(|(_, page)| page.arena >= task).count();
        let shown = space.shown().filter(|one| one.page.arena >= task);
        let tokens: u64 = shown.map(|one| u64::from(one.tokens)).sum();
        let fine = usize::try_from(told.0) == Ok(pages) && told.1 == Tokens(tokens);
        ensure(fine, "a task that ends has the pages that it is said to have", || {
            format!("{}: told {told:?}, by the table {pages} of {tokens}", change.pid)
        })
    }

    /// What is new belongs to the task that was open when it came, and a result to that of its call.
    fn check_new(&self, change: &Change<'_>) -> Result<(), Rule> {
        let space = change.process.memory.space();
        let first = change.old.space.pages_u32();
        let mut call = space
            .pages()
            .take_while(|(id, _)| id.0 < first)
            .filter(|(_, page)| page.kind == PageKind::Assistant)
            .last()
            .map(|(_, page)| page.arena);
        for (id, page) in (first..space.pages_u32()).map(PageId).zip(
            space.pages().skip(usize::try_from(first).unwrap_or(usize::MAX)).map(|(_, page)| page),
        ) {
            let open = self.open.iter().rev().find(|(_, from)| *from <= page.source);
            let own = open.map_or(ArenaId::NONE, |(task, _)| *task);
            let answers = page.group.0 != page.source.0.saturating_add(1);
            let expected = call.filter(|_| answers).unwrap_or(own);
            if page.kind == PageKind::Assistant {
                call = Some(own);
            }
            ensure(page.arena == expected, "a page belongs to the task of its message", || {
                format!("{}: {id:?} is of {:?}, not {expected:?}", change.pid, page.arena)
            })?;
        }
        Ok(())
    }

    /// Pages leave with their task when it has ended, and no sooner.
    fn check_closed(&self, change: &Change<'_>, seen: &mut BTreeSet<String>) -> Result<(), Rule> {
        for (id, (_, after)) in change.moved() {
            let page = change.process.memory.space().page(id);
            let arena = page.map_or(ArenaId::NONE, |page| page.arena);
            let is_open = self.open.iter().any(|(task, _)| *task == arena);
            if after == Residency::Closed {
                seen.insert("closed with its task".to_owned());
            }
            let early = is_open || arena == ArenaId::NONE;
            ensure(
                after != Residency::Closed || !early,
                "what leaves with a task is of one that has ended",
                || format!("{}: {id:?} of {arena:?}, {:?}", change.pid, self.open),
            )?;
        }
        Ok(())
    }
}

fn arenas(change: &Change<'_>) -> Vec<ArenaId> {
    change.process.memory.space().arenas().open().collect()
}

/// Whether an input ends a task with nothing to show for it.
fn is_empty(input: &Input) -> bool {
    let Input::Syscall { step, .. } = input else { return false };
    let Syscall::EndTask { result } = &step.call else { return false };
    result.message().text().trim().is_empty()
}
