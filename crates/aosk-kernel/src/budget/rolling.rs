//! What was used in the last minute, hour or day.
//!
//! Use is kept in parts of a 120th of the span and counts until the whole span has passed since the
//! end of its part. So in no span at all, wherever it begins, is more used than the bound, and at most
//! a 120th of it is not used. A call counts from its start with what it may use at worst, as providers
//! count it, and is corrected when it ends.

use std::collections::VecDeque;

use aosk_abi::{Bounds, Limits, Millis, Resource, Scope, Spend, Timestamp, limits};
use serde::{Deserialize, Serialize};

const PARTS: u64 = 120;

const MINUTE: Millis = Millis::from_secs(60);
/// How long something counts in the minute at most: what others use may do so for longer.
const MINUTE_MAX: Millis = limits::RATE_RESET_MAX;

const HOUR: Millis = Millis::from_secs(60 * 60);
const DAY: Millis = Millis::from_secs(24 * 60 * 60);

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// There will be of this at that time, if nothing else is used.
    Until(Timestamp, Resource),
    /// It is more than there ever is.
    Never(Resource),
}

/// What was used, by when it counts no more.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Rolling(VecDeque<(Timestamp, Spend)>);

impl Rolling {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How long a part of the span is.
    fn part(span: Millis) -> u64 {
        (span.0 / PARTS).max(1)
    }

    /// When what is used at `at` counts no more.
    fn leaves(at: Timestamp, span: Millis) -> Timestamp {
        let part = Self::part(span);
        let end = (at.0 / part).saturating_add(1).saturating_mul(part);
        Timestamp(end).after(span)
    }

    /// What counts now.
    pub(crate) fn sum(&self, now: Timestamp) -> Spend {
        let counting = self.0.iter().filter(|(leaves, _)| *leaves > now);
        counting.fold(Spend::default(), |sum, (_, amount)| sum.plus(amount))
    }

    /// Whether `amount` fits beside what counts.
    pub(crate) fn room(&self, now: Timestamp, bounds: &Bounds, amount: &Spend) -> Result<(), Full> {
        if let Some(resource) = bounds.exceeded_by(amount) {
            return Err(Full::Never(resource));
        }
        let mut sum = self.sum(now).plus(amount);
        let Some(mut resource) = bounds.exceeded_by(&sum) else {
            return Ok(());
        };
        let counting = self.0.iter().filter(|(leaves, _)| *leaves > now);
        for (leaves, gone) in counting {
            sum = sum.minus(gone);
            match bounds.exceeded_by(&sum) {
                Some(still) => resource = still,
                None => return Err(Full::Until(*leaves, resource)),
            }
        }
        // Nothing counts any more, and the amount alone fits.
        Ok(())
    }

    /// Counts `amount` until `leaves`.
    fn add_until(&mut self, now: Timestamp, leaves: Timestamp, amount: &Spend) {
        while self.0.front().is_some_and(|(leaves, _)| *leaves <= now) {
            self.0.pop_front();
        }
        match self.0.binary_search_by_key(&leaves, |(leaves, _)| *leaves) {
            Ok(at) => {
                if let Some((_, sum)) = self.0.get_mut(at) {
                    *sum = sum.plus(amount);
                }
            }
            Err(at) => self.0.insert(at, (leaves, *amount)),
        }
    }

    /// The first of what counts for longer than anything used until now does.
    fn ahead(&self, now: Timestamp, longest: Millis) -> usize {
        let last = Self::leaves(now, longest);
        self.0.partition_point(|(leaves, _)| *leaves <= last)
    }

    /// Counts that as if it were used now.
    fn set_right(&mut self, now: Timestamp, (span, longest): (Millis, Millis)) {
        let ahead = self.0.drain(self.ahead(now, longest)..);
        let amount = ahead.fold(Spend::default(), |sum, (_, amount)| sum.plus(&amount));
        if amount != Spend::default() {
            self.add(now, span, &amount);
        }
    }

    fn add(&mut self, now: Timestamp, span: Millis, amount: &Spend) {
        self.add_until(now, Self::leaves(now, span), amount);
    }

    /// What began at `started` and was counted as `held` took `actual`.
    fn correct(
        &mut self,
        now: Timestamp,
        began: (Timestamp, Millis),
        held: &Spend,
        actual: &Spend,
    ) {
        let (started, span) = began;
        let leaves = Self::leaves(started, span);
        if let Ok(at) = self.0.binary_search_by_key(&leaves, |(leaves, _)| *leaves)
            && let Some((_, sum)) = self.0.get_mut(at)
        {
            *sum = sum.minus(&held.minus(actual));
        }
        let beyond = actual.minus(held);
        if beyond != Spend::default() {
            self.add(now, span, &beyond);
        }
    }
}

/// The spans of a node.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Windows {
    #[serde(default, skip_serializing_if = "Rolling::is_empty")]
    pub(crate) minute: Rolling,
    #[serde(default, skip_serializing_if = "Rolling::is_empty")]
    pub(crate) hour: Rolling,
    #[serde(default, skip_serializing_if = "Rolling::is_empty")]
    pub(crate) day: Rolling,
}

impl Windows {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those that are bounded, with their spans and bounds.
    fn bounded(&mut self, limits: &Limits) -> impl Iterator<Item = (&mut Rolling, Millis, Bounds)> {
        [
            (&mut self.minute, MINUTE, limits.per_minute),
            (&mut self.hour, HOUR, limits.per_hour),
            (&mut self.day, DAY, limits.per_day),
        ]
        .into_iter()
        .filter(|(_, _, bounds)| !bounds.is_unbounded())
    }

    /// Whether something counts for longer than anything used until now does: the clock was ahead when
    /// it was used.
    pub(crate) fn is_ahead(&self, now: Timestamp) -> bool {
        let spans = [(&self.minute, MINUTE_MAX), (&self.hour, HOUR), (&self.day, DAY)];
        spans.into_iter().any(|(rolling, longest)| rolling.ahead(now, longest) < rolling.0.len())
    }

    /// Counts what was used while the clock was ahead as if it were used now.
    pub(crate) fn set_right(&mut self, now: Timestamp) {
        self.minute.set_right(now, (MINUTE, MINUTE_MAX));
        self.hour.set_right(now, (HOUR, HOUR));
        self.day.set_right(now, (DAY, DAY));
    }

    /// Whether `amount` fits in every span; if not, the span that keeps it out for longest.
    pub(crate) fn room(
        &self,
        now: Timestamp,
        limits: &Limits,
        amount: &Spend,
    ) -> Result<(), (Scope, Full)> {
        let spans = [
            (Scope::Minute, &self.minute, limits.per_minute),
            (Scope::Hour, &self.hour, limits.per_hour),
            (Scope::Day, &self.day, limits.per_day),
        ];
        let mut last: Option<(Timestamp, Scope, Resource)> = None;
        for (scope, rolling, bounds) in spans {
            match rolling.room(now, &bounds, amount) {
                Ok(()) => {}
                Err(Full::Until(at, resource)) => {
                    if last.is_none_or(|(before, ..)| at > before) {
                        last = Some((at, scope, resource));
                    }
                }
                Err(never @ Full::Never(_)) => return Err((scope, never)),
            }
        }
        last.map_or(Ok(()), |(at, scope, resource)| Err((scope, Full::Until(at, resource))))
    }

    /// Counts what begins now.
    pub(crate) fn add(&mut self, now: Timestamp, limits: &Limits, amount: &Spend) {
        for (rolling, span, _) in self.bounded(limits) {
            rolling.add(now, span, amount);
        }
    }

    /// Counts what began at `started` in those spans that are bounded and were not `before`.
    pub(crate) fn add_newly_bounded(
        &mut self,
        started: Timestamp,
        before: &Limits,
        limits: &Limits,
        amount: &Spend,
    ) {
        let were = [before.per_minute, before.per_hour, before.per_day];
        let spans = [
            (&mut self.minute, MINUTE, limits.per_minute),
            (&mut self.hour, HOUR, limits.per_hour),
            (&mut self.day, DAY, limits.per_day),
        ];
        for ((rolling, span, bounds), was) in spans.into_iter().zip(were) {
            if was.is_unbounded() && !bounds.is_unbounded() {
                rolling.add(started, span, amount);
            }
        }
    }

    /// Counts what is used by others until that time, as far as it is known, in the minute: to the end
    /// of the part in which that is.
    pub(crate) fn add_foreign(&mut self, now: Timestamp, until: Timestamp, amount: &Spend) {
        let part = Rolling::part(MINUTE);
        let end = until.0.div_ceil(part).saturating_mul(part);
        self.minute.add_until(now, Timestamp(end), amount);
    }

    /// What began at `started` and was counted as `held` took `actual`.
    pub(crate) fn correct(
        &mut self,
        now: Timestamp,
        started: Timestamp,
        limits: &Limits,
        held: &Spend,
        actual: &Spend,
    ) {
        for (rolling, span, _) in self.bounded(limits) {
            rolling.correct(now, (started, span), held, actual);
        }
    }
}

#[cfg(test)]
mod tests {
    use aosk_abi::Tokens;
    use proptest::prelude::*;

    use super::*;

    fn tokens(amount: u64) -> Spend {
        Spend { tokens: Tokens(amount), ..Spend::default() }
    }

    fn bound(amount: u64) -> Bounds {
        Bounds { tokens: Some(Tokens(amount)), ..Bounds::default() }
    }

    #[test]
    fn use_counts_for_the_whole_span() {
        let mut used = Rolling::default();
        used.add(Timestamp(100), MINUTE, &tokens(80));
        assert_eq!(used.room(Timestamp(60_400), &bound(100), &tokens(20)), Ok(()));
        let full = Err(Full::Until(Timestamp(60_500), Resource::Tokens));
        assert_eq!(used.room(Timestamp(60_400), &bound(100), &tokens(21)), full);
        assert_eq!(used.room(Timestamp(60_500), &bound(100), &tokens(100)), Ok(()));
        let never = Err(Full::Never(Resource::Tokens));
        assert_eq!(used.room(Timestamp(60_500), &bound(100), &tokens(101)), never);
    }

    #[test]
    fn a_call_is_corrected_where_it_began_and_beyond_it_when_it_ended() {
        let mut used = Rolling::default();
        used.add(Timestamp(100), MINUTE, &tokens(80));
        used.correct(Timestamp(30_000), (Timestamp(100), MINUTE), &tokens(80), &tokens(30));
        assert_eq!(used.sum(Timestamp(30_000)), tokens(30));
        used.correct(Timestamp(30_000), (Timestamp(100), MINUTE), &tokens(30), &tokens(50));
        assert_eq!(used.sum(Timestamp(60_499)), tokens(50));
        assert_eq!(used.sum(Timestamp(60_500)), tokens(20));
    }

    #[test]
    fn what_others_use_is_kept_in_parts_and_counts_no_shorter() {
        let mut used = Windows::default();
        let last = limits::RATE_RESET_MAX.0;
        for reset in 1..=last {
            used.add_foreign(Timestamp::ZERO, Timestamp(reset), &tokens(1));
        }
        assert!(used.minute.0.len() <= 240, "{} entries", used.minute.0.len());
        for now in 0..=last {
            let counts = used.minute.sum(Timestamp(now)).tokens.0;
            assert!((last - now..last - now + 500).contains(&counts), "{counts} at {now}");
        }
    }

    proptest! {
        /// Whatever is asked for whenever, in no span is more used than the bound; and what is refused
        /// until some time has room then.
        #[test]
        fn no_span_is_overrun(asks in proptest::collection::vec((0_u64..20_000, 1_u64..60), 1..80)) {
            let mut used = Rolling::default();
            let mut began: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for (later, amount) in asks {
                now += later;
                if let Err(Full::Until(at, _)) =
                    used.room(Timestamp(now), &bound(100), &tokens(amount))
                {
                    prop_assert!(at.0 > now);
                    now = at.0;
                }
                prop_assert_eq!(used.room(Timestamp(now), &bound(100), &tokens(amount)), Ok(()));
                used.add(Timestamp(now), MINUTE, &tokens(amount));
                began.push((now, amount));
                let from = now.saturating_sub(MINUTE.0 - 1);
                let within = began.iter().filter(|(at, _)| *at >= from);
                prop_assert!(within.map(|(_, amount)| amount).sum::<u64>() <= 100);
            }
        }
    }
}
