//! The crowd of the benchmark is a sound kernel that works.

use aosk_sim::bench::Crowd;

#[test]
fn a_crowd_works() {
    let mut crowd = Crowd::new(300);
    assert_eq!(crowd.processes(), 300);
    assert_eq!(crowd.work(600), 1200);
    assert!(crowd.is_sound());
}
