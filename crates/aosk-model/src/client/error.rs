//! Errors in the shape that each format has for them.

use aosk_abi::ErrorCode;
use serde::Serialize;

use super::told::{frame, json};
use super::{Format, Frame};

/// The body of an answer with this status.
#[must_use]
pub fn error_body(format: Format, status: u16, code: ErrorCode, message: &str) -> Vec<u8> {
    match format {
        Format::Chat | Format::Responses | Format::Embeddings => {
            json(&OpenAi { error: Said::openai(status, code, message) }).into_bytes()
        }
        Format::Messages => json(&Anthropic::new(status, code, message)).into_bytes(),
    }
}

/// The same as an event in the midst of a stream. In Responses, where events are counted,
/// [`super::Writer::failed`] knows the count.
#[must_use]
pub fn error_event(format: Format, status: u16, code: ErrorCode, message: &str) -> Frame {
    match format {
        Format::Chat | Format::Embeddings => {
            frame(None, &OpenAi { error: Said::openai(status, code, message) })
        }
        Format::Responses => numbered(status, code, message, /*number*/ 0),
        Format::Messages => frame(Some("error"), &Anthropic::new(status, code, message)),
    }
}

/// The event of an error in Responses.
pub(super) fn numbered(status: u16, code: ErrorCode, message: &str, number: u64) -> Frame {
    let error = Said::openai(status, code, message);
    let event = Numbered {
        kind: "error",
        sequence_number: number,
        code: error.code,
        message,
        param: None,
        error: &error,
    };
    frame(Some("error"), &event)
}

#[derive(Serialize)]
struct OpenAi<'a> {
    error: Said<'a>,
}

/// What is wrong. The kernel's own code is told beside the word that clients of the format know.
#[derive(Serialize)]
struct Said<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<()>,
    code: &'static str,
    kernel_code: &'static str,
}

/// Clients of OpenAI look for what is wrong in the event itself or in `error`, as their version does.
#[derive(Serialize)]
struct Numbered<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    code: &'static str,
    message: &'a str,
    param: Option<()>,
    error: &'a Said<'a>,
}

#[derive(Serialize)]
struct Anthropic<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: AnthropicSaid<'a>,
}

#[derive(Serialize)]
struct AnthropicSaid<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
    kernel_code: &'static str,
}

impl<'a> Said<'a> {
    fn openai(status: u16, code: ErrorCode, message: &'a str) -> Self {
        Self {
            message,
            kind: openai_kind(status, code),
            param: None,
            code: openai_code(code),
            kernel_code: code.as_str(),
        }
    }
}

impl<'a> Anthropic<'a> {
    fn new(status: u16, code: ErrorCode, message: &'a str) -> Self {
        let error =
            AnthropicSaid { kind: anthropic_kind(status), message, kernel_code: code.as_str() };
        Self { kind: "error", error }
    }
}

/// OpenAI's word for a kind of error.
fn openai_kind(status: u16, code: ErrorCode) -> &'static str {
    match status {
        429 if code == ErrorCode::ModelQuota => "insufficient_quota",
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// The word that clients of OpenAI know for what is wrong; ours where they know none.
fn openai_code(code: ErrorCode) -> &'static str {
    if code == ErrorCode::ModelContextLength {
        "context_length_exceeded"
    } else if code == ErrorCode::ModelUnknown {
        "model_not_found"
    } else if code == ErrorCode::ModelQuota {
        "insufficient_quota"
    } else if [ErrorCode::ModelRateLimited, ErrorCode::ApiRateLimited].contains(&code) {
        "rate_limit_exceeded"
    } else if [ErrorCode::ModelUnauthorized, ErrorCode::ApiUnauthorized].contains(&code) {
        "invalid_api_key"
    } else {
        code.as_str()
    }
}

/// Anthropic's word for a kind of error.
fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
