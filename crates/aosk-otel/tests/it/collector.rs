//! A collector on loopback, which reads what it is told with the messages of the protocol.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    body: Vec<u8>,
}

/// A collector. It answers with the statuses that it was given, and then with 200.
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    asked: watch::Receiver<Vec<Asked>>,
    _task: JoinSet<()>,
}

impl Collector {
    pub(crate) async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let answers: VecDeque<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let answers = Arc::new(Mutex::new(answers));
        let (ask, asked) = watch::channel(Vec::new());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, ask.clone(), answers.clone()));
            }
        });
        Self { endpoint, asked, _task: task }
    }

    /// One that takes connections and never answers.
    pub(crate) async fn silent() -> Self {
        Self::start(&["silence"; 64]).await
    }

    /// Waits until it was asked so often.
    pub(crate) async fn until_asked(&self, times: usize) {
        self.asked.clone().wait_for(|asked| asked.len() >= times).await.unwrap();
    }

    pub(crate) fn all(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// What it was asked at this path.
    fn at(&self, path: &str) -> Vec<Asked> {
        let first = format!("POST {path} ");
        self.all().into_iter().filter(|asked| asked.head.starts_with(&first)).collect()
    }

    /// All spans that it was told of.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.at("/v1/traces").into_iter();
        let read = requests.map(|asked| {
            ExportTraceServiceRequest::decode(asked.body.as_slice()).expect("protobuf")
        });
        let resources = read.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// What it was told of whoever told it.
    pub(crate) fn resource(&self) -> Vec<KeyValue> {
        let request = &self.at("/v1/traces")[0];
        let request = ExportTraceServiceRequest::decode(request.body.as_slice()).expect("protobuf");
        request.resource_spans[0].resource.clone().unwrap().attributes
    }

    /// The metrics that it was told of last.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let request = self.at("/v1/metrics").pop().expect("metrics");
        let request =
            ExportMetricsServiceRequest::decode(request.body.as_slice()).expect("protobuf");
        request.resource_metrics[0].scope_metrics[0].metrics.clone()
    }
}

/// The text or number under a key.
pub(crate) fn said(attributes: &[KeyValue], key: &str) -> String {
    let one = attributes.iter().find(|one| one.key == key);
    let value = one.and_then(|one| one.value.clone()?.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => panic!("{key} is {other:?} in {attributes:?}"),
    }
}

async fn serve(
    mut stream: TcpStream,
    ask: watch::Sender<Vec<Asked>>,
    answers: Arc<Mutex<VecDeque<String>>>,
) {
    while let Some(asked) = read(&mut stream).await {
        let answer = answers.lock().unwrap().pop_front().unwrap_or_else(|| "200 OK".to_owned());
        ask.send_modify(|all| all.push(asked));
        if answer == "silence" {
            // Until the other side has had enough.
            drop(stream.read(&mut [0; 1]).await);
            return;
        }
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut request = Vec::new();
    loop {
        let end = request.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            let body = &request[end + 4..];
            if body.len() >= length.unwrap_or(0) {
                return Some(Asked { head, body: body.to_vec() });
            }
        }
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return None;
        }
    }
}
