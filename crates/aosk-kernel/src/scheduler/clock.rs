//! Virtual time: service divided by weight.
//!
//! Those who compete at one level of one queue have each a virtual time, which is what they were
//! served divided by their weight. The one that is furthest behind goes first, so all advance
//! together, which is what their shares say. The level has a clock. Who comes anew begins there and
//! not at zero, or it would have a claim on the past.
//!
//! Among groups the one that has got least far goes first, by start as in start-time fair queueing
//! (Goyal, Vin, Cheng 1996); among processes the one that would be least far after its call, by finish
//! as in weighted fair queueing (Demers, Keshav, Shenker 1989), so that of two that are equally far
//! behind, the shorter call goes first.
//!
//! The clock is the furthest start of who was chosen; newcomers begin ahead of it, by what a fluid
//! system would have given each since it moved last: where others wait, a call that ends adds what it
//! took, divided by the weight of who made it and by how many compete. On average over those who are
//! served as their weights say, that is the service of all divided by the sum of all weights. Did
//! newcomers begin at the clock itself, a stream of them, each gone after a call, would keep whoever is
//! further ahead waiting for ever.

use aosk_abi::limits;
use serde::{Deserialize, Serialize};

use super::weight;

/// The priority in the middle.
const MIDDLE: u8 = 50;

/// Units of virtual time that a unit of service takes at weight 1.
const SCALE: u128 = 1 << 16;

/// The virtual time that so much service takes at a weight.
pub(crate) fn virtual_time(service: u64, weight: u64) -> u64 {
    let time = u128::from(service) * SCALE / u128::from(weight.max(1));
    u64::try_from(time).unwrap_or(u64::MAX)
}

/// Where one that becomes ready begins, if it has been served so much and its level is there. Who
/// waited for something else keeps a bounded claim on what it did not use meanwhile.
pub(crate) fn start(served: Option<u64>, level: Standing, weight: u64) -> u64 {
    let credit = virtual_time(limits::SERVICE_CREDIT, weight);
    let anew = level.clock.saturating_add(level.ahead);
    served.map_or(anew, |served| served.max(level.clock.saturating_sub(credit)))
}

impl Standing {
    /// One that began at `start` was chosen right under it.
    pub(crate) fn chose(&mut self, start: u64) {
        self.ahead = self.ahead.saturating_sub(start.saturating_sub(self.clock));
        self.clock = self.clock.max(start);
    }

    /// A fluid system would have given each of those right under it so much. What the clock does not
    /// follow is not collected for ever.
    pub(crate) fn flowed(&mut self, each: u64) {
        let most = virtual_time(limits::SERVICE_CREDIT, weight(MIDDLE));
        self.ahead = self.ahead.saturating_add(each).min(most);
    }
}

/// Where a tenant or group stands in one queue.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Its own virtual time, among those beside it.
    pub(crate) served: u64,
    /// The clock of those right under it.
    pub(crate) clock: u64,
    /// How far ahead of that newcomers begin.
    #[serde(default)]
    pub(crate) ahead: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_has_no_claim_on_the_past() {
        let mut level = Standing { clock: 1_000_000, ..Standing::default() };
        assert_eq!(start(None, level, 1_024), 1_000_000);
        level.flowed(500);
        level.flowed(200);
        assert_eq!(start(None, level, 1_024), 1_000_700);
        level.chose(1_000_400);
        assert_eq!((level.clock, start(None, level, 1_024)), (1_000_400, 1_000_700));
        level.chose(2_000_000);
        assert_eq!(start(None, level, 1_024), 2_000_000);
    }

    #[test]
    fn who_is_ahead_stays_ahead_and_who_slept_has_a_bounded_claim() {
        let credit = virtual_time(limits::SERVICE_CREDIT, 1_024);
        let clock = credit * 10;
        let level = Standing { clock, ahead: 7, ..Standing::default() };
        assert_eq!(start(Some(clock + 5), level, 1_024), clock + 5);
        assert_eq!(start(Some(clock - 5), level, 1_024), clock - 5);
        assert_eq!(start(Some(0), level, 1_024), clock - credit);
    }

    #[test]
    fn twice_the_weight_is_half_the_time() {
        assert_eq!(virtual_time(1_000, 1_024), 2 * virtual_time(1_000, 2_048));
        assert_eq!(virtual_time(u64::MAX, 0), u64::MAX);
    }
}
