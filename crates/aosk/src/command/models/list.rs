//! `aosk models list`: the models that are known, with what the sources say of them.

use aosk::abi::{Error, ErrorCode, Price, Rates, Tokens};
use aosk::model::price::{Capability, Model};
use aosk::model::provider::{self, PROVIDERS, Provider};
use serde_json::{Value, json};

use super::dollars;
use crate::cli::ModelsListArgs;
use crate::config::Config;
use crate::fail::Done;
use crate::setup;
use crate::term::{self, count, line, note};

/// A model of a provider; none stands for those that are not known by name.
type Row<'a> = (&'static Provider, Option<&'a Model>);

pub(super) fn run(config: &Config, args: &ModelsListArgs) -> Result<Done, Error> {
    let catalogue = setup::catalogue(config)?;
    let wanted = args.provider.as_deref().map(named).transpose()?;
    let known: Vec<&Model> = catalogue.models().collect();
    let sellers = PROVIDERS.iter().filter(|one| one.models_of() == one.name);
    let asked = sellers.filter(|one| wanted.is_none_or(|wanted| wanted.models_of() == one.name));
    let rows: Vec<Row<'_>> = asked
        .flat_map(|provider| {
            let of = known.iter().filter(|model| model.provider == provider.name);
            let models: Vec<Row<'_>> = of.map(|model| (provider, Some(*model))).collect();
            if models.is_empty() { vec![(provider, None)] } else { models }
        })
        .collect();
    if args.json {
        term::json(&Value::Array(rows.iter().map(|row| object(row, config)).collect()));
        return Ok(Done::Well);
    }
    let head =
        ["provider", "model", "window", "in", "cached", "out", "can", "class", "key", "as of"];
    let right = ["window", "in", "cached", "out"];
    line(&term::table(&head, &right, rows.iter().map(|row| cells(row, config)).collect()));
    note(
        "dollars for a million tokens; + long requests cost more; * other hours cost less; the \
         sources and hours are in --json",
    );
    Ok(Done::Well)
}

/// The provider of this name.
fn named(name: &str) -> Result<&'static Provider, Error> {
    provider::find(name).ok_or_else(|| {
        let near = provider::near(name).join(" or ");
        let near = if near.is_empty() { near } else { format!("did you mean {near}? ") };
        let names: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        let text = format!("listing models: no provider is called {name}");
        Error::new(ErrorCode::ModelUnknown, text)
            .hint(format!("{near}providers: {}", names.join(", ")))
    })
}

/// The variable that has the provider's key, if one has.
fn key_variable(provider: &Provider, config: &Config) -> Option<&'static str> {
    let is_set = |name: &&str| config.keys.variable(name).is_some_and(|key| !key.trim().is_empty());
    provider.key_variables().find(is_set)
}

fn key(provider: &Provider, config: &Config) -> String {
    match (key_variable(provider, config), provider.needs_key) {
        (Some(_), _) => "set".to_owned(),
        (None, true) => format!("no {}", provider.key_variable),
        (None, false) => "none needed".to_owned(),
    }
}

fn cells((provider, model): &Row<'_>, config: &Config) -> Vec<String> {
    let window = model.and_then(|model| model.context).map(|Tokens(window)| count(window));
    let capabilities = model.map(|model| model.capabilities.as_slice()).unwrap_or_default();
    let can: Vec<_> = capabilities.iter().map(|capability| word(*capability)).collect();
    let price = model.map(Model::price).or_else(|| (!provider.needs_key).then(Price::default));
    let long = if price.is_some_and(|price| price.long.is_some()) { "+" } else { "" };
    let hours = if price.is_some_and(|price| price.off_peak.is_some()) { "*" } else { "" };
    let figure =
        |rate: fn(Rates) -> String| price.map(|price| rate(price.usual)).unwrap_or_default();
    vec![
        provider.name.to_owned(),
        model.map_or("(any it has)", |model| &model.id).to_owned(),
        window.unwrap_or_default(),
        format!("{}{long}{hours}", figure(|rates| dollars(rates.input))),
        figure(|rates| dollars(rates.cache_read)),
        figure(|rates| dollars(rates.output)),
        can.join(" "),
        model
            .and_then(|model| model.quality)
            .map_or_else(String::new, |class| class.word().to_owned()),
        key(provider, config),
        model.map(|model| model.as_of.clone()).unwrap_or_default(),
    ]
}

fn word(capability: Capability) -> &'static str {
    match capability {
        Capability::Tools => "tools",
        Capability::Images => "images",
        Capability::Reasoning => "reasoning",
        Capability::Schema => "schema",
    }
}

/// The row as JSON. Prices are in micro-dollars for a million tokens, as in the file.
fn object((provider, model): &Row<'_>, config: &Config) -> Value {
    let price = model.map(Model::price);
    let long = price.and_then(|price| price.long);
    let long = long.map(|(above, rates)| json!({ "above": above, "rates": rates }));
    let off_peak = price.and_then(|price| price.off_peak);
    let off_peak =
        off_peak.map(|other| json!({ "outside": other.peak.to_string(), "rates": other.rates }));
    json!({
        "provider": provider.name,
        "model": model.map(|model| &model.id),
        "aliases": model.map(|model| &model.aliases),
        "context": model.and_then(|model| model.context),
        "output_max": model.and_then(|model| model.output_max),
        "price": price.map(|price| price.usual),
        "long_price": long,
        "off_peak_price": off_peak,
        "quality": model.and_then(|model| model.quality),
        "capabilities": model.map(|model| &model.capabilities),
        "note": model.and_then(|model| model.note.as_ref()),
        "source": model.map(|model| &model.source),
        "as_of": model.map(|model| &model.as_of),
        "base_url": provider.base_url,
        "key": {
            "variable": key_variable(provider, config).unwrap_or(provider.key_variable),
            "set": key_variable(provider, config).is_some(),
            "needed": provider.needs_key,
        },
    })
}
