//! Which tools an agent is given: those that its permission level allows, or some of them by name.

use aosk::abi::{Capabilities, Error, ErrorCode, Grant, PermissionLevel};
use aosk::tools::{Registry, ToolError, kernel_calls};
use clap::ValueEnum;

use crate::cli::Level;

/// What an agent may do, and the tools that its model is offered.
pub(crate) struct Granted {
    pub(crate) tools: Vec<String>,
    pub(crate) capabilities: Capabilities,
}

/// The names of the tools that a level allows, as a model is offered them, kernel calls last; those
/// for tasks, which take part of each request, are not among them.
pub(crate) fn offered(registry: &Registry, level: PermissionLevel) -> Vec<String> {
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
pub(crate) fn choose(
    registry: &Registry,
    level: PermissionLevel,
    named: Option<&[String]>,
    tasks: bool,
) -> Result<Granted, Error> {
    let capabilities = level.capabilities();
    let all = allowed(registry, level);
    let Some(named) = named else {
        let tools = if tasks { all } else { offered(registry, level) };
        return Ok(Granted { tools, capabilities });
    };
    registry.specs(named).map_err(|error| unknown(&error, &all))?;
    for name in named {
        if !allows(registry, level, name) {
            return Err(too_much(registry, level, name));
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

fn unknown(error: &ToolError, all: &[String]) -> Error {
    let (what, guess) = match error {
        ToolError::Unknown { name, near } if near.is_empty() => {
            (format!("no tool is named {name:?}"), String::new())
        }
        ToolError::Unknown { name, near } => {
            (format!("no tool is named {name:?}"), format!("did you mean {}? ", near.join(" or ")))
        }
        ToolError::Arguments(_)
        | ToolError::PathEscape { .. }
        | ToolError::Timeout { .. }
        | ToolError::Failed(_) => (error.to_string(), String::new()),
    };
    Error::new(ErrorCode::Usage, format!("choosing tools: {what}"))
        .hint(format!("{guess}tools: {}", all.join(", ")))
}

fn too_much(registry: &Registry, level: PermissionLevel, name: &str) -> Error {
    let levels = Level::value_variants();
    let word = |level: &Level| {
        level.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let given = levels.iter().find(|known| PermissionLevel::from(**known) == level);
    let given = given.map(word).unwrap_or_default();
    let text = format!("choosing tools: an agent at level {given} may not use {name}");
    let error = Error::new(ErrorCode::Usage, text);
    // From the least to the most, as they are declared.
    match levels.iter().find(|level| allows(registry, PermissionLevel::from(**level), name)) {
        Some(needed) => error.hint(format!("allow it with --permission {}", word(needed))),
        None => error,
    }
}
