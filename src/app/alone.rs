//! One daemon per host and role: two with different topologies would each take the other's namespaces for leftovers.

use std::collections::BTreeSet;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::neutron::Role;

/// One for each role, for daemons with different ones do not meet. An abstract socket belongs to the network namespace
/// that it was bound in, and goes with its process.
fn name(role: Role) -> String {
    format!("warren/one-per-host/{role}")
}

#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    #[error(
        "be the only warren on this host in the role {role}: another one runs here, with another state directory; stop it, or put its topology and this one's into one file"
    )]
    NotAlone { role: Role },
    #[error("find out whether another warren runs on this host (allow abstract unix sockets here)")]
    Unknown(#[source] io::Error),
}

/// Held as long as the daemon runs, or whoever must not meet one.
pub(crate) fn take(roles: &BTreeSet<Role>) -> Result<Vec<UnixListener>, AloneError> {
    roles.iter().map(|role| take_one(*role)).collect()
}

fn take_one(role: Role) -> Result<UnixListener, AloneError> {
    let address = SocketAddr::from_abstract_name(name(role)).map_err(AloneError::Unknown)?;
    UnixListener::bind_addr(&address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => AloneError::NotAlone { role },
        _ => AloneError::Unknown(error),
    })
}
