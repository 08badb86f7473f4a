//! Tests of `scripted`.

use std::sync::Arc;

use aosk_abi::{CallId, Pid, ThinkOptions, Tokens, ToolSpec};

use super::*;

fn request(messages: &[Message], tools: &[&str]) -> Request {
    let tool = |name: &&str| ToolSpec {
        name: name.to_string(),
        description: String::new(),
        parameters: Value::Null,
    };
    Request {
        call: CallId { pid: Pid(1), number: 1 },
        attempt: 1,
        process: "agent".into(),
        label: String::new(),
        options: Arc::new(ThinkOptions {
            model: "scripted".into(),
            output_max: Tokens(100),
            tools: vec![],
            temperature_milli: None,
            window: None,
        }),
        messages: messages.iter().cloned().map(Body::new).collect(),
        begun: None,
        tools: tools.iter().map(tool).collect(),
        cache: crate::CacheHints::default(),
        wishes: Arc::default(),
        answers: 0,
        on_rates: crate::OnRates::default(),
    }
}

async fn ask(driver: &Scripted, messages: &[Message]) -> Result<ModelReply, Failure> {
    driver.complete(request(messages, &[]), None).await
}

fn script(turns: &str) -> Scripted {
    let json = format!(r#"{{"agents": {{"*": {turns}}}}}"#);
    Scripted::new(Script::from_json(&json).expect("a script"))
}

/// Plays the script against these results (one for each call) and texts of the user (one for each
/// answer without calls), and writes down what was said and called.
async fn play(driver: &Scripted, task: &str, mut outside: Vec<&str>) -> Vec<String> {
    let mut messages = vec![Message::system("s"), Message::user(task)];
    let mut log = Vec::new();
    loop {
        let reply = match ask(driver, &messages).await {
            Ok(reply) => reply,
            Err(failure) => {
                log.push(format!("{}: {}", failure.code, failure.message));
                return log;
            }
        };
        // The same question has the same answer: no state is kept.
        assert_eq!(ask(driver, &messages).await.as_ref(), Ok(&reply));
        let answer = reply.body.message().as_ref().clone();
        log.push(answer.text());
        let calls = answer.tool_calls().to_vec();
        messages.push(answer);
        if calls.is_empty() {
            if outside.is_empty() {
                return log;
            }
            messages.push(Message::user(outside.remove(0)));
        }
        for call in calls {
            log.push(format!("{} {}{}", call.id, call.name, call.arguments));
            let said = outside.remove(0);
            messages.push(match said.strip_prefix("ERR ") {
                None => Message::tool(call.id, said),
                Some(error) => Message::Tool {
                    tool_call_id: call.id,
                    name: None,
                    content: Content::Text(error.into()),
                    is_error: true,
                },
            });
        }
    }
}

const LOOP: &str = r#"[
  {"id": "ask", "say": "task: {{task}}", "calls": [
    {"tool": "add", "id": "sum", "arguments": {"a": "{{last}}", "b": [1, {"c": "x{{task}}"}]}},
    {"tool": "look"}],
   "next": [{"when": {"is_error": true}, "goto": "sorry"},
            {"when": {"contains": "again", "matches": "^\\{"}, "goto": "ask"}]},
  {"say": "{{result:sum.total.0}} and {{result:sum}}", "next": [{"goto": "end"}]},
  {"id": "sorry", "say": "it failed: {{last}}"},
  {"id": "end", "say": "bye"}
]"#;

#[tokio::test]
async fn a_script_branches_loops_and_fills_in() {
    let driver = script(LOOP);
    let outside = vec![r#"{"total": [1], "again": 0}"#, "x", r#"{"total": [2]}"#, "last", "thanks"];
    assert_eq!(
        play(&driver, "T", outside).await,
        [
            "task: T",
            r#"call_0_0 add{"a":"T","b":[1,{"c":"xT"}]}"#,
            "call_0_1 look{}",
            "task: T",
            r#"call_1_0 add{"a":"x","b":[1,{"c":"xT"}]}"#,
            "call_1_1 look{}",
            r#"2 and {"total": [2]}"#,
            "bye",
        ]
    );
    let outside = vec!["fine", "ERR no luck"];
    let log = play(&driver, "T", outside).await;
    assert_eq!(log.last().map(String::as_str), Some("it failed: no luck"));
}

#[tokio::test]
async fn the_end_of_the_script_is_final() {
    let driver = script(r#"[{"say": "only this"}]"#);
    assert_eq!(
        play(&driver, "T", vec!["and?"]).await,
        [
            "only this",
            "model.script_exhausted: playing the script: agent is asked again, and its turns are over: 1"
        ]
    );
    let stranger = Script::from_json(r#"{"agents": {"boss": [{"say": "x"}]}}"#).expect("a script");
    let failure = ask(&Scripted::new(stranger), &[]).await.expect_err("no agent");
    assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ScriptExhausted));
}

#[tokio::test]
async fn a_field_that_is_not_there_is_told() {
    let driver = script(r#"[{"calls": [{"tool": "t", "id": "r"}]}, {"say": "{{result:r.x}}"}]"#);
    let log = play(&driver, "T", vec!["[1]"]).await;
    let told = "model.script_exhausted: playing the script: the result of r has no field x: [1]";
    assert_eq!(log.last().map(String::as_str), Some(told));
}

#[tokio::test]
async fn usage_is_the_estimate_and_deltas_show_the_answer() {
    let driver = script(r#"[{"say": "hi", "calls": [{"tool": "t"}]}]"#);
    let asked = request(&[Message::user("hello")], &["t"]);
    let deltas = std::sync::Mutex::new(Vec::new());
    let on_delta = |delta| deltas.lock().expect("not poisoned").push(delta);
    let reply = driver.complete(asked.clone(), Some(&on_delta)).await.expect("answers");
    assert_eq!(reply.usage, tokens::of_call(&asked, reply.body.message()));
    assert!(reply.usage.estimated && reply.usage.output > Tokens::ZERO);
    assert_eq!(reply.finish, FinishReason::ToolCalls);
    let shown = deltas.into_inner().expect("not poisoned");
    assert_eq!(shown, [Delta::Text("hi".into()), Delta::ToolCall { index: 0, name: "t".into() }]);
}

#[tokio::test(start_paused = true)]
async fn latency_is_waited_for() {
    let driver = script(r#"[{"say": "slow", "latency_ms": 60000}]"#);
    let before = Instant::now();
    ask(&driver, &[Message::user("T")]).await.expect("answers");
    assert_eq!(before.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn the_offline_model_looks_once_where_it_can() {
    let driver = Scripted::offline();
    let mut messages = vec![Message::user("Do it")];
    let reply = driver.complete(request(&messages, &["list_files"]), None).await.expect("answers");
    let calls = reply.body.message().tool_calls();
    assert_eq!(calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(), ["list_files"]);
    messages.push(reply.body.message().as_ref().clone());
    messages.push(Message::tool("call_0_0", "a.txt\t3"));
    let reply = driver.complete(request(&messages, &["list_files"]), None).await.expect("answers");
    let text = reply.body.message().text();
    assert!(text.contains("Do it") && text.contains("a.txt\t3"), "{text}");
    assert!(text.contains("No model provider is configured"), "{text}");
    assert_eq!(reply.finish, FinishReason::Stop);

    let reply = ask(&driver, &[Message::user("Do it")]).await.expect("answers");
    assert_eq!(reply.finish, FinishReason::Stop);
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_its_time_word_for_word_and_is_gone_on_with() {
    let driver = script(
        r#"[{"say": "one two three four", "calls": [{"tool": "look"}], "latency_ms": 1800}]"#,
    );
    let asked = request(&[Message::user("count")], &[]);
    let began = Instant::now();
    let words = std::sync::Mutex::new(Vec::new());
    let on_delta = |delta| {
        let at = began.elapsed().as_millis();
        words.lock().expect("not poisoned").push((delta, at));
    };
    let whole = driver.complete(asked.clone(), Some(&on_delta)).await.expect("answers");
    let text = |text: &str| Delta::Text(text.to_owned());
    let look = Delta::ToolCall { index: 0, name: "look".to_owned() };
    let expected = [
        (text("one "), 400),
        (text("two "), 800),
        (text("three "), 1400),
        (text("four"), 1800),
        (look, 1800),
    ];
    assert_eq!(*words.lock().expect("not poisoned"), expected);

    let begun = Some(Body::new(Message::assistant("one two ")));
    let began = Instant::now();
    let rest = driver.complete(Request { begun, ..asked.clone() }, Some(&|_| {})).await;
    let rest = rest.expect("answers");
    assert_eq!(began.elapsed().as_millis(), 1_000, "what is left of the time");
    assert_eq!(format!("one two {}", rest.body.message().text()), whole.body.message().text());
    assert_eq!(rest.body.message().tool_calls(), whole.body.message().tool_calls());

    let begun = Some(Body::new(Message::assistant("uno dos ")));
    let failure = driver.complete(Request { begun, ..asked }, None).await.expect_err("another");
    assert_eq!((failure.class, failure.code), (FailureClass::Final, ErrorCode::ScriptExhausted));
}
