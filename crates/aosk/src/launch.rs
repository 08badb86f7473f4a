//! `aosk __exec`: the supervisor of every command that an agent runs, so that nothing of the command
//! outlives the call or the kernel that made it.

use std::ffi::OsString;

use aosk::abi::{Error, ErrorCode};
use aosk::tools::builtin::{Launcher, supervise};

use crate::fail::Done;
use crate::term::note;

/// The launcher that makes this program the supervisor of commands.
pub(crate) fn launcher() -> Launcher {
    match std::env::current_exe() {
        Ok(path) => Launcher {
            supervisor: vec![path.into(), "__exec".into(), "--".into()],
            ..Launcher::default()
        },
        // Then commands run without it: they only lose dying together with the kernel.
        Err(_) => Launcher::default(),
    }
}

/// Keeps the memory of this process, its environment with the keys above all, from other processes of
/// the account: the agents' commands are such. Core dumps and debuggers that come later go with it.
pub(crate) fn close_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            note(&format!("the environment of this process is open to commands: {error}"));
        }
    }
}

/// Supervises the command in `argv`.
pub(crate) fn exec(argv: &[OsString]) -> Result<Done, Error> {
    supervise(argv).map(|()| Done::Well).map_err(|error| {
        Error::new(ErrorCode::ToolFailed, format!("supervising a command: {error}"))
            .hint("this is not for people; the kernel starts it")
    })
}
