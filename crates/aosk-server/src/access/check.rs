//! The check that every request passes: not too often, and known who asks.

use aosk_abi::{Error, ErrorCode};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Caller, Peer, Place, lasting};
use crate::app::App;
use crate::limits::REQUESTS_PER_SECOND;
use crate::problem::Problem;

/// Lets a request pass and notes on it who asks.
pub(crate) async fn check(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match admit(&app, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller.clone());
            lasting::answer(&app, &caller, next.run(request)).await
        }
        Err(error) => refused(error),
    }
}

/// Who asks, if they may.
fn admit(app: &App, request: &Request) -> Result<Caller, Error> {
    let peer = request.extensions().get::<Peer>().copied();
    if let Some(Peer::Tcp(address)) = peer
        && !app.pace().admits(address, app.clock().now())
    {
        let text = format!("asking: more than {REQUESTS_PER_SECOND} requests in a second");
        return Err(Error::new(ErrorCode::ApiRateLimited, text).hint("send fewer"));
    }
    let caller = caller(app, request.headers(), peer)?;
    if let Some(place) = request.extensions().get::<Place>() {
        place.pass_to(&caller, app.shares())?;
    }
    Ok(caller)
}

/// The answer to who is not let in. It ends the connection, whose place is for others then.
pub(super) fn refused(error: Error) -> Response {
    let mut response = Problem::from(error).into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn caller(app: &App, headers: &HeaderMap, peer: Option<Peer>) -> Result<Caller, Error> {
    let refused = |what: &str| {
        Error::new(ErrorCode::ApiUnauthorized, format!("asking: {what}"))
            .hint("send `Authorization: Bearer TOKEN`; `aosk token create` makes one")
    };
    match (token(headers), peer) {
        (Token::Given(token), _) => {
            app.tokens().find(token)?.ok_or_else(|| refused("this token is not known"))
        }
        (Token::Unreadable, _) => Err(refused("the header Authorization is not a bearer token")),
        (Token::Absent, Some(Peer::Socket)) => Ok(Caller::owner()),
        (Token::Absent, Some(Peer::Tcp(_)) | None) => Err(refused("over TCP a token is needed")),
    }
}

enum Token<'a> {
    Absent,
    Given(&'a str),
    Unreadable,
}

/// The token of a request: a bearer token, or the key header that Anthropic's clients send.
fn token(headers: &HeaderMap) -> Token<'_> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let bearer = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        return bearer.map_or(Token::Unreadable, Token::Given);
    }
    match headers.get("x-api-key").map(|value| value.to_str()) {
        None => Token::Absent,
        Some(Ok(token)) => Token::Given(token.trim()),
        Some(Err(_)) => Token::Unreadable,
    }
}
