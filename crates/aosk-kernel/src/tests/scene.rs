//! A process in each of the states there are, with what the state needs around it.

use aosk_abi::{Pid, Signal};

use super::script::*;
use crate::Config;

/// Every state, by [`State::word`](crate::State::word); `stopped` is any of them with STOP.
pub(super) const LIVING: [&str; 9] =
    ["program", "ready", "running", "backoff", "quota", "tool", "child", "message", "timer"];

/// The operator's other process.
pub(super) const OTHER: Pid = Pid(1);
/// The one that is in the state.
pub(super) const IT: Pid = Pid(2);
/// Its child, if it has one.
pub(super) const CHILD: Pid = Pid(3);

/// A script in which [`IT`] is in the state named.
pub(super) fn scene(word: &str) -> Script {
    // With room for one call of 100 tokens beside what has been used.
    let limits = if word == "quota" { tokens(150) } else { aosk_abi::Limits::default() };
    let mut s = Script::new(Config { limits, ..config() });
    s.spawn(spec("other"));
    if word == "zombie" {
        s.child(OTHER, spec("it"));
    } else {
        s.spawn(spec("it"));
    }
    match word {
        "program" => {}
        "ready" => {
            s.step(OTHER, think("m"));
            s.step(IT, think("m"));
        }
        "running" => s.step(IT, think("m")),
        "backoff" => {
            s.step(IT, think("m"));
            s.fail(IT, transient());
        }
        "quota" => {
            s.step(OTHER, think("n"));
            s.step(IT, think("m"));
        }
        // Of the two slots one holds a call that may not be made twice, one a call that may.
        "tool" => s.step(IT, call_tools(&["shell", "read", "read"])),
        "child" => {
            s.child(IT, spec("child"));
            s.step(IT, wait(None, None));
        }
        "message" => s.step(IT, receive(Some(OTHER), None)),
        "timer" => s.step(IT, sleep(100)),
        "exiting" => {
            s.step(IT, think("m"));
            s.signal(IT, Signal::Kill);
        }
        "zombie" => s.step(IT, exit()),
        other => panic!("no such state: {other}"),
    }
    assert_eq!(s.word(IT), word);
    s.forget();
    s
}

/// The same with STOP.
pub(super) fn stopped(word: &str) -> Script {
    let mut s = scene(word);
    s.signal(IT, Signal::Stop);
    assert_eq!(s.word(IT), "stopped");
    assert_eq!(s.process(IT).state.inner().word(), word);
    s.forget();
    s
}

/// What happens to [`IT`] next, if it lives on.
pub(super) fn go_on(s: &mut Script, word: &str) {
    match word {
        "program" => s.step(IT, sleep(1)),
        "ready" => s.answer(OTHER, 10, 1),
        "running" => s.answer(IT, 10, 1),
        "backoff" => s.until_due(),
        "quota" => s.answer(OTHER, 10, 10),
        "tool" => {
            s.tool_returns(IT, 1, "exit 0");
            s.tool_returns(IT, 2, "text");
        }
        "child" => s.step(CHILD, exit_with(aosk_abi::ExitStatus::Finished, "found it")),
        "message" => s.step(OTHER, send(IT, "hello")),
        "timer" => s.after(100_000),
        other => panic!("nothing happens to it: {other}"),
    }
}

/// One transcript of `act` in each of the scenes.
pub(super) fn in_each(
    words: &[&str],
    set: impl Fn(&str) -> Script,
    act: impl Fn(&mut Script, &str),
) -> String {
    let mut all = String::new();
    for word in words {
        let mut s = set(word);
        act(&mut s, word);
        all.push_str(&format!("-- {word}\n{}", s.take()));
    }
    all
}
