//! What handlers take from a request. Whatever is wrong with it is answered as a problem.

use std::time::Duration;

use aosk_abi::{Error, ErrorCode};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::{BODY_BYTES_MAX, BODY_TIMEOUT};
use crate::problem::Problem;

fn bad(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::ApiBadRequest, format!("reading the request: {what}"))
}

/// The body of a request, of so many bytes at most, which must arrive within the time.
///
/// # Errors
/// If it has more, or does not.
pub async fn body(request: Request, bytes_max: usize, within: Duration) -> Result<Bytes, Error> {
    let read = axum::body::to_bytes(request.into_body(), bytes_max);
    match tokio::time::timeout(within, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => {
            let text = format!("reading the request: its body has more than {bytes_max} bytes");
            Err(Error::new(ErrorCode::ApiTooLarge, text)
                .hint("put long texts into files of the workspace"))
        }
        Ok(Err(error)) => Err(bad(error)),
        Err(_) => {
            let text = "reading the request: its body does not arrive";
            Err(Error::new(ErrorCode::ApiTimeout, text).hint("send it at once"))
        }
    }
}

/// A body of JSON; of an answer, too.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let said = request.headers().get(CONTENT_TYPE).map(|value| value.to_str());
        let is_json = match said {
            None => false,
            Some(said) => said.is_ok_and(|said| {
                let media = said.split(';').next().unwrap_or_default().trim();
                media.eq_ignore_ascii_case("application/json")
            }),
        };
        if !is_json {
            let text = "reading the request: its body must be JSON";
            return Err(Error::new(ErrorCode::ApiMediaType, text)
                .hint("send the header `Content-Type: application/json`")
                .into());
        }
        let bytes = body(request, BODY_BYTES_MAX, BODY_TIMEOUT).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| bad(error).into())
    }
}

/// Whether reading ended at the bound. The library says so by the type of the cause alone.
fn is_too_long(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.to_string() == "length limit exceeded" {
            return true;
        }
        cause = error.source();
    }
    false
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => {
                let text = format!("writing the answer: {error}");
                Problem::from(Error::new(ErrorCode::KernelPanic, text)).into_response()
            }
        }
    }
}

/// What stands behind the question mark.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        let read = read.map(|axum::extract::Query(read)| Self(read));
        read.map_err(|error: QueryRejection| bad(error.body_text()).into())
    }
}

/// What stands in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        let read = read.map(|axum::extract::Path(read)| Self(read));
        read.map_err(|error: PathRejection| bad(error.body_text()).into())
    }
}
