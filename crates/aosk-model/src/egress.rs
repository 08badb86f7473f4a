//! The way out: the one place that makes HTTP clients.
//!
//! TLS is rustls with ring and the certificates that the host trusts. Redirects are not followed,
//! so a key goes nowhere but to the address it was given for. Proxies are those of the environment
//! (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`), except for loopback addresses, which no
//! proxy could reach.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use aosk_abi::{ErrorCode, Failure, FailureClass};

use crate::failure::failed;

/// Time to resolve, connect and shake hands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection is kept for the next call. Load balancers close theirs after a minute or
/// more.
const IDLE_CONNECTION: Duration = Duration::from_secs(55);

/// Finds out that the other side is gone while it seems to think.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// What to do about a server that is spoken to in TLS and answers in plain text.
pub(crate) const PLAIN_SERVER: &str =
    "the server speaks http there, not https: write http:// in the base URL";

/// A client for calls to the host of `base`.
///
/// # Errors
/// If TLS cannot be set up.
pub fn client(base: &Url) -> Result<Client, reqwest::Error> {
    // Another library may have installed a provider first; any will do.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = Client::builder()
        .user_agent(concat!("aosk/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION)
        .tcp_keepalive(TCP_KEEPALIVE)
        .tcp_nodelay(true)
        .redirect(Policy::none());
    if !is_loopback(base) {
        return builder.build();
    }
    let builder = builder.no_proxy();
    // Reading the host's certificates takes 10 ms, and here nobody will show one.
    let is_plain = base.scheme() == "http";
    if is_plain { builder.tls_certs_only([]).build() } else { builder.build() }
}

/// The name of a device and its server, without anything of the address that may be secret.
pub(crate) fn place(name: &str, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{name} at {host}:{port}"),
        None => format!("{name} at {host}"),
    }
}

/// What a failed exchange stands for. `asked` names the device for the message.
pub(crate) fn failure(asked: &str, error: reqwest::Error) -> Failure {
    let (class, code) = if error.is_connect() {
        (FailureClass::Transient, ErrorCode::ModelUnreachable)
    } else if error.is_timeout() {
        (FailureClass::Transient, ErrorCode::ModelTimeout)
    } else if error.is_builder() {
        (FailureClass::Final, ErrorCode::ModelBadRequest)
    } else {
        (FailureClass::Transient, ErrorCode::ModelUnreachable)
    };
    let attempted = if error.is_connect() { "connecting to" } else { "asking" };
    // An address may carry a password.
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = cause.to_string();
    // An answer in plain text, read as TLS, has no type that there is; asking again mends nothing.
    let is_plain = cause.contains("InvalidContentType");
    let class = if is_plain { FailureClass::Final } else { class };
    let mut failure = failed(class, code, format!("{attempted} {asked}: {cause}"));
    if is_plain {
        failure.hint = PLAIN_SERVER.to_owned();
    } else if code == ErrorCode::ModelUnreachable {
        failure.hint = "check the network, the base URL, and that the server runs".to_owned();
    }
    failure
}

/// Whether the connection was there and ended before an answer began.
pub(crate) fn is_hang_up(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// Whether the host is this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
