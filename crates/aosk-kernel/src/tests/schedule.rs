//! Who gets a slot: the order of each policy, slots, and changes while processes are ready.

use aosk_abi::{Command, ErrorCode, Input, Pid};
use expect_test::expect;

use super::script::*;
use crate::{Candidate, Config, Rank, policy};

fn with_policy(name: &str) -> Config {
    Config { policy: policy(name).expect("known"), ..config() }
}

/// Answers whoever holds the slot of `m` until nobody does; each served process thinks again while
/// it has turns left. Returns who was served, in order.
fn serve(s: &mut Script, mut turns: u32) -> Vec<u64> {
    let mut served = Vec::new();
    while let Some(pid) = s.running() {
        served.push(pid.0);
        s.batch(|s| {
            s.answer(pid, 10, 1);
            if turns > 0 {
                turns -= 1;
                s.step(pid, think("m"));
            } else {
                s.step(pid, exit());
            }
        });
    }
    served
}

fn renice(s: &mut Script, pid: Pid, priority: u8) -> aosk_abi::Reply {
    s.operate(&format!("operator renices {pid} to {priority}"), Command::Renice { pid, priority })
}

fn set_policy(s: &mut Script, policy: &str) -> aosk_abi::Reply {
    let command = Command::SetPolicy { policy: policy.to_owned() };
    s.operate(&format!("operator sets policy {policy}"), command)
}

/// Four processes that think in the order 1, 4, 3, 2; the first gets the slot at once.
fn four(config: Config) -> Script {
    let mut s = Script::new(config);
    for (name, priority) in [("a", 50), ("b", 50), ("c", 10), ("d", 90)] {
        s.spawn(with_priority(name, priority));
    }
    for pid in [1, 4, 3, 2] {
        s.step(Pid(pid), think("m"));
    }
    s.forget();
    s
}

#[test]
fn each_policy_has_its_order() {
    // A served process thinks again, four times in all. A slot never waits: it is given on before
    // the process that was just served has asked again.
    let order = |name| serve(&mut four(with_policy(name)), 4);
    assert_eq!(order("fifo"), [1, 2, 1, 2, 1, 2, 3, 4]);
    assert_eq!(order("round-robin"), [1, 4, 3, 2, 1, 4, 3, 2]);
    assert_eq!(order("priority"), [1, 3, 2, 3, 1, 3, 2, 4]);
}

#[test]
fn ranks_are_whole_values() {
    let candidate = Candidate { pid: Pid(7), priority: 20, since: 99, start: 5, finish: 8 };
    let ranks = ["fifo", "round-robin", "priority", "fair"]
        .map(|name| policy(name).expect("known").rank(&candidate));
    assert_eq!(ranks, [Rank(7, 0), Rank(99, 0), Rank(20, 99), Rank(8, 99)]);
}

#[test]
fn no_more_calls_run_than_there_are_slots() {
    let mut s = Script::new(config());
    for name in ["a", "b", "c", "d"] {
        s.spawn(spec(name));
    }
    s.forget();
    s.step(Pid(1), think("n"));
    s.step(Pid(2), think("n"));
    s.step(Pid(3), think("n"));
    // The queue of one model does not hold up another.
    s.step(Pid(4), think("m"));
    s.answer(Pid(2), 10, 1);
    s.expect(&expect![[r#"
        0s p1#1 think n 10+90
            * p1 model.called p1.c1 n with 1 pages 10+90
            think p1.c1/1 n with 1 pages
        0s p2#1 think n 10+90
            * p2 model.called p2.c1 n with 1 pages 10+90
            think p2.c1/1 n with 1 pages
        0s p3#1 think n 10+90
            * p3 model.called p3.c1 n with 1 pages 10+90
        0s p4#1 think m 10+90
            * p4 model.called p4.c1 m with 1 pages 10+90
            think p4.c1/1 m with 1 pages
        0s p2.c1/1 answered
            * p2 model.answered p2.c1 @1 used 10+1 for $0.000000
            p2#2 <- answered @1 Stop
            think p3.c1/1 n with 1 pages
    "#]]);
}

#[test]
fn a_policy_set_while_processes_are_ready_orders_them_anew() {
    let mut s = four(with_policy("fifo"));
    set_policy(&mut s, "priority");
    s.expect(&expect![[r#"
        0s operator sets policy priority
            * node scheduler.policy priority
            * node model.preempted p1.c1 on m by p3: Urgent after 0 ms
            reply: done
            yield p1.c1/1
    "#]]);
    assert_eq!(serve(&mut s, 0), [1, 3, 2, 4]);
    let mut s = four(with_policy("priority"));
    set_policy(&mut s, "round-robin");
    assert_eq!(serve(&mut s, 0), [1, 4, 3, 2]);
}

#[test]
fn an_unknown_policy_is_refused_and_the_old_one_stays() {
    let error = policy("lottery").expect_err("there is none");
    assert_eq!(error.code, ErrorCode::Usage);
    assert_eq!(error.hint, "policies: fair, priority, round-robin, fifo");
    let mut s = four(with_policy("fifo"));
    set_policy(&mut s, "lottery");
    s.expect(&expect![[r#"
        0s operator sets policy lottery
            reply: refused: choosing a scheduler policy: no such policy: lottery [cli.usage]
    "#]]);
    assert_eq!(serve(&mut s, 0), [1, 2, 3, 4]);
}

#[test]
fn renice_moves_a_ready_process() {
    let mut s = four(with_policy("priority"));
    renice(&mut s, Pid(4), 0);
    renice(&mut s, Pid(3), 100);
    renice(&mut s, Pid(2), 101);
    renice(&mut s, Pid(9), 1);
    s.expect(&expect![[r#"
        0s operator renices p4 to 0
            * p4 process.reniced 0
            reply: done
        0s operator renices p3 to 100
            * p3 process.reniced 100
            reply: done
        0s operator renices p2 to 101
            reply: refused: changing the priority of p2: must be 0 to 100: 101 [kernel.bad_syscall]
        0s operator renices p9 to 1
            reply: refused: changing the priority of p9: no such process [kernel.no_such_process]
    "#]]);
    assert_eq!(serve(&mut s, 0), [1, 4, 2, 3]);
}

#[test]
fn a_slot_is_passed_on_when_its_holder_is_killed() {
    let mut s = four(with_policy("fifo"));
    s.signal(Pid(1), aosk_abi::Signal::Kill);
    // The call may still run: its slot is free when the device confirms.
    assert_eq!(s.running(), None);
    s.model_done_of(Pid(1), 1, 1, cancelled());
    assert_eq!(s.running(), Some(Pid(2)));
}

/// A shutdown in order: what is in flight ends, what is asked meanwhile waits for the next boot.
#[test]
fn a_draining_kernel_starts_nothing() {
    let mut s = Script::new(config());
    let pids = ["a", "b", "c"].map(|name| s.spawn(spec(name)));
    let [a, b, c] = pids;
    s.step(a, think("m"));
    s.step(b, call_tools(&["shell"]));
    s.apply("drain", Input::Drain);
    s.forget();
    s.step(c, think("m"));
    s.answer(a, 10, 5);
    s.step(a, call_tools(&["shell"]));
    s.tool_returns(b, 1, "done");
    s.step(b, call_tools(&["calc"])); // inline tools are no device
    s.expect(&expect![[r#"
        0s p3#1 think m 10+90
            * p3 model.called p3.c1 m with 1 pages 10+90
        0s p1.c1/1 answered
            * p1 model.answered p1.c1 @1 used 10+5 for $0.000020
            p1#2 <- answered @1 Stop
        0s p1#2 call shell
            * p1 tool.called p1.c2 shell High
        0s p2.c1/1 returned
            * p2 tool.returned p2.c1
            p2#2 <- tools returned @1 x1
        0s p2#2 call calc
            * p2 tool.called p2.c2 calc Safe
            inline p2.c2/1 calc ordinal 1
    "#]]);
    assert_eq!(pids.map(|pid| s.word(pid)), ["tool", "tool", "ready"]);
    s.crash();
    s.expect(&expect![[r#"
        0s crash and boot
            * node node.booted after 1 boots with 3 processes, asked again [], called again [], interrupted []
            inline p2.c2/2 calc ordinal 1
            think p3.c1/1 m with 1 pages
            tool p1.c2/1 shell ordinal 0
    "#]]);
}
