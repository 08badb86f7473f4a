//! A store that fails when told to, for the simulator and for tests of whoever uses a store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aosk_abi::Image;

use crate::error::StoreError;
use crate::store::{Batch, Head, Reader, Store};

#[cfg(test)]
mod tests;

/// How a commit fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitFault {
    /// With this error, before anything is written.
    Refused(StoreError),
    /// With an I/O error, after everything was written: a crash between commit and release.
    Unacknowledged,
}

/// How often commits fail by chance, each in thousandths.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Odds {
    /// With [`StoreError::Full`], before anything is written.
    pub full: u32,
    /// With [`StoreError::Io`], before anything is written.
    pub io: u32,
    /// With [`CommitFault::Unacknowledged`].
    pub unacknowledged: u32,
}

/// A plan of faults. A clone is another handle on the same plan, which counts on when a store is
/// wrapped anew after a crash. The same plan and the same calls give the same faults.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    commits: u64,
    loads: u64,
    on_commit: BTreeMap<u64, CommitFault>,
    on_load: BTreeMap<u64, StoreError>,
    random: u64,
    odds: Odds,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Faults of commits by chance. Equal seeds give equal faults.
    #[must_use]
    pub fn seeded(seed: u64, odds: Odds) -> Self {
        Self { plan: Arc::new(Mutex::new(Plan { random: seed, odds, ..Plan::default() })) }
    }

    /// Makes the commit with this number fail, counted from 1 over the life of the plan.
    pub fn on_commit(&self, number: u64, fault: CommitFault) {
        self.plan().on_commit.insert(number, fault);
    }

    /// Makes the next commit fail.
    pub fn on_next_commit(&self, fault: CommitFault) {
        let mut plan = self.plan();
        let next = plan.commits.saturating_add(1);
        plan.on_commit.insert(next, fault);
    }

    /// Makes the load with this number fail, counted from 1 over the life of the plan.
    pub fn on_load(&self, number: u64, error: StoreError) {
        self.plan().on_load.insert(number, error);
    }

    /// How many commits were tried.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.plan().commits
    }

    /// How many loads were tried.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.plan().loads
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn next_commit(&mut self) -> Option<CommitFault> {
        self.commits = self.commits.saturating_add(1);
        // Drawn also where the script has a word, so that the script does not shift the chances.
        let by_chance = self.draw();
        self.on_commit.remove(&self.commits).or(by_chance)
    }

    fn next_load(&mut self) -> Option<StoreError> {
        self.loads = self.loads.saturating_add(1);
        self.on_load.remove(&self.loads)
    }

    /// Draws the fate of a commit (splitmix64, which is enough to scatter faults).
    fn draw(&mut self) -> Option<CommitFault> {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let drawn = (z ^ (z >> 31)) % 1000;
        let Odds { full, io, unacknowledged } = self.odds;
        let (attempted, reason) = ("commit", || INJECTED.to_owned());
        let bounds = [full, io, unacknowledged].map(u64::from);
        let [full, io, unacknowledged] = bounds;
        if drawn < full {
            Some(CommitFault::Refused(StoreError::Full { attempted, reason: reason() }))
        } else if drawn < full + io {
            Some(CommitFault::Refused(StoreError::Io { attempted, reason: reason() }))
        } else if drawn < full + io + unacknowledged {
            Some(CommitFault::Unacknowledged)
        } else {
            None
        }
    }
}

const INJECTED: &str = "a fault that was asked for";

/// A store with faults. Between them it is the store it wraps.
pub struct Faulty {
    inner: Box<dyn Store>,
    faults: Faults,
}

impl Faulty {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn Store>, faults: &Faults) -> Self {
        Self { inner, faults: faults.clone() }
    }
}

impl Store for Faulty {
    fn load(&mut self) -> Result<Image, StoreError> {
        let fault = self.faults.plan().next_load();
        match fault {
            Some(error) => Err(error),
            None => self.inner.load(),
        }
    }

    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        let fault = self.faults.plan().next_commit();
        match fault {
            Some(CommitFault::Refused(error)) => Err(error),
            Some(CommitFault::Unacknowledged) => {
                self.inner.commit(batches)?;
                Err(StoreError::Io { attempted: "commit", reason: INJECTED.to_owned() })
            }
            None => self.inner.commit(batches),
        }
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.inner.reader()
    }

    fn maintain(&mut self, idle: bool) -> Result<(), StoreError> {
        self.inner.maintain(idle)
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("faults", &self.faults).finish_non_exhaustive()
    }
}
