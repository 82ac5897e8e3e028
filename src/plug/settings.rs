//! Which way ports are plugged (Neutron: `interface_driver`), and where Open vSwitch listens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// A veth whose far end the linuxbridge agent takes up.
    LinuxBridge,
    OpenVswitch(OpenVswitch),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenVswitch {
    /// `[OVS] integration_bridge`
    pub bridge: String,
    /// `[OVS] ovsdb_connection`
    pub database: OvsdbAddress,
    /// `[OVS] ovsdb_timeout`
    pub timeout: Duration,
    /// A veth in place of an internal port (`ovs_use_veth`).
    pub veth: bool,
    /// `[OVS] datapath_type = netdev`: checksums are not left to a device that is none.
    pub userspace: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OvsdbAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Ssl(SocketAddr, OvsdbTls),
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OvsdbTls {
    pub key: PathBuf,
    pub cert: PathBuf,
    pub ca: PathBuf,
}

/// As `ovsdb_connection` spells it.
impl std::fmt::Display for OvsdbAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "tcp:{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Ssl(at, _) => write!(f, "ssl:{at}"),
        }
    }
}
