//! One provider's address, key and bounds: what the wire formats have in common.
//!
//! Owns the key. It goes into the request's header and nowhere else: `Debug` shows none of it, and
//! a server that repeats it in an error has it struck out.

use std::fmt;
use std::time::Duration;

use aosk_abi::limits::BODY_BYTES_MAX;
use aosk_abi::{Error, ErrorCode, Failure, FailureClass};
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::driver::OnRates;
use crate::egress;
use crate::failure::{failed, refused};
use crate::rate_headers;
use crate::sse::{Decoder, Event};

/// Bytes of an error body that are read; the rest tells nothing more.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// How long a stream that has said its last event may take to end. One that ends leaves its
/// connection to the next call.
const DRAIN: Duration = Duration::from_millis(100);

/// Shorter keys, such as a word for a server of one's own, are parts of other words; struck out, they
/// would make a message unreadable and give themselves away.
const KEY_BYTES_MIN: usize = 8;

/// Bounds of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long a stream that has begun may be silent.
    pub idle: Duration,
    /// Bytes of an answer, or of the text assembled from a stream.
    pub answer_bytes_max: usize,
    /// Bytes of a whole stream. Its framing is some fifty times the text it carries.
    pub stream_bytes_max: usize,
}

impl Default for Bounds {
    /// Two minutes, 8 MiB, 256 MiB.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(120),
            answer_bytes_max: BODY_BYTES_MAX,
            stream_bytes_max: 32 * BODY_BYTES_MAX,
        }
    }
}

/// How a key is shown to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyHeader {
    /// `authorization: Bearer KEY`.
    Bearer,
    /// `x-api-key: KEY`.
    XApiKey,
    /// `x-goog-api-key: KEY`.
    XGoogApiKey,
}

/// Where a provider is and how it is spoken to.
pub struct Endpoint {
    device: String,
    url: Url,
    headers: HeaderMap,
    key: Option<SecretString>,
    bounds: Bounds,
    client: Client,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("device", &self.device)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("has_key", &self.key.is_some())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The endpoint at `path` under `base`. `device` is its name in messages.
    ///
    /// # Errors
    /// If `base` is no HTTP address or the key has characters that a header cannot carry.
    pub fn new(
        device: impl Into<String>,
        base: &str,
        path: &str,
        key: Option<(KeyHeader, SecretString)>,
        bounds: Bounds,
    ) -> Result<Self, Error> {
        let device = device.into();
        let wrong = |what: String| {
            Error::new(ErrorCode::ConfigInvalid, format!("making {device}: {what}"))
                .hint("a base URL looks like http://127.0.0.1:8000/v1")
        };
        let mut url: Url = base
            .trim()
            .parse()
            .map_err(|error| wrong(format!("the base URL is no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("the base URL is not http or https".to_owned()));
        }
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((header, key)) = &key {
            let (name, value) = match header {
                KeyHeader::Bearer => {
                    (reqwest::header::AUTHORIZATION, format!("Bearer {}", key.expose_secret()))
                }
                KeyHeader::XApiKey => {
                    (HeaderName::from_static("x-api-key"), key.expose_secret().to_owned())
                }
                KeyHeader::XGoogApiKey => {
                    (HeaderName::from_static("x-goog-api-key"), key.expose_secret().to_owned())
                }
            };
            let mut value = HeaderValue::try_from(value).map_err(|_| {
                wrong("the key has characters that no key has".to_owned())
                    .hint("copy the key anew into its variable, in one line")
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client = egress::client(&url).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { device, url, headers, key: key.map(|(_, key)| key), bounds, client })
    }

    /// The same endpoint with one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// What is under this endpoint at `path`, with a query if one is given. Connections are shared.
    #[must_use]
    pub(crate) fn under(&self, path: &str, query: Option<&str>) -> Self {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        if query.is_some() {
            url.set_query(query);
        }
        let Self { device, headers, key, bounds, client, .. } = self;
        Self {
            device: device.clone(),
            url,
            headers: headers.clone(),
            key: key.clone(),
            bounds: *bounds,
            client: client.clone(),
        }
    }

    /// The name in messages: `provider:model`.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The name and the server, without anything of the address that may be secret.
    fn place(&self) -> String {
        egress::place(&self.device, &self.url)
    }

    /// Sends `body` and waits for the head of the answer, which may tell of rates.
    ///
    /// A connection that ends before the head comes is replaced once: servers close connections
    /// that they have promised to keep, and that shows only when the next request is on its way.
    pub(crate) async fn post(
        &self,
        body: Vec<u8>,
        is_stream: bool,
        on_rates: &OnRates,
    ) -> Result<Answer<'_>, Failure> {
        let sent = self.post_with(body, is_stream, &HeaderMap::new(), on_rates).await?;
        sent.map_err(|refusal| refusal.failure)
    }

    /// The same with further headers, which go before the endpoint's own but for its key. A refusal comes
    /// as it was said.
    pub(crate) async fn post_with(
        &self,
        body: Vec<u8>,
        is_stream: bool,
        headers: &HeaderMap,
        on_rates: &OnRates,
    ) -> Result<Result<Answer<'_>, Refusal>, Failure> {
        let body = Bytes::from(body);
        let accept = if is_stream { "text/event-stream" } else { "application/json" };
        let request = || {
            let mut request = reqwest::Request::new(Method::POST, self.url.clone());
            *request.headers_mut() = self.headers.clone();
            for (name, value) in headers {
                request.headers_mut().insert(name, value.clone());
            }
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
            *request.body_mut() = Some(body.clone().into());
            request
        };
        let mut sent = self.client.execute(request()).await;
        if sent.as_ref().is_err_and(egress::is_hang_up) {
            sent = self.client.execute(request()).await;
        }
        let response =
            sent.map_err(|error| self.censored(egress::failure(&self.place(), error)))?;
        // Moments are nearly always measured by the answer's own date.
        if let Some(report) = rate_headers::report(response.headers(), jiff::Timestamp::now) {
            on_rates.tell(report);
        }
        let answer = Answer {
            endpoint: self,
            response,
            bytes: 0,
            decoder: Decoder::new(self.bounds.answer_bytes_max),
            is_over: false,
        };
        if answer.response.status() == StatusCode::OK {
            Ok(Ok(answer))
        } else {
            Ok(Err(answer.refusal().await))
        }
    }

    /// The failure of a request that cannot be put into words.
    pub(crate) fn unwritable(&self, error: &serde_json::Error) -> Failure {
        let message = format!("writing the request to {}: {error}", self.device);
        failed(FailureClass::Final, ErrorCode::ModelBadRequest, message)
    }

    /// The failure of a stream that ends before the answer does.
    pub(crate) fn broke_off(&self) -> Failure {
        self.malformed(FailureClass::Transient, "the stream broke off")
    }

    /// A failure of this endpoint's answer.
    pub(crate) fn malformed(&self, class: FailureClass, what: impl fmt::Display) -> Failure {
        let message = format!("reading the answer of {}: {what}", self.device);
        self.censored(failed(class, ErrorCode::ModelMalformed, message))
    }

    /// The failure of an answer with status 200 that is not the JSON it should be.
    pub(crate) fn not_understood(&self, body: &[u8], error: &serde_json::Error) -> Failure {
        if !body.trim_ascii_start().starts_with(b"<") {
            return self.malformed(FailureClass::Transient, error);
        }
        let mut failure = self.malformed(FailureClass::Final, "it is an HTML page");
        failure.hint = "check the base URL; some end in /v1".to_owned();
        failure
    }

    /// The failure that an error body stands for.
    pub(crate) fn refused(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
        self.censored(refused(&self.device, status, headers, body))
    }

    /// A text assembled from a stream is longer than an answer may be.
    pub(crate) fn check_length(&self, bytes: usize) -> Result<(), Failure> {
        if bytes > self.bounds.answer_bytes_max {
            return Err(self.too_long(self.bounds.answer_bytes_max));
        }
        Ok(())
    }

    fn too_long(&self, bytes_max: usize) -> Failure {
        self.malformed(FailureClass::Final, format_args!("it is longer than {bytes_max} bytes"))
    }

    /// The body of a refusal without the key, which some servers repeat.
    fn struck_out(&self, body: Vec<u8>) -> Bytes {
        let secret = self.key.as_ref().map(|key| key.expose_secret());
        match (secret.filter(|key| key.len() >= KEY_BYTES_MIN), str::from_utf8(&body)) {
            (Some(key), Ok(text)) if text.contains(key) => text.replace(key, "[redacted]").into(),
            _ => body.into(),
        }
    }

    /// Strikes out the key, which some servers repeat when they refuse it.
    fn censored(&self, mut failure: Failure) -> Failure {
        if let Some(key) = &self.key
            && key.expose_secret().len() >= KEY_BYTES_MIN
            && failure.message.contains(key.expose_secret())
        {
            failure.message = failure.message.replace(key.expose_secret(), "[redacted]");
        }
        failure
    }
}

/// An answer with another status than 200.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// What was said, without the key.
    pub(crate) body: Bytes,
    /// What it means.
    pub(crate) failure: Failure,
}

/// An answer whose head has come.
pub(crate) struct Answer<'a> {
    endpoint: &'a Endpoint,
    response: Response,
    /// Bytes read so far.
    bytes: usize,
    decoder: Decoder,
    is_over: bool,
}

impl<'a> Answer<'a> {
    /// Whether the answer is a stream of events. A server that does not know `stream` sends JSON,
    /// and a gateway may send a page.
    pub(crate) fn is_event_stream(&self) -> bool {
        let kind = self.response.headers().get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        !kind.starts_with(b"application/json") && !kind.starts_with(b"text/html")
    }

    /// The head of the answer.
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Who answers.
    pub(crate) fn endpoint(&self) -> &'a Endpoint {
        self.endpoint
    }

    /// Reads the whole body. What came before a failure is in `body`.
    pub(crate) async fn whole(&mut self, body: &mut Vec<u8>) -> Result<(), Failure> {
        let bytes_max = self.endpoint.bounds.answer_bytes_max;
        while let Some(chunk) = self.chunk(bytes_max).await? {
            body.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// The next event of the stream; none at its end.
    pub(crate) async fn event(&mut self) -> Result<Option<Event>, Failure> {
        let Bounds { idle, stream_bytes_max, .. } = self.endpoint.bounds;
        loop {
            let event = self
                .decoder
                .event()
                .map_err(|error| self.endpoint.malformed(error.class(), error))?;
            if event.is_some() || self.is_over {
                return Ok(event);
            }
            let Ok(chunk) = tokio::time::timeout(idle, self.chunk(stream_bytes_max)).await else {
                let silence = format!(
                    "reading the answer of {}: nothing came for {} s",
                    self.endpoint.device,
                    idle.as_secs()
                );
                return Err(failed(FailureClass::Transient, ErrorCode::ModelTimeout, silence));
            };
            match chunk? {
                Some(chunk) => self.decoder.push(chunk),
                None => {
                    self.is_over = true;
                    self.decoder.finish();
                }
            }
        }
    }

    /// Reads what is left after the last event, so that the connection can be used again.
    pub(crate) async fn drain(mut self) {
        let bytes_max = self.endpoint.bounds.stream_bytes_max;
        let rest = async { while let Ok(Some(_)) = self.chunk(bytes_max).await {} };
        // One that does not end in time is closed, which is what dropping it does.
        drop(tokio::time::timeout(DRAIN, rest).await);
    }

    /// The next piece of the body, which may have `bytes_max` bytes in all.
    async fn chunk(&mut self, bytes_max: usize) -> Result<Option<Bytes>, Failure> {
        let read = self.response.chunk().await;
        let chunk = read.map_err(|error| {
            self.endpoint.censored(egress::failure(&self.endpoint.place(), error))
        })?;
        self.bytes += chunk.as_ref().map_or(0, Bytes::len);
        if self.bytes > bytes_max {
            return Err(self.endpoint.too_long(bytes_max));
        }
        Ok(chunk)
    }

    /// The failure that an answer with another status than 200 stands for.
    async fn refusal(mut self) -> Refusal {
        let mut body = Vec::new();
        let idle = self.endpoint.bounds.idle;
        // A body that breaks off still tells what it told.
        while body.len() < ERROR_BYTES_MAX
            && let Ok(Ok(Some(chunk))) = tokio::time::timeout(idle, self.chunk(usize::MAX)).await
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(ERROR_BYTES_MAX);
        let status = self.response.status().as_u16();
        let failure = self.endpoint.refused(status, self.response.headers(), &body);
        Refusal { status, body: self.endpoint.struck_out(body), failure }
    }
}
