//! `GET /metrics`: what the kernel and the server count, as Prometheus reads it.
//!
//! Labels are routes, methods, states and names of the configuration; what a client sends is never one.

use std::fmt;
use std::time::Duration;

use aosk_abi::{Error, ErrorCode};
use aosk_runtime::kernel::State as Doing;
use aosk_runtime::meter::UNKNOWN;
use aosk_runtime::{Clock, Handle};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::access::{Caller, Role};
use crate::app::App;
use crate::problem::Problem;

/// The text form of OpenMetrics, which is what Prometheus asks for first.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of how long requests take, in seconds. Some wait for minutes because that is what they ask for.
const SECONDS: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];

type Labels<const N: usize> = [(&'static str, String); N];

/// What the server counts, and the registry of everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels<3>, Counter>,
    durations: Family<Labels<2>, Histogram, fn() -> Histogram>,
    streams: Gauge,
}

impl Metrics {
    /// Everything that this kernel and a server for it count.
    pub(crate) fn new(handle: &Handle, clock: Clock) -> Self {
        let mut registry = Registry::default();
        handle.meter().register(&mut registry);
        let requests = Family::default();
        registry.register(
            "aosk_http_requests",
            "Requests that were answered since the start",
            requests.clone(),
        );
        let durations =
            Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        registry.register(
            "aosk_http_request_duration_seconds",
            "From the head of a request to the head of its answer",
            durations.clone(),
        );
        let streams = Gauge::default();
        registry.register("aosk_event_streams", "Streams of events that are open", streams.clone());
        let build = Family::<Labels<1>, Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        registry.register("aosk_build_info", "1, with the version of the program", build);
        let began = Gauge::<i64>::default();
        began.set(i64::try_from(clock.now().0 / 1_000).unwrap_or(i64::MAX));
        registry.register(
            "aosk_start_time_seconds",
            "When the daemon began, in seconds since 1970; every counter was 0 then",
            began,
        );
        registry.register_collector(Box::new(Now(handle.clone())));
        Self { registry, requests, durations, streams }
    }

    /// Counts a request that was answered after so long. `route` is a template.
    pub(crate) fn answered(
        &self,
        (method, route): (&str, &str),
        status: StatusCode,
        took: Duration,
    ) {
        let labels = [("method", method.to_owned()), ("route", route.to_owned())];
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
        let [method, route] = labels;
        let labels = [method, route, ("status", status.as_str().to_owned())];
        self.requests.get_or_create(&labels).inc();
    }

    /// A stream of events is open until what this returns is dropped.
    pub(crate) fn stream(&self) -> Open {
        self.streams.inc();
        Open(self.streams.clone())
    }

    fn written(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A method as a label: clients may send any word.
pub(crate) fn method_word(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// A stream of events that is open.
#[derive(Debug)]
pub(crate) struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What is looked up when it is asked for.
#[derive(Debug)]
struct Now(Handle);

impl Collector for Now {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(handle) = self;
        let census = handle.census();
        let states = Doing::WORDS.map(|state| {
            let count = census.states.get(state).copied().unwrap_or(0);
            ([("state", state)], count)
        });
        gauges(&mut to, ("aosk_processes", "Processes that live, by what they do"), &states)?;
        let names = handle.meter().models();
        let known = names.iter().map(|model| {
            let count = census.waiting.get(model).copied().unwrap_or(0);
            ([("model", model.as_str())], count)
        });
        let known: Vec<_> = known.collect();
        let counted = known.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        // Those of an earlier configuration may ask a name that this one lacks.
        let all = census.waiting.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let rest = ([("model", UNKNOWN)], all.saturating_sub(counted));
        let waiting: Vec<_> = known.into_iter().chain([rest]).collect();
        let about =
            ("aosk_model_calls_waiting", "Calls that wait for a slot, by the name they ask");
        gauges(&mut to, about, &waiting)?;
        let length = *handle.journal().borrow();
        let gauge = ConstGauge::new(length);
        let about = "Entries of the journal, of all kernels that ever ran on it";
        gauge.encode(to.encode_descriptor(
            "aosk_journal_entries",
            about,
            None,
            MetricType::Gauge,
        )?)
    }
}

fn gauges(
    to: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    series: &[([(&str, &str); 1], u64)],
) -> fmt::Result {
    let mut family = to.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

/// The one route.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

/// The figures are of all tenants, so a token that is bound to one does not get them.
async fn metrics(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    caller.must(Role::Viewer)?;
    caller.must_be_of_all()?;
    let text = app.metrics().written().map_err(|_| {
        Error::new(ErrorCode::KernelPanic, "writing the metrics: a figure has no text form")
    })?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_nobody_knows_is_no_label_of_its_own() {
        let word = |text: &str| method_word(&Method::from_bytes(text.as_bytes()).unwrap());
        assert_eq!(["GET", "PUT", "BREW", "get"].map(word), ["GET", "PUT", "other", "other"]);
    }
}
