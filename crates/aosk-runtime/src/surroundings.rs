//! What a running kernel may be told anew of its surroundings.

use std::collections::BTreeMap;

use aosk_abi::{Change, Millis};
use aosk_kernel::{Config, GroupConfig, ModelConfig, Policy, Route};

use crate::config::ModelDevice;

/// What a running kernel is told anew. All of it is said, whether it is new or not.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The models, those that there are among them.
    pub models: Vec<ModelDevice>,
    /// Names that several models answer to.
    pub routes: BTreeMap<String, Route>,
    /// Tenants and groups, by name.
    pub groups: BTreeMap<String, GroupConfig>,
    /// Who gets a free slot next; none to leave that as it is, which a person may have chosen.
    pub policy: Option<&'static dyn Policy>,
    /// How long a call may run while others wait; none if until it ends.
    pub slice: Option<Millis>,
    /// How many tool calls may run at once.
    pub tool_slots: u32,
    /// What of this is new, for the journal.
    pub changes: Vec<Change>,
}

impl Surroundings {
    /// The configuration of a kernel that has `before`. The windows of models stay as they are: the page
    /// tables of processes are made for them.
    pub(crate) fn config(&self, before: &Config) -> Config {
        let models = self.models.iter().map(|model| {
            let mut told = terms(model);
            if let Some(known) = before.models.get(&model.name) {
                told.context = known.context;
                (told.cache, told.long_cache) = (known.cache, known.long_cache);
                told.continues = known.continues;
            }
            (model.name.clone(), told)
        });
        Config {
            models: models.collect(),
            routes: self.routes.clone(),
            groups: self.groups.clone(),
            policy: self.policy.unwrap_or(before.policy),
            slice: self.slice,
            tool_slots: self.tool_slots,
            ..before.clone()
        }
    }
}

/// What the kernel is told of a model.
pub(crate) fn terms(model: &ModelDevice) -> ModelConfig {
    ModelConfig {
        slots: model.slots.max(1),
        price: model.price,
        timeout: model.timeout,
        context: model.context,
        abilities: model.abilities,
        quality: model.quality,
        cache: model.cache,
        long_cache: model.long_cache,
        long_price: model.long_price,
        rates: model.rates,
        reads_free: model.reads_free,
        continues: model.continues,
        slices: model.slices,
    }
}
