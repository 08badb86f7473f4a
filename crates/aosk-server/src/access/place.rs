//! For whom a connection takes a place: for its address until a token is shown, then for the caller.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use aosk_abi::{Error, ErrorCode};

use super::Caller;
use super::caller::Share;
use super::share::{Counts, Shares, Taken};
use crate::limits::{CALLER_CONNECTIONS_MAX, UNKNOWN_CONNECTIONS_MAX};

/// Connections on which nobody has shown a token, by address.
#[derive(Debug)]
pub(crate) struct Unknown(Arc<Counts<IpAddr>>);

impl Default for Unknown {
    fn default() -> Self {
        Self(Counts::new(UNKNOWN_CONNECTIONS_MAX))
    }
}

impl Unknown {
    /// A place for a connection from this address; none if it has as many as it may.
    pub(crate) fn place(&self, address: IpAddr) -> Option<Place> {
        let taken = self.0.take(network(address), 1)?;
        Some(Place(Arc::new(Mutex::new(Of::Address { _taken: taken }))))
    }
}

/// Whoever has one address of IPv6 has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The place of one connection. It is given back when the last copy is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Place(Arc<Mutex<Of>>);

#[derive(Debug)]
enum Of {
    /// The unix socket is its owner's.
    Owner,
    Address {
        _taken: Taken<IpAddr>,
    },
    Caller {
        taken: Taken<Share>,
    },
}

impl Place {
    /// One of the unix socket.
    pub(crate) fn on_socket() -> Self {
        Self(Arc::new(Mutex::new(Of::Owner)))
    }

    /// Counts it for the caller from now on.
    ///
    /// # Errors
    /// If the caller has as many connections as it may.
    pub(crate) fn pass_to(&self, caller: &Caller, shares: &Shares) -> Result<(), Error> {
        let Some(share) = caller.share() else { return Ok(()) };
        let mut of = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*of, Of::Caller { taken } if *taken.key() == share) {
            return Ok(());
        }
        let taken = shares.connections.take(share, 1).ok_or_else(|| {
            let text = format!(
                "asking as {}: there are {CALLER_CONNECTIONS_MAX} connections of it already",
                caller.name
            );
            Error::new(ErrorCode::ApiRateLimited, text).hint("end some of them, or use them again")
        })?;
        *of = Of::Caller { taken };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let network = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::"));
        assert_ne!(network("2001:db8:1:2::"), network("2001:db8:1:3::"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn an_address_has_so_many_places_until_it_is_known_who_asks() {
        let (unknown, shares) = (Unknown::default(), Shares::default());
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut places: Vec<_> = (0..UNKNOWN_CONNECTIONS_MAX)
            .map(|_| unknown.place(address).expect("there is room"))
            .collect();
        assert!(unknown.place(address).is_none());
        assert!(unknown.place(IpAddr::from([192, 0, 2, 2])).is_some());
        let known = places.pop().expect("there are some");
        let caller = Caller::for_tests("t", None);
        known.pass_to(&caller, &shares).expect("it has none yet");
        assert!(unknown.place(address).is_some(), "it is the caller's now");
        drop(places);
        drop(known);
        assert!(shares.connections.take(caller.share().expect("has a token"), 1).is_some());
    }

    #[test]
    fn a_tenant_has_so_many_connections_whatever_its_tokens() {
        let shares = Shares::default();
        let of = |name: &str, tenant| Caller::for_tests(name, tenant);
        let mut places = Vec::new();
        for number in 0..CALLER_CONNECTIONS_MAX {
            let place = Place::on_socket();
            let caller = of(if number % 2 == 0 { "a" } else { "b" }, Some("acme"));
            place.pass_to(&caller, &shares).expect("there is room");
            // The same caller again takes no second place.
            place.pass_to(&caller, &shares).expect("it has one");
            places.push(place);
        }
        let next = Place::on_socket();
        let refused = next.pass_to(&of("c", Some("acme")), &shares).expect_err("no room");
        assert_eq!(refused.code, ErrorCode::ApiRateLimited);
        next.pass_to(&of("acme", None), &shares).expect("a token of that name is another");
        drop(places.pop());
        let other = Place::on_socket();
        other.pass_to(&of("c", Some("acme")), &shares).expect("there is room again");
    }
}
