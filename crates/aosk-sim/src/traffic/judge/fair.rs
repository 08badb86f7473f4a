//! The scheduler `fair` as its documentation has it, slowly: plain maps, every candidate looked at,
//! virtual time with sixteen bits more than the kernel has.
//!
//! - What a call is expected to take is counted for its process and the groups above when it starts,
//!   and replaced by what it took when it ends.
//! - A process that asks begins where it has got to, or at the clock of its level less a bounded
//!   credit, or at the clock if it is new. So does a group that somebody below asks for.
//! - The clock of a level is the furthest start of those that were chosen there. Who is new begins ahead
//!   of it: when a call ends and others wait at that level, by what the call took, divided by the weight
//!   of who made it there and by how many have calls there that wait or run; less what the clock went on
//!   since, and at most a credit of the weight in the middle.
//! - Among groups the one goes first that has got least far; among processes the one that would be
//!   least far after its call.

use std::collections::BTreeMap;

use aosk_abi::{Pid, Price, Tokens, Usage, limits};
use aosk_kernel::{Stats, weight};

/// Virtual time that a unit of service takes at weight 1: 2^16 of the kernel's for each of its own.
const UNIT: u32 = 32;

/// By how much the kernel's virtual time may be off for each call, as it rounds down.
const ROUNDING: u128 = 4 << 16;

/// The answer that is expected of a process that had none.
const FIRST_ANSWER: u64 = 500;

/// Service in tenths of an input token, by what tokens cost.
pub(super) fn service(price: &Price, usage: &Usage) -> u64 {
    let rates = price.usual;
    let output =
        if rates.input.0 == 0 { 40 } else { (rates.output.0 * 10).div_ceil(rates.input.0) };
    usage.input().0 * 10 + usage.output.0 * output
}

/// The service that a call is expected to take.
pub(super) fn expected(price: &Price, estimate: Tokens, most: Tokens, stats: &Stats) -> u64 {
    let mean = stats.output.0.checked_div(stats.model_calls).unwrap_or(FIRST_ANSWER);
    let output = Tokens(mean.min(most.0));
    service(price, &Usage { input_uncached: estimate, output, ..Usage::default() })
}

fn time(service: u64, weight: u64) -> u128 {
    (u128::from(service) << UNIT) / u128::from(weight)
}

#[derive(Debug, Default, Clone, Copy)]
struct Level {
    /// None until somebody below it asked.
    served: Option<u128>,
    clock: u128,
    /// How far ahead of it one begins that is new.
    ahead: u128,
}

/// Who competes right under a level.
#[derive(Debug, Default)]
struct Present {
    /// Groups and processes, with how many calls they have that wait or run.
    members: BTreeMap<Result<String, Pid>, u64>,
    /// How many of the calls wait.
    waiting: u64,
}

/// One that waits or runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    start: u128,
    pub(super) expected: u64,
    since: u64,
}

/// The scheduler.
#[derive(Debug, Default)]
pub(super) struct Fair {
    served: BTreeMap<Pid, u128>,
    levels: BTreeMap<String, Level>,
    /// Weights of groups.
    weights: BTreeMap<String, u64>,
    claims: BTreeMap<Pid, Claim>,
    /// Who has a call that waits or runs, in which group, and whether it waits.
    competing: BTreeMap<Pid, (String, bool)>,
    present: BTreeMap<String, Present>,
    calls: u128,
}

/// The groups that a group lies in, itself first, up to the root, which is the empty name.
pub(super) fn path(group: &str) -> Vec<String> {
    let mut path = Vec::new();
    if !group.is_empty() {
        path.push(group.to_owned());
    }
    if let Some((tenant, _)) = group.split_once('/') {
        path.push(tenant.to_owned());
    }
    path.push(String::new());
    path
}

impl Fair {
    pub(super) fn new(groups: impl Iterator<Item = (String, u8)>) -> Self {
        let weights = groups.map(|(name, priority)| (name, weight(priority))).collect();
        Self { weights, ..Self::default() }
    }

    fn group_weight(&self, group: &str) -> u64 {
        self.weights.get(group).copied().unwrap_or_else(|| weight(50))
    }

    /// Where one begins that has got so far.
    fn begin(served: Option<u128>, level: Level, weight: u64) -> u128 {
        let credit = time(limits::SERVICE_CREDIT, weight);
        let anew = level.clock + level.ahead;
        served.map_or(anew, |served| served.max(level.clock.saturating_sub(credit)))
    }

    /// Whether a process has a call that waits or runs from now on, in which group, and whether it
    /// waits.
    pub(super) fn compete(&mut self, pid: Pid, call: Option<(String, bool)>) {
        if let Some((group, waits)) = self.competing.remove(&pid) {
            self.count(pid, &group, waits, |count, one| *count -= one);
        }
        if let Some((group, waits)) = call {
            self.count(pid, &group, waits, |count, one| *count += one);
            self.competing.insert(pid, (group, waits));
        }
    }

    fn count(&mut self, pid: Pid, group: &str, waits: bool, change: fn(&mut u64, u64)) {
        let mut member = Err(pid);
        for name in path(group) {
            let level = self.present.entry(name.clone()).or_default();
            let calls = level.members.entry(member.clone()).or_default();
            change(calls, 1);
            if *calls == 0 {
                level.members.remove(&member);
            }
            change(&mut level.waiting, u64::from(waits));
            member = Ok(name);
        }
    }

    /// A process asks.
    pub(super) fn ask(
        &mut self,
        pid: Pid,
        (group, priority): (&str, u8),
        expected: u64,
        since: u64,
    ) {
        let path = path(group);
        let home = path.first().and_then(|home| self.levels.get(home));
        let home = home.copied().unwrap_or_default();
        let start = Self::begin(self.served.get(&pid).copied(), home, weight(priority));
        self.claims.insert(pid, Claim { start, expected, since });
        for pair in path.windows(2) {
            let [below, above] = pair else { continue };
            let above = self.levels.get(above).copied().unwrap_or_default();
            let weight = self.group_weight(below);
            let level = self.levels.entry(below.clone()).or_default();
            level.served = Some(Self::begin(level.served, above, weight));
        }
    }

    /// Its call starts.
    pub(super) fn start(&mut self, pid: Pid, (group, priority): (&str, u8)) {
        let Some(claim) = self.claims.get(&pid).copied() else { return };
        self.calls += 1;
        self.served.insert(pid, claim.start + time(claim.expected, weight(priority)));
        let mut chosen = claim.start;
        for name in path(group) {
            let share = time(claim.expected, self.group_weight(&name));
            let level = self.levels.entry(name).or_default();
            let clock = level.clock.max(chosen);
            level.ahead = level.ahead.saturating_sub(clock - level.clock);
            level.clock = clock;
            chosen = level.served.unwrap_or(0);
            level.served = Some(chosen + share);
        }
    }

    /// Its attempt ends and took so much.
    pub(super) fn end(&mut self, pid: Pid, (group, priority): (&str, u8), took: u64) {
        let Some(claim) = self.claims.get(&pid).copied() else { return };
        self.served.insert(pid, claim.start + time(took, weight(priority)));
        let mut below = time(took, weight(priority));
        for name in path(group) {
            let own = self.group_weight(&name);
            let present = self.present.get(&name).filter(|present| present.waiting > 0);
            let count = present.map(|present| present.members.len() as u128);
            let level = self.levels.entry(name).or_default();
            if let Some(count) = count {
                let most = time(limits::SERVICE_CREDIT, weight(50));
                level.ahead = (level.ahead + below / count.max(1)).min(most);
            }
            below = time(took, own);
            let served = level.served.unwrap_or(0) + time(took, own);
            level.served = Some(served.saturating_sub(time(claim.expected, own)));
        }
    }

    pub(super) fn gone(&mut self, pid: Pid) {
        self.claims.remove(&pid);
        self.served.remove(&pid);
    }

    /// Why `other` should have been chosen and not `chosen`, if it should.
    pub(super) fn passes_over(
        &self,
        chosen: (Pid, &str, u8),
        other: (Pid, &str, u8),
    ) -> Option<String> {
        let way = |(pid, group, _): (Pid, &str, u8)| {
            let mut way: Vec<_> = path(group).into_iter().rev().skip(1).map(Ok).collect();
            way.push(Err(pid));
            way
        };
        let (a, b) = (way(chosen), way(other));
        let (one, two) = a.iter().zip(&b).find(|(one, two)| one != two)?;
        let far = |member: &Result<String, Pid>, priority: u8| match member {
            Ok(group) => self.levels.get(group).and_then(|level| level.served),
            Err(pid) => {
                let claim = self.claims.get(pid)?;
                Some(claim.start + time(claim.expected, weight(priority)))
            }
        };
        let (one_at, two_at) = (far(one, chosen.2)?, far(two, other.2)?);
        let exact = |at: u128| at >> 16;
        (two_at + ROUNDING * (self.calls + 1) < one_at).then(|| {
            let (one_at, two_at) = (exact(one_at), exact(two_at));
            format!("{one:?} at {one_at} before {two:?} at {two_at}")
        })
    }

    /// Which of two processes of the same policy without levels goes first.
    pub(super) fn since(&self, pid: Pid) -> u64 {
        self.claims.get(&pid).map_or(0, |claim| claim.since)
    }
}
