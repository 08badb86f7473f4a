//! What is measured on a virtual clock: shares, slots in use, bounds, and what a decision costs.

use aosk::abi::{BudgetId, Limits, Pid, Tokens};
use aosk::kernel::{GroupConfig, weight};

use super::world::{Stretch, World};

/// What was measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares {
    /// The furthest that one of equal agents is from its share, as a part of it.
    pub(super) fairness_error: f64,
    /// The same of three priorities together, each of all its agents.
    pub(super) weighted_error: f64,
    /// Time of slots in use, of the time that there was while somebody waited.
    pub(super) slot_utilisation: f64,
    /// Tokens used or held beyond a bound, at worst.
    pub(super) overshoot: u64,
    /// What one decision takes, in microseconds: an answer taken in and the next call released.
    pub(super) decision_us_p50: f64,
    pub(super) decision_us_p99: f64,
    /// How many were ready then.
    pub(super) ready: u64,
    /// A part of a run, for the picture.
    pub(super) stretches: Vec<Stretch>,
}

/// How much is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Calls of the agents whose shares are measured.
    pub(super) calls: u64,
    /// Processes that are ready when decisions are timed.
    pub(super) crowd: u32,
}

const SEED: u64 = 7;

pub(super) fn measure(scale: Scale) -> Shares {
    let mut shares = Shares::default();
    equals(scale, &mut shares);
    weighted(scale, &mut shares);
    bounded(&mut shares);
    decisions(scale, &mut shares);
    shares
}

/// Sixteen equal agents on four slots.
fn equals(scale: Scale, shares: &mut Shares) {
    let mut world = World::new(4, SEED, |_| {});
    for number in 0..16 {
        world.spawn(&format!("agent-{number}"), 50, "", Limits::default());
    }
    world.run(scale.calls);
    let all: u64 = world.served.values().sum();
    let agents = ratio(all, 16);
    let furthest = world.served.values().map(|one| (f(*one) / agents - 1.0).abs());
    shares.fairness_error = furthest.fold(0.0, f64::max);
    shares.slot_utilisation = ratio(world.busy, world.offered);
    shares.stretches = world.stretches;
}

/// Ten agents of each of three priorities on four slots.
fn weighted(scale: Scale, shares: &mut Shares) {
    const PRIORITIES: [u8; 3] = [20, 50, 80];
    let mut world = World::new(4, SEED, |_| {});
    for number in 0..30 {
        let priority = PRIORITIES.get(number % 3).copied().unwrap_or(50);
        world.spawn(&format!("agent-{number}"), priority, "", Limits::default());
    }
    // The least urgent get one call in seventy, and each is of any length.
    world.run(scale.calls * 10);
    let all: u64 = world.served.values().sum();
    let weights: u64 = PRIORITIES.iter().map(|priority| weight(*priority)).sum();
    for (class, priority) in PRIORITIES.iter().enumerate() {
        let of_class = world.served.iter().filter(|(pid, _)| class_of(**pid) == class);
        let served: u64 = of_class.map(|(_, served)| served).sum();
        let error = (ratio(served, all) / ratio(weight(*priority), weights) - 1.0).abs();
        shares.weighted_error = shares.weighted_error.max(error);
    }
}

/// Pids are given in the order of the agents, from 1.
fn class_of(pid: Pid) -> usize {
    usize::try_from(pid.0.saturating_sub(1) % 3).unwrap_or(0)
}

/// A thousand agents of one tenant whose budget is enough for a part of what they want.
fn bounded(shares: &mut Shares) {
    const BOUND: u64 = 400_000;
    let limits = Limits { tokens: Some(Tokens(BOUND)), ..Limits::default() };
    let group = GroupConfig { limits, ..GroupConfig::default() };
    let mut world = World::new(64, SEED, |config| {
        config.groups.insert("tenant".to_owned(), group);
    });
    for number in 0..1_000 {
        world.spawn(&format!("agent-{number}"), 50, "tenant", Limits::default());
    }
    let mut before = u64::MAX;
    while world.answered != before {
        before = world.answered;
        world.run(1);
        let tenant = world.kernel.budget(BudgetId(2));
        let used = tenant.map_or(0, |node| node.used.plus(&node.reserved).tokens.0);
        shares.overshoot = shares.overshoot.max(used.saturating_sub(BOUND));
    }
}

/// What a decision takes when very many are ready.
fn decisions(scale: Scale, shares: &mut Shares) {
    let mut world = World::new(16, SEED, |_| {});
    for number in 0..scale.crowd {
        world.spawn(&format!("agent-{number}"), 50, "", Limits::default());
    }
    shares.ready = u64::from(scale.crowd.saturating_sub(16));
    world.run(5_000);
    let mut times: Vec<f64> = world.decisions.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times.get(times.len().saturating_sub(1) * part / 100).copied();
    shares.decision_us_p50 = at(50).unwrap_or_default();
    shares.decision_us_p99 = at(99).unwrap_or_default();
}

fn ratio(part: u64, of: u64) -> f64 {
    f(part) / f(of.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn f(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_run_is_fair_and_keeps_within_bounds() {
        let shares = measure(Scale { calls: 2_000, crowd: 200 });
        assert!(shares.fairness_error < 0.05, "{shares:?}");
        assert!(shares.weighted_error < 0.10, "{shares:?}");
        assert!(shares.slot_utilisation > 0.99, "{shares:?}");
        assert_eq!(shares.overshoot, 0);
        assert!(shares.decision_us_p99 > 0.0 && !shares.stretches.is_empty());
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let run = || {
            let mut shares = Shares::default();
            equals(Scale { calls: 300, crowd: 0 }, &mut shares);
            shares.stretches.iter().map(|one| (one.pid, one.from, one.to)).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
    }
}
