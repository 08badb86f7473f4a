//! What became of the spans that were to be told to a collector.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counters of whoever tells a collector what the kernel does. They are there, at zero, where nobody does.
#[derive(Debug, Default)]
pub(crate) struct Told {
    sent: Counter,
    dropped: Counter,
    failed: Counter,
}

impl Told {
    pub(crate) fn register(&self, to: &mut Registry) {
        to.register(
            "aosk_otel_spans",
            "Spans that the collector has taken since the start",
            self.sent.clone(),
        );
        to.register(
            "aosk_otel_spans_dropped",
            "Spans since the start that the collector did not get or did not take",
            self.dropped.clone(),
        );
        to.register(
            "aosk_otel_failures",
            "Requests to the collector since the start that were not answered well",
            self.failed.clone(),
        );
    }
}

impl super::Meter {
    /// A collector has taken so many spans.
    pub fn spans_sent(&self, count: u64) {
        self.0.told.sent.inc_by(count);
    }

    /// So many spans do not reach their collector.
    pub fn spans_dropped(&self, count: u64) {
        self.0.told.dropped.inc_by(count);
    }

    /// A collector was not there or did not take what it was sent.
    pub fn collector_failed(&self) {
        self.0.told.failed.inc();
    }
}
