//! What a model's tokens cost, and at which hours.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Usage;
use crate::unit::{MicroUsd, Timestamp, Tokens};

/// Milliseconds of half an hour.
const HALF_HOUR: u64 = 30 * 60 * 1_000;

/// Half hours of a day.
const DAY: u32 = 48;

/// The days of a week, as they are written.
pub const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What a model's tokens cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Requests of ordinary length, where nothing else holds.
    pub usual: Rates,
    /// Requests with more input than this many tokens, for all of their tokens and at any hour, where
    /// the provider asks another price for them.
    pub long: Option<(Tokens, Rates)>,
    /// Requests of ordinary length at some hours, where the provider asks another price then.
    pub off_peak: Option<OffPeak>,
}

/// Micro-dollars per million tokens of each class.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Input that no cache knew.
    pub input: MicroUsd,
    /// Input read from the cache.
    pub cache_read: MicroUsd,
    /// Input written to the cache.
    pub cache_write: MicroUsd,
    /// Output.
    pub output: MicroUsd,
}

/// Other rates outside of some hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffPeak {
    /// What holds outside of them.
    pub rates: Rates,
    /// The hours at which the usual rates hold.
    pub peak: Hours,
}

/// Half hours of a week, in UTC.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Hours([u64; 7]);

impl Price {
    /// One price for requests of any length at any hour.
    #[must_use]
    pub const fn flat(usual: Rates) -> Self {
        Self { usual, long: None, off_peak: None }
    }

    /// The cost of `usage` in a request that began at `at`, rounded up to a whole micro-dollar.
    #[must_use]
    pub fn of(&self, usage: &Usage, at: Timestamp) -> MicroUsd {
        self.rates_at(usage.input(), at).of(usage)
    }

    /// The most that `input` and `output` tokens can cost, whatever the cache does and whenever the
    /// request begins.
    #[must_use]
    pub fn worst_case(&self, input: Tokens, output: Tokens) -> MicroUsd {
        let mut rates = self.rates(input);
        let is_long = self.long.is_some_and(|(above, _)| input > above);
        if let Some(OffPeak { rates: off, .. }) = self.off_peak.filter(|_| !is_long) {
            rates = rates.dearer(off);
        }
        let dearest = rates.input.max(rates.cache_read).max(rates.cache_write);
        let usage = Usage { input_uncached: input, output, ..Usage::default() };
        Rates { input: dearest, ..rates }.of(&usage)
    }

    /// What tokens cost in a request with so much input, at the hours for which the usual price is.
    #[must_use]
    pub fn rates(&self, input: Tokens) -> Rates {
        self.long.filter(|(above, _)| input > *above).map_or(self.usual, |(_, long)| long)
    }

    /// The same in a request that begins at `at`.
    #[must_use]
    pub fn rates_at(&self, input: Tokens, at: Timestamp) -> Rates {
        let is_long = self.long.is_some_and(|(above, _)| input > above);
        let off_peak = self.off_peak.filter(|other| !is_long && !other.peak.holds(at));
        off_peak.map_or_else(|| self.rates(input), |other| other.rates)
    }
}

impl Rates {
    fn of(&self, usage: &Usage) -> MicroUsd {
        let picodollars = [
            (usage.input_uncached, self.input),
            (usage.cache_read, self.cache_read),
            (usage.cache_write, self.cache_write),
            (usage.output, self.output),
        ]
        .iter()
        .map(|(tokens, price)| u128::from(tokens.0).saturating_mul(u128::from(price.0)))
        .fold(0_u128, u128::saturating_add);
        MicroUsd(u64::try_from(picodollars.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    /// Of each class the dearer of two.
    fn dearer(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
            output: self.output.max(other.output),
        }
    }
}

impl Hours {
    /// Adds a span of every day from `days.0` to `days.1`, both counted from Monday as 0, in half hours
    /// from midnight UTC: from the first of `span` to before the second.
    #[must_use]
    pub fn and(mut self, days: (usize, usize), span: (u32, u32)) -> Self {
        let until = |half: u32| match half {
            0 => 0,
            half => u64::MAX >> (64 - half.min(DAY)),
        };
        for (at, day) in self.0.iter_mut().enumerate() {
            if (days.0..=days.1).contains(&at) {
                *day |= until(span.1) & !until(span.0);
            }
        }
        self
    }

    /// Whether a moment is in one of them.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        let halves = at.0 / HALF_HOUR;
        let (days, half) = (halves / u64::from(DAY), halves % u64::from(DAY));
        // The epoch began on a Thursday.
        let weekday = usize::try_from((days + 3) % 7).unwrap_or(0);
        self.0.get(weekday).is_some_and(|day| day >> half & 1 == 1)
    }

    /// The spans of one day.
    fn spans(day: u64) -> Vec<(u32, u32)> {
        let mut spans: Vec<(u32, u32)> = Vec::new();
        for half in (0..DAY).filter(|half| day >> half & 1 == 1) {
            match spans.last_mut() {
                Some((_, until)) if *until == half => *until = half + 1,
                _ => spans.push((half, half + 1)),
            }
        }
        spans
    }
}

/// As they are written in a file of models, the spans apart by commas: `mon-fri 01:00-04:00`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = false;
        let mut day = 0;
        while let Some(hours) = self.0.get(day).copied() {
            let alike = self.0.iter().skip(day).take_while(|other| **other == hours).count();
            let last = day + alike.max(1) - 1;
            let names = [day, last].map(|at| WEEKDAYS.get(at).copied().unwrap_or_default());
            for (from, until) in Self::spans(hours) {
                f.write_str(if said { ", " } else { "" })?;
                match names {
                    [first, last] if first == last => f.write_str(first)?,
                    [first, last] => write!(f, "{first}-{last}")?,
                }
                let clock = |half: u32| format!("{:02}:{:02}", half / 2, half % 2 * 30);
                write!(f, " {}-{}", clock(from), clock(until))?;
                said = true;
            }
            day = last + 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
