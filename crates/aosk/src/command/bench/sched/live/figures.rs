//! Clocks of the live benchmark, and what becomes of their figures. What is measured here is real, so
//! this is the one place in it that asks for the time.

use std::time::{Duration, Instant};

/// Now.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// CPU time that this process has used, all threads and system calls included.
pub(super) fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

/// A time in milliseconds.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The figure below which `share` (0 to 1) of them lie; not a number if there are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index into a list of measurements"
)]
pub(super) fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_figures() {
        let figures: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(quantile(&figures, 0.5).to_string(), "50");
        assert_eq!(quantile(&figures, 0.99).to_string(), "99");
        assert_eq!(quantile(&figures, 1.0).to_string(), "99");
        assert!(quantile(&[], 0.5).is_nan());
    }
}
