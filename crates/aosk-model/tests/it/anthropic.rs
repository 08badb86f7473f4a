//! The Messages driver on the wire.

use aosk_abi::{
    Body, Content, ErrorCode, FailureClass, FinishReason, Message, ModelReply, Tokens, ToolUse,
    Usage,
};
use aosk_model::anthropic::{Anthropic, Dialect, PATH, Version};
use aosk_model::endpoint::{Bounds, Endpoint, KeyHeader};
use aosk_model::{Delta, Driver};
use secrecy::SecretString;

use crate::server::{Server, ask_streaming, calculator, request};

fn driver(base_url: &str) -> Anthropic {
    let key = Some((KeyHeader::XApiKey, SecretString::from("sk-ant-secret")));
    let endpoint =
        Endpoint::new("test:m", base_url, PATH, key, Bounds::default()).expect("an address");
    Anthropic::new(
        endpoint,
        "m",
        Dialect {
            version: Version::V2026,
            cache_marks: true,
            continuing: aosk_model::continuing::Continuing::NEVER,
        },
    )
}

fn hello() -> aosk_model::Request {
    request(vec![Message::system("Be brief."), Message::user("hello")], vec![calculator()])
}

#[tokio::test]
async fn a_plain_exchange_byte_for_byte() {
    let body = r#"{"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"Sure."},{"type":"tool_use","id":"toolu_1","name":"calculator","input":{"expression": "1+1"}}],"stop_reason":"tool_use","usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":5,"output_tokens":20}}"#;
    let server = Server::json(200, body).await;
    let reply = driver(&server.base_url).complete(hello(), None).await.expect("answers");
    assert_eq!(
        reply,
        ModelReply {
            body: Body::new(Message::Assistant {
                content: Some(Content::Text("Sure.".into())),
                reasoning: Some(
                    r#"[{"type":"thinking","thinking":"hm","signature":"c2ln"}]"#.into()
                ),
                tool_calls: vec![ToolUse {
                    id: "toolu_1".into(),
                    name: "calculator".into(),
                    arguments: r#"{"expression": "1+1"}"#.into(),
                }],
            }),
            usage: Usage {
                input_uncached: Tokens(10),
                cache_read: Tokens(100),
                cache_write: Tokens(5),
                output: Tokens(20),
                ..Usage::default()
            },
            finish: FinishReason::ToolCalls,
        }
    );
    let asked = server.request().await;
    let (head, body) = asked.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("POST /v1/messages HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("anthropic-version: 2026-10-21"), "{head}");
    assert!(head.contains("x-api-key: sk-ant-secret"), "{head}");
    assert_eq!(
        body,
        r#"{"model":"m","max_tokens":256,"tools":[{"name":"calculator","description":"Works out an expression.","input_schema":{"properties":{"expression":{"type":"string"}},"required":["expression"],"type":"object"}}],"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}]}]}"#
    );
}

/// Block 1 opens before block 0 is closed, as llama-server does it; usage comes in two parts.
const STREAM: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"日\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"calculator\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"expression\\\":\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"本\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[tokio::test]
async fn a_stream_is_the_same_however_it_is_cut() {
    for bytes in [1, 13, 100_000] {
        let server = Server::events(STREAM, bytes).await;
        let (reply, deltas) = ask_streaming(&driver(&server.base_url), hello()).await;
        assert_eq!(
            reply.expect("answers"),
            ModelReply {
                body: Body::new(Message::Assistant {
                    content: Some(Content::Text("日本".into())),
                    reasoning: None,
                    tool_calls: vec![ToolUse {
                        id: "t".into(),
                        name: "calculator".into(),
                        arguments: r#"{"expression":1}"#.into(),
                    }],
                }),
                usage: Usage {
                    input_uncached: Tokens(10),
                    cache_read: Tokens(3),
                    output: Tokens(9),
                    ..Usage::default()
                },
                finish: FinishReason::ToolCalls,
            }
        );
        assert_eq!(
            deltas,
            [
                Delta::Text("日".into()),
                Delta::ToolCall { index: 0, name: "calculator".into() },
                Delta::Arguments(r#"{"expression":"#.into()),
                Delta::Text("本".into()),
                Delta::Arguments("1}".into()),
            ]
        );
    }
}

#[tokio::test]
async fn a_stream_may_lack_its_last_event_but_not_its_reason() {
    let (whole, _) = STREAM.split_once("event: message_stop").expect("has it");
    let server = Server::events(whole, 1000).await;
    let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
    assert_eq!(reply.expect("answers").finish, FinishReason::ToolCalls);

    let (cut, _) = STREAM.split_once("event: message_delta").expect("has it");
    let server = Server::events(cut, 1000).await;
    let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
    let failure = reply.expect_err("broke off");
    assert_eq!((failure.class, failure.code), (FailureClass::Transient, ErrorCode::ModelMalformed));
}

#[tokio::test]
async fn an_error_in_the_midst_of_a_stream_is_the_answer() {
    let cases = [
        ("overloaded_error", FailureClass::RateLimited, ErrorCode::ModelRateLimited),
        ("api_error", FailureClass::Transient, ErrorCode::ModelServer),
        ("something_new", FailureClass::Transient, ErrorCode::ModelServer),
        ("billing_error", FailureClass::Final, ErrorCode::ModelQuota),
    ];
    let (begun, _) = STREAM.split_once("event: content_block_stop").expect("has it");
    for (kind, class, code) in cases {
        let error = format!(
            "{begun}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"Overloaded\"}}}}\n\n"
        );
        let server = Server::events(&error, 1000).await;
        let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
        let failure = reply.expect_err(kind);
        assert_eq!((failure.class, failure.code), (class, code), "{kind}");
        assert!(failure.message.ends_with("Overloaded"), "{}", failure.message);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_malformed() {
    for body in [r#"{"type":"message"}"#, "{", ""] {
        let server = Server::json(200, body).await;
        let failure = driver(&server.base_url).complete(hello(), None).await.expect_err(body);
        assert_eq!(
            (failure.class, failure.code),
            (FailureClass::Transient, ErrorCode::ModelMalformed)
        );
    }
}

#[tokio::test]
async fn an_attempt_that_breaks_off_says_what_it_used() {
    let delta = format!(
        "data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n",
        "word ".repeat(4000)
    );
    let (begun, _) = STREAM.split_once("event: content_block_delta").expect("has it");
    let server = Server::events(&format!("{begun}{delta}"), 1000).await;
    let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
    let failure = reply.expect_err("broke off");
    // The figure of the output is from the beginning, that of the input is right.
    let usage = failure.usage.expect("it had begun");
    assert_eq!((usage.input_uncached, usage.cache_read), (Tokens(10), Tokens(3)));
    assert!(usage.output > Tokens(4000) && usage.estimated, "{usage:?}");

    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    let server = Server::events(&format!("data: {overloaded}\n\n"), 1000).await;
    let (reply, _) = ask_streaming(&driver(&server.base_url), hello()).await;
    assert_eq!(reply.expect_err("overloaded").usage, None);
}

#[tokio::test]
async fn an_answer_of_a_wrong_shape_is_asked_for_once_more() {
    let shapes = [
        "[]",
        r#"{"type":"message"}"#,
        r#"{"content":[null]}"#,
        r#"{"content":[],"stop_reason":"end_turn"}"#,
        r#"{"content":[{"type":"text","text":"x"}],"stop_reason":"tool_use"}"#,
    ];
    for body in shapes {
        for (attempt, class) in [(1, FailureClass::Transient), (2, FailureClass::Final)] {
            let server = Server::json(200, body).await;
            let asked = aosk_model::Request { attempt, ..hello() };
            let failure = driver(&server.base_url).complete(asked, None).await.expect_err(body);
            assert_eq!(
                (failure.class, failure.code),
                (class, ErrorCode::ModelMalformed),
                "{body}, attempt {attempt}"
            );
        }
    }
}

#[tokio::test]
async fn figures_that_cannot_be_are_estimated() {
    let body = r#"{"content":[{"type":"text","text":"x\ud800"}],"stop_reason":"end_turn","usage":{"input_tokens":18446744073709551615,"cache_read_input_tokens":18446744073709551615,"output_tokens":18446744073709551615}}"#;
    let server = Server::json(200, body).await;
    let reply = driver(&server.base_url).complete(hello(), None).await.expect("answers");
    assert_eq!(reply.body.message().text(), "x\u{fffd}");
    assert!(reply.usage.estimated && reply.usage.input() < Tokens(1000), "{:?}", reply.usage);
}
