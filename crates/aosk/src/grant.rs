//! Which tools an agent is given, in the words of the command line.

use aosk::abi::{Error, ErrorCode, PermissionLevel};
use aosk::agent::{self, GrantError, Granted};
use aosk::tools::{Registry, ToolError};
use clap::ValueEnum;

use crate::cli::Level;

/// What a level grants; with `named`, only these tools of it. With `tasks` those for tasks, too.
pub(crate) fn choose(
    registry: &Registry,
    level: PermissionLevel,
    named: Option<&[String]>,
    tasks: bool,
) -> Result<Granted, Error> {
    agent::choose(registry, level, named, tasks).map_err(|error| match error {
        GrantError::Unknown { error, allowed } => unknown(&error, &allowed),
        GrantError::TooMuch { name, needed } => too_much(level, &name, needed),
    })
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

fn too_much(level: PermissionLevel, name: &str, needed: Option<PermissionLevel>) -> Error {
    let text = format!("choosing tools: an agent at level {} may not use {name}", word(level));
    let error = Error::new(ErrorCode::Usage, text);
    match needed {
        Some(needed) => error.hint(format!("allow it with --permission {}", word(needed))),
        None => error,
    }
}

/// A level as the command line has it.
fn word(level: PermissionLevel) -> String {
    let given =
        Level::value_variants().iter().find(|known| PermissionLevel::from(**known) == level);
    let value = given.and_then(ValueEnum::to_possible_value);
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}
