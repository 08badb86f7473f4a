//! Tool calls of one turn: where they run, when they end, and in which order results enter the log.

use aosk_abi::{
    Capabilities, Grant, Limits, Pid, Release, Resource, Risk, Signal, Syscall, ToolOutcome,
    ToolUse, limits,
};
use expect_test::expect;

use super::script::*;
use crate::process::State;

#[test]
fn inline_tools_run_before_the_commit_and_the_others_after_it() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.forget();
    s.batch(|s| {
        s.step(a, call_tools(&["read", "calc", "shell"]));
        s.tool_returns(a, 2, "4");
    });
    s.tool_returns(a, 3, "exit 0");
    s.tool_returns(a, 1, "text");
    s.expect(&expect![[r#"
        0s p1#1 call read calc shell
            * p1 tool.called p1.c1 read Low
            * p1 tool.called p1.c2 calc Safe
            * p1 tool.called p1.c3 shell High
            inline p1.c2/1 calc ordinal 1
            tool p1.c1/1 read ordinal 0
            tool p1.c3/1 shell ordinal 2
        0s p1.c2/1 returned
            * p1 tool.returned p1.c2
        0s p1.c3/1 returned
            * p1 tool.returned p1.c3
        0s p1.c1/1 returned
            * p1 tool.returned p1.c1
            p1#2 <- tools returned @1 x3
    "#]]);
    // Results stand in the order of the calls, whichever came first.
    assert_eq!(s.log(a), ["user: task", "tool: text", "tool: 4", "tool: exit 0"]);
    assert_eq!(node(s.budget(a)), "used 3 calls, 1 children; reserved nothing; overdraft nothing");
    assert_eq!(spent(&s.process(a).stats.spend), "3 calls");
}

#[test]
fn ordinals_count_the_tools_a_process_called() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, call_tools(&["calc", "calc"]));
    s.tool_returns(a, 1, "1");
    s.tool_returns(a, 2, "2");
    s.step(a, think("m"));
    s.answer(a, 1, 1);
    s.forget();
    s.step(a, call_tools(&["calc"]));
    s.expect(&expect![[r#"
        0s p1#3 call calc
            * p1 tool.called p1.c4 calc Safe
            inline p1.c4/1 calc ordinal 2
    "#]]);
}

#[test]
fn a_denied_tool_returns_at_once_and_never_runs() {
    let capabilities = Capabilities {
        tools: Grant::only(["calc", "shell", "gone"]),
        risk_max: Risk::Low,
        ..spec("a").capabilities
    };
    let mut s = Script::new(config());
    let a = s.spawn(with_capabilities("a", capabilities));
    s.forget();
    // Not granted, too risky, granted.
    s.step(a, call_tools(&["read", "shell", "calc"]));
    s.tool_returns(a, 3, "4");
    // All denied: the turn is over at once.
    s.step(a, call_tools(&["read"]));
    s.expect(&expect![[r#"
        0s p1#1 call read shell calc
            * p1 tool.called p1.c1 read Low
            * p1 tool.returned p1.c1 an error
            * p1 tool.called p1.c2 shell High
            * p1 tool.returned p1.c2 an error
            * p1 tool.called p1.c3 calc Safe
            inline p1.c3/1 calc ordinal 2
        0s p1.c3/1 returned
            * p1 tool.returned p1.c3
            p1#2 <- tools returned @1 x3
        0s p1#2 call read
            * p1 tool.called p1.c4 read Low
            * p1 tool.returned p1.c4 an error
            p1#3 <- tools returned @4 x1
    "#]]);
    assert_eq!(
        s.log(a)[1..],
        [
            "tool: tool.denied: a may not call read",
            "tool: tool.denied: a may call tools of risk Low at most; shell is High",
            "tool: 4",
            "tool: tool.denied: a may not call read",
        ]
    );
}

#[test]
fn an_unknown_tool_goes_to_its_device_which_says_so() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.forget();
    s.step(a, call_tools(&["gone"]));
    s.expect(&expect![[r#"
        0s p1#1 call gone
            * p1 tool.called p1.c1 gone Safe
            inline p1.c1/1 gone ordinal 0
    "#]]);
}

#[test]
fn a_tool_slot_goes_to_who_has_none_before_who_has_one() {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.forget();
    s.step(a, call_tools(&["shell", "read", "shell"]));
    s.step(b, call_tools(&["read"]));
    s.tool_returns(a, 2, "one");
    s.tool_returns(b, 1, "two");
    s.expect(&expect![[r#"
        0s p1#1 call shell read shell
            * p1 tool.called p1.c1 shell High
            * p1 tool.called p1.c2 read Low
            * p1 tool.called p1.c3 shell High
            tool p1.c1/1 shell ordinal 0
            tool p1.c2/1 read ordinal 1
        0s p2#1 call read
            * p2 tool.called p2.c1 read Low
        0s p1.c2/1 returned
            * p1 tool.returned p1.c2
            tool p2.c1/1 read ordinal 0
        0s p2.c1/1 returned
            * p2 tool.returned p2.c1
            p2#2 <- tools returned @1 x1
            tool p1.c3/1 shell ordinal 2
    "#]]);
}

/// Has the first process take both slots, and others ask with these priorities and so many calls each.
/// Returns, of the calls, whose each was, in the order in which they began.
fn tool_order(name: &str, asks: &[(u8, usize)]) -> Vec<u64> {
    let policy = crate::policy(name).expect("known");
    let mut s = Script::new(crate::Config { policy, ..config() });
    let first = s.spawn(spec("first"));
    s.step(first, call_tools(&["shell", "shell"]));
    for (priority, calls) in asks {
        let pid = s.spawn(with_priority("a", *priority));
        s.step(pid, call_tools(&vec!["shell"; *calls]));
    }
    let mut running = std::collections::VecDeque::from([call(first, 1), call(first, 2)]);
    let mut order = Vec::new();
    while let Some(done) = running.pop_front() {
        let before = s.effects.len();
        s.tool_returns(done.pid, done.number, "done");
        let begun =
            s.effects.iter().skip(before).flat_map(|fx| &fx.releases).filter_map(|one| match one {
                Release::Tool(start) => Some(start.call),
                Release::Think { .. }
                | Release::Cancel { .. }
                | Release::Yield { .. }
                | Release::Reply { .. } => None,
            });
        let begun: Vec<_> = begun.collect();
        order.extend(begun.iter().map(|call| call.pid.0));
        running.extend(begun);
    }
    order
}

#[test]
fn who_asks_for_many_tools_at_once_takes_turns_with_those_who_ask_for_one() {
    let asks = [(50, 4), (50, 1), (50, 1), (20, 1)];
    assert_eq!(tool_order("fair", &asks), [2, 3, 2, 4, 2, 5, 2]);
    assert_eq!(tool_order("priority", &asks), [5, 2, 2, 2, 2, 3, 4]);
    assert_eq!(tool_order("round-robin", &asks), [2, 2, 2, 2, 3, 4, 5]);
}

#[test]
fn a_tool_that_hangs_is_given_up() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, call_tools(&["read", "shell"]));
    s.forget();
    s.after(14_999); // its timeout of 10 s and the grace of 5 s are not over
    s.after(1);
    // Its report comes late.
    s.tool_done_of(a, 1, 1, ToolOutcome::Cancelled);
    s.tool_returns(a, 2, "exit 0");
    s.expect(&expect![[r#"
        14.999s tick
        15s tick
            * p1 tool.returned p1.c1 an error
            cancel p1.c1/1
        15s p1.c1/1 cancelled
        15s p1.c2/1 returned
            * p1 tool.returned p1.c2
            p1#2 <- tools returned @1 x2
    "#]]);
    assert_eq!(s.log(a)[1..], ["tool: tool.timeout: no result in time", "tool: exit 0"]);
    assert_eq!(s.kernel.ignored(), 1);
}

#[test]
fn a_tool_that_was_cut_off_tells_so() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, call_tools(&["shell"]));
    s.tool_done_of(a, 1, 1, ToolOutcome::Cancelled);
    assert_eq!(s.log(a)[1..], ["tool: tool.interrupted: the call was cut off"]);
}

#[test]
fn a_turn_has_a_bounded_number_of_calls() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.forget();
    s.step(a, call_tools(&[]));
    s.step(a, call_tools(&["calc"; limits::TOOL_CALLS_PER_TURN_MAX + 1]));
    let arguments = "x".repeat(limits::ARGUMENTS_BYTES_MAX + 1);
    let calls = vec![ToolUse { id: "u".into(), name: "calc".into(), arguments }];
    s.step(a, Syscall::CallTools { calls });
    s.expect(&expect![[r#"
        0s p1#1 call nothing
            * p1 syscall.refused call_tools kernel.bad_syscall
            p1#2 <- refused: calling tools: a turn has 1 to 128 calls: 0 [kernel.bad_syscall]
        0s p1#2 call 129 tools
            * p1 syscall.refused call_tools kernel.bad_syscall
            p1#3 <- refused: calling tools: a turn has 1 to 128 calls: 129 [kernel.bad_syscall]
        0s p1#3 call calc
            * p1 syscall.refused call_tools kernel.bad_syscall
            p1#4 <- refused: calling tools: arguments have at most 1048576 bytes [kernel.bad_syscall]
    "#]]);
    s.step(a, call_tools(&["read"; limits::TOOL_CALLS_PER_TURN_MAX]));
    assert_eq!(s.word(a), "tool");
}

#[test]
fn the_budget_of_calls_is_for_a_turn_as_a_whole() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", Limits { calls: Some(3), ..Limits::default() }));
    s.step(a, call_tools(&["calc", "calc"]));
    s.tool_returns(a, 1, "1");
    s.tool_returns(a, 2, "2");
    s.forget();
    s.step(a, call_tools(&["calc", "calc"]));
    s.step(a, call_tools(&["calc"]));
    s.expect(&expect![[r#"
        0s p1#2 call calc calc
            * p1 syscall.refused call_tools budget.exceeded
            p1#3 <- out of budget: Calls
        0s p1#3 call calc
            * p1 tool.called p1.c3 calc Safe
            inline p1.c3/1 calc ordinal 2
    "#]]);
    s.tool_returns(a, 3, "3");
    s.step(a, call_tools(&["calc"]));
    assert_eq!(s.process(a).state, State::Program { wake: out_of(Resource::Calls) });
    // The model counts as a device too.
    s.step(a, think("m"));
    assert_eq!(s.process(a).state, State::Program { wake: out_of(Resource::Calls) });
}

#[test]
fn tool_calls_of_a_killed_process_keep_their_slots_until_they_are_confirmed() {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, call_tools(&["shell", "read", "shell"]));
    s.step(b, call_tools(&["read", "read"]));
    s.forget();
    s.signal(a, Signal::Kill);
    s.tool_done_of(a, 2, 1, ToolOutcome::Cancelled);
    s.tool_done_of(a, 2, 1, ToolOutcome::Cancelled); // twice
    s.until_due();
    s.expect(&expect![[r#"
        0s operator signals p1 Kill
            * p1 process.signalled Kill
            * p1 tool.returned p1.c1 an error
            * p1 tool.returned p1.c2 an error
            * p1 tool.returned p1.c3 an error
            cancel p1.c1/1
            cancel p1.c2/1
            reply: done
        0s p1.c2/1 cancelled
            tool p2.c1/1 read ordinal 0
        0s p1.c2/1 cancelled
        5s tick
            * p1 process.exited killed after 1 pages
            tool p2.c2/1 read ordinal 1
    "#]]);
    assert_eq!(s.kernel.ignored(), 1);
}

#[test]
fn an_inline_call_holds_no_slot_even_when_its_process_is_killed() {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.step(a, call_tools(&["shell", "shell"]));
    s.forget();
    s.batch(|s| {
        s.step(b, call_tools(&["calc", "calc"]));
        s.signal(b, Signal::Kill);
        s.tool_done_of(b, 1, 1, ToolOutcome::Cancelled);
    });
    s.expect(&expect![[r#"
        0s p2#1 call calc calc
            * p2 tool.called p2.c1 calc Safe
            * p2 tool.called p2.c2 calc Safe
            inline p2.c1/1 calc ordinal 0
            inline p2.c2/1 calc ordinal 1
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 tool.returned p2.c1 an error
            * p2 tool.returned p2.c2 an error
            * p2 process.exited killed after 1 pages
            reply: done
        0s p2.c1/1 cancelled
    "#]]);
    assert!(s.kernel.process(Pid(2)).is_none());
}

/// A model that writes a file and then runs a test, all in one turn, means them in this order.
#[test]
fn calls_that_change_something_are_made_in_turn() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.forget();
    s.step(a, call_tools(&["read", "read", "edit", "read", "calc", "edit"]));
    s.tool_returns(a, 2, "second");
    s.tool_returns(a, 1, "first"); // now the edit may run, and nothing beside it
    s.tool_returns(a, 3, "edited");
    s.tool_returns(a, 5, "calculated");
    s.tool_returns(a, 4, "third");
    s.crash(); // the last edit is in flight
    s.expect(&expect![[r#"
        0s p1#1 call read read edit read calc edit
            * p1 tool.called p1.c1 read Low
            * p1 tool.called p1.c2 read Low
            * p1 tool.called p1.c3 edit Medium
            * p1 tool.called p1.c4 read Low
            * p1 tool.called p1.c5 calc Safe
            * p1 tool.called p1.c6 edit Medium
            inline p1.c5/1 calc ordinal 4
            tool p1.c1/1 read ordinal 0
            tool p1.c2/1 read ordinal 1
        0s p1.c2/1 returned
            * p1 tool.returned p1.c2
        0s p1.c1/1 returned
            * p1 tool.returned p1.c1
            tool p1.c3/1 edit ordinal 2
        0s p1.c3/1 returned
            * p1 tool.returned p1.c3
            tool p1.c4/1 read ordinal 3
        0s p1.c5/1 returned
            * p1 tool.returned p1.c5
        0s p1.c4/1 returned
            * p1 tool.returned p1.c4
            tool p1.c6/1 edit ordinal 5
        0s crash and boot
            * p1 tool.returned p1.c6 an error
            * node node.booted after 1 boots with 1 processes, asked again [], called again [], interrupted [p1.c6]
            p1#2 <- tools returned @1 x6
    "#]]);
}
