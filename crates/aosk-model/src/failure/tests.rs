//! Tests of `failure`.

use reqwest::header::{HeaderName, HeaderValue};

use super::*;

#[derive(Debug, PartialEq, Eq)]
struct Taken(FailureClass, ErrorCode);

fn check(status: u16, body: &str, class: FailureClass, code: ErrorCode) {
    let failure = refused("test:m", status, &HeaderMap::new(), body.as_bytes());
    assert_eq!(Taken(failure.class, failure.code), Taken(class, code), "{status} {body}");
    assert!(failure.message.starts_with("asked test:m: "), "{}", failure.message);
}

#[test]
fn openai() {
    let body = |kind: &str, code: &str| {
        format!(r#"{{"error":{{"message":"said","type":"{kind}","param":null,"code":{code}}}}}"#)
    };
    let plain = body("invalid_request_error", "null");
    check(400, &plain, Final, ModelBadRequest);
    check(401, &plain, Final, ModelUnauthorized);
    check(403, &plain, Final, ModelUnauthorized);
    check(404, &body("invalid_request_error", r#""model_not_found""#), Final, ModelUnknown);
    check(
        400,
        &body("invalid_request_error", r#""context_length_exceeded""#),
        Final,
        ModelContextLength,
    );
    check(408, &plain, Transient, ModelTimeout);
    check(409, &plain, Transient, ModelServer);
    check(429, &body("requests", r#""rate_limit_exceeded""#), RateLimited, ModelRateLimited);
    check(429, &plain, RateLimited, ModelRateLimited);
    for status in [500, 502, 503] {
        check(status, &body("server_error", "null"), Transient, ModelServer);
    }
    check(504, "", Transient, ModelTimeout);
    check(429, &body("insufficient_quota", "null"), Final, ModelQuota);
    for code in [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    ] {
        check(429, &body("requests", &format!("\"{code}\"")), Final, ModelQuota);
    }
}

#[test]
fn anthropic() {
    let body = |kind: &str, details: &str| {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"said"{details}}},"request_id":"r"}}"#
        )
    };
    check(400, &body("invalid_request_error", ""), Final, ModelBadRequest);
    check(401, &body("authentication_error", ""), Final, ModelUnauthorized);
    check(402, &body("billing_error", ""), Final, ModelQuota);
    check(403, &body("permission_error", ""), Final, ModelUnauthorized);
    check(404, &body("not_found_error", ""), Final, ModelUnknown);
    check(408, &body("timeout_error", ""), Transient, ModelTimeout);
    check(409, &body("conflict_error", ""), Transient, ModelServer);
    check(413, &body("request_too_large", ""), Final, ModelContextLength);
    check(429, &body("rate_limit_error", ""), RateLimited, ModelRateLimited);
    check(500, &body("api_error", ""), Transient, ModelServer);
    check(504, &body("timeout_error", ""), Transient, ModelTimeout);
    check(529, &body("overloaded_error", ""), RateLimited, ModelRateLimited);
    for code in ["enforced_spend_limit_reached", "contract_spend_limit_reached"] {
        let details = format!(r#","details":{{"error_code":"{code}"}}"#);
        check(429, &body("rate_limit_error", &details), Final, ModelQuota);
    }
    let ramp = body("rate_limit_error", r#","details":{"error_code":"ramp_limit_exceeded"}"#);
    check(429, &ramp, RateLimited, ModelRateLimited);
    let long = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
    check(400, long, Final, ModelContextLength);
}

#[test]
fn zhipu() {
    let told = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
    check(429, &told("1113"), Final, ModelQuota);
    check(429, &told("1310"), Final, ModelQuota);
    check(429, &told("1302"), RateLimited, ModelRateLimited);
    check(400, &told("1261"), Final, ModelContextLength);
    check(400, &told("1301"), Final, ModelBadRequest);
    check(400, &told("1211"), Final, ModelUnknown);
    check(401, &told("1000"), Final, ModelUnauthorized);
    check(400, &told("1210"), Final, ModelBadRequest);
}

#[test]
fn google() {
    let body = |code: u16, status: &str, message: &str, details: &str| {
        format!(
            r#"{{"error":{{"code":{code},"message":"{message}","status":"{status}","details":[{details}]}}}}"#
        )
    };
    let retry = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12.5s"}"#;
    let quota = |id: &str| {
        format!(
            r#"{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaId":"{id}"}}]}}"#
        )
    };
    let exhausted = |details: &str| body(429, "RESOURCE_EXHAUSTED", "You exceeded", details);
    let minute =
        exhausted(&[quota("GenerateRequestsPerMinutePerProject"), retry.to_owned()].join(","));
    let failure = refused("gemini:m", 429, &HeaderMap::new(), minute.as_bytes());
    assert_eq!(
        (failure.class, failure.code, failure.retry_after),
        (RateLimited, ModelRateLimited, Some(Millis(12_500)))
    );
    let day = exhausted(&[retry.to_owned(), quota("GenerateRequestsPerDayPerProject")].join(","));
    check(429, &day, Final, ModelQuota);
    check(429, &exhausted(""), RateLimited, ModelRateLimited);
    let reason =
        r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}"#;
    let invalid = body(400, "INVALID_ARGUMENT", "API key not valid", reason);
    check(400, &invalid, Final, ModelUnauthorized);
    let long = "The input token count (1048577) exceeds the maximum number of tokens allowed";
    check(400, &body(400, "INVALID_ARGUMENT", long, ""), Final, ModelContextLength);
    check(400, &body(400, "FAILED_PRECONDITION", "no", ""), Final, ModelBadRequest);
    check(403, &body(403, "PERMISSION_DENIED", "no", ""), Final, ModelUnauthorized);
    check(404, &body(404, "NOT_FOUND", "models/x", ""), Final, ModelUnknown);
    check(500, &body(500, "INTERNAL", "oops", ""), Transient, ModelServer);
    check(503, &body(503, "UNAVAILABLE", "overloaded", ""), Transient, ModelServer);
    check(503, &body(503, "UNAVAILABLE", "overloaded", retry), RateLimited, ModelRateLimited);
    // Inside a success, in a stream that is a list.
    check(200, &format!("[{}]", exhausted("")), RateLimited, ModelRateLimited);
}

#[test]
fn others_with_the_shape_of_openai() {
    let body = |kind: &str| format!(r#"{{"error":{{"message":"said","type":"{kind}"}}}}"#);
    // DeepSeek.
    check(402, &body("unknown_error"), Final, ModelQuota);
    check(422, &body("invalid_request_error"), Final, ModelBadRequest);
    // Moonshot.
    check(429, &body("rate_limit_reached_error"), RateLimited, ModelRateLimited);
    check(429, &body("engine_overloaded_error"), RateLimited, ModelRateLimited);
    check(429, &body("exceeded_current_quota_error"), Final, ModelQuota);
    check(400, &body("content_filter"), Final, ModelBadRequest);
    // vLLM, whose code is a number.
    let vllm = r#"{"error":{"message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}}"#;
    check(400, vllm, Final, ModelContextLength);
    check(503, r#"{"error":{"message":"said","code":503}}"#, Transient, ModelServer);
    check(
        400,
        r#"{"object":"error","message":"context window is full","type":"BadRequestError","code":400}"#,
        Final,
        ModelContextLength,
    );
    // llama.cpp.
    let overflow = r#"{"error":{"code":400,"message":"said","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":4}}"#;
    check(400, overflow, Final, ModelContextLength);
    check(401, &body("authentication_error"), Final, ModelUnauthorized);
    check(501, &body("not_supported_error"), Final, ModelBadRequest);
    check(501, "", Final, ModelBadRequest);
    check(503, &body("unavailable_error"), Transient, ModelServer);
    check(500, &body("server_error"), Transient, ModelServer);
    // LiteLLM, whose code is a text.
    let proxy =
        r#"{"error":{"message":"said","type":"throttling_error","param":null,"code":"429"}}"#;
    check(429, proxy, RateLimited, ModelRateLimited);
}

#[test]
fn ollama() {
    check(404, r#"{"error":"model 'x' not found"}"#, Final, ModelUnknown);
    check(400, r#"{"error":"said"}"#, Final, ModelBadRequest);
    check(503, r#"{"error":"server busy"}"#, Transient, ModelServer);
    check(500, r#"{"error":"said"}"#, Transient, ModelServer);
}

#[test]
fn minimax_within_a_success() {
    let body =
        |code: u16| format!(r#"{{"base_resp":{{"status_code":{code},"status_msg":"said"}}}}"#);
    for code in [1000, 1024, 1033, 9999] {
        check(200, &body(code), Transient, ModelServer);
    }
    check(200, &body(1001), Transient, ModelTimeout);
    check(200, &body(1002), RateLimited, ModelRateLimited);
    check(200, &body(1004), Final, ModelUnauthorized);
    check(200, &body(1008), Final, ModelQuota);
    for code in [1026, 1027, 2013] {
        check(200, &body(code), Final, ModelBadRequest);
    }
    assert_eq!(Complaint::read(body(0).as_bytes()), None);
}

#[test]
fn dashscope() {
    let body = |code: &str, message: &str| {
        format!(r#"{{"code":"{code}","message":"{message}","request_id":"r"}}"#)
    };
    check(429, &body("Throttling.RateQuota", "said"), RateLimited, ModelRateLimited);
    check(429, &body("Throttling.AllocationQuota", "exceeded"), RateLimited, ModelRateLimited);
    check(429, &body("Throttling.AllocationQuota", "Free quota is used up"), Final, ModelQuota);
    check(401, &body("InvalidApiKey", "said"), Final, ModelUnauthorized);
    check(403, &body("AccessDenied", "said"), Final, ModelUnauthorized);
    check(403, &body("Arrearage", "said"), Final, ModelQuota);
    check(404, &body("ModelNotFound", "said"), Final, ModelUnknown);
    let burst = r#"{"error":{"message":"Request rate increased too quickly"}}"#;
    check(429, burst, RateLimited, ModelRateLimited);
}

#[test]
fn gateways() {
    check(502, "<html><h1>Bad Gateway</h1></html>", Transient, ModelServer);
    check(520, "", Transient, ModelServer);
    check(302, "", Final, ModelBadRequest);
    check(422, r#"{"detail":"field required"}"#, Final, ModelBadRequest);
    let html = refused("test:m", 502, &HeaderMap::new(), b" <html>");
    assert_eq!(html.message, "asked test:m: HTTP 502: the answer is an HTML page");
    let empty = refused("test:m", 500, &HeaderMap::new(), b"");
    assert_eq!(empty.message, "asked test:m: HTTP 500: no reason given");
}

#[test]
fn a_failure_that_stays_says_what_to_do() {
    let hint = |status: u16, body: &str| {
        refused("test:m", status, &HeaderMap::new(), body.as_bytes()).hint
    };
    assert!(hint(429, "").contains("--slots"));
    assert!(hint(400, "").contains("what the model can do"));
    assert!(hint(400, r#"{"error":{"message":"no","code":"content_filter"}}"#).contains("reword"));
    assert!(hint(200, r#"{"base_resp":{"status_code":1027}}"#).contains("reword"));
    assert!(failed(Final, ModelMalformed, "").hint.contains("base URL"));

    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_static("https://elsewhere.test/v1"));
    let moved = refused("test:m", 308, &headers, b"<html>");
    assert_eq!(
        moved.message,
        "asked test:m: HTTP 308: it is a redirect to https://elsewhere.test/v1, and redirects are \
         not followed"
    );
    assert!(moved.hint.contains("base URL"));
}

#[test]
fn headers_have_their_say() {
    let with = |status: u16, body: &str, name: &'static str, value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        let failure = refused("test:m", status, &headers, body.as_bytes());
        (failure.class, failure.retry_after.map(|wait| wait.0))
    };
    assert_eq!(with(429, "", "retry-after", "7"), (RateLimited, Some(7000)));
    assert_eq!(with(503, "", "retry-after", "7"), (RateLimited, Some(7000)));
    assert_eq!(with(500, "", "retry-after", "7"), (Transient, Some(7000)));
    assert_eq!(with(400, "", "retry-after", "7"), (Final, None));
    assert_eq!(with(500, "", "x-should-retry", "false"), (Final, None));
    assert_eq!(with(400, "", "x-should-retry", "true"), (Transient, None));
    let quota = r#"{"error":{"message":"said","code":"insufficient_quota"}}"#;
    assert_eq!(with(429, quota, "x-should-retry", "true"), (Final, None));
}

#[test]
fn messages_are_one_line_and_bounded() {
    assert_eq!(one_line("  a\n\tb\u{7}c  "), "a b c");
    assert_eq!(one_line(&"日".repeat(1000)).chars().count(), MESSAGE_CHARS_MAX + 1);
}
