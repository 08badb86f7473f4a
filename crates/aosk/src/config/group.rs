//! Tenants and groups in the configuration.

use std::collections::BTreeMap;

use aosk::abi::{Bounds, Error, ErrorCode, Limits, Millis, Tokens, WhenOver, limits};
use aosk::kernel::GroupConfig;
use clap::ValueEnum;

use super::keys::{self, Key};
use super::leaf;
use super::section::{Read, Section};
use super::tree::Origin;
use crate::cli::Over;

/// The groups by name.
pub(super) fn all(section: &Section<'_>) -> Read<BTreeMap<String, GroupConfig>> {
    let mut groups = BTreeMap::new();
    for (name, item) in section.names() {
        check_name(&name.text).map_err(|error| (Origin::Line(name.line), error))?;
        let group = read(&section.under(&name.text, item)?)?;
        groups.insert(name.text.clone(), group);
    }
    Ok(groups)
}

/// Whether processes can be in a group of this name.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let wrong = |what: String| {
        Error::new(ErrorCode::ConfigInvalid, format!("the group {name:?} {what}"))
            .hint("name a tenant, such as acme, or a group of one, such as acme/research")
    };
    let parts: Vec<_> = name.split('/').collect();
    if parts.len() > limits::GROUP_DEPTH_MAX {
        return Err(wrong(format!(
            "has {} levels and may have {}: a tenant, and a group of it",
            parts.len(),
            limits::GROUP_DEPTH_MAX
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(wrong("has a control character in it".to_owned()));
    }
    if parts.iter().any(|part| part.trim().is_empty()) {
        return Err(wrong("has a part without a name".to_owned()));
    }
    if name.len() > limits::NAME_BYTES_MAX {
        return Err(wrong(format!("has more than {} bytes", limits::NAME_BYTES_MAX)));
    }
    Ok(())
}

fn read(section: &Section<'_>) -> Read<GroupConfig> {
    let number = |key| leaf::number(section, key);
    let per_call = section.section("per_call")?;
    let limits = Limits {
        tokens: number(&keys::GROUP_TOKENS)?.map(Tokens),
        calls: number(&keys::GROUP_CALLS)?,
        micro_usd: leaf::money(section, &keys::GROUP_USD)?,
        steps: number(&keys::GROUP_STEPS)?,
        children: number(&keys::GROUP_CHILDREN)?,
        wall: number(&keys::GROUP_WALL)?.map(Millis::from_secs),
        per_minute: span(
            &section.section("per_minute")?,
            [&keys::MINUTE_CALLS, &keys::MINUTE_TOKENS, &keys::MINUTE_USD],
        )?,
        per_hour: span(
            &section.section("per_hour")?,
            [&keys::HOUR_CALLS, &keys::HOUR_TOKENS, &keys::HOUR_USD],
        )?,
        per_day: span(
            &section.section("per_day")?,
            [&keys::DAY_CALLS, &keys::DAY_TOKENS, &keys::DAY_USD],
        )?,
        per_call: Bounds {
            calls: None,
            tokens: leaf::number(&per_call, &keys::CALL_TOKENS)?.map(Tokens),
            micro_usd: leaf::money(&per_call, &keys::CALL_USD)?,
        },
        when_over: section
            .read(&keys::WHEN_OVER, |found| {
                leaf::word(found, |word| Over::from_str(word, /*ignore_case*/ true).ok())
            })?
            .map(WhenOver::from)
            .unwrap_or_default(),
    };
    let usual = GroupConfig::default().priority;
    let priority = leaf::priority(section, &keys::GROUP_PRIORITY)?.unwrap_or(usual);
    Ok(GroupConfig { priority, limits })
}

fn span(section: &Section<'_>, [calls, tokens, usd]: [&'static Key; 3]) -> Read<Bounds> {
    Ok(Bounds {
        calls: leaf::number(section, calls)?,
        tokens: leaf::number(section, tokens)?.map(Tokens),
        micro_usd: leaf::money(section, usd)?,
    })
}
