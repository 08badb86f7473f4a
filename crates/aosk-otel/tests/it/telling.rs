//! What a collector is told.

use aosk_runtime::TraceParent;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collector::{Collector, said};
use crate::scene::{Scene, counted};

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_process_its_child_and_their_calls_are_one_trace() {
    let collector = Collector::start(&[]).await;
    let scene = Scene::telling(&collector.endpoint, /*content*/ false);
    scene.does("delegate calculate", None).await;
    scene.end().await;
    let spans = collector.spans();
    let only = |name: &str| match named(&spans, name).as_slice() {
        [one] => *one,
        other => panic!("{name}: {other:#?}"),
    };
    let (one, helper) = (only("invoke_agent one"), only("invoke_agent helper"));
    assert!(one.parent_span_id.is_empty());
    assert_eq!(helper.parent_span_id, one.span_id);
    assert!(spans.iter().all(|span| span.trace_id == one.trace_id));
    let of = |parent: &Span, name: &str| {
        let all = named(&spans, name).into_iter();
        all.filter(|span| span.parent_span_id == parent.span_id).count()
    };
    assert_eq!((of(one, "chat m"), of(helper, "chat m")), (3, 2));
    assert_eq!((of(one, "execute_tool calculator"), of(helper, "execute_tool calculator")), (0, 1));
    assert_eq!(named(&spans, "execute_tool calculator").len(), 1);
    for chat in named(&spans, "chat m") {
        assert_eq!(said(&chat.attributes, "gen_ai.provider.name"), "mistral_ai");
        assert_eq!(said(&chat.attributes, "gen_ai.usage.input_tokens"), "40");
        assert_eq!(said(&chat.attributes, "gen_ai.usage.cache_read.input_tokens"), "30");
        assert_eq!(chat.events[0].name, "aosk.slot", "which device it went to is known");
        assert!(chat.start_time_unix_nano <= chat.end_time_unix_nano);
    }
    let mut ids: Vec<_> = spans.iter().map(|span| &span.span_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), spans.len(), "no two have one id");
    let resource = collector.resource();
    assert_eq!(said(&resource, "service.name"), "aosk");
    assert_eq!(said(&resource, "service.instance.id").len(), 64);
    let head = &collector.all()[0].head;
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    assert!(head.contains("api-key: secret"), "{head}");
}

#[tokio::test]
async fn a_client_that_traces_is_the_parent() {
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let client = TraceParent::parse(header).unwrap();
    let collector = Collector::start(&[]).await;
    let scene = Scene::telling(&collector.endpoint, /*content*/ false);
    scene.does("say hello", Some(client)).await;
    scene.end().await;
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert!(spans.iter().all(|span| span.trace_id == client.trace));
    assert_eq!(named(&spans, "invoke_agent one")[0].parent_span_id, client.span);
}

#[tokio::test]
async fn metrics_are_told_at_the_end_at_the_latest() {
    let collector = Collector::start(&[]).await;
    let scene = Scene::telling(&collector.endpoint, /*content*/ false);
    scene.does("say hello", None).await;
    scene.does("break", None).await;
    scene.end().await;
    let metrics = collector.metrics();
    let points = |name: &str| {
        let metric = metrics.iter().find(|metric| metric.name == name);
        match metric.and_then(|metric| metric.data.clone()) {
            Some(Data::Histogram(histogram)) => histogram.data_points,
            other => panic!("{name} is {other:?}"),
        }
    };
    let mut durations = points("gen_ai.client.operation.duration");
    durations.sort_by_key(|point| point.attributes.len());
    let [well, badly] = durations.as_slice() else { panic!("{durations:?}") };
    assert_eq!((well.count, badly.count), (1, 1));
    assert_eq!(said(&badly.attributes, "error.type"), "model.bad_request");
    let tokens = points("gen_ai.client.token.usage");
    let sums: Vec<_> = tokens
        .iter()
        .map(|point| (said(&point.attributes, "gen_ai.token.type"), point.sum))
        .collect();
    assert_eq!(sums, [("input".to_owned(), Some(40.0)), ("output".to_owned(), Some(5.0))]);
    for name in ["gen_ai.server.time_to_first_token", "gen_ai.client.operation.time_to_first_chunk"]
    {
        assert_eq!(points(name)[0].count, 1, "{name}");
    }
}

#[tokio::test]
async fn what_is_said_is_told_only_if_somebody_asks_for_it() {
    for content in [false, true] {
        let collector = Collector::start(&[]).await;
        let scene = Scene::telling(&collector.endpoint, content);
        scene.does("say swordfish", None).await;
        scene.end().await;
        let spans = collector.spans();
        assert_eq!(format!("{spans:?}").contains("swordfish"), content);
        if content {
            let chat = named(&spans, "chat m")[0];
            let input = said(&chat.attributes, "gen_ai.input.messages");
            let asked = r#"{"parts":[{"content":"say swordfish","type":"text"}],"role":"user"}]"#;
            assert!(input.ends_with(asked), "{input}");
            let output = said(&chat.attributes, "gen_ai.output.messages");
            assert!(output.contains(r#""content":"swordfish""#), "{output}");
        }
    }
}

#[tokio::test]
async fn a_collector_that_refuses_for_now_is_asked_again() {
    let collector = Collector::start(&["503 Later\r\nretry-after: 0"]).await;
    let scene = Scene::telling(&collector.endpoint, /*content*/ false);
    scene.does("say hello", None).await;
    collector.until_asked(2).await;
    assert_eq!(scene.counted("aosk_otel_failures_total"), 1);
    scene.end().await;
    let spans = collector.spans();
    // What the first request had came twice, and nothing is missing.
    let times = |name: &str| named(&spans, name).len();
    assert_eq!(times("chat m"), 2);
    assert!((1..=2).contains(&times("invoke_agent one")), "{spans:?}");
}

#[tokio::test]
async fn what_a_collector_does_not_want_is_dropped_and_counted() {
    let collector = Collector::start(&["400 No"]).await;
    let scene = Scene::telling(&collector.endpoint, /*content*/ false);
    let handle = scene.node.handle();
    scene.does("say hello", None).await;
    scene.end().await;
    let all =
        ["aosk_otel_spans_total", "aosk_otel_spans_dropped_total", "aosk_otel_failures_total"];
    assert_eq!(all.map(|name| counted(&handle, name)), [0, 2, 1]);
}

/// The kernel does not notice whether anybody is there, and ends in time.
#[tokio::test]
async fn a_collector_that_never_answers_holds_nothing_up() {
    let collector = Collector::silent().await;
    let scene = Scene::telling(&collector.endpoint, /*content*/ false);
    let handle = scene.node.handle();
    for _ in 0..3 {
        scene.does("calculate", None).await;
    }
    collector.until_asked(1).await;
    scene.node.shutdown().await.unwrap();
    // From here on only the collector is waited for.
    tokio::time::pause();
    scene.telemetry.finish().await;
    let [sent, dropped] = ["aosk_otel_spans_total", "aosk_otel_spans_dropped_total"]
        .map(|name| counted(&handle, name));
    assert_eq!((sent, dropped), (0, 3 * 4), "two calls, a tool and a process each");
}

#[tokio::test]
async fn nobody_need_be_there() {
    let gone = Collector::start(&[]).await.endpoint;
    let scene = Scene::telling(&gone, /*content*/ false);
    let handle = scene.node.handle();
    scene.does("say hello", None).await;
    scene.end().await;
    assert_eq!(counted(&handle, "aosk_otel_spans_dropped_total"), 2);
    assert!(counted(&handle, "aosk_otel_failures_total") > 0);
}
