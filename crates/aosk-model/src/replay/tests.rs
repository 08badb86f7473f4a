//! Tests of `replay`.

use aosk_abi::{CallId, Pid, ThinkOptions, Tokens};

use super::*;

fn calling(ids: &[&str]) -> Message {
    let call = |id: &&str| ToolUse { id: id.to_string(), name: "f".into(), arguments: "{}".into() };
    Message::Assistant {
        content: None,
        reasoning: None,
        tool_calls: ids.iter().map(call).collect(),
    }
}

fn conversation() -> Vec<Message> {
    vec![
        Message::system("rules"),
        Message::user("Book a flight to Seattle, please, and mind the date"),
        calling(&["a", "b"]),
        Message::tool("b", "for b"),
        Message::tool("odd", "of another id"),
        calling(&["a"]),
        Message::tool("a", "for the second a"),
        Message::assistant("done"),
    ]
}

fn replay() -> Replay {
    let record = Record { id: "r".into(), messages: conversation(), ..Record::default() };
    Replay::new(BTreeMap::from([("r".to_owned(), record)]))
}

fn request(label: &str, messages: &[Message]) -> Request {
    Request {
        call: CallId { pid: Pid(1), number: 1 },
        attempt: 1,
        process: String::new(),
        label: label.into(),
        options: Arc::new(ThinkOptions {
            model: "replay".into(),
            output_max: Tokens(100),
            tools: vec![],
            temperature_milli: None,
            window: None,
        }),
        messages: messages.iter().cloned().map(Body::new).collect(),
        begun: None,
        tools: Arc::new([]),
        cache: crate::CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: crate::OnRates::default(),
    }
}

async fn ask(label: &str, messages: &[Message]) -> Result<ModelReply, Failure> {
    replay().complete(request(label, messages), None).await
}

#[tokio::test]
async fn an_answer_that_was_begun_is_gone_on_with() {
    let messages = conversation();
    let last = messages.len() - 1;
    let go_on = |text: &str| {
        let begun = Some(Body::new(Message::assistant(text)));
        let request = Request { begun, ..request("r", &messages[..last]) };
        async move { replay().complete(request, None).await }
    };
    assert_eq!(go_on("do").await.expect("answers").body, Body::new(Message::assistant("ne")));
    let failure = go_on("da").await.expect_err("the record says done");
    assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ReplayDiffers));
}

#[tokio::test]
async fn the_record_answers_what_it_was_asked() {
    let messages = conversation();
    for (index, message) in messages.iter().enumerate() {
        let reply = ask("r", &messages[..index]).await;
        match message {
            Message::Assistant { tool_calls, .. } => {
                let reply = reply.expect("answers");
                assert_eq!(reply.body, Body::new(message.clone()));
                let is_calling = reply.finish == FinishReason::ToolCalls;
                assert_eq!(is_calling, !tool_calls.is_empty());
                assert!(reply.usage.estimated);
            }
            Message::System { .. } | Message::User { .. } | Message::Tool { .. } => {
                reply.expect_err("it is not the model's turn");
            }
        }
    }
}

#[tokio::test]
async fn a_difference_is_shown() {
    let told = async |label, messages: &[Message]| {
        let failure = ask(label, messages).await.expect_err("differs");
        assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ReplayDiffers));
        failure.message
    };
    let messages = conversation();
    let mut changed = messages[..2].to_vec();
    changed[1] = Message::user("Book a flight to Seattle, please, and mind the dates");
    assert_eq!(
        told("r", &changed).await,
        "replaying r: message 1 (user) differs at character 51: \"tle, please, and mind the dates\" where the record has \"tle, please, and mind the date\""
    );
    changed[1] = Message::tool("x", "y");
    assert_eq!(
        told("r", &changed).await,
        "replaying r: message 1 is the tool's where the record has the user's"
    );
    let mut changed = messages[..5].to_vec();
    changed[2] = calling(&["a", "c"]);
    let message = told("r", &changed).await;
    assert!(message.starts_with("replaying r: message 2 (assistant) differs at"), "{message}");
    assert_eq!(told("q", &messages[..2]).await, "replaying q: there is no record with this label");
    assert_eq!(told("r", &messages).await, "replaying r: the record ends before message 8");
    let mut longer = messages.clone();
    longer.push(Message::user("more"));
    assert_eq!(told("r", &longer).await, "replaying r: message 8 (user) is beyond its end");
    assert_eq!(
        told("r", &messages[..3]).await,
        "replaying r: message 3 of the record is the tool's, not an answer"
    );
}

#[test]
fn results_are_found_by_id_and_then_by_place() {
    let replay = replay();
    let result = |ordinal| {
        let found = replay.tool_result("r", ordinal);
        found.map(|(call, result)| (call.id.clone(), result.text()))
    };
    // In the order of the results, not of the calls.
    assert_eq!(result(0), Some(("b".into(), "for b".into())));
    assert_eq!(result(1), Some(("a".into(), "of another id".into())));
    assert_eq!(result(2), Some(("a".into(), "for the second a".into())));
    assert_eq!(result(3), None);
    assert_eq!(replay.calls("r"), [(2, 1, 3), (2, 0, 4), (5, 0, 6)]);
    assert_eq!(replay.tool_result("q", 0), None);
    assert_eq!(replay.calls("q"), []);
}

#[test]
fn a_call_without_a_result_does_not_count() {
    let messages = vec![calling(&["a", "b"]), Message::tool("b", "for b"), Message::assistant("x")];
    let record = Record { id: "r".into(), messages, ..Record::default() };
    let replay = Replay::new(BTreeMap::from([("r".to_owned(), record)]));
    assert_eq!(replay.calls("r"), [(0, 1, 1)]);
}
