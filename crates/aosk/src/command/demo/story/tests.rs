//! The lines that entries become.

use aosk::abi::{CallId, ExitStatus};

use super::*;

fn record() -> Record {
    let mut record = Record::default();
    record.agents.insert(Pid(2), "Developer".into());
    record.agents.insert(Pid(3), "Tester".into());
    record
}

fn told(news: &News) -> String {
    let (who, what) = line(&record(), news);
    format!("{:?} {what}", who.map(|pid| pid.0))
}

fn command(result: &str) -> News {
    let call = Call {
        device: "run_command".into(),
        object: "cargo test".into(),
        result: result.into(),
        ..Call::default()
    };
    News::Returned { pid: Pid(3), call }
}

#[test]
fn a_result_is_told_by_the_line_that_matters() {
    let failed = "exit code 101\n--- stderr ---\n   Compiling roman\nerror[E0308]: wrong\n  more\n";
    assert_eq!(told(&command(failed)), "Some(3) $ cargo test: exit code 101, error[E0308]: wrong");
    let passed = "exit code 0\n--- stdout ---\n\ntest result: ok. 0 passed; 0 failed\n\
        test result: ok. 4 passed; 0 failed\n--- stderr ---\n Running tests\n";
    assert_eq!(
        told(&command(passed)),
        "Some(3) $ cargo test: exit code 0, test result: ok. 4 passed"
    );
    let output = "exit code 0\n--- stdout ---\nMMXXVI\n2026\n--- stderr ---\nnoise\n";
    assert_eq!(told(&command(output)), "Some(3) $ cargo test: exit code 0, MMXXVI");
    let built = "exit code 0\n--- stderr ---\n Compiling\n Finished in 0.3s\n";
    assert_eq!(told(&command(built)), "Some(3) $ cargo test: exit code 0, Finished in 0.3s");
    let cut_off = "tool.interrupted: the kernel stopped while this call ran";
    let text = "Some(3) $ cargo test: interrupted; whether it took effect is unknown";
    assert_eq!(told(&command(cut_off)), text);
}

#[test]
fn messages_and_boots_are_told_from_their_makers_side() {
    let text = "Message from Developer (p2): it builds (at last): go".to_owned();
    let sent = News::Sent { from: Some(Pid(2)), to: Pid(3), text };
    assert_eq!(told(&sent), "Some(2) -> Tester: it builds (at last): go");
    let call = CallId { pid: Pid(3), number: 1 };
    let booted = Booted { boots: 1, processes: 2, asked_again: vec![call; 2], ..Booted::default() };
    assert_eq!(
        told(&News::Booted(booted)),
        "None goes on from the store with 2 agents: 2 model calls asked again, 0 tool calls interrupted"
    );
    let exited = News::Exited { pid: Pid(2), status: ExitStatus::Finished };
    assert_eq!(told(&exited), "Some(2) finished");
}
