//! What the two versions of DHCP differ in, as far as the server's loop is concerned.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use netns::datagrams::Received;
use serde::Serialize;

use super::Error;
use crate::dhcp::leases::{Served, Table};
use crate::dhcp::v6::Neighbour;
use crate::model::{DevName, MacAddr, NetworkId};
use crate::pace::Who;

/// One version. Each has a file of its own beside this one.
pub trait Version: Debug + Sized + 'static {
    /// In the log.
    const NAME: &'static str;
    const PORTS: Ports;
    const ANY: IpAddr;
    /// Multicast groups that clients and relays speak to.
    const GROUPS: &'static [Ipv6Addr];
    /// The longest message read.
    const LONGEST: usize;

    type Scope: Served + Debug + Send + Sync;
    /// What its answers are counted as.
    type Counted: Debug + Clone + Copy + Default + Serialize + Send;
    type Malformed: Display;
    type Request<'a>;
    /// What clients are told apart by.
    type Name: Debug + Display + Copy + Eq + Hash + Send;

    fn ground(scope: &Self::Scope) -> Ground<'_>;
    /// Why its server did not start.
    fn refused(network: NetworkId, device: DevName, source: netns::Error) -> Error;
    /// Counts a message that was dropped, since too many wait for the kernel to say who sent them.
    fn crowded(_: &mut Self::Counted) {}
    fn decode(received: Received<'_>) -> Result<Self::Request<'_>, Self::Malformed>;
    /// Whose budget a request is of.
    fn who(scope: &Self::Scope, request: &Self::Request<'_>) -> Who<Self::Name>;
    /// Answers, and counts the answer. Pure but for `leases`, whose time is `now`.
    fn answer(
        scope: &Self::Scope,
        request: &Self::Request<'_>,
        neighbour: Neighbour,
        leases: &mut Table<Self::Scope>,
        counted: &mut Self::Counted,
        now: Instant,
    ) -> Said;
}

#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub server: u16,
    pub client: u16,
}

/// Where a scope is served.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    pub network: NetworkId,
    pub device: &'a DevName,
    pub mac: MacAddr,
}

/// What came of one message.
#[derive(Debug)]
pub enum Said {
    Reply(Outgoing),
    Nothing,
    /// First the kernel has to say who has this address.
    Ask(Ipv6Addr),
}

/// What goes out.
#[derive(Debug)]
pub struct Outgoing {
    /// What UDP carries.
    pub message: Vec<u8>,
    pub way: Way,
}

#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// On the link to a client, as a frame.
    Frame {
        from: IpAddr,
        mac: MacAddr,
        ip: IpAddr,
    },
    /// As the kernel routes it. `None`: it also chooses the source.
    Datagram {
        from: Option<Ipv4Addr>,
        to: SocketAddr,
    },
}
