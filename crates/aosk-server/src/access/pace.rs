//! How many requests an address may send.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use aosk_abi::Timestamp;

use crate::limits::{PEERS_MAX, REQUESTS_PER_SECOND};

/// One second of an address.
#[derive(Debug, Clone, Copy)]
struct Second {
    began: Timestamp,
    requests: u32,
}

/// The requests of the running second, by address.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    seconds: Mutex<HashMap<IpAddr, Second>>,
}

impl Pace {
    /// Counts a request, and says whether it may be answered.
    pub(crate) fn admits(&self, peer: IpAddr, now: Timestamp) -> bool {
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |second: &Second| now.since(second.began).0 >= 1_000;
        if seconds.len() >= PEERS_MAX && !seconds.contains_key(&peer) {
            seconds.retain(|_, second| !is_over(second));
            if seconds.len() >= PEERS_MAX {
                return false;
            }
        }
        let second = seconds.entry(peer).or_insert(Second { began: now, requests: 0 });
        if is_over(second) {
            *second = Second { began: now, requests: 0 };
        }
        second.requests = second.requests.saturating_add(1);
        second.requests <= REQUESTS_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    #[test]
    fn a_second_has_so_many_requests_for_each_address() {
        let pace = Pace::default();
        let at = Timestamp;
        for _ in 0..REQUESTS_PER_SECOND {
            assert!(pace.admits(address(1), at(5)));
        }
        assert!(!pace.admits(address(1), at(1_004)));
        assert!(pace.admits(address(2), at(1_004)), "another address has its own");
        assert!(pace.admits(address(1), at(1_005)), "the next second begins anew");
    }

    #[test]
    fn no_more_addresses_are_counted_than_the_bound_and_quiet_ones_are_forgotten() {
        let pace = Pace::default();
        for number in 0..u32::try_from(PEERS_MAX).expect("fits") {
            assert!(pace.admits(address(number), Timestamp(0)));
        }
        assert!(!pace.admits(address(u32::MAX), Timestamp(999)));
        assert!(pace.admits(address(u32::MAX), Timestamp(1_000)));
    }
}
