//! What happens to every request: it gets an id, which its answer carries, is counted, and leaves one
//! line in the log. What it says of the trace that it is part of is kept while it is answered.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use aosk_runtime::TraceParent;
use aosk_runtime::trace::TRACEPARENT;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::limits::REQUEST_ID_BYTES_MAX;
use crate::metrics::method_word;

/// The header with the id, of requests and of answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What stands for the route where none leads.
const NO_ROUTE: &str = "none";

tokio::task_local! {
    static CURRENT: HeaderValue;
    static PARENT: Option<TraceParent>;
}

/// Lets a request pass.
pub(crate) async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = app.clock().elapsed();
    let id = given(request.headers()).unwrap_or_else(|| made(&app));
    let method = method_word(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let parent = request.headers().get(TRACEPARENT).and_then(|header| header.to_str().ok());
    let parent = parent.and_then(TraceParent::parse);
    let answered = PARENT.scope(parent, next.run(request));
    let mut response = CURRENT.scope(id.clone(), answered).await;
    let (status, took) = (response.status(), app.clock().elapsed().saturating_sub(began));
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    app.metrics().answered((method, route), status, took);
    tracing::info!(
        method,
        route,
        status = status.as_u16(),
        duration_ms = took.as_secs_f64() * 1_000.0,
        request_id = id.to_str().unwrap_or_default(),
        "request"
    );
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The id of the request that is being answered; empty where none is.
#[must_use]
pub fn current() -> String {
    let text = CURRENT.try_with(|id| id.to_str().map(str::to_owned).unwrap_or_default());
    text.unwrap_or_default()
}

/// The span of the client whose request is being answered, if it said one.
#[must_use]
pub fn trace_parent() -> Option<TraceParent> {
    PARENT.try_with(|parent| *parent).ok().flatten()
}

/// The id that the client gave, if it is one: it goes into logs and answers as it is.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(REQUEST_ID)?;
    let bytes = value.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    let is_id = (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(is_plain);
    is_id.then(|| value.clone())
}

/// An id that no other request has: when this server began, and how many it has made.
fn made(app: &App) -> HeaderValue {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static BEGAN: OnceLock<u64> = OnceLock::new();
    let began = *BEGAN.get_or_init(|| app.clock().now().0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let text = format!("{:x}-{began:x}-{count:x}", std::process::id());
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_plain() {
        let is_taken = |text: &[u8]| {
            let headers =
                HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(text).unwrap())]);
            given(&headers).is_some()
        };
        assert!(is_taken(b"0193-af:B_c.9"));
        assert!(is_taken(&[b'a'; REQUEST_ID_BYTES_MAX]));
        for bad in
            [&b""[..], b"a b", b"a\"b", b"a\tb", "ä".as_bytes(), &[b'a'; REQUEST_ID_BYTES_MAX + 1]]
        {
            assert!(!is_taken(bad), "{bad:?}");
        }
        assert_eq!(given(&HeaderMap::new()), None);
    }
}
