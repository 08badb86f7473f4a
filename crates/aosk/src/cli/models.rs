//! The command line of `aosk models`.

use clap::{Args, Subcommand};

/// What is known of models, and whether they answer.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models that are known: windows, prices, what they can do, and whether the key is there.
    List(ModelsListArgs),
    /// Ask models one tiny question each, which costs what it costs.
    Test(ModelsTestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ModelsListArgs {
    /// Only those of this provider.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelsTestArgs {
    /// The models, as provider:name [default: all that the configuration names, or else the one that
    /// `aosk run` would ask].
    #[arg(value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// The provider's address, such as http://127.0.0.1:8080/v1.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Seconds that each may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
