//! Which device of a route a call goes to, as the documentation has it, slowly: every device is held
//! against the one that was chosen.
//!
//! - A device is passed over if the call does not fit its window, unless it fits none.
//! - By cost the one is better where the call is expected to cost less: what it has of the conversation
//!   in its cache at the price of reading, the rest of the input and an answer of the usual length at
//!   theirs. By quality the better class comes first, by latency the one that writes such an answer
//!   faster. Those on which the call failed come after all others, and among equals the order decides.
//! - While a better one is only busy, a call waits for it for as long as the route says.
//!
//! Conversations only grow in this world and nothing is cut from them, so what a device was sent last is
//! the beginning of what it is sent next.

use std::collections::BTreeMap;

use aosk_abi::{CallId, Choice, Millis, Pid, Quality, Timestamp, Tokens, Usage, limits};
use aosk_kernel::{Kernel, Process, Route, State};

use super::Judge;
use super::device::Device;
use crate::checker::{Rule, ensure};
use crate::reference::Breaker;
use crate::traffic::case::{OUTPUT_MAX, ROUTE};

/// What is known of devices and calls for this.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What each process sent to each device last, and when.
    sent: BTreeMap<(Pid, String), (Tokens, Timestamp)>,
    /// Since when processes wait for a slot.
    came: BTreeMap<Pid, Timestamp>,
    /// Microseconds of a token, and when that was measured last.
    pace: BTreeMap<String, (u64, Timestamp)>,
}

/// What is better is less.
type Key = (bool, u8, u64, usize);

impl Known {
    pub(super) fn answered(&mut self, now: Timestamp, device: &str, took: Millis, output: Tokens) {
        let pace = self.pace.entry(device.to_owned()).or_insert((20_000, now));
        let seen = took.0 * 1_000 / output.0.max(1);
        *pace = (((pace.0 * 7 + seen) / 8).max(1), now);
    }

    pub(super) fn failed(&mut self, pid: Pid, device: &str) {
        self.sent.remove(&(pid, device.to_owned()));
    }

    pub(super) fn gone(&mut self, pid: Pid) {
        self.came.remove(&pid);
        self.sent.retain(|(of, _), _| *of != pid);
    }

    /// Where a process is now.
    pub(super) fn place(&mut self, pid: Pid, process: &Process) {
        match (&process.state, process.stats.times.phase) {
            (State::Ready { .. }, Some((_, since))) => {
                self.came.insert(pid, since);
            }
            _ => {
                self.came.remove(&pid);
            }
        }
    }

    fn micros(&self, now: Timestamp, device: &str) -> u64 {
        match self.pace.get(device) {
            Some((pace, at)) if now.since(*at) <= limits::PACE_LIFETIME => *pace,
            Some((pace, _)) => (*pace).min(20_000),
            None => 20_000,
        }
    }
}

/// Whether nothing but its calls keeps a device from taking one more.
fn is_only_busy(device: &Device, now: Timestamp) -> bool {
    let closed = matches!(device.breaker, Breaker::Closed(_));
    closed && now >= device.until && !device.admits(now)
}

impl Judge<'_> {
    fn rule(&self) -> Option<&Route> {
        self.config.routes.get(ROUTE)
    }

    /// How good a device is for the call of a process.
    fn key(&self, now: Timestamp, (pid, process): (Pid, &Process), name: &str) -> Option<Key> {
        let route = self.rule()?;
        let call = process.state.call()?;
        let at = route.backends.iter().position(|(device, _)| device == name)?;
        let failed = call.failed_on.iter().any(|device| **device == *name);
        let model = self.model(name);
        let answers = process.stats.model_calls;
        let output = process.stats.output.0.checked_div(answers).unwrap_or(500).min(OUTPUT_MAX.0);
        let cost = || {
            let sent = self.route.sent.get(&(pid, name.to_owned()));
            let cached = sent.filter(|(tokens, at)| {
                tokens.0 >= u64::from(model.cache.minimum) && now.since(*at) <= model.cache.lifetime
            });
            let cache_read = cached.map_or(Tokens::ZERO, |(tokens, _)| *tokens).min(call.input);
            let input_uncached = Tokens(call.input.0 - cache_read.0);
            let output = Tokens(output);
            model.price.of(&Usage { input_uncached, cache_read, output, ..Usage::default() }, now).0
        };
        let class = match model.quality {
            Some(Quality::High) => 0,
            Some(Quality::Medium) => 1,
            Some(Quality::Low) => 2,
            None => 3,
        };
        Some(match route.choice {
            Choice::InOrder | Choice::ByWeight => (failed, 0, 0, at),
            Choice::ByCost => (failed, 0, cost(), at),
            Choice::ByQuality => (failed, class, cost(), at),
            Choice::ByLatency => (failed, 0, self.route.micros(now, name) * output / 1_000, at),
        })
    }

    /// Whether the call of a process fits the window of a device, or none.
    fn fits(&self, process: &Process, name: &str) -> bool {
        let Some(call) = process.state.call() else { return true };
        let takes = |name: &str| {
            self.model(name).context.is_none_or(|most| call.input + OUTPUT_MAX <= most)
        };
        takes(name) || !self.backends().iter().any(|other| takes(other))
    }

    /// A call starts on a device: no better one could have had it, or will soon.
    pub(super) fn check_choice(
        &mut self,
        kernel: &Kernel,
        now: Timestamp,
        id: CallId,
        chosen: &str,
    ) -> Result<(), Rule> {
        let came = self.route.came.remove(&id.pid).unwrap_or(now);
        let (Some(route), Some(process)) = (self.rule(), kernel.process(id.pid)) else {
            return Ok(());
        };
        let (choice, wait) = (route.choice, route.wait);
        let sent = process.state.call().map_or(Tokens::ZERO, |call| call.estimate);
        ensure(self.fits(process, chosen), "a call goes where it fits", || {
            format!("{id} goes to {chosen}")
        })?;
        let key = self.key(now, (id.pid, process), chosen);
        let mut seen = Vec::new();
        for name in self.backends() {
            let better = self.key(now, (id.pid, process), name);
            let is_better = *name != chosen && better < key && self.fits(process, name);
            let Some(device) = self.devices.get(*name).filter(|device| is_better && !device.told)
            else {
                continue;
            };
            if choice == Choice::ByWeight {
                continue;
            }
            let input = process.state.call().map_or(Tokens::ZERO, |call| call.input);
            let room =
                self.ledger.has_room(now, &self.scopes(id.pid, name), &self.worst(name, input));
            ensure(!(device.admits(now) && room), "a route chooses by its rule", || {
                format!("{id} goes to {chosen} {key:?} at {now:?} and not to {name} {better:?}")
            })?;
            let promised =
                self.devices.get(chosen).is_some_and(|device| device.promised == Some(id.pid));
            let waits = is_only_busy(device, now)
                && !better.is_some_and(|(failed, ..)| failed)
                && now < came.after(wait)
                && !promised;
            ensure(!waits, "a call waits for the better device that is busy", || {
                format!(
                    "{id} goes to {chosen} {key:?} at {now:?}, came at {came:?}, and not to {name} {better:?}"
                )
            })?;
            seen.push(if wait > Millis::ZERO {
                "took the worse after its wait"
            } else {
                "took the worse"
            });
        }
        self.seen.extend(seen);
        if choice != Choice::InOrder && choice != Choice::ByWeight {
            self.seen.insert("chosen by rule");
        }
        self.route.sent.insert((id.pid, chosen.to_owned()), (sent, now));
        Ok(())
    }

    /// Whether somebody who waits has a reason not to go to a device that is free.
    pub(super) fn waits_by_rule(&self, kernel: &Kernel, now: Timestamp, free: &str) -> bool {
        self.queue.iter().any(|pid| self.declines(kernel, now, *pid, free))
    }

    /// Whether the second of two may stand behind somebody who declines a device, and the first does not:
    /// they wait in other queues, since their calls fit other devices.
    pub(super) fn stands_behind(
        &self,
        kernel: &Kernel,
        now: Timestamp,
        (first, second): (Pid, Pid),
        free: &str,
    ) -> bool {
        let takers = |pid: Pid| {
            let fits = |process, name: &&str| self.fits(process, name);
            let process = kernel.process(pid)?;
            Some(self.backends().iter().map(|name| fits(process, name)).collect::<Vec<_>>())
        };
        takers(first) != takers(second) && self.waits_by_rule(kernel, now, free)
    }

    /// Whether a process that waits has a reason not to go to a device that is free: its call does not
    /// fit there, or a better one is busy.
    pub(super) fn declines(&self, kernel: &Kernel, now: Timestamp, pid: Pid, free: &str) -> bool {
        let (Some(route), Some(process)) = (self.rule(), kernel.process(pid)) else { return false };
        let came = self.route.came.get(&pid).copied().unwrap_or(now);
        let key = self.key(now, (pid, process), free);
        let is_better = |name: &&&str| {
            let other = self.key(now, (pid, process), name);
            other < key && !other.is_some_and(|(failed, ..)| failed)
        };
        let mut better = self.backends().iter().filter(is_better);
        let busy =
            |name: &&str| self.devices.get(*name).is_some_and(|device| is_only_busy(device, now));
        !self.fits(process, free) || (now < came.after(route.wait) && better.any(busy))
    }
}
