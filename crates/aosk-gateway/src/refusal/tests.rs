//! Errors as each format has them.

use serde_json::{Value, json};

use super::*;

async fn shown(format: Format, error: &Error, after: Option<Millis>) -> (u16, String, Value) {
    let (parts, body) = answer(format, error, after).into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let header = |name| parts.headers.get(name).map(|value| value.to_str().expect("text"));
    assert_eq!(header(CONTENT_TYPE), Some("application/json"));
    let after = header(RETRY_AFTER).unwrap_or_default().to_owned();
    (parts.status.as_u16(), after, serde_json::from_slice(&bytes).expect("JSON"))
}

#[tokio::test]
async fn an_error_in_the_shape_of_openai() {
    let error = Error::new(ErrorCode::BudgetExceeded, "out of budget").hint("raise it");
    for format in [Format::Chat, Format::Responses] {
        let expected = json!({ "error": {
            "message": "out of budget; raise it", "type": "invalid_request_error", "param": null,
            "code": "budget.exceeded", "kernel_code": "budget.exceeded",
        }});
        assert_eq!(shown(format, &error, None).await, (402, String::new(), expected));
    }
}

#[tokio::test]
async fn an_error_in_the_shape_of_anthropic() {
    let error = Error::new(ErrorCode::BudgetExceeded, "out of budget");
    let expected = json!({ "type": "error", "error": {
        "type": "billing_error", "message": "out of budget", "kernel_code": "budget.exceeded",
    }});
    assert_eq!(shown(Format::Messages, &error, None).await, (402, String::new(), expected));
}

#[tokio::test]
async fn a_wait_is_told_in_whole_seconds_and_never_too_short() {
    let error = Error::new(ErrorCode::ModelRateLimited, "slow down");
    for (after, seconds) in [(0, "0"), (1, "1"), (1_000, "1"), (1_001, "2")] {
        let (status, told, body) = shown(Format::Chat, &error, Some(Millis(after))).await;
        assert_eq!((status, told.as_str()), (429, seconds), "{after}");
        assert_eq!(body["error"]["code"], "rate_limit_exceeded");
    }
}

#[test]
fn statuses_are_those_that_clients_know_what_to_do_with() {
    for (code, status) in [
        (ErrorCode::ModelUnknown, 404),
        (ErrorCode::ModelBadRequest, 400),
        (ErrorCode::ModelContextLength, 400),
        (ErrorCode::ModelQuota, 429),
        (ErrorCode::ModelRateLimited, 429),
        (ErrorCode::ModelUnauthorized, 502),
        (ErrorCode::ModelTimeout, 504),
        (ErrorCode::BudgetExceeded, 402),
        (ErrorCode::Forbidden, 403),
        (ErrorCode::Busy, 503),
        (ErrorCode::Interrupted, 503),
        (ErrorCode::ApiTooLarge, 413),
    ] {
        assert_eq!(status_of(code).as_u16(), status, "{code}");
    }
}

#[test]
fn the_format_is_known_by_the_path() {
    for (path, format) in [
        ("/v1/chat/completions", Some(Format::Chat)),
        ("/v1/models", Some(Format::Chat)),
        ("/v1/responses", Some(Format::Responses)),
        ("/v1/embeddings", Some(Format::Embeddings)),
        ("/v1/messages", Some(Format::Messages)),
        ("/v1/messages/count_tokens", Some(Format::Messages)),
        ("/query", None),
        ("/api/v1/messages", None),
    ] {
        assert_eq!(format_of(path), format, "{path}");
    }
}

#[test]
fn what_a_provider_says_of_the_kernels_account_stays_here() {
    for code in [ErrorCode::ModelUnauthorized, ErrorCode::ModelKeyMissing, ErrorCode::ModelQuota] {
        let said = Error::new(code, "the key sk-12345 of org-7 is wrong").hint("look at org-7");
        let line = line(&said);
        assert!(!line.contains("12345") && !line.contains("org-7"), "{line}");
    }
    let said = Error::new(ErrorCode::ModelServer, "it broke").hint("wait");
    assert_eq!(line(&said), "it broke; wait");
}

#[test]
fn clients_are_told_what_is_asked_again_in_vain() {
    for (code, expected) in [
        (ErrorCode::ModelCancelled, Some("false")),
        (ErrorCode::BudgetExceeded, Some("false")),
        (ErrorCode::ModelRateLimited, None),
        (ErrorCode::Busy, None),
    ] {
        let answer = answer(Format::Chat, &Error::new(code, "no"), None);
        let told = answer.headers().get("x-should-retry").map(|value| value.to_str().unwrap());
        assert_eq!(told, expected, "{code}");
    }
}
