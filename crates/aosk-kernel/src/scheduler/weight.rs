//! What share a priority is worth.

/// The weight of the priority in the middle, 50.
const MIDDLE: u64 = 1 << 10;

/// `MIDDLE * 2^(k/10)` for k from 0, rounded.
const TENTHS: [u64; 10] = [1024, 1097, 1176, 1261, 1351, 1448, 1552, 1663, 1783, 1911];

/// The weight of a priority, 0 (most urgent) to 100: every ten steps halve it. 50 is 1,024, 0 is
/// 32,768 and 100 is 32. What is beyond 100 counts as 100.
#[must_use]
pub fn weight(priority: u8) -> u64 {
    let priority = u64::from(priority.min(100));
    let steps = priority.abs_diff(50);
    let tenth = usize::try_from(steps % 10).unwrap_or(0);
    let doubled = TENTHS.get(tenth).copied().unwrap_or(MIDDLE) << (steps / 10);
    if priority <= 50 { doubled } else { (MIDDLE * MIDDLE).div_ceil(doubled) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_steps_halve_the_weight() {
        assert_eq!((weight(0), weight(50), weight(100)), (32_768, 1_024, 32));
        assert_eq!((weight(20), weight(80)), (8 * 1_024, 1_024 / 8));
        assert_eq!(weight(255), weight(100));
    }

    #[test]
    fn no_step_is_without_effect() {
        for priority in 0..100 {
            let (more, less) = (weight(priority), weight(priority + 1));
            assert!(more > less, "{priority}: {more} and {less}");
        }
    }
}
