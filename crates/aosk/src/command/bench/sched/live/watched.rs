//! A store around another that looks at what is committed, and how long that takes. Every state of the
//! kernel that outlives it passes here.

use std::sync::{Arc, Mutex, PoisonError};

use aosk::abi::{Image, RowKey, RowOp};
use aosk::kernel::Kernel;
use aosk::store::{Batch, Head, Reader, Store, StoreError};

use super::figures::{millis, now};

/// What was seen.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    /// How long commits took, in milliseconds.
    pub(super) commits_ms: Vec<f64>,
    /// States of budget nodes with a bound of tokens.
    pub(super) nodes: u64,
    /// The most tokens that were used or held beyond such a bound.
    pub(super) overshoot: u64,
    /// Rows that could not be read.
    pub(super) unread: u64,
}

/// The store.
pub(super) struct Watched {
    store: Box<dyn Store>,
    seen: Arc<Mutex<Seen>>,
}

/// What a store has seen, from outside.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    /// What was seen so far.
    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watched {
    /// `store`, watched.
    pub(super) fn over(store: Box<dyn Store>) -> (Box<dyn Store>, Watch) {
        let seen = Arc::new(Mutex::default());
        let watch = Watch(seen.clone());
        (Box::new(Self { store, seen }), watch)
    }
}

impl Seen {
    /// Looks at the nodes of the budget tree in a batch.
    fn look(&mut self, batch: &Batch) {
        for change in &batch.rows {
            let (RowKey::Budget(id), RowOp::Put(text)) = (change.key, &change.op) else {
                continue;
            };
            let Ok(node) = Kernel::read_budget(id, text) else {
                self.unread += 1;
                continue;
            };
            if let Some(bound) = node.limits.tokens {
                let tokens = node.used.tokens + node.reserved.tokens;
                self.nodes += 1;
                self.overshoot = self.overshoot.max(tokens.saturating_sub(bound).0);
            }
        }
    }
}

impl Store for Watched {
    fn load(&mut self) -> Result<Image, StoreError> {
        self.store.load()
    }

    fn commit(&mut self, batches: &[Batch]) -> Result<Head, StoreError> {
        let began = now();
        let head = self.store.commit(batches)?;
        let took = millis(began.elapsed());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.commits_ms.push(took);
        batches.iter().for_each(|batch| seen.look(batch));
        Ok(head)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.store.reader()
    }

    fn maintain(&mut self, idle: bool) -> Result<(), StoreError> {
        self.store.maintain(idle)
    }
}

#[cfg(test)]
mod tests {
    use aosk::abi::{BudgetId, RowChange};
    use aosk::store::Memory;
    use serde_json::json;

    use super::*;

    fn node(id: u64, bound: Option<u64>, used: u64, reserved: u64) -> RowChange {
        let spend = |tokens: u64| {
            json!({
                "tokens": tokens, "calls": 0, "micro_usd": 0, "steps": 0, "children": 0,
            })
        };
        let limits = bound.map_or_else(|| json!({}), |tokens| json!({ "tokens": tokens }));
        let row = json!({
            "parent": null, "limits": limits, "used": spend(used),
            "reserved": spend(reserved), "overdraft": spend(0), "expires": null, "expired": false,
            "members": 1,
        });
        RowChange {
            key: RowKey::Budget(BudgetId(id)),
            op: RowOp::Put(json!({ "v": 1, "row": row }).to_string()),
        }
    }

    #[test]
    fn what_is_held_beyond_a_bound_is_seen_in_whichever_state_it_is() {
        let (mut store, watch) = Watched::over(Box::new(Memory::new()));
        let kept = |store: &mut Box<dyn Store>, rows| {
            store.commit(&[Batch { rows, ..Batch::default() }]).unwrap();
        };
        kept(&mut store, vec![node(2, Some(100), 60, 40), node(3, None, 500, 500)]);
        let seen = watch.seen();
        assert_eq!((seen.nodes, seen.overshoot, seen.unread), (1, 0, 0));
        kept(&mut store, vec![node(2, Some(100), 60, 47)]);
        kept(&mut store, vec![node(2, Some(100), 61, 0)]);
        let seen = watch.seen();
        assert_eq!((seen.nodes, seen.overshoot, seen.commits_ms.len()), (3, 7, 3));
    }
}
