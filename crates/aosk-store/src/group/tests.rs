//! Tests of `group`.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use aosk_abi::{Entry, Fact, Image, Timestamp};

use super::*;
use crate::fault::CommitFault;
use crate::store::{JournalQuery, Reader};
use crate::{Faults, Faulty, Memory};

fn batch(number: u64) -> Batch {
    let fact = Fact::PolicySet { policy: number.to_string() };
    let journal = vec![Entry { at: Timestamp(number), pid: None, fact }];
    Batch { journal, ..Batch::default() }
}

fn full() -> StoreError {
    StoreError::Full { attempted: "commit", reason: "as planned".into() }
}

/// Options under which a test never waits for the clock.
fn eager(queue_max: usize) -> CommitOptions {
    CommitOptions { queue_max, retries_max: 2, retry_wait: Duration::ZERO }
}

fn start(options: CommitOptions, store: Box<dyn Store>) -> (Committer, Receiver<CommitEvent>) {
    let (sender, events) = channel();
    let on_event = Box::new(move |event| sender.send(event).expect("the test listens"));
    (Committer::start_with(options, store, on_event).expect("starts"), events)
}

/// The last ticket and length of each event.
fn committed(events: &Receiver<CommitEvent>) -> Vec<(u64, u64)> {
    let pair = |event| match event {
        CommitEvent::Committed { through, head } => (through, head.length),
        CommitEvent::Failed { error } => panic!("{error}"),
    };
    events.try_iter().map(pair).collect()
}

/// A store that waits for a nod before each commit, and tells how many batches came.
struct Gated {
    memory: Memory,
    began: Sender<usize>,
    nods: Receiver<()>,
}

impl Store for Gated {
    fn load(&mut self) -> Result<Image, StoreError> {
        self.memory.load()
    }
    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        self.began.send(batches.len()).expect("the test listens");
        self.nods.recv().expect("the test nods");
        self.memory.commit(batches)
    }
    fn reader(&self) -> Arc<dyn Reader> {
        self.memory.reader()
    }
}

/// A committer on such a store, its events, the store's beginnings and the nods. The nods are last,
/// so they end first when a test fails, and the commit thread does not wait for one for ever.
fn start_gated(
    queue_max: usize,
) -> (Committer, Receiver<CommitEvent>, Receiver<usize>, SyncSender<()>) {
    let ((began, begins), (nod, nods)) = (channel(), sync_channel(100));
    let store = Box::new(Gated { memory: Memory::new(), began, nods });
    let (committer, events) = start(eager(queue_max), store);
    (committer, events, begins, nod)
}

#[test]
fn what_waits_shares_a_transaction_in_the_order_of_tickets() {
    let (committer, events, begins, nod) = start_gated(10);
    assert_eq!(committer.submit(batch(1)), Ok(1));
    assert_eq!(begins.recv(), Ok(1));
    for number in 2..=5 {
        assert_eq!(committer.submit(batch(number)), Ok(number));
    }
    nod.send(()).expect("runs");
    nod.send(()).expect("runs");
    assert_eq!(begins.recv(), Ok(4));
    let store = committer.shutdown().expect("drains");
    assert_eq!(committed(&events), [(1, 1), (5, 5)]);
    let journal = store.reader().journal(&JournalQuery::default()).expect("reads");
    assert!(journal.iter().map(|entry| entry.at.0).eq(1..=5));
}

#[test]
fn a_full_queue_makes_the_submitter_wait() {
    let (committer, events, begins, nod) = start_gated(2);
    committer.submit(batch(1)).expect("is accepted");
    assert_eq!(begins.recv(), Ok(1));
    committer.submit(batch(2)).expect("is accepted");
    committer.submit(batch(3)).expect("is accepted");
    std::thread::scope(|scope| {
        let (starting, started) = channel();
        let committer = &committer;
        let submitter = scope.spawn(move || {
            starting.send(()).expect("the test listens");
            committer.submit(batch(4))
        });
        started.recv().expect("starts");
        for _ in 0..1_000 {
            assert!(!submitter.is_finished(), "the queue is full");
            std::thread::yield_now();
        }
        nod.send(()).expect("runs");
        // The second transaction has the two that waited and cannot have the one beyond the bound.
        assert_eq!(begins.recv(), Ok(2));
        assert_eq!(submitter.join().expect("no panic"), Ok(4));
    });
    nod.send(()).expect("runs");
    nod.send(()).expect("runs");
    committer.shutdown().expect("drains");
    assert_eq!(committed(&events), [(1, 1), (3, 3), (4, 4)]);
}

#[test]
fn a_disk_that_is_full_for_a_while_is_waited_for() {
    let faults = Faults::none();
    faults.on_commit(1, CommitFault::Refused(full()));
    faults.on_commit(2, CommitFault::Refused(full()));
    let (committer, events) =
        start(eager(10), Box::new(Faulty::new(Box::new(Memory::new()), &faults)));
    committer.submit(batch(1)).expect("is accepted");
    committer.shutdown().expect("drains");
    assert_eq!((committed(&events), faults.commits()), (vec![(1, 1)], 3));
}

#[test]
fn a_disk_that_stays_full_ends_it() {
    let (memory, faults) = (Memory::new(), Faults::none());
    for number in 2..=4 {
        faults.on_commit(number, CommitFault::Refused(full()));
    }
    let store = Faulty::new(Box::new(memory.clone()), &faults);
    let (committer, events) = start(eager(10), Box::new(store));
    committer.submit(batch(1)).expect("is accepted");
    assert!(matches!(events.recv(), Ok(CommitEvent::Committed { through: 1, .. })));
    committer.submit(batch(2)).expect("is accepted");
    assert_eq!(events.recv(), Ok(CommitEvent::Failed { error: full() }));
    assert_eq!(committer.submit(batch(3)), Err(StoreError::Closed));
    assert_eq!(committer.shutdown().err(), Some(full()));
    assert_eq!(faults.commits(), 4, "the first, and three tries of the second");
    assert_eq!(memory.head().expect("reads").length, 1);
}

#[test]
fn what_may_be_written_is_not_written_again() {
    let (memory, faults) = (Memory::new(), Faults::none());
    faults.on_commit(1, CommitFault::Unacknowledged);
    let store = Faulty::new(Box::new(memory.clone()), &faults);
    let (committer, events) = start(eager(10), Box::new(store));
    committer.submit(batch(1)).expect("is accepted");
    assert!(matches!(events.recv(), Ok(CommitEvent::Failed { error: StoreError::Io { .. } })));
    assert!(committer.shutdown().is_err());
    assert_eq!(memory.head().expect("reads").length, 1);
}

#[test]
fn a_shutdown_does_not_sit_out_the_wait() {
    let faults = Faults::none();
    faults.on_commit(1, CommitFault::Refused(full()));
    let store = Faulty::new(Box::new(Memory::new()), &faults);
    let hours = Duration::from_secs(36_000);
    let options = CommitOptions { retry_wait: hours, ..CommitOptions::default() };
    let (committer, events) = start(options, Box::new(store));
    committer.submit(batch(1)).expect("is accepted");
    committer.shutdown().expect("drains");
    assert_eq!(committed(&events), [(1, 1)]);
}

#[test]
fn dropping_it_commits_what_waits() {
    let memory = Memory::new();
    let (committer, _events) = start(eager(10), Box::new(memory.clone()));
    committer.submit(batch(1)).expect("is accepted");
    drop(committer);
    assert_eq!(memory.head().expect("reads").length, 1);
}

#[test]
fn a_listener_that_panics_closes_it() {
    let on_event = Box::new(|_| panic!("this listener panics, as the test wants"));
    let committer =
        Committer::start_with(eager(1), Box::new(Memory::new()), on_event).expect("starts");
    // However long the queue and however the threads run, no submitter is left waiting.
    while committer.submit(batch(1)).is_ok() {}
    assert_eq!(committer.shutdown().err(), Some(StoreError::Closed));
}
