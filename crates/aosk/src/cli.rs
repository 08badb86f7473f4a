//! The command line, defined once: help, completions and parsing come from here.

mod config;
mod control;
mod models;
mod serve;
mod spend;

use std::ffi::OsString;
use std::path::PathBuf;

use aosk::abi::{Fact, PermissionLevel, Pid, limits};
use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub(crate) use self::config::{ConfigArgs, ConfigCommand, ConfigShowArgs};
pub(crate) use self::control::{
    ApprovalsArgs, ApproveArgs, DenyArgs, KillArgs, PidArgs, PolicyArgs, ReniceArgs, SendArgs,
    SignalArgs,
};
pub(crate) use self::models::{ModelsArgs, ModelsCommand, ModelsListArgs, ModelsTestArgs};
pub(crate) use self::serve::{LogFormat, ServeArgs, TokenArgs, TokenCommand};
use self::spend::group;
pub(crate) use self::spend::{
    BoundArgs, BudgetArgs, BudgetCommand, BudgetSetArgs, Over, Target, dollars,
};

/// An operating-system kernel for AI agents.
#[derive(Debug, Parser)]
#[command(
    name = "aosk",
    version,
    after_help = "Exit status: 0 done; 1 what was begun failed: an agent, a call or a check; 2 what was \
typed or written is wrong: an option, a name, the configuration, the content of an input file; 3 the \
model or its provider; 4 a file, a directory, the disk or the data directory; 5 stored data is \
damaged; 70 a defect of the kernel; 130 interrupted.\n\nExamples:\n  aosk demo\n  \
aosk run \"Summarise the files here\" --model anthropic:claude-haiku-4-5\n  aosk ps --all\n  \
aosk logs 1\n  aosk audit verify"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where state and configuration are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Where state is kept [default: $XDG_DATA_HOME/aosk or ~/.local/share/aosk].
    #[arg(long, global = true, display_order = 900, value_name = "DIR")]
    #[arg(env = "AOSK_DATA_DIR", hide_env_values = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The configuration file [default: $XDG_CONFIG_HOME/aosk/config.yaml].
    #[arg(long, global = true, display_order = 901, value_name = "FILE")]
    #[arg(env = "AOSK_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the kernel does: four agents build a program and survive a crash.
    Demo(DemoArgs),
    /// Run an agent on a task.
    Run(Box<RunArgs>),
    /// Run recorded conversations through the kernel.
    Trace(TraceArgs),
    /// Run a kernel that others speak to, until it is stopped.
    Serve(ServeArgs),
    /// Ask a process of a kernel that runs to end.
    Kill(KillArgs),
    /// Stop a process: it does nothing more until `cont`.
    Stop(PidArgs),
    /// Let a process that was stopped go on.
    Cont(PidArgs),
    /// Signal a process.
    Signal(SignalArgs),
    /// Send a process a message.
    Send(SendArgs),
    /// Change the priority of a process.
    Renice(ReniceArgs),
    /// List processes that wait for a person.
    Approvals(ApprovalsArgs),
    /// Give a process that waits for a person what it asks for. Bounds that are not named stay.
    Approve(ApproveArgs),
    /// Refuse a process that waits for a person what it asks for; it is told, and ends.
    Deny(DenyArgs),
    /// Show or choose who gets a free slot of a model next.
    Policy(PolicyArgs),
    /// Say who may speak to the kernel over TCP.
    Token(TokenArgs),
    /// List processes.
    Ps(PsArgs),
    /// Say why a process is not running now, in one sentence.
    Why(WhyArgs),
    /// Show budgets: who may spend what, and what was used and is held.
    Budget(BudgetArgs),
    /// Show one process: what it is, what it used, its log.
    Show(ShowArgs),
    /// Show what a process did, from the journal.
    Logs(LogsArgs),
    /// Show the window of a process: what is in it, what left it and why.
    Mem(MemArgs),
    /// Check or read the journal.
    Audit(AuditArgs),
    /// Show what is known of models, or ask whether they answer.
    Models(ModelsArgs),
    /// Measure how the context is kept and searched, on recorded histories, and how models are shared.
    Bench(BenchArgs),
    /// Show the configuration that is in force, or check one.
    Config(ConfigArgs),
    /// Check this machine: store, models, tools.
    Doctor(DoctorArgs),
    /// Print the version.
    Version {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Supervise a command, so that it dies with the kernel.
    #[command(name = "__exec", hide = true)]
    Exec {
        /// The command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        argv: Vec<OsString>,
    },
}

/// Reads the command line.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    // What follows an option that takes a value is that value, also if it is less than nothing.
    fn with_negatives(command: clap::Command) -> clap::Command {
        let negative = |arg: clap::Arg| {
            let takes = arg.get_action().takes_values() && !arg.is_positional();
            if takes { arg.allow_negative_numbers(true) } else { arg }
        };
        command.mut_args(negative).mut_subcommands(with_negatives)
    }
    let mut command = with_negatives(Cli::command());
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

impl Cli {
    /// Whether the command was asked for JSON.
    pub(crate) fn wants_json(&self) -> bool {
        match &self.command {
            Command::Demo(args) => args.json,
            Command::Run(args) => args.json,
            Command::Trace(TraceArgs { command: TraceCommand::Run(args) }) => args.json,
            Command::Serve(args) => args.json,
            Command::Token(args) => args.wants_json(),
            Command::Policy(args) => args.json,
            Command::Approvals(args) => args.json,
            Command::Kill(_)
            | Command::Stop(_)
            | Command::Cont(_)
            | Command::Signal(_)
            | Command::Send(_)
            | Command::Approve(_)
            | Command::Deny(_)
            | Command::Renice(_) => false,
            Command::Ps(args) => args.json,
            Command::Why(args) => args.json,
            Command::Budget(args) => args.json,
            Command::Show(args) => args.json,
            Command::Logs(args) => args.json,
            Command::Mem(args) => args.json,
            Command::Audit(AuditArgs { command: AuditCommand::Verify { json, .. } }) => *json,
            Command::Audit(AuditArgs { command: AuditCommand::Show(args) }) => args.json,
            Command::Bench(BenchArgs { command: BenchCommand::Context(args) }) => args.json,
            Command::Bench(BenchArgs { command: BenchCommand::Recall(args) }) => args.json,
            Command::Bench(BenchArgs { command: BenchCommand::Sched(args) }) => args.json,
            Command::Config(args) => args.wants_json(),
            Command::Doctor(args) => args.json,
            Command::Models(ModelsArgs { command: ModelsCommand::List(args) }) => args.json,
            Command::Models(ModelsArgs { command: ModelsCommand::Test(args) }) => args.json,
            Command::Bench(BenchArgs {
                command: BenchCommand::Needs(_) | BenchCommand::ModelServer { .. },
            }) => false,
            Command::Version { json } => *json,
            Command::Completions { .. } | Command::Exec { .. } => false,
        }
    }
}

/// Which model answers.
#[derive(Debug, Clone, Args)]
pub(crate) struct ModelArgs {
    /// The model, as provider:name, or scripted:FILE for a script. Without it: the configuration, then
    /// API key variables, then a local Ollama, then the offline scripted model.
    #[arg(long, value_name = "PROVIDER:NAME")]
    pub(crate) model: Option<String>,
    /// The provider's address, such as http://127.0.0.1:8080/v1.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Model calls at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) slots: Option<u32>,
    /// Tokens that a request and its answer may take together, if fewer than the model allows or if
    /// its limit is not known. A run that is resumed keeps it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(256..))]
    pub(crate) window: Option<u64>,
    /// What leaves the window when it is full: priced (the default), fifo-batch, lru, sliding or
    /// summarise. A run that is resumed keeps it.
    #[arg(long, value_name = "NAME")]
    pub(crate) replacement: Option<String>,
    /// What matters most when something leaves; the default is cost. A run that is resumed keeps it.
    #[arg(long, value_enum)]
    pub(crate) prefer: Option<Preference>,
    /// A table of needs in the place of the one that comes along, as `aosk bench needs` makes it: what
    /// agents are expected to need again before they have shown it. Not remembered for --resume.
    #[arg(long, value_name = "FILE")]
    pub(crate) need_table: Option<PathBuf>,
    /// The model that makes the summaries of --replacement summarise; without it lines are quoted from
    /// what leaves. Not remembered for --resume.
    #[arg(long, value_name = "PROVIDER:NAME")]
    pub(crate) summary_model: Option<String>,
}

/// What makes vectors of texts, so that a search goes by meaning too.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct EmbedderArgs {
    /// An embedder, as provider:name: the search of memories then goes by meaning too, and not by words
    /// alone.
    #[arg(long, value_name = "PROVIDER:NAME")]
    pub(crate) embedder: Option<String>,
    /// The embedder's address, such as http://127.0.0.1:8081/v1.
    #[arg(long, value_name = "URL")]
    pub(crate) embedder_url: Option<String>,
}

/// What matters most when something leaves the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preference {
    /// What is paid.
    Cost,
    /// That nothing that is needed is missing.
    Quality,
    /// That the window is full.
    Utilisation,
}

/// What an agent may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Only `calculator`, `finish` and the calls on its own memory.
    Restricted,
    /// Reads and writes the workspace; may start other agents.
    Standard,
    /// Also runs commands, without a sandbox.
    Advanced,
    /// As advanced; may also send messages to any process.
    Full,
}

impl From<Level> for PermissionLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Restricted => Self::Restricted,
            Level::Standard => Self::Standard,
            Level::Advanced => Self::Advanced,
            Level::Full => Self::Full,
        }
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aosk run \"What is 17 * 23?\"\n  aosk run \"Add tests\" --model \
openai:gpt-5.4-mini --permission advanced --budget-usd 0.50\n  aosk run \"hello\" --model openai:local \
--base-url http://127.0.0.1:8080/v1\n  aosk run --resume"
)]
pub(crate) struct RunArgs {
    /// What the agent is to do.
    #[arg(required_unless_present = "resume", value_parser = something)]
    pub(crate) task: Option<String>,
    /// Go on with the agents that an earlier run left behind.
    #[arg(long, conflicts_with_all = [
        "task", "permission", "workspace", "system", "tools", "priority", "max_output", "group",
    ])]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) embedder: EmbedderArgs,
    /// What the agent may touch.
    #[arg(long, value_enum, value_name = "LEVEL", ignore_case = true)]
    pub(crate) permission: Option<Level>,
    /// The directory its tools work in, which must be there [default: the current one].
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Standing instructions for the agent.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Offer only these tools, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) tools: Option<Vec<String>>,
    /// Offer begin_task and end_task as well, with which the agent and its children say which of their
    /// work belongs together.
    #[arg(long)]
    pub(crate) tasks: bool,
    /// 0 (most urgent) to 100.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) priority: u8,
    /// The tenant or group that the agent belongs to, such as acme or acme/research.
    #[arg(long, value_name = "TENANT[/GROUP]", value_parser = group)]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) bounds: BoundArgs,
    /// The most tokens of one answer.
    #[arg(long, value_name = "N", default_value_t = limits::OUTPUT_MAX_DEFAULT.0, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_output: u64,
    /// Print one JSON object at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A text that says something.
fn something(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("it says nothing") } else { Ok(text.to_owned()) }
}

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    #[command(subcommand)]
    pub(crate) command: TraceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Run every conversation of the files as a process; model and tools answer from the record.
    Run(TraceRunArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "A file has one conversation per line: {\"id\": ..., \"messages\": [...]} in \
OpenAI chat form. What the kernel sends to the model at each call is checked against the record.\n\n\
Examples:\n  aosk trace run airline.jsonl --concurrency 100\n  aosk trace run airline.jsonl --resume \
--data-dir /tmp/t --json"
)]
pub(crate) struct TraceRunArgs {
    /// Files of recorded conversations.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Processes, and model calls, at once.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: u32,
    /// Go on with the last run in the data directory.
    #[arg(long)]
    pub(crate) resume: bool,
    /// The scheduler policy: fair, priority, round-robin or fifo.
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<String>,
    /// Print one flat JSON object at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// Ended processes too.
    #[arg(long, short)]
    pub(crate) all: bool,
    /// What the time of each went to: waiting for a slot, running, being held back by a budget or after
    /// a failure; and how often it was cut off for another.
    #[arg(long, short)]
    pub(crate) wide: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// Print JSON, one entry a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Tokens are the kernel's estimate unless it says otherwise. A page is a message of \
the log, or a part of a long one; in the place of pages that left stands a stub. A loss is what \
missing a page is expected to weigh, in tokens of input that no cache has: the chance that it is needed \
again, times what it takes to bring it back and what a fault counts under --prefer.\n\nExamples:\n  \
aosk mem 1\n  aosk mem 1 --all\n  aosk mem 1 --explain\n  aosk mem 1 --timeline window.svg\n  \
aosk mem 1 --json"
)]
pub(crate) struct MemArgs {
    /// The process.
    #[arg(allow_negative_numbers = true)]
    pub(crate) pid: Pid,
    /// Tell of every cut: which pages left the window, and why.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Draw the window over the model calls, as SVG; - for stdout.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["explain", "all", "json"])]
    pub(crate) timeline: Option<PathBuf>,
    /// Leave nothing out: every page, also those that left the window.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that nothing in the journal was edited, deleted, reordered or cut off.
    Verify {
        /// A head noted earlier, as LENGTH:HASH; the journal must still contain it.
        #[arg(long, value_name = "LENGTH:HASH")]
        head: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print entries of the journal.
    Show(AuditShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuditShowArgs {
    /// The first entry.
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    pub(crate) from: u64,
    /// The most entries.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Only those of this process.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<Pid>,
    /// Only those of this kind.
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Fact::KINDS))]
    pub(crate) kind: Option<String>,
    /// Print JSON, one entry a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) command: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Replay histories through a window, and say what providers' caches would answer.
    Context(BenchContextArgs),
    /// Print a table of what is needed again, made from page traces.
    Needs(BenchNeedsArgs),
    /// Ask questions of conversations, and say how much of the evidence is found.
    Recall(BenchRecallArgs),
    /// Hold the scheduler against its figures.
    Sched(BenchSchedArgs),
    /// The model server that `sched` starts for itself.
    #[command(hide = true)]
    ModelServer {
        /// Milliseconds that an answer takes.
        #[arg(long)]
        latency_ms: u64,
    },
}

/// A part of `aosk bench sched`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchedPart {
    /// Shares, budgets and decisions, on a virtual clock.
    Simulation,
    /// Waiting, preemption, throughput and budgets, on model servers of this machine.
    Servers,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aosk bench sched\n  aosk bench sched --svg run.svg\n  aosk bench sched --quick --json"
)]
pub(crate) struct BenchSchedArgs {
    /// Less of everything, in some seconds.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this part: what is simulated, or what is measured on real model servers.
    #[arg(long, value_enum, value_name = "PART")]
    pub(crate) only: Option<SchedPart>,
    /// Draw who had a slot when into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Print one flat JSON object at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Policies: priced (the kernel's), fifo-batch, lru, sliding, summarise; to compare \
with: naive (the oldest is dropped at each call), readme (sorted by use at each call), clairvoyant \
(priced, and knows the future), and three of the study that priced grew from: batch:HIGH/LOW, \
cvb:HIGH/LOW/FAULT, rob:HIGH/LOW/FAULT/RENT. What these two know of needs is --need-table or, of a \
page trace such as sweA.json with a value_table.json beside it, the table of its other half (sweB), or \
else what is counted over the history. HIGH, LOW and KEEP are parts of the window, and LOW is below HIGH. \
priced:HIGH/KEEP/FAULT/WEIGHT takes figures too.\n\n\
A conversation may say which tools it offered (\"tools\", counted with what stands first) and when its \
messages came (\"timestamp\" or \"created_at\", in seconds, milliseconds or as 2026-11-22T01:00:00Z); \
otherwise calls are 15 seconds apart.\n\n\
Examples:\n  aosk bench context runs.jsonl --chain --window 32000\n  aosk bench context --pages \
history.json --policy priced,naive --prefer quality --json\n  aosk bench context --pages \
sweA.json --policy batch:0.97/0.6,cvb:0.98/0.88/10000,rob:0.97/0.85/10000/0.5"
)]
pub(crate) struct BenchContextArgs {
    /// Files of recorded conversations, as for `aosk trace run`.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The files are page traces: {"static", "pages": [{"r", "n", "g", "k", "ids"}]}.
    #[arg(long, conflicts_with = "chain")]
    pub(crate) pages: bool,
    /// Join the conversations into one long history, one task each.
    #[arg(long)]
    pub(crate) chain: bool,
    /// Tokens that a request may take.
    #[arg(long, value_name = "N", default_value_t = 32_000, value_parser = clap::value_parser!(u64).range(256..))]
    pub(crate) window: u64,
    /// The policies, separated by commas. Beside them stand naive, readme and clairvoyant.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "priced")]
    pub(crate) policy: Vec<String>,
    /// Replay no policies beside those that are named.
    #[arg(long)]
    pub(crate) alone: bool,
    /// The caches, separated by commas. Cuts are planned for the first that wants breakpoints, or
    /// else for the first: anthropic5m, anthropic1h, openai56, openai, deepseek, gemini, vllm16.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "anthropic5m,openai,deepseek,vllm16"
    )]
    pub(crate) cache: Vec<String>,
    /// What the kernel's policy prefers.
    #[arg(long, value_enum, default_value = "cost")]
    pub(crate) prefer: Preference,
    /// A task's pages leave when it ends, as those of a child process do.
    #[arg(long)]
    pub(crate) tasks: bool,
    /// A table of needs in the place of the kernel's. In the form of `aosk bench needs` it goes on
    /// learning; as {"u,0,1": [chance, gap]}, also under a name in FILE#NAME, it stays as it is.
    #[arg(long, value_name = "FILE")]
    pub(crate) need_table: Option<PathBuf>,
    /// Print one JSON object at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The table is printed. `aosk run`, `aosk serve` and `aosk bench context` take it with \
--need-table, and the configuration as need_table.\n\nExamples:\n  aosk bench needs runs.jsonl > \
needs.json\n  aosk run --need-table needs.json TASK"
)]
pub(crate) struct BenchNeedsArgs {
    /// Files of recorded conversations, as for `aosk trace run`, or page traces, as for `aosk bench
    /// context --pages`.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Join the conversations into one long history: what earlier tasks left counts as idle in later
    /// ones.
    #[arg(long)]
    pub(crate) chain: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A file has one conversation a line: {\"id\", \"turns\": [{\"id\", \"session\", \
\"time\", \"speaker\", \"text\"}], \"questions\": [{\"question\", \"evidence\", \"category\"}]}. A \
question is asked of its own conversation.\n\nExamples:\n  aosk bench recall conversations.jsonl\n  \
aosk bench recall conversations.jsonl --json\n  aosk bench recall conversations.jsonl --embedder \
llamacpp --embedder-url http://127.0.0.1:8081/v1"
)]
pub(crate) struct BenchRecallArgs {
    /// Files of conversations with questions.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) embedder: EmbedderArgs,
    /// Print one JSON object at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep everything here, in a new or empty directory [default: demo-N in the directory that
    /// --data-dir names, or else a new temporary one].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print one JSON object at the end.
    #[arg(long)]
    pub(crate) json: bool,
    /// One life of the demo's kernel; the demo starts and kills these.
    #[arg(long, hide = true)]
    pub(crate) life: bool,
}
