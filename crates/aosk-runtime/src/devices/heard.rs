//! What providers said of their rates and the kernel has not been told yet.
//!
//! Of one device only the last word counts, so there is never more of it than devices.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aosk_abi::{Input, RateReport};
use tokio::sync::Notify;

/// The last words of providers.
#[derive(Debug, Default)]
pub(super) struct Heard {
    reports: Mutex<BTreeMap<String, RateReport>>,
    came: Notify,
}

impl Heard {
    /// A provider said so.
    pub(super) fn take(&self, device: &str, report: RateReport) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.insert(device.to_owned(), report);
        self.came.notify_one();
    }

    /// What the kernel is to be told next, if there is anything.
    pub(super) fn try_next(&self) -> Option<Input> {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let (device, report) = reports.pop_first()?;
        Some(Input::RateReported { device, report })
    }

    /// The same, when there is.
    pub(super) async fn next(&self) -> Input {
        loop {
            if let Some(said) = self.try_next() {
                return said;
            }
            self.came.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use aosk_abi::{Gauge, Millis};

    use super::*;

    fn left(remaining: u64) -> RateReport {
        let gauge = Gauge { limit: None, remaining, reset: Millis(1) };
        RateReport { requests: Some(gauge), tokens: None }
    }

    fn said(device: &str, remaining: u64) -> Input {
        Input::RateReported { device: device.to_owned(), report: left(remaining) }
    }

    #[test]
    fn only_the_last_word_of_a_device_counts() {
        let heard = Heard::default();
        heard.take("b", left(3));
        heard.take("a", left(2));
        heard.take("b", left(1));
        let all: Vec<_> = std::iter::from_fn(|| heard.try_next()).collect();
        assert_eq!(all, [said("a", 2), said("b", 1)]);
    }

    #[test]
    fn who_waits_is_told() {
        let heard = Heard::default();
        let cx = &mut Context::from_waker(Waker::noop());
        let mut next = pin!(heard.next());
        assert_eq!(next.as_mut().poll(cx), Poll::Pending);
        heard.take("a", left(1));
        assert_eq!(next.as_mut().poll(cx), Poll::Ready(said("a", 1)));
    }
}
