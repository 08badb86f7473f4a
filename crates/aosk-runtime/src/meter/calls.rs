//! What the event loop notes for the meter between one commit and the next: which device a call went
//! to, since facts do not say it, and what is known of each process's waits.
//!
//! It ends with its event loop, as the calls do that it knows.

use std::collections::{BTreeMap, HashMap};

use aosk_abi::{CallId, Entry, Fact, Input, Millis, Pid, Timestamp};
use aosk_kernel::Kernel;

use crate::trace::TraceParent;

use super::{Happening, Meter, UNKNOWN};

/// See the module.
#[derive(Debug)]
pub(crate) struct Calls {
    meter: Meter,
    /// Calls that have slots, and those that have given them back since the last commit.
    running: HashMap<CallId, Running>,
    /// How long live processes have waited for slots, as far as it is counted.
    waited: BTreeMap<Pid, Millis>,
    /// The state of each circuit as it was shown last.
    circuits: BTreeMap<String, &'static str>,
}

#[derive(Debug)]
struct Running {
    attempt: u32,
    device: String,
    has_ended: bool,
}

impl Calls {
    /// For a kernel whose processes may have waited under an earlier one.
    pub(crate) fn new(meter: Meter, kernel: &Kernel) -> Self {
        let waited = kernel.processes().map(|(pid, process)| (pid, process.stats.times.waited));
        let waited = waited.collect();
        meter.none_running();
        Self { meter, running: HashMap::new(), waited, circuits: BTreeMap::new() }
    }

    /// A call of the process got a slot of the device.
    pub(crate) fn began(
        &mut self,
        (kernel, now): (&Kernel, Timestamp),
        (call, attempt): (CallId, u32),
        device: &str,
        parent: Option<TraceParent>,
    ) {
        let running = Running { attempt, device: device.to_owned(), has_ended: false };
        self.running.insert(call, running);
        let Some(process) = kernel.process(call.pid) else {
            return;
        };
        let all = process.stats.times.waited;
        let before = self.waited.insert(call.pid, all).unwrap_or_default();
        let waited = Millis(all.0.saturating_sub(before.0));
        if let Some(asked) = process.state.call() {
            self.meter.waited(&asked.options.model, waited);
        }
        let device = || device.to_owned();
        self.meter.tell(call, || Happening::Slot {
            at: now,
            device: device(),
            attempt,
            waited,
            parent,
        });
    }

    /// Takes note of a completion before it is applied.
    pub(crate) fn hear(&mut self, input: &Input) {
        if let Input::ModelDone { call, attempt, .. } = input
            && let Some(running) = self.running.get_mut(call)
            && running.attempt == *attempt
        {
            running.has_ended = true;
        }
    }

    /// Counts what a commit says. Every fact of a call that has ended is in the commit that ends it or
    /// an earlier one.
    pub(crate) fn commit(&mut self, kernel: &Kernel, facts: &[Entry]) {
        for entry in facts {
            self.count(&entry.fact);
        }
        self.running.retain(|_, running| !running.has_ended);
        for (device, state) in kernel.circuits() {
            if self.circuits.get(device) != Some(&state) {
                self.circuits.insert(device.to_owned(), state);
                self.meter.circuit(device, state);
            }
        }
    }

    /// The process has ended.
    pub(crate) fn forget(&mut self, pid: Pid) {
        self.waited.remove(&pid);
    }

    fn count(&self, fact: &Fact) {
        match fact {
            Fact::ModelAnswered { call, cost, .. } | Fact::Summarised { call, cost, .. } => {
                self.meter.charged(self.device(*call), *cost);
            }
            Fact::ModelCharged { call, spend } => {
                self.meter.charged(self.device(*call), spend.micro_usd);
            }
            Fact::ModelRetried { call, class, .. } => {
                self.meter.retried(self.device(*call), *class);
            }
            Fact::CacheMissed { call, reason, unchanged, read, changed } => {
                let changed = changed.as_ref().map(ToString::to_string).unwrap_or_default();
                let (sent, read) = (unchanged.0, read.0);
                tracing::warn!(%call, ?reason, changed, sent, read, "a cache had less than was sent");
            }
            Fact::ModelPreempted { device, cause, .. } => self.meter.preempted(device, *cause),
            Fact::Spawned { .. }
            | Fact::ModelCalled { .. }
            | Fact::ModelRouted { .. }
            | Fact::WindowExceeded { .. }
            | Fact::ModelFailed { .. }
            | Fact::MemoryCut { .. }
            | Fact::SummaryCalled { .. }
            | Fact::SummaryFailed { .. }
            | Fact::PageFaulted { .. }
            | Fact::PageRecalled { .. }
            | Fact::PagePinned { .. }
            | Fact::PageForgotten { .. }
            | Fact::TaskBegun { .. }
            | Fact::TaskEnded { .. }
            | Fact::ToolCalled { .. }
            | Fact::ToolReturned { .. }
            | Fact::Refused { .. }
            | Fact::MessageSent { .. }
            | Fact::MessageReceived { .. }
            | Fact::Signalled { .. }
            | Fact::Reniced { .. }
            | Fact::RunawayFound { .. }
            | Fact::Exited { .. }
            | Fact::BudgetExpired { .. }
            | Fact::BudgetAsked { .. }
            | Fact::BudgetAnswered { .. }
            | Fact::BudgetSet { .. }
            | Fact::PolicySet { .. }
            | Fact::Reconfigured { .. }
            | Fact::Booted { .. } => {}
        }
    }

    /// The device that the call went to; a word for none if an earlier kernel made the call.
    fn device(&self, call: CallId) -> &str {
        self.running.get(&call).map_or(UNKNOWN, |running| &running.device)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use aosk_abi::{MicroUsd, ModelOutcome, PreemptCause, Spend, Tokens};
    use aosk_tools::Registry as Tools;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::clock::Clock;

    fn calls() -> Calls {
        let meter = Meter::new(&[], &Map::new(), &Tools::new(), Clock::start());
        Calls { meter, running: HashMap::new(), waited: Map::new(), circuits: Map::new() }
    }

    /// The lines of one counter that are not at zero.
    fn counted(calls: &Calls, name: &str) -> Vec<String> {
        let mut registry = Registry::default();
        calls.meter.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name) && !line.ends_with(" 0"));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn a_call_is_charged_to_the_device_that_it_went_to() {
        let mut calls = calls();
        let call = CallId { pid: Pid(1), number: 2 };
        let running = Running { attempt: 2, device: "m".to_owned(), has_ended: false };
        calls.running.insert(call, running);
        let done = |attempt| Input::ModelDone {
            call,
            attempt,
            outcome: ModelOutcome::Cancelled { output: Tokens::ZERO },
        };
        let has_ended = |calls: &Calls| calls.running[&call].has_ended;
        calls.hear(&done(1));
        assert!(!has_ended(&calls), "that was an earlier attempt");
        calls.hear(&done(2));
        assert!(has_ended(&calls));
        let charged = |pid, micro_usd| Fact::ModelCharged {
            call: CallId { pid: Pid(pid), ..call },
            spend: Spend { micro_usd: MicroUsd(micro_usd), ..Spend::default() },
        };
        calls.count(&charged(1, 7));
        calls.count(&charged(1, 4));
        calls.count(&charged(9, 5));
        let mut lines = counted(&calls, "aosk_model_cost_micro_usd_total");
        lines.sort_unstable();
        let expected = [
            "aosk_model_cost_micro_usd_total{device=\"m\"} 11",
            "aosk_model_cost_micro_usd_total{device=\"unknown\"} 5",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_preemption_is_counted_by_its_cause() {
        let calls = calls();
        calls.count(&Fact::ModelPreempted {
            call: CallId { pid: Pid(1), number: 2 },
            device: "m".to_owned(),
            by: Pid(3),
            cause: PreemptCause::Slice,
            ran: Millis(9),
        });
        let line = "aosk_model_preemptions_total{device=\"m\",cause=\"slice\"} 1";
        assert_eq!(counted(&calls, "aosk_model_preemptions_total"), [line]);
    }
}
