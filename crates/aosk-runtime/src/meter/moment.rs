//! What facts do not say of calls in flight, for whoever follows the journal and wants to know: which
//! device a call went to, how long it waited for it, and when its first token came.
//!
//! It is told while it happens and kept nowhere. Whoever is slow misses some; nobody is waited for.

use std::time::Duration;

use aosk_abi::{CallId, Millis, Timestamp};
use tokio::sync::broadcast;

use crate::trace::TraceParent;

/// Moments that a slow follower may fall behind before it misses some. Each is a few words.
const MOMENTS_MAX: usize = 16_384;

/// Something that happened to a model call. Of each call it comes before the fact of its end is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The call.
    pub call: CallId,
    /// What.
    pub what: Happening,
}

/// What happened to a model call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// It was given a slot.
    Slot {
        /// When.
        at: Timestamp,
        /// Of which device.
        device: String,
        /// Which attempt it is.
        attempt: u32,
        /// How long it had waited for one since the last.
        waited: Millis,
        /// The span of the client that asks, if it said one.
        parent: Option<TraceParent>,
    },
    /// The first piece of its answer came, so long after it was sent.
    FirstToken(Duration),
}

/// Where moments are told.
#[derive(Debug)]
pub(crate) struct Moments(broadcast::Sender<Moment>);

impl Default for Moments {
    fn default() -> Self {
        Self(broadcast::Sender::new(MOMENTS_MAX))
    }
}

impl Moments {
    /// Tells whoever listens. What is to be told is made only if anybody does.
    pub(crate) fn tell(&self, call: CallId, what: impl FnOnce() -> Happening) {
        if self.0.receiver_count() > 0 {
            let _unheard = self.0.send(Moment { call, what: what() });
        }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Moment> {
        self.0.subscribe()
    }
}
