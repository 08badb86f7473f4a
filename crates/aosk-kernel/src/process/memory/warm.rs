//! What providers have of a conversation in their prefix caches, device by device, as far as can be known
//! from what was sent to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use aosk_abi::{Timestamp, Tokens};

use super::super::ModelCall;
use super::Memory;
use crate::memory::CacheRules;

/// The prefixes at devices, by the devices' names.
#[derive(Debug, Default, Clone)]
pub(super) struct Warm(BTreeMap<Arc<str>, Prefix>);

/// A prefix in a cache.
#[derive(Debug, Clone, Copy)]
struct Prefix {
    /// Leading tokens, by estimate, that are as they were sent there last.
    tokens: Tokens,
    /// When that was.
    sent: Timestamp,
}

impl Memory {
    /// Leading tokens of a call that the device has in its cache, as the provider is expected to count
    /// them.
    pub(crate) fn prefix_at(
        &self,
        device: &str,
        call: &ModelCall,
        rules: &CacheRules,
        now: Timestamp,
    ) -> Tokens {
        let Some(prefix) = self.warm.0.get(device) else {
            return Tokens::ZERO;
        };
        let tokens = self.scaled(prefix.tokens.min(self.common_with_last(call)));
        let lives = now.since(prefix.sent) <= rules.lifetime;
        if lives && tokens.0 >= u64::from(rules.minimum) {
            tokens.min(call.input)
        } else {
            Tokens::ZERO
        }
    }

    /// A call goes to its device: that has all of it in its cache then, and others what it has in common
    /// with what was sent to them.
    pub(super) fn warm_up(&mut self, call: &ModelCall, now: Timestamp) {
        let common = self.common_with_last(call);
        for prefix in self.warm.0.values_mut() {
            prefix.tokens = prefix.tokens.min(common);
        }
        self.warm.0.retain(|_, prefix| prefix.tokens > Tokens::ZERO);
        self.warm.0.insert(call.device().into(), Prefix { tokens: call.estimate, sent: now });
    }

    /// The same of a call that somebody outside asks.
    pub(crate) fn relayed(&mut self, call: &ModelCall, now: Timestamp) {
        self.warm_up(call, now);
    }

    /// Nobody knows what the device has in its cache.
    pub(crate) fn forget_prefix(&mut self, device: &str) {
        self.warm.0.remove(device);
    }

    /// What a call has in common with the one before it, whichever device had that. What somebody
    /// outside asks is taken to go on from what they asked last.
    fn common_with_last(&self, call: &ModelCall) -> Tokens {
        if call.relayed {
            return call.estimate;
        }
        match &self.last {
            Some(last) if last.options.tools != call.options.tools => Tokens::ZERO,
            Some(_) => self.space.unchanged().tokens,
            None => Tokens::ZERO,
        }
    }
}
