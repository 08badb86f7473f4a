//! What becomes of a client's body, and of its headers.

use super::*;

fn passage(format: Format, body: &str, stream: bool) -> Passage {
    Passage {
        format,
        body: Bytes::copy_from_slice(body.as_bytes()),
        headers: HeaderMap::new(),
        stream,
        stream_usage: body.contains(r#""include_usage":true"#),
        on_passed: OnPassed::new(|_| {}),
    }
}

fn sent(passage: &Passage, additions: Additions) -> String {
    let body = rewritten(passage, "its-name", additions, "p1").expect("an object");
    String::from_utf8(body).expect("text")
}

const ALL: Additions = Additions { stream_usage: true, cache_key: true, cache_mark: true };

#[test]
fn all_but_the_name_of_the_model_goes_as_it_came() {
    let body = r#"{"z":1.0e2,"model":"m","a":{"b": [1,  2]},"text":"\u00e9","unknown":null}"#;
    let passage = passage(Format::Chat, body, false);
    assert_eq!(
        sent(&passage, Additions::default()),
        r#"{"z":1.0e2,"model":"its-name","a":{"b": [1,  2]},"text":"\u00e9","unknown":null}"#
    );
}

#[test]
fn usage_is_asked_for_in_a_stream_that_does_not() {
    let additions = Additions { stream_usage: true, ..Additions::default() };
    for (body, stream, expected) in [
        (r#"{"model":"m"}"#, false, r#"{"model":"its-name"}"#),
        (
            r#"{"model":"m"}"#,
            true,
            r#"{"model":"its-name","stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{"x":1,"include_usage":false}}"#,
            true,
            r#"{"stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (
            r#"{"stream_options": {"include_usage":true}}"#,
            true,
            r#"{"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        let sent = sent(&passage(Format::Chat, body, stream), additions);
        let same = |json: &str| serde_json::from_str::<serde_json::Value>(json).expect("JSON");
        assert_eq!(same(&sent), same(expected), "{body}");
    }
    // The other formats tell usage by themselves.
    let other = sent(&passage(Format::Responses, r#"{"model":"m"}"#, true), additions);
    assert_eq!(other, r#"{"model":"its-name"}"#);
}

#[test]
fn a_cache_is_told_what_the_client_does_not_tell_it() {
    let added = sent(&passage(Format::Messages, r#"{"model":"m"}"#, false), ALL);
    let mark = r#""prompt_cache_key":"p1","cache_control":{"type":"ephemeral"}"#;
    assert_eq!(added, format!(r#"{{"model":"its-name",{mark}}}"#));
    for own in [
        r#"{"prompt_cache_key":"mine","cache_control":null}"#,
        r#"{"prompt_cache_key":"mine","system":[{"text":"x","cache_control":{"type":"ephemeral"}}]}"#,
    ] {
        assert_eq!(sent(&passage(Format::Messages, own, false), ALL), own);
    }
}

#[test]
fn a_chunk_of_usage_alone_is_told_from_others() {
    for (data, expected) in [
        (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, true),
        (r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}"#, false),
        (r#"{"choices":[],"prompt_filter_results":[]}"#, false),
        (r#"{"usage":{"prompt_tokens":1}}"#, false),
        ("[DONE]", false),
    ] {
        assert_eq!(is_usage_alone(data), expected, "{data}");
    }
}

#[test]
fn a_body_that_is_no_object_is_not_sent() {
    for body in ["[]", "\"model\"", "{\"model\":\"m\"", ""] {
        let passage = passage(Format::Chat, body, false);
        assert!(rewritten(&passage, "m", ALL, "").is_err(), "{body}");
    }
}

#[test]
fn headers_that_are_not_for_providers_stay_here() {
    let mut all = HeaderMap::new();
    for name in ["authorization", "x-api-key", "cookie", "host", "anthropic-beta", "openai-beta"] {
        all.append(HeaderName::from_static(name), HeaderValue::from_static("one"));
    }
    all.append("anthropic-beta", HeaderValue::from_static("two"));
    let passed = passed_headers(&all);
    let names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["anthropic-beta", "openai-beta"]);
    assert_eq!(passed.get_all("anthropic-beta").iter().count(), 2);
}
