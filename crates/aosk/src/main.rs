//! The command line of the Agent OS Kernel.
//!
//! stdout is data, stderr is conversation: progress, notes and errors. With `--json` the last line of
//! stdout is one JSON value.

mod cli;
mod client;
mod command;
mod config;
mod fail;
mod grant;
mod launch;
mod log;
mod miss;
mod paths;
mod probe;
mod progress;
mod setup;
mod stop;
mod term;

use aosk::abi::Signal;
use cli::{Cli, Command};
use fail::Done;
use stop::Stop;

/// What is allocated on one thread is freed on another all the time here: a request goes from its
/// connection to the event loop, to the commit thread and back. The allocator of the C library has
/// them wait for each other's locks, which took a third of the time of a busy gateway. This one asks
/// for no huge pages: of what it keeps for each thread only a part is ever used.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    launch::close_memory();
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => return fail::usage(&error),
    };
    let json = cli.wants_json();
    if let Err(error) = named_config(&cli) {
        return fail::exit(Err(error), json);
    }
    let outcome = match cli.command {
        Command::Exec { argv } => launch::exec(&argv),
        Command::Version { json } => command::version::run(json),
        Command::Completions { shell } => command::completions::run(shell),
        Command::Bench(args) => command::bench::run(&args),
        Command::Config(args) => asking(command::config::run(&cli.place, &args)),
        Command::Ps(args) => command::ps::run(&cli.place, &args),
        Command::Why(args) => command::why::run(&cli.place, &args),
        Command::Budget(args) => command::budget::run(&cli.place, &args),
        Command::Show(args) => command::show::run(&cli.place, &args),
        Command::Logs(args) => command::logs::run(&cli.place, &args),
        Command::Mem(args) => command::mem::run(&cli.place, &args),
        Command::Audit(args) => command::audit::run(&cli.place, &args),
        Command::Token(args) => command::token::run(&cli.place, &args),
        Command::Serve(args) if args.print_openapi => Ok(command::serve::print_openapi()),
        Command::Serve(args) => {
            log::to_stderr(args.log_format);
            on_threads(|stop| command::serve::run(&cli.place, &args, stop))
        }
        Command::Kill(args) => {
            let signal = if args.now { Signal::Kill } else { Signal::Term };
            asking(command::control::signal(&cli.place, args.pid, signal))
        }
        Command::Stop(args) => asking(command::control::signal(&cli.place, args.pid, Signal::Stop)),
        Command::Cont(args) => asking(command::control::signal(&cli.place, args.pid, Signal::Cont)),
        Command::Signal(args) => {
            asking(command::control::signal(&cli.place, args.pid, args.signal.into()))
        }
        Command::Send(args) => asking(command::control::send(&cli.place, &args)),
        Command::Renice(args) => asking(command::control::renice(&cli.place, &args)),
        Command::Policy(args) => asking(command::control::policy(&cli.place, &args)),
        Command::Approvals(args) => asking(command::approval::list(&cli.place, &args)),
        Command::Approve(args) => asking(command::approval::approve(&cli.place, &args)),
        Command::Deny(args) => asking(command::approval::deny(&cli.place, &args)),
        Command::Doctor(args) => {
            on_runtime(async |mut stop| stop.or(command::doctor::run(&cli.place, &args)).await)
        }
        Command::Models(args) => {
            on_runtime(async |mut stop| stop.or(command::models::run(&cli.place, &args)).await)
        }
        Command::Run(args) => on_runtime(|stop| command::run::run(&cli.place, &args, stop)),
        Command::Trace(args) => on_runtime(|stop| command::trace::run(&cli.place, &args, stop)),
        Command::Demo(args) => on_runtime(|stop| command::demo::run(&cli.place, &args, stop)),
    };
    fail::exit(outcome, json)
}

/// Reads a configuration that was named, also for a command that needs nothing of it: whoever names a
/// file that is not there or has a mistake is told so by every command. `doctor` tells it itself.
fn named_config(cli: &Cli) -> Result<(), aosk::abi::Error> {
    match cli.command {
        Command::Ps(_)
        | Command::Budget(_)
        | Command::Show(_)
        | Command::Logs(_)
        | Command::Mem(_)
        | Command::Audit(_)
        | Command::Token(_)
        | Command::Kill(_)
        | Command::Stop(_)
        | Command::Cont(_)
        | Command::Signal(_)
        | Command::Send(_)
        | Command::Renice(_)
        | Command::Policy(_)
        | Command::Approvals(_)
        | Command::Approve(_)
        | Command::Deny(_)
        | Command::Demo(_) => {
            cli.place.config.as_ref().map_or(Ok(()), |file| config::read(Some(file)).map(|_| ()))
        }
        // These read it, or need nothing of what can be set up.
        Command::Run(_)
        | Command::Serve(_)
        | Command::Why(_)
        | Command::Trace(_)
        | Command::Bench(_)
        | Command::Config(_)
        | Command::Doctor(_)
        | Command::Models(_)
        | Command::Version { .. }
        | Command::Completions { .. }
        | Command::Exec { .. } => Ok(()),
    }
}

/// Runs a command that asks a kernel that runs.
fn asking(
    work: impl Future<Output = Result<Done, aosk::abi::Error>>,
) -> Result<Done, aosk::abi::Error> {
    on_runtime(async |mut stop| stop.or(work).await)
}

/// Runs a command that needs the kernel. One thread is enough: the kernel is single-threaded by
/// design, waiting for models takes no thread, and commits and commands have threads of their own.
fn on_runtime<C, T>(command: impl FnOnce(Stop) -> C) -> Result<T, aosk::abi::Error>
where
    C: Future<Output = Result<T, aosk::abi::Error>>,
{
    on(tokio::runtime::Builder::new_current_thread(), command)
}

/// Runs a command that answers others beside the kernel, which must not wait for one another.
fn on_threads<C, T>(command: impl FnOnce(Stop) -> C) -> Result<T, aosk::abi::Error>
where
    C: Future<Output = Result<T, aosk::abi::Error>>,
{
    on(tokio::runtime::Builder::new_multi_thread(), command)
}

fn on<C, T>(
    mut builder: tokio::runtime::Builder,
    command: impl FnOnce(Stop) -> C,
) -> Result<T, aosk::abi::Error>
where
    C: Future<Output = Result<T, aosk::abi::Error>>,
{
    let runtime = builder.enable_all().build();
    let runtime = runtime.map_err(|error| {
        aosk::abi::Error::new(aosk::abi::ErrorCode::Io, format!("starting the event loop: {error}"))
    })?;
    // Before anything that takes time: until then a request to stop ends the program with no word.
    let stop = {
        let _context = runtime.enter();
        Stop::listen()?
    };
    log::to_stderr(None);
    let outcome = runtime.block_on(command(stop));
    // A blocking read of a terminal or a name look-up must not hold up the end.
    runtime.shutdown_background();
    outcome
}
