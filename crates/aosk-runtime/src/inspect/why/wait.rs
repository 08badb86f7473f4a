//! Why a process waits that waits for something other than a slot.

use aosk_abi::{BudgetId, Error, Fact, Lack, Pid, Timestamp};
use aosk_kernel::{ModelCall, ToolPhase, ToolWait, Wait};

use super::past::of_process;
use super::{NAME_MAX, Scene, Why};
use crate::lack;
use crate::words::{cut, plural};

impl Scene<'_> {
    /// What a waiting process waits for.
    pub(super) fn waits(&self, pid: Pid, on: &Wait) -> Result<Why, Error> {
        let gives_up = |until: &Option<Timestamp>| {
            until.map_or_else(String::new, |at| format!(", and gives up {}", self.when(at)))
        };
        Ok(match on {
            Wait::Backoff { call, until } => self.backoff(pid, call, *until)?,
            Wait::Quota { call, lack, asks: true } => self.asks(pid, call, lack),
            Wait::Quota { call, lack, asks: false } => self.no_room(call, lack),
            Wait::Tools { calls } => self.tools(pid, calls)?,
            Wait::Child { child, until } => {
                let who = child.map_or_else(|| "any child".to_owned(), |child| self.named(child));
                let says = format!("waits for the end of {who}{}", gives_up(until));
                Why { until: *until, ..Why::new("child", says) }
            }
            Wait::Message { from, until } => {
                let who = from.map_or_else(|| "anyone".to_owned(), |from| self.named(from));
                let says = format!("waits for a message from {who}{}", gives_up(until));
                Why { until: *until, ..Why::new("message", says) }
            }
            Wait::Timer { until } => {
                let says = format!("sleeps and wakes {}", self.when(*until));
                Why { until: Some(*until), ..Why::new("timer", says) }
            }
        })
    }

    fn backoff(&self, pid: Pid, call: &ModelCall, until: Timestamp) -> Result<Why, Error> {
        let mut last = None;
        of_process(self.reader, pid, |_, fact| {
            if let Fact::ModelRetried { code, message, .. } = fact {
                last = Some((code, message));
            }
        })?;
        let failed = plural(u64::from(call.failures), "failed attempt");
        let why = last.map_or_else(String::new, |(code, message)| {
            format!(", the last with {code}: {}", cut(&message, 2 * NAME_MAX))
        });
        let device = call.device().to_owned();
        let says = format!("asks {device} again {} after {failed}{why}", self.when(until));
        Ok(Why { until: Some(until), device: Some(device), ..Why::new("backoff", says) })
    }

    /// Nobody but a person can make room.
    fn asks(&self, pid: Pid, call: &ModelCall, lack: &Lack) -> Why {
        let node = self.seen(lack.budget);
        let mut agents = self.live.values().filter(|process| process.spec.parent.is_none());
        let is_agents_own = agents.any(|agent| agent.spec.budget == lack.budget);
        let says = format!(
            "waits for a person to raise {}, which has no room for {}{}: {}",
            self.budget(lack.budget),
            lack::need(lack),
            node.map_or_else(String::new, |node| lack::bound(lack, node)),
            if self.around.served {
                lack::answer(lack, node, pid)
            } else {
                lack::raise(lack, node, is_agents_own)
            },
        );
        let device = Some(call.device().to_owned());
        Why { budget: Some(lack.budget), device, ..Why::new("person", says) }
    }

    /// Time, or calls that are under way, will make room.
    fn no_room(&self, call: &ModelCall, lack: &Lack) -> Why {
        let node = self.seen(lack.budget);
        let until = self.budgets.get(&lack.budget).and_then(|node| node.room_at);
        let (name, need, device) = (self.budget(lack.budget), lack::need(lack), call.device());
        let says = match (until, node) {
            (Some(at), Some(node)) => format!(
                "waits to ask {device} for room in {name}, which has none for {need}{} until {}",
                lack::bound(lack, node),
                self.when(at).trim_start_matches("at ")
            ),
            (None, Some(node)) => format!(
                "waits to ask {device} for room in {name}, which has none for {need}{}: {} are held \
                 for calls under way, and what they do not use comes back",
                lack::bound(lack, node),
                lack::amount(lack.resource, node.reserved.of(lack.resource))
            ),
            (_, None) => format!("waits to ask {device} for room in {name}"),
        };
        let device = Some(device.to_owned());
        Why { until, budget: Some(lack.budget), device, ..Why::new("budget", says) }
    }

    /// A node for a person.
    fn budget(&self, id: BudgetId) -> String {
        let Some(node) = self.seen(id) else { return format!("budget {id}") };
        if let Some(device) = &node.device {
            return format!("budget {id} of the device {device}");
        }
        match (&node.group, node.parent) {
            (Some(group), _) => format!("budget {id} of the group {}", group.name),
            (None, None) => format!("budget {id} of everything"),
            (None, Some(_)) => format!("budget {id}"),
        }
    }

    fn tools(&self, pid: Pid, calls: &[ToolWait]) -> Result<Why, Error> {
        let mut began = std::collections::BTreeMap::new();
        of_process(self.reader, pid, |at, fact| {
            if let Fact::ToolCalled { call, .. } = fact {
                began.insert(call.number, at);
            }
        })?;
        let mut parts = Vec::new();
        let mut until = None;
        for call in calls {
            let tool = cut(&call.tool, NAME_MAX);
            match call.phase {
                ToolPhase::Returned { .. } => {}
                ToolPhase::Queued { .. } => {
                    parts.push(format!("{tool}, which waits for its turn or a slot"));
                }
                ToolPhase::InFlight { deadline } => {
                    until = until.max(Some(deadline));
                    let since = began
                        .get(&call.number)
                        .map_or_else(String::new, |at| format!(" for {}", self.now.since(*at)));
                    parts.push(format!("{tool}, which has run{since}"));
                }
            }
        }
        let more = parts.len().saturating_sub(3);
        parts.truncate(3);
        let mut says = format!("waits for the tool {}", parts.join("; for "));
        if more > 0 {
            says.push_str(&format!("; and for {}", plural(more as u64, "more")));
        }
        if let Some(at) = until {
            says.push_str(&format!("; given up {}", self.when(at)));
        }
        Ok(Why { until, ..Why::new("tool", says) })
    }
}

/// What a process did that waits, as part of a sentence.
pub(super) fn word(on: &Wait) -> &'static str {
    match on {
        Wait::Backoff { .. } => "waiting to ask a model again",
        Wait::Quota { .. } => "waiting for room in a budget",
        Wait::Tools { .. } => "waiting for tools",
        Wait::Child { .. } => "waiting for a child",
        Wait::Message { .. } => "waiting for a message",
        Wait::Timer { .. } => "asleep",
    }
}
