//! The models that agents may ask: the one that is chosen, or all that the chosen route leads to, and
//! those that the configuration names besides.

use std::collections::{BTreeMap, BTreeSet};

use aosk::ModelDevice;
use aosk::abi::{Error, ErrorCode, Quality, Tokens};
use aosk::kernel::memory::{CacheRules, Replacement, rules};
use aosk::kernel::{Choice, Route};
use aosk::model::resolve::Surroundings;
use aosk::model::{Catalogue, How, Resolved, resolve_in};

use crate::cli::ModelArgs;
use crate::config::Config;
use crate::term::note;

use super::catalogue;

/// The models, set up.
#[derive(Debug, Default, Clone)]
pub(crate) struct Models {
    /// What the agent asks: a device, or a route.
    pub(crate) name: String,
    /// The devices, each once.
    pub(crate) devices: Vec<ModelDevice>,
    /// The routes, which lead to devices that are there.
    pub(crate) routes: BTreeMap<String, Route>,
    /// The devices by the names they are written with.
    written: BTreeMap<String, String>,
    /// The devices whose prices are not known.
    unpriced: BTreeSet<String>,
    /// What of the configuration could not be set up, and has been told.
    left_out: BTreeSet<String>,
    /// What is known of models.
    catalogue: Catalogue,
}

impl Models {
    /// One device.
    pub(crate) fn one(device: ModelDevice) -> Self {
        Self { name: device.name.clone(), devices: vec![device], ..Self::default() }
    }

    /// Those that an agent may be answered by whose price is not known, and which are no scripts.
    pub(crate) fn unpriced(&self) -> impl Iterator<Item = &str> {
        let route = self.routes.get(&self.name);
        let asked = move |name: &str| match route {
            Some(route) => route.backends.iter().any(|(backend, _)| backend == name),
            None => name == self.name,
        };
        let names = self.unpriced.iter().map(String::as_str);
        names.filter(move |name| asked(name) && !name.starts_with("scripted"))
    }

    /// Whether agents that ask this name are answered.
    pub(crate) fn answers(&self, name: &str) -> bool {
        self.routes.contains_key(name) || self.devices.iter().any(|device| device.name == name)
    }

    /// Sets up the model that is to make summaries, if the command line names one, or the
    /// configuration for a policy that has any made, and returns its name. One of the same provider as
    /// the model that agents ask is found at the same address.
    pub(crate) async fn summaries(
        &mut self,
        args: &ModelArgs,
        config: &Config,
        policy: &dyn Replacement,
    ) -> Result<Option<String>, Error> {
        let configured = config.summary_model.as_deref().filter(|_| policy.has_summaries_made());
        let Some(spec) = args.summary_model.as_deref().or(configured) else {
            return Ok(None);
        };
        if self.answers(spec) {
            return Ok(Some(spec.to_owned()));
        }
        let provider = |name: &str| name.split_once(':').map(|(provider, _)| provider.to_owned());
        let base_url = address(spec, args, config).or(args.base_url.as_deref());
        let base_url = base_url.filter(|_| provider(spec) == provider(&self.name));
        let set_up = self.add(Some(spec), (args, config), base_url).await;
        let (_, name) = set_up.map_err(|mut error| {
            if args.summary_model.is_none() {
                let path = config.path.display();
                error.message = format!("{} (the summary_model of {path})", error.message);
            }
            error
        })?;
        note(&format!("summaries: {name}"));
        Ok(Some(name))
    }

    /// Sets up one model, unless it is there already. Returns how it was chosen, and its device's name.
    async fn add(
        &mut self,
        written: Option<&str>,
        (args, config): (&ModelArgs, &Config),
        base_url: Option<&str>,
    ) -> Result<(How, String), Error> {
        if let Some(device) = written.and_then(|written| self.written.get(written)) {
            return Ok((How::Chosen, device.clone()));
        }
        let env = |name: &str| config.keys.variable(name);
        let around = Surroundings { env: &env, catalogue: &self.catalogue };
        let resolved = resolve_in(written, base_url, around).await?;
        let (how, name) = (resolved.how, resolved.device.clone());
        if let Some(written) = written {
            self.written.insert(written.to_owned(), name.clone());
        }
        if !self.devices.iter().any(|device| device.name == name) {
            let said = written.and_then(|written| config.devices.get(written));
            let said = said.or_else(|| config.devices.get(&name)).cloned().unwrap_or_default();
            let slots = args.slots.or(said.slots).or(config.slots);
            if resolved.price.is_none() {
                self.unpriced.insert(name.clone());
            }
            let mut device = device(resolved, slots, args.window.or(config.window));
            device.rates = said.rates;
            device.slices = said.slices;
            self.devices.push(device);
        }
        Ok((how, name))
    }

    /// Sets up the models of the chosen route. One that cannot be is left out with a note, as long as
    /// another is there.
    async fn route(
        &mut self,
        (name, route): (&str, &Route),
        args: &ModelArgs,
        config: &Config,
    ) -> Result<(), Error> {
        let mut failed = Vec::new();
        for (written, _) in &route.backends {
            let base_url = address(written, args, config);
            if let Err(error) = self.add(Some(written), (args, config), base_url).await {
                failed.push((written, error));
            }
        }
        if failed.len() == route.backends.len()
            && let Some((_, error)) = failed.first()
        {
            let mut error = error.clone();
            error.message = format!("{} (a model of the route {name})", error.message);
            return Err(error);
        }
        for (written, error) in &failed {
            self.leave_out(written, error);
        }
        Ok(())
    }

    /// The route to those of its models that are there, by the names of their devices, without those that
    /// its rule can make nothing of.
    fn set_up(&self, name: &str, route: &Route) -> Route {
        let mut there = Route { backends: Vec::new(), classes: BTreeMap::new(), ..route.clone() };
        let by_price = matches!(route.choice, Choice::ByCost | Choice::ByQuality);
        for (written, weight) in &route.backends {
            let device = self.written.get(written);
            let device = device.and_then(|name| self.devices.iter().find(|one| one.name == *name));
            let Some(device) = device else { continue };
            let class = route.class(written, device.quality);
            let lack = if by_price && self.unpriced.contains(&device.name) {
                Some("its price is not known".to_owned())
            } else if route.takes(written, device.quality) {
                None
            } else {
                let class = class.map_or("not known", Quality::word);
                Some(format!("its class is {class}"))
            };
            if let Some(lack) = lack {
                note(&format!("{written} is left out of the route {name}: {lack}"));
                continue;
            }
            if let Some(class) = route.classes.get(written) {
                there.classes.insert(device.name.clone(), *class);
            }
            there.backends.push((device.name.clone(), *weight));
        }
        there
    }

    /// Says that a model of the configuration is not there.
    fn leave_out(&mut self, written: &str, error: &Error) {
        note(&format!("{written} of the configuration is left out: {}", error.message));
        self.left_out.insert(written.to_owned());
    }
}

/// Finds the model or the route that the command line, the configuration or the environment names, and
/// says which it is and why; and the other models that the configuration names, as far as they can be
/// set up.
pub(crate) async fn models(args: &ModelArgs, config: &Config) -> Result<Models, Error> {
    let mut models = Models { catalogue: catalogue(config)?, ..Models::default() };
    let spec = args.model.as_deref().or(config.default_model.as_deref());
    match spec.and_then(|spec| Some((spec, config.routes.get(spec)?))) {
        Some((name, route)) => {
            models.route((name, route), args, config).await?;
            name.clone_into(&mut models.name);
        }
        None => {
            let own = spec.and_then(|spec| config.devices.get(spec)?.base_url.as_deref());
            let base_url = args.base_url.as_deref().or(own).or(config.base_url.as_deref());
            let set_up = models.add(spec, (args, config), base_url).await;
            let (how, name) = set_up.map_err(|error| of_configuration(error, args, config))?;
            note(&format!("model: {name}{}", why(how, config)));
            models.name = name;
        }
    }
    others(&mut models, args, config).await;
    for (name, route) in &config.routes {
        let there = models.set_up(name, route);
        if !there.backends.is_empty() {
            models.routes.insert(name.clone(), there);
        } else if *name == models.name {
            return Err(leads_nowhere(name, route));
        }
    }
    if let Some(route) = models.routes.get(&models.name) {
        note(&format!("model: {}, {}", models.name, leads(route)));
    }
    Ok(models)
}

/// The route that is asked has no model that its rule can take.
fn leads_nowhere(name: &str, route: &Route) -> Error {
    let least = route.quality.map_or("low", Quality::word);
    let by = route.choice.word();
    let text =
        format!("the route {name} by {by} is left without models, each for the reason above");
    Error::new(ErrorCode::ConfigInvalid, text).hint(format!(
        "say prices and classes in models.json, or classes in the route: models: {{MODEL: {least}}}"
    ))
}

/// The models of the configuration that were not asked for: agents may ask them.
async fn others(models: &mut Models, args: &ModelArgs, config: &Config) {
    let routed = config.routes.values().flat_map(|route| &route.backends).map(|(name, _)| name);
    let named: BTreeSet<&String> = config.devices.keys().chain(routed).collect();
    for written in named {
        if models.left_out.contains(written) {
            continue;
        }
        let set_up = models.add(Some(written), (args, config), address(written, args, config));
        if let Err(error) = set_up.await {
            models.leave_out(written, &error);
        }
    }
}

/// The address of a model that a route leads to, or that is only named in the configuration.
fn address<'a>(written: &str, args: &'a ModelArgs, config: &'a Config) -> Option<&'a str> {
    let own = config.devices.get(written).and_then(|device| device.base_url.as_deref());
    let spec = args.model.as_ref().or(config.default_model.as_ref());
    let is_routed = spec.is_some_and(|name| config.routes.contains_key(name));
    let given = args.base_url.as_deref().filter(|_| is_routed);
    // A script has no address.
    let is_script = written.split(':').next().is_some_and(|name| name == "scripted");
    own.or(given).or(config.base_url.as_deref()).filter(|_| !is_script)
}

/// The error with where the name comes from.
fn of_configuration(mut error: Error, args: &ModelArgs, config: &Config) -> Error {
    if args.model.is_none() && config.default_model.is_some() {
        error.message = format!("{} ({})", error.message, config.default_model_of);
    } else if error.code == ErrorCode::ModelUnknown && !config.routes.is_empty() {
        let routes: Vec<_> = config.routes.keys().map(String::as_str).collect();
        error.hint = format!("{}; routes: {}", error.hint, routes.join(", "));
    }
    error
}

fn why(how: How, config: &Config) -> String {
    match how {
        How::Chosen => String::new(),
        How::FromEnvironment(variable) if config.keys.has(variable) => {
            " (its key is in the configuration)".to_owned()
        }
        How::FromEnvironment(variable) => format!(" (from {variable})"),
        How::LocalOllama => " (an Ollama runs on this machine)".to_owned(),
        How::ScriptedDefault => " (no provider is configured: this is the offline scripted model; \
            set --model provider:name or an API key variable)"
            .to_owned(),
    }
}

/// Where a route leads.
fn leads(route: &Route) -> String {
    let names: Vec<_> = route.backends.iter().map(|(name, _)| name.as_str()).collect();
    match route.choice {
        Choice::InOrder => names.join(", then "),
        Choice::ByCost | Choice::ByQuality | Choice::ByLatency => {
            format!("by {}: {}", route.choice.word(), names.join(", "))
        }
        Choice::ByWeight => {
            let weighted = route.backends.iter().map(|(name, weight)| format!("{name} ({weight})"));
            weighted.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The device of a resolved model.
fn device(resolved: Resolved, slots: Option<u32>, window: Option<u64>) -> ModelDevice {
    let given = window.map(Tokens);
    let context = match (resolved.context, given) {
        (Some(known), Some(given)) => Some(known.min(given)),
        (known, given) => known.or(given),
    };
    ModelDevice {
        slots: slots.unwrap_or(resolved.slots),
        reads_free: resolved.reads_free,
        continues: resolved.continues,
        price: resolved.price.unwrap_or_default(),
        long_price: resolved.long_price,
        tokenizer: resolved.tokenizer,
        context,
        abilities: resolved.abilities,
        quality: resolved.quality,
        cache: rules(resolved.cache).unwrap_or_else(CacheRules::free),
        long_cache: resolved.long_cache.and_then(rules),
        stream: true,
        ..ModelDevice::new(resolved.device, resolved.driver)
    }
}
