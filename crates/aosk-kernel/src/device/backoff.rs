//! How long to wait after a failure.

use aosk_abi::{Failure, Millis, limits};

/// How long to wait before the next attempt after `failures` failed ones: doubling, with a part
/// taken off that differs from call to call so that calls which failed together come back apart.
/// What the device asked for is a lower bound.
pub(crate) fn backoff(failure: &Failure, failures: u32, salt: u64) -> Millis {
    let full = doubled(failures).0;
    let wait = full.saturating_sub(mix(salt) % (full / 4).max(1));
    Millis(wait.max(failure.retry_after.map_or(0, |asked| asked.0)))
}

/// The wait after so many failures, without a part taken off.
pub(super) fn doubled(failures: u32) -> Millis {
    let doublings = failures.saturating_sub(1).min(16);
    let doubled = limits::RETRY_WAIT_BASE.0.saturating_mul(1 << doublings);
    Millis(doubled.min(limits::RETRY_WAIT_MAX.0))
}

/// SplitMix64's output function (Steele, Lea, Flood 2014): spreads a small number over 64 bits.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
