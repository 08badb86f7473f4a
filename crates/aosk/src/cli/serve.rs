//! The command line of `aosk serve` and `aosk token`.

use std::net::SocketAddr;
use std::path::PathBuf;

use aosk_server::access::Role;
use clap::{Args, Subcommand, ValueEnum};

use super::{EmbedderArgs, ModelArgs};

#[derive(Debug, Args)]
#[command(
    after_help = "The kernel listens on the socket aosk.sock in the data directory, which only its \
owner can open. Over TCP every request needs a token. Where it listens also stands in server.json in \
the data directory.\n\nExamples:\n  aosk serve\n  aosk serve --listen 127.0.0.1:7600 --model \
anthropic:claude-haiku-4-5\n  curl --unix-socket ~/.local/share/aosk/aosk.sock \
http://localhost/api/v1/health"
)]
pub(crate) struct ServeArgs {
    /// Listen on this address too; port 0 takes one that is free.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// The directory in which agents work that name none [default: one in the data directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) embedder: EmbedderArgs,
    /// Log requests and what else happens, in this form; AOSK_LOG says how much [default: errors only, as
    /// text].
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) log_format: Option<LogFormat>,
    /// Print the description of the interface, as OpenAPI 3.1, and end.
    #[arg(long)]
    pub(crate) print_openapi: bool,
    /// Print one JSON object that says where it listens.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

impl TokenArgs {
    pub(super) fn wants_json(&self) -> bool {
        match self.command {
            TokenCommand::Create { json, .. } | TokenCommand::List { json } => json,
            TokenCommand::Revoke { .. } => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it. It is not kept and cannot be shown again.
    Create {
        /// What its holder may do.
        #[arg(long, value_enum)]
        role: RoleArg,
        /// Bind it to the processes of one tenant.
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        /// What it is called [default: the role and a number].
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List tokens.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Forget a token; a kernel that runs refuses it from then on.
    Revoke {
        /// What it is called.
        name: String,
    },
}

/// What the holder of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Sees everything, changes nothing.
    Viewer,
    /// Also starts, signals and speaks to processes.
    Operator,
    /// Also bounds budgets, chooses the policy, and lets agents run commands.
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Operator => Self::Operator,
            RoleArg::Admin => Self::Admin,
        }
    }
}
