//! What a provider's refusal means: one table for every vendor and wire format.
//!
//! A refusal is judged by the names the vendor gives it (`insufficient_quota`), then by telling
//! words of its message, then by the HTTP status.

mod details;

use aosk_abi::ErrorCode::{
    ModelBadRequest, ModelContextLength, ModelMalformed, ModelQuota, ModelRateLimited, ModelServer,
    ModelTimeout, ModelUnauthorized, ModelUnknown,
};
use aosk_abi::FailureClass::{Final, RateLimited, Transient};
use aosk_abi::{ErrorCode, Failure, FailureClass, Millis};
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;

use crate::{retry_after, surrogate};

use details::Details;

/// Characters of a vendor's message that are kept. Some servers send a whole stack trace.
const MESSAGE_CHARS_MAX: usize = 400;

/// How a refusal is taken.
type Verdict = (FailureClass, ErrorCode);

/// Vendors' names of errors: `code`, `type` or `details.error_code` of the body.
const NAMES: &[(&str, Verdict)] = &[
    // OpenAI and those who copy its shape.
    ("insufficient_quota", (Final, ModelQuota)),
    ("credit_balance_exhausted", (Final, ModelQuota)),
    ("organization_spend_limit_exceeded", (Final, ModelQuota)),
    ("project_spend_limit_exceeded", (Final, ModelQuota)),
    ("organization_usage_limit_exceeded", (Final, ModelQuota)),
    ("context_length_exceeded", (Final, ModelContextLength)),
    ("rate_limit_exceeded", (RateLimited, ModelRateLimited)),
    ("slow_down", (RateLimited, ModelRateLimited)),
    ("model_not_found", (Final, ModelUnknown)),
    ("invalid_api_key", (Final, ModelUnauthorized)),
    ("content_filter", (Final, ModelBadRequest)),
    // Anthropic.
    ("enforced_spend_limit_reached", (Final, ModelQuota)),
    ("contract_spend_limit_reached", (Final, ModelQuota)),
    ("ramp_limit_exceeded", (RateLimited, ModelRateLimited)),
    ("billing_error", (Final, ModelQuota)),
    ("rate_limit_error", (RateLimited, ModelRateLimited)),
    ("overloaded_error", (RateLimited, ModelRateLimited)),
    ("api_error", (Transient, ModelServer)),
    ("timeout_error", (Transient, ModelTimeout)),
    ("authentication_error", (Final, ModelUnauthorized)),
    ("permission_error", (Final, ModelUnauthorized)),
    ("request_too_large", (Final, ModelContextLength)),
    // Moonshot.
    ("rate_limit_reached_error", (RateLimited, ModelRateLimited)),
    ("engine_overloaded_error", (RateLimited, ModelRateLimited)),
    ("exceeded_current_quota_error", (Final, ModelQuota)),
    // DashScope.
    ("Throttling", (RateLimited, ModelRateLimited)),
    ("Throttling.RateQuota", (RateLimited, ModelRateLimited)),
    ("Throttling.BurstRate", (RateLimited, ModelRateLimited)),
    ("Throttling.AllocationQuota", (RateLimited, ModelRateLimited)),
    ("InvalidApiKey", (Final, ModelUnauthorized)),
    ("AccessDenied", (Final, ModelUnauthorized)),
    ("Arrearage", (Final, ModelQuota)),
    ("ModelNotFound", (Final, ModelUnknown)),
    // Zhipu and Z.ai, most of whose numbers come with HTTP 429.
    ("1113", (Final, ModelQuota)),
    ("1211", (Final, ModelUnknown)),
    ("1261", (Final, ModelContextLength)),
    ("1301", (Final, ModelBadRequest)),
    ("1302", (RateLimited, ModelRateLimited)),
    ("1303", (RateLimited, ModelRateLimited)),
    ("1304", (Final, ModelQuota)),
    ("1305", (RateLimited, ModelRateLimited)),
    ("1308", (Final, ModelQuota)),
    ("1309", (Final, ModelQuota)),
    ("1310", (Final, ModelQuota)),
    ("1312", (RateLimited, ModelRateLimited)),
    // MiniMax, whose numbers stand in `base_resp` and may come with HTTP 200.
    ("base_resp:1000", (Transient, ModelServer)),
    ("base_resp:1001", (Transient, ModelTimeout)),
    ("base_resp:1002", (RateLimited, ModelRateLimited)),
    ("base_resp:1004", (Final, ModelUnauthorized)),
    ("base_resp:1008", (Final, ModelQuota)),
    ("base_resp:1024", (Transient, ModelServer)),
    ("base_resp:1026", (Final, ModelBadRequest)),
    ("base_resp:1027", (Final, ModelBadRequest)),
    ("base_resp:1033", (Transient, ModelServer)),
    ("base_resp:2013", (Final, ModelBadRequest)),
    // Google.
    (details::PER_DAY, (Final, ModelQuota)),
    ("API_KEY_INVALID", (Final, ModelUnauthorized)),
    ("RESOURCE_EXHAUSTED", (RateLimited, ModelRateLimited)),
    // llama.cpp, LiteLLM.
    ("exceed_context_size_error", (Final, ModelContextLength)),
    ("not_supported_error", (Final, ModelBadRequest)),
    ("throttling_error", (RateLimited, ModelRateLimited)),
];

/// The names, of those above, that a content filter has.
const FILTERS: &[&str] = &["content_filter", "1301", "base_resp:1026", "base_resp:1027"];

/// Words of messages, in lower case, where a vendor has no name for what it means.
const PHRASES: &[(&str, Verdict)] = &[
    ("maximum context length", (Final, ModelContextLength)),
    ("context window", (Final, ModelContextLength)),
    ("available context size", (Final, ModelContextLength)),
    ("prompt is too long", (Final, ModelContextLength)),
    ("exceeds the maximum number of tokens", (Final, ModelContextLength)),
    ("credit balance is too low", (Final, ModelQuota)),
];

/// What llama.cpp says, with status 500, of a text that it cannot embed in one go.
const TOO_LARGE: &str = "is too large to process";

/// An error body, in whichever vendor's shape.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// What it says to people.
    pub(crate) message: String,
    /// The vendor's names for it, the most telling first.
    pub(crate) names: Vec<String>,
    /// The HTTP status it would have had, where it came inside a success.
    pub(crate) status: Option<u16>,
    /// How long it asks to be left alone, where it says so itself.
    pub(crate) wait: Option<Millis>,
}

impl Complaint {
    /// Reads an error body; none if the bytes are not a JSON object that tells of an error.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(&surrogate::mended(body)).ok()?;
        // Where Google answers with a list of chunks, its errors are one too.
        let value = value.as_array().and_then(|list| list.first()).unwrap_or(&value);
        match value.get("error") {
            Some(Value::String(message)) => {
                return Some(Self { message: message.clone(), ..Self::default() });
            }
            Some(Value::Object(_)) => return value.get("error").map(Self::from_error),
            _ => {}
        }
        if let Some(base) = value.get("base_resp") {
            let status =
                base.get("status_code").and_then(Value::as_i64).filter(|code| *code != 0)?;
            let names = vec![format!("base_resp:{status}")];
            return Some(Self { message: text(base, "status_msg"), names, ..Self::default() });
        }
        // DashScope's own shape, vLLM's older one, FastAPI's, and gateways'.
        let message = [text(value, "message"), text(value, "detail")].concat();
        let names = [text(value, "code"), text(value, "type")];
        let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
        (!message.is_empty()).then_some(Self { message, names, ..Self::default() })
    }

    fn from_error(error: &Value) -> Self {
        let details = error.get("details");
        let code = details.map(|details| text(details, "error_code")).unwrap_or_default();
        let Details { names: told, wait } = Details::read(details);
        let own = [text(error, "code"), text(error, "type"), text(error, "status")];
        let names = std::iter::once(code).chain(told).chain(own);
        let code = error.get("code");
        let number = code.and_then(|code| {
            code.as_u64().or_else(|| code.as_str().and_then(|digits| digits.parse().ok()))
        });
        Self {
            message: text(error, "message"),
            names: names.filter(|name| !name.is_empty()).collect(),
            wait,
            status: number
                .and_then(|number| u16::try_from(number).ok())
                .filter(|status| (400..600).contains(status)),
        }
    }

    /// Whether it is about what was said, not about how the request was put.
    fn is_of_a_filter(&self) -> bool {
        self.names.iter().any(|name| FILTERS.contains(&name.as_str()))
    }

    /// How the complaint is to be taken when it came with `status`.
    fn verdict(&self, status: u16) -> Verdict {
        let message = self.message.to_lowercase();
        let named = self.names.iter().find_map(|name| {
            NAMES.iter().find(|(known, _)| known == name).map(|(_, verdict)| *verdict)
        });
        if let Some(verdict) = named {
            let is_allocation = self.names.iter().any(|name| name == "Throttling.AllocationQuota");
            // DashScope has one name for a rate that recovers and a free quota that does not.
            return if is_allocation && message.contains("free") {
                (Final, ModelQuota)
            } else {
                verdict
            };
        }
        if (400..500).contains(&status) && status != 429 {
            let told = PHRASES.iter().find(|(phrase, _)| message.contains(phrase));
            if let Some((_, verdict)) = told {
                return *verdict;
            }
        }
        if message.contains(TOO_LARGE) {
            return (Final, ModelContextLength);
        }
        by_status(status)
    }
}

/// What a status means by itself.
fn by_status(status: u16) -> Verdict {
    match status {
        401 | 403 => (Final, ModelUnauthorized),
        402 => (Final, ModelQuota),
        404 => (Final, ModelUnknown),
        408 | 504 => (Transient, ModelTimeout),
        409 => (Transient, ModelServer),
        413 => (Final, ModelContextLength),
        425 | 429 | 529 => (RateLimited, ModelRateLimited),
        // Not implemented: it will not be the next time either.
        501 => (Final, ModelBadRequest),
        500..=599 => (Transient, ModelServer),
        // Redirects too: they are not followed, so that the key goes nowhere it was not meant for.
        _ => (Final, ModelBadRequest),
    }
}

/// The failure that an answer stands for.
///
/// `asked` names the device for the message.
pub(crate) fn refused(asked: &str, status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    let complaint = Complaint::read(body).unwrap_or_else(|| Complaint {
        message: if body.trim_ascii_start().starts_with(b"<") {
            "the answer is an HTML page".to_owned()
        } else {
            String::from_utf8_lossy(body).into_owned()
        },
        ..Complaint::default()
    });
    // An error inside a success came too late for a status of its own.
    let is_late = status == 200;
    let status = if is_late { complaint.status.unwrap_or(500) } else { status };
    let (mut class, mut code) = complaint.verdict(status);
    let retry_after = retry_after::wait(headers).or(complaint.wait);
    if code == ModelServer && status == 503 && retry_after.is_some() {
        (class, code) = (RateLimited, ModelRateLimited);
    }
    match retry_after::should_retry(headers) {
        Some(false) => class = Final,
        // A quota does not come back within a retry, whatever the header says.
        Some(true) if class == Final && code != ModelQuota => class = Transient,
        Some(true) | None => {}
    }
    let is_redirect = (300..400).contains(&status);
    let said = if is_redirect {
        let to = headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
        let to = to.map_or_else(String::new, |to| format!(" to {}", one_line(&to)));
        format!("it is a redirect{to}, and redirects are not followed")
    } else if complaint.message.trim().is_empty() {
        "no reason given".to_owned()
    } else {
        one_line(&complaint.message)
    };
    let hint = if is_redirect {
        "set the base URL to where the provider really is"
    } else if complaint.is_of_a_filter() {
        "the provider's content filter stopped it: reword the task, or use another model"
    } else {
        hint(code)
    };
    let how = if is_late { "an error in its answer".to_owned() } else { format!("HTTP {status}") };
    Failure {
        class,
        code,
        message: format!("asked {asked}: {how}: {said}"),
        hint: hint.to_owned(),
        retry_after: if class == Final { None } else { retry_after },
        usage: None,
    }
}

/// What the person can do.
fn hint(code: ErrorCode) -> &'static str {
    if code == ModelUnauthorized {
        "check the provider's key, and that it may use this model"
    } else if code == ModelQuota {
        "add credit or raise the limit at the provider, or use another model"
    } else if code == ModelUnknown {
        "check the model's name and the base URL"
    } else if code == ModelContextLength {
        "shorten the conversation, or use a model with a larger window"
    } else if code == ModelRateLimited {
        "wait, run fewer agents at once with `--slots`, or use another model"
    } else if code == ModelBadRequest {
        "the provider does not take this request: check what the model can do, and the base URL"
    } else if code == ModelMalformed {
        "check that the base URL is that of a model's API; another model may answer in order"
    } else {
        ""
    }
}

/// A failure without an answer to judge.
pub(crate) fn failed(class: FailureClass, code: ErrorCode, message: impl Into<String>) -> Failure {
    Failure {
        class,
        code,
        message: message.into(),
        hint: hint(code).to_owned(),
        retry_after: None,
        usage: None,
    }
}

/// `text` as one line of bounded length.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// A field as text; empty if it is missing or neither text nor a number.
fn text(value: &Value, field: &str) -> String {
    match value.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
