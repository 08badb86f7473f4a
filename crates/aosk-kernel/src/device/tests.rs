//! Pools and routes of devices.

use aosk_abi::{Choice, limits};

use super::*;

/// A route's name, what it leads to, and how it chooses.
type Written<'a> = (&'a str, &'a [(&'a str, u32)], Choice);

fn devices(models: &[&str], routes: &[Written<'_>]) -> Devices {
    let models = models.iter().map(|name| ((*name).to_owned(), ModelConfig::default()));
    let routes = routes.iter().map(|(name, backends, choice)| {
        let backends = backends.iter().map(|(name, weight)| ((*name).to_owned(), *weight));
        (
            (*name).to_owned(),
            Route { backends: backends.collect(), choice: *choice, ..Route::default() },
        )
    });
    let config = Config { models: models.collect(), routes: routes.collect(), ..Config::default() };
    Devices::new(&config)
}

#[test]
fn names_with_a_device_in_common_are_one_pool() {
    let devices = devices(
        &["a", "b", "c", "d"],
        &[("fast", &[("c", 1), ("b", 1)], Choice::InOrder), ("slow", &[("d", 1)], Choice::InOrder)],
    );
    assert_eq!(devices.pool_for("a"), "a");
    for name in ["b", "c", "fast"] {
        assert_eq!(devices.pool_for(name), "b", "{name}");
    }
    for name in ["d", "slow"] {
        assert_eq!(devices.pool_for(name), "d", "{name}");
    }
    assert_eq!(devices.pool_for("nobody"), "");
}

#[test]
fn routes_joined_by_a_third_are_one_pool() {
    let devices = devices(
        &["a", "b", "c", "d"],
        &[
            ("r1", &[("a", 1), ("b", 1)], Choice::InOrder),
            ("r2", &[("c", 1), ("d", 1)], Choice::InOrder),
            ("r3", &[("d", 1), ("b", 1)], Choice::InOrder),
        ],
    );
    for name in ["a", "b", "c", "d", "r1", "r2", "r3"] {
        assert_eq!(devices.pool_for(name), "a", "{name}");
    }
}

#[test]
fn a_route_in_order_keeps_its_order() {
    let devices = devices(&["a", "b"], &[("r", &[("b", 1), ("a", 9)], Choice::InOrder)]);
    let queue = devices.queue("r").expect("known");
    assert_eq!(devices.backends(queue), [1, 0]);
}

#[test]
fn a_route_by_weight_gives_by_weight() {
    let mut devices = devices(&["a", "b"], &[("r", &[("a", 1), ("b", 3)], Choice::ByWeight)]);
    let queue = devices.queue("r").expect("known");
    let mut given = [0_u32; 2];
    for _ in 0..400 {
        let first = devices.backends(queue)[0];
        devices.started(queue, first);
        given[first] += 1;
    }
    assert_eq!(given, [100, 300]);
}

#[test]
fn what_a_device_of_a_route_was_not_given_is_made_up_for_in_part() {
    // By the weight of the lightest, however large the weights are.
    for weights in [[1, 1], [100, 100], [3, 1], [7_000, 14_000]] {
        let backends = [("a", weights[0]), ("b", weights[1])];
        let mut devices = devices(&["a", "b"], &[("r", &backends, Choice::ByWeight)]);
        let queue = devices.queue("r").expect("known");
        for _ in 0..10_000 {
            devices.started(queue, 0);
        }
        let mut on_b = 0;
        while devices.backends(queue)[0] == 1 {
            devices.started(queue, 1);
            on_b += 1;
        }
        let heavier = u64::from(weights[1].div_ceil(weights[0]));
        let most = u64::from(limits::ROUTE_DEBT_MAX) * heavier;
        assert!((most..=most + heavier).contains(&on_b), "{weights:?}: {on_b}");
        // From there on each has its share.
        let mut given = [0_u32; 2];
        for _ in 0..1_200 {
            let first = devices.backends(queue)[0];
            devices.started(queue, first);
            given[first] += 1;
        }
        let share = weights.map(|weight| 1_200 * weight / (weights[0] + weights[1]));
        assert!(given[0].abs_diff(share[0]) <= 2, "{weights:?}: {given:?}, not {share:?}");
    }
}

#[test]
fn a_route_to_nothing_is_no_name() {
    let devices = devices(&["a"], &[("r", &[("gone", 1)], Choice::InOrder)]);
    assert_eq!(devices.queue("r"), None);
}
