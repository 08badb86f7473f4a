//! The configuration of a daemon, read anew while it runs: on SIGHUP, and when a client asks for it.
//!
//! A mistake in it changes nothing. What cannot change without a restart is named, each time until there
//! is one.

use std::collections::BTreeSet;

use aosk::abi::{Ability, Change, Error, ErrorCode, Quality, limits};
use aosk::kernel::policy;
use aosk::{Handle, ModelDevice, Surroundings};
use aosk_server::{ReloadRequest, Reloaded};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::{ModelArgs, Place};
use crate::config::changes::{self, Said};
use crate::config::{self, Config, Settings};
use crate::setup;
use crate::term::note;

/// Reads the configuration anew whenever it is wanted.
pub(super) struct Reloader<'a> {
    pub(super) place: &'a Place,
    pub(super) args: &'a ModelArgs,
    pub(super) handle: Handle,
    pub(super) force: Force,
    pub(super) hangup: Signal,
    pub(super) asked: mpsc::Receiver<ReloadRequest>,
}

/// What is in force.
pub(super) struct Force {
    /// What was said that is.
    said: Said,
    /// What was said in the end, whether it is or not.
    config: Config,
    /// Names of keys that options go before.
    given: Vec<&'static str>,
    /// The model of summaries, which no route leads to.
    summaries: Option<String>,
}

impl Force {
    /// What a daemon was started with.
    pub(super) fn new(settings: &Settings, args: &ModelArgs, summaries: Option<String>) -> Self {
        let options = [
            ("default_model", args.model.is_some()),
            ("base_url", args.base_url.is_some()),
            ("slots", args.slots.is_some()),
            ("window", args.window.is_some()),
            ("replacement", args.replacement.is_some()),
            ("prefer", args.prefer.is_some()),
            ("summary_model", args.summary_model.is_some()),
        ];
        let given = options.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
        let given: Vec<_> = given.collect();
        let said = changes::said(settings, &given);
        Self { said, config: settings.config.clone(), given, summaries }
    }
}

/// Listens to SIGHUP, which from now on ends nothing.
pub(super) fn hangups() -> Result<Signal, Error> {
    signal(SignalKind::hangup())
        .map_err(|error| Error::new(ErrorCode::Io, format!("listening to SIGHUP: {error}")))
}

impl Reloader<'_> {
    /// Does so until the program ends.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => {
                    let outcome = self.reload().await;
                    tell(&outcome);
                }
                Some(reply) = self.asked.recv() => {
                    let outcome = self.reload().await;
                    tell(&outcome);
                    // Whoever asked may have gone away.
                    let _gone = reply.send(outcome);
                }
                else => return,
            }
        }
    }

    /// Reads it, and puts in force what can be.
    async fn reload(&mut self) -> Result<Reloaded, Error> {
        let settings = config::settings(self.place.config.as_ref(), &[])?;
        let said = changes::said(&settings, &self.force.given);
        let all = changes::between(&self.force.said, &said);
        let (mut needs_restart, mut changed): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|change| changes::is_at_start(&change.key));
        let before = &self.force.config;
        let has_other_keys = !settings.config.keys.are(&before.keys);
        if has_other_keys && !changed.iter().any(|change| change.key.starts_with("api_keys")) {
            let hidden = || Some("[redacted]".to_owned());
            let key = "api_keys".to_owned();
            changed.push(Change { key, from: hidden(), to: hidden() });
        }
        let is_reached_otherwise =
            has_other_keys || changed.iter().any(|change| is_way(&change.key));
        let config = as_started(settings.config.clone(), before);
        let found = setup::models(self.args, &config).await?;
        let equipment = self.handle.equipment();
        let merged = Merged::of(&equipment.models, &found.devices, is_reached_otherwise);
        changed.extend(merged.changed);
        for name in equipment.routes.keys().filter(|name| !found.routes.contains_key(*name)) {
            let key = format!("routes.{name}");
            if !changed.iter().any(|change| change.key.starts_with(&key)) {
                changed.push(change(&format!("the route {name}"), Some("there"), None));
            }
        }
        let is_gone = |change: &Change| self.force.summaries.as_ref() != Some(&change.key);
        needs_restart.extend(merged.needs_restart.into_iter().filter(is_gone));
        let is_chosen = changed.iter().any(|change| change.key == "policy");
        let told = Surroundings {
            models: merged.models,
            routes: found.routes,
            groups: config.groups.clone(),
            policy: if is_chosen { Some(policy(policy_of(&config))?) } else { None },
            slice: config.slice,
            tool_slots: config.tool_slots.unwrap_or(limits::TOOL_SLOTS),
            changes: changed.clone(),
        };
        if !changed.is_empty() {
            self.handle.reconfigure(told).await?;
        }
        if changed.iter().any(|change| change.key == "log") {
            crate::log::say(config.log.as_deref())?;
        }
        // What waits for a restart is named again the next time.
        let waits = needs_restart.iter().map(|change| change.key.as_str()).collect::<BTreeSet<_>>();
        let mut in_force = said;
        in_force.retain(|key, _| !waits.contains(key.as_str()));
        let kept = self.force.said.iter().filter(|(key, _)| waits.contains(key.as_str()));
        in_force.extend(kept.map(|(key, text)| (key.clone(), text.clone())));
        (self.force.said, self.force.config) = (in_force, config);
        Ok(Reloaded { changed, needs_restart })
    }
}

fn policy_of(config: &Config) -> &str {
    config.policy.as_deref().unwrap_or("fair")
}

/// The configuration with what only a restart changes as it was.
fn as_started(mut config: Config, before: &Config) -> Config {
    // Calls wait for the usual model until a restart, and go where they would have gone.
    if let Some(usual) = &before.default_model
        && config.default_model.as_ref() != Some(usual)
        && let Some(said) = before.devices.get(usual)
    {
        config.devices.entry(usual.clone()).or_insert_with(|| said.clone());
    }
    Config {
        default_model: before.default_model.clone(),
        default_model_of: before.default_model_of.clone(),
        window: before.window,
        replacement: before.replacement.clone(),
        prefer: before.prefer,
        summary_model: before.summary_model.clone(),
        embedder: before.embedder.clone(),
        embedder_url: before.embedder_url.clone(),
        otel: before.otel.clone(),
        ..config
    }
}

/// Whether it says where models are found, or who is let in there.
fn is_way(key: &str) -> bool {
    key.starts_with("api_keys") || key.ends_with("base_url") || key.ends_with("hostname")
}

/// Models that there are, and what was found of them anew.
struct Merged {
    models: Vec<ModelDevice>,
    changed: Vec<Change>,
    needs_restart: Vec<Change>,
}

impl Merged {
    /// Those there are with the bounds and prices that were found, and those that were not there. If they
    /// are reached otherwise, calls that begin from now on are.
    fn of(there: &[ModelDevice], found: &[ModelDevice], is_reached_otherwise: bool) -> Self {
        let mut merged =
            Self { models: Vec::new(), changed: Vec::new(), needs_restart: Vec::new() };
        for old in there {
            match found.iter().find(|new| new.name == old.name) {
                Some(new) => merged.renew(old, new, is_reached_otherwise),
                None => {
                    merged.needs_restart.push(change(&old.name, Some("there"), None));
                    merged.models.push(old.clone());
                }
            }
        }
        for new in found {
            if !there.iter().any(|old| old.name == new.name) {
                merged.changed.push(change(&new.name, None, Some("there")));
                merged.models.push(new.clone());
            }
        }
        merged
    }

    fn renew(&mut self, old: &ModelDevice, new: &ModelDevice, is_reached_otherwise: bool) {
        if (old.price, old.long_price) != (new.price, new.long_price) {
            let key = format!("the price of {}", old.name);
            let price = |model: &ModelDevice| {
                let usual = model.price.usual;
                format!("{} in, {} out for a million tokens", usual.input, usual.output)
            };
            self.changed.push(change(&key, Some(&price(old)), Some(&price(new))));
        }
        if old.context != new.context {
            let key = format!("the window of {}", old.name);
            let tokens = |model: &ModelDevice| model.context.map(|tokens| tokens.0.to_string());
            let (from, to) = (tokens(old), tokens(new));
            self.needs_restart.push(change(&key, from.as_deref(), to.as_deref()));
        }
        if (old.quality, old.abilities) != (new.quality, new.abilities) {
            let can = |model: &ModelDevice| {
                let class = model.quality.map_or("none", Quality::word);
                let abilities = Ability::ALL.into_iter();
                let has = |one: &Ability| {
                    model.abilities.is_none_or(|all| all.iter().any(|other| other == *one))
                };
                let words: Vec<_> = abilities.filter(has).map(Ability::word).collect();
                format!("{class}, {}", words.join(" "))
            };
            let key = format!("the class and abilities of {}", old.name);
            self.changed.push(change(&key, Some(&can(old)), Some(&can(new))));
        }
        let driver = if is_reached_otherwise { &new.driver } else { &old.driver };
        self.models.push(ModelDevice {
            driver: driver.clone(),
            slots: new.slots,
            price: new.price,
            long_price: new.long_price,
            quality: new.quality,
            abilities: new.abilities,
            timeout: new.timeout,
            rates: new.rates,
            reads_free: new.reads_free,
            slices: new.slices,
            ..old.clone()
        });
    }
}

fn change(key: &str, from: Option<&str>, to: Option<&str>) -> Change {
    Change { key: key.to_owned(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
}

/// Says what came of it where the daemon's words go.
fn tell(outcome: &Result<Reloaded, Error>) {
    match outcome {
        Ok(Reloaded { changed, needs_restart }) => {
            let keys = |changes: &[Change]| {
                changes.iter().map(|change| change.key.as_str()).collect::<Vec<_>>().join(", ")
            };
            match changed.as_slice() {
                [] => note("the configuration was read: nothing of it is new"),
                changed => note(&format!("the configuration was read: {}", keys(changed))),
            }
            if !needs_restart.is_empty() {
                note(&format!("needs a restart: {}", keys(needs_restart)));
            }
        }
        Err(error) => {
            note(&format!("the configuration was not taken: {}", error.message));
            tracing::warn!(code = error.code.as_str(), "the configuration was not taken");
        }
    }
}

#[cfg(test)]
mod tests;
