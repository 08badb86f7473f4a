//! What the kernel is told about its surroundings.

use std::collections::BTreeMap;

pub use aosk_abi::Choice;
use aosk_abi::{
    Abilities, Bounds, Limits, MicroUsd, Millis, Price, Quality, Tokens, ToolTraits, limits,
};

use crate::memory::{self, CacheRules, NeedTable, Prefer, Replacement};
use crate::mutant::Broken;
use crate::scheduler::{self, Policy};

/// What the kernel is told about its surroundings at boot. Never stored.
#[derive(Debug, Clone)]
pub struct Config {
    /// The scheduler policy to begin with.
    pub policy: &'static dyn Policy,
    /// The models, by device name.
    pub models: BTreeMap<String, ModelConfig>,
    /// Names that several models answer to. A route hides a model of its name.
    pub routes: BTreeMap<String, Route>,
    /// Tenants and groups, by name.
    pub groups: BTreeMap<String, GroupConfig>,
    /// The tools, by name.
    pub tools: BTreeMap<String, ToolTraits>,
    /// How many tool calls may run at once, inline ones not counted.
    pub tool_slots: u32,
    /// How long a call may run while others wait, where its model can go on from what was written;
    /// none if until it ends.
    pub slice: Option<Millis>,
    /// Bounds of the root of the budget tree.
    pub limits: Limits,
    /// What leaves the window of a model when it is full.
    pub replacement: &'static dyn Replacement,
    /// What matters most when something leaves.
    pub prefer: Prefer,
    /// The model that makes summaries where the policy wants some; none makes them if none.
    pub summary_model: Option<String>,
    /// What is known of needs before a process has shown its own.
    pub needs: &'static NeedTable,
    /// The deliberate defect to have.
    #[cfg(feature = "misbehave")]
    pub mutant: Option<crate::Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: scheduler::DEFAULT,
            models: BTreeMap::new(),
            routes: BTreeMap::new(),
            groups: BTreeMap::new(),
            tools: BTreeMap::new(),
            tool_slots: limits::TOOL_SLOTS,
            slice: Some(limits::TIME_SLICE),
            limits: Limits::default(),
            replacement: memory::DEFAULT,
            prefer: Prefer::default(),
            summary_model: None,
            needs: NeedTable::seeded(),
            #[cfg(feature = "misbehave")]
            mutant: None,
        }
    }
}

/// The models that answer to one name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which, by device name, each with its weight. Those that there are not are left out.
    pub backends: Vec<(String, u32)>,
    /// Which of them is asked, of those that can take the call.
    pub choice: Choice,
    /// The class that models must have at least; none if any will do. One whose class is not known is
    /// not asked then.
    pub quality: Option<Quality>,
    /// The classes of models in this route, by device name, in place of those that they have.
    pub classes: BTreeMap<String, Quality>,
    /// How long a call waits for a slot of a model that comes first while a later one is free.
    pub wait: Millis,
}

impl Route {
    /// A route to one model.
    #[must_use]
    pub fn to(device: &str) -> Self {
        Self { backends: vec![(device.to_owned(), 1)], ..Self::default() }
    }

    /// How long calls wait by a rule if the route does not say it.
    #[must_use]
    pub fn usual_wait(choice: Choice) -> Millis {
        match choice {
            Choice::ByCost | Choice::ByQuality => limits::ROUTE_WAIT,
            Choice::InOrder | Choice::ByWeight | Choice::ByLatency => Millis::ZERO,
        }
    }

    /// The class that a model has in this route, if its own is `known`.
    #[must_use]
    pub fn class(&self, device: &str, known: Option<Quality>) -> Option<Quality> {
        self.classes.get(device).copied().or(known)
    }

    /// Whether a model is good enough whose own class is `known`.
    #[must_use]
    pub fn takes(&self, device: &str, known: Option<Quality>) -> bool {
        self.quality.is_none_or(|least| self.class(device, known) >= Some(least))
    }
}

/// What a provider takes of a model's calls; none means that it is not known or unbounded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Calls and tokens, input and output, in any minute.
    pub per_minute: Bounds,
    /// Money in any twenty-four hours.
    pub per_day: Option<MicroUsd>,
}

impl Rates {
    /// The same as bounds of a budget node.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            per_minute: self.per_minute,
            per_day: Bounds { micro_usd: self.per_day, ..Bounds::default() },
            ..Limits::default()
        }
    }
}

/// What the kernel is told of a tenant or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupConfig {
    /// Its share among those beside it, as a priority: 0 (the largest) to 100.
    pub priority: u8,
    /// What may be spent in it.
    pub limits: Limits,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self { priority: 50, limits: Limits::default() }
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
    /// What it can do of what not every model can; none if that is not known.
    pub abilities: Option<Abilities>,
    /// How good its answers are; none if that is not known.
    pub quality: Option<Quality>,
    /// Its rates: calls and tokens in a minute, money in a day.
    pub rates: Rates,
    /// Whether what it reads from its cache does not count to its rate of tokens.
    pub reads_free: bool,
    /// Whether it can go on from an answer that was begun.
    pub continues: bool,
    /// Whether its calls yield when their time slice is over. If nobody says so: where it goes on from
    /// what was written, until a call of it has lost what it wrote.
    pub slices: Option<bool>,
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
            abilities: None,
            quality: None,
            rates: Rates::default(),
            reads_free: false,
            continues: false,
            slices: None,
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

    /// What is known of a model, or of the first that a route leads to.
    pub(crate) fn model(&self, name: &str) -> Option<&ModelConfig> {
        self.models.get(name).or_else(|| self.behind(name).next())
    }

    /// The models behind a route that are good enough for it.
    fn behind(&self, name: &str) -> impl Iterator<Item = &ModelConfig> {
        let route = self.routes.get(name);
        let backends = route.into_iter().flat_map(|route| &route.backends);
        let known = backends.filter_map(|(name, _)| Some((name, self.models.get(name)?)));
        let good = known.filter(move |(name, model)| {
            route.is_some_and(|route| route.takes(name, model.quality))
        });
        good.map(|(_, model)| model)
    }

    /// The most tokens that a request and its answer may have together, by the model of the name that
    /// takes most; none if that is not known.
    pub(crate) fn context(&self, name: &str) -> Option<Tokens> {
        let behind = self.behind(name).filter_map(|model| model.context).max();
        behind.or_else(|| self.models.get(name)?.context)
    }

    /// What a model's tokens cost, in a call that asks for the longer lifetime of the cache or does
    /// not; nothing if the model is unknown.
    pub(crate) fn price(&self, model: &str, long_lived: bool) -> Price {
        let Some(model) = self.model(model) else { return Price::default() };
        model.long_price.filter(|_| long_lived).unwrap_or(model.price)
    }

    /// How the provider of a model caches prefixes.
    pub(crate) fn cache(&self, model: &str, long_lived: bool) -> &'static CacheRules {
        let Some(model) = self.model(model) else { return CacheRules::free() };
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
