//! Checks of kernel calls: every one parses, and mistakes are named.

use aosk_abi::error::ErrorCode;

use super::*;

fn refused(name: &str, arguments: &str) -> String {
    let error = parse(name, arguments).expect_err(arguments);
    assert_eq!(error.code(), ErrorCode::ToolArguments, "{arguments}");
    error.to_string()
}

#[test]
fn every_schema_is_sound_and_strict() {
    assert_eq!(ENTRIES.as_ref().map(Vec::len), Ok(13));
    for spec in specs() {
        assert_eq!(
            spec.parameters.get("additionalProperties"),
            Some(&false.into()),
            "{}",
            spec.name
        );
    }
}

#[test]
fn every_call_parses() {
    let full = r#"{"name":"reviewer","task":"review","system":"be brief","tools":["read_file"],
        "priority":10,"model":"openai:x","budget_tokens":5000,"budget_usd":0.25,"wait":true}"#;
    let spawn = SpawnAgent {
        name: "reviewer".into(),
        task: "review".into(),
        system: Some("be brief".into()),
        tools: Some(vec!["read_file".into()]),
        priority: Some(10),
        model: Some("openai:x".into()),
        budget_tokens: Some(Tokens(5000)),
        budget: Some(MicroUsd(250_000)),
        fork: false,
        wait: true,
    };
    let begin = BeginTask { goal: "find it".into() };
    assert_eq!(parse("begin_task", r#"{"goal":"find it"}"#), Ok(KernelCall::BeginTask(begin)));
    let end = EndTask { result: "found".into() };
    assert_eq!(parse("end_task", r#"{"result":"found"}"#), Ok(KernelCall::EndTask(end)));
    assert!(refused("end_task", r#"{"result":""}"#).contains("result"));
    assert_eq!(parse("spawn_agent", full), Ok(KernelCall::SpawnAgent(spawn)));
    let bare = SpawnAgent {
        name: "审阅".into(),
        task: "t".into(),
        system: None,
        tools: None,
        priority: None,
        model: None,
        budget_tokens: None,
        budget: None,
        fork: false,
        wait: false,
    };
    assert_eq!(
        parse("spawn_agent", r#"{"name":"审阅","task":"t"}"#),
        Ok(KernelCall::SpawnAgent(bare))
    );
    assert_eq!(
        parse("wait_agent", r#"{"pid":"p7","timeout_s":1.5}"#),
        Ok(KernelCall::WaitAgent(WaitAgent { pid: Some(Pid(7)), timeout: Some(Millis(1500)) }))
    );
    assert_eq!(
        parse("wait_agent", ""),
        Ok(KernelCall::WaitAgent(WaitAgent { pid: None, timeout: None }))
    );
    assert_eq!(
        parse("send_message", r#"{"to":"reviewer","text":"hi"}"#),
        Ok(KernelCall::SendMessage(SendMessage {
            to: Peer::Name("reviewer".into()),
            text: "hi".into()
        }))
    );
    assert_eq!(
        parse("receive_message", r#"{"from":"p3"}"#),
        Ok(KernelCall::ReceiveMessage(ReceiveMessage {
            from: Some(Peer::Pid(Pid(3))),
            timeout: None
        }))
    );
    assert_eq!(
        parse("sleep", r#"{"seconds":2}"#),
        Ok(KernelCall::Sleep(Sleep { span: Millis(2000) }))
    );
    assert_eq!(
        parse("finish", r#"{"result":"done"}"#),
        Ok(KernelCall::Finish(Finish { result: "done".into() }))
    );
}

#[test]
fn mistakes_are_refused_and_named() {
    assert!(refused("spawn_agent", r#"{"name":"a"}"#).contains("argument `task` is missing"));
    assert!(refused("spawn_agent", r#"{"name":"p7","task":"t"}"#).contains("process id"));
    assert!(refused("spawn_agent", r#"{"name":"a\u0007","task":"t"}"#).contains("control"));
    let priority = refused("spawn_agent", r#"{"name":"a","task":"t","priority":101}"#);
    assert!(priority.contains("argument `priority`"), "{priority}");
    let tools = refused("spawn_agent", r#"{"name":"a","task":"t","tools":["x",3]}"#);
    assert!(tools.contains("argument `tools.1`") && tools.contains("but a number"), "{tools}");
    let budget = refused("spawn_agent", r#"{"name":"a","task":"t","budget_usd":-1}"#);
    assert!(budget.contains("argument `budget_usd`"), "{budget}");
    assert!(refused("wait_agent", r#"{"pid":"reviewer"}"#).contains("argument `pid`"));
    assert!(refused("wait_agent", r#"{"pid":"p99999999999999999999999"}"#).contains("like p7"));
    assert!(refused("sleep", r#"{"seconds":-1}"#).contains("argument `seconds`"));
    assert!(refused("sleep", r#"{"seconds":1,"why":"x"}"#).contains("argument `why` is not known"));
    assert!(refused("finish", "[]").contains("arguments: the value is not of type"));
    let unknown = parse("fork_agent", "{}").map_err(|error| error.code());
    assert_eq!(unknown, Err(ErrorCode::ToolUnknown));
}
