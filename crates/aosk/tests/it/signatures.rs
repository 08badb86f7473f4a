//! What a provider signed goes back to it through the whole program: the log, the window, the next call.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::machine::{Machine, Running};
use crate::model_server::KEY;

/// A server that answers its questions with these events, and hands on each question's path and body.
fn serve(answers: [Vec<Value>; 2]) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let base_url = format!("http://{}", listener.local_addr().expect("has an address"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming().map_while(Result::ok) {
            let mut writer = stream.try_clone().expect("a second handle");
            let (path, body) = read(stream);
            // What is asked of the server itself it does not know.
            let Some(body) = body else {
                let none =
                    b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                drop(writer.write_all(none));
                continue;
            };
            let events = answers.next().expect("one question for each answer");
            let events = events.iter().map(|event| format!("data: {event}\n\n"));
            let events: String = events.collect();
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n";
            let answer = format!("{head}content-length: {}\r\n\r\n{events}", events.len());
            // Before the answer, since the program may end with it.
            sender.send((path, body)).expect("somebody listens");
            writer.write_all(answer.as_bytes()).expect("writes");
        }
    });
    (base_url, receiver)
}

/// The path of a request, and its body if it has one.
fn read(stream: TcpStream) -> (String, Option<Value>) {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("reads");
        line
    };
    let path = line().split(' ').nth(1).expect("a path").to_owned();
    let mut length = 0;
    loop {
        let line = line().to_lowercase();
        if line.trim().is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("reads");
    (path, (length > 0).then(|| serde_json::from_slice(&body).expect("JSON")))
}

/// Runs an agent that calls a tool, and gives the questions that its model was asked.
fn asked(model: &str, variable: &str, answers: [Vec<Value>; 2]) -> [(String, Value); 2] {
    let machine = Machine::new();
    let (base_url, questions) = serve(answers);
    let mut command =
        machine.command(&["run", "What is 17*23?", "--model", model, "--base-url", &base_url]);
    command.env(variable, KEY);
    let ran = Running::start(command).finish().expect(0);
    assert_eq!(ran.stdout.trim(), "391");
    [(); 2].map(|()| questions.try_recv().expect("two questions"))
}

#[test]
fn geminis_signature_goes_back_on_its_call() {
    let parts = |parts: Value, finish: Value| json!({"candidates": [{"content": {"parts": parts}, "finishReason": finish}]});
    let call = json!({"name": "calculator", "args": {"expression": "17*23"}, "id": "fc-1"});
    let thought = json!([{"text": "I multiply.", "thought": true}]);
    let called = json!([{"functionCall": call, "thoughtSignature": "c2lnbmVk+/=="}]);
    let first = vec![parts(thought, Value::Null), parts(called.clone(), json!("STOP"))];
    let second = vec![parts(json!([{"text": "391"}]), json!("STOP"))];
    let [_, (path, body)] = asked("gemini:gemini-3.8-flash", "GEMINI_API_KEY", [first, second]);
    assert_eq!(path, "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse");
    let contents = body["contents"].as_array().expect("a list");
    let [.., model, result] = contents.as_slice() else { panic!("{body}") };
    assert_eq!((&model["role"], &model["parts"]), (&json!("model"), &called));
    let response = &result["parts"][0]["functionResponse"];
    assert_eq!((&response["id"], &response["name"]), (&json!("fc-1"), &json!("calculator")));
    assert!(response["response"]["output"].to_string().contains("391"), "{response}");
}

#[test]
fn what_responses_encrypted_goes_back_before_its_call() {
    let thought = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAB+/=="});
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "calculator", "arguments": "{\"expression\": \"17*23\"}"});
    let done = |item: &Value| json!({"type": "response.output_item.done", "item": item});
    let completed =
        json!({"type": "response.completed", "response": {"status": "completed", "output": []}});
    let first = vec![done(&thought), done(&call), completed.clone()];
    let said =
        json!({"type": "message", "id": "m", "content": [{"type": "output_text", "text": "391"}]});
    let second = vec![done(&said), completed];
    let [_, (path, body)] =
        asked("openai-responses:gpt-5.4-mini", "OPENAI_API_KEY", [first, second]);
    assert_eq!((path.as_str(), &body["store"]), ("/responses", &json!(false)));
    let input = body["input"].as_array().expect("a list");
    let [.., before, called, result] = input.as_slice() else { panic!("{body}") };
    assert_eq!(before, &thought);
    assert_eq!((&called["call_id"], &called["arguments"]), (&call["call_id"], &call["arguments"]));
    assert_eq!(
        (&result["type"], &result["call_id"]),
        (&json!("function_call_output"), &json!("call_1"))
    );
    assert!(result["output"].to_string().contains("391"), "{result}");
}
