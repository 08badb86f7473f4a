//! A bound that has no room, told to a person: how much is asked for, what the bound is called where it
//! is set, and how it is raised.

use aosk_abi::{Lack, MicroUsd, Pid, Resource, Scope};
use aosk_kernel::BudgetView;

use crate::words::{count, money, plural};

/// What is asked for, such as "15,110 tokens in a minute".
#[must_use]
pub fn need(lack: &Lack) -> String {
    let span = match lack.scope {
        Scope::All => "",
        Scope::Minute => " in a minute",
        Scope::Hour => " in an hour",
        Scope::Day => " in a day",
        Scope::Call => " in one call",
    };
    // What an older kernel wrote down has no figure.
    if lack.amount == 0 {
        return format!("more {}{span}", lack.resource.word());
    }
    format!("{}{span}", amount(lack.resource, lack.amount))
}

/// The node, in the middle of a sentence.
#[must_use]
pub fn whose(lack: &Lack, node: Option<&BudgetView>) -> String {
    let names = node.map(|node| (node.group.as_ref(), node.device.as_ref()));
    match names {
        Some((Some(group), _)) => format!("the group {}", group.name),
        Some((None, Some(device))) => format!("the device {device}"),
        Some((None, None)) | None => format!("its budget {}", lack.budget),
    }
}

/// So much of a resource.
#[must_use]
pub fn amount(resource: Resource, amount: u64) -> String {
    match resource {
        Resource::Tokens => plural(amount, "token"),
        Resource::Calls => plural(amount, "call"),
        Resource::MicroUsd => money(MicroUsd(amount)),
        Resource::Steps => plural(amount, "step"),
        Resource::Children if amount == 1 => "1 child".to_owned(),
        Resource::Children => format!("{} children", count(amount)),
        Resource::Wall => "time".to_owned(),
    }
}

/// The bound, and what of it is used in all, in brackets behind a space; nothing if that is not known.
#[must_use]
pub fn bound(lack: &Lack, node: &BudgetView) -> String {
    let Some(bound) = node.limits.bound(lack.scope, lack.resource) else { return String::new() };
    let figure = |of| match lack.resource {
        Resource::MicroUsd => money(MicroUsd(of)),
        Resource::Tokens
        | Resource::Calls
        | Resource::Steps
        | Resource::Children
        | Resource::Wall => count(of),
    };
    match (lack.scope, lack.resource) {
        (_, Resource::Wall) => String::new(),
        (Scope::All, _) => {
            format!(" ({} of {} used)", figure(node.used.of(lack.resource)), figure(bound))
        }
        (Scope::Minute | Scope::Hour | Scope::Day | Scope::Call, _) => {
            format!(" ({} at most)", figure(bound))
        }
    }
}

/// How a person makes room for an agent that waits. `is_agents_own` is of the node: whether an agent
/// that `run` started spends from it.
#[must_use]
pub fn raise(lack: &Lack, node: Option<&BudgetView>, is_agents_own: bool) -> String {
    if let Some(configured) = node.and_then(|node| configured(lack, node)) {
        return format!("raise {configured} in the configuration, then `aosk run --resume`");
    }
    let id = lack.budget;
    match option(lack) {
        Some(option) if is_agents_own => format!("`aosk run --resume {option}`"),
        Some(option) => format!("`aosk budget set {id} {option}`, then `aosk run --resume`"),
        None => format!("`aosk run --resume` with larger bounds of {id}"),
    }
}

/// How a person makes room for an agent that waits, while a kernel runs that can be asked.
#[must_use]
pub fn answer(lack: &Lack, node: Option<&BudgetView>, pid: Pid) -> String {
    if let Some(configured) = node.and_then(|node| configured(lack, node)) {
        return format!("raise {configured} in the configuration, then start the kernel again");
    }
    match option(lack) {
        Some(option) => format!("`aosk approve {} {option}`", pid.0),
        None => format!("`aosk approve {}` with larger bounds", pid.0),
    }
}

/// How a person makes room for the next agent, when one has ended for want of it.
#[must_use]
pub fn allow(lack: &Lack, node: Option<&BudgetView>) -> String {
    if let Some(configured) = node.and_then(|node| configured(lack, node)) {
        return format!("raise {configured} in the configuration");
    }
    option(lack).map_or_else(String::new, |option| format!("allow more with {option}"))
}

/// What bounds it in the configuration, if the node is one of those that are written there.
fn configured(lack: &Lack, node: &BudgetView) -> Option<String> {
    match (&node.group, &node.device) {
        (Some(group), _) => Some(format!("{} of the group {}", key(lack), group.name)),
        // What else a device has no room for makes calls wait for its slots.
        (None, Some(device)) => Some(format!("usd_per_day of the device {device}")),
        (None, None) => None,
    }
}

/// The option of `run` that bounds it, if there is one.
fn option(lack: &Lack) -> Option<&'static str> {
    match (lack.scope, lack.resource) {
        (Scope::All, Resource::Tokens) => Some("--budget-tokens N"),
        (Scope::All, Resource::MicroUsd) => Some("--budget-usd USD"),
        (_, Resource::Steps) => Some("--max-steps N"),
        (_, Resource::Wall) => Some("--budget-seconds S"),
        (Scope::Minute, Resource::Tokens) => Some("--tokens-per-minute N"),
        (Scope::Minute, Resource::Calls) => Some("--calls-per-minute N"),
        (Scope::Day, Resource::MicroUsd) => Some("--usd-per-day USD"),
        (Scope::Call, Resource::MicroUsd) => Some("--max-call-usd USD"),
        (
            Scope::All | Scope::Minute | Scope::Hour | Scope::Day | Scope::Call,
            Resource::Tokens | Resource::Calls | Resource::MicroUsd | Resource::Children,
        ) => None,
    }
}

/// What it is called in the configuration of a group.
fn key(lack: &Lack) -> String {
    let span = match lack.scope {
        Scope::All => "",
        Scope::Minute => "per_minute.",
        Scope::Hour => "per_hour.",
        Scope::Day => "per_day.",
        Scope::Call => "per_call.",
    };
    let resource = match lack.resource {
        Resource::Tokens => "tokens",
        Resource::Calls => "calls",
        Resource::MicroUsd => "usd",
        Resource::Steps => "steps",
        Resource::Children => "children",
        Resource::Wall => "wall",
    };
    format!("{span}{resource}")
}
