//! The checks hold of a good demo and find every flaw of a bad one.

use aosk::abi::{CallId, Pid};

use super::*;

/// A demo as it should go: the first test run was cut off, the second passed.
fn good() -> (Record, BTreeMap<String, u32>) {
    let mut record = Record::default();
    record.agents.insert(Pid(3), TESTER.into());
    record.boots = vec![Booted::default(), Booted { boots: 1, ..Booted::default() }];
    for (number, result) in [(1, "tool.interrupted: unknown"), (2, "exit code 0\nall well")] {
        let call = Call {
            device: "run_command".into(),
            object: TEST_COMMAND.into(),
            begun: 1,
            ended: 1,
            result: result.into(),
        };
        record.tool_calls.insert(CallId { pid: Pid(3), number }, call);
    }
    (record, BTreeMap::from([(TEST_COMMAND.to_owned(), 2)]))
}

/// The problems after `change`.
fn after(change: impl FnOnce(&mut Record, &mut BTreeMap<String, u32>)) -> Vec<String> {
    let (mut record, mut started) = good();
    change(&mut record, &mut started);
    problems(&record, &started)
}

fn call(record: &mut Record, number: u32) -> &mut Call {
    record.tool_calls.get_mut(&CallId { pid: Pid(3), number }).expect("a call")
}

#[test]
fn a_command_that_was_cut_off_may_have_been_started_or_not() {
    assert_eq!(after(|_, _| {}), Vec::<String>::new());
    assert_eq!(after(|_, started| *started = [(TEST_COMMAND.to_owned(), 1)].into()), [""; 0]);
}

#[test]
fn every_flaw_is_found() {
    assert_eq!(
        after(|record, _| record.boots.truncate(1)),
        ["the kernel booted 1 times, not twice"]
    );
    assert_eq!(
        after(|record, _| call(record, 2).begun = 2),
        ["run_command p3.c2 was begun 2 times and ended 1 times"]
    );
    assert_eq!(
        after(|record, _| call(record, 1).ended = 0),
        ["run_command p3.c1 was begun 1 times and ended 0 times"]
    );
    for times in [0, 3] {
        assert_eq!(
            after(|_, started| *started = [(TEST_COMMAND.to_owned(), times)].into()),
            [format!("`{TEST_COMMAND}` was started {times} times, asked for 2 times")]
        );
    }
    assert_eq!(
        after(|_, started| {
            started.insert("rm x".into(), 1);
        }),
        ["`rm x` was started 1 times and never asked for"]
    );
    let failed = format!("`{TEST_COMMAND}` did not pass");
    assert_eq!(
        after(|record, _| call(record, 2).result = "exit code 101\n".into()),
        [failed.as_str()]
    );
    assert_eq!(after(|record, _| drop(record.agents.remove(&Pid(3)))), [failed.as_str()]);
}

#[test]
fn words_are_quoted_where_a_shell_needs_it() {
    assert_eq!(quoted("/tmp/a-b_1/data"), "/tmp/a-b_1/data");
    assert_eq!(quoted("it's here"), r"'it'\''s here'");
    assert_eq!(quoted(""), "''");
}
