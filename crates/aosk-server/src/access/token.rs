//! Tokens: made once, shown once, kept as hashes.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aosk_abi::{Error, ErrorCode, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Caller, Role, workspace};
use crate::file;
use crate::random::{fill, hex};

/// The file in the data directory.
const FILE: &str = "tokens.json";

/// Who changes the file takes this lock, so that two changes at once do not lose one.
const LOCK: &str = "tokens.lock";

/// Bytes of the file. Some thousand tokens; whoever has more wants another system to keep them.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes of randomness in a token.
const SECRET_BYTES: usize = 32;

/// What every token begins with, so that those who look for leaked secrets know it.
const PREFIX: &str = "aosk_";

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What it is called; no two are called the same.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The tenant that it is bound to; none if it sees all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// The BLAKE3 hash of its text, in hexadecimal.
    hash: String,
}

/// A token that was just made.
pub struct NewToken {
    /// Its text. It is not kept and cannot be shown again.
    pub text: String,
    /// What is kept of it.
    pub kept: Kept,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("text", &"[redacted]").field("kept", &self.kept).finish()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tokens: Vec<Kept>,
}

/// What tells one version of the file from another: it is only ever replaced by a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    changed: (i64, i64),
    size: u64,
}

#[derive(Debug, Default)]
struct Known {
    version: Option<Version>,
    tokens: Vec<Caller>,
    /// What is wrong with this version of the file. Then it has no tokens.
    flaw: Option<Error>,
}

/// The tokens of a data directory. A change by another program counts from the next request on.
#[derive(Debug)]
pub struct Tokens {
    dir: PathBuf,
    read: Mutex<Known>,
}

impl Tokens {
    /// The tokens of this data directory.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), read: Mutex::default() }
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>, Error> {
        Ok(self.content()?.tokens)
    }

    /// Makes one.
    ///
    /// # Errors
    /// If there is one of this name, the name or the tenant is not one, or the file cannot be written.
    pub fn create(
        &self,
        (name, now): (&str, Timestamp),
        role: Role,
        tenant: Option<&str>,
    ) -> Result<NewToken, Error> {
        check_name("token", name)?;
        tenant.map_or(Ok(()), check_tenant)?;
        let _lock = self.lock()?;
        let mut content = self.content()?;
        if content.tokens.iter().any(|kept| kept.name == name) {
            let text = format!("making a token: there is one of the name {name:?}");
            return Err(Error::new(ErrorCode::Usage, text)
                .hint("choose another with --name, or `aosk token revoke` that one"));
        }
        let mut secret = [0; SECRET_BYTES];
        fill(&mut secret)?;
        let text = format!("{PREFIX}{}", hex(&secret));
        let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
        let (name, tenant) = (name.to_owned(), tenant.map(str::to_owned));
        let kept = Kept { name, role, tenant, created: now, hash };
        content.tokens.push(kept.clone());
        self.replace(&content)?;
        Ok(NewToken { text, kept })
    }

    /// Forgets the one of this name.
    ///
    /// # Errors
    /// If there is none, or the file cannot be written.
    pub fn revoke(&self, name: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut content = self.content()?;
        let before = content.tokens.len();
        content.tokens.retain(|kept| kept.name != name);
        if content.tokens.len() == before {
            let text = format!("revoking a token: none is called {name:?}");
            return Err(Error::new(ErrorCode::Usage, text).hint("`aosk token list` lists them"));
        }
        self.replace(&content)
    }

    /// Whose token this is, if it is one.
    ///
    /// # Errors
    /// If the file cannot be read. Why is for the log alone: whoever asks is nobody yet.
    pub(crate) fn find(&self, text: &str) -> Result<Option<Caller>, Error> {
        let hash = blake3::hash(text.as_bytes());
        let read = self.current();
        if let Some(error) = &read.flaw {
            tracing::error!(%error, "no token is known");
            return Err(Error::new(ErrorCode::Io, "asking: no token can be checked")
                .hint("the log of the server says why"));
        }
        // Hashes compare in constant time, and all are compared.
        let mut found = None;
        for caller in &read.tokens {
            if caller.proof() == Some(hash) {
                found = Some(caller);
            }
        }
        Ok(found.cloned())
    }

    /// Whether this caller's token is there, and says the same as when it was shown.
    pub(crate) fn has(&self, caller: &Caller) -> bool {
        self.current().tokens.contains(caller)
    }

    /// What the file says now.
    fn current(&self) -> MutexGuard<'_, Known> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let version = match fs::metadata(self.file()) {
            Ok(found) => Some(Version {
                inode: found.ino(),
                changed: (found.ctime(), found.ctime_nsec()),
                size: found.len(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let flaw = Some(self.failed("reading", &error));
                // No version, so that it is looked at again.
                *read = Known { version: None, tokens: Vec::new(), flaw };
                return read;
            }
        };
        if read.version != version || (version.is_none() && read.flaw.is_some()) {
            *read = match self.callers() {
                Ok(tokens) => Known { version, tokens, flaw: None },
                Err(error) => Known { version, tokens: Vec::new(), flaw: Some(error) },
            };
        }
        read
    }

    /// Those who have a token.
    fn callers(&self) -> Result<Vec<Caller>, Error> {
        let read = |kept: Kept| {
            let hash = blake3::Hash::from_hex(&kept.hash).map_err(|error| error.to_string())?;
            let Kept { name, role, tenant, .. } = kept;
            // People may write the file too, and programs of theirs.
            check_name("token", &name).map_err(|error| error.message)?;
            tenant.as_deref().map_or(Ok(()), check_tenant).map_err(|error| error.message)?;
            Ok(Caller::with_token(hash, name, (role, tenant)))
        };
        let all = self.content()?.tokens.into_iter().map(read);
        all.collect::<Result<_, String>>()
            .map_err(|error| self.failed("reading", &io::Error::other(error)))
    }

    fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn content(&self) -> Result<Content, Error> {
        let file = match file::open(&self.file()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(self.failed("reading", &error)),
        };
        let mut text = String::new();
        let read = file.take(FILE_BYTES_MAX.saturating_add(1)).read_to_string(&mut text);
        read.map_err(|error| self.failed("reading", &error))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            let text = io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes"));
            return Err(self.failed("reading", &text));
        }
        serde_json::from_str(&text).map_err(|error| self.failed("reading", &error.into()))
    }

    /// Puts a new file in the place of the old one, whole or not at all.
    fn replace(&self, content: &Content) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(content).unwrap_or_default();
        let written = file::replace(&self.file(), &text, 0o600);
        written.map(drop).map_err(|error| self.failed("writing", &error))
    }

    fn lock(&self) -> Result<File, Error> {
        let lock = || {
            // The state of the kernel comes into it too.
            DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
            let file = file::lockable(&self.dir.join(LOCK))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error| self.failed("locking", &error))
    }

    fn failed(&self, attempted: &str, error: &io::Error) -> Error {
        let text = format!("{attempted} the tokens in {}: {error}", self.file().display());
        Error::new(ErrorCode::Io, text).hint("the file must belong to you, and be whole")
    }
}

/// Names and tenants stand in paths and in headers, so only these characters.
fn check_name(what: &str, name: &str) -> Result<(), Error> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&name.len()) && name.chars().all(good) && !name.starts_with('.') {
        return Ok(());
    }
    let text = format!("making a token: {name:?} cannot be the name of a {what}");
    Err(Error::new(ErrorCode::Usage, text)
        .hint("up to 64 letters, digits, hyphens, underscores and dots, a dot not first"))
}

/// Checks that a tenant can have this name. Its workspace has the same.
fn check_tenant(tenant: &str) -> Result<(), Error> {
    check_name("tenant", tenant)?;
    if tenant == workspace::DEFAULT {
        let text = format!(
            "making a token: the tenant {tenant}: it has the name of the directory of those without \
            a tenant"
        );
        return Err(Error::new(ErrorCode::Usage, text).hint("choose another name"));
    }
    Ok(())
}
