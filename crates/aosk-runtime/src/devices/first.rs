//! When the first piece of an answer comes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aosk_abi::CallId;

use crate::meter::Meter;

/// The first token of one call, which is counted once.
#[derive(Debug)]
pub(super) struct FirstToken {
    meter: Meter,
    call: CallId,
    device: String,
    began: Duration,
    has_come: AtomicBool,
}

impl FirstToken {
    /// Of a call that begins now.
    pub(super) fn new(meter: Meter, call: CallId, device: &str) -> Self {
        let began = meter.now();
        Self { meter, call, device: device.to_owned(), began, has_come: AtomicBool::new(false) }
    }

    /// A piece came.
    pub(super) fn came(&self) {
        if !self.has_come.swap(true, Ordering::Relaxed) {
            let after = self.meter.now().saturating_sub(self.began);
            self.meter.first_token(self.call, &self.device, after);
        }
    }
}
