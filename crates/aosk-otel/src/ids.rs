//! Which trace and which span a process and a call is.
//!
//! The ids are made of the journal's first hash, which no other store has, and of the ids of the kernel.
//! So they are the same after a restart, and what was begun before is gone on with in the same trace.

use aosk_abi::{CallId, Hash, Pid};
use aosk_runtime::TraceParent;

/// A trace.
pub(crate) type TraceId = [u8; 16];
/// A span in it.
pub(crate) type SpanId = [u8; 8];

/// Where ids of one store come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids(pub(crate) Hash);

/// Where a span stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    /// The span above it.
    pub(crate) above: Option<SpanId>,
    /// Whether it is to be told of.
    pub(crate) is_told: bool,
}

impl Place {
    /// A span under this one.
    pub(crate) fn under(&self, span: SpanId) -> Self {
        Self { span, above: Some(self.span), ..*self }
    }

    /// A span under one of somebody else.
    pub(crate) fn under_client(parent: &TraceParent, span: SpanId) -> Self {
        let TraceParent { trace, span: above, .. } = *parent;
        Self { trace, span, above: Some(above), is_told: parent.is_sampled() }
    }
}

impl Ids {
    /// The trace that begins with a process.
    pub(crate) fn trace(&self, root: Pid) -> TraceId {
        first(&self.hash(&format!("trace {root}")))
    }

    /// The span of a process.
    pub(crate) fn process(&self, pid: Pid) -> SpanId {
        first(&self.hash(&format!("process {pid}")))
    }

    /// The span of a call.
    pub(crate) fn call(&self, call: CallId) -> SpanId {
        first(&self.hash(&format!("call {call}")))
    }

    fn hash(&self, what: &str) -> Hash {
        Hash::of(&[self.0.0.as_slice(), what.as_bytes()].concat())
    }
}

/// The first bytes of a hash. None of them is all zeros in the life of the world.
fn first<const N: usize>(hash: &Hash) -> [u8; N] {
    hash.0.first_chunk().copied().unwrap_or([1; N])
}
