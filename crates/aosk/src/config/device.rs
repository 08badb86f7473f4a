//! Models in the configuration: what each takes, and names that several answer to.

use std::collections::BTreeMap;

use aosk::abi::{Bounds, Error, ErrorCode, Tokens};
use aosk::kernel::{Choice, Rates, Route};
use aosk::model::resolve;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::leaf::{self, Leaf, Names, Read, key, must};

/// What is said of a model.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its address, in place of the usual one of its provider.
    pub(crate) base_url: Option<String>,
    /// Calls at once.
    pub(crate) slots: Option<u32>,
    /// What its provider takes.
    pub(crate) rates: Rates,
}

/// A model as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    base_url: Leaf,
    slots: Leaf,
    requests_per_minute: Leaf,
    tokens_per_minute: Leaf,
    usd_per_day: Leaf,
}

/// The models by the names they are written with.
pub(super) fn all(written: Names<Option<Written>>) -> Read<BTreeMap<String, Device>> {
    let mut devices = BTreeMap::new();
    for (name, device) in written.0 {
        known(&name.value, "devices").map_err(|error| (name.referenced.line(), error))?;
        let device = read(&name.value, device.unwrap_or_default())?;
        devices.insert(name.value, device);
    }
    Ok(devices)
}

fn read(name: &str, written: Written) -> Read<Device> {
    let at = |key: &str| format!("devices.{name}.{key}");
    Ok(Device {
        base_url: key(written.base_url, super::base_url)?,
        slots: key(written.slots, |value| slots(&at("slots"), value))?,
        rates: Rates {
            per_minute: Bounds {
                calls: leaf::number(
                    written.requests_per_minute,
                    &at("requests_per_minute"),
                    "500",
                )?,
                tokens: leaf::number(
                    written.tokens_per_minute,
                    &at("tokens_per_minute"),
                    "200000",
                )?
                .map(Tokens),
                micro_usd: None,
            },
            per_day: leaf::money(written.usd_per_day, &at("usd_per_day"))?,
        },
    })
}

pub(super) fn slots(name: &str, value: &Value) -> Result<u32, Error> {
    let slots = value.as_u64().and_then(|slots| u32::try_from(slots).ok());
    let slots = slots.filter(|slots| *slots > 0);
    slots.ok_or_else(|| must(name, value, "a whole number from 1", "4"))
}

/// Whether a model can have this name.
fn known(name: &str, key: &str) -> Result<(), Error> {
    resolve::check_name(name).map_err(|error| {
        Error::new(ErrorCode::ConfigInvalid, format!("{key}: {}", error.message)).hint(error.hint)
    })
}

/// The routes by name.
pub(super) fn routes(written: Names<Spanned<Value>>) -> Read<BTreeMap<String, Route>> {
    let mut routes = BTreeMap::new();
    let mut lines = BTreeMap::new();
    for (name, Spanned { value, referenced, .. }) in written.0 {
        let route = route(&name.value, &value).map_err(|error| (referenced.line(), error))?;
        lines.insert(name.value.clone(), referenced.line());
        routes.insert(name.value, route);
    }
    for (name, route) in &routes {
        for (to, _) in &route.backends {
            let line = lines.get(name).copied().unwrap_or_default();
            leads_on(name, to, &routes).map_err(|error| (line, error))?;
        }
    }
    Ok(routes)
}

fn route(name: &str, value: &Value) -> Result<Route, Error> {
    let key = format!("routes.{name}");
    let be = "a list of models, the first to be asked first, or models with their weights";
    let wrong = || must(&key, value, be, "[anthropic:claude-haiku-4-5, openai:gpt-5.4-mini]");
    let (backends, choice): (Option<Vec<_>>, _) = match value {
        Value::String(model) => (Some(vec![(model.clone(), 1)]), Choice::InOrder),
        Value::Array(models) => {
            let models = models.iter().map(|model| Some((model.as_str()?.to_owned(), 1)));
            (models.collect(), Choice::InOrder)
        }
        Value::Object(weights) => {
            let weights = weights.iter().map(|(model, weight)| {
                let number = weight.as_u64().and_then(|number| u32::try_from(number).ok());
                let be = "a weight, a whole number from 1";
                let number = number.filter(|number| *number > 0);
                let number = number.ok_or_else(|| must(&format!("{key}.{model}"), weight, be, "3"));
                number.map(|number| Some((model.clone(), number)))
            });
            (weights.collect::<Result<_, _>>()?, Choice::ByWeight)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => (None, Choice::InOrder),
    };
    let backends = backends.filter(|backends| !backends.is_empty()).ok_or_else(wrong)?;
    let mut names: Vec<_> = backends.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
        let text = format!("{key} names {twice} twice");
        return Err(Error::new(ErrorCode::ConfigInvalid, text)
            .hint("name each model once; weights say how much of the calls it gets"));
    }
    Ok(Route { backends, choice })
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
