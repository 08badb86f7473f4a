//! Histograms of model calls, counted from the start on and sent as they stand.

use std::collections::BTreeMap;
use std::time::Duration;

use aosk_abi::Timestamp;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric,
};

use crate::value::text;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// How long calls had their slots.
    Duration,
    /// Tokens of a call.
    Tokens,
    /// From sending a call to the first piece of its answer.
    FirstChunk,
    /// The same, under the name that servers of models have for it.
    FirstToken,
}

/// Of what it is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    pub(crate) provider: String,
    pub(crate) model: String,
    /// One attribute more: which tokens, or which error.
    pub(crate) more: Option<(&'static str, String)>,
}

impl Figure {
    const ALL: [Self; 4] = [Self::Duration, Self::Tokens, Self::FirstChunk, Self::FirstToken];

    /// Name, unit and description.
    fn about(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Duration => {
                ("gen_ai.client.operation.duration", "s", "GenAI operation duration.")
            }
            Self::Tokens => {
                ("gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.")
            }
            Self::FirstChunk => (
                "gen_ai.client.operation.time_to_first_chunk",
                "s",
                "Time to receive the first chunk of a response.",
            ),
            Self::FirstToken => (
                "gen_ai.server.time_to_first_token",
                "s",
                "Time to generate first token for successful responses.",
            ),
        }
    }

    /// The bounds that the conventions want.
    fn bounds(self) -> &'static [f64] {
        match self {
            Self::Duration | Self::FirstChunk => &[
                0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96,
                81.92,
            ],
            Self::Tokens => &[
                1.0,
                4.0,
                16.0,
                64.0,
                256.0,
                1_024.0,
                4_096.0,
                16_384.0,
                65_536.0,
                262_144.0,
                1_048_576.0,
                4_194_304.0,
                16_777_216.0,
                67_108_864.0,
            ],
            Self::FirstToken => &[
                0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
                7.5, 10.0,
            ],
        }
    }
}

/// What was counted of one thing.
#[derive(Debug, Clone)]
struct Counted {
    count: u64,
    sum: f64,
    least: f64,
    most: f64,
    buckets: Vec<u64>,
}

/// All histograms. Their labels are names of the configuration and words of this program.
#[derive(Debug)]
pub(crate) struct Figures {
    began: Timestamp,
    counted: BTreeMap<(Figure, Labels), Counted>,
}

impl Figures {
    pub(crate) fn new(began: Timestamp) -> Self {
        Self { began, counted: BTreeMap::new() }
    }

    /// A call took so long.
    pub(crate) fn took(&mut self, figure: Figure, labels: Labels, long: Duration) {
        self.add(figure, labels, long.as_secs_f64());
    }

    /// A call used so many tokens.
    pub(crate) fn used(&mut self, labels: Labels, tokens: u64) {
        #[expect(clippy::cast_precision_loss, reason = "no call has 2^53 tokens")]
        let tokens = tokens as f64;
        self.add(Figure::Tokens, labels, tokens);
    }

    fn add(&mut self, figure: Figure, labels: Labels, value: f64) {
        let bounds = figure.bounds();
        let counted = self.counted.entry((figure, labels)).or_insert_with(|| Counted {
            count: 0,
            sum: 0.0,
            least: value,
            most: value,
            buckets: vec![0; bounds.len().saturating_add(1)],
        });
        counted.count = counted.count.saturating_add(1);
        counted.sum += value;
        counted.least = counted.least.min(value);
        counted.most = counted.most.max(value);
        // A value on a bound is below it.
        let at = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        if let Some(bucket) = counted.buckets.get_mut(at) {
            *bucket = bucket.saturating_add(1);
        }
    }

    /// Everything that was counted, as it stands at `now`.
    pub(crate) fn metrics(&self, now: Timestamp) -> Vec<Metric> {
        let all = Figure::ALL.into_iter().map(|figure| {
            let of = self.counted.iter().filter(|((of, _), _)| *of == figure);
            let points: Vec<_> = of
                .map(|((_, labels), counted)| self.point((figure, labels), counted, now))
                .collect();
            let (name, unit, description) = figure.about();
            Metric {
                name: name.to_owned(),
                unit: unit.to_owned(),
                description: description.to_owned(),
                data: Some(Data::Histogram(Histogram {
                    data_points: points,
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                })),
                ..Metric::default()
            }
        });
        let has_points = |metric: &Metric| match &metric.data {
            Some(Data::Histogram(histogram)) => !histogram.data_points.is_empty(),
            _ => false,
        };
        all.filter(has_points).collect()
    }

    fn point(
        &self,
        (figure, labels): (Figure, &Labels),
        counted: &Counted,
        now: Timestamp,
    ) -> HistogramDataPoint {
        let mut attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", &labels.provider),
            text("gen_ai.request.model", &labels.model),
        ];
        attributes.extend(labels.more.as_ref().map(|(key, value)| text(key, value)));
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: nanos(self.began),
            time_unix_nano: nanos(now),
            count: counted.count,
            sum: Some(counted.sum),
            bucket_counts: counted.buckets.clone(),
            explicit_bounds: figure.bounds().to_vec(),
            min: Some(counted.least),
            max: Some(counted.most),
            ..HistogramDataPoint::default()
        }
    }
}

/// A time as OTLP has it.
pub(crate) fn nanos(at: Timestamp) -> u64 {
    at.0.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_between_their_bounds() {
        let mut figures = Figures::new(Timestamp(5));
        let labels = Labels { provider: "p".to_owned(), model: "m".to_owned(), more: None };
        for tokens in [1, 2, 4, 70_000_000] {
            figures.used(labels.clone(), tokens);
        }
        let metrics = figures.metrics(Timestamp(7));
        let [Metric { name, data: Some(Data::Histogram(histogram)), .. }] = metrics.as_slice()
        else {
            panic!("{metrics:?}");
        };
        assert_eq!(name, "gen_ai.client.token.usage");
        assert_eq!(histogram.aggregation_temporality, 2);
        let [point] = histogram.data_points.as_slice() else { panic!("{histogram:?}") };
        let mut buckets = vec![1, 2];
        buckets.resize(14, 0);
        buckets.push(1);
        assert_eq!(point.bucket_counts, buckets);
        assert_eq!((point.count, point.sum), (4, Some(70_000_007.0)));
        assert_eq!((point.min, point.max), (Some(1.0), Some(70_000_000.0)));
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5_000_000, 7_000_000));
    }
}
