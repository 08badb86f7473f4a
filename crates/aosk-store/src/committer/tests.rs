//! Tests of `committer`.

use std::sync::Arc;

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

/// Two retries, for which a test never waits.
fn eager() -> Retries {
    Retries { max: 2, wait: Duration::ZERO }
}

type Told = Result<Head, StoreError>;

fn start(retries: Retries, store: Box<dyn Store>) -> (Committer, Receiver<Told>) {
    let (sender, events) = channel();
    let on_commit = Box::new(move |told| sender.send(told).expect("the test listens"));
    (Committer::start_with(retries, store, on_commit).expect("starts"), events)
}

/// The length of the journal after each commit.
fn committed(events: &Receiver<Told>) -> Vec<u64> {
    events.try_iter().map(|told| told.expect("commits").length).collect()
}

/// A store that tells of each commit and waits for a nod before it.
struct Gated {
    memory: Memory,
    began: Sender<()>,
    nods: Receiver<()>,
}

impl Store for Gated {
    fn load(&mut self) -> Result<Image, StoreError> {
        self.memory.load()
    }
    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        self.began.send(()).expect("the test listens");
        self.nods.recv().expect("the test nods");
        self.memory.commit(batches)
    }
    fn reader(&self) -> Arc<dyn Reader> {
        self.memory.reader()
    }
}

/// A committer on such a store, its events, the store's beginnings and the nods. The nods are last,
/// so they end first when a test fails, and the commit thread does not wait for one for ever.
fn start_gated() -> (Committer, Receiver<Told>, Receiver<()>, SyncSender<()>) {
    let ((began, begins), (nod, nods)) = (channel(), sync_channel(100));
    let store = Box::new(Gated { memory: Memory::new(), began, nods });
    let (committer, events) = start(eager(), store);
    (committer, events, begins, nod)
}

#[test]
fn batches_are_committed_in_order_while_the_next_one_waits() {
    let (committer, events, begins, nod) = start_gated();
    committer.submit(batch(1)).expect("is accepted");
    begins.recv().expect("begins");
    committer.submit(batch(2)).expect("is accepted");
    nod.send(()).expect("runs");
    begins.recv().expect("begins");
    committer.submit(batch(3)).expect("is accepted");
    nod.send(()).expect("runs");
    nod.send(()).expect("runs");
    let store = committer.shutdown().expect("drains");
    assert_eq!(committed(&events), [1, 2, 3]);
    let journal = store.reader().journal(&JournalQuery::default()).expect("reads");
    assert!(journal.iter().map(|entry| entry.at.0).eq(1..=3));
}

#[test]
fn a_batch_that_waits_makes_the_submitter_wait() {
    let (committer, events, begins, nod) = start_gated();
    committer.submit(batch(1)).expect("is accepted");
    begins.recv().expect("begins");
    committer.submit(batch(2)).expect("is accepted");
    std::thread::scope(|scope| {
        let (starting, started) = channel();
        let committer = &committer;
        let submitter = scope.spawn(move || {
            starting.send(()).expect("the test listens");
            committer.submit(batch(3))
        });
        started.recv().expect("starts");
        for _ in 0..1_000 {
            assert!(!submitter.is_finished(), "another one waits");
            std::thread::yield_now();
        }
        nod.send(()).expect("runs");
        begins.recv().expect("begins");
        assert_eq!(submitter.join().expect("no panic"), Ok(()));
    });
    nod.send(()).expect("runs");
    nod.send(()).expect("runs");
    committer.shutdown().expect("drains");
    assert_eq!(committed(&events), [1, 2, 3]);
}

#[test]
fn a_disk_that_is_full_for_a_while_is_waited_for() {
    let faults = Faults::none();
    faults.on_commit(1, CommitFault::Refused(full()));
    faults.on_commit(2, CommitFault::Refused(full()));
    let (committer, events) =
        start(eager(), Box::new(Faulty::new(Box::new(Memory::new()), &faults)));
    committer.submit(batch(1)).expect("is accepted");
    committer.shutdown().expect("drains");
    assert_eq!((committed(&events), faults.commits()), (vec![1], 3));
}

#[test]
fn a_disk_that_stays_full_ends_it() {
    let (memory, faults) = (Memory::new(), Faults::none());
    for number in 2..=4 {
        faults.on_commit(number, CommitFault::Refused(full()));
    }
    let store = Faulty::new(Box::new(memory.clone()), &faults);
    let (committer, events) = start(eager(), Box::new(store));
    committer.submit(batch(1)).expect("is accepted");
    assert!(matches!(events.recv(), Ok(Ok(Head { length: 1, .. }))));
    committer.submit(batch(2)).expect("is accepted");
    assert_eq!(events.recv(), Ok(Err(full())));
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
    let (committer, events) = start(eager(), Box::new(store));
    committer.submit(batch(1)).expect("is accepted");
    assert!(matches!(events.recv(), Ok(Err(StoreError::Io { .. }))));
    assert!(committer.shutdown().is_err());
    assert_eq!(memory.head().expect("reads").length, 1);
}

#[test]
fn a_shutdown_does_not_sit_out_the_wait() {
    let faults = Faults::none();
    faults.on_commit(1, CommitFault::Refused(full()));
    let store = Faulty::new(Box::new(Memory::new()), &faults);
    let hours = Duration::from_secs(36_000);
    let retries = Retries { wait: hours, ..Retries::default() };
    let (committer, events) = start(retries, Box::new(store));
    committer.submit(batch(1)).expect("is accepted");
    committer.shutdown().expect("drains");
    assert_eq!(committed(&events), [1]);
}

#[test]
fn dropping_it_commits_what_waits() {
    let memory = Memory::new();
    let (committer, _events) = start(eager(), Box::new(memory.clone()));
    committer.submit(batch(1)).expect("is accepted");
    drop(committer);
    assert_eq!(memory.head().expect("reads").length, 1);
}

/// A store that panics in every commit.
struct Explosive;

impl Store for Explosive {
    fn load(&mut self) -> Result<Image, StoreError> {
        Ok(Image::default())
    }
    fn commit(&mut self, _: &[Batch]) -> Result<Head, StoreError> {
        panic!("this store panics, as the test wants");
    }
    fn reader(&self) -> Arc<dyn Reader> {
        Memory::new().reader()
    }
}

#[test]
fn a_store_that_panics_has_failed() {
    let (committer, events) = start(eager(), Box::new(Explosive));
    committer.submit(batch(1)).expect("is accepted");
    assert!(matches!(events.recv(), Ok(Err(StoreError::Io { .. }))));
    assert_eq!(committer.submit(batch(2)), Err(StoreError::Closed));
    assert!(committer.shutdown().is_err());
}

#[test]
fn a_listener_that_panics_closes_it() {
    let on_commit = Box::new(|_| panic!("this listener panics, as the test wants"));
    let committer =
        Committer::start_with(eager(), Box::new(Memory::new()), on_commit).expect("starts");
    // However the threads run, no submitter is left waiting.
    while committer.submit(batch(1)).is_ok() {}
    assert_eq!(committer.shutdown().err(), Some(StoreError::Closed));
}
