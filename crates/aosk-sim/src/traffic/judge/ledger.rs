//! The books of what is bounded: every node of the budget tree, and every device whose rates are.
//!
//! A call counts from its start with the most that it may use, and with what it used when it has
//! ended; what it used beyond that counts from its end. In no span, wherever it begins, may more have
//! been started than the bound. Here every call is remembered by itself and to the millisecond; the
//! kernel counts in parts of a span, and may be a part of a 120th stricter.

use std::collections::BTreeMap;

use aosk_abi::{Bounds, CallId, Limits, Millis, Pid, Spend, Timestamp};

use crate::checker::Rule;

const MINUTE: Millis = Millis::from_secs(60);
const HOUR: Millis = Millis::from_secs(60 * 60);
const DAY: Millis = Millis::from_secs(24 * 60 * 60);

/// What is bounded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// A tenant or a group.
    Group(String),
    /// The node of one process.
    Own(Pid),
    /// The rates of a device.
    Device(String),
}

/// One attempt: the call, the attempt, and whether it is what was used beyond the worst case.
type Key = (CallId, u32, bool);

/// What was used in one span.
#[derive(Debug)]
struct Span {
    length: Millis,
    uses: BTreeMap<(Timestamp, Key), Spend>,
}

impl Span {
    fn new(length: Millis) -> Self {
        Self { length, uses: BTreeMap::new() }
    }

    /// What counts now, and what counts if every use does for a part of the span longer.
    fn sums(&self, now: Timestamp) -> (Spend, Spend) {
        let slack = Millis(self.length.0 / 120 + 1);
        let mut sums = (Spend::default(), Spend::default());
        for ((at, _), spend) in &self.uses {
            let age = now.since(*at);
            if age < self.length {
                sums.0 = sums.0.plus(spend);
            }
            if age < self.length + slack {
                sums.1 = sums.1.plus(spend);
            }
        }
        sums
    }

    fn forget_old(&mut self, now: Timestamp) {
        let kept = Millis(self.length.0 + self.length.0 / 60 + 2);
        self.uses.retain(|(at, _), _| now.since(*at) < kept);
    }
}

/// One node.
#[derive(Debug)]
struct Node {
    limits: Limits,
    used: Spend,
    held: Spend,
    spans: [Span; 3],
}

impl Node {
    fn new(limits: Limits) -> Self {
        let spans = [MINUTE, HOUR, DAY].map(Span::new);
        Self { limits, used: Spend::default(), held: Spend::default(), spans }
    }

    fn bounds(&self) -> [Bounds; 3] {
        [self.limits.per_minute, self.limits.per_hour, self.limits.per_day]
    }

    /// Why an attempt may not start that may use so much, if it may not. `surely` asks whether it may
    /// by the strictest reading.
    fn refuses(
        &self,
        now: Timestamp,
        amount: &Spend,
        is_device: bool,
        surely: bool,
    ) -> Option<String> {
        let all = self.used.plus(&self.held).plus(amount);
        if let Some(resource) = self.limits.exceeded_by(&all) {
            return Some(format!("{} in all: {all:?}, bounds {:?}", resource.word(), self.limits));
        }
        for (span, bounds) in self.spans.iter().zip(self.bounds()) {
            // A device takes a call that is larger than its rate when nothing else is used.
            let counted = if is_device && span.length == MINUTE {
                let tokens = bounds.tokens.map_or(amount.tokens, |bound| bound.min(amount.tokens));
                Spend { tokens, ..*amount }
            } else {
                *amount
            };
            let (now_sum, late_sum) = span.sums(now);
            let sum = if surely { late_sum } else { now_sum }.plus(&counted);
            if let Some(resource) = bounds.exceeded_by(&sum) {
                let (word, length) = (resource.word(), span.length);
                return Some(format!("{word} in {length}: {sum:?}, bounds {bounds:?}"));
            }
        }
        let resource = self.limits.per_call.exceeded_by(amount)?;
        Some(format!("{} in one call: {amount:?}", resource.word()))
    }
}

/// All nodes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    nodes: BTreeMap<Scope, Node>,
}

impl Ledger {
    pub(super) fn bound(&mut self, scope: Scope, limits: Limits) {
        self.nodes.entry(scope).or_insert_with(|| Node::new(limits)).limits = limits;
    }

    pub(super) fn limits(&self, scope: &Scope) -> Option<Limits> {
        self.nodes.get(scope).map(|node| node.limits)
    }

    /// Whether all bounded nodes surely have room for the amount.
    pub(super) fn has_room(&self, now: Timestamp, scopes: &[Scope], amount: &Spend) -> bool {
        scopes.iter().all(|scope| self.refuses(now, scope, amount, /*surely*/ true).is_none())
    }

    fn refuses(
        &self,
        now: Timestamp,
        scope: &Scope,
        amount: &Spend,
        surely: bool,
    ) -> Option<String> {
        let is_device = matches!(scope, Scope::Device(_));
        let node = self.nodes.get(scope).filter(|node| !node.limits.is_unbounded())?;
        node.refuses(now, amount, is_device, surely).map(|why| format!("{scope:?}: {why}"))
    }

    /// An attempt starts that may use so much.
    pub(super) fn start(
        &mut self,
        now: Timestamp,
        scopes: &[Scope],
        (call, attempt): (CallId, u32),
        held: &Spend,
    ) -> Result<(), Rule> {
        for scope in scopes {
            if let Some(why) = self.refuses(now, scope, held, /*surely*/ false) {
                let rule = match scope {
                    Scope::Device(_) => "no rate is overrun in any span",
                    Scope::Group(_) | Scope::Own(_) => "no budget is overshot",
                };
                return Err(Rule(rule, format!("{call} at {now:?}: {why}")));
            }
            let Some(node) = self.nodes.get_mut(scope) else { continue };
            node.held = node.held.plus(held);
            for (span, bounds) in node.spans.iter_mut().zip([
                node.limits.per_minute,
                node.limits.per_hour,
                node.limits.per_day,
            ]) {
                span.forget_old(now);
                if !bounds.is_unbounded() {
                    span.uses.insert((now, (call, attempt, false)), *held);
                }
            }
        }
        Ok(())
    }

    /// An attempt that began at `started` has ended with so much.
    pub(super) fn end(
        &mut self,
        (started, now): (Timestamp, Timestamp),
        scopes: &[Scope],
        (call, attempt): (CallId, u32),
        (held, actual): (&Spend, &Spend),
    ) {
        // An attempt is an attempt in the spans, whether the call ends with it or not.
        let in_span = Spend { calls: held.calls, ..*actual };
        let beyond = in_span.minus(held);
        for scope in scopes {
            let Some(node) = self.nodes.get_mut(scope) else { continue };
            node.held = node.held.minus(held);
            node.used = node.used.plus(actual);
            for span in &mut node.spans {
                if let Some(counted) = span.uses.get_mut(&(started, (call, attempt, false))) {
                    *counted = in_span.minus(&beyond);
                    if beyond != Spend::default() {
                        span.uses.insert((now, (call, attempt, true)), beyond);
                    }
                }
            }
        }
    }
}
