//! Messages between processes.

use aosk_abi::{
    Command, ErrorCode, Peer, PermissionLevel, Pid, Reply, Signal, Syscall, Wake, limits,
};
use expect_test::expect;

use super::script::*;
use crate::State;

fn two() -> (Script, Pid, Pid) {
    let mut s = Script::new(config());
    let (a, b) = (s.spawn(spec("a")), s.spawn(spec("b")));
    s.forget();
    (s, a, b)
}

#[test]
fn messages_come_in_order_and_once() {
    let (mut s, a, b) = two();
    s.step(a, send(b, "one"));
    s.step(a, send(b, "two"));
    s.step(b, receive(None, None));
    s.step(b, receive(None, None));
    s.step(b, receive(None, None)); // waits
    s.step(a, send(b, "three"));
    s.expect(&expect![[r#"
        0s p1#1 send p2 "one"
            * p2 message.sent by p1
            p1#2 <- sent
        0s p1#2 send p2 "two"
            * p2 message.sent by p1
            p1#3 <- sent
        0s p2#1 receive any
            * p2 message.received from p1
            p2#2 <- received "one" from p1
        0s p2#2 receive any
            * p2 message.received from p1
            p2#3 <- received "two" from p1
        0s p2#3 receive any
        0s p1#3 send p2 "three"
            * p2 message.sent by p1
            * p2 message.received from p1
            p2#4 <- received "three" from p1
            p1#4 <- sent
    "#]]);
    let count = |pid| (s.process(pid).stats.sent, s.process(pid).stats.received);
    assert_eq!([count(a), count(b)], [(3, 0), (0, 3)]);
    assert!(s.process(b).mailbox.is_empty());
    // A message is not a page; its reader makes of it what it will.
    assert_eq!(s.log(b), ["user: task"]);
}

#[test]
fn the_operator_may_send_too() {
    let (mut s, a, _) = two();
    s.step(a, receive(None, None));
    s.operate("operator sends to p1", Command::Send { pid: a, body: user("psst") });
    s.operate("operator sends to p9", Command::Send { pid: Pid(9), body: user("psst") });
    s.expect(&expect![[r#"
        0s p1#1 receive any
        0s operator sends to p1
            * p1 message.sent by the operator
            * p1 message.received from the operator
            p1#2 <- received "psst" from the operator
            reply: done
        0s operator sends to p9
            reply: refused: sending to p9: no such process [kernel.no_such_process]
    "#]]);
}

#[test]
fn a_filter_leaves_other_messages_for_later() {
    let (mut s, a, b) = two();
    let c = s.spawn(spec("c"));
    s.step(c, receive(Some(b), None));
    s.forget();
    s.step(a, send(c, "from a"));
    assert_eq!(s.word(c), "message");
    s.step(b, send(c, "from b"));
    s.step(c, receive(Some(b), Some(1)));
    s.after(1_000);
    s.step(c, receive(Some(a), None));
    s.expect(&expect![[r#"
        0s p1#1 send p3 "from a"
            * p3 message.sent by p1
            p1#2 <- sent
        0s p2#1 send p3 "from b"
            * p3 message.sent by p2
            * p3 message.received from p2
            p3#2 <- received "from b" from p2
            p2#2 <- sent
        0s p3#2 receive p2 for 1.0 s
        1s tick
            p3#3 <- timed out
        1s p3#3 receive p1
            * p3 message.received from p1
            p3#4 <- received "from a" from p1
    "#]]);
}

#[test]
fn a_receive_has_an_end() {
    let (mut s, a, b) = two();
    s.step(b, receive(None, Some(2)));
    s.after(1_999);
    s.after(1);
    s.step(a, send(b, "too late"));
    s.step(b, receive(None, Some(0)));
    s.step(b, receive(None, Some(0)));
    s.after(0);
    s.expect(&expect![[r#"
        0s p2#1 receive any for 2.0 s
        1.999s tick
        2s tick
            p2#2 <- timed out
        2s p1#1 send p2 "too late"
            * p2 message.sent by p1
            p1#2 <- sent
        2s p2#2 receive any for 0 ms
            * p2 message.received from p1
            p2#3 <- received "too late" from p1
        2s p2#3 receive any for 0 ms
        2s tick
            p2#4 <- timed out
    "#]]);
}

#[test]
fn a_mailbox_is_bounded() {
    let (mut s, a, b) = two();
    s.batch(|s| {
        for _ in 0..limits::MAILBOX_MAX {
            s.step(a, send(b, "x"));
        }
    });
    s.forget();
    s.step(a, send(b, "one too many"));
    s.expect(&expect![[r#"
        0s p1#257 send p2 "one too many"
            * p1 syscall.refused send kernel.busy
            p1#258 <- refused: sending to p2: its mailbox is full: 256 messages [kernel.busy]
    "#]]);
    assert_eq!(s.process(a).stats.sent, u64::try_from(limits::MAILBOX_MAX).expect("small"));
    // So is a message.
    s.step(b, receive(None, None));
    s.forget();
    s.step(a, Syscall::Send { to: b.into(), body: user(&"x".repeat(limits::BODY_BYTES_MAX)) });
    s.expect(&expect![[r#"
        0s p1#258 send p2 a long message
            * p1 syscall.refused send kernel.bad_syscall
            p1#259 <- refused: sending to p2: a message has at most 8388608 bytes [kernel.bad_syscall]
    "#]]);
    s.step(a, send(b, "fits again"));
    assert_eq!(s.process(b).mailbox.len(), limits::MAILBOX_MAX);
}

#[test]
fn without_the_capability_one_sends_to_ones_family_only() {
    let mut s = Script::new(config());
    let standard = |name| with_capabilities(name, PermissionLevel::Standard.capabilities());
    let stranger = s.spawn(spec("stranger"));
    let parent = s.spawn(standard("parent"));
    let (a, b) = (s.child(parent, standard("a")), s.child(parent, standard("b")));
    let grandchild = s.child(a, standard("grandchild"));
    let mut may_send = |from, to| {
        s.step(from, send(to, "hello"));
        let State::Program { wake } = &s.process(from).state else { panic!("it runs on") };
        if let Wake::Refused { error } = wake {
            assert_eq!(error.code, ErrorCode::Forbidden);
        } else {
            assert_eq!(*wake, Wake::Sent);
        }
        *wake == Wake::Sent
    };
    let allowed = [(a, parent), (a, b), (a, a), (a, grandchild), (parent, a), (grandchild, a)];
    assert_eq!(allowed.map(|(from, to)| may_send(from, to)), [true; 6]);
    let denied = [(a, stranger), (parent, grandchild), (grandchild, b), (b, Pid(99))];
    assert_eq!(denied.map(|(from, to)| may_send(from, to)), [false; 4]);
    // Processes of the operator are no siblings.
    assert!(!may_send(parent, stranger));
    assert!(may_send(stranger, grandchild));
}

#[test]
fn nobody_sends_to_one_that_has_ended() {
    let (mut s, a, b) = two();
    let c = s.child(b, spec("c"));
    s.step(c, exit());
    s.forget();
    s.step(a, send(c, "zombie"));
    s.step(a, send(Pid(9), "nobody"));
    s.expect(&expect![[r#"
        0s p1#1 send p3 "zombie"
            * p1 syscall.refused send kernel.no_such_process
            p1#2 <- refused: sending to p3: it has ended [kernel.no_such_process]
        0s p1#2 send p9 "nobody"
            * p1 syscall.refused send kernel.no_such_process
            p1#3 <- refused: sending to p9: no such process [kernel.no_such_process]
    "#]]);
}

#[test]
fn nobody_waits_for_one_that_cannot_send() {
    let (mut s, a, b) = two();
    s.step(a, receive(Some(a), None));
    s.step(a, receive(Some(Pid(9)), None));
    s.step(a, receive(Some(b), Some(60)));
    s.step(b, exit());
    s.step(a, receive(Some(b), None));
    s.expect(&expect![[r#"
        0s p1#1 receive p1
            * p1 syscall.refused receive kernel.deadlock
            p1#2 <- refused: receiving from p1: a process cannot wait for itself [kernel.deadlock]
        0s p1#2 receive p9
            * p1 syscall.refused receive kernel.no_such_process
            p1#3 <- refused: receiving from p9: no such process [kernel.no_such_process]
        0s p1#3 receive p2 for 60.0 s
        0s p2#1 exit finished
            * p2 process.exited finished after 1 pages
            p1#4 <- refused: receiving from p2: it ended without sending [kernel.no_such_process]
        0s p1#4 receive p2
            * p1 syscall.refused receive kernel.no_such_process
            p1#5 <- refused: receiving from p2: no such process [kernel.no_such_process]
    "#]]);
}

#[test]
fn a_receiver_hears_at_once_that_its_sender_was_killed() {
    let (mut s, a, b) = two();
    s.step(b, think("m"));
    s.step(a, receive(Some(b), None));
    s.forget();
    // The sender's call is still to be confirmed, but it sends nothing more.
    s.signal(b, Signal::Kill);
    s.expect(&expect![[r#"
        0s operator signals p2 Kill
            * p2 process.signalled Kill
            * p2 model.failed p2.c1 model.cancelled: the process no longer wants the answer
            p1#2 <- refused: receiving from p2: it ended without sending [kernel.no_such_process]
            cancel p2.c1/1
            reply: done
    "#]]);
}

#[test]
fn a_receiver_whose_time_is_over_as_its_sender_ends_is_woken_once() {
    let (mut s, a, b) = two();
    s.step(b, sleep(1_000));
    s.signal(b, Signal::Term);
    s.step(a, receive(Some(b), Some(10)));
    s.forget();
    s.after(10_000);
    s.expect(&expect![[r#"
        10s tick
            * p2 process.exited killed after 1 pages
            p1#2 <- timed out
    "#]]);
}

#[test]
fn what_is_left_in_a_mailbox_goes_with_its_owner() {
    let (mut s, a, b) = two();
    s.step(a, send(b, "unread"));
    assert_eq!(s.rows.keys().filter(|key| matches!(key, aosk_abi::RowKey::Mail(..))).count(), 1);
    s.step(b, exit());
    assert_eq!(s.rows.keys().filter(|key| matches!(key, aosk_abi::RowKey::Mail(..))).count(), 0);
    let refused = s.operate("send", Command::Send { pid: b, body: user("hello?") });
    assert!(matches!(refused, Reply::Refused(error) if error.code == ErrorCode::NoSuchProcess));
}

/// A family: `a` has `b`, `c` and another `b`; `b` has `d`. `x` is alone.
fn family() -> (Script, [Pid; 6]) {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    let [b, c, second_b] = ["b", "c", "b"].map(|name| s.child(a, spec(name)));
    let d = s.child(b, spec("d"));
    let x = s.spawn(spec("x"));
    s.forget();
    (s, [a, b, c, second_b, d, x])
}

#[test]
fn a_name_means_the_parent_a_child_or_a_sibling() {
    let (mut s, [a, b, c, second_b, d, _]) = family();
    let to = |name: &str| Syscall::Send { to: Peer::Name(name.to_owned()), body: user("hi") };
    let has = |s: &Script, pid| s.process(pid).mailbox.len();
    s.step(c, to("a"));
    s.step(a, to("c"));
    s.step(c, to("b")); // the younger of two
    s.step(second_b, to("b")); // not itself
    s.step(d, to("b")); // its parent
    assert_eq!([a, b, c, second_b, d].map(|pid| has(&s, pid)), [1, 2, 1, 1, 0]);
    s.forget();
    s.step(a, Syscall::Wait { child: Some(Peer::Name("c".into())), timeout: None });
    s.step(c, Syscall::Receive { from: Some(Peer::Name("b".into())), timeout: None });
    assert_eq!(s.word(c), "message");
    s.step(second_b, send(c, "from the younger"));
    s.step(c, exit());
    s.expect(&expect![[r#"
        0s p1#5 wait "c"
        0s p3#3 receive "b"
        0s p4#2 send p3 "from the younger"
            * p3 message.sent by p4
            * p3 message.received from p4
            p3#4 <- received "from the younger" from p4
            p4#3 <- sent
        0s p3#4 exit finished
            * p3 process.exited finished after 1 pages
            p1#6 <- child p3 finished
    "#]]);
}

#[test]
fn a_name_that_leads_nowhere_is_refused_and_written_down() {
    let (mut s, [a, b, c, .., x]) = family();
    let named = |name: &str| Peer::Name(name.to_owned());
    s.step(a, Syscall::Send { to: named("d"), body: user("to a grandchild") });
    s.step(c, Syscall::Receive { from: Some(named("d")), timeout: None });
    s.step(x, Syscall::Wait { child: Some(named("a")), timeout: None });
    let long = "x".repeat(limits::NAME_BYTES_MAX + 1);
    s.step(x, Syscall::Send { to: Peer::Name(long), body: user("hi") });
    s.step(b, Syscall::Wait { child: Some(named("c")), timeout: None }); // a sibling
    s.expect(&expect![[r#"
        0s p1#4 send d "to a grandchild"
            * p1 syscall.refused send kernel.no_such_process
            p1#5 <- refused: sending to d: no parent, child or sibling has this name [kernel.no_such_process]
        0s p3#1 receive "d"
            * p3 syscall.refused receive kernel.no_such_process
            p3#2 <- refused: receiving from d: no parent, child or sibling has this name [kernel.no_such_process]
        0s p6#1 wait "a"
            * p6 syscall.refused wait kernel.no_such_process
            p6#2 <- refused: waiting for a: no parent, child or sibling has this name [kernel.no_such_process]
        0s p6#2 send xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "hi"
            * p6 syscall.refused send kernel.no_such_process
            p6#3 <- refused: sending to (a long name): no parent, child or sibling has this name [kernel.no_such_process]
        0s p2#2 wait "c"
            * p2 syscall.refused wait kernel.no_such_process
            p2#3 <- refused: waiting for p3: not a child that is still to be waited for [kernel.no_such_process]
    "#]]);
}
