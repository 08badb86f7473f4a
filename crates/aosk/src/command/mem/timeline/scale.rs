//! Round numbers for axes, and which points of many are drawn.

/// The values of which points are drawn, in order: all if they are no more than `most`. Otherwise the
/// first and the last, those of `keep` if they take no more than half of the room, and of stretches
/// of the rest the least and the most, so that no peak is lost.
pub(super) fn thin(values: &[u64], keep: &[usize], most: usize) -> Vec<usize> {
    if values.len() <= most {
        return (0..values.len()).collect();
    }
    let mut kept = vec![0, values.len() - 1];
    if keep.len() <= most / 2 {
        kept.extend(keep.iter().copied().filter(|at| *at < values.len()));
    }
    let stretches = most.saturating_sub(kept.len()) / 2;
    let length = values.len().div_ceil(stretches.max(1));
    for (at, stretch) in values.chunks(length).enumerate() {
        let start = at * length;
        let places = || stretch.iter().enumerate();
        let least = places().min_by_key(|(_, value)| **value).map(|(at, _)| at);
        let largest = places().max_by_key(|(_, value)| **value).map(|(at, _)| at);
        kept.extend(least.into_iter().chain(largest).map(|at| start + at));
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// A round step, of which no more than `most` make up `span`: 1, 2 or 5 with zeros.
pub(super) fn step(span: u64, most: u64) -> u64 {
    let mut ten = 1_u64;
    loop {
        for digit in [1, 2, 5] {
            let step = ten.saturating_mul(digit);
            if step.saturating_mul(most) >= span || step == u64::MAX {
                return step;
            }
        }
        ten = ten.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests;
