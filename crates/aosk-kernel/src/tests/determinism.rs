//! The same inputs at the same times give the same rows and effects; and whatever the inputs, the
//! harness finds nothing wrong on the way.

use aosk_abi::{
    Command, Effects, ErrorCode, FailureClass, Limits, Millis, ModelOutcome, Pid, Signal, Syscall,
    ToolOutcome,
};
use proptest::prelude::*;

use super::script::*;
use crate::process::{State, ToolPhase, Wait};
use crate::{Config, Kernel};

/// One move of a run: what to do, with whom, and how.
type Move = (u8, u8, u8);

/// A family on a budget with room for a few calls at a time.
fn crowd() -> Script {
    let mut s = Script::new(Config { limits: tokens(20_000), ..config() });
    let limits = Limits {
        tokens: Some(aosk_abi::Tokens(2_000)),
        calls: Some(60),
        wall: Some(Millis::from_secs(900)),
        ..Limits::default()
    };
    let a = s.spawn(with_limits("a", limits));
    s.child(a, with_limits("b", tokens(250)));
    s.child(a, spec("c"));
    s.spawn(with_priority("d", 10));
    s
}

fn play(s: &mut Script, moves: &[Move]) {
    for batch in moves.chunks(3) {
        s.batch(|s| {
            for (what, whom, how) in batch {
                make(s, *what, *whom, *how);
            }
        });
    }
}

fn make(s: &mut Script, what: u8, whom: u8, how: u8) {
    let pids: Vec<_> = s.kernel.processes().map(|(pid, _)| pid).collect();
    let Some(pid) = pids.get(usize::from(whom) % pids.len().max(1)).copied() else {
        s.spawn(spec("again"));
        return;
    };
    let other = pids[usize::from(how) % pids.len()];
    match what % 12 {
        0 => s.after(u64::from(how) * 10),
        1 => s.after(u64::from(how) * 300),
        2 => {
            let signals = [Signal::Term, Signal::Stop, Signal::Cont, Signal::Kill];
            s.signal(pid, signals[usize::from(how % 4)]);
        }
        3 => {
            let command = match how % 3 {
                0 => Command::Send { pid, body: user("hey") },
                1 => Command::Renice { pid, priority: how },
                _ => Command::SetPolicy {
                    policy: ["fifo", "round-robin", "priority"][usize::from(whom % 3)].to_owned(),
                },
            };
            s.operate("operator", command);
        }
        4 if how > 200 => s.crash(),
        _ => match s.process(pid).state.inner().clone() {
            State::Program { .. } => {
                let step = syscall(what, how, other);
                s.step(pid, step);
            }
            State::Running { call, .. } => {
                let outcome = match how % 6 {
                    0 => ModelOutcome::Failed(transient()),
                    1 => ModelOutcome::Failed(failure(
                        FailureClass::RateLimited,
                        ErrorCode::ModelRateLimited,
                        Some(u64::from(how)),
                    )),
                    2 => cancelled(),
                    _ => answer(usage(u64::from(how), 20)),
                };
                s.model_done_of(
                    pid,
                    call.number,
                    call.attempt - u32::from(how.is_multiple_of(7)),
                    outcome,
                );
            }
            State::Waiting { on: Wait::Tools { calls } } => {
                let running: Vec<_> = calls
                    .iter()
                    .filter(|call| matches!(call.phase, ToolPhase::InFlight { .. }))
                    .collect();
                if let Some(call) = running.get(usize::from(how) % running.len().max(1)) {
                    let outcome = match how % 3 {
                        0 => ToolOutcome::Cancelled,
                        _ => ToolOutcome::Returned(user("result")),
                    };
                    s.tool_done_of(pid, call.number, call.attempt, outcome);
                }
            }
            State::Exiting { calls, .. } => {
                if let Some(call) = calls.first() {
                    let (number, attempt) = (call.number, call.attempt);
                    match call.kind {
                        crate::process::CancelKind::Model { .. } => {
                            s.model_done_of(pid, number, attempt, cancelled());
                        }
                        crate::process::CancelKind::Tool => {
                            s.tool_done_of(pid, number, attempt, ToolOutcome::Cancelled);
                        }
                    }
                }
            }
            State::Ready { .. }
            | State::Waiting { .. }
            | State::Stopped { .. }
            | State::Zombie { .. } => s.after(u64::from(how)),
        },
    }
}

fn syscall(what: u8, how: u8, other: Pid) -> Syscall {
    match how % 11 {
        0 | 1 => think("m"),
        2 | 3 => think("n"),
        4 => call_tools(&["shell", "calc", "read"]),
        5 => call_tools(&["read", "gone"]),
        6 if what.is_multiple_of(2) => spawn(with_limits("e", tokens(u64::from(how) * 3))),
        6 => spawn(spec("e")),
        7 => wait((what < 128).then_some(other), what.is_multiple_of(3).then_some(7)),
        8 => send(other, "hello"),
        9 => receive((what < 128).then_some(other), what.is_multiple_of(3).then_some(7)),
        _ if what < 200 => sleep(u64::from(how)),
        _ => exit(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_inputs_have_the_same_outcome(
        moves in proptest::collection::vec(any::<Move>(), 1..120),
    ) {
        let (mut one, mut other) = (crowd(), crowd());
        play(&mut one, &moves);
        play(&mut other, &moves);
        prop_assert_eq!(&one.inputs, &other.inputs);
        prop_assert_eq!(&one.effects, &other.effects);
        prop_assert_eq!(one.kernel.rows(), other.kernel.rows());
        prop_assert_eq!(&one.rows, &other.rows);
    }
}

#[test]
fn batches_do_not_matter() {
    // A crash goes back to the last flush, so there is none here.
    let moves: Vec<Move> = (0..=255_u8)
        .map(|n| (n.wrapping_mul(7), n.wrapping_mul(31), n))
        .filter(|(what, _, how)| what % 12 != 4 || *how <= 200)
        .collect();
    let mut s = crowd();
    play(&mut s, &moves);
    // The same inputs with no flush in between.
    let mut kernel = Kernel::new(crowd().kernel.config);
    let mut effects = Vec::new();
    for (now, input) in &s.inputs {
        let mut fx = Effects::default();
        kernel.apply(*now, input, &mut fx);
        effects.push(fx);
    }
    assert_eq!(effects, s.effects);
    assert_eq!(kernel.rows(), s.kernel.rows());
    assert!(s.inputs.len() > 200);
}
