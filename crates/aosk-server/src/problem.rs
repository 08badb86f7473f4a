//! Errors as RFC 9457 has them, and the one table from a code to an HTTP status.

use aosk_abi::{Error, ErrorCode};
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::request;

/// Where every code is explained.
const PAGES: &str =
    "https://github.com/agent-os-kernel/agent-os-kernel/blob/main/docs/errors/README.md";

/// The media type of problems.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was attempted, and what is wrong.
    pub detail: String,
    /// The stable code.
    pub code: String,
    /// What can be done about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The id of the request, as the header `x-request-id` has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.code.as_str();
        Self {
            // As Markdown makes anchors of headings.
            kind: format!("{PAGES}#{}", code.replace('.', "")),
            title: code.replace(['.', '_'], " "),
            status: status(error.code).as_u16(),
            detail: error.message,
            code: code.to_owned(),
            hint: error.hint,
            request_id: request::current(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.extensions_mut().insert(self);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The HTTP status of a code.
#[must_use]
pub fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Usage
        | ErrorCode::BadSyscall
        | ErrorCode::ApiBadRequest
        | ErrorCode::ProgramInvalid
        | ErrorCode::ModelUnknown
        | ErrorCode::ToolUnknown
        | ErrorCode::ToolArguments
        | ErrorCode::ToolPathEscape
        | ErrorCode::TraceInvalid
        | ErrorCode::ConfigInvalid => StatusCode::BAD_REQUEST,
        ErrorCode::ApiUnauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::ToolDenied => StatusCode::FORBIDDEN,
        ErrorCode::NoSuchProcess | ErrorCode::MemoryNoPage | ErrorCode::ApiNotFound => {
            StatusCode::NOT_FOUND
        }
        ErrorCode::ApiMethod => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::ApiTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::ApiMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::ApiTimeout => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::ApiRateLimited | ErrorCode::ModelRateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::BudgetExceeded | ErrorCode::ModelQuota => StatusCode::PAYMENT_REQUIRED,
        ErrorCode::Deadlock
        | ErrorCode::NotAsking
        | ErrorCode::Runaway
        | ErrorCode::MemoryPinsFull
        | ErrorCode::MemoryTask
        | ErrorCode::ToolInterrupted
        | ErrorCode::ReplayDiffers
        | ErrorCode::StoreLocked => StatusCode::CONFLICT,
        ErrorCode::Busy | ErrorCode::Interrupted | ErrorCode::ApiNoDaemon => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::StoreFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::ModelTimeout | ErrorCode::ToolTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::ModelUnauthorized
        | ErrorCode::ModelUnreachable
        | ErrorCode::ModelServer
        | ErrorCode::ModelBadRequest
        | ErrorCode::ModelUnable
        | ErrorCode::ModelContextLength
        | ErrorCode::ModelMalformed
        | ErrorCode::ModelTruncated
        | ErrorCode::ModelRefused
        | ErrorCode::ModelCancelled
        | ErrorCode::ScriptExhausted => StatusCode::BAD_GATEWAY,
        ErrorCode::ModelKeyMissing
        | ErrorCode::KernelPanic
        | ErrorCode::ProgramFailed
        | ErrorCode::ToolFailed
        | ErrorCode::StoreNewer
        | ErrorCode::StoreIo
        | ErrorCode::StoreCorrupt
        | ErrorCode::JournalBroken
        | ErrorCode::Io => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer where no route leads.
pub(crate) async fn no_such_route(method: Method, uri: Uri) -> Problem {
    let text = format!("{method} {}: there is nothing at this path", uri.path());
    Error::new(ErrorCode::ApiNotFound, text)
        .hint("GET /api/v1/openapi.json lists what there is")
        .into()
}

/// The answer where a route knows other methods only.
pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let text = format!("{method} {}: this path does not take this method", uri.path());
    Error::new(ErrorCode::ApiMethod, text)
        .hint("the header Allow names those it takes, and /api/v1/openapi.json what they do")
        .into()
}
