//! What can go wrong with the database.

use std::io;
use std::time::Duration;

use super::split::Garbled;
use crate::plug::OvsdbAddress;
use crate::tls::TlsError;

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "connect to Open vSwitch's database at {address} ({})",
        advice(address)
    )]
    Connect {
        address: Box<OvsdbAddress>,
        #[source]
        source: io::Error,
    },
    #[error("use the certificates for Open vSwitch's database")]
    Tls(#[from] TlsError),
    #[error("talk to Open vSwitch's database at {address} (is ovsdb-server still running?)")]
    Lost {
        address: Box<OvsdbAddress>,
        #[source]
        source: io::Error,
    },
    #[error(
        "get an answer from Open vSwitch's database at {address} within {}s (is ovsdb-server overloaded or stopped?)",
        waited.as_secs()
    )]
    Late {
        address: Box<OvsdbAddress>,
        waited: Duration,
    },
    #[error("understand what Open vSwitch's database at {address} says (is it an OVSDB server?)")]
    Garbled {
        address: Box<OvsdbAddress>,
        #[source]
        source: Garbled,
    },
    #[error("change Open vSwitch's database at {address}: it says {error}{}; ovsdb-server's log may have more", details.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        address: Box<OvsdbAddress>,
        error: String,
        details: Option<String>,
    },
}

/// Neutron's agents would run that command themselves; we start no processes.
fn advice(address: &OvsdbAddress) -> String {
    match address {
        OvsdbAddress::Tcp(at) => format!(
            "if ovsdb-server runs, let it listen there: ovs-vsctl set-manager ptcp:{}:{}; or set ovsdb_connection to its unix: socket",
            at.port(),
            at.ip()
        ),
        OvsdbAddress::Ssl(at, _) => format!(
            "if ovsdb-server runs, let it listen there: ovs-vsctl set-manager pssl:{}:{}, and give both sides certificates of one authority",
            at.port(),
            at.ip()
        ),
        OvsdbAddress::Unix(_) => {
            "is ovsdb-server running, and is that its socket? A container needs it mounted".into()
        }
    }
}
