//! Models in the configuration: what each takes, and names that several answer to.

use std::collections::BTreeMap;

use aosk::abi::{Bounds, Error, ErrorCode, Tokens};
use aosk::kernel::{Choice, Rates, Route};
use aosk::model::resolve;
use serde_json::Value;

use super::keys::{self, Key};
use super::leaf;
use super::section::{Found, Read, Section};
use super::tree::Origin;

/// What is said of a model.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its address, in place of the usual one of its provider.
    pub(crate) base_url: Option<String>,
    /// Calls at once.
    pub(crate) slots: Option<u32>,
    /// Whether its calls yield when their time slice is over.
    pub(crate) slices: Option<bool>,
    /// What its provider takes.
    pub(crate) rates: Rates,
}

/// The models by the names they are written with.
pub(super) fn all(section: &Section<'_>) -> Read<BTreeMap<String, Device>> {
    let mut devices = BTreeMap::new();
    for (name, item) in section.names() {
        known(&name.text, "devices").map_err(|error| (Origin::Line(name.line), error))?;
        let device = read(
            &section.under(&name.text, item)?,
            [
                &keys::DEVICE_BASE_URL,
                &keys::DEVICE_SLOTS,
                &keys::DEVICE_SLICES,
                &keys::DEVICE_REQUESTS,
                &keys::DEVICE_TOKENS,
                &keys::DEVICE_USD,
            ],
        )?;
        devices.insert(name.text.clone(), device);
    }
    Ok(devices)
}

/// Reads what is said of one model under these keys: its address, its slots, whether they are given
/// up in time, and its rates of requests, tokens and dollars.
pub(super) fn read(
    section: &Section<'_>,
    [base_url, slots, slices, requests, tokens, usd]: [&'static Key; 6],
) -> Read<Device> {
    Ok(Device {
        base_url: leaf::address(section, base_url)?,
        slots: leaf::slots(section, slots)?,
        slices: leaf::boolean(section, slices)?,
        rates: Rates {
            per_minute: Bounds {
                calls: leaf::number(section, requests)?,
                tokens: leaf::number(section, tokens)?.map(Tokens),
                micro_usd: None,
            },
            per_day: leaf::money(section, usd)?,
        },
    })
}

/// Whether a model can have this name.
fn known(name: &str, key: &str) -> Result<(), Error> {
    resolve::check_name(name).map_err(|error| {
        Error::new(ErrorCode::ConfigInvalid, format!("{key}: {}", error.message)).hint(error.hint)
    })
}

/// The routes by name.
pub(super) fn routes(section: &Section<'_>) -> Read<BTreeMap<String, Route>> {
    let mut routes = BTreeMap::new();
    let mut origins = BTreeMap::new();
    for (name, item) in section.names() {
        let found = Found::new(&keys::ROUTE, section.name(&name.text), item);
        routes.insert(name.text.clone(), found.read(route)?);
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

fn route(found: &Found<'_>) -> Result<Route, Error> {
    let (backends, choice): (Option<Vec<_>>, _) = match &found.value {
        Value::String(model) => (Some(vec![(model.clone(), 1)]), Choice::InOrder),
        Value::Array(models) => {
            let models = models.iter().map(|model| Some((model.as_str()?.to_owned(), 1)));
            (models.collect(), Choice::InOrder)
        }
        Value::Object(weights) => {
            let weights = weights.iter().map(|(model, weight)| {
                let number = weight.as_u64().and_then(|number| u32::try_from(number).ok());
                let number = number.filter(|number| *number > 0);
                let number = number.ok_or_else(|| weightless(&found.name, model, weight))?;
                Ok(Some((model.clone(), number)))
            });
            (weights.collect::<Result<_, Error>>()?, Choice::ByWeight)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => (None, Choice::InOrder),
    };
    let backends = backends.filter(|backends| !backends.is_empty());
    let backends = backends.ok_or_else(|| found.must())?;
    let mut names: Vec<_> = backends.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
        let text = format!("{} names {twice} twice", found.name);
        return Err(Error::new(ErrorCode::ConfigInvalid, text)
            .hint("name each model once; weights say how much of the calls it gets"));
    }
    Ok(Route { backends, choice })
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
