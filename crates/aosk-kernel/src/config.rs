//! What the kernel is told about its surroundings.

use std::collections::BTreeMap;

use aosk_abi::{Limits, Millis, Price, Tokens, ToolTraits, limits};

use crate::memory::{self, CacheRules, Prefer, Replacement};
use crate::mutant::Broken;
use crate::scheduler::{self, Policy};

/// What the kernel is told about its surroundings at boot. Never stored.
#[derive(Debug, Clone)]
pub struct Config {
    /// The scheduler policy to begin with.
    pub policy: &'static dyn Policy,
    /// The models, by device name.
    pub models: BTreeMap<String, ModelConfig>,
    /// The tools, by name.
    pub tools: BTreeMap<String, ToolTraits>,
    /// How many tool calls may run at once, inline ones not counted.
    pub tool_slots: u32,
    /// Bounds of the root of the budget tree.
    pub limits: Limits,
    /// What leaves the window of a model when it is full.
    pub replacement: &'static dyn Replacement,
    /// What matters most when something leaves.
    pub prefer: Prefer,
    /// The model that makes summaries where the policy wants some; none makes them if none.
    pub summary_model: Option<String>,
    /// The deliberate defect to have.
    #[cfg(feature = "misbehave")]
    pub mutant: Option<crate::Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: scheduler::DEFAULT,
            models: BTreeMap::new(),
            tools: BTreeMap::new(),
            tool_slots: limits::TOOL_SLOTS,
            limits: Limits::default(),
            replacement: memory::DEFAULT,
            prefer: Prefer::default(),
            summary_model: None,
            #[cfg(feature = "misbehave")]
            mutant: None,
        }
    }
}

/// What the kernel knows of a model.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// How many calls may run at once.
    pub slots: u32,
    /// What its tokens cost.
    pub price: Price,
    /// How long one attempt may take.
    pub timeout: Millis,
    /// The most tokens that a request and its answer may have together; none if that is not known.
    pub context: Option<Tokens>,
    /// How the provider caches prefixes.
    pub cache: &'static CacheRules,
    /// The same with a longer lifetime, if the provider offers one.
    pub long_cache: Option<&'static CacheRules>,
    /// What tokens cost in calls that ask for the longer lifetime, if that is another price.
    pub long_price: Option<Price>,
}

impl Default for ModelConfig {
    /// One call at a time, for nothing, to a model of which nothing more is known.
    fn default() -> Self {
        Self {
            slots: 1,
            price: Price::default(),
            timeout: limits::MODEL_TIMEOUT,
            context: None,
            cache: CacheRules::free(),
            long_cache: None,
            long_price: None,
        }
    }
}

impl Config {
    /// A kernel that schedules by `policy` and has these models and tools.
    #[must_use]
    pub fn new(
        policy: &'static dyn Policy,
        models: BTreeMap<String, ModelConfig>,
        tools: BTreeMap<String, ToolTraits>,
    ) -> Self {
        Self { policy, models, tools, ..Self::default() }
    }

    /// What a model's tokens cost, in a call that asks for the longer lifetime of the cache or does
    /// not; nothing if the model is unknown.
    pub(crate) fn price(&self, model: &str, long_lived: bool) -> Price {
        let Some(model) = self.models.get(model) else { return Price::default() };
        model.long_price.filter(|_| long_lived).unwrap_or(model.price)
    }

    /// How the provider of a model caches prefixes.
    pub(crate) fn cache(&self, model: &str, long_lived: bool) -> &'static CacheRules {
        let Some(model) = self.models.get(model) else { return CacheRules::free() };
        model.long_cache.filter(|_| long_lived).unwrap_or(model.cache)
    }

    /// Whether calls of the tool run before the commit. A tool that is not known does nothing; its
    /// device says that there is none, which is pure.
    pub(crate) fn is_inline(&self, tool: &str) -> bool {
        self.tools.get(tool).is_none_or(|tool| tool.inline)
    }

    /// Whether calls of the tool may run while others of the same turn do. A tool that is not known
    /// does nothing.
    pub(crate) fn is_parallel(&self, tool: &str) -> bool {
        self.tools.get(tool).is_none_or(|tool| tool.parallel || tool.inline)
    }

    pub(crate) fn broken(&self) -> Broken {
        Broken {
            #[cfg(feature = "misbehave")]
            mutant: self.mutant,
        }
    }
}
