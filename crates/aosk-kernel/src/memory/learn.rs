//! How the table of needs follows what is seen.
//!
//! A page that has been idle for 0, 1, 3, 7 ... calls is counted once at each of these ages, and when it
//! is used again, that is counted at every age it had passed. Copies count for their originals.

use std::collections::VecDeque;

use super::page::{PageId, PageKind};
use super::space::AddressSpace;
use super::value::{Feature, NeedTable};

/// Ages that are counted: up to 2^8 - 1 calls. What is idle for longer is as good as dead.
const AGES: u32 = 9;

/// Calls that are remembered: the oldest age.
const CALLS: usize = 1 << (AGES - 1);

/// What has to be remembered of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Call {
    /// Pages that were appended or used before it.
    pages: Vec<PageId>,
    /// The turns of the user begun by then.
    turns: u32,
}

/// What is remembered of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learner {
    calls: VecDeque<Call>,
    /// The number of the last of `calls`.
    step: u32,
    /// Pages of the table that have been noted.
    noted: u32,
}

impl Learner {
    /// Counts the use of a page by what the model said at call number `space.step()`, and notes it in
    /// the address space.
    pub fn touch(&mut self, space: &mut AddressSpace, table: &mut NeedTable, id: PageId) {
        let Some(page) = space.page(id).copied() else { return };
        if page.kind == PageKind::Recalled && page.born == space.step() {
            // That it was needed is counted already: it is why it was brought back.
            space.touch(id);
            return;
        }
        let idle = space.step().saturating_sub(page.last_used);
        for age in 0..AGES {
            let calls = (1_u32 << age) - 1;
            let Some(gap) = idle.checked_sub(calls) else { break };
            let Some(turns) = self.turns_at(page.last_used.saturating_add(calls)) else { break };
            let step = page.last_used.saturating_add(calls);
            table.needed(Feature::of(&page, step, turns), gap.saturating_add(1));
        }
        space.touch(id);
        if let Some(page) = space.page(id) {
            table.seen(Feature::of(page, space.step(), space.turns()));
        }
        self.note(space.step(), id);
    }

    /// Counts the pages that come of age with the call that is about to be made. To be called once
    /// before each call, when all that it sends has been appended.
    pub fn call(&mut self, space: &AddressSpace, table: &mut NeedTable) {
        self.open(space.step(), space.turns());
        // What was there before, and has not been used since, counts for nothing at this age.
        let new = (self.noted..space.pages_u32()).map(PageId);
        let step = space.step();
        for id in new.filter(|id| space.page(*id).is_some_and(|page| page.last_used == step)) {
            self.note(step, id);
        }
        self.noted = space.pages_u32();
        for age in 0..AGES {
            let then = space.step().checked_sub((1 << age) - 1);
            let Some(call) = then.and_then(|then| self.at(then)) else { break };
            let then = then.unwrap_or_default();
            for id in &call.pages {
                if let Some(page) = space.page(*id).filter(|page| page.last_used == then) {
                    table.seen(Feature::of(page, space.step(), space.turns()));
                }
            }
        }
    }

    fn open(&mut self, step: u32, turns: u32) {
        while self.calls.is_empty() || self.step < step {
            self.step = if self.calls.is_empty() { step } else { self.step.saturating_add(1) };
            self.calls.push_back(Call { pages: Vec::new(), turns });
            if self.calls.len() > CALLS {
                self.calls.pop_front();
            }
        }
    }

    fn note(&mut self, step: u32, id: PageId) {
        let Some(back) = self.back(step) else { return };
        if let Some(call) = self.calls.get_mut(back)
            && !call.pages.contains(&id)
        {
            call.pages.push(id);
        }
    }

    fn at(&self, step: u32) -> Option<&Call> {
        self.calls.get(self.back(step)?)
    }

    fn turns_at(&self, step: u32) -> Option<u32> {
        self.at(step).map(|call| call.turns)
    }

    /// Where the call of this number stands.
    fn back(&self, step: u32) -> Option<usize> {
        let ago = usize::try_from(self.step.checked_sub(step)?).ok()?;
        self.calls.len().checked_sub(1)?.checked_sub(ago)
    }
}
