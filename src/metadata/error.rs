//! What can fail when metadata is set up. What fails while serving becomes an HTTP status, a counter and a log line.

use std::io;
use std::path::PathBuf;

use crate::tls::TlsError;

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "listen for metadata requests (see who else listens there: ss -ltnp, inside of the namespace)"
    )]
    Listen(#[source] netns::Error),
    #[error(
        "listen on {path} for metadata requests of other processes (see metadata_proxy_socket: whether warren may write in its directory, and nothing else of this name is in it)"
    )]
    Socket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("set up the encryption of the connection to Nova")]
    Tls(#[from] TlsError),
    #[error("use {host:?} as Nova's metadata host (give a host name or an IP address)")]
    Host { host: String },
}
