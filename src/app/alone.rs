//! One daemon per host: two with different topologies would each take the other's namespaces for leftovers.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// An abstract socket belongs to the network namespace that it was bound in, and goes with its process.
const NAME: &[u8] = b"warren/one-per-host";

#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    #[error(
        "be the only warren on this host: another one runs here, with another state directory; stop it, or put its topology and this one's into one file"
    )]
    NotAlone,
    #[error("find out whether another warren runs on this host (allow abstract unix sockets here)")]
    Unknown(#[source] io::Error),
}

/// Held as long as the daemon runs, or whoever must not meet one.
pub(crate) fn take() -> Result<UnixListener, AloneError> {
    let address = SocketAddr::from_abstract_name(NAME).map_err(AloneError::Unknown)?;
    UnixListener::bind_addr(&address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => AloneError::NotAlone,
        _ => AloneError::Unknown(error),
    })
}
