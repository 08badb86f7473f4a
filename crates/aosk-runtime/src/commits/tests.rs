//! No word from the commit thread is lost, whenever it comes.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aosk_abi::Hash;

use super::*;

const KEPT: Result<Head, StoreError> = Ok(Head { length: 1, hash: Hash::ZERO });

fn poll(waiting: std::pin::Pin<&mut impl Future<Output = Result<Head, Error>>>) -> Poll<bool> {
    waiting.poll(&mut Context::from_waker(Waker::noop())).map(|word| word.is_ok())
}

#[test]
fn word_that_came_before_anybody_waited() {
    let commits = Commits::default();
    commits.tell(KEPT);
    assert_eq!(poll(pin!(commits.wait())), Poll::Ready(true));
    assert_eq!(poll(pin!(commits.wait())), Poll::Pending);
}

#[test]
fn word_that_came_while_somebody_waited() {
    let commits = Commits::default();
    let mut waiting = pin!(commits.wait());
    assert_eq!(poll(waiting.as_mut()), Poll::Pending);
    commits.tell(KEPT);
    assert_eq!(poll(waiting), Poll::Ready(true));
}

#[test]
fn word_that_came_as_the_one_who_waited_went_away() {
    let commits = Commits::default();
    {
        let mut gone = pin!(commits.wait());
        assert_eq!(poll(gone.as_mut()), Poll::Pending);
        commits.tell(KEPT);
    }
    assert_eq!(poll(pin!(commits.wait())), Poll::Ready(true));
}

#[test]
fn the_last_word_is_that_it_failed() {
    let commits = Commits::default();
    commits.tell(KEPT);
    commits.tell(Err(StoreError::Closed));
    assert_eq!(poll(pin!(commits.wait())), Poll::Ready(false));
}
