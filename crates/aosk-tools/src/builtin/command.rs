//! Runs a command of the host: its environment, its output, its end.
//!
//! A command has a process group of its own, and everything in the group is gone when the call is
//! over, also when the call is dropped. Only a process that leaves the group (`setsid`) outlives it;
//! holding on to those takes a PID namespace, which is the sandbox's business.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use aosk_abi::unit::Millis;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::bound::Capture;
use crate::limits;

/// What a command is started through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launcher {
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
///
/// Invariant: while `group` is there, the leader has not been reaped, so its number cannot have been
/// given to a stranger, and signals go to nobody else.
#[derive(Debug)]
pub(super) struct Job {
    child: Child,
    group: Option<Pid>,
    stdout: Arc<Mutex<Capture>>,
    stderr: Arc<Mutex<Capture>>,
    readers: JoinSet<()>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
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
        let mut words = launcher.prefix.iter().chain(&shell);
        let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(words)
            .current_dir(directory)
            .env_clear()
            .envs(environment(|name| std::env::var_os(name)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            // Reaps the leader if this is dropped; the group is killed by `Drop` above.
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let capture = || Arc::new(Mutex::new(Capture::new(output_bytes_max)));
        let (stdout, stderr) = (capture(), capture());
        let mut readers = JoinSet::new();
        if let Some(pipe) = child.stdout.take() {
            readers.spawn(read(pipe, Arc::clone(&stdout)));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.spawn(read(pipe, Arc::clone(&stderr)));
        }
        Ok(Self { child, group, stdout, stderr, readers })
    }

    /// Waits until it has ended, or makes it end after `limit`; then nothing of its group runs.
    pub(super) async fn finish(
        mut self,
        limit: Millis,
        times: &CommandTimes,
    ) -> io::Result<Finished> {
        let timed_out = match timeout(limit.duration(), self.exited()).await {
            Ok(exited) => {
                exited?;
                self.drain(times.drain).await;
                self.signal(Signal::KILL);
                false
            }
            Err(_) => {
                self.signal(Signal::TERM);
                if let Ok(exited) = timeout(times.grace.duration(), self.exited()).await {
                    exited?;
                }
                self.signal(Signal::KILL);
                self.drain(times.drain).await;
                true
            }
        };
        let status = self.child.wait().await?;
        self.group = None;
        self.readers.shutdown().await;
        Ok(Finished {
            end: if timed_out { End::TimedOut } else { End::Exited(status) },
            stdout: take(&self.stdout),
            stderr: take(&self.stderr),
        })
    }

    /// Waits until the leader has exited, without reaping it.
    async fn exited(&self) -> io::Result<()> {
        let Some(leader) = self.group else { return Ok(()) };
        // Listening begins before the first look, so that no exit falls between the two.
        let mut children = signal(SignalKind::child())?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(leader), look)?.is_none() {
            if children.recv().await.is_none() {
                return Err(io::Error::other("no more news of children"));
            }
        }
        Ok(())
    }

    /// Reads until both streams have ended, or `span` is over: what a command leaves running in the
    /// background may hold them open for ever.
    async fn drain(&mut self, span: Millis) {
        let ends = async { while self.readers.join_next().await.is_some() {} };
        // Late output is cut off in silence; the exit is what the model asked for.
        let _late = timeout(span.duration(), ends).await;
    }

    /// Signals everything in the group. That nobody is left to signal is no error.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _gone = kill_process_group(group, signal);
        }
    }
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
