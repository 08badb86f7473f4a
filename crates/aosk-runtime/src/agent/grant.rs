//! Which tools an agent is given: those that its permission level allows, or some of them by name.

use aosk_abi::{Capabilities, Grant, PermissionLevel};
use aosk_tools::{Registry, ToolError, kernel_calls};

/// What an agent may do, and the tools that its model is offered.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The tools that its model is offered.
    pub tools: Vec<String>,
    /// What it may do.
    pub capabilities: Capabilities,
}

/// Why an agent is not given the tools that were named for it.
#[derive(Debug, Clone)]
pub enum GrantError {
    /// There is none of this name.
    Unknown {
        /// What is wrong.
        error: ToolError,
        /// Those that the level allows.
        allowed: Vec<String>,
    },
    /// The level does not allow it.
    TooMuch {
        /// The tool.
        name: String,
        /// The least level that does, if one does.
        needed: Option<PermissionLevel>,
    },
}

/// From the least to the most.
const LEVELS: [PermissionLevel; 4] = [
    PermissionLevel::Restricted,
    PermissionLevel::Standard,
    PermissionLevel::Advanced,
    PermissionLevel::Full,
];

/// The names of the tools that a level allows, as a model is offered them, kernel calls last; those
/// for tasks, which take part of each request, are not among them.
#[must_use]
pub fn offered(registry: &Registry, level: PermissionLevel) -> Vec<String> {
    let mut all = allowed(registry, level);
    all.retain(|name| !kernel_calls::TASKS.contains(&name.as_str()));
    all
}

/// The names of all tools that a level allows.
fn allowed(registry: &Registry, level: PermissionLevel) -> Vec<String> {
    let calls = kernel_calls::specs().map(|spec| spec.name.as_str());
    let names = registry.names().chain(calls);
    names.filter(|name| allows(registry, level, name)).map(str::to_owned).collect()
}

/// What a level grants; with `named`, only these tools of it. With `tasks` those for tasks, too.
///
/// # Errors
/// If a tool that is named is not there, or the level does not allow it.
pub fn choose(
    registry: &Registry,
    level: PermissionLevel,
    named: Option<&[String]>,
    tasks: bool,
) -> Result<Granted, GrantError> {
    let capabilities = level.capabilities();
    let all = allowed(registry, level);
    let Some(named) = named else {
        let tools = if tasks { all } else { offered(registry, level) };
        return Ok(Granted { tools, capabilities });
    };
    registry.specs(named).map_err(|error| GrantError::Unknown { error, allowed: all.clone() })?;
    for name in named {
        if !allows(registry, level, name) {
            let needed = LEVELS.into_iter().find(|level| allows(registry, *level, name));
            return Err(GrantError::TooMuch { name: name.clone(), needed });
        }
    }
    let mut tools = named.to_vec();
    if tasks {
        let missing = kernel_calls::TASKS.iter().filter(|name| !named.iter().any(|n| n == *name));
        tools.extend(missing.map(|name| (*name).to_owned()));
    }
    let granted = Grant::only(tools.iter().cloned());
    Ok(Granted { tools, capabilities: Capabilities { tools: granted, ..capabilities } })
}

/// Whether a level allows a tool or a kernel call. Those of the calls that are about other agents, and
/// the sleep that waits for them, are of use only to one that may start some; what is about the agent
/// itself it always may.
fn allows(registry: &Registry, level: PermissionLevel, name: &str) -> bool {
    let may = level.capabilities();
    match registry.traits(name) {
        Some(traits) => traits.risk <= may.risk_max,
        None => may.spawn || name == "finish" || kernel_calls::is_of_memory(name),
    }
}
