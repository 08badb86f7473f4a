//! What must be true of a kernel that is stopped in order, and of the next boot.

use aosk_abi::{CallId, Fact, Release};
use aosk_kernel::{Asked, Kernel, State};

use super::{Checker, Rule, ensure};

/// How far the kernel is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shutdown {
    /// It was not asked to stop.
    Not,
    Draining,
    /// Its time is over.
    CutOff,
    /// It was stopped with nothing in flight and has not begun again.
    InOrder,
}

impl Checker {
    /// The kernel is about to be stopped.
    pub(crate) fn drains(&mut self) {
        self.shutdown = Shutdown::Draining;
    }

    /// The time for calls in flight to end is over: nothing reaches devices any more.
    pub(crate) fn cut_off(&mut self) {
        self.shutdown = Shutdown::CutOff;
    }

    /// Judges the kernel at its end: all that it decided is kept, and has left.
    pub(crate) fn stopped(&mut self, kernel: &Kernel, in_order: bool) -> Result<(), Rule> {
        let rule = "a shutdown loses nothing";
        ensure(self.due.is_empty(), rule, || format!("{:?} has not left", self.due))?;
        let decided = &self.decided;
        let none = decided.facts.is_empty() && decided.releases.is_empty();
        ensure(none, rule, || format!("not committed: {decided:?}"))?;
        ensure(kernel.rows() == self.kept_rows, rule, || "rows are not committed".to_owned())?;
        let late = kernel.processes().filter_map(|(pid, process)| {
            let State::Running { call, asked: Asked::Late, .. } = process.state.inner() else {
                return None;
            };
            Some(CallId { pid, number: call.number })
        });
        self.late = late.collect();
        let (next, name) = if in_order {
            (Shutdown::InOrder, "shutdown in order")
        } else {
            (Shutdown::Not, "shutdown cut off")
        };
        self.shutdown = next;
        self.seen.insert(name.to_owned());
        Ok(())
    }

    /// A kernel that is about to be stopped decides on no further call.
    pub(super) fn check_drains(&self, release: &Release) -> Result<(), Rule> {
        let draining = matches!(self.shutdown, Shutdown::Draining | Shutdown::CutOff);
        let call = matches!(release, Release::Think { .. } | Release::Tool(_));
        ensure(!(draining && call), "a draining kernel starts no call", || format!("{release:?}"))
    }

    /// What a boot finds in flight after a shutdown that was not cut off: nothing, but for calls that
    /// had been cut off for their time and of whose end nothing was ever heard.
    pub(super) fn check_boot(&mut self, fact: &Fact) -> Result<(), Rule> {
        let Fact::Booted { asked_again, called_again, interrupted, .. } = fact else {
            return Ok(());
        };
        let in_order = std::mem::replace(&mut self.shutdown, Shutdown::Not) == Shutdown::InOrder;
        let waited_for = asked_again.iter().any(|call| !self.late.contains(call));
        let idle = !waited_for && called_again.is_empty() && interrupted.is_empty();
        ensure(idle || !in_order, "a shutdown in order leaves no call in flight", || {
            format!("{fact:?}")
        })
    }

    /// Of these effects, those that still leave when they are committed.
    pub(super) fn still_due(&mut self, releases: Vec<Release>) -> Vec<Release> {
        if self.shutdown != Shutdown::CutOff {
            return releases;
        }
        let all = releases.len();
        let left: Vec<_> = releases.into_iter().filter(leaves_after_cut_off).collect();
        if left.len() < all {
            self.seen.insert("cut off before it left".to_owned());
        }
        left
    }
}

/// Whether the effect leaves although the time for a shutdown is over: devices get nothing then, and
/// the next boot takes up what they did not get.
pub(crate) fn leaves_after_cut_off(release: &Release) -> bool {
    match release {
        Release::Think { .. }
        | Release::Tool(_)
        | Release::Cancel { .. }
        | Release::Yield { .. } => false,
        Release::Reply { .. } => true,
    }
}
