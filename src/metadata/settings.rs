//! What an operator may set about metadata.

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

#[derive(Debug, Clone)]
pub struct MetadataSettings {
    pub upstream: Upstream,
    pub limits: Limits,
}

/// Who knows the machines.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// The model: its instances are served from this process.
    Local,
    Nova(NovaSettings),
    /// The metadata role is another process on this host, which listens on this socket (Neutron's `metadata_proxy_socket`).
    Agent(PathBuf),
}

/// Where Nova's metadata API is, and how it and we know each other.
#[derive(Debug, Clone)]
pub struct NovaSettings {
    pub protocol: NovaProtocol,
    /// Name or address, without brackets.
    pub host: String,
    pub port: u16,
    pub secret: Secret,
    /// Take any certificate for Nova's.
    pub insecure: bool,
    /// PEM file of the authorities to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files; our certificate is shown only if both are set.
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
}

/// Where the metadata role serves processes that have not its settings: the reference's haproxys, and our own other roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySocket {
    pub path: PathBuf,
    pub mode: u32,
    /// To whom it is given; without it, to whom its directory belongs.
    pub user: Option<u32>,
    pub group: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NovaProtocol {
    Http,
    Https,
}

/// What one guest, one namespace and all together may take. A guest is a source address in a namespace.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections: past a limit the newest is closed at once. All addresses that are no machine's count as one guest;
    /// those of networks that only another process knows each as one, and until it has said whose they are they have half of
    /// what is there, as requests have.
    pub connections: usize,
    pub connections_per_namespace: usize,
    pub connections_per_guest: usize,
    /// Requests being answered: the next one waits its turn, at most for `request`.
    pub requests: usize,
    pub requests_per_guest: usize,
    /// So many a namespace may always have, whatever the others take.
    pub assured_connections: usize,
    pub assured_requests: usize,
    /// Bytes of request line and headers; at least 8192. More: 431.
    pub head: usize,
    /// Bytes of a request's body. More: 413.
    pub body: usize,
    /// From the end of one answer, or the connection's begin, until the next request's head is there.
    pub idle: Duration,
    /// From a request's head until its answer begins; and as long again until the guest has taken it.
    pub request: Duration,
    /// How often one guest may ask; `None`: as often as it likes.
    pub rate: Option<RateLimit>,
}

/// Requests of one guest, counted in two sliding windows (Neutron's `[metadata_rate_limiting]`). More in either: 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Guests that ask over IPv4, over IPv6.
    pub v4: bool,
    pub v6: bool,
    pub base: Window,
    pub burst: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Denied ones count, too.
    pub requests: u32,
    pub duration: Duration,
}

impl Default for Limits {
    /// Neutron's haproxy has the same times, and 1024 connections per namespace as its only bound.
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_namespace: 1024,
            connections_per_guest: 32,
            requests: 512,
            requests_per_guest: 8,
            assured_connections: 64,
            assured_requests: 8,
            head: 16 * 1024,
            body: 64 * 1024,
            idle: Duration::from_secs(30),
            request: Duration::from_secs(30),
            rate: None,
        }
    }
}
