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
//! The clock is what a fluid system would have given each: where others wait, a call that ends moves
//! it on by what the call took, divided by the weight of who made it and by how many compete. On
//! average over those who are served as their weights say, that is the service of all divided by the
//! sum of all weights. Without it, those who come anew and are gone after a call would all begin where
//! the clock stands, and keep whoever is further ahead waiting for ever. And the clock is never behind
//! the start of who is chosen.

use aosk_abi::limits;
use serde::{Deserialize, Serialize};

/// Units of virtual time that a unit of service takes at weight 1.
const SCALE: u128 = 1 << 16;

/// The virtual time that so much service takes at a weight.
pub(crate) fn virtual_time(service: u64, weight: u64) -> u64 {
    let time = u128::from(service) * SCALE / u128::from(weight.max(1));
    u64::try_from(time).unwrap_or(u64::MAX)
}

/// Where one that becomes ready begins, if it has been served so much and the clock of its level is
/// there. Who waited for something else keeps a bounded claim on what it did not use meanwhile.
pub(crate) fn start(served: Option<u64>, clock: u64, weight: u64) -> u64 {
    let credit = virtual_time(limits::SERVICE_CREDIT, weight);
    served.map_or(clock, |served| served.max(clock.saturating_sub(credit)))
}

/// Where a tenant or group stands in one queue.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Its own virtual time, among those beside it.
    pub(crate) served: u64,
    /// The clock of those right under it.
    pub(crate) clock: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_has_no_claim_on_the_past() {
        assert_eq!(start(None, 1_000_000, 1_024), 1_000_000);
    }

    #[test]
    fn who_is_ahead_stays_ahead_and_who_slept_has_a_bounded_claim() {
        let credit = virtual_time(limits::SERVICE_CREDIT, 1_024);
        let clock = credit * 10;
        assert_eq!(start(Some(clock + 5), clock, 1_024), clock + 5);
        assert_eq!(start(Some(clock - 5), clock, 1_024), clock - 5);
        assert_eq!(start(Some(0), clock, 1_024), clock - credit);
    }

    #[test]
    fn twice_the_weight_is_half_the_time() {
        assert_eq!(virtual_time(1_000, 1_024), 2 * virtual_time(1_000, 2_048));
        assert_eq!(virtual_time(u64::MAX, 0), u64::MAX);
    }
}
