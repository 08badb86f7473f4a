//! The command line of `aosk config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{EmbedderArgs, Level, ModelArgs};

/// The configuration: what is in force, and whether a file is right.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

impl ConfigArgs {
    pub(super) fn wants_json(&self) -> bool {
        match &self.command {
            ConfigCommand::Show(args) => args.json,
            ConfigCommand::Check { json, .. } | ConfigCommand::Reload { json } => *json,
            ConfigCommand::Path | ConfigCommand::Example => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting that is in force.
    Show(Box<ConfigShowArgs>),
    /// Check a file: keys, values, variables.
    Check {
        /// The file [default: the one that is used].
        file: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have a daemon read its configuration anew, as SIGHUP does.
    Reload {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print where the file is, or would be.
    Path,
    /// Print a configuration that has every key, and what each is for.
    Example,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It takes the options of `aosk run` that settings have, and shows what they would \
change.\n\nExamples:\n  aosk config show --origin\n  aosk config show --model openai:gpt-5.4-mini --json"
)]
pub(crate) struct ConfigShowArgs {
    /// Say where each comes from: a default, a line of the file, a variable, an option.
    #[arg(long)]
    pub(crate) origin: bool,
    /// Print JSON, which has the origins too.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) embedder: EmbedderArgs,
    /// What the agent may touch.
    #[arg(long, value_enum, value_name = "LEVEL", ignore_case = true)]
    pub(crate) permission: Option<Level>,
    /// Offer begin_task and end_task as well.
    #[arg(long)]
    pub(crate) tasks: bool,
}
