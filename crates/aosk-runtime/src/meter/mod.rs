//! What is counted while a kernel runs: model calls, tokens, money, tools, commits.
//!
//! It is fed by the facts of each commit and by the tasks of devices; the core knows nothing of it.
//! Everything begins at zero with the node and is kept nowhere: what must last is in the journal.
//! Labels are names of the configuration and words of this program, never what a model, an agent or a
//! client wrote, so the number of series is known from the beginning.

mod calls;
mod family;
mod moment;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aosk_abi::{CallId, FailureClass, MicroUsd, Millis, ModelOutcome, PreemptCause, Usage};
use aosk_kernel::Route;
use aosk_tools::{Registry as Tools, kernel_calls};
use prometheus_client::registry::Registry;
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::config::ModelDevice;

pub(crate) use self::calls::Calls;
use self::family::{Families, device as by_device, model as by_model, of, tool as by_tool};
use self::moment::Moments;
pub use self::moment::{Happening, Moment};
use self::told::Told;

/// What stands for a name that nobody configured, such as a tool that a model made up.
pub const UNKNOWN: &str = "unknown";

/// The counters of a node. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    families: Families,
    tools: BTreeSet<String>,
    names: RwLock<Arc<BTreeSet<String>>>,
    moments: Moments,
    told: Told,
}

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolEnd {
    /// With what was asked for.
    Returned,
    /// With a failure, which the model is told.
    Failed,
    /// It was cut off.
    Cancelled,
}

impl ToolEnd {
    const ALL: [Self; 3] = [Self::Returned, Self::Failed, Self::Cancelled];

    fn word(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a model call may end, in words.
const MODEL_ENDS: [&str; 5] = ["answered", "failed", "rate_limited", "cancelled", "yielded"];
/// What tokens are counted as. No token is in two of them.
const TOKEN_CLASSES: [&str; 5] = ["input", "cached", "cache_write", "output", "reasoning"];
/// Words of [`aosk_kernel::Kernel::circuits`].
const CIRCUITS: [&str; 3] = ["closed", "open", "half_open"];

impl Meter {
    /// Counters for these devices and tools, all of them at zero.
    pub(crate) fn new(
        models: &[ModelDevice],
        routes: &BTreeMap<String, Route>,
        tools: &Tools,
        clock: Clock,
    ) -> Self {
        let families = Families::default();
        let names = Arc::new(names(models, routes));
        for model in models {
            families.begin_device(&model.name, model.slots.max(1));
        }
        for name in names.iter() {
            drop(families.waits.get_or_create(&by_model(name)));
        }
        let mut known: BTreeSet<String> = tools.names().map(str::to_owned).collect();
        known.insert(kernel_calls::SEARCH_MEMORY.to_owned());
        for tool in known.iter().map(String::as_str).chain([UNKNOWN]) {
            families.begin_tool(tool);
        }
        let (moments, told) = Default::default();
        Self(Arc::new(Inner {
            clock,
            families,
            tools: known,
            names: RwLock::new(names),
            moments,
            told,
        }))
    }

    /// Enters all counters in a registry, which writes them down when it is asked.
    pub fn register(&self, registry: &mut Registry) {
        self.0.families.register(registry);
        self.0.told.register(registry);
    }

    /// The names that processes may ask models by: devices and routes.
    #[must_use]
    pub fn models(&self) -> Arc<BTreeSet<String>> {
        self.0.names.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// There are these devices and names from now on.
    pub(crate) fn reconfigured(&self, models: &[ModelDevice], routes: &BTreeMap<String, Route>) {
        let known = self.models();
        let families = &self.0.families;
        for ModelDevice { name, slots, .. } in models {
            let slots = (*slots).max(1);
            if known.contains(name) {
                families.slots.get_or_create(&by_device(name)).set(i64::from(slots));
            } else {
                families.begin_device(name, slots);
            }
        }
        // What was counted of those that are gone is kept.
        let names: BTreeSet<_> = names(models, routes).union(&known).cloned().collect();
        for name in &names {
            drop(families.waits.get_or_create(&by_model(name)));
        }
        *self.0.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
    }

    /// The time since the node began.
    pub(crate) fn now(&self) -> Duration {
        self.0.clock.elapsed()
    }

    /// A model call has taken a slot of a device.
    pub(crate) fn model_began(&self, device: &str) {
        self.0.families.running.get_or_create(&by_device(device)).inc();
    }

    /// What happens to model calls, from now on, that facts do not say.
    #[must_use]
    pub fn moments(&self) -> broadcast::Receiver<Moment> {
        self.0.moments.listen()
    }

    /// Something happened to a model call.
    pub(crate) fn tell(&self, call: CallId, what: impl FnOnce() -> Happening) {
        self.0.moments.tell(call, what);
    }

    /// The first token of an answer came after so long.
    pub(crate) fn first_token(&self, call: CallId, device: &str, after: Duration) {
        self.tell(call, || Happening::FirstToken(after));
        let family = &self.0.families.first_token;
        family.get_or_create(&by_device(device)).observe(after.as_secs_f64());
    }

    /// A model call has ended and gives its slot back. Tokens are those that the provider counted; of a
    /// call that was cut off, those that had come.
    pub(crate) fn model_ended(&self, device: &str, outcome: &ModelOutcome, took: Duration) {
        let families = &self.0.families;
        families.running.get_or_create(&by_device(device)).dec();
        families.durations.get_or_create(&by_device(device)).observe(took.as_secs_f64());
        let (end, usage) = match outcome {
            ModelOutcome::Answered(reply) => ("answered", reply.usage),
            ModelOutcome::Failed(failure) => {
                let end = match failure.class {
                    FailureClass::RateLimited => "rate_limited",
                    FailureClass::Transient | FailureClass::Final => "failed",
                };
                (end, failure.usage.unwrap_or_default())
            }
            ModelOutcome::Cancelled { output } => {
                ("cancelled", Usage { output: *output, ..Usage::default() })
            }
            ModelOutcome::Yielded { usage, .. } => ("yielded", *usage),
        };
        families.calls.get_or_create(&of(by_device(device), "outcome", end)).inc();
        let written = usage.output.saturating_sub(usage.reasoning);
        let classes =
            [usage.input_uncached, usage.cache_read, usage.cache_write, written, usage.reasoning];
        for (class, tokens) in TOKEN_CLASSES.into_iter().zip(classes) {
            families.tokens.get_or_create(&of(by_device(device), "class", class)).inc_by(tokens.0);
        }
    }

    /// All calls in flight are gone, with the kernel that made them.
    pub(crate) fn none_running(&self) {
        let families = &self.0.families;
        for name in self.models().iter() {
            if let Some(running) = families.running.get(&by_device(name)) {
                running.set(0);
            }
        }
    }

    /// A tool call has ended.
    pub(crate) fn tool_ended(&self, tool: &str, end: ToolEnd, took: Duration) {
        // Models make names up.
        let tool = if self.0.tools.contains(tool) { tool } else { UNKNOWN };
        let families = &self.0.families;
        families.tool_calls.get_or_create(&of(by_tool(tool), "outcome", end.word())).inc();
        families.tool_durations.get_or_create(&by_tool(tool)).observe(took.as_secs_f64());
    }

    /// A commit that was handed over at `since` is on the disk.
    pub(crate) fn committed(&self, since: Duration) {
        let took = self.now().saturating_sub(since);
        self.0.families.commits.observe(took.as_secs_f64());
    }

    /// A call that asked this name was given a slot after it had waited for so long.
    fn waited(&self, model: &str, wait: Millis) {
        let model = if self.models().contains(model) { model } else { UNKNOWN };
        let family = &self.0.families.waits;
        family.get_or_create(&by_model(model)).observe(wait.duration().as_secs_f64());
    }

    fn retried(&self, device: &str, class: FailureClass) {
        let family = &self.0.families.retries;
        family.get_or_create(&of(by_device(device), "class", class_word(class))).inc();
    }

    fn charged(&self, device: &str, cost: MicroUsd) {
        self.0.families.cost.get_or_create(&by_device(device)).inc_by(cost.0);
    }

    fn preempted(&self, device: &str, cause: PreemptCause) {
        let family = &self.0.families.preemptions;
        family.get_or_create(&of(by_device(device), "cause", cause_word(cause))).inc();
    }

    fn circuit(&self, device: &str, now: &'static str) {
        for word in CIRCUITS {
            let gauge =
                self.0.families.circuits.get_or_create_owned(&of(by_device(device), "state", word));
            gauge.set(i64::from(word == now));
        }
    }
}

/// The names that processes may ask.
fn names(models: &[ModelDevice], routes: &BTreeMap<String, Route>) -> BTreeSet<String> {
    let devices = models.iter().map(|model| model.name.clone());
    devices.chain(routes.keys().cloned()).collect()
}

fn class_word(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Transient => "transient",
        FailureClass::RateLimited => "rate_limited",
        FailureClass::Final => "final",
    }
}

fn cause_word(cause: PreemptCause) -> &'static str {
    match cause {
        PreemptCause::Urgent => "urgent",
        PreemptCause::Slice => "slice",
    }
}
