//! Commit and act: a batch is handed to the store, and what waits for it leaves when the store has
//! confirmed it. At most one commit is in flight; nothing leaves earlier.

use aosk_abi::{CallId, Effects, Fact, Millis, Release, Tokens, Window};
use aosk_kernel::State;
use aosk_store::{Batch, StoreError};

use super::fate::Fate;
use super::{Event, Phase, World};
use crate::checker::{HandedOver, Rule, is_awaited, leaves_after_cut_off};
use crate::content::PAGE_TOKENS;
use crate::defect::{Defect, ShellMutant};
use crate::rng::{About, Rng};
use crate::store::Committed;

/// A commit in flight, and what it holds back.
#[derive(Debug)]
pub(super) struct Committing {
    batch: Batch,
    releases: Vec<Release>,
    /// What must be found in the store if it is kept.
    then: HandedOver,
}

impl World<'_> {
    /// Hands over what there is, unless a commit is in flight. It will take a while.
    pub(super) fn begin_commit(&mut self) -> Result<(), Rule> {
        let nothing = self.fx.journal.is_empty() && self.fx.releases.is_empty();
        if self.committing.is_some() && !nothing {
            self.checker.seen.insert("decided in flight".to_owned());
        }
        if self.committing.is_some() || (nothing && self.kernel.is_flushed()) {
            return Ok(());
        }
        self.hand_over()?;
        let at = self.now.after(self.commit_time());
        self.schedule(at, Event::Commit);
        Ok(())
    }

    /// How long a commit takes: often so little that nothing comes meanwhile, sometimes so long that
    /// calls are given up before they leave.
    fn commit_time(&self) -> Millis {
        let mut rng = Rng::of(self.case.seed, About::Commit, &[self.report.batches, 0]);
        Millis(match rng.below(10) {
            0..3 => 0,
            3..6 => rng.between(1, 50),
            6..9 => rng.between(50, 2_000),
            _ => rng.between(2_000, 15_000),
        })
    }

    /// Hands everything that came of inputs to the store.
    pub(super) fn hand_over(&mut self) -> Result<(), Rule> {
        // Readers outside would be told of these.
        drop(self.kernel.take_ended());
        self.kernel.flush(&mut self.fx);
        let then = self.checker.handed_over(&self.kernel);
        let Effects { bodies, rows, journal, mut releases, .. } = std::mem::take(&mut self.fx);
        if self.is_broken(ShellMutant::ReleasedAtHandOver) {
            self.release(std::mem::take(&mut releases), Fate::Lives)?;
        }
        let batch = Batch { rows, journal, bodies };
        self.committing = Some(Committing { batch, releases, then });
        Ok(())
    }

    /// The time of the commit in flight is over.
    pub(super) fn commit_done(&mut self) -> Result<(), Rule> {
        let fate = self.fate();
        if let Fate::DiesDeciding(_) | Fate::DiesBeforeHandOver = fate {
            return self.die("in flight");
        }
        self.confirm(fate)?;
        if self.phase == Phase::Down { Ok(()) } else { self.begin_commit() }
    }

    /// The store takes the batch or does not, and says so unless the kernel dies first.
    pub(super) fn confirm(&mut self, fate: Fate) -> Result<(), Rule> {
        let Some(mut committing) = self.committing.take() else {
            return Ok(());
        };
        if fate == Fate::DiesInFlight {
            self.disk.die_after_next_commit();
        }
        let mut releases = std::mem::take(&mut committing.releases);
        match self.keep(committing)? {
            Committed::Acknowledged => {}
            Committed::Unacknowledged => return self.die("unconfirmed"),
            Committed::Lost if self.is_broken(ShellMutant::FailureIgnored) => {}
            Committed::Lost => return self.die("not kept"),
        }
        if self.is_broken(ShellMutant::ReleasedWithAnother) {
            releases.append(&mut self.fx.releases);
        }
        if self.is_broken(ShellMutant::HeldBackForgotten) {
            self.fx = Effects::default();
        }
        if self.phase == Phase::CutOff && !self.is_broken(ShellMutant::CutOffIgnored) {
            releases.retain(leaves_after_cut_off);
        }
        self.release(releases, fate)
    }

    /// Lets the store have the batch, and judges what it has then.
    pub(super) fn keep(&mut self, committing: Committing) -> Result<Committed, Rule> {
        let Committing { batch, then, .. } = committing;
        let failed = |error: StoreError| Rule("the store takes every batch", error.to_string());
        let committed = self.disk.commit(&batch).map_err(failed)?;
        if committed != Committed::Lost {
            self.report.commits += 1;
            let exits = batch.journal.iter().filter(|e| matches!(e.fact, Fact::Exited { .. }));
            self.report.exits += u64::try_from(exits.count()).unwrap_or(0);
            self.report.facts += u64::try_from(batch.journal.len()).unwrap_or(0);
            let image = self.disk.load().map_err(failed)?;
            self.checker.committed(then, &image, self.disk.reader().as_ref(), &batch.rows)?;
        }
        Ok(committed)
    }

    /// What becomes of the commit in flight when the kernel dies: the store keeps the batch whole, or
    /// nothing of it.
    pub(super) fn abandon_commit(&mut self) -> Result<(), Rule> {
        let Some(mut committing) = self.committing.take() else {
            return Ok(());
        };
        self.events.retain(|_, event| !matches!(event, Event::Commit));
        let mut rng = Rng::of(self.case.seed, About::Commit, &[self.report.batches, 1]);
        if rng.chance(500) {
            self.checker.seen.insert("in flight, lost".to_owned());
            return Ok(());
        }
        if self.is_broken(ShellMutant::BatchTorn) {
            committing.batch.journal.clear();
        }
        self.checker.seen.insert("in flight, kept".to_owned());
        self.keep(committing).map(drop)
    }

    /// Lets the effects out, in order.
    fn release(&mut self, releases: Vec<Release>, fate: Fate) -> Result<(), Rule> {
        let mut left = if let Fate::DiesReleasing(after) = fate { after } else { u64::MAX };
        for release in releases {
            if left == 0 {
                return self.die("releasing");
            }
            left -= 1;
            self.checker.released(&release)?;
            match release {
                Release::Think {
                    call,
                    attempt,
                    device: _,
                    window,
                    options,
                    begun: _,
                    notice: _,
                } => {
                    if self.still_lives(call, attempt) {
                        let input = self.input_of(call, &window);
                        self.think(call, attempt, input, &options)?;
                    }
                }
                Release::Tool(start) => {
                    if self.still_lives(start.call, start.attempt) {
                        self.call_tool(&start)?;
                    }
                }
                Release::Cancel { call, attempt } => self.cancel(call, attempt),
                Release::Yield { call, attempt } => self.give_up_slot(call, attempt),
                Release::Reply { .. } => self.report.replies += 1,
            }
        }
        self.checker.check_in_flight(&self.kernel)
    }

    /// What is reserved for what a call shows; a guess if it was given up meanwhile.
    fn input_of(&self, call: CallId, window: &Window) -> Tokens {
        let state = self.kernel.process(call.pid).map(|process| process.state.inner());
        match state {
            Some(State::Running { call: running, .. }) if running.number == call.number => {
                running.input
            }
            Some(_) | None => {
                let frames = u64::try_from(window.frames.len()).unwrap_or(0);
                Tokens(frames.saturating_mul(PAGE_TOKENS))
            }
        }
    }

    /// Whether who asked for a call is not gone. A call of one that is gone is not made; one that
    /// was given up meanwhile is, and its cancellation leaves with a later commit.
    fn still_lives(&mut self, call: CallId, attempt: u32) -> bool {
        let Some(process) = self.kernel.process(call.pid) else {
            self.checker.seen.insert("gone before its call left".to_owned());
            return false;
        };
        if !is_awaited(process, call, attempt) {
            self.checker.seen.insert("given up before it left".to_owned());
        }
        true
    }

    pub(super) fn is_broken(&self, mutant: ShellMutant) -> bool {
        self.case.defect == Some(Defect::Shell(mutant))
    }
}
