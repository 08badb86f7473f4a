//! Models as a list, `llms.models`: each becomes a device, and the first is asked if nothing else is said.

use std::collections::BTreeMap;

use aosk::abi::{Error, ErrorCode};
use aosk::model::provider::{self, Provider};
use aosk::model::resolve;

use super::device::{self, Device};
use super::keys;
use super::leaf;
use super::section::{Read, Section};
use super::tree::{Node, Origin};

/// A model of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// As it is called in the list.
    pub(super) name: String,
    /// `provider:name`.
    pub(super) spec: String,
    /// Where it stands.
    pub(super) origin: Origin,
}

/// Reads the list and adds what it says to `devices`.
pub(super) fn all(
    section: &Section<'_>,
    devices: &mut BTreeMap<String, Device>,
) -> Read<Vec<Listed>> {
    let Some((_, list)) = section.entry("models").filter(|(_, item)| !item.is_nothing()) else {
        return Ok(Vec::new());
    };
    let Node::List(items) = &list.node else {
        let error = Error::new(ErrorCode::ConfigInvalid, "llms.models must be a list of models")
            .hint("write, for example, models: [{name: gpt-5.4-mini, provider: openai}]");
        return Err((list.origin.clone(), error));
    };
    let mut listed = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let entry = section.under(&format!("models.{at}"), item)?;
        let (model, device) = read(&entry, &item.origin)?;
        if devices.insert(model.spec.clone(), device).is_some() {
            let text = format!("{} names {} a second time", entry.name("name"), model.spec);
            let error = Error::new(ErrorCode::ConfigInvalid, text)
                .hint("say it in llms.models or in devices, once");
            return Err((item.origin.clone(), error));
        }
        listed.push(model);
    }
    Ok(listed)
}

fn read(entry: &Section<'_>, origin: &Origin) -> Read<(Listed, Device)> {
    let wrong = |what: String, hint: &str| {
        (origin.clone(), Error::new(ErrorCode::ConfigInvalid, what).hint(hint))
    };
    let missing = |key: &'static keys::Key| {
        let hint = format!("write, for example, {}: {}", key.last(), key.example);
        wrong(format!("{} is missing", entry.name(key.last())), &hint)
    };
    let name = leaf::named(entry, &keys::LLM_NAME, |_| Ok(()))?;
    let name = name.ok_or_else(|| missing(&keys::LLM_NAME))?;
    let provider = leaf::named(entry, &keys::LLM_PROVIDER, resolve::check_name)?;
    let backend = leaf::named(entry, &keys::LLM_BACKEND, resolve::check_name)?;
    let seller = match (&provider, &backend) {
        (Some(one), Some(other)) if one != other => {
            let what = format!("{} and backend are not the same", entry.name("provider"));
            return Err(wrong(what, "give one of them"));
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => return Err(missing(&keys::LLM_PROVIDER)),
    };
    let Some(provider) = provider::find(seller) else {
        let what = format!("{} is {seller:?} and must be a provider", entry.name("provider"));
        return Err(wrong(what, "name the provider alone, and the model in name"));
    };
    let hostname = leaf::address(entry, &keys::LLM_HOSTNAME)?;
    let mut device = device::read(
        entry,
        [
            &keys::LLM_BASE_URL,
            &keys::LLM_SLOTS,
            &keys::LLM_SLICES,
            &keys::LLM_REQUESTS,
            &keys::LLM_TOKENS,
            &keys::LLM_USD,
        ],
    )?;
    let hostname = hostname.map(|url| whole(url, provider));
    device.base_url = device.base_url.or(hostname);
    let spec = format!("{}:{name}", provider.name);
    Ok((Listed { name, spec, origin: origin.clone() }, device))
}

/// The base URL for an address that may be that of a server alone.
fn whole(url: String, provider: &Provider) -> String {
    let trimmed = url.trim().trim_end_matches('/');
    let is_alone = trimmed.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    if is_alone && provider.base_url.ends_with("/v1") { format!("{trimmed}/v1") } else { url }
}

#[cfg(test)]
mod tests;
