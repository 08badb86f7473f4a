//! `aosk __exec`: stands in front of every command that an agent runs, and makes the command die with
//! the kernel that started it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use aosk::abi::{Error, ErrorCode};
use aosk::tools::builtin::Launcher;

use crate::fail::Done;

/// The launcher that puts this program in front of commands.
pub(crate) fn launcher() -> Launcher {
    match std::env::current_exe() {
        Ok(path) => Launcher { prefix: vec![path.into(), "__exec".into(), "--".into()] },
        // Then commands run without it: they only lose dying together with the kernel.
        Err(_) => Launcher::default(),
    }
}

/// Becomes the program in `argv`.
#[expect(
    clippy::disallowed_methods,
    reason = "this process becomes the command; nothing is started"
)]
pub(crate) fn exec(argv: &[OsString]) -> Result<Done, Error> {
    let failed =
        |what: String| Error::new(ErrorCode::ToolFailed, format!("running a command: {what}"));
    let Some((program, arguments)) = argv.split_first() else {
        return Err(failed("there is none".to_owned()));
    };
    #[cfg(target_os = "linux")]
    {
        let parent = rustix::process::getppid();
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .map_err(|error| failed(error.to_string()))?;
        // The kernel may have died before the request was in force.
        if rustix::process::getppid() != parent {
            return Err(failed("the kernel is gone".to_owned()));
        }
    }
    let error = Command::new(program).args(arguments).exec();
    Err(failed(error.to_string()))
}
