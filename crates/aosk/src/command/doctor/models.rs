//! The models that `aosk run` would ask, and whether they are there.

use std::collections::BTreeMap;
use std::env;

use aosk::abi::Error;
use aosk::kernel::Route;
use aosk::kernel::memory::replacement;
use aosk::model::resolve::Surroundings;
use aosk::model::{Catalogue, How, Resolved, resolve_in};

use super::{Check, Verdict};
use crate::config::Config;
use crate::setup;

/// The models that the configuration names, each looked for once.
type Found<'a> = BTreeMap<&'a str, Result<Resolved, Error>>;

/// What is asked if nothing else is said, what else the configuration names, and who makes summaries.
pub(super) async fn checks(config: Option<&Config>) -> Vec<Check> {
    let Some(config) = config else { return vec![model(None, &Catalogue::default()).await] };
    let catalogue = match setup::catalogue(config) {
        Ok(catalogue) => catalogue,
        Err(error) => return vec![Check::failure("model", &error)],
    };
    let found = named(config, &catalogue).await;
    let default = config.default_model.as_deref();
    let mut checks = vec![match default.and_then(|name| Some((name, config.routes.get(name)?))) {
        Some((name, route)) => routed("model", name, route, &found),
        None => model(Some(config), &catalogue).await,
    }];
    for (name, found) in found.iter().filter(|(name, _)| default != Some(**name)) {
        let check = format!("model {name}");
        checks.push(match found {
            Ok(resolved) => Check::new(check, Verdict::Good, resolved.device.clone()),
            Err(error) => left_out(check, error),
        });
    }
    for (name, route) in config.routes.iter().filter(|(name, _)| default != Some(name.as_str())) {
        let check = routed(&format!("route {name}"), name, route, &found);
        checks.push(match check.verdict {
            // Nobody asks it unless told to.
            Verdict::Failure(_) => Check { verdict: Verdict::Warning, ..check },
            Verdict::Good | Verdict::Absent | Verdict::Warning => check,
        });
    }
    checks.extend(summaries(config, &found, &catalogue).await);
    checks
}

/// Looks for the models of `devices` and `routes`.
async fn named<'a>(config: &'a Config, catalogue: &Catalogue) -> Found<'a> {
    let mut found = Found::new();
    let routed = config.routes.values().flat_map(|route| &route.backends).map(|(name, _)| name);
    for name in config.devices.keys().chain(routed) {
        if !found.contains_key(name.as_str()) {
            found.insert(name, look_for(name, config, catalogue).await);
        }
    }
    found
}

async fn look_for(name: &str, config: &Config, catalogue: &Catalogue) -> Result<Resolved, Error> {
    let own = config.devices.get(name).and_then(|device| device.base_url.as_deref());
    let base_url = own.or(config.base_url.as_deref());
    let env = |name: &str| env::var(name).ok();
    resolve_in(Some(name), base_url, Surroundings { env: &env, catalogue }).await
}

fn left_out(name: impl Into<String>, error: &Error) -> Check {
    let found = format!("left out: {}: {}", error.code, error.message);
    Check::new(name, Verdict::Warning, found).hint(&error.hint)
}

/// Who makes summaries, if the configuration names anybody.
async fn summaries(config: &Config, found: &Found<'_>, catalogue: &Catalogue) -> Option<Check> {
    let (name, spec) = ("summary model", config.summary_model.as_deref()?);
    let asked;
    let resolved = match found.get(spec) {
        Some(resolved) => resolved,
        None if config.routes.contains_key(spec) => {
            return Some(Check::new(name, Verdict::Good, format!("{spec}, a route")));
        }
        None => {
            asked = look_for(spec, config, catalogue).await;
            &asked
        }
    };
    let policy = config.replacement.as_deref().and_then(|name| replacement(name).ok());
    let is_needed = policy.is_some_and(|policy| policy.has_summaries_made());
    Some(match resolved {
        Ok(resolved) => Check::new(name, Verdict::Good, resolved.device.clone()),
        Err(error) if is_needed => Check::failure(name, error),
        Err(error) => left_out(name, error),
    })
}

/// The model that `aosk run` would ask, and why that one.
async fn model(config: Option<&Config>, catalogue: &Catalogue) -> Check {
    let name = "model";
    let spec = config.and_then(|config| config.default_model.as_deref());
    let base_url = config.and_then(|config| config.base_url.as_deref());
    let env = |name: &str| env::var(name).ok();
    let around = Surroundings { env: &env, catalogue };
    let Resolved { device, price, how, .. } = match resolve_in(spec, base_url, around).await {
        Ok(resolved) => resolved,
        Err(error) => return Check::failure(name, &error),
    };
    let why = match how {
        How::Chosen => "the configuration names it",
        How::FromEnvironment(variable) => &format!("{variable} is set"),
        How::LocalOllama => "an Ollama runs on this machine",
        How::ScriptedDefault => {
            return Check::new(
                name,
                Verdict::Warning,
                "scripted, offline: no provider is configured",
            )
            .hint("set an API key variable, or default_model in the configuration, or --model");
        }
    };
    if price.is_none() {
        return Check::new(
            name,
            Verdict::Warning,
            format!("{device}: {why}; its price is not known"),
        )
        .hint("its calls count as free of charge, so bound them by tokens instead of money");
    }
    Check::new(name, Verdict::Good, format!("{device}: {why}"))
}

/// Which models of the route are there. One is enough.
fn routed(check: &str, name: &str, route: &Route, found: &Found<'_>) -> Check {
    let mut there = Vec::new();
    let mut missing = Vec::new();
    for (model, _) in &route.backends {
        match found.get(model.as_str()) {
            Some(Ok(resolved)) => there.push(resolved.device.as_str()),
            Some(Err(error)) => missing.push((model.as_str(), error)),
            None => {}
        }
    }
    match (there.as_slice(), missing.first()) {
        ([], Some((_, error))) => Check::failure(check, error),
        (_, None) => {
            let there = there.join(", ");
            let found = format!("{name}, a route of the configuration: {there}");
            Check::new(check, Verdict::Good, found)
        }
        (_, Some((_, error))) => {
            let there = there.join(", ");
            let missing: Vec<_> = missing.iter().map(|(model, _)| *model).collect();
            let found = format!("{name}, a route to {there}, without {}", missing.join(", "));
            Check::new(check, Verdict::Warning, found).hint(&error.hint)
        }
    }
}
