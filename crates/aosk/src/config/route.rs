//! Names that several models answer to: a list of models, models with weights, or a mapping that says by
//! what rule one of them is chosen.

use std::collections::BTreeMap;

use aosk::abi::{Error, ErrorCode, Millis, Quality, limits};
use aosk::kernel::{Choice, Route};
use aosk::tools::near_names;
use serde_json::Value;

use super::device::known;
use super::keys::{self, Key};
use super::leaf;
use super::section::{Found, Read, Section};
use super::tree::{Item, Node, Origin};

/// The keys of a route that is a mapping.
const KEYS: [&Key; 4] =
    [&keys::ROUTE_BY, &keys::ROUTE_QUALITY, &keys::ROUTE_WAIT, &keys::ROUTE_MODELS];

/// The routes by name.
pub(super) fn routes(section: &Section<'_>) -> Read<BTreeMap<String, Route>> {
    let mut routes = BTreeMap::new();
    let mut origins = BTreeMap::new();
    for (name, item) in section.names() {
        let route = if has_rule(item) {
            ruled(&section.under(&name.text, item)?, item)?
        } else {
            Found::new(&keys::ROUTE, section.name(&name.text), item).read(short)?
        };
        routes.insert(name.text.clone(), route);
        origins.insert(name.text.clone(), item.origin.clone());
    }
    for (name, route) in &routes {
        for (to, _) in &route.backends {
            let origin = origins.get(name).cloned().unwrap_or(Origin::Default);
            leads_on(name, to, &routes).map_err(|error| (origin, error))?;
        }
    }
    Ok(routes)
}

/// Whether a route is a mapping of the keys of routes. No model has the name of one of them.
pub(super) fn has_rule(item: &Item) -> bool {
    match &item.node {
        Node::Map(entries) => {
            entries.iter().any(|(name, _)| KEYS.iter().any(|key| key.last() == name.text))
        }
        Node::Scalar(_) | Node::Text(_) | Node::List(_) => false,
    }
}

/// A route that says by what rule it chooses.
fn ruled(section: &Section<'_>, item: &Item) -> Read<Route> {
    for (name, _) in section.names() {
        if KEYS.iter().all(|key| key.last() != name.text) {
            let names: Vec<_> = KEYS.iter().map(|key| key.last()).collect();
            let near = near_names(&name.text, names.iter().copied()).join(" or ");
            let near = if near.is_empty() { near } else { format!("did you mean {near}? ") };
            let text = format!("there is no key {}", section.name(&name.text));
            let error = Error::new(ErrorCode::ConfigInvalid, text)
                .hint(format!("{near}keys: {}; models stand under models", names.join(", ")));
            return Err((Origin::Line(name.line), error));
        }
    }
    let choice = section.read(&keys::ROUTE_BY, |found| leaf::word(found, choice))?;
    let choice = choice.unwrap_or_default();
    let quality = section.read(&keys::ROUTE_QUALITY, |found| leaf::word(found, quality))?;
    let wait = section.read(&keys::ROUTE_WAIT, |found| wait(found, choice))?;
    let models = section.read(&keys::ROUTE_MODELS, |found| models(found, choice))?;
    let Some((backends, classes)) = models else {
        let error =
            Error::new(ErrorCode::ConfigInvalid, format!("{} is missing", section.name("models")))
                .hint(format!("write, for example, models: {}", keys::ROUTE_MODELS.example));
        return Err((item.origin.clone(), error));
    };
    let wait = wait.unwrap_or_else(|| Route::usual_wait(choice));
    Ok(Route { backends, choice, quality, classes, wait })
}

/// The rule of this name.
fn choice(word: &str) -> Option<Choice> {
    Choice::ALL.into_iter().find(|choice| choice.word() == word)
}

/// The class of this name.
fn quality(word: &str) -> Option<Quality> {
    Quality::ALL.into_iter().find(|quality| quality.word() == word)
}

fn wait(found: &Found<'_>, choice: Choice) -> Result<Millis, Error> {
    let most = limits::ROUTE_WAIT_MAX.0 / 1_000;
    let seconds = found.value.as_u64().filter(|seconds| *seconds <= most);
    let seconds = seconds.ok_or_else(|| found.must())?;
    if choice == Choice::ByWeight && seconds > 0 {
        let text =
            format!("{} is {seconds}, and by weight no model is better than another", found.name);
        return Err(Error::new(ErrorCode::ConfigInvalid, text)
            .hint("leave it out, or choose by order, cost, quality or latency"));
    }
    Ok(Millis::from_secs(seconds))
}

/// Models with their weights, and with the classes that they have in the route.
type Models = (Vec<(String, u32)>, BTreeMap<String, Quality>);

/// The models of a route that has a rule: a list, or each with its weight or its class.
fn models(found: &Found<'_>, choice: Choice) -> Result<Models, Error> {
    let mut classes = BTreeMap::new();
    let backends = match &found.value {
        Value::Array(models) => list(models),
        Value::Object(models) if choice == Choice::ByWeight => Some(weighted(found, models)?),
        Value::Object(models) => {
            for (model, class) in models.iter().filter(|(_, class)| !class.is_null()) {
                let known = class.as_str().and_then(quality);
                let known = known.ok_or_else(|| classless(&found.name, model, class))?;
                classes.insert(model.clone(), known);
            }
            Some(models.keys().map(|model| (model.clone(), 1)).collect())
        }
        Value::String(model) => Some(vec![(model.clone(), 1)]),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    };
    Ok((each_once(found, backends)?, classes))
}

/// A route that is no more than its models.
fn short(found: &Found<'_>) -> Result<Route, Error> {
    let (backends, choice) = match &found.value {
        Value::String(model) => (Some(vec![(model.clone(), 1)]), Choice::InOrder),
        Value::Array(models) => (list(models), Choice::InOrder),
        Value::Object(models) => (Some(weighted(found, models)?), Choice::ByWeight),
        Value::Null | Value::Bool(_) | Value::Number(_) => (None, Choice::InOrder),
    };
    Ok(Route { backends: each_once(found, backends)?, choice, ..Route::default() })
}

fn list(models: &[Value]) -> Option<Vec<(String, u32)>> {
    models.iter().map(|model| Some((model.as_str()?.to_owned(), 1))).collect()
}

fn weighted(
    found: &Found<'_>,
    models: &serde_json::Map<String, Value>,
) -> Result<Vec<(String, u32)>, Error> {
    let weights = models.iter().map(|(model, weight)| {
        let number = weight.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| *number > 0);
        let number = number.ok_or_else(|| weightless(&found.name, model, weight))?;
        Ok((model.clone(), number))
    });
    weights.collect()
}

/// The models, if there are any and none stands twice.
fn each_once(
    found: &Found<'_>,
    backends: Option<Vec<(String, u32)>>,
) -> Result<Vec<(String, u32)>, Error> {
    let backends = backends.filter(|backends| !backends.is_empty());
    let backends = backends.ok_or_else(|| found.must())?;
    let mut names: Vec<_> = backends.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
        let text = format!("{} names {twice} twice", found.name);
        return Err(Error::new(ErrorCode::ConfigInvalid, text)
            .hint("name each model once; weights say how much of the calls it gets"));
    }
    Ok(backends)
}

fn classless(route: &str, model: &str, class: &Value) -> Error {
    let class = class.as_str().map_or_else(|| class.to_string(), str::to_owned);
    let text = format!("{route}.{model} is {class:?} and must be low, medium or high");
    Error::new(ErrorCode::ConfigInvalid, text)
        .hint(format!("write, for example, {model}: high; weights are for by: weight"))
}

fn weightless(route: &str, model: &str, weight: &Value) -> Error {
    let weight = weight.as_str().map_or_else(|| weight.to_string(), str::to_owned);
    let text = format!("{route}.{model} is {weight:?} and must be a weight, a whole number from 1");
    Error::new(ErrorCode::ConfigInvalid, text).hint(format!("write, for example, {model}: 3"))
}

/// Checks that a route leads to a model. One may have the name of a model it leads to; it stands in
/// front of that model then.
fn leads_on(from: &str, to: &str, routes: &BTreeMap<String, Route>) -> Result<(), Error> {
    let Err(unknown) = known(to, &format!("routes.{from}")) else {
        return Ok(());
    };
    if !routes.contains_key(to) {
        return Err(unknown);
    }
    let mut way = vec![from.to_owned(), to.to_owned()];
    let next = |name: &String| {
        let route = routes.get(name)?;
        route.backends.iter().map(|(name, _)| name).find(|name| routes.contains_key(*name))
    };
    while let Some(last) = way.last()
        && way.iter().filter(|name| *name == last).count() < 2
        && let Some(on) = next(last)
    {
        let on = on.clone();
        way.push(on);
    }
    let last = way.last();
    let text = if way.iter().filter(|name| Some(*name) == last).count() > 1 {
        format!("routes.{from} leads round in a circle: {}", way.join(" -> "))
    } else {
        format!("routes.{from} leads to {to}, which is a route itself")
    };
    Err(Error::new(ErrorCode::ConfigInvalid, text)
        .hint(format!("name models in it, such as {from}: [anthropic:claude-haiku-4-5]")))
}
