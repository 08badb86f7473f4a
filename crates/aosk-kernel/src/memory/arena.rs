//! The tasks of a process: which are open, and so to which one new pages belong.
//!
//! Tasks are numbered as they begin and stand within one another, so the last that began is the first
//! that ends. A page belongs to the task that was open when its message came, and a result to that of
//! its call. The call that begins a task is before it, and the call that ends it is behind it: both
//! stay when the task is closed, and say what it was for and what came of it.

use aosk_abi::{ArenaId, MessageIndex, limits};
use serde::{Deserialize, Serialize};

/// The tasks of a process.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arenas {
    /// How many were ever begun.
    begun: u32,
    /// Those that are open, the outermost first.
    open: Vec<Open>,
}

/// A task that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    arena: ArenaId,
    /// The first message of the log that belongs to it.
    from: MessageIndex,
}

impl Arenas {
    /// Begins a task that has what enters the log from a place on; none if too many are open.
    pub fn begin(&mut self, from: MessageIndex) -> Option<ArenaId> {
        if self.open.len() >= limits::TASK_DEPTH_MAX {
            return None;
        }
        self.begun = self.begun.checked_add(1)?;
        let arena = ArenaId(self.begun);
        self.open.push(Open { arena, from });
        Some(arena)
    }

    /// Ends the task that was begun last; none if none is open.
    pub fn end(&mut self) -> Option<ArenaId> {
        Some(self.open.pop()?.arena)
    }

    /// Whether there never was a task.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.begun == 0
    }

    /// The open tasks, the outermost first.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = ArenaId> + ExactSizeIterator {
        self.open.iter().map(|open| open.arena)
    }

    /// The task that was begun last of those that are open; [`ArenaId::NONE`] if none is.
    #[must_use]
    pub fn innermost(&self) -> ArenaId {
        self.open.last().map_or(ArenaId::NONE, |open| open.arena)
    }

    /// The task that a message belongs to which the page table is to take in.
    #[must_use]
    pub fn of(&self, source: MessageIndex) -> ArenaId {
        let open = self.open.iter().rev().find(|open| open.from <= source);
        open.map_or(ArenaId::NONE, |open| open.arena)
    }

    /// Whether a task has ended.
    #[must_use]
    pub fn is_over(&self, arena: ArenaId) -> bool {
        arena != ArenaId::NONE && self.open.iter().all(|open| open.arena != arena)
    }

    /// Whether there was ever such a task.
    #[must_use]
    pub fn knows(&self, arena: ArenaId) -> bool {
        arena.0 <= self.begun
    }

    /// Whether these can be the tasks of a process.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        let rises = self.open.is_sorted_by(|one, next| {
            one.arena < next.arena && one.from <= next.from && one.arena != ArenaId::NONE
        });
        let known = self.open.iter().all(|open| open.arena.0 >= 1 && self.knows(open.arena));
        if self.open.len() > limits::TASK_DEPTH_MAX || !rises || !known {
            return Err("its tasks do not stand within one another".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_belongs_to_the_innermost_task_that_is_open() {
        let mut arenas = Arenas::default();
        let outer = arenas.begin(MessageIndex(3)).expect("begins");
        let inner = arenas.begin(MessageIndex(5)).expect("begins");
        let of = |arenas: &Arenas| [2, 3, 4, 5, 9].map(|at| arenas.of(MessageIndex(at)).0);
        assert_eq!(of(&arenas), [0, 1, 1, 2, 2]);
        assert_eq!(arenas.end(), Some(inner));
        assert_eq!(of(&arenas), [0, 1, 1, 1, 1]);
        assert!(arenas.is_over(inner) && !arenas.is_over(outer));
        assert_eq!(arenas.begin(MessageIndex(9)), Some(ArenaId(3)));
        assert_eq!(
            [arenas.end(), arenas.end(), arenas.end()].map(|one| one.is_some()),
            [true, true, false]
        );
    }

    #[test]
    fn tasks_within_one_another_are_bounded() {
        let mut arenas = Arenas::default();
        let begun = (0..20).filter_map(|at| arenas.begin(MessageIndex(at))).count();
        assert_eq!(begun, limits::TASK_DEPTH_MAX);
        assert_eq!(arenas.check(), Ok(()));
        arenas.begun = 3;
        assert!(arenas.check().is_err());
    }
}
