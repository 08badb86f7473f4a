//! The crowd of the benchmark is a sound kernel that works.

use aosk_sim::bench::{Crowd, Mix, quantile};

#[test]
fn a_crowd_works() {
    for mix in [Mix::Equal, Mix::Groups] {
        let mut crowd = Crowd::new(300, mix);
        assert_eq!(crowd.processes(), 300);
        let costs = crowd.work(600, &|| 0);
        assert_eq!((costs.decided.len(), costs.queued.len()), (600, 600), "{mix:?}");
        assert!(crowd.is_sound(), "{mix:?}");
    }
}

#[test]
fn a_quantile_is_the_value_below_which_so_many_lie() {
    let values: Vec<u64> = (1..=1_000).rev().collect();
    assert_eq!([500, 990, 1_000].map(|part| quantile(&values, part)), [501, 991, 1_000]);
    assert_eq!(quantile(&[], 500), 0);
}
