//! Whether a process does the same without end.
//!
//! Three things are counted: turns whose tool calls and results are those of the turn before; messages
//! to the one agent from which the last message came, with nothing but that in between; and attempts to
//! start a process that were refused. Each has a bound from which on the process is told, in the next
//! call of its model, and one at which it is ended. That a step counts as progress is decided here; a
//! process that calls a tool and sees something new is never stopped.

use aosk_abi::{Hash, Notice, Pid, Runaway, limits};
use serde::{Deserialize, Serialize};

/// What is counted of a process.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guard {
    /// The tool calls of the last turn and their results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<Hash>,
    /// How many turns in a row were that.
    #[serde(default)]
    repeats: u32,
    /// To whom the last message went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<Pid>,
    /// How many messages in a row went there, each but the first after one that came from there.
    #[serde(default)]
    exchanges: u32,
    /// Whether a message came from there since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    answered: bool,
    /// Processes that it was refused to start, in a row.
    #[serde(default)]
    refused: u32,
}

/// How far a count is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is wrong.
    Fine,
    /// The process is told.
    Told(Runaway, u32),
    /// The process is ended.
    Ended(Runaway, u32),
}

impl Guard {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A turn of tool calls is over: what was called, and what came of it where that is known.
    pub(crate) fn turn_over(&mut self, turn: Option<Hash>) -> Verdict {
        (self.peer, self.exchanges) = (None, 0);
        self.repeats = if turn.is_some() && turn == self.turn {
            self.repeats.saturating_add(1)
        } else {
            u32::from(turn.is_some())
        };
        self.turn = turn;
        verdict(Runaway::Repeats, self.repeats, limits::REPEATS_TOLD, limits::REPEATS_MAX)
    }

    /// A message goes to another agent.
    pub(crate) fn sent(&mut self, to: Pid) -> Verdict {
        if self.peer == Some(to) {
            self.exchanges = self.exchanges.saturating_add(u32::from(self.answered));
        } else {
            self.exchanges = 1;
        }
        (self.peer, self.answered) = (Some(to), false);
        verdict(Runaway::Exchanges, self.exchanges, limits::EXCHANGES_TOLD, limits::EXCHANGES_MAX)
    }

    /// A message came from somebody else than the agent that the last one went to.
    pub(crate) fn received(&mut self, from: Option<Pid>) {
        if from == self.peer {
            self.answered = true;
        } else {
            (self.peer, self.exchanges) = (None, 0);
        }
    }

    /// A process was started, or was refused to be.
    pub(crate) fn spawned(&mut self, started: bool) -> Verdict {
        (self.peer, self.exchanges) = (None, 0);
        self.refused = if started { 0 } else { self.refused.saturating_add(1) };
        verdict(Runaway::Spawns, self.refused, u32::MAX, limits::SPAWNS_REFUSED_MAX)
    }

    /// What the model is to be told.
    pub(crate) fn notice(&self) -> Option<Notice> {
        let told = [
            (Runaway::Repeats, self.repeats, limits::REPEATS_TOLD),
            (Runaway::Exchanges, self.exchanges, limits::EXCHANGES_TOLD),
        ];
        let found = told.into_iter().find(|(_, times, bound)| times >= bound);
        found.map(|(what, times, _)| Notice::Runaway { what, times })
    }
}

fn verdict(what: Runaway, times: u32, told: u32, most: u32) -> Verdict {
    if times >= most {
        Verdict::Ended(what, times)
    } else if times >= told {
        Verdict::Told(what, times)
    } else {
        Verdict::Fine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(text: &str) -> Option<Hash> {
        Some(Hash::of(text.as_bytes()))
    }

    #[test]
    fn the_same_turn_is_told_of_and_then_ends_it() {
        let mut guard = Guard::default();
        for times in 1..limits::REPEATS_TOLD {
            assert_eq!(guard.turn_over(turn("a")), Verdict::Fine, "{times}");
            assert_eq!(guard.notice(), None);
        }
        for times in limits::REPEATS_TOLD..limits::REPEATS_MAX {
            assert_eq!(guard.turn_over(turn("a")), Verdict::Told(Runaway::Repeats, times));
            assert_eq!(guard.notice(), Some(Notice::Runaway { what: Runaway::Repeats, times }));
        }
        let most = limits::REPEATS_MAX;
        assert_eq!(guard.turn_over(turn("a")), Verdict::Ended(Runaway::Repeats, most));
    }

    #[test]
    fn something_new_begins_the_count_anew() {
        let mut guard = Guard::default();
        for round in 0..100 {
            assert_eq!(guard.turn_over(turn(&(round / 3).to_string())), Verdict::Fine, "{round}");
            assert_eq!(guard.turn_over(None), Verdict::Fine);
        }
    }

    #[test]
    fn two_that_only_talk_are_told_of_and_one_that_works_is_not() {
        let mut guard = Guard::default();
        for round in 0..1_000 {
            assert_eq!(guard.sent(Pid(2)), Verdict::Fine, "{round}");
            guard.received(Some(Pid(2)));
            if round % 20 == 0 {
                guard.turn_over(turn(&round.to_string()));
            }
        }
        let mut guard = Guard::default();
        let verdicts: Vec<_> = (0..limits::EXCHANGES_MAX)
            .map(|_| {
                guard.received(Some(Pid(2)));
                guard.sent(Pid(2))
            })
            .collect();
        assert_eq!(verdicts.iter().filter(|one| **one == Verdict::Fine).count(), 31);
        let ended = Verdict::Ended(Runaway::Exchanges, limits::EXCHANGES_MAX);
        assert_eq!(verdicts.last(), Some(&ended));
    }

    #[test]
    fn messages_that_nobody_answers_are_no_exchange() {
        let mut guard = Guard::default();
        for _ in 0..1_000 {
            assert_eq!(guard.sent(Pid(2)), Verdict::Fine);
        }
    }

    #[test]
    fn a_word_from_a_third_begins_the_count_anew() {
        let mut guard = Guard::default();
        for _ in 0..100 {
            assert_eq!(guard.sent(Pid(2)), Verdict::Fine);
            guard.received(None);
        }
    }
}
