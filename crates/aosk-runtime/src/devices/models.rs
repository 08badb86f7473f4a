//! The models there are, and what answers to a name: a model, or those that a route leads to.

use std::collections::BTreeMap;

use aosk_abi::{ThinkOptions, Tokens};
use aosk_kernel::Route;
use aosk_model::Tokenizer;

use crate::config::ModelDevice;

/// All models of a node, and the names that several of them answer to.
pub(crate) struct Models {
    by_name: BTreeMap<String, ModelDevice>,
    routes: BTreeMap<String, Route>,
}

impl Models {
    pub(crate) fn new(models: Vec<ModelDevice>, routes: BTreeMap<String, Route>) -> Self {
        let by_name = models.into_iter().map(|model| (model.name.clone(), model)).collect();
        Self { by_name, routes }
    }

    /// The model of this name, whatever a route of the name leads to.
    pub(super) fn get(&self, device: &str) -> Option<&ModelDevice> {
        self.by_name.get(device)
    }

    /// The models that answer to a name, in the order of their route, which hides a model of its name.
    fn behind(&self, name: &str) -> impl Iterator<Item = &ModelDevice> {
        let route = self.routes.get(name);
        let backends = route.into_iter().flat_map(|route| &route.backends);
        let itself = self.by_name.get(name).filter(|_| route.is_none());
        let good = move |model: &&ModelDevice| {
            route.is_some_and(|route| route.takes(&model.name, model.quality))
        };
        backends.filter_map(|(device, _)| self.get(device)).filter(good).chain(itself)
    }

    /// What counts the tokens of what is asked of a name. Behind a route it is the first model's:
    /// which one will answer is not known yet.
    pub(crate) fn tokenizer(&self, name: &str) -> Tokenizer {
        self.behind(name).next().map(|model| model.tokenizer).unwrap_or_default()
    }

    /// What may be shown beside the answer, by the model of the name that takes most; none if that is not
    /// known.
    pub(crate) fn room(&self, options: &ThinkOptions) -> Option<Tokens> {
        let context = self.behind(&options.model).filter_map(|model| model.context).max();
        let room = context.map(|context| context.saturating_sub(options.output_max));
        room.into_iter().chain(options.window).min()
    }
}
