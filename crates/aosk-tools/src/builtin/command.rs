//! Runs a command of the host: its environment, its output, its end.
//!
//! With a supervisor ([`Launcher::supervisor`]) nothing of a command is left when the call is over,
//! also when the call is dropped or the kernel is killed, and not even daemons (`setsid`) where the
//! operating system lets the supervisor adopt them, as Linux does. Without one a command has a
//! process group of its own, and everything in the group is gone when the call is over, also when the
//! call is dropped; a process that leaves the group, and any process when the kernel is killed,
//! outlives it.
//!
//! All of this is for commands that err. One that means to get away can: it has the rights of the
//! kernel's account, so it may kill its supervisor or ask a service of the machine to start something.
//! Holding on to those is a sandbox's business.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use aosk_abi::unit::Millis;
use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::hold::Hold;
use crate::bound::Capture;
use crate::limits;

/// What a command is started through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launcher {
    /// A program and its arguments that calls [`supervise`](super::supervise) with the words that
    /// follow. Empty: the command is started without a supervisor.
    pub supervisor: Vec<OsString>,
    /// A program and its arguments to put in front of the shell. It must `exec` what follows, so
    /// that it stays the leader of the process group. Empty: the shell is started directly.
    pub prefix: Vec<OsString>,
}

/// How long the phases of a command's life may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandTimes {
    /// Until TERM, if the call does not say.
    pub timeout_default: Millis,
    /// Until TERM at most.
    pub timeout_max: Millis,
    /// From TERM to KILL.
    pub grace: Millis,
    /// For output to arrive after the exit.
    pub drain: Millis,
}

impl Default for CommandTimes {
    fn default() -> Self {
        Self {
            timeout_default: limits::COMMAND_TIMEOUT_DEFAULT,
            timeout_max: limits::COMMAND_TIMEOUT_MAX,
            grace: limits::COMMAND_GRACE,
            drain: limits::COMMAND_DRAIN,
        }
    }
}

/// Variables that a command inherits. Whatever else the kernel's environment holds, keys of model
/// providers above all, stays out. `CARGO_TARGET_DIR` too: builds belong in the workspace.
const INHERITED: [&str; 10] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
];

/// The environment of a command, given a way to look variables of the kernel's own up.
pub fn environment(lookup: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, OsString)> {
    INHERITED
        .iter()
        .filter_map(|name| lookup(name).map(|value| (*name, value)))
        // No colours, no cursor movements, no pagers that wait for a key.
        .chain([("TERM", "dumb".into()), ("PAGER", "cat".into())])
        .collect()
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// By our signals, because its time was over.
    TimedOut,
}

/// What came of a command.
#[derive(Debug)]
pub(super) struct Finished {
    /// How it ended.
    pub(super) end: End,
    /// What it wrote to its standard output.
    pub(super) stdout: Capture,
    /// What it wrote to its standard error.
    pub(super) stderr: Capture,
}

/// A running command.
#[derive(Debug)]
pub(super) struct Job {
    child: Child,
    hold: Hold,
    stdout: Arc<Mutex<Capture>>,
    stderr: Arc<Mutex<Capture>>,
    readers: JoinSet<()>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.hold.kill();
    }
}

impl Job {
    /// Starts `/bin/sh -c command` in `directory`. Of each stream at most `output_bytes_max` bytes
    /// are kept.
    pub(super) fn start(
        launcher: &Launcher,
        command: &str,
        directory: &Path,
        output_bytes_max: usize,
    ) -> io::Result<Self> {
        let shell = ["/bin/sh", "-c", command].map(OsString::from);
        let (mut child, hold) = spawn(launcher, &shell, directory)?;
        let capture = || Arc::new(Mutex::new(Capture::new(output_bytes_max)));
        let (stdout, stderr) = (capture(), capture());
        let mut readers = JoinSet::new();
        if let Some(pipe) = child.stdout.take() {
            readers.spawn(read(pipe, Arc::clone(&stdout)));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.spawn(read(pipe, Arc::clone(&stderr)));
        }
        Ok(Self { child, hold, stdout, stderr, readers })
    }

    /// Waits until it has ended, or makes it end after `limit`; then nothing that is held runs.
    pub(super) async fn finish(
        mut self,
        limit: Millis,
        times: &CommandTimes,
    ) -> io::Result<Finished> {
        let mut said = None;
        let timed_out = match timeout(limit.duration(), self.hold.exited()).await {
            Ok(exited) => {
                said = exited?;
                self.drain(times.drain).await;
                self.hold.kill();
                false
            }
            Err(_) => {
                self.hold.term().await;
                if let Ok(exited) = timeout(times.grace.duration(), self.hold.exited()).await {
                    exited?;
                }
                self.hold.kill();
                self.drain(times.drain).await;
                true
            }
        };
        // What cannot be killed, such as a process of another user, must not hold up the call.
        let reaped = timeout(times.grace.duration(), self.child.wait()).await;
        if reaped.is_ok() {
            self.hold = Hold::Released;
        }
        self.readers.shutdown().await;
        let end = match (timed_out, said, reaped) {
            (true, _, _) => End::TimedOut,
            (false, Some(status), _) => End::Exited(status),
            (false, None, Ok(status)) => End::Exited(status?),
            (false, None, Err(_)) => return Err(io::ErrorKind::TimedOut.into()),
        };
        Ok(Finished { end, stdout: take(&self.stdout), stderr: take(&self.stderr) })
    }

    /// Reads until both streams have ended, or `span` is over: what a command leaves running in the
    /// background may hold them open for ever.
    async fn drain(&mut self, span: Millis) {
        let ends = async { while self.readers.join_next().await.is_some() {} };
        // Late output is cut off in silence; the exit is what the model asked for.
        let _late = timeout(span.duration(), ends).await;
    }
}

/// Starts the command as the launcher says.
fn spawn(launcher: &Launcher, shell: &[OsString], directory: &Path) -> io::Result<(Child, Hold)> {
    let is_supervised = !launcher.supervisor.is_empty();
    let mut words = launcher.supervisor.iter().chain(&launcher.prefix).chain(shell);
    let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(words)
        .current_dir(directory)
        .env_clear()
        .envs(environment(|name| std::env::var_os(name)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if is_supervised {
        // Both ends are closed in every other child, so that only the kernel's death closes this one.
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let hold = Hold::Supervisor { socket: UnixStream::from_std(ours)?, heard: Vec::new() };
        let child = command.stdin(OwnedFd::from(theirs)).spawn()?;
        return Ok((child, hold));
    }
    // Reaps the leader if the job is dropped; the group is killed by the job.
    let child = command.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn()?;
    let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    Ok((child, leader.map_or(Hold::Released, Hold::Group)))
}

/// Reads `pipe` to its end into `capture`.
async fn read(mut pipe: impl AsyncRead + Unpin, capture: Arc<Mutex<Capture>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let (bytes, _) = buffer.split_at(count);
        capture.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

fn take(capture: &Mutex<Capture>) -> Capture {
    let mut capture = capture.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut capture, Capture::new(0))
}
