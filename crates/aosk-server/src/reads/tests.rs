//! No more reads at once than the bounds, and those who ask do not wait for those who follow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use aosk_runtime::store::{Memory, Store};
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn followers_wait_for_each_other_and_nobody_for_them() {
    let reads = Arc::new(Reads::of(Memory::new().reader()));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (let_go, held) = mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let mut followers = JoinSet::new();
    for _ in 0..FOLLOWER_READS_MAX * 3 {
        let (reads, held) = (reads.clone(), held.clone());
        let (running, most) = (running.clone(), most.clone());
        followers.spawn(async move {
            let read = move |_: &dyn Reader| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Until all have been asked for; then nobody holds the other end.
                held.lock().unwrap().recv().unwrap_err();
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            };
            reads.followed(read).await.unwrap();
        });
    }
    while most.load(Ordering::SeqCst) < FOLLOWER_READS_MAX {
        tokio::task::yield_now().await;
    }
    // All followers that may read do, and this is answered.
    assert_eq!(reads.asked(|reader| Ok(reader.head()?.length)).await.unwrap(), 0);
    drop(let_go);
    while let Some(done) = followers.join_next().await {
        done.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), FOLLOWER_READS_MAX);
}
