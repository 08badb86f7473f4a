//! The kernel's hold on a running command: through a process group, or through a supervisor.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

use super::supervisor;

/// Bytes of what a supervisor says: a word and a number or an error of the operating system.
const HEARD_MAX: usize = 1024;

/// The kernel's hold on a running command.
#[derive(Debug)]
pub(super) enum Hold {
    /// The command leads a process group and is a child of this process.
    ///
    /// Invariant: the leader has not been reaped, so its number cannot have been given to a stranger,
    /// and signals go to nobody else.
    Group(Pid),
    /// A child of this process watches the command, and ends everything when the socket is closed.
    Supervisor {
        /// Where it listens and speaks.
        socket: UnixStream,
        /// What it has said so far.
        heard: Vec<u8>,
    },
    /// Nothing is held.
    Released,
}

impl Hold {
    /// Waits until the command has exited, without reaping it. A supervisor also says how.
    pub(super) async fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        match self {
            Self::Group(leader) => leader_exited(*leader).await.map(|()| None),
            Self::Supervisor { socket, heard } => listen(socket, heard).await.map(Some),
            Self::Released => Ok(None),
        }
    }

    /// Asks the command to end. That nobody is left to hear it is no error, here and below.
    pub(super) async fn term(&mut self) {
        match self {
            Self::Group(group) => {
                let _gone = kill_process_group(*group, Signal::TERM);
            }
            Self::Supervisor { socket, .. } => {
                let _gone = socket.write_all(&[supervisor::TERM]).await;
            }
            Self::Released => {}
        }
    }

    /// Ends everything that is held.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Group(group) => {
                let _gone = kill_process_group(*group, Signal::KILL);
            }
            // This closes the socket.
            Self::Supervisor { .. } => *self = Self::Released,
            Self::Released => {}
        }
    }
}

/// Waits until a child of this process has exited, without reaping it.
async fn leader_exited(leader: Pid) -> io::Result<()> {
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

/// Waits until a supervisor has said how its command ended. What was heard stays in `heard` if the
/// wait is broken off.
async fn listen(socket: &mut UnixStream, heard: &mut Vec<u8>) -> io::Result<ExitStatus> {
    loop {
        if let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(heard.get(..end).unwrap_or_default());
            return understand(&line);
        }
        if heard.len() > HEARD_MAX || socket.read_buf(heard).await? == 0 {
            return Err(io::Error::other("its supervisor was killed; parts of it may still run"));
        }
    }
}

fn understand(line: &str) -> io::Result<ExitStatus> {
    if let Some(text) = line.strip_prefix(supervisor::FAILED) {
        return Err(io::Error::other(text.to_owned()));
    }
    let status = line.strip_prefix(supervisor::ENDED).and_then(|status| status.parse().ok());
    status
        .map(ExitStatus::from_raw)
        .ok_or_else(|| io::Error::other("its supervisor speaks another language"))
}
