//! Requests of clients that are passed on, on the wire, in each of the formats.

use std::sync::{Arc, Mutex};

use aosk_abi::{ErrorCode, Failure, FailureClass, FinishReason, ModelReply, Tokens};
use aosk_model::anthropic::{self, Anthropic, Version};
use aosk_model::client::Format;
use aosk_model::continuing::Continuing;
use aosk_model::endpoint::{Bounds, Endpoint, KeyHeader};
use aosk_model::openai::{self, Breakpoints, LengthField, OpenAi, ReasoningField, Words};
use aosk_model::responses::{self, Responses};
use aosk_model::{Driver, OnPassed, Passage, Passed};
use secrecy::SecretString;

use crate::server::{Act, Server, chunk, json, request, stream_head};

fn endpoint(base_url: &str, path: &str, header: KeyHeader) -> Endpoint {
    let key = Some((header, SecretString::from("sk-secret")));
    Endpoint::new("test:m", base_url, path, key, Bounds::default()).expect("an address")
}

/// The driver of each format.
fn driver(format: Format, base_url: &str) -> Box<dyn Driver> {
    match format {
        Format::Chat => {
            let dialect = openai::Dialect {
                length: LengthField::MaxTokens,
                reasoning: ReasoningField::Nowhere,
                stream_usage: true,
                cache_key: false,
                breakpoints: Breakpoints::Nowhere,
                continuing: Continuing::NEVER,
                words: Words::OpenAi,
            };
            let there = endpoint(base_url, openai::PATH, KeyHeader::Bearer);
            Box::new(OpenAi::new(there, "m", dialect))
        }
        Format::Responses => {
            let dialect = responses::Dialect { keeps_reasoning: false, cache_key: false };
            let there = endpoint(base_url, responses::PATH, KeyHeader::Bearer);
            Box::new(Responses::new(there, "m", dialect))
        }
        Format::Messages => {
            let dialect = anthropic::Dialect {
                version: Version::V2023,
                cache_marks: false,
                continuing: Continuing::NEVER,
            };
            let there = endpoint(base_url, anthropic::PATH, KeyHeader::XApiKey);
            Box::new(Anthropic::new(there, "m", dialect))
        }
        Format::Embeddings => panic!("it has no streams"),
    }
}

/// What a client heard, and what the kernel makes of it.
async fn passed(
    format: Format,
    base_url: &str,
    stream: bool,
) -> (Vec<Passed>, Result<ModelReply, Failure>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let passage = Passage {
        format,
        body: format!(r#"{{"model":"x","stream":{stream}}}"#).into(),
        headers: Default::default(),
        stream,
        stream_usage: false,
        on_passed: OnPassed::new(move |one| hears.lock().expect("not poisoned").push(one)),
    };
    let reply = driver(format, base_url).pass_on(request(vec![], vec![]), &passage, None).await;
    let heard = heard.lock().expect("not poisoned").clone();
    (heard, reply)
}

/// The beginning of a stream that says nothing yet, one word, and the rest.
fn parts(format: Format) -> [&'static str; 3] {
    match format {
        Format::Chat => [
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"word\"},\"mine\": 1}]}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n",
        ],
        Format::Responses => [
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"mine\": 1}}\n\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"word\"}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"word\"}]}],\"usage\":{\"input_tokens\":9,\"output_tokens\":3}}}\n\n",
        ],
        Format::Messages => [
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"word\"}}\n\n",
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ],
        Format::Embeddings => panic!("it has no streams"),
    }
}

/// A block begins before there is more of it.
fn word(format: Format) -> String {
    let begin = match format {
        Format::Chat | Format::Responses => "",
        Format::Messages => {
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        }
        Format::Embeddings => panic!("it has no streams"),
    };
    format!("{begin}{}", parts(format)[1])
}

/// The events as a client hears them.
fn events(text: &str) -> Vec<Passed> {
    let event = |text: &str| {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let name = field("event: ").unwrap_or_default().to_owned();
        Passed::Event { name, data: field("data: ").expect("data").to_owned() }
    };
    text.split("\n\n").filter(|event| !event.is_empty()).map(event).collect()
}

const FORMATS: [Format; 3] = [Format::Chat, Format::Responses, Format::Messages];

#[tokio::test]
async fn a_stream_is_heard_as_it_was_said_and_understood_on_its_way() {
    for format in FORMATS {
        let [begin, _, rest] = parts(format);
        let said = format!("{begin}{}{rest}", word(format));
        for bytes in [1, 17, 100_000] {
            let server = Server::events(&said, bytes).await;
            let (heard, reply) = passed(format, &server.base_url, true).await;
            // Usage that the client did not ask for is not its to hear.
            let is_usage = |one: &Passed| matches!(one, Passed::Event { data, .. } if data.contains("\"choices\":[],"));
            let expected: Vec<Passed> =
                events(&said).into_iter().filter(|one| !is_usage(one)).collect();
            assert_eq!(heard, expected, "{format:?} {bytes}");
            let reply = reply.expect("answers");
            assert_eq!(reply.body.message().text(), "word", "{format:?}");
            assert_eq!(reply.finish, FinishReason::Stop, "{format:?}");
            assert_eq!((reply.usage.input_uncached, reply.usage.output), (Tokens(9), Tokens(3)));
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_the_first_word_is_not_heard_and_tells_of_no_output() {
    for format in FORMATS {
        let [begin, ..] = parts(format);
        let acts = vec![Act::Write(stream_head()), Act::Write(chunk(begin.as_bytes()))];
        let server = Server::start(acts).await;
        let (heard, reply) = passed(format, &server.base_url, true).await;
        assert_eq!(heard, [], "{format:?}");
        let failure = reply.expect_err("broken off");
        assert_eq!(failure.class, FailureClass::Transient, "{format:?}");
        let output = failure.usage.map_or(Tokens::ZERO, |usage| usage.output);
        assert_eq!(output, Tokens::ZERO, "{format:?}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_after_it_tells_of_output() {
    for format in FORMATS {
        let [begin, ..] = parts(format);
        let said = format!("{begin}{}", word(format));
        let acts = vec![Act::Write(stream_head()), Act::Write(chunk(said.as_bytes()))];
        let server = Server::start(acts).await;
        let (heard, reply) = passed(format, &server.base_url, true).await;
        assert_eq!(heard, events(&said), "{format:?}");
        let failure = reply.expect_err("broken off");
        let output = failure.usage.expect("used").output;
        assert!(output > Tokens::ZERO, "{format:?}");
    }
}

#[tokio::test]
async fn an_error_in_a_stream_is_not_heard_in_the_providers_words() {
    let errors = [
        (
            Format::Chat,
            "data: {\"error\":{\"message\":\"sk-secret\",\"type\":\"server_error\"}}\n\n",
        ),
        (
            Format::Responses,
            "event: error\ndata: {\"type\":\"error\",\"message\":\"sk-secret\"}\n\n",
        ),
        (
            Format::Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"sk-secret\"}}\n\n",
        ),
    ];
    for (format, error) in errors {
        let [begin, ..] = parts(format);
        let said = format!("{begin}{}", word(format));
        let server = Server::events(&format!("{said}{error}"), 100_000).await;
        let (heard, reply) = passed(format, &server.base_url, true).await;
        assert_eq!(heard, events(&said), "{format:?}");
        assert!(reply.expect_err("an error").usage.expect("used").output > Tokens::ZERO);
    }
}

#[tokio::test]
async fn a_refusal_is_heard_with_its_status_and_body() {
    for format in FORMATS {
        let body = "{ \"error\": {\"message\":\"no\", \"mine\":[ ]} }";
        let server = Server::json(400, body).await;
        let (heard, reply) = passed(format, &server.base_url, true).await;
        assert_eq!(heard, [Passed::Refused { status: 400, body: body.into() }], "{format:?}");
        assert_eq!(reply.expect_err("refused").code, ErrorCode::ModelBadRequest, "{format:?}");
    }
}

/// One that is cut may be made again: nobody heard anything of it.
#[tokio::test]
async fn a_whole_answer_is_heard_whole_or_not_at_all() {
    for (format, body) in [
        (
            Format::Chat,
            "{ \"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"word\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3} }\n",
        ),
        (
            Format::Responses,
            "{ \"status\":\"completed\",\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"word\"}]}],\"usage\":{\"input_tokens\":9,\"output_tokens\":3} }\n",
        ),
        (
            Format::Messages,
            "{ \"content\":[{\"type\":\"text\",\"text\":\"word\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":9,\"output_tokens\":3} }\n",
        ),
    ] {
        let server = Server::json(200, body).await;
        let (heard, reply) = passed(format, &server.base_url, false).await;
        assert_eq!(heard, [Passed::Whole(body.into())], "{format:?}");
        assert_eq!(reply.expect("answers").body.message().text(), "word", "{format:?}");

        let mut cut = json(200, "", body);
        cut.truncate(cut.len() - 40);
        let server = Server::answer(cut).await;
        let (heard, reply) = passed(format, &server.base_url, false).await;
        assert_eq!(heard, [], "{format:?}");
        let output = reply.expect_err("cut").usage.map_or(Tokens::ZERO, |usage| usage.output);
        assert_eq!(output, Tokens::ZERO, "{format:?}");
    }
}
