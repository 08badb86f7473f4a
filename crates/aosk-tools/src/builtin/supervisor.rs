//! The supervisor of a command: a process of its own between the kernel and the command, so that
//! nothing of the command outlives the call, or the kernel.
//!
//! Its standard input is one end of a socket; the other end only the kernel has. However the kernel
//! dies, the operating system closes that end, and the supervisor hears it. It adopts whatever the
//! command leaves behind, daemons too, because it is the nearest subreaper above them. It knows
//! nothing of the kernel: its environment is the command's.
//!
//! | who | says | meaning |
//! |---|---|---|
//! | kernel | `T` | TERM to the command's group |
//! | kernel | nothing any more | KILL to all that is left, then exit |
//! | supervisor | `ended STATUS` | the command has ended; the wait status as the system gave it |
//! | supervisor | `failed TEXT` | the command could not be started |

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, setsid, wait};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};

/// The kernel's word for: TERM to the command's group.
pub(super) const TERM: u8 = b'T';
/// The supervisor's word for: the command has ended.
pub(super) const ENDED: &str = "ended ";
/// The supervisor's word for: the command could not be started.
pub(super) const FAILED: &str = "failed ";

/// What the operating system lists the supervisor as. Whoever kills kernels by their name must not
/// hit the one that cleans up after them.
#[cfg(target_os = "linux")]
const NAME: &std::ffi::CStr = c"agent-command";

/// Runs the command in `argv` and stays until nothing of it is left. For the `main` of a program that
/// [`Launcher::supervisor`](super::Launcher::supervisor) names, before it has started any thread.
///
/// # Errors
/// If this process was not started by a kernel, or the operating system refuses what it needs.
pub fn supervise(argv: &[OsString]) -> io::Result<()> {
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    control.set_nonblocking(true)?;
    match control.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        // The kernel died meanwhile, or wants the end before the start.
        Ok(_) => return Ok(()),
        Err(error) => return Err(error),
    }
    // Out of the kernel's group and away from its terminal: Ctrl-C is for the kernel. Whoever is in
    // this session, and so in any of its groups, comes from here.
    setsid()?;
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        rustix::thread::set_name(NAME)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(control, argv))
}

/// Starts the command and does what the kernel says, until the kernel says no more.
async fn run(control: UnixStream, argv: &[OsString]) -> io::Result<()> {
    let mut control = tokio::net::UnixStream::from_std(control)?;
    // Before the start, so that no death is missed.
    let mut deaths = signal(SignalKind::child())?;
    let mut terms = signal(SignalKind::terminate())?;
    let mut command = match start(argv) {
        Ok(group) => Supervised { group, is_reaped: false },
        Err(error) => {
            say(&mut control, &format!("{FAILED}{error}\n")).await;
            return Ok(());
        }
    };
    let mut word = [0];
    loop {
        tokio::select! {
            heard = control.read(&mut word) => match heard {
                Ok(1..) if word == [TERM] => command.term(),
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            },
            // Someone takes this process for the command.
            _ = terms.recv() => command.term(),
            _ = deaths.recv() => {
                if let Some(status) = command.reap().ended {
                    say(&mut control, &format!("{ENDED}{status}\n")).await;
                }
            }
        }
    }
    // A process that may not be signalled, such as another user's, is waited for.
    while command.reap().is_any_left {
        command.kill();
        if deaths.recv().await.is_none() {
            break;
        }
    }
    Ok(())
}

/// Tells the kernel. It may be gone, which is heard elsewhere.
async fn say(control: &mut tokio::net::UnixStream, line: &str) {
    let _gone = control.write_all(line.as_bytes()).await;
}

/// Starts the command in a process group of its own, and lets go of the streams that it writes to:
/// the kernel reads them until nobody has them.
#[expect(clippy::disallowed_methods, reason = "its environment is this process's, which is closed")]
fn start(argv: &[OsString]) -> io::Result<Pid> {
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    let stderr = io::stderr().as_fd().try_clone_to_owned()?;
    let null = File::options().write(true).open("/dev/null")?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .spawn()?;
    Pid::from_raw(child.id().cast_signed()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The command and all that comes of it.
struct Supervised {
    /// The number of the process that was started, and of its group.
    group: Pid,
    /// Whether that process has been reaped, so that its number may be given to a stranger.
    is_reaped: bool,
}

/// Who was reaped and who was not.
struct Reaped {
    /// The wait status of the command, if it was reaped just now.
    ended: Option<i32>,
    /// Whether this process has children.
    is_any_left: bool,
}

impl Supervised {
    /// Asks the command to end.
    fn term(&self) {
        if !self.is_reaped {
            // That nobody is left to signal is no error, here and below.
            let _gone = kill_process_group(self.group, Signal::TERM);
        }
    }

    /// Reaps whoever has died.
    fn reap(&mut self) -> Reaped {
        let mut ended = None;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if pid == self.group && !self.is_reaped {
                        self.is_reaped = true;
                        ended = Some(status.as_raw());
                    }
                }
                Ok(None) => return Reaped { ended, is_any_left: true },
                Err(_) => return Reaped { ended, is_any_left: false },
            }
        }
    }

    /// Kills the group and, where this process adopts, every child that there is. Their children are
    /// adopted before their deaths are told, so that killing again after each death leaves nobody.
    fn kill(&self) {
        if !self.is_reaped || cfg!(not(target_os = "linux")) {
            let _gone = kill_process_group(self.group, Signal::KILL);
        }
        #[cfg(target_os = "linux")]
        children::kill();
    }
}

/// The children of this process, as `/proc` has them.
#[cfg(target_os = "linux")]
mod children {
    use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};

    /// Kills all of them with their groups. Only this thread reaps, so their numbers are theirs.
    pub(super) fn kill() {
        let own = getpid();
        let Ok(entries) = std::fs::read_dir("/proc") else { return };
        for entry in entries.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(number) else { continue };
            // It may be gone.
            let Ok(stat) = std::fs::read(entry.path().join("stat")) else { continue };
            if let Some((parent, group)) = parent_and_group(&stat)
                && parent == own
            {
                // One that forks quickly is fast enough to get away from one signal at a time.
                if group != own {
                    let _gone = kill_process_group(group, Signal::KILL);
                }
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// The numbers after the name, which stands in brackets and may contain anything.
    fn parent_and_group(stat: &[u8]) -> Option<(Pid, Pid)> {
        let after_name = stat.iter().rposition(|byte| *byte == b')')?.saturating_add(1);
        let mut words = std::str::from_utf8(stat.get(after_name..)?).ok()?.split_whitespace();
        words.next()?;
        Some((number(words.next()?)?, number(words.next()?)?))
    }

    fn number(text: &str) -> Option<Pid> {
        text.parse().ok().and_then(Pid::from_raw)
    }
}
