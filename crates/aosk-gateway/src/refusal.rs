//! Errors, in the shape of each format.

use aosk_abi::{Error, ErrorCode, Millis};
use aosk_runtime::model::client::{Format, error_body};
use aosk_server::problem::{Problem, status};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The header by which clients of both vendors are told whether to ask again, whatever the status.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What would be the same if it were asked again: somebody ended it, or somebody else must act first.
const IN_VAIN: [ErrorCode; 6] = [
    ErrorCode::ModelCancelled,
    ErrorCode::ModelUnauthorized,
    ErrorCode::ModelKeyMissing,
    ErrorCode::ModelRefused,
    ErrorCode::ModelQuota,
    ErrorCode::BudgetExceeded,
];

/// The status with which an error is answered. What is wrong with a request is told as such here, also
/// where it was the provider who found it: clients give up on what they sent wrong, and try again what
/// went wrong elsewhere.
pub(crate) fn status_of(code: ErrorCode) -> StatusCode {
    if code == ErrorCode::ModelUnknown {
        StatusCode::NOT_FOUND
    } else if [ErrorCode::ModelBadRequest, ErrorCode::ModelContextLength].contains(&code) {
        StatusCode::BAD_REQUEST
    } else if code == ErrorCode::ModelQuota {
        StatusCode::TOO_MANY_REQUESTS
    } else {
        status(code)
    }
}

/// What is wrong, in one line. What a provider says of the kernel's key and account is for its operator,
/// who finds it in the journal.
pub(crate) fn line(error: &Error) -> String {
    if [ErrorCode::ModelUnauthorized, ErrorCode::ModelKeyMissing].contains(&error.code) {
        "asking the model: its provider does not let this kernel in".to_owned()
    } else if error.code == ErrorCode::ModelQuota {
        "asking the model: the account of this kernel with its provider is used up".to_owned()
    } else if error.hint.is_empty() {
        error.message.clone()
    } else {
        format!("{}; {}", error.message, error.hint)
    }
}

/// The answer of a format to a request that failed.
pub(crate) fn answer(format: Format, error: &Error, retry_after: Option<Millis>) -> Response {
    // A budget that has room again is a rate.
    let is_rate = error.code == ErrorCode::BudgetExceeded && retry_after.is_some();
    let status = if is_rate { StatusCode::TOO_MANY_REQUESTS } else { status_of(error.code) };
    let body = error_body(format, status.as_u16(), error.code, &line(error));
    let mut response = (status, [(CONTENT_TYPE, "application/json")], body).into_response();
    if IN_VAIN.contains(&error.code) && !is_rate {
        let no = HeaderValue::from_static("false");
        response.headers_mut().insert(SHOULD_RETRY, no);
    }
    if let Some(after) = retry_after {
        let seconds = HeaderValue::from(after.0.div_ceil(1_000));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// The format of a path, if it has one.
fn format_of(path: &str) -> Option<Format> {
    match path.strip_prefix("/v1/")? {
        path if path.starts_with("messages") => Some(Format::Messages),
        path if path.starts_with("responses") => Some(Format::Responses),
        path if path.starts_with("embeddings") => Some(Format::Embeddings),
        _ => Some(Format::Chat),
    }
}

/// Has problems that the server found, such as a token that is not known, told in the shape of the format.
pub(crate) async fn shape(request: Request, next: Next) -> Response {
    let format = format_of(request.uri().path());
    let response = next.run(request).await;
    let (Some(format), Some(problem)) = (format, response.extensions().get::<Problem>()) else {
        return response;
    };
    let said = match problem.hint.as_str() {
        "" => problem.detail.clone(),
        hint => format!("{}; {hint}", problem.detail),
    };
    let code = ErrorCode::ALL.iter().find(|code| code.as_str() == problem.code);
    let code = code.copied().unwrap_or(ErrorCode::KernelPanic);
    let body = error_body(format, problem.status, code, &said);
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests;
