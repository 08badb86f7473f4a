//! Whether a program of this machine works, and not only is there: a proxy such as rustup's is found
//! and starts, and then has no compiler to hand on to.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use aosk::tools::builtin::environment;
use tokio::process::Command;

use crate::term::cut;

/// How long a program may take to say its version. It takes milliseconds; a disk that must be woken
/// takes seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Characters of what a program says.
const TEXT_MAX: usize = 160;

/// What is known of a program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// It is not on the PATH.
    Absent,
    /// It is there and does not work, and this is why.
    Broken(String),
    /// It works, and this is its version.
    Works(String),
}

/// Where a program is on the PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    use rustix::fs::{Access, access};
    let folders = std::env::var_os("PATH")?;
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(program));
    paths.find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())
}

/// Asks a program for its version, with the environment that the commands of agents have.
pub(crate) async fn version(program: &str) -> Probe {
    let Some(path) = on_path(program) else { return Probe::Absent };
    let toolchain = std::env::var_os("RUSTUP_TOOLCHAIN").map(|name| ("RUSTUP_TOOLCHAIN", name));
    let variables: Vec<(&str, OsString)> =
        environment(|name| std::env::var_os(name)).into_iter().chain(toolchain).collect();
    let mut command = Command::new(&path);
    command.arg("--version").env_clear().envs(variables).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Probe::Broken(error.to_string()),
        Err(_) => return Probe::Broken(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let first = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        line.map(|line| cut(line, TEXT_MAX))
    };
    if output.status.success() {
        return Probe::Works(first(&output.stdout).unwrap_or_else(|| path.display().to_string()));
    }
    let said = first(&output.stderr).unwrap_or_else(|| "it says nothing".to_owned());
    Probe::Broken(format!("{} --version: {}: {said}", path.display(), output.status))
}
