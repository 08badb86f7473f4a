//! Tenants and groups in the configuration.

use std::collections::BTreeMap;

use aosk::abi::{Bounds, Error, ErrorCode, Limits, Millis, Tokens, WhenOver, limits};
use aosk::kernel::GroupConfig;
use clap::ValueEnum;
use serde::Deserialize;

use super::leaf::{self, Leaf, Names, Read, key, must};
use crate::cli::Over;

/// A group as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    priority: Leaf,
    tokens: Leaf,
    calls: Leaf,
    usd: Leaf,
    steps: Leaf,
    children: Leaf,
    wall: Leaf,
    per_minute: Span,
    per_hour: Span,
    per_day: Span,
    per_call: Call,
    when_over: Leaf,
}

/// Bounds in a span of time.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Span {
    calls: Leaf,
    tokens: Leaf,
    usd: Leaf,
}

/// Bounds of one call.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Call {
    tokens: Leaf,
    usd: Leaf,
}

/// The groups by name.
pub(super) fn all(written: Names<Option<Written>>) -> Read<BTreeMap<String, GroupConfig>> {
    let mut groups = BTreeMap::new();
    for (name, group) in written.0 {
        check_name(&name.value).map_err(|error| (name.referenced.line(), error))?;
        let group = read(&name.value, group.unwrap_or_default())?;
        groups.insert(name.value, group);
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

fn read(name: &str, written: Written) -> Read<GroupConfig> {
    let Written { priority, tokens, calls, usd, steps, children, wall, when_over, .. } = written;
    let at = |key: &str| format!("groups.{name}.{key}");
    let limits = Limits {
        tokens: leaf::number(tokens, &at("tokens"), "1000000")?.map(Tokens),
        calls: leaf::number(calls, &at("calls"), "500")?,
        micro_usd: leaf::money(usd, &at("usd"))?,
        steps: leaf::number(steps, &at("steps"), "200")?,
        children: leaf::number(children, &at("children"), "20")?,
        wall: leaf::number(wall, &at("wall"), "3600")?.map(Millis::from_secs),
        per_minute: span(written.per_minute, &at("per_minute"))?,
        per_hour: span(written.per_hour, &at("per_hour"))?,
        per_day: span(written.per_day, &at("per_day"))?,
        per_call: Bounds {
            calls: None,
            tokens: leaf::number(written.per_call.tokens, &at("per_call.tokens"), "20000")?
                .map(Tokens),
            micro_usd: leaf::money(written.per_call.usd, &at("per_call.usd"))?,
        },
        when_over: key(when_over, |value| {
            let over = value.as_str().and_then(|word| Over::from_str(word, true).ok());
            over.map(WhenOver::from)
                .ok_or_else(|| must(&at("when_over"), value, "wait, stop or ask", "ask"))
        })?
        .unwrap_or_default(),
    };
    let usual = GroupConfig::default().priority;
    let priority = leaf::priority(priority, &at("priority"))?.unwrap_or(usual);
    Ok(GroupConfig { priority, limits })
}

fn span(written: Span, name: &str) -> Read<Bounds> {
    Ok(Bounds {
        calls: leaf::number(written.calls, &format!("{name}.calls"), "60")?,
        tokens: leaf::number(written.tokens, &format!("{name}.tokens"), "90000")?.map(Tokens),
        micro_usd: leaf::money(written.usd, &format!("{name}.usd"))?,
    })
}
