//! Groups: none for those who are refused, and so many and no more for one tenant and for all.

use std::collections::BTreeMap;

use aosk_abi::{Command, ErrorCode, Limits, Reply, RowKey, SpawnSpec, limits};

use super::script::*;
use crate::{Config, GroupConfig};

fn in_group(group: &str) -> SpawnSpec {
    SpawnSpec { group: group.to_owned(), ..spec("a") }
}

/// The code with which a start in this group is refused.
#[track_caller]
fn refused(s: &mut Script, group: &str) -> ErrorCode {
    match s.operate("spawn", Command::Spawn(Box::new(in_group(group)))) {
        Reply::Refused(error) => error.code,
        reply @ (Reply::Spawned(_) | Reply::Done) => panic!("{group} was taken: {reply:?}"),
    }
}

fn names(s: &Script) -> Vec<String> {
    let mut names: Vec<_> = s.kernel.budgets.groups().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    names
}

fn budget_rows(s: &Script) -> usize {
    s.rows.keys().filter(|key| matches!(key, RowKey::Budget(_))).count()
}

fn childless() -> Limits {
    Limits { children: Some(0), ..Limits::default() }
}

#[test]
fn who_is_refused_leaves_no_group() {
    let none = GroupConfig { limits: childless(), ..GroupConfig::default() };
    let groups = [("full", none), ("t/full", none)];
    let groups = groups.map(|(name, group)| (name.to_owned(), group));
    let mut s = Script::new(Config { groups: groups.into(), ..config() });
    let rows = s.rows.clone();
    for name in ["full", "full/x", "t/full"] {
        assert_eq!(refused(&mut s, name), ErrorCode::BudgetExceeded, "{name}");
    }
    assert_eq!((names(&s), &s.rows), (Vec::new(), &rows));

    let mut s = Script::new(Config { limits: childless(), ..config() });
    assert_eq!(refused(&mut s, "t/x"), ErrorCode::BudgetExceeded);
    assert_eq!(names(&s), Vec::<String>::new());
}

#[test]
fn a_tenant_has_so_many_groups_and_those_that_nobody_is_in_make_room() {
    let groups = [("t/told".to_owned(), GroupConfig::default())];
    let mut s = Script::new(Config { groups: groups.into(), ..config() });
    let all: Vec<_> = (0..limits::GROUPS_PER_TENANT_MAX)
        .map(|number| s.spawn(in_group(&format!("t/{number}"))))
        .collect();
    assert_eq!(refused(&mut s, "t/more"), ErrorCode::Busy);
    s.spawn(in_group("t"));
    s.spawn(in_group("t/told"));
    s.spawn(in_group("t2/more"));
    s.spawn(in_group("t/7"));
    // The queues know where it stood, and must forget it.
    for pid in [all[7], all[8], all[9]] {
        s.step(pid, think_of("m", 10, 100));
        s.answer(pid, 10, 10);
        s.step(pid, exit());
    }
    let mut after = names(&s);
    s.spawn(in_group("t/more"));
    // Somebody else is in the group 7.
    after.retain(|name| name != "t/8");
    after.push("t/more".to_owned());
    after.sort();
    assert_eq!(names(&s), after);
    assert_eq!(budget_rows(&s), names(&s).len() + 1, "and the root");
    s.crash();
    assert_eq!(names(&s), after);
}

#[test]
fn all_have_so_many_groups_and_those_that_nobody_configured_make_room() {
    let groups = BTreeMap::from([("c".to_owned(), GroupConfig::default())]);
    let mut s = Script::new(Config { groups, ..config() });
    let ended = s.long_batch(|s| {
        let told = s.spawn(in_group("c"));
        s.step(told, exit());
        let ended: Vec<_> = ["d/x", "e"].map(|name| s.spawn(in_group(name))).into();
        for number in 4..limits::GROUPS_MAX {
            s.spawn(in_group(&format!("t{number}")));
        }
        ended
    });
    assert_eq!(names(&s).len(), limits::GROUPS_MAX);
    let more = |name: &str| Command::Spawn(Box::new(in_group(name)));
    s.long_batch(|s| {
        assert_eq!(refused(s, "more"), ErrorCode::Busy);
        for pid in ended {
            s.step(pid, exit());
        }
        // A tenant that is to have a group does not make room for it.
        assert!(matches!(s.operate("spawn", more("d/y")), Reply::Spawned(_)));
        assert!(matches!(s.operate("spawn", more("more")), Reply::Spawned(_)));
        assert_eq!(refused(s, "still/more"), ErrorCode::Busy);
    });
    let kept = names(&s);
    for (name, is_there) in
        [("c", true), ("d", true), ("d/x", false), ("d/y", true), ("e", false), ("more", true)]
    {
        assert_eq!(kept.iter().any(|kept| kept == name), is_there, "{name}");
    }
}
