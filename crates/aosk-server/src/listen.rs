//! Where the server listens: the unix socket of the data directory, and TCP if asked for.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aosk_abi::{Error, ErrorCode};
use tokio::net::{TcpListener, UnixListener, UnixSocket};

use crate::file;

/// The socket's name in the data directory.
pub const SOCKET: &str = "aosk.sock";

/// The file in the data directory that says where the server listens.
pub const ADDRESS_FILE: &str = "server.json";

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 1_024;

/// Something of ours at a path. Others may have put something else there since.
#[derive(Debug)]
pub(crate) struct Own {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// While it is open, its number is no other's. A socket is open as long as somebody listens.
    _open: Option<File>,
}

impl Own {
    fn new(path: PathBuf, found: &Metadata, open: Option<File>) -> Self {
        Self { path, device: found.dev(), inode: found.ino(), _open: open }
    }

    /// Takes it away, if it is still there.
    pub(crate) fn withdraw(&self) {
        let path = self.path.display();
        match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => {
                if let Err(error) = fs::remove_file(&self.path) {
                    tracing::warn!(%path, %error, "could not be removed");
                }
            }
            Ok(_) => tracing::warn!(%path, "it is another's now, and is left there"),
            Err(error) => tracing::warn!(%path, %error, "it is gone already"),
        }
    }
}

/// Listens on the socket of this data directory. Whoever calls has the lock of the directory, so a
/// socket that is there is one that a dead server left.
///
/// # Errors
/// If the socket cannot be made.
pub(crate) fn socket(dir: &Path) -> Result<(UnixListener, Own), Error> {
    let (path, new) = (dir.join(SOCKET), dir.join(format!("{SOCKET}.new")));
    let listen = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let socket = UnixSocket::new_stream()?;
        socket.bind(&new)?;
        // Nobody can connect before it listens, so nobody does before the mode is right.
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        let own = Own::new(path.clone(), &fs::symlink_metadata(&new)?, None);
        fs::rename(&new, &path)?;
        Ok((socket.listen(BACKLOG)?, own))
    };
    listen().map_err(|error| {
        let text = format!("listening on the socket {}: {error}", path.display());
        Error::new(ErrorCode::Io, text)
            .hint("the path of a socket has at most about 100 bytes; a shorter --data-dir may help")
    })
}

/// Listens on an address; a port of 0 is one that is free.
///
/// # Errors
/// If the address cannot be had.
pub(crate) async fn tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |error: io::Error| {
        Error::new(ErrorCode::Io, format!("listening on {address}: {error}"))
            .hint("choose another address with --listen; port 0 takes one that is free")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Says in the data directory where the server listens.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn announce(dir: &Path, tcp: Option<SocketAddr>) -> Result<Own, Error> {
    let path = dir.join(ADDRESS_FILE);
    let write = || {
        let value = serde_json::json!({
            "pid": std::process::id(),
            // Whoever reads it may be elsewhere.
            "socket": std::path::absolute(socket_path(dir))?,
            "tcp": tcp.map(|address| format!("http://{address}")),
        });
        let file = file::replace(&path, &format!("{value}\n"), 0o644)?;
        let found = file.metadata()?;
        Ok(Own::new(path.clone(), &found, Some(file)))
    };
    write().map_err(|error: io::Error| {
        Error::new(ErrorCode::Io, format!("writing {}: {error}", path.display()))
    })
}

/// The path of the socket of a data directory.
pub(crate) fn socket_path(dir: &Path) -> PathBuf {
    dir.join(SOCKET)
}

#[cfg(test)]
mod tests;
