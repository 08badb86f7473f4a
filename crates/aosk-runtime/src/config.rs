//! What a node is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aosk_abi::{Abilities, Limits, Millis, Price, Quality, Tokens, limits};
use aosk_kernel::memory::{CacheRules, NeedTable, Prefer, Replacement};
use aosk_kernel::{GroupConfig, Policy, Rates, Route};
use aosk_model::{Driver, Embedder, Replay, Tokenizer};
use aosk_store::Store;
use aosk_tools::Registry;

use crate::program::Programs;

/// What a node is made of.
pub struct NodeConfig {
    /// Where its state is kept.
    pub store: Box<dyn Store>,
    /// The models it may ask.
    pub models: Vec<ModelDevice>,
    /// Names that several models answer to.
    pub routes: BTreeMap<String, Route>,
    /// Tenants and groups, by name.
    pub groups: BTreeMap<String, GroupConfig>,
    /// How long a call may run while others wait, where its model can go on from what was written;
    /// none if until it ends.
    pub slice: Option<Millis>,
    /// What makes vectors of pages and of what is searched for; searches go by words alone if none.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// The tools it has.
    pub tools: Registry,
    /// Recorded tool results, for processes whose label names a record.
    pub recorded: Option<Arc<Replay>>,
    /// The programs it can run.
    pub programs: Programs,
    /// Who gets a free slot next.
    pub policy: &'static dyn Policy,
    /// What leaves the window of a model when it is full.
    pub replacement: &'static dyn Replacement,
    /// What matters most when something leaves.
    pub prefer: Prefer,
    /// The model that makes summaries where the policy wants some, by the name of its device; lines
    /// quoted from pages stand for them if none.
    pub summary_model: Option<String>,
    /// What is known of needs before a process has shown its own.
    pub needs: &'static NeedTable,
    /// Bounds for all processes together.
    pub limits: Limits,
    /// How many tool calls may run at once.
    pub tool_slots: u32,
    /// The directory of processes whose parameter names none.
    pub workspace: PathBuf,
    /// Where reports of crashes are put; nowhere if none.
    pub reports: Option<PathBuf>,
    /// How long calls in flight may take to end at shutdown before they are cut off.
    pub drain: Millis,
    /// How long what nothing leaves for may wait to share a commit. A flush costs the same for one fact as
    /// for a hundred, and whoever comes while it is under way waits for its end: the answer to one request
    /// would hold back the next. Readers of what is committed see it so much later.
    pub linger: Millis,
}

/// A model as a device.
#[derive(Clone)]
pub struct ModelDevice {
    /// The name that processes ask for, such as `openai:gpt-5.4-mini`.
    pub name: String,
    /// What speaks to it.
    pub driver: Arc<dyn Driver>,
    /// How many calls may run at once.
    pub slots: u32,
    /// What its tokens cost.
    pub price: Price,
    /// The same for calls that ask for the longer lifetime, if it is another.
    pub long_price: Option<Price>,
    /// What counts its tokens before a call.
    pub tokenizer: Tokenizer,
    /// The most tokens that a request and its answer may have together; none if that is not known.
    pub context: Option<Tokens>,
    /// What it can do of what not every model can; none if that is not known.
    pub abilities: Option<Abilities>,
    /// How good its answers are; none if that is not known.
    pub quality: Option<Quality>,
    /// How its provider caches prefixes.
    pub cache: &'static CacheRules,
    /// The same with a longer lifetime, if the provider offers one.
    pub long_cache: Option<&'static CacheRules>,
    /// How long one attempt may take.
    pub timeout: Millis,
    /// Its rates: calls and tokens in a minute, money in a day.
    pub rates: Rates,
    /// Whether what it reads from its cache does not count to its rate of tokens.
    pub reads_free: bool,
    /// Whether it can go on from an answer that was begun.
    pub continues: bool,
    /// Whether its calls yield when their time slice is over; none to leave that to the kernel.
    pub slices: Option<bool>,
    /// Whether answers are streamed; observers then see them grow.
    pub stream: bool,
}

impl ModelDevice {
    /// One of which nothing is known: one call at a time, for nothing, in one piece.
    #[must_use]
    pub fn new(name: impl Into<String>, driver: Arc<dyn Driver>) -> Self {
        Self {
            name: name.into(),
            driver,
            slots: 1,
            price: Price::default(),
            long_price: None,
            tokenizer: Tokenizer::ESTIMATE,
            context: None,
            abilities: None,
            quality: None,
            cache: CacheRules::free(),
            long_cache: None,
            timeout: limits::MODEL_TIMEOUT,
            rates: Rates::default(),
            reads_free: false,
            continues: false,
            slices: None,
            stream: false,
        }
    }
}

impl std::fmt::Debug for ModelDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelDevice")
            .field("name", &self.name)
            .field("slots", &self.slots)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeConfig")
            .field("models", &self.models)
            .field("embedder", &self.embedder.as_ref().map(|embedder| embedder.name()))
            .field("policy", &self.policy.name())
            .field("workspace", &self.workspace)
            .finish_non_exhaustive()
    }
}
