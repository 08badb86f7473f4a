//! Rows, facts and bodies to store.

use aosk_abi::{
    Body, BudgetId, Entry, Fact, Message, MessageIndex, Pid, RowChange, RowKey, RowOp, Signal,
    Timestamp,
};
use aosk_store::Batch;

/// A batch of row changes only.
pub(crate) fn rows(rows: impl IntoIterator<Item = RowChange>) -> Batch {
    Batch { rows: rows.into_iter().collect(), ..Batch::default() }
}

/// A batch of facts only.
pub(crate) fn facts(journal: impl IntoIterator<Item = Entry>) -> Batch {
    Batch { journal: journal.into_iter().collect(), ..Batch::default() }
}

pub(crate) fn put(key: RowKey, value: impl Into<String>) -> RowChange {
    RowChange { key, op: RowOp::Put(value.into()) }
}

pub(crate) fn delete(key: RowKey) -> RowChange {
    RowChange { key, op: RowOp::Delete }
}

pub(crate) fn archive(pid: Pid) -> RowChange {
    RowChange { key: RowKey::Process(pid), op: RowOp::Archive }
}

/// A fact that differs from others by its number.
pub(crate) fn fact(at: u64, pid: Option<u64>) -> Entry {
    let fact = match pid {
        Some(_) => Fact::Signalled { signal: Signal::Cont },
        None => Fact::PolicySet { policy: format!("policy {at}") },
    };
    Entry { at: Timestamp(at), pid: pid.map(Pid), fact }
}

pub(crate) fn body(text: &str) -> Body {
    Body::new(Message::user(text))
}

/// One key of every kind, of process 7 where it has one, in key order.
pub(crate) fn every_key() -> [RowKey; 6] {
    let pid = Pid(7);
    [
        RowKey::Kernel,
        RowKey::Spec(pid),
        RowKey::Process(pid),
        RowKey::Message(pid, MessageIndex(0)),
        RowKey::Mail(pid, 3),
        RowKey::Budget(BudgetId(2)),
    ]
}

/// Numbers that look random and are the same every time (xorshift).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(bound)).expect("is below a u32")
    }
}
