//! Providers: they write token by token, stop where they are asked to, refuse in storms, are gone for
//! a while, and count what they were asked, or say so.
//!
//! The answer to a call is a function of the call alone. A provider that can go on from what was begun
//! appends the rest to it; one that cannot begins anew behind it, as such models do.

use aosk_abi::{
    Body, CallId, ErrorCode, Failure, FailureClass, FinishReason, Gauge, Message, Millis,
    ModelOutcome, ModelReply, RateReport, Timestamp, Tokens, Usage,
};

use super::case::Traffic;
use crate::case::BEGIN;
use crate::faults::Feature;
use crate::rng::About;

/// A span in which a provider is out of order or not.
const SPELL: u64 = 20_000;

/// How long a provider takes to refuse, to stop, or to notice that nobody listens.
const SHORT: Millis = Millis(20);

/// An attempt that a provider works on.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) call: CallId,
    pub(super) number: u32,
    pub(super) device: String,
    pub(super) continues: bool,
    /// What it goes on from.
    pub(super) begun: String,
    pub(super) input: Tokens,
    pub(super) started: Timestamp,
}

/// The answer to a call.
pub(super) fn whole(case: &Traffic, call: CallId) -> String {
    let length = case.length(call.pid.0, call.number);
    let mut rng = case.rng(About::Token, &[call.pid.0, u64::from(call.number)]);
    let letter = |_| char::from(b'a' + u8::try_from(rng.below(26)).unwrap_or(0));
    (0..length).map(letter).collect()
}

impl Attempt {
    /// What it will report, and when.
    pub(super) fn report(&self, case: &Traffic, calm: bool) -> (Millis, ModelOutcome) {
        if !calm && let Some(failure) = self.refusal(case) {
            return (SHORT, ModelOutcome::Failed(failure));
        }
        let whole = whole(case, self.call);
        let new = self.left(&whole);
        let took = Millis(case.pace(&self.device).saturating_mul(new.max(1)) / 1_000);
        let usage = self.usage(case, new);
        let text = if self.continues { whole } else { format!("{}{whole}", self.begun) };
        let body = Body::new(Message::assistant(text));
        let reply = ModelReply { body, usage, finish: FinishReason::Stop };
        (SHORT + took, ModelOutcome::Answered(Box::new(reply)))
    }

    /// What it has when it is asked to stop.
    pub(super) fn stopped(&self, case: &Traffic, now: Timestamp) -> (Millis, ModelOutcome) {
        let whole = whole(case, self.call);
        let written = self.written(case, now);
        let usage = self.usage(case, written);
        let has = self.begun.len().saturating_add(usize::try_from(written).unwrap_or(0));
        let begun = whole.get(..has).filter(|text| self.continues && !text.is_empty());
        let begun = begun.map(|text| Body::new(Message::assistant(text.to_owned())));
        (SHORT, ModelOutcome::Yielded { begun, usage })
    }

    /// What had come of it when it is cut off.
    pub(super) fn cut_off(&self, case: &Traffic, now: Timestamp) -> (Millis, ModelOutcome) {
        (SHORT, ModelOutcome::Cancelled { output: Tokens(self.written(case, now)) })
    }

    /// How many tokens it has written.
    fn written(&self, case: &Traffic, now: Timestamp) -> u64 {
        let ran = now.since(self.started).saturating_sub(SHORT);
        let left = self.left(&whole(case, self.call));
        (ran.0.saturating_mul(1_000) / case.pace(&self.device)).min(left)
    }

    /// How many tokens it still has to write.
    fn left(&self, whole: &str) -> u64 {
        let all = u64::try_from(whole.len()).unwrap_or(0);
        let begun = u64::try_from(self.begun.len()).unwrap_or(0);
        if self.continues { all.saturating_sub(begun) } else { all }
    }

    fn usage(&self, case: &Traffic, output: u64) -> Usage {
        let parts = [self.call.pid.0, u64::from(self.call.number), u64::from(self.number)];
        let mut rng = case.rng(About::Provider, &parts);
        let more = case.has(Feature::Overuse) && rng.chance(50);
        let input = if more { Tokens(self.input.0 * 3) } else { self.input };
        Usage { input_uncached: input, output: Tokens(output), ..Usage::default() }
    }

    fn refusal(&self, case: &Traffic) -> Option<Failure> {
        let spell = self.started.since(BEGIN).0 / SPELL;
        let device = u64::from(self.device.ends_with('a'));
        let mut rng = case.rng(About::Provider, &[device, spell, 7]);
        let failure = |class, code, retry_after| Failure {
            class,
            code,
            message: "asking the simulated model: it was told to fail".to_owned(),
            hint: String::new(),
            retry_after,
            usage: None,
        };
        if case.has(Feature::Outages) && rng.chance(150) {
            let (class, code) = (FailureClass::Transient, ErrorCode::ModelUnreachable);
            return Some(failure(class, code, None));
        }
        if case.has(Feature::RateLimits) && rng.chance(150) {
            let asked = rng.chance(500).then(|| Millis(rng.between(500, 30_000)));
            let (class, code) = (FailureClass::RateLimited, ErrorCode::ModelRateLimited);
            return Some(failure(class, code, asked));
        }
        None
    }
}

/// What a provider says of its rates after a call, if it does: a limit, and what is left of it by its
/// own count. Others use the account, too. One that lies says anything.
pub(super) fn told(case: &Traffic, call: CallId, limit: u64, used: u64) -> Option<RateReport> {
    let parts = [call.pid.0, u64::from(call.number), 8];
    let mut rng = case.rng(About::Provider, &parts);
    let mut gauge = |limit: u64, remaining: u64, reset: u64| {
        let limit = rng.chance(800).then_some(limit);
        Some(Gauge { limit, remaining, reset: Millis(reset) })
    };
    if !case.has(Feature::Liars) {
        let requests = gauge(limit, limit.saturating_sub(used.saturating_add(1)), 60_000);
        return Some(RateReport { requests, tokens: None });
    }
    let mut rng = case.rng(About::Provider, &[call.pid.0, u64::from(call.number), 9]);
    let mut any = || rng.pick(&[0, 1, 5, 1_000_000, u64::MAX]).copied().unwrap_or(0);
    let requests = gauge(any(), any(), any());
    Some(RateReport { requests, tokens: gauge(any(), any(), any()) })
}
