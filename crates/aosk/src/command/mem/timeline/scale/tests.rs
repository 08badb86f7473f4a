//! Thinning and round steps.

use super::*;

#[test]
fn few_points_are_all_drawn() {
    assert_eq!(thin(&[5, 1, 9], &[], 3), [0, 1, 2]);
    assert_eq!(thin(&[], &[], 3), [0; 0]);
}

#[test]
fn of_many_points_no_peak_and_no_cut_is_lost() {
    // A saw of 97 calls a tooth, and one spike.
    let mut values: Vec<u64> = (0..10_000).map(|at| at % 97 * 10).collect();
    values[5_001] = 100_000;
    let cuts: Vec<usize> = (1..100).flat_map(|tooth| [tooth * 97 - 1, tooth * 97]).collect();
    let kept = thin(&values, &cuts, 2_000);
    assert!(kept.len() <= 2_000 && kept.len() > 1_000, "{}", kept.len());
    assert!(kept.is_sorted_by(|one, next| one < next));
    assert_eq!((kept.first(), kept.last()), (Some(&0), Some(&9_999)));
    for at in cuts.iter().chain(&[5_001]) {
        assert!(kept.binary_search(at).is_ok(), "{at}");
    }
    // In a flat stretch only what is named tells a cut.
    let kept = thin(&[7; 10_000], &[4_321, 10_000], 2_000);
    assert!(kept.binary_search(&4_321).is_ok() && kept.last() == Some(&9_999));
    // More that should be kept than there is room for.
    let all: Vec<usize> = (0..10_000).collect();
    let kept = thin(&values, &all, 2_000);
    assert!(kept.len() <= 2_000 && kept.binary_search(&5_001).is_ok(), "{}", kept.len());
}

#[test]
fn steps_are_round() {
    let steps = [(0, 6), (1, 6), (6, 6), (7, 6), (11_904, 6), (61, 10), (10_000, 10)];
    let steps = steps.map(|(span, most)| step(span, most));
    assert_eq!(steps, [1, 1, 1, 2, 2_000, 10, 1_000]);
    assert!(step(u64::MAX, 1) >= u64::MAX / 5);
}
