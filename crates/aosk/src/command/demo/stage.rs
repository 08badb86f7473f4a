//! Where the demo takes place: one directory with a data directory and a workspace in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use aosk::abi::{Error, ErrorCode};
use aosk::tools::builtin::Launcher;

/// Names that are tried for a new directory before it is given up.
const NAMES_MAX: u32 = 1_000;

/// Notes the command in a file, then becomes the shell that runs it. `$0` is the file, `$3` the
/// command; what follows `$0` is the shell with its arguments.
const WITNESS: &str = r#"printf '%s\n' "$3" >>"$0" && exec "$@""#;

/// The directory of a demo.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    dir: PathBuf,
}

impl Stage {
    /// The directory that was asked for, which must be empty; or a new one of its own in `above`, or
    /// where temporary ones are.
    ///
    /// # Errors
    /// If it is not empty or cannot be made.
    pub(super) fn make(asked: Option<&Path>, above: Option<&Path>) -> Result<Self, Error> {
        let dir = match asked {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
                let mut entries = std::fs::read_dir(dir).map_err(|error| failed(dir, &error))?;
                if entries.next().is_some() {
                    let text = format!("making the demo directory {}: not empty", dir.display());
                    return Err(Error::new(ErrorCode::Usage, text).hint("name a new directory"));
                }
                dir.to_owned()
            }
            None => match above {
                Some(above) => {
                    std::fs::create_dir_all(above).map_err(|error| failed(above, &error))?;
                    fresh(above, "demo")?
                }
                None => fresh(&std::env::temp_dir(), &format!("aosk-demo-{}", std::process::id()))?,
            },
        };
        let stage = Self::at(&dir)?;
        for dir in [stage.workspace(), stage.data()] {
            std::fs::create_dir(&dir).map_err(|error| failed(&dir, &error))?;
        }
        Ok(stage)
    }

    /// The directory of a demo that has begun.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) fn at(dir: &Path) -> Result<Self, Error> {
        Ok(Self { dir: dir.canonicalize().map_err(|error| failed(dir, &error))? })
    }

    /// All of it.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the kernel keeps its state.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Where the agents work.
    pub(super) fn workspace(&self) -> PathBuf {
        self.dir.join("workspace")
    }

    /// Commands that were really started, and how often. Every command's own process notes it, so the
    /// journal can be held against it.
    ///
    /// # Errors
    /// If the notes cannot be read.
    pub(super) fn commands(&self) -> Result<BTreeMap<String, u32>, Error> {
        let path = self.notes();
        let notes = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| {
                Error::new(ErrorCode::Io, format!("reading {}: {error}", path.display()))
            })?,
        };
        let mut started = BTreeMap::new();
        for command in notes.lines() {
            let times: &mut u32 = started.entry(command.to_owned()).or_default();
            *times = times.saturating_add(1);
        }
        Ok(started)
    }

    fn notes(&self) -> PathBuf {
        self.dir.join("commands.log")
    }

    /// What starts the agents' commands: each is noted, builds inside the
    /// workspace whatever the configuration of cargo says, and uses the toolchain that is used here.
    pub(super) fn launcher(&self) -> Launcher {
        let mut launcher = crate::launch::launcher();
        let mut target = OsString::from("CARGO_TARGET_DIR=");
        target.push(self.workspace().join("target"));
        launcher.prefix.extend(["env".into(), target]);
        if let Some(toolchain) = std::env::var_os("RUSTUP_TOOLCHAIN") {
            let mut variable = OsString::from("RUSTUP_TOOLCHAIN=");
            variable.push(toolchain);
            launcher.prefix.push(variable);
        }
        launcher.prefix.extend(["/bin/sh", "-c", WITNESS].map(OsString::from));
        launcher.prefix.push(self.notes().into());
        launcher
    }
}

/// A new directory in `above` that only this user can read, called `stem` and a number.
fn fresh(above: &Path, stem: &str) -> Result<PathBuf, Error> {
    use std::os::unix::fs::DirBuilderExt;
    for number in 1..=NAMES_MAX {
        let dir = above.join(format!("{stem}-{number}"));
        match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&dir, &error)),
        }
    }
    let text = format!("making a demo directory in {}: all names are taken", above.display());
    Err(Error::new(ErrorCode::Io, text).hint("name a directory with --dir"))
}

fn failed(dir: &Path, error: &io::Error) -> Error {
    let text = format!("making the demo directory {}: {error}", dir.display());
    Error::new(ErrorCode::Io, text).hint("name another directory with --dir")
}

#[cfg(test)]
mod tests;
