//! Why a process waits for a slot of a model, or what the model does for it.

use std::collections::BTreeMap;

use aosk_abi::{CallId, Error, MicroUsd, Pid, PreemptCause, Spend, Timestamp};
use aosk_kernel::{
    Asked, BudgetView, Levels, Line, ModelCall, Policy, Process, Span, State, line, policy,
};

use super::past::Past;
use super::{NAME_MAX, Scene, Why};
use crate::words::{cut, money, plural, route_figure};

impl Scene<'_> {
    pub(super) fn running(
        &self,
        pid: Pid,
        call: &ModelCall,
        (deadline, asked): (Timestamp, Asked),
    ) -> Result<Why, Error> {
        let device = call.device().to_owned();
        let ran = self.now.since(call.started);
        let (number, attempt) = (call.number, call.attempt);
        let says = match asked {
            Asked::Yield => format!("gives up its slot of {device} for another, and goes on later"),
            Asked::Late => format!(
                "is running: {device} has not answered its call c{number} (attempt {attempt}) in \
                 time, and is cut off"
            ),
            Asked::Nothing => format!(
                "is running: {device} has worked on its call c{number} (attempt {attempt}) for \
                 {ran}, and is given up {}",
                self.when(deadline)
            ),
        };
        let says = format!("{says}{}", self.chosen(pid, call)?);
        Ok(Why { until: Some(deadline), device: Some(device), ..Why::new("running", says) })
    }

    /// Why this model of its route was asked; nothing if its name leads to one alone.
    fn chosen(&self, pid: Pid, call: &ModelCall) -> Result<String, Error> {
        let past = Past::read(self.reader, BTreeMap::new())?;
        let routed = past.routed.get(&CallId { pid, number: call.number });
        let Some(routed) = routed.filter(|routed| routed.device == call.device()) else {
            return Ok(String::new());
        };
        let figure = |figure| route_figure(routed.by, figure);
        let others = routed.passed.iter().map(|one| {
            format!("{}{} ({})", cut(&one.device, NAME_MAX), figure(one.figure), one.why.word())
        });
        let others: Vec<String> = others.collect();
        let over =
            if others.is_empty() { String::new() } else { format!(", not {}", others.join(", ")) };
        let route = cut(&call.options.model, NAME_MAX);
        Ok(format!(
            "; the route {route} chose it by {}{}{over}",
            routed.by.word(),
            figure(routed.figure)
        ))
    }

    /// Until when the first of a queue waits for a better model of its route while a worse one may be
    /// free.
    fn better_until(&self, process: &Process, model: &str) -> Option<Timestamp> {
        let route = self.around.routes.get(model)?;
        let (_, came) = process.stats.times.phase?;
        Some(came.after(route.wait)).filter(|until| *until > self.now)
    }

    /// It wants a slot and has none.
    pub(super) fn ready(
        &self,
        pid: Pid,
        process: &Process,
        call: &ModelCall,
    ) -> Result<Why, Error> {
        let model = call.options.model.as_str();
        let asked = self.live.iter().filter_map(|(pid, process)| {
            let call = process.state.call()?;
            Some((CallId { pid: *pid, number: call.number }, call.options.model.clone()))
        });
        let past = Past::read(self.reader, asked.collect())?;
        let named = past.policy.as_deref().unwrap_or(&self.around.policy);
        let policy = policy(named)?;
        let pool = self.pool(model);
        let line = self.line(policy, model, &pool);
        let ahead = line.ahead_of(pid).to_vec();
        let slot = self.slot(call);
        let held = self.held_back(&past, call);
        let (reason, mut says, until) = match held {
            Some((reason, what, until)) => (reason, format!("{slot}: {what}"), Some(until)),
            None => ("slot", slot, None),
        };
        if let Some(first) = ahead.first() {
            let others = plural(ahead.len() as u64, "other");
            says.push_str(&format!(
                ", behind {others}, the first of which is {}",
                self.named(*first)
            ));
            if let Some(tenant) = self.has_had_more(policy, &pool, process, *first) {
                says.push_str(&format!(
                    "; {tenant} has had more of {model} than its share, and the other is behind"
                ));
            }
        }
        let (reason, says) = match past.preempted.get(&CallId { pid, number: call.number }) {
            Some((by, cause, at)) if call.preempted > 0 => {
                let why = match cause {
                    PreemptCause::Urgent => "which is more urgent",
                    PreemptCause::Slice => "as its time slice was over",
                };
                let ago = self.now.since(*at);
                let by = self.named(*by);
                let cut = format!("was preempted {ago} ago by {by}, {why}, and {says}");
                (if reason == "slot" { "preempted" } else { reason }, cut)
            }
            _ => (reason, says),
        };
        let running = self.running_on(model);
        let says = match (running.as_slice(), ahead.is_empty(), reason) {
            ([], true, "slot" | "preempted") if self.around.runs => {
                format!("{says}, and is next: nobody is before it and no call runs there")
            }
            ([only], _, "slot" | "preempted") => {
                format!("{says}; {} runs there", self.named(*only))
            }
            ([first, ..], _, "slot" | "preempted") => {
                let count = plural(running.len() as u64, "call");
                format!("{says}; {count} run there, the oldest that of {}", self.named(*first))
            }
            _ => says,
        };
        let says = match self.better_until(process, model) {
            Some(better) if reason == "slot" && ahead.is_empty() => {
                let when = self.when(better);
                format!("{says}; it takes any that is free {when}, and only a better one before")
            }
            _ => says,
        };
        let device = Some(model.to_owned());
        let ahead = ahead.into_iter().filter(|pid| self.sees(*pid)).collect();
        Ok(Why { until, device, ahead, ..Why::new(reason, says) })
    }

    fn slot(&self, call: &ModelCall) -> String {
        format!("waits for a slot of {}", call.options.model)
    }

    /// The devices that may answer to a name, as far as the configuration says.
    fn devices(&self, model: &str) -> Vec<String> {
        match self.around.routes.get(model) {
            Some(route) => route.backends.iter().map(|(name, _)| name.clone()).collect(),
            None => vec![model.to_owned()],
        }
    }

    /// The name under which groups are served of the model: that of the first device of its pool.
    fn pool(&self, model: &str) -> String {
        let known =
            |name: &String| self.budgets.values().any(|node| node.pools().any(|pool| pool == name));
        let mut names = self.devices(model);
        names.push(model.to_owned());
        names.sort_unstable();
        names.into_iter().find(known).unwrap_or_else(|| model.to_owned())
    }

    fn line(&self, policy: &dyn Policy, model: &str, pool: &str) -> Line {
        let ready = self.live.iter().filter(|(_, process)| {
            matches!(&process.state, State::Ready { call } if call.options.model == model)
        });
        let ready: BTreeMap<_, _> = ready.map(|(pid, one)| (*pid, one.clone())).collect();
        line(policy, &ready, &self.budgets, pool)
    }

    /// Whose calls run on the devices of a name, the one that began first at the front.
    fn running_on(&self, model: &str) -> Vec<Pid> {
        let devices = self.devices(model);
        let mut running: Vec<(Timestamp, Pid)> = Vec::new();
        for (pid, process) in &self.live {
            if let State::Running { call, .. } = process.state.inner()
                && (call.options.model == model || devices.iter().any(|name| name == call.device()))
            {
                running.push((call.started, *pid));
            }
        }
        running.sort_unstable();
        running.into_iter().map(|(_, pid)| pid).collect()
    }

    /// What holds all calls of the model back, as far as rows and journal say: one word, the sentence,
    /// and until when.
    fn held_back(
        &self,
        past: &Past,
        call: &ModelCall,
    ) -> Option<(&'static str, String, Timestamp)> {
        let model = &call.options.model;
        let health = past.health(model);
        if let Some(until) = health.open_until.filter(|until| *until > self.now) {
            let when = self.when(until);
            let what = format!("it failed too often and is left alone; one call tries it {when}");
            return Some(("circuit", what, until));
        }
        if let Some(until) = health.refused_until.filter(|until| *until > self.now) {
            let when = self.when(until);
            let what = format!("it refused for its rates, and is asked again {when}");
            return Some(("refused", what, until));
        }
        // Of several devices the one that is free first decides.
        let devices = self.devices(model);
        let rates = devices.iter().map(|device| self.rates(device, call));
        let rates: Option<Vec<_>> = rates.collect();
        let (what, until) = rates?.into_iter().min_by_key(|(_, until)| *until)?;
        Some(("rate", format!("{what} {}", self.when(until).trim_start_matches("at ")), until))
    }

    /// Which rate of a device is used up, and until when.
    fn rates(&self, device: &str, call: &ModelCall) -> Option<(String, Timestamp)> {
        let node = self.budgets.values().find(|node| node.device.as_deref() == Some(device))?;
        let tokens = call.input + call.options.output_max;
        // What it costs only the running kernel knows; it is something.
        let amount = Spend { tokens, calls: 1, micro_usd: MicroUsd(1), ..Spend::default() };
        let until = node.rates_room_at(&amount, self.now)?;
        Some((format!("{} of {device} is used up until", self.used_up(node, &amount)), until))
    }

    fn used_up(&self, node: &BudgetView, amount: &Spend) -> String {
        let used = node.used_in(Span::Minute, self.now);
        let minute = &node.limits.per_minute;
        match (minute.calls, minute.tokens, node.limits.per_day.micro_usd) {
            (Some(calls), _, _) if used.calls.saturating_add(1) > calls => {
                format!("the rate of {} a minute", plural(calls, "request"))
            }
            (_, Some(tokens), _) if used.tokens.0.saturating_add(amount.tokens.0) > tokens.0 => {
                format!("the rate of {} a minute", plural(tokens.0, "token"))
            }
            (_, _, Some(usd)) => format!("the {} a day", money(usd)),
            (_, _, None) => "the rate".to_owned(),
        }
    }

    /// The tenant or group of a process, if another goes first since this one has had more.
    fn has_had_more(
        &self,
        policy: &dyn Policy,
        pool: &str,
        process: &Process,
        first: Pid,
    ) -> Option<String> {
        if policy.levels() == Levels::One {
            return None;
        }
        let mine = self.groups(process);
        let theirs = self.groups(self.live.get(&first)?);
        // From the top down, where the two part.
        let (mine, theirs) = mine.iter().zip(&theirs).find(|(a, b)| a != b)?;
        let (mine, theirs) = (self.budgets.get(mine)?, self.budgets.get(theirs)?);
        let group = mine.group.as_ref()?;
        let kind = if group.name.contains('/') { "its group" } else { "its tenant" };
        (mine.served(pool) > theirs.served(pool)).then(|| format!("{kind} {}", group.name))
    }

    /// The groups of a process from the top down.
    fn groups(&self, process: &Process) -> Vec<aosk_abi::BudgetId> {
        let mut found = Vec::new();
        let mut next = Some(process.spec.budget);
        while let Some(id) = next
            && let Some(node) = self.budgets.get(&id)
        {
            if node.group.is_some() {
                found.push(id);
            }
            next = node.parent.filter(|parent| *parent < id);
        }
        found.reverse();
        found
    }
}
