//! The one directory that file tools can reach.
//!
//! Every path is resolved by the operating system beneath an open directory (`openat2` with
//! `RESOLVE_BENEATH` on Linux), so neither `..`, nor an absolute path, nor a symbolic link planted
//! between check and use leads outside. No tool may use `std::fs`.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata, OpenOptions, OpenOptionsExt, Permissions};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::ToolError;
use crate::limits;

/// A directory that a process works in.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    dir: Dir,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The file, from the workspace.
    pub path: String,
    /// What stands there.
    pub bytes: Vec<u8>,
    /// The bytes of the whole file.
    pub size: u64,
}

impl Workspace {
    /// Opens the directory at `root`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        let root = root.as_ref().canonicalize()?;
        let dir = Dir::open_ambient_dir(&root, ambient_authority())?;
        Ok(Self { root, dir })
    }

    /// Opens the directory at `root`, and makes it and its parents first if they are not there.
    ///
    /// # Errors
    /// If it cannot be made or read.
    pub fn create(root: impl AsRef<Path>) -> io::Result<Self> {
        Dir::create_ambient_dir_all(&root, ambient_authority())?;
        Self::open(root)
    }

    /// Where it is on the host, absolute and without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The open directory.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// `path` relative to the root; an absolute path inside the workspace is understood. This is a
    /// convenience: what keeps a path inside is how it is opened.
    ///
    /// # Errors
    /// If it is no path, or an absolute one to another place.
    pub(crate) fn relative(&self, path: &str) -> Result<PathBuf, ToolError> {
        if path.is_empty() || path.len() > limits::PATH_BYTES_MAX || path.contains('\0') {
            return Err(ToolError::Arguments(format!(
                "argument `path`: a path has 1 to {} bytes and no zero byte",
                limits::PATH_BYTES_MAX
            )));
        }
        let given = Path::new(path);
        let relative = if given.is_absolute() {
            given
                .strip_prefix(&self.root)
                .map_err(|_| ToolError::PathEscape { path: path.to_owned() })?
        } else {
            given
        };
        let parts = relative.components().filter(|part| *part != Component::CurDir);
        let relative: PathBuf = parts.collect();
        Ok(if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative })
    }

    /// Opens an ordinary file for reading.
    ///
    /// # Errors
    /// If it is not there, not an ordinary file, or outside.
    pub(crate) fn open_file(&self, path: &Path) -> Result<(File, Metadata), ToolError> {
        self.open_ordinary(path, OpenOptions::new().read(true), "read")
    }

    /// A part of an ordinary file from the byte `from` on, of so many bytes at most; none if there is no
    /// such file. For people who look at what a process made: links are not followed, wherever they
    /// lead.
    ///
    /// # Errors
    /// If it is not an ordinary file, reached by a link or outside, or cannot be read.
    pub fn part(
        &self,
        path: &str,
        (from, bytes_max): (u64, usize),
    ) -> Result<Option<FilePart>, ToolError> {
        let path = self.relative(path)?;
        let escape = || ToolError::PathEscape { path: path.to_string_lossy().into_owned() };
        let mut reached = PathBuf::new();
        for part in path.components() {
            if part == Component::ParentDir {
                return Err(escape());
            }
            reached.push(part);
            match self.dir.symlink_metadata(&reached) {
                // What takes its place meanwhile cannot lead out of the directory either.
                Ok(metadata) if metadata.is_symlink() => return Err(escape()),
                Ok(_) => {}
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(fault("read", &path, &error)),
            }
        }
        let (mut file, metadata) = self.open_file(&path)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from.min(metadata.len())))
            .and_then(|_| file.take(bytes_max as u64).read_to_end(&mut bytes))
            .map_err(|error| fault("read", &path, &error))?;
        let path = path.to_string_lossy().into_owned();
        Ok(Some(FilePart { path, bytes, size: metadata.len() }))
    }

    /// Adds `content` to the end of a file, and makes the file and its directories if need be.
    ///
    /// # Errors
    /// If it cannot be written, is not an ordinary file, or is outside.
    pub(crate) fn append(&self, path: &Path, content: &[u8]) -> Result<(), ToolError> {
        self.make_parents(path)?;
        let (mut file, _) =
            self.open_ordinary(path, OpenOptions::new().append(true).create(true), "write")?;
        file.write_all(content)
            .and_then(|()| file.sync_data())
            .map_err(|error| fault("write", path, &error))
    }

    /// Puts `content` into a file in one step: readers see the old content or the new, also after a
    /// crash. Goes through `temporary`, a name that nobody else uses. Says whether there was a file.
    ///
    /// # Errors
    /// If it cannot be written, is not an ordinary file, or is outside.
    pub(crate) fn replace(
        &self,
        path: &Path,
        content: &[u8],
        temporary: &str,
    ) -> Result<bool, ToolError> {
        let target = self.follow(path)?;
        if target.file_name().is_none() {
            return Err(ToolError::Failed(format!("cannot write {path:?}: it is a directory")));
        }
        let old = match self.dir.symlink_metadata(&target) {
            Ok(metadata) if metadata.is_file() => Some(metadata.permissions()),
            Ok(_) => {
                return Err(ToolError::Failed(format!(
                    "cannot write {path:?}: it is not an ordinary file"
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(fault("write", path, &error)),
        };
        self.make_parents(&target)?;
        let existed = old.is_some();
        let temporary = target.with_file_name(temporary);
        self.write_new(&temporary, content, old)
            .and_then(|()| self.dir.rename(&temporary, &self.dir, &target))
            .map_err(|error| {
                // Best effort: the error that matters is the first one.
                drop(self.dir.remove_file(&temporary));
                fault("write", path, &error)
            })?;
        Ok(existed)
    }

    fn write_new(
        &self,
        path: &Path,
        content: &[u8],
        permissions: Option<Permissions>,
    ) -> io::Result<()> {
        // Exclusive, so that a link left at the temporary name is never written through.
        let mut file = self.dir.open_with(path, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(content)?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.sync_all()
    }

    /// Where `path` leads if it is a symbolic link; a rename would replace the link itself.
    fn follow(&self, path: &Path) -> Result<PathBuf, ToolError> {
        match self.dir.symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => {
                self.dir.canonicalize(path).map_err(|error| fault("write", path, &error))
            }
            Ok(_) => Ok(path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
            Err(error) => Err(fault("write", path, &error)),
        }
    }

    fn make_parents(&self, path: &Path) -> Result<(), ToolError> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => return Ok(()),
        };
        // Looked at first, because making one where a link leads out only says that it exists.
        match self.dir.metadata(parent) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.dir.create_dir_all(parent).map_err(|error| fault("make", parent, &error))
            }
            Err(error) => Err(fault("write", path, &error)),
        }
    }

    fn open_ordinary(
        &self,
        path: &Path,
        options: &mut OpenOptions,
        action: &str,
    ) -> Result<(File, Metadata), ToolError> {
        // Without NONBLOCK the opening of a named pipe would wait for its other end.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
        let file = self.dir.open_with(path, options).map_err(|e| fault(action, path, &e))?;
        let metadata = file.metadata().map_err(|error| fault(action, path, &error))?;
        if metadata.is_dir() {
            return Err(ToolError::Failed(format!("cannot {action} {path:?}: it is a directory")));
        }
        if !metadata.is_file() {
            return Err(ToolError::Failed(format!(
                "cannot {action} {path:?}: it is not an ordinary file"
            )));
        }
        Ok((file, metadata))
    }
}

/// Whether an error says that nothing has this name.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What an error of the operating system means to the model.
pub(crate) fn fault(action: &str, path: &Path, error: &io::Error) -> ToolError {
    let errno = Errno::from_io_error(error);
    // Refused by `cap_std` itself, not by the operating system; or a chain of links without end, or
    // one of the links in /proc that lead anywhere.
    let escaped = error.kind() == io::ErrorKind::PermissionDenied && errno.is_none();
    if escaped || errno == Some(Errno::LOOP) || errno == Some(Errno::XDEV) {
        return ToolError::PathEscape { path: path.to_string_lossy().into_owned() };
    }
    if error.kind() == io::ErrorKind::NotFound {
        return ToolError::Failed(format!("cannot {action} {path:?}: no such file or directory"));
    }
    ToolError::Failed(format!("cannot {action} {path:?}: {error}"))
}
