//! The tasks of a process: what its page table knows of them.

use aosk_abi::{ArenaId, MessageIndex, PageId, Tokens};

use super::Memory;
use crate::memory::Arenas;

/// A task that has just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedTask {
    /// Its number.
    pub arena: ArenaId,
    /// The first and the last of its pages, those of tasks within it included.
    pub pages: Option<(PageId, PageId)>,
    /// How many they are.
    pub count: u32,
    /// What of them is in the window takes so much.
    pub tokens: Tokens,
}

impl Memory {
    /// Of a process that has had these tasks, and whose messages are still to be taken in.
    ///
    /// # Errors
    /// If these cannot be the tasks of a process.
    pub(crate) fn with_tasks(tasks: Arenas) -> Result<Self, String> {
        tasks.check()?;
        let mut memory = Self::new();
        *memory.space.arenas_mut() = tasks;
        Ok(memory)
    }

    /// Begins a task, to which belongs what comes behind so many messages; none if too many are open.
    pub fn begin_task(&mut self, log: MessageIndex) -> Option<ArenaId> {
        self.space.arenas_mut().begin(log)
    }

    /// Ends the task that was begun last. Messages that the page table does not have yet are not its
    /// own; what it has leaves when that pays. None if none is open.
    pub fn end_task(&mut self) -> Option<EndedTask> {
        let arena = self.space.arenas_mut().end()?;
        // Tasks are numbered as they begin, so later ones were within it.
        let pages = self.space.pages().filter(|(_, page)| page.arena >= arena);
        let mut ids = pages.map(|(id, _)| id);
        let first = ids.next();
        let (mut last, mut count) = (first, u32::from(first.is_some()));
        for id in ids {
            last = Some(id);
            count = count.saturating_add(1);
        }
        let shown = self.space.shown().filter(|one| one.page.arena >= arena);
        let tokens = Tokens(shown.map(|one| u64::from(one.tokens)).sum());
        Some(EndedTask { arena, pages: first.zip(last), count, tokens })
    }
}
