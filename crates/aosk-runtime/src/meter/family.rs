//! The counters: what each is called, what it says and which series it has from the beginning.

use aosk_abi::{FailureClass, PreemptCause};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{CIRCUITS, MODEL_ENDS, TOKEN_CLASSES, ToolEnd, cause_word, class_word};

/// Bounds of what takes as long as a model does, in seconds.
const SLOW: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// Bounds of what takes as long as a disk does, in seconds.
const FAST: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// One label.
pub(super) type By = [(&'static str, String); 1];
/// Two labels.
pub(super) type Of = [(&'static str, String); 2];
/// Durations by a label.
type Durations = Family<By, Histogram, fn() -> Histogram>;

pub(super) fn device(name: &str) -> By {
    [("device", name.to_owned())]
}

pub(super) fn model(name: &str) -> By {
    [("model", name.to_owned())]
}

pub(super) fn tool(name: &str) -> By {
    [("tool", name.to_owned())]
}

/// A label more.
pub(super) fn of([by]: By, kind: &'static str, word: &str) -> Of {
    [by, (kind, word.to_owned())]
}

/// All counters of a node.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) calls: Family<Of, Counter>,
    pub(super) tokens: Family<Of, Counter>,
    pub(super) cost: Family<By, Counter>,
    pub(super) retries: Family<Of, Counter>,
    pub(super) preemptions: Family<Of, Counter>,
    pub(super) slots: Family<By, Gauge>,
    pub(super) running: Family<By, Gauge>,
    pub(super) circuits: Family<Of, Gauge>,
    pub(super) waits: Durations,
    pub(super) first_token: Durations,
    pub(super) durations: Durations,
    pub(super) tool_calls: Family<Of, Counter>,
    pub(super) tool_durations: Durations,
    pub(super) commits: Histogram,
}

impl Default for Families {
    fn default() -> Self {
        let slow = || Durations::new_with_constructor(|| Histogram::new(SLOW));
        Self {
            calls: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            retries: Family::default(),
            preemptions: Family::default(),
            slots: Family::default(),
            running: Family::default(),
            circuits: Family::default(),
            waits: slow(),
            first_token: slow(),
            durations: slow(),
            tool_calls: Family::default(),
            tool_durations: slow(),
            commits: Histogram::new(FAST),
        }
    }
}

impl Families {
    /// Makes every series of a device.
    pub(super) fn begin_device(&self, name: &str, slots: u32) {
        let by = device(name);
        for end in MODEL_ENDS {
            drop(self.calls.get_or_create(&of(by.clone(), "outcome", end)));
        }
        for class in TOKEN_CLASSES {
            drop(self.tokens.get_or_create(&of(by.clone(), "class", class)));
        }
        for class in [FailureClass::Transient, FailureClass::RateLimited, FailureClass::Final] {
            drop(self.retries.get_or_create(&of(by.clone(), "class", class_word(class))));
        }
        for cause in [PreemptCause::Urgent, PreemptCause::Slice] {
            drop(self.preemptions.get_or_create(&of(by.clone(), "cause", cause_word(cause))));
        }
        for circuit in CIRCUITS {
            let gauge = self.circuits.get_or_create_owned(&of(by.clone(), "state", circuit));
            gauge.set(i64::from(circuit == "closed"));
        }
        drop(self.cost.get_or_create(&by));
        drop(self.running.get_or_create(&by));
        drop(self.first_token.get_or_create(&by));
        drop(self.durations.get_or_create(&by));
        self.slots.get_or_create(&by).set(i64::from(slots));
    }

    /// Makes every series of a tool.
    pub(super) fn begin_tool(&self, name: &str) {
        for end in ToolEnd::ALL {
            drop(self.tool_calls.get_or_create(&of(tool(name), "outcome", end.word())));
        }
        drop(self.tool_durations.get_or_create(&tool(name)));
    }

    /// Enters everything in a registry, which knows no two of one name.
    pub(super) fn register(&self, to: &mut Registry) {
        to.register(
            "aosk_model_calls",
            "Calls of models that have ended since the start, attempts that failed included",
            self.calls.clone(),
        );
        to.register(
            "aosk_model_tokens",
            "Tokens since the start as providers counted them; no token is in two classes",
            self.tokens.clone(),
        );
        to.register(
            "aosk_model_cost_micro_usd",
            "Millionths of a dollar charged for calls of models since the start",
            self.cost.clone(),
        );
        to.register(
            "aosk_model_retries",
            "Attempts that failed since the start and are made again",
            self.retries.clone(),
        );
        to.register(
            "aosk_model_preemptions",
            "Running calls that were asked to give up their slots since the start",
            self.preemptions.clone(),
        );
        to.register("aosk_model_slots", "Calls that may run at once", self.slots.clone());
        to.register("aosk_model_slots_in_use", "Calls that run now", self.running.clone());
        to.register(
            "aosk_model_circuit",
            "1 for the state that the circuit breaker is in, 0 for the others",
            self.circuits.clone(),
        );
        to.register(
            "aosk_model_wait_seconds",
            "How long calls were ready before they got a slot, by the name that was asked",
            self.waits.clone(),
        );
        to.register(
            "aosk_model_first_token_seconds",
            "From taking a slot to the first piece of an answer, of models that stream",
            self.first_token.clone(),
        );
        to.register(
            "aosk_model_duration_seconds",
            "How long calls had their slots",
            self.durations.clone(),
        );
        to.register(
            "aosk_tool_calls",
            "Calls of tools that have ended since the start",
            self.tool_calls.clone(),
        );
        to.register(
            "aosk_tool_duration_seconds",
            "How long calls of tools took",
            self.tool_durations.clone(),
        );
        to.register(
            "aosk_commit_duration_seconds",
            "From handing a commit over to its being on the disk",
            self.commits.clone(),
        );
    }
}
