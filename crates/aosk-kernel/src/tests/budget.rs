//! The budget tree: reserve, settle, release; waiting for room; overdraft; wall time.

use aosk_abi::{
    BudgetId, ExitStatus, Limits, Millis, ModelOutcome, Pid, Resource, Signal, Spend, Timestamp,
    Tokens,
};
use expect_test::expect;
use proptest::prelude::*;

use super::script::*;
use crate::budget::{ROOT, Shortage};
use crate::process::State;

#[test]
fn a_call_is_reserved_and_settled_at_every_node_above_it() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(1_000)));
    let b = s.child(a, with_limits("b", tokens(500)));
    let c = s.child(a, spec("c"));
    assert_eq!(s.process(c).spec.budget, s.process(a).spec.budget);
    s.step(b, think("m"));
    let held = "100 tokens, 1 calls, 190 micro-dollars, 1 steps";
    assert_eq!(node(s.budget(b)), format!("used nothing; reserved {held}; overdraft nothing"));
    assert_eq!(node(s.budget(a)), format!("used 2 children; reserved {held}; overdraft nothing"));
    assert_eq!(node(s.root()), format!("used 3 children; reserved {held}; overdraft nothing"));
    s.answer(b, 10, 20);
    let used = "30 tokens, 1 calls, 50 micro-dollars, 1 steps";
    assert_eq!(node(s.budget(b)), format!("used {used}; reserved nothing; overdraft nothing"));
    assert_eq!(
        node(s.root()),
        format!("used {used}, 3 children; reserved nothing; overdraft nothing")
    );
    // A failure on the way gives everything back.
    s.step(b, think("m"));
    s.fail(b, transient());
    assert_eq!(node(s.budget(b)), format!("used {used}; reserved nothing; overdraft nothing"));
}

#[test]
fn what_can_never_fit_is_said_at_once() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(99)));
    s.forget();
    s.step(a, think("m"));
    s.step(a, think_of("m", 10, 89));
    s.expect(&expect![[r#"
        0s p1#1 think m 10+90
            * p1 model.called p1.c1 m with 1 pages 10+90
            * p1 model.failed p1.c1 budget.exceeded: out of budget: tokens
            p1#2 <- out of budget: Tokens
        0s p1#2 think m 10+89
            * p1 model.called p1.c2 m with 1 pages 10+89
            think p1.c2/1 m with 1 pages, the last by Tokens
    "#]]);
}

#[test]
fn every_resource_of_a_call_is_bounded() {
    let bounds = [
        (Limits { tokens: Some(Tokens(99)), ..Limits::default() }, Resource::Tokens),
        (Limits { calls: Some(0), ..Limits::default() }, Resource::Calls),
        (
            Limits { micro_usd: Some(aosk_abi::MicroUsd(189)), ..Limits::default() },
            Resource::MicroUsd,
        ),
        (Limits { steps: Some(0), ..Limits::default() }, Resource::Steps),
    ];
    for (limits, resource) in bounds {
        let mut s = Script::new(config());
        let a = s.spawn(with_limits("a", limits));
        // The bound holds for those below it too.
        let b = s.child(a, spec("b"));
        s.step(b, think("m"));
        assert_eq!(s.process(b).state, State::Program { wake: out_of(resource) });
    }
}

#[test]
fn a_call_waits_for_room_that_others_will_make() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(150)));
    let (b, c) = (s.child(a, spec("b")), s.child(a, spec("c")));
    s.forget();
    s.step(b, think("n"));
    s.step(c, think("n"));
    assert_eq!(s.word(c), "quota");
    s.answer(b, 10, 40); // 50 of 150 are used: there is room
    s.answer(c, 10, 40); // 100 of 150
    s.step(b, think("n"));
    s.expect(&expect![[r#"
        0s p2#1 think n 10+90
            * p2 model.called p2.c1 n with 1 pages 10+90
            think p2.c1/1 n with 1 pages, the last by Tokens
        0s p3#1 think n 10+90
            * p3 model.called p3.c1 n with 1 pages 10+90
        0s p2.c1/1 answered
            * p2 model.answered p2.c1 @1 used 10+40 for $0.000000
            p2#2 <- answered @1 Stop
            think p3.c1/1 n with 1 pages, the last by Tokens
        0s p3.c1/1 answered
            * p3 model.answered p3.c1 @1 used 10+40 for $0.000000
            p3#2 <- answered @1 Stop
        0s p2#2 think n 10+90
            * p2 model.called p2.c2 n with 2 pages 10+90
            * p2 model.failed p2.c2 budget.exceeded: out of budget: tokens
            p2#3 <- out of budget: Tokens
    "#]]);
}

#[test]
fn a_call_that_waited_in_vain_is_told() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(150)));
    let (b, c) = (s.child(a, spec("b")), s.child(a, spec("c")));
    s.step(b, think("n"));
    s.step(c, think("n"));
    s.forget();
    s.answer(b, 10, 90);
    s.expect(&expect![[r#"
        0s p2.c1/1 answered
            * p2 model.answered p2.c1 @1 used 10+90 for $0.000000
            * p3 model.failed p3.c1 budget.exceeded: out of budget: tokens
            p2#2 <- answered @1 Stop
            p3#2 <- out of budget: Tokens
    "#]]);
}

#[test]
fn those_who_wait_go_on_in_the_order_in_which_they_asked() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(350)));
    let [b, c, d, e] = ["b", "c", "d", "e"].map(|name| s.child(a, spec(name)));
    s.step(b, think_of("n", 100, 200));
    for pid in [e, c, d] {
        s.step(pid, think("n"));
    }
    assert_eq!([c, d, e].map(|pid| s.word(pid)), ["quota"; 3]);
    s.answer(b, 10, 10); // 330 are free, and both slots
    assert_eq!([c, d, e].map(|pid| s.word(pid)), ["running", "ready", "running"]);
}

#[test]
fn room_is_passed_on_when_the_one_it_was_offered_to_is_gone() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(150)));
    let [b, c, d] = ["b", "c", "d"].map(|name| s.child(a, spec(name)));
    s.step(b, think("n"));
    s.step(c, think("m"));
    s.step(d, think("m"));
    // Somebody outside takes the slot of m before there is room.
    let other = s.spawn(spec("other"));
    s.step(other, think("m"));
    s.answer(b, 10, 20);
    assert_eq!([c, d].map(|pid| s.word(pid)), ["ready", "quota"]);
    // Its parent waits for it, so it is killed and reaped in one go; d must be asked instead.
    s.step(a, wait(Some(c), None));
    s.forget();
    s.signal(c, Signal::Kill);
    assert_eq!(s.word(d), "ready");
    s.answer(other, 1, 1);
    s.expect(&expect![[r#"
        0s operator signals p3 Kill
            * p3 process.signalled Kill
            * p3 model.failed p3.c1 model.cancelled: the process no longer wants the answer
            * p3 process.exited killed after 1 pages
            p1#5 <- child p3 killed
            reply: done
        0s p5.c1/1 answered
            * p5 model.answered p5.c1 @1 used 1+1 for $0.000003
            p5#2 <- answered @1 Stop
            think p4.c1/1 m with 1 pages, the last by Tokens
    "#]]);
}

#[test]
fn room_is_passed_on_when_the_one_it_was_offered_to_waits_further_up() {
    let mut s = Script::new(crate::Config { limits: tokens(300), ..config() });
    let outside = s.spawn(spec("outside"));
    let a = s.spawn(with_limits("a", tokens(150)));
    let [b, c, d] = ["b", "c", "d"].map(|name| s.child(a, spec(name)));
    s.step(outside, think_of("m", 10, 190));
    s.step(b, think("n"));
    s.step(c, think("n")); // 100
    s.step(d, think_of("n", 10, 50)); // 60
    assert_eq!([c, d].map(|pid| s.word(pid)), ["quota"; 2]);
    // There is room for c under a, but not at the root, where 210 of 300 are taken; d fits.
    s.answer(b, 5, 5);
    assert_eq!([c, d].map(|pid| s.word(pid)), ["quota", "running"]);
    s.answer(outside, 10, 10);
    assert_eq!([c, d].map(|pid| s.word(pid)), ["quota", "running"]); // 60 and 100 under a
    s.answer(d, 5, 5);
    assert_eq!(s.word(c), "running");
}

#[test]
fn a_provider_that_counts_more_than_was_held_makes_an_overdraft() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(120)));
    s.step(a, think("m"));
    s.forget();
    s.answer(a, 130, 20);
    assert_eq!(
        node(s.budget(a)),
        "used 150 tokens, 1 calls, 170 micro-dollars, 1 steps; reserved nothing; \
         overdraft 50 tokens"
    );
    s.step(a, think_of("m", 0, 0));
    s.step(a, call_tools(&["calc"]));
    s.step(a, spawn(spec("b")));
    s.expect(&expect![[r#"
        0s p1.c1/1 answered
            * p1 model.answered p1.c1 @1 used 130+20 for $0.000170
            p1#2 <- answered @1 Stop
        0s p1#2 think m 0+0
            * p1 model.called p1.c2 m with 2 pages 0+0
            * p1 model.failed p1.c2 budget.exceeded: out of budget: tokens
            p1#3 <- out of budget: Tokens
        0s p1#3 call calc
            * p1 syscall.refused call_tools budget.exceeded
            p1#4 <- out of budget: Tokens
        0s p1#4 spawn b
            * p1 syscall.refused spawn budget.exceeded
            p1#5 <- refused: starting b: out of budget: tokens [budget.exceeded]
    "#]]);
}

#[test]
fn a_thousand_siblings_never_overshoot_one_budget() {
    let mut many = config();
    many.models.get_mut("n").expect("known").slots = 1_000;
    let mut s = Script::new(many);
    let a = s.spawn(with_limits("a", tokens(10_000)));
    s.batch(|s| {
        for _ in 0..1_000 {
            s.child(a, spec("b"));
        }
    });
    s.forget();
    let siblings: Vec<_> = (2..=1_001).map(Pid).collect();
    // 100 each fit a hundred times; each uses half of it, so two hundred are served.
    s.batch(|s| {
        for pid in &siblings {
            s.step(*pid, think("n"));
        }
    });
    assert_eq!(s.budget(a).reserved.tokens, Tokens(10_000));
    let mut served = 0;
    s.batch(|s| {
        while let Some(pid) = s.running() {
            s.answer(pid, 10, 40);
            served += 1;
            let all = s.budget(a).used.plus(&s.budget(a).reserved).tokens;
            assert!(all <= Tokens(10_000), "{all} after {served}");
        }
    });
    assert_eq!(served, 199);
    assert_eq!(s.budget(a).used.tokens, Tokens(199 * 50));
    let told = siblings
        .iter()
        .filter(|pid| s.process(**pid).state == State::Program { wake: out_of(Resource::Tokens) });
    assert_eq!(told.count(), 1_000 - 199);
}

#[test]
fn wall_time_over_is_term_then_the_end() {
    let mut s = Script::new(config());
    let limits = Limits { wall: Some(Millis::from_secs(60)), ..Limits::default() };
    let a = s.spawn(with_limits("a", limits));
    let b = s.child(a, spec("b"));
    let outside = s.spawn(spec("outside"));
    s.step(a, sleep(1_000));
    s.after(30_000);
    s.step(b, call_tools(&["shell"]));
    s.forget();
    s.after(29_999);
    s.after(1);
    // Told, it may still say its last words, but spend nothing more.
    s.step(a, think("m"));
    s.step(a, spawn(spec("c")));
    s.step(a, wait(None, None));
    s.tool_returns(b, 1, "ok");
    s.step(b, think("m"));
    s.after(9_999);
    s.after(1);
    s.expect(&expect![[r#"
        59.999s tick
        60s tick
            * node budget.expired b2
            p1#3 <- out of budget: Wall
        60s p1#3 think m 10+90
            * p1 model.called p1.c1 m with 1 pages 10+90
            * p1 model.failed p1.c1 budget.exceeded: out of budget: wall time
            p1#4 <- out of budget: Wall
        60s p1#4 spawn c
            * p1 syscall.refused spawn budget.exceeded
            p1#5 <- refused: starting c: out of budget: wall time [budget.exceeded]
        60s p1#5 wait any
        60s p2.c1/1 returned
            * p2 tool.returned p2.c1
            p2#2 <- tools returned @1 x1
        60s p2#2 think m 10+90
            p2#3 <- out of budget: Wall
        69.999s tick
        70s tick
            * p2 process.exited out of budget (wall time) after 2 pages
            * p1 process.exited out of budget (wall time) after 1 pages
    "#]]);
    assert_eq!(s.kernel.processes().map(|(pid, _)| pid).collect::<Vec<_>>(), [outside]);
}

#[test]
fn a_process_may_obey_the_end_of_its_wall_time() {
    let mut s = Script::new(config());
    let limits = Limits { wall: Some(Millis::from_secs(60)), ..Limits::default() };
    let a = s.spawn(with_limits("a", limits));
    s.step(a, receive(None, None));
    s.after(60_000);
    s.forget();
    s.step(a, exit_with(ExitStatus::OutOfBudget(Resource::Wall), "half"));
    s.after(20_000);
    s.expect(&expect![[r#"
        60s p1#2 exit out of budget (wall time) with a result
            * p1 process.exited out of budget (wall time) with a result after 1 pages
        80s tick
    "#]]);
}

/// A call in flight does not use up the time in which it may say its last words.
#[test]
fn the_end_of_wall_time_cuts_off_a_call() {
    let mut s = Script::new(config());
    let limits = Limits { wall: Some(Millis::from_secs(30)), ..Limits::default() };
    let a = s.spawn(with_limits("a", limits));
    s.step(a, think("m"));
    s.forget();
    s.after(30_000);
    s.model_done_of(a, 1, 1, cancelled());
    s.expect(&expect![[r#"
        30s tick
            * node budget.expired b2
            cancel p1.c1/1
        30s p1.c1/1 cancelled
            * p1 model.charged p1.c1 10 tokens, 1 calls, 10 micro-dollars, 1 steps
            * p1 model.failed p1.c1 model.cancelled: the process no longer wants the answer
            p1#2 <- out of budget: Wall
    "#]]);
}

#[test]
fn what_had_come_of_an_answer_that_is_cut_off_is_charged() {
    for how in ["wall", "term", "kill"] {
        let mut s = Script::new(config());
        let limits = Limits { wall: Some(Millis::from_secs(30)), ..Limits::default() };
        let a = s.spawn(with_limits("a", limits));
        s.step(a, think("m"));
        match how {
            "wall" => s.after(30_000),
            "term" => drop(s.signal(a, Signal::Term)),
            _ => drop(s.signal(a, Signal::Kill)),
        }
        s.model_done_of(a, 1, 1, ModelOutcome::Cancelled { output: Tokens(40) });
        let used = "used 50 tokens, 1 calls, 90 micro-dollars, 1 steps, 1 children; reserved nothing; \
                    overdraft nothing";
        assert_eq!(node(s.root()), used, "{how}");
    }
}

#[test]
fn a_node_goes_with_its_last_member() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", tokens(1_000)));
    let b = s.child(a, with_limits("b", tokens(500)));
    let nodes = |s: &Script| s.kernel.budgets.iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(nodes(&s), [ROOT, BudgetId(2), BudgetId(3)]);
    s.step(b, think("m"));
    s.signal(b, Signal::Kill);
    s.model_done_of(b, 1, 1, cancelled());
    // A zombie is a member still.
    assert_eq!(nodes(&s), [ROOT, BudgetId(2), BudgetId(3)]);
    s.step(a, wait(None, None));
    assert_eq!(nodes(&s), [ROOT, BudgetId(2)]);
    // What was spent under it stays spent above it: the input that the provider has read.
    assert_eq!(
        node(s.budget(a)),
        "used 10 tokens, 1 calls, 10 micro-dollars, 1 steps, 1 children; reserved nothing; \
         overdraft nothing"
    );
    s.step(a, exit());
    assert_eq!(nodes(&s), [ROOT]);
}

#[test]
fn the_root_may_be_bounded_anew_at_boot() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.step(a, think("m"));
    s.answer(a, 50, 50);
    s.crash_into(crate::Config { limits: tokens(80), ..config() });
    s.step(a, think("m"));
    assert_eq!(s.process(a).state, State::Program { wake: out_of(Resource::Tokens) });
    s.crash_into(crate::Config { limits: tokens(200), ..config() });
    s.step(a, think("m"));
    assert_eq!(s.word(a), "running");
}

#[derive(Debug, Clone)]
enum Op {
    Charge(usize, u64),
    Reserve(usize, u64),
    Settle(usize, u64),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// On any tree, whatever is charged, held and settled in whatever order: a node has used what
    /// was charged below it, holds what is open below it, and is within its bound.
    #[test]
    fn sums_hold_at_every_node(
        parents in proptest::collection::vec((any::<prop::sample::Index>(), 0..300_u64), 1..8),
        ops in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0..60_u64, 0..3).prop_map(|(at, n, kind)| (at, n, kind)),
            1..60,
        ),
    ) {
        let mut kernel = crate::Kernel::new(config());
        let mut tree = vec![(ROOT, None)];
        for (parent, limit) in &parents {
            let parent = parent.index(tree.len());
            let id = BudgetId(10 + u64::try_from(tree.len()).expect("small"));
            kernel.budgets.add(id, tree[parent].0, tokens(*limit), Timestamp::ZERO);
            tree.push((id, Some(parent)));
        }
        let ops = ops.iter().map(|(at, n, kind)| match kind {
            0 => Op::Charge(at.index(tree.len()), *n),
            1 => Op::Reserve(at.index(tree.len()), *n),
            _ => Op::Settle(at.index(100), *n),
        });
        let spend = |n| Spend { tokens: Tokens(n), ..Spend::default() };
        let mut open: Vec<(usize, u64)> = Vec::new();
        let mut used = vec![0; tree.len()];
        for op in ops {
            match op {
                Op::Charge(at, n) => {
                    if kernel.budgets.charge(tree[at].0, &spend(n)).is_ok() {
                        used[at] += n;
                    }
                }
                Op::Reserve(at, n) => {
                    let now = Timestamp::ZERO;
                    match kernel.budgets.fits(tree[at].0, &spend(n), now) {
                        Ok(()) => {
                            kernel.budgets.hold(tree[at].0, &spend(n), now);
                            open.push((at, n));
                        }
                        Err(Shortage::Wait { until, .. }) => {
                            prop_assert!(until.is_none() && !open.is_empty());
                        }
                        Err(Shortage::Ask { .. }) => prop_assert!(false, "nobody is to be asked"),
                        Err(Shortage::Never { lack }) => {
                            prop_assert_eq!(lack.resource, Resource::Tokens);
                        }
                    }
                }
                Op::Settle(which, n) if !open.is_empty() => {
                    let (at, held) = open.remove(which % open.len());
                    let actual = n.min(held);
                    kernel.budgets.settle(tree[at].0, &spend(held), &spend(actual));
                    used[at] += actual;
                }
                Op::Settle(..) => {}
            }
            for (node, (id, _)) in tree.iter().enumerate() {
                let below = |mut at: usize| loop {
                    if at == node {
                        return true;
                    }
                    match tree[at].1 {
                        Some(parent) => at = parent,
                        None => return false,
                    }
                };
                let budget = kernel.budgets.get(*id).expect("nodes stay");
                let expected: u64 = (0..tree.len()).filter(|at| below(*at)).map(|at| used[at]).sum();
                let held: u64 = open.iter().filter(|(at, _)| below(*at)).map(|(_, n)| n).sum();
                prop_assert_eq!((budget.used, budget.reserved), (spend(expected), spend(held)));
                prop_assert_eq!(budget.overdraft, Spend::default());
                let all = budget.used.plus(&budget.reserved);
                prop_assert_eq!(budget.limits.exceeded_by(&all), None);
            }
        }
    }
}
