//! What can fail when metadata is set up. What fails while serving becomes an HTTP status, a counter and a log line.

use std::path::PathBuf;

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "listen for metadata requests (see who else listens there: ss -ltnp, inside of the namespace)"
    )]
    Listen(#[source] netns::Error),
    #[error(
        "read {what} from {path} for the connection to Nova (give a PEM file that warren may read)",
        path = path.display()
    )]
    Pem {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    #[error(
        "find the system's certificate authorities to verify Nova's certificate (install ca-certificates, or name a CA file)"
    )]
    NoAuthorities,
    #[error("take {path} as certificate authority for Nova (give a file with CA certificates)", path = path.display())]
    Authority {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error(
        "use {certificate} with {key} as our certificate towards Nova (give a certificate and its own private key)",
        certificate = certificate.display(), key = key.display()
    )]
    ClientCertificate {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("use {host:?} as Nova's metadata host (give a host name or an IP address)")]
    Host { host: String },
}
