//! For how long a process waited for a model, was answered by one, and was held back.

use aosk_abi::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

use super::{State, Wait};

/// What the time of a process went to, as far as it has to do with models. What was under way when a
/// kernel ended is not counted: nobody knows when that was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// It was ready and waited for a slot. While it waits all of it is here.
    pub waited: Millis,
    /// It held a slot.
    pub ran: Millis,
    /// It waited for room in a budget or in rates, for a device that is left alone after a refusal, or for
    /// the next attempt of a call that failed.
    pub throttled: Millis,
    /// What it is in now, and since when; none if it is in none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<(Phase, Timestamp)>,
    /// For how long its queue had been held back when it began to wait in it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub held: Millis,
}

fn is_none(held: &Millis) -> bool {
    *held == Millis::ZERO
}

/// One of the things that time goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// [`Times::waited`].
    Waits,
    /// [`Times::ran`].
    Runs,
    /// [`Times::throttled`].
    Throttled,
}

impl Times {
    /// The same with what is under way counted until `now`.
    #[must_use]
    pub fn until(mut self, now: Timestamp) -> Self {
        if let Some((phase, since)) = self.phase {
            let took = now.since(since);
            let sum = match phase {
                Phase::Waits => &mut self.waited,
                Phase::Runs => &mut self.ran,
                Phase::Throttled => &mut self.throttled,
            };
            sum.0 = sum.0.saturating_add(took.0);
            self.phase = Some((phase, now));
        }
        self
    }

    /// Whether it has never asked a model.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The process is in another phase from `now` on, or in none. One that stays in its phase stays as
    /// it is. `held` is for how long the queue was held back until now in which it is or was; none if that
    /// is not known.
    pub(crate) fn enter(&mut self, now: Timestamp, phase: Option<Phase>, held: Option<Millis>) {
        let was = self.phase.map(|(phase, _)| phase);
        if was == phase {
            return;
        }
        let waited = self.waited;
        *self = self.until(now);
        if was == Some(Phase::Waits) {
            let wait = self.waited.0.saturating_sub(waited.0);
            let throttled = held.map_or(0, |held| held.0.saturating_sub(self.held.0)).min(wait);
            self.waited.0 = self.waited.0.saturating_sub(throttled);
            self.throttled.0 = self.throttled.0.saturating_add(throttled);
        }
        let waits = phase == Some(Phase::Waits);
        self.held = held.filter(|_| waits).unwrap_or_default();
        self.phase = phase.map(|phase| (phase, now));
    }
}

impl Phase {
    /// What a process in this state is in. A stopped one wants nothing; what it has in flight goes on.
    pub(crate) fn of(state: &State) -> Option<Self> {
        match state {
            State::Ready { .. } => Some(Self::Waits),
            State::Running { .. } => Some(Self::Runs),
            State::Waiting { on: Wait::Backoff { .. } | Wait::Quota { .. } } => {
                Some(Self::Throttled)
            }
            State::Stopped { was } if matches!(**was, State::Running { .. }) => Some(Self::Runs),
            State::Program { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Exiting { .. }
            | State::Zombie { .. } => None,
        }
    }
}
