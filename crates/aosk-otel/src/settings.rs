//! Where the collector is and what it is told: the configuration, and before it the variables of the
//! environment that OpenTelemetry has for everybody.
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>

use std::collections::BTreeMap;
use std::time::Duration;

use aosk_abi::{Error, ErrorCode};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::limits::METRICS_EVERY;

/// What the configuration says.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Said {
    /// The address of the collector, to which `/v1/traces` and `/v1/metrics` are added.
    pub endpoint: Option<String>,
    /// Headers of every request to it, which may be secret.
    pub headers: BTreeMap<String, String>,
    /// Whether it is told what is said to models and what they answer.
    pub content: bool,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.headers.keys().collect::<Vec<_>>();
        f.debug_struct("Said").field("headers", &names).field("content", &self.content).finish()
    }
}

/// Where the collector is and what it is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) traces: Url,
    pub(crate) metrics: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) content: bool,
    /// Attributes of the resource, `service.name` among them.
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) metrics_every: Duration,
}

impl Settings {
    /// Where the collector is, without anything of the address that may be secret.
    #[must_use]
    pub fn place(&self) -> String {
        let host = self.traces.host_str().unwrap_or_default();
        self.traces.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// What holds; none if nobody names a collector, or `OTEL_SDK_DISABLED` is true.
    ///
    /// # Errors
    /// If an address or a header is none.
    pub fn read(said: &Said, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let set = |name: &str| env(name).filter(|text| !text.trim().is_empty());
        if set("OTEL_SDK_DISABLED").is_some_and(|text| text.trim().eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let (base, named) = match set(ENDPOINT) {
            Some(base) => (base, ENDPOINT),
            None => match &said.endpoint {
                Some(base) => (base.clone(), "otel.endpoint"),
                None => return Ok(None),
            },
        };
        let base = address(&base, named)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &said.headers {
            add(&mut headers, (name, value), &format!("otel.headers.{name}"))?;
        }
        for (name, value) in pairs(&set(HEADERS).unwrap_or_default(), HEADERS)? {
            add(&mut headers, (&name, &value), HEADERS)?;
        }
        let mut resource: BTreeMap<_, _> =
            pairs(&set(RESOURCE).unwrap_or_default(), RESOURCE)?.into_iter().collect();
        if let Some(name) = set("OTEL_SERVICE_NAME") {
            resource.insert(SERVICE_NAME.to_owned(), name);
        }
        resource.entry(SERVICE_NAME.to_owned()).or_insert_with(|| "aosk".to_owned());
        let version = || env!("CARGO_PKG_VERSION").to_owned();
        resource.entry("service.version".to_owned()).or_insert_with(version);
        let every = set("OTEL_METRIC_EXPORT_INTERVAL").and_then(|text| text.trim().parse().ok());
        let every = every.filter(|millis| *millis > 0).map(Duration::from_millis);
        Ok(Some(Self {
            traces: under(&base, "traces"),
            metrics: under(&base, "metrics"),
            headers,
            content: said.content,
            resource,
            metrics_every: every.unwrap_or(METRICS_EVERY),
        }))
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "service.name";

fn wrong(named: &str, what: &str) -> Error {
    Error::new(ErrorCode::ConfigInvalid, format!("reading {named}: {what}"))
}

/// An address. What is wrong with it is said without it: it may carry a password.
fn address(text: &str, named: &str) -> Result<Url, Error> {
    let hint = "give the address for OTLP over HTTP, such as http://127.0.0.1:4318";
    let url = Url::parse(text.trim())
        .map_err(|error| wrong(named, &format!("it is no address: {error}")).hint(hint))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(named, "it is no address of http or https").hint(hint));
    }
    Ok(url)
}

/// The address of a signal, as the protocol has it.
fn under(base: &Url, signal: &str) -> Url {
    let mut url = base.clone();
    let path = format!("{}/v1/{signal}", base.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

fn add(headers: &mut HeaderMap, (name, value): (&str, &str), named: &str) -> Result<(), Error> {
    let no_header = || wrong(named, "it is no header").hint("write, for example, api-key: abc");
    let name = HeaderName::try_from(name).map_err(|_| no_header())?;
    let mut value = HeaderValue::try_from(value).map_err(|_| no_header())?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Names with values, apart by commas; the values percent-encoded as in W3C Baggage.
fn pairs(text: &str, named: &str) -> Result<Vec<(String, String)>, Error> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let pair = part.split_once('=').filter(|(name, _)| !name.trim().is_empty());
            let pair = pair
                .and_then(|(name, value)| Some((name.trim().to_owned(), decoded(value.trim())?)));
            let hint = "write it as name=value,other=value";
            pair.ok_or_else(|| wrong(named, "a part of it is no name with a value").hint(hint))
        })
        .collect()
}

/// The text for which `%41` and the like stand; none if it is no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, after @ ..] if *first == b'%' => {
                let value = |digit: &u8| char::from(*digit).to_digit(16);
                let both = value(high).zip(value(low));
                both.and_then(|(high, low)| Some((u8::try_from(high * 16 + low).ok()?, after)))
            }
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(said: &Said, env: &[(&str, &str)]) -> Result<Option<Settings>, Error> {
        Settings::read(said, &|name| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn said(endpoint: &str) -> Said {
        let headers = BTreeMap::from([("api-key".to_owned(), "of the file".to_owned())]);
        Said { endpoint: Some(endpoint.to_owned()), headers, content: false }
    }

    #[test]
    fn nobody_is_told_anything_unless_somebody_says_so() {
        assert!(read(&Said::default(), &[]).unwrap().is_none());
        let off = [("OTEL_SDK_DISABLED", "TRUE")];
        assert!(read(&said("http://127.0.0.1:4318"), &off).unwrap().is_none());
        let on = [("OTEL_SDK_DISABLED", "no")];
        assert!(read(&said("http://127.0.0.1:4318"), &on).unwrap().is_some());
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example/otlp/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=1=2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=low,deployment.environment.name=test"),
            ("OTEL_SERVICE_NAME", "high"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1500"),
        ];
        let settings = read(&said("http://127.0.0.1:4318"), &env).unwrap().unwrap();
        assert_eq!(settings.traces.as_str(), "https://c.example/otlp/v1/traces");
        assert_eq!(settings.metrics.as_str(), "https://c.example/otlp/v1/metrics");
        assert_eq!(settings.headers["api-key"], "a b");
        assert_eq!(settings.headers["x"], "1=2");
        assert_eq!(settings.resource["service.name"], "high");
        assert_eq!(settings.resource["deployment.environment.name"], "test");
        assert_eq!(settings.metrics_every, Duration::from_millis(1_500));
        let plain = read(&said("http://127.0.0.1:4318"), &[]).unwrap().unwrap();
        assert_eq!(plain.resource["service.name"], "aosk");
        assert_eq!(plain.headers["api-key"], "of the file");
    }

    #[test]
    fn a_secret_is_not_printed() {
        let settings = read(&said("http://127.0.0.1:4318"), &[]).unwrap().unwrap();
        assert!(!format!("{settings:?}").contains("of the file"), "{settings:?}");
        assert!(!format!("{:?}", said("http://u:p@c.example")).contains("of the file"));
    }

    #[test]
    fn mistakes_are_told_by_their_names() {
        let error = |said: &Said, env: &[(&str, &str)]| read(said, env).unwrap_err().message;
        let endpoint = error(&said("unix:///run/c"), &[]);
        assert_eq!(endpoint, "reading otel.endpoint: it is no address of http or https");
        let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "secret")];
        let headers = error(&said("http://c.example"), &headers);
        let expected = "reading OTEL_EXPORTER_OTLP_HEADERS: a part of it is no name with a value";
        assert_eq!(headers, expected);
        let bad = [("OTEL_EXPORTER_OTLP_HEADERS", "a b=c")];
        let bad = error(&said("http://c.example"), &bad);
        assert_eq!(bad, "reading OTEL_EXPORTER_OTLP_HEADERS: it is no header");
    }
}
