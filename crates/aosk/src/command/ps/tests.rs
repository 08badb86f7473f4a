//! Tests of `aosk ps`.

use aosk::abi::{
    Command, Effects, Input, Limits, PermissionLevel, ProgramSpec, RequestId, SpawnSpec, Step,
    Syscall,
};
use aosk::kernel::{Config, Kernel};

use std::sync::Arc;

use super::*;

fn agent(name: &str) -> Box<SpawnSpec> {
    Box::new(SpawnSpec {
        name: name.to_owned(),
        label: String::new(),
        program: ProgramSpec { name: "react".to_owned(), param: "{}".into() },
        priority: 50,
        capabilities: PermissionLevel::Standard.capabilities(),
        limits: Limits::default(),
        group: String::new(),
        fork: false,
        pages: Vec::new(),
    })
}

/// A kernel with p1 and p2, then p3 under p1 and p4 under p3.
fn family() -> Vec<Snapshot> {
    let mut kernel = Kernel::new(Config::default());
    let mut fx = Effects::default();
    let mut apply = |kernel: &mut Kernel, input| kernel.apply(Timestamp(0), &input, &mut fx);
    for name in ["first", "second"] {
        let command = Command::Spawn(agent(name));
        apply(&mut kernel, Input::Operator { request: RequestId(1), command });
    }
    for (parent, name) in [(Pid(1), "child"), (Pid(3), "grandchild")] {
        let turn = kernel.process(parent).expect("lives").turn;
        let step = Step {
            append: Vec::new(),
            call: Syscall::Spawn { spec: agent(name) },
            state: "{}".into(),
        };
        apply(&mut kernel, Input::Syscall { pid: parent, turn, step });
    }
    kernel.processes().map(|(pid, process)| Snapshot::of(pid, process)).collect()
}

#[test]
fn children_stand_under_their_parents() {
    let order = |processes: &[Snapshot]| -> Vec<(usize, u64)> {
        in_tree_order(processes).iter().map(|(depth, process)| (*depth, process.pid.0)).collect()
    };
    let mut family = family();
    assert_eq!(order(&family), [(0, 1), (1, 3), (2, 4), (0, 2)]);
    // A child whose parent is not shown stands by itself.
    family.remove(0);
    assert_eq!(order(&family), [(0, 2), (0, 3), (1, 4)]);
}

/// A damaged row must not hide a process, nor those under it.
#[test]
fn a_process_that_is_its_own_ancestor_is_shown() {
    for (at, parent) in [(2, 3), (2, 4), (0, 4)] {
        let mut family = family();
        let mut spec = family[at].spec.as_ref().clone();
        spec.parent = Some(Pid(parent));
        family[at].spec = Arc::new(spec);
        let mut shown: Vec<u64> =
            in_tree_order(&family).iter().map(|(_, process)| process.pid.0).collect();
        shown.sort_unstable();
        assert_eq!(shown, [1, 2, 3, 4]);
        let damaged = family.iter().filter(|process| !is_under_older(process)).count();
        assert_eq!(damaged, 1);
    }
}

#[test]
fn a_name_cannot_write_on_the_terminal() {
    let mut process = family().remove(0);
    let mut spec = process.spec.as_ref().clone();
    spec.name = "\u{1b}[2Jgone\n\u{9b}31m".to_owned();
    process.spec = Arc::new(spec);
    let cells = row(&process, 0, Timestamp(0));
    assert!(cells.iter().all(|cell| !cell.contains(char::is_control)), "{cells:?}");
}

#[test]
fn ages_have_two_units() {
    let text = |seconds: u64| age(Timestamp(0), Timestamp(seconds * 1000));
    assert_eq!(
        [0, 59, 61, 3_600, 7_260, 90_000].map(text),
        ["0s", "59s", "1m1s", "1h0m", "2h1m", "1d1h"]
    );
}
