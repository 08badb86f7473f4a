//! No word from the commit thread is lost, whenever it comes.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aosk_store::{Head, StoreError};

use super::*;

fn committed(through: u64) -> CommitEvent {
    CommitEvent::Committed { through, head: Head::default() }
}

fn poll(waiting: std::pin::Pin<&mut impl Future<Output = Result<u64, Error>>>) -> Poll<u64> {
    waiting.poll(&mut Context::from_waker(Waker::noop())).map(|word| word.unwrap_or(0))
}

#[test]
fn word_that_came_before_anybody_waited() {
    let commits = Commits::default();
    commits.tell(committed(1));
    commits.tell(committed(2));
    assert_eq!(poll(pin!(commits.wait())), Poll::Ready(2));
    assert_eq!(poll(pin!(commits.wait())), Poll::Pending);
}

#[test]
fn word_that_came_while_somebody_waited() {
    let commits = Commits::default();
    let mut waiting = pin!(commits.wait());
    assert_eq!(poll(waiting.as_mut()), Poll::Pending);
    commits.tell(committed(1));
    assert_eq!(poll(waiting), Poll::Ready(1));
}

#[test]
fn word_that_came_as_the_one_who_waited_went_away() {
    let commits = Commits::default();
    {
        let mut gone = pin!(commits.wait());
        assert_eq!(poll(gone.as_mut()), Poll::Pending);
        commits.tell(committed(1));
    }
    assert_eq!(poll(pin!(commits.wait())), Poll::Ready(1));
}

#[test]
fn the_last_word_is_that_it_failed() {
    let commits = Commits::default();
    commits.tell(committed(1));
    commits.tell(CommitEvent::Failed { error: StoreError::Closed });
    let mut waiting = pin!(commits.wait());
    let word = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(word, Poll::Ready(Err(_))));
}
