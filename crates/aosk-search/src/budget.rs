//! As many of the best pages as fit into a number of tokens.

use crate::search::Hit;

/// How many pages are passed over in search of one that fits. Without a bound a nearly full budget
/// would be filled with the shortest pages of all, which say nothing.
const PASSED_MAX: usize = 16;

/// The hits that fit into `budget` tokens, best first: each in its turn if there is room for it.
///
/// Shorter pages are not preferred. Taking pages by score for each token instead was tried on five
/// conversations and changed the evidence within 4,000 tokens by a thousandth; the ranker already
/// weighs length.
#[must_use]
pub fn within(hits: &[Hit], budget: u32, tokens: &dyn Fn(u64) -> u32) -> Vec<Hit> {
    let mut left = budget;
    let mut passed = 0;
    let mut taken = Vec::new();
    for hit in hits {
        match left.checked_sub(tokens(hit.id)) {
            Some(rest) => {
                left = rest;
                taken.push(*hit);
            }
            None => passed += 1,
        }
        if passed > PASSED_MAX {
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(ids: &[u64]) -> Vec<Hit> {
        ids.iter().map(|id| Hit { id: *id, score: 0.0, cover: 0.0, similar: 0.0 }).collect()
    }

    /// Each page costs as many tokens as its id says.
    fn taken(ids: &[u64], budget: u32) -> Vec<u64> {
        let cost = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
        within(&hits(ids), budget, &cost).iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn pages_are_taken_in_order_and_one_too_large_is_passed_over() {
        assert_eq!(taken(&[40, 70, 50, 10], 100), [40, 50, 10]);
        assert_eq!(taken(&[100], 100), [100]);
        assert_eq!(taken(&[101], 100), Vec::<u64>::new());
        assert_eq!(taken(&[], 100), Vec::<u64>::new());
    }

    #[test]
    fn a_full_budget_is_not_filled_up_from_far_behind() {
        let mut ids = vec![95];
        ids.extend([50; PASSED_MAX + 1]);
        ids.push(5);
        assert_eq!(taken(&ids, 100), [95]);
    }
}
