//! Where the server listens: the unix socket of the data directory, and TCP if asked for.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aosk_abi::{Error, ErrorCode};
use tokio::net::{TcpListener, UnixListener, UnixSocket};

/// The socket's name in the data directory.
pub const SOCKET: &str = "aosk.sock";

/// The file in the data directory that says where the server listens.
pub const ADDRESS_FILE: &str = "server.json";

/// Connections that the system holds until they are accepted.
const BACKLOG: u32 = 1_024;

/// Listens on the socket of this data directory. Whoever calls has the lock of the directory, so a
/// socket that is there is one that a dead server left.
///
/// # Errors
/// If the socket cannot be made.
pub(crate) fn socket(dir: &Path) -> Result<UnixListener, Error> {
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
        fs::rename(&new, &path)?;
        socket.listen(BACKLOG)
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
pub(crate) fn announce(dir: &Path, tcp: Option<SocketAddr>) -> Result<(), Error> {
    let value = serde_json::json!({
        "pid": std::process::id(),
        "socket": dir.join(SOCKET),
        "tcp": tcp.map(|address| format!("http://{address}")),
    });
    let (path, new) = (dir.join(ADDRESS_FILE), dir.join(format!("{ADDRESS_FILE}.new")));
    let write = fs::write(&new, format!("{value}\n")).and_then(|()| fs::rename(&new, &path));
    write.map_err(|error| Error::new(ErrorCode::Io, format!("writing {}: {error}", path.display())))
}

/// Takes away what says that a server listens here.
pub(crate) fn withdraw(dir: &Path) {
    for path in [dir.join(SOCKET), dir.join(ADDRESS_FILE)] {
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "could not be removed");
        }
    }
}

/// The path of the socket of a data directory.
pub(crate) fn socket_path(dir: &Path) -> PathBuf {
    dir.join(SOCKET)
}
