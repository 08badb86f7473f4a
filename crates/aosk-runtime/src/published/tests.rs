//! What readers see, and how they wait.

use aosk_abi::{BudgetId, Capabilities, PermissionLevel, ProgramSpec, Timestamp};
use tokio::sync::oneshot::error::TryRecvError;

use super::*;

fn snapshot(pid: u64, ended: bool) -> Snapshot {
    let capabilities: Capabilities = PermissionLevel::Standard.capabilities();
    let spec = Spec {
        name: "n".to_owned(),
        label: String::new(),
        program: ProgramSpec { name: "p".to_owned(), param: "null".into() },
        parent: None,
        depth: 0,
        capabilities,
        budget: BudgetId(1),
        group: String::new(),
        spawned: Timestamp(0),
    };
    Snapshot {
        pid: Pid(pid),
        spec: Arc::new(spec),
        state: if ended { "zombie" } else { "ready" },
        has_ended: ended,
        status: ended.then_some(ExitStatus::Finished),
        result: None,
        waits_for_others: false,
        asks: None,
        lack: None,
        call: None,
        model: None,
        priority: 50,
        stats: Stats::default(),
        mail_count: 0,
    }
}

#[test]
fn an_end_is_told_before_and_after() {
    let published = Published::default();
    assert!(published.end_of(Pid(1)).is_none(), "nobody knows it");
    published.publish_all(vec![snapshot(1, false)]);
    let mut before = published.end_of(Pid(1)).unwrap();
    assert!(matches!(before.try_recv(), Err(TryRecvError::Empty)));
    published.publish_all(vec![snapshot(1, true)]);
    let mut after = published.end_of(Pid(1)).unwrap();
    for receiver in [&mut before, &mut after] {
        let end = receiver.try_recv().unwrap();
        assert_eq!((end.state, end.status), ("exited", Some(ExitStatus::Finished)));
    }
    assert_eq!(published.live_count(), 0);
}

#[test]
fn a_change_is_told_once() {
    let published = Published::default();
    published.publish_all(vec![snapshot(1, false)]);
    let mut change = published.change_of(Pid(1));
    assert_eq!(change.try_recv(), Err(TryRecvError::Empty));
    published.publish_all(vec![snapshot(1, false)]);
    assert_eq!(change.try_recv(), Ok(()));
}

/// Whoever asks after the end must not wait for a word that never comes.
#[test]
fn nobody_waits_for_a_kernel_that_stopped() {
    let published = Published::default();
    published.publish_all(vec![snapshot(1, false)]);
    let mut before = (published.end_of(Pid(1)).unwrap(), published.change_of(Pid(1)));
    published.close();
    let mut after = (published.end_of(Pid(1)).unwrap(), published.change_of(Pid(1)));
    for (end, change) in [&mut before, &mut after] {
        assert!(matches!(end.try_recv(), Err(TryRecvError::Closed)));
        assert_eq!(change.try_recv(), Err(TryRecvError::Closed));
    }
}

#[test]
fn those_who_give_up_waiting_are_forgotten() {
    let published = Published::default();
    published.publish_all(vec![snapshot(1, false)]);
    for _ in 0..100 {
        drop(published.end_of(Pid(1)));
        drop(published.change_of(Pid(1)));
    }
    let table = published.lock();
    assert_eq!((table.waiting[&Pid(1)].len(), table.watching[&Pid(1)].len()), (1, 1));
}

#[test]
fn only_so_many_ended_processes_are_remembered() {
    let published = Published::default();
    for pid in 1..=ENDED_MAX as u64 + 1 {
        published.publish_all(vec![snapshot(pid, true), snapshot(pid, true)]);
    }
    assert_eq!(published.all().len(), ENDED_MAX);
    assert!(published.get(Pid(1)).is_none());
    assert!(published.get(Pid(2)).is_some());
}
