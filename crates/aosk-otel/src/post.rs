//! Sends to the collector, one request at a time: what it does not take in time is given up and counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aosk_abi::{Error, ErrorCode, Hash};
use aosk_runtime::{Clock, Meter, model};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::figures::Figures;
use crate::limits::{
    ANSWER_BYTES_MAX, DRAIN, REQUEST_TIMEOUT, RETRY_AFTER_MAX, SPANS_PER_REQUEST, WAITS,
};
use crate::settings::Settings;
use crate::value::text;

/// A collector.
pub(crate) struct Collector {
    client: Client,
    settings: Settings,
    meter: Meter,
    clock: Clock,
    /// The first hash of the journal, once it is known.
    whose: watch::Receiver<Option<Hash>>,
    /// Whether the last request was not answered well, which is said once.
    is_down: bool,
}

/// Why a request brought nothing.
enum Failed {
    /// It may be made again, after so long if the collector said so.
    ForNow(String, Option<Duration>),
    /// It would fail again.
    ForGood(String),
}

impl Collector {
    pub(crate) fn new(
        settings: Settings,
        meter: Meter,
        clock: Clock,
        whose: watch::Receiver<Option<Hash>>,
    ) -> Result<Self, Error> {
        let client = model::client_for(&settings.traces).map_err(|error| {
            let text = format!("telling the collector: no HTTP client: {error}");
            Error::new(ErrorCode::Io, text)
        })?;
        Ok(Self { client, settings, meter, clock, whose, is_down: false })
    }

    /// Sends what comes, until nothing more can come; when it is to stop, for no longer than [`DRAIN`].
    pub(crate) async fn run(
        mut self,
        mut spans: mpsc::Receiver<Span>,
        figures: Arc<Mutex<Figures>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut stopped = stop.clone();
        let work = self.work(&mut spans, &figures, &mut stop);
        tokio::select! {
            () = work => return,
            // A request that is under way then is given up too.
            () = async {
                requested(&mut stopped).await;
                tokio::time::sleep(DRAIN).await;
            } => {}
        }
        let left = count(spans.len());
        self.meter.spans_dropped(left);
        tracing::warn!(queued = left, "the collector did not take everything in time");
    }

    /// Sends what comes and, when it is to stop, what has come.
    async fn work(
        &mut self,
        spans: &mut mpsc::Receiver<Span>,
        figures: &Mutex<Figures>,
        stop: &mut watch::Receiver<bool>,
    ) {
        let mut metrics = tokio::time::interval(self.settings.metrics_every);
        metrics.set_missed_tick_behavior(MissedTickBehavior::Delay);
        metrics.reset();
        let mut batch = Vec::new();
        // The same for waits between requests.
        let mut cut_short = stop.clone();
        loop {
            tokio::select! { biased;
                () = requested(stop) => break,
                _ = metrics.tick() => self.send_metrics(figures, &mut cut_short).await,
                count = spans.recv_many(&mut batch, SPANS_PER_REQUEST) => {
                    if count == 0 {
                        break;
                    }
                    self.send_spans(std::mem::take(&mut batch), &mut cut_short).await;
                }
            }
        }
        while spans.recv_many(&mut batch, SPANS_PER_REQUEST).await > 0 {
            self.send_spans(std::mem::take(&mut batch), stop).await;
        }
        self.send_metrics(figures, stop).await;
    }

    async fn send_spans(&mut self, spans: Vec<Span>, stop: &mut watch::Receiver<bool>) {
        let sending = Sending { meter: self.meter.clone(), left: count(spans.len()) };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let url = self.settings.traces.clone();
        if let Some(answer) = self.send(&url, request.encode_to_vec(), stop).await {
            let answer = ExportTraceServiceResponse::decode(answer.as_slice()).unwrap_or_default();
            let refused = answer.partial_success.unwrap_or_default();
            sending.taken(u64::try_from(refused.rejected_spans).unwrap_or(0));
        }
    }

    async fn send_metrics(&mut self, figures: &Mutex<Figures>, stop: &mut watch::Receiver<bool>) {
        let metrics =
            figures.lock().unwrap_or_else(PoisonError::into_inner).metrics(self.clock.now());
        if metrics.is_empty() {
            return;
        }
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(scope()),
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        let url = self.settings.metrics.clone();
        // They are counted from the start on, so the next time says what this one did not.
        drop(self.send(&url, request.encode_to_vec(), stop).await);
    }

    /// Sends a request, again if that may help and nobody waits for the end. The answer, if it was
    /// taken.
    async fn send(
        &mut self,
        url: &Url,
        body: Vec<u8>,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Vec<u8>> {
        let mut waits = WAITS.into_iter();
        loop {
            let why = match self.once(url, body.clone()).await {
                Ok(answer) => {
                    if std::mem::take(&mut self.is_down) {
                        tracing::info!("the collector takes what it is sent again");
                    }
                    return Some(answer);
                }
                Err(why) => why,
            };
            self.meter.collector_failed();
            let (what, wait) = match why {
                Failed::ForGood(what) => (what, None),
                Failed::ForNow(what, asked) => {
                    let wait = waits.next().map(|wait| asked.unwrap_or(wait).min(RETRY_AFTER_MAX));
                    (what, wait)
                }
            };
            if !std::mem::replace(&mut self.is_down, true) {
                tracing::warn!(what, "the collector does not take what it is sent");
            }
            let wait = wait?;
            tokio::select! { biased;
                () = requested(stop) => return None,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn once(&self, url: &Url, body: Vec<u8>) -> Result<Vec<u8>, Failed> {
        let request = self
            .client
            .post(url.clone())
            .timeout(REQUEST_TIMEOUT)
            .headers(self.settings.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(body);
        // An address may carry a password.
        let response = request.send().await.map_err(|error| {
            Failed::ForNow(format!("reaching it: {}", root(&error.without_url())), None)
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(whole(response).await);
        }
        let what = format!("it answered with status {}", status.as_u16());
        // Those that OTLP over HTTP lets be tried again.
        let may_pass = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::BAD_GATEWAY,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
        ];
        if !may_pass.contains(&status) {
            return Err(Failed::ForGood(what));
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
        let after = after.and_then(|after| after.trim().parse().ok()).map(Duration::from_secs);
        Err(Failed::ForNow(what, after))
    }

    fn resource(&self) -> Resource {
        let said = self.settings.resource.iter().map(|(key, value)| text(key, value));
        let mut attributes: Vec<KeyValue> = said.collect();
        const INSTANCE: &str = "service.instance.id";
        if let Some(whose) = *self.whose.borrow()
            && !self.settings.resource.contains_key(INSTANCE)
        {
            attributes.push(text(INSTANCE, whose.to_string()));
        }
        Resource { attributes, ..Resource::default() }
    }
}

/// Waits until the end is wanted; whoever could want it and is gone does.
async fn requested(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Spans on their way, which are dropped unless somebody takes them.
struct Sending {
    meter: Meter,
    left: u64,
}

impl Sending {
    /// They were taken, but for some.
    fn taken(mut self, refused: u64) {
        let refused = refused.min(self.left);
        self.meter.spans_sent(self.left.saturating_sub(refused));
        self.left = refused;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.meter.spans_dropped(self.left);
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "aosk".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What an answer says, as far as it is read.
async fn whole(mut response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Vec::new();
        }
    }
    bytes
}

/// The innermost cause of an error.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
