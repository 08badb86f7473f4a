//! Answers that were begun and are gone on with, in each wire format.

use aosk_abi::{Body, FinishReason, Message};
use aosk_model::anthropic::{self, Anthropic, Version};
use aosk_model::continuing::{Continuation, Continuing};
use aosk_model::endpoint::{Bounds, Endpoint};
use aosk_model::openai::{self, Breakpoints, LengthField, OpenAi, ReasoningField, Words};
use aosk_model::{Delta, Driver, Request};

use crate::server::{Server, ask_streaming, request};

fn endpoint(base_url: &str, path: &str) -> Endpoint {
    Endpoint::new("test:m", base_url, path, None, Bounds::default()).expect("an address")
}

fn chat(base_url: &str, how: Continuation, repeats: bool) -> OpenAi {
    let dialect = openai::Dialect {
        length: LengthField::MaxTokens,
        reasoning: ReasoningField::Nowhere,
        stream_usage: false,
        cache_key: false,
        breakpoints: Breakpoints::Nowhere,
        continuing: Continuing { how, repeats },
        words: Words::Common,
    };
    OpenAi::new(endpoint(base_url, openai::PATH), "m", dialect)
}

fn messages(base_url: &str) -> Anthropic {
    let dialect = anthropic::Dialect {
        version: Version::V2023,
        cache_marks: true,
        continuing: Continuing { how: Continuation::Trimmed, repeats: false },
    };
    Anthropic::new(endpoint(base_url, anthropic::PATH), "m", dialect)
}

fn begun(text: &str) -> Request {
    let begun = Some(Body::new(Message::assistant(text)));
    Request { begun, ..request(vec![Message::user("count")], vec![]) }
}

/// A whole answer of chat completions with this text.
fn whole(text: &str) -> String {
    let content = serde_json::Value::from(text);
    format!(r#"{{"choices":[{{"message":{{"content":{content}}},"finish_reason":"stop"}}]}}"#)
}

/// The events of an answer of chat completions in these pieces.
fn events(pieces: &[&str]) -> String {
    let event = |piece: &&str| {
        let content = serde_json::Value::from(*piece);
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":{content}}}}}]}}\n\n")
    };
    let said: String = pieces.iter().map(event).collect();
    said + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").map(|(_, body)| body).expect("a body")
}

#[tokio::test]
async fn each_provider_of_chat_completions_is_told_in_its_own_way() {
    let ways = [
        (Continuation::Plain, "", ""),
        (Continuation::Prefix, r#","prefix":true"#, ""),
        (Continuation::Partial, r#","partial":true"#, ""),
        (
            Continuation::FinalMessage,
            "",
            r#","add_generation_prompt":false,"continue_final_message":true"#,
        ),
    ];
    for (how, in_message, in_request) in ways {
        let server = Server::json(200, &whole("three")).await;
        let reply = chat(&server.base_url, how, false).complete(begun("one two "), None).await;
        assert_eq!(reply.expect("answers").body, Body::new(Message::assistant("three")));
        let asked = server.request().await;
        let expected = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"count"}},{{"role":"assistant","content":"one two "{in_message}}}],"max_tokens":256{in_request}}}"#
        );
        assert_eq!(body(&asked), expected, "{how:?}");
    }
}

#[tokio::test]
async fn who_cannot_go_on_is_not_told_of_what_was_begun() {
    let server = Server::json(200, &whole("one two three")).await;
    let driver = chat(&server.base_url, Continuation::Never, false);
    let reply = driver.complete(begun("one two "), None).await.expect("answers");
    assert_eq!(reply.body, Body::new(Message::assistant("one two three")));
    assert!(!body(&server.request().await).contains("assistant"));
}

/// As the beta of `DeepSeek` is, beside the endpoint that does not know of it.
#[tokio::test]
async fn an_answer_is_gone_on_with_where_that_is_taken() {
    let (usual, beta) =
        (Server::json(200, &whole("one")).await, Server::json(200, &whole("two")).await);
    let elsewhere = endpoint(&format!("{}/beta", beta.base_url), openai::PATH);
    let driver = chat(&usual.base_url, Continuation::Prefix, false).continued_at(elsewhere);
    driver.complete(request(vec![Message::user("count")], vec![]), None).await.expect("answers");
    driver.complete(begun("one "), None).await.expect("answers");
    assert!(usual.request().await.starts_with("POST /chat/completions "));
    assert!(beta.request().await.starts_with("POST /beta/chat/completions "));
}

#[tokio::test]
async fn what_a_server_repeats_is_left_out_of_the_answer_and_of_its_pieces() {
    for pieces in [["on", "e two", " ", "three"], ["one two ", "three", "", ""]] {
        let server = Server::events(&events(&pieces), 7).await;
        let driver = chat(&server.base_url, Continuation::Plain, true);
        let (reply, deltas) = ask_streaming(&driver, begun("one two ")).await;
        assert_eq!(reply.expect("answers").body, Body::new(Message::assistant("three")));
        assert_eq!(deltas, [Delta::Text("three".into())]);
    }
}

#[tokio::test]
async fn an_answer_that_was_begun_to_its_end_has_an_empty_rest() {
    let server = Server::events(&events(&["one two"]), 1000).await;
    let driver = chat(&server.base_url, Continuation::Plain, true);
    let (reply, deltas) = ask_streaming(&driver, begun("one two")).await;
    let reply = reply.expect("answers");
    assert_eq!((reply.body, reply.finish), (Body::new(Message::assistant("")), FinishReason::Stop));
    assert_eq!(deltas, []);
}

#[tokio::test]
async fn a_prefill_of_messages_does_not_end_in_white_space() {
    let events = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"\\n\\nthree\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let server = Server::events(events, 1000).await;
    let (reply, deltas) = ask_streaming(&messages(&server.base_url), begun("one two\n\n")).await;
    assert_eq!(reply.expect("answers").body, Body::new(Message::assistant("three")));
    assert_eq!(deltas, [Delta::Text("three".into())]);
    let asked = server.request().await;
    // The mark is at the end of the conversation, which the next request begins with too.
    let expected = r#""messages":[{"role":"user","content":[{"type":"text","text":"count","cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":[{"type":"text","text":"one two"}]}]}"#;
    assert!(body(&asked).ends_with(expected), "{asked}");
}
