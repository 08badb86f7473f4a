//! Birth: the tree, what a child inherits, and every bound of a specification.

use aosk_abi::{
    Capabilities, Command, Effects, ErrorCode, ExitStatus, Grant, Input, Limits, PermissionLevel,
    Pid, Reply, Risk, SpawnSpec, Step, Syscall, Wake, limits,
};
use expect_test::expect;
use proptest::prelude::*;

use super::script::*;
use crate::process::State;

#[test]
fn a_process_begins_with_its_pages_and_is_run() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    s.child(a, with_priority("b", 60));
    s.expect(&expect![[r#"
        0s operator spawns a
            * p1 process.spawned a priority 50 with 1 pages
            p1#1 <- started
            reply: p1
        0s p1#1 spawn b
            * p2 process.spawned b under p1 priority 60 with 1 pages
            p2#1 <- started
            p1#2 <- spawned p2
    "#]]);
    assert_eq!(s.log(a), ["user: task"]);
    assert_eq!(s.process(Pid(2)).spec.parent, Some(a));
    assert_eq!(s.process(Pid(2)).spec.depth, 1);
    assert_eq!(s.process(a).children.iter().copied().collect::<Vec<_>>(), [Pid(2)]);
}

#[test]
fn a_child_is_at_most_as_urgent_as_its_parent() {
    let mut s = Script::new(config());
    let a = s.spawn(with_priority("a", 40));
    let wanted_and_given = [0, 39, 40, 41, 100].map(|wanted| {
        let child = s.child(a, with_priority("b", wanted));
        (wanted, s.process(child).priority)
    });
    assert_eq!(wanted_and_given, [(0, 40), (39, 40), (40, 40), (41, 41), (100, 100)]);
}

#[test]
fn a_child_may_what_its_parent_and_its_specification_allow() {
    let parent = Capabilities {
        tools: Grant::only(["read", "calc"]),
        risk_max: Risk::Medium,
        models: Grant::only(["m"]),
        spawn: true,
        send_anywhere: false,
    };
    let mut s = Script::new(config());
    let a = s.spawn(with_capabilities("a", parent.clone()));
    let same = s.child(a, spec("b"));
    assert_eq!(s.process(same).spec.capabilities, parent);
    let wanted = Capabilities {
        tools: Grant::only(["read", "shell"]),
        risk_max: Risk::Low,
        models: Grant::All,
        spawn: false,
        send_anywhere: true,
    };
    let less = s.child(a, with_capabilities("c", wanted));
    let given = Capabilities {
        tools: Grant::only(["read"]),
        risk_max: Risk::Low,
        models: Grant::only(["m"]),
        spawn: false,
        send_anywhere: false,
    };
    assert_eq!(s.process(less).spec.capabilities, given);
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    let grant = prop_oneof![
        Just(Grant::All),
        proptest::collection::btree_set("[a-d]", 0..4).prop_map(Grant::Only),
    ];
    let risk = prop_oneof![Just(Risk::Safe), Just(Risk::Low), Just(Risk::Medium), Just(Risk::High)];
    (grant.clone(), risk, grant, any::<bool>()).prop_map(|(tools, risk_max, models, send)| {
        Capabilities { tools, risk_max, models, spawn: true, send_anywhere: send }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// However deep the tree and whatever is asked for, nobody may more than any of its ancestors
    /// or than what it asked for.
    #[test]
    fn capabilities_only_shrink(line in proptest::collection::vec(capabilities(), 2..8)) {
        let mut s = Script::new(config());
        let mut pid = s.spawn(with_capabilities("a", line[0].clone()));
        for (depth, wanted) in line.iter().enumerate().skip(1) {
            pid = s.child(pid, with_capabilities("b", wanted.clone()));
            let given = &s.process(pid).spec.capabilities;
            for ancestor in &line[..=depth] {
                prop_assert!(given.within(ancestor), "{given:?} beyond {ancestor:?}");
            }
        }
    }
}

#[test]
fn specifications_out_of_bounds_are_refused() {
    let long = "x".repeat(limits::NAME_BYTES_MAX + 1);
    let wrong = [
        with_priority("a", 101),
        spec(""),
        spec(&long),
        SpawnSpec { label: long.clone(), ..spec("a") },
        {
            let mut spec = spec("a");
            spec.program.param = "x".repeat(limits::PROGRAM_STATE_BYTES_MAX + 1).into();
            spec
        },
        SpawnSpec { pages: vec![user(&"x".repeat(limits::BODY_BYTES_MAX))], ..spec("a") },
    ];
    let mut s = Script::new(config());
    for spec in wrong {
        let reply = s.operate("spawn", Command::Spawn(Box::new(spec)));
        let Reply::Refused(error) = reply else { panic!("{reply:?}") };
        assert_eq!(error.code, ErrorCode::BadSyscall, "{error}");
    }
    assert_eq!(s.kernel.process_count(), 0);
    // One byte less of each is fine.
    let longest = "x".repeat(limits::NAME_BYTES_MAX);
    let mut fits = SpawnSpec { label: longest.clone(), ..with_priority(&longest, 100) };
    fits.program.param = "x".repeat(limits::PROGRAM_STATE_BYTES_MAX).into();
    assert_eq!(s.spawn(fits), Pid(1));
}

#[test]
fn a_refused_child_is_told_to_its_parent() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    let b = s.spawn(with_capabilities("b", PermissionLevel::Restricted.capabilities()));
    s.forget();
    s.step(a, spawn(with_priority("c", 101)));
    s.step(b, spawn(spec("c")));
    s.expect(&expect![[r#"
        0s p1#1 spawn c
            * p1 syscall.refused spawn kernel.bad_syscall
            p1#2 <- refused: starting c: priority must be 0 to 100: 101 [kernel.bad_syscall]
        0s p2#1 spawn c
            * p2 syscall.refused spawn kernel.forbidden
            p2#2 <- refused: p2 (b) may not start processes [kernel.forbidden]
    "#]]);
}

#[test]
fn the_tree_has_a_greatest_depth() {
    let mut s = Script::new(config());
    let mut pid = s.spawn(spec("a"));
    for _ in 0..limits::PROCESS_DEPTH_MAX {
        pid = s.child(pid, spec("a"));
    }
    assert_eq!(s.process(pid).spec.depth, limits::PROCESS_DEPTH_MAX);
    s.forget();
    s.step(pid, spawn(spec("too deep")));
    s.expect(&expect![[r#"
        0s p33#1 spawn too deep
            * p33 syscall.refused spawn kernel.busy
            p33#2 <- refused: starting too deep: the tree is 32 deep [kernel.busy]
    "#]]);
}

#[test]
fn the_budget_bounds_how_many_children_are_started() {
    let mut s = Script::new(config());
    let a = s.spawn(with_limits("a", Limits { children: Some(2), ..Limits::default() }));
    let b = s.child(a, spec("b"));
    s.child(a, spec("c"));
    // A child that has ended counts all the same.
    s.step(b, exit());
    s.step(a, wait(None, None));
    s.forget();
    s.step(a, spawn(spec("d")));
    s.expect(&expect![[r#"
        0s p1#4 spawn d
            * p1 syscall.refused spawn budget.exceeded
            p1#5 <- refused: starting d: out of budget: children [budget.exceeded]
    "#]]);
    // So do children of children; a's own birth was charged above it.
    assert_eq!(node(s.budget(a)), "used 2 children; reserved nothing; overdraft nothing");
    assert_eq!(node(s.root()), "used 3 children; reserved nothing; overdraft nothing");
}

#[test]
fn bounds_of_the_root_hold_for_the_operator() {
    let bounded =
        crate::Config { limits: Limits { children: Some(1), ..Limits::default() }, ..config() };
    let mut s = Script::new(bounded);
    s.spawn(spec("a"));
    s.forget();
    s.operate("operator spawns b", Command::Spawn(Box::new(spec("b"))));
    s.expect(&expect![[r#"
        0s operator spawns b
            reply: refused: starting b: out of budget: children [budget.exceeded]
    "#]]);
}

/// These tables are too long to be filled in a script, so they are stuffed.
#[test]
fn tables_are_bounded() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    let it = s.process(a).clone();
    let reply = |kernel: &mut crate::Kernel, input| {
        let mut fx = Effects::default();
        kernel.apply(s.now, &input, &mut fx);
        let State::Program { wake: Wake::Refused { error } } =
            &kernel.process(a).expect("it lives").state
        else {
            return None;
        };
        Some(error.to_string())
    };
    let step = |call: Syscall| Input::Syscall {
        pid: a,
        turn: 1,
        step: Step { append: vec![user("p")], call, state: "null".into() },
    };

    let stuff_children = |count: usize| {
        let mut kernel = s.kernel.clone();
        let children = &mut kernel.processes.get_mut(a).expect("it lives").children;
        children.extend((0..u64::try_from(count).expect("small")).map(|n| Pid(1_000 + n)));
        reply(&mut kernel, step(spawn(spec("b"))))
    };
    assert_eq!(stuff_children(limits::CHILDREN_MAX - 1), None);
    assert_eq!(
        stuff_children(limits::CHILDREN_MAX).as_deref(),
        Some("starting b: 10000 children live [kernel.busy]")
    );

    let stuff_pages = |count: u32| {
        let mut kernel = s.kernel.clone();
        let pages = &mut kernel.processes.get_mut(a).expect("it lives").pages;
        pages.resize(usize::try_from(count).expect("small"), it.pages[0]);
        reply(&mut kernel, step(sleep(1)))
    };
    assert_eq!(stuff_pages(limits::PAGES_MAX - 1), None);
    assert_eq!(
        stuff_pages(limits::PAGES_MAX).as_deref(),
        Some("step of p1: a log has at most 1000000 pages [kernel.bad_syscall]")
    );

    let stuff_processes = |count: usize| {
        let mut kernel = s.kernel.clone();
        for n in 1..u64::try_from(count).expect("small") {
            kernel.processes.insert(Pid(1_000 + n), it.clone());
        }
        reply(&mut kernel, step(spawn(spec("b"))))
    };
    assert_eq!(stuff_processes(limits::PROCESSES_MAX - 1), None);
    assert_eq!(
        stuff_processes(limits::PROCESSES_MAX).as_deref(),
        Some("starting b: 100000 processes live already [kernel.busy]")
    );
}

#[test]
fn a_step_out_of_bounds_is_refused_and_leaves_nothing() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    let big_state = "x".repeat(limits::PROGRAM_STATE_BYTES_MAX + 1);
    let big_page = user(&"x".repeat(limits::BODY_BYTES_MAX));
    let big_result = Syscall::Exit { status: ExitStatus::Finished, result: Some(big_page.clone()) };
    let steps = [
        Step { append: vec![user("p")], call: big_result, state: "1".into() },
        Step { append: vec![user("p")], call: sleep(1), state: big_state.into() },
        Step { append: vec![user("p"), big_page], call: sleep(1), state: "1".into() },
    ];
    for step in steps {
        let turn = s.process(a).turn;
        s.step_of(a, turn, step);
        let State::Program { wake: Wake::Refused { error } } = &s.process(a).state else {
            panic!("{:?}", s.process(a).state);
        };
        assert_eq!(error.code, ErrorCode::BadSyscall);
        assert_eq!(s.log(a), ["user: task"]);
        assert_eq!(&*s.process(a).program_state, "null");
    }
}

#[test]
fn a_step_brings_pages_and_the_programs_state() {
    let mut s = Script::new(config());
    let a = s.spawn(spec("a"));
    let append = vec![user("one"), user("two")];
    s.step_of(a, 1, Step { append, call: sleep(1), state: r#"{"n":1}"#.into() });
    assert_eq!(s.log(a), ["user: task", "user: one", "user: two"]);
    assert_eq!(&*s.process(a).program_state, r#"{"n":1}"#);
    // A step for another turn than the present one is late.
    let late = Step {
        append: vec![user("late")],
        call: Syscall::Sleep { span: aosk_abi::Millis(0) },
        state: "9".into(),
    };
    for turn in [0, 1, 2] {
        s.step_of(a, turn, late.clone());
    }
    s.step_of(Pid(9), 1, late);
    assert_eq!(s.kernel.ignored(), 4);
    assert_eq!(s.log(a).len(), 3);
}
