//! Where a request comes from, and how a reply gets back there (RFC 2131 section 4.1).

use std::net::{Ipv4Addr, SocketAddrV4};

use super::codes;
use super::reply::Delivery;
use super::request::{Ask, Request};
use crate::model::MacAddr;
use crate::plan::scope::{DhcpClient, DhcpScope};

pub(super) const SERVER_PORT: u16 = 67;
pub(super) const CLIENT_PORT: u16 = 68;

/// Everybody on the link.
pub(super) const TO_ALL: Delivery = Delivery::Frame {
    mac: MacAddr::BROADCAST,
    ip: Ipv4Addr::BROADCAST,
};

/// A request and where it comes from.
pub(super) struct Link<'a> {
    pub(super) scope: &'a DhcpScope,
    pub(super) request: &'a Request<'a>,
    /// Index of the only subnet that addresses can be of; `None`: any that is on the link.
    pub(super) only: Option<usize>,
    /// Source of replies without an address of their own there.
    pub(super) fallback: Ipv4Addr,
}

impl<'a> Link<'a> {
    /// `None`: from a subnet that we do not serve.
    pub(super) fn of(scope: &'a DhcpScope, request: &'a Request<'a>) -> Option<Self> {
        let fallback = scope.subnets.iter().find_map(|subnet| subnet.server)?;
        let containing = |ip: Ipv4Addr| {
            scope
                .subnets
                .iter()
                .position(|subnet| subnet.cidr.contains(&ip))
        };
        let named = request
            .relay_address(codes::RELAY_LINK_SELECTION)
            .or_else(|| request.address(codes::SUBNET_SELECTION))
            .or_else(|| request.giaddr());
        let only = match (named, request.ask) {
            (Some(ip), _) => Some(containing(ip)?),
            (None, Ask::Inform { address }) => Some(containing(address)?),
            // From behind a router, past the relay.
            (None, Ask::Renew { address }) => {
                containing(address).filter(|index| scope.subnets[*index].server.is_none())
            }
            (None, _) => None,
        };
        Some(Self {
            scope,
            request,
            only,
            fallback,
        })
    }

    /// Whether this subnet's addresses can be used where the request comes from.
    pub(super) fn reaches(&self, subnet: usize) -> bool {
        match self.only {
            Some(only) => only == subnet,
            None => self
                .scope
                .subnets
                .get(subnet)
                .is_some_and(|subnet| subnet.server.is_some()),
        }
    }

    /// A server identifier that means us: an own address on this network, or what the relay made of it.
    pub(super) fn is_us(&self, server: Ipv4Addr) -> bool {
        let own = self
            .scope
            .subnets
            .iter()
            .any(|subnet| subnet.server == Some(server));
        own || self.request.relay_address(codes::RELAY_SERVER_ID) == Some(server)
    }

    /// The own address by which a client is told that its address is none of its own: that of the server which it chose, else
    /// of the subnet in which it believes to be, else of that in which it has an address. By it clients know whether the word
    /// is their server's (udhcpc passes over a NAK of another).
    pub(super) fn refuser(&self, client: Option<&DhcpClient>) -> Ipv4Addr {
        let own = |index: usize| self.scope.subnets.get(index)?.server;
        let of_address = |ip: Ipv4Addr| {
            let mut subnets = self.scope.subnets.iter();
            subnets.find(|subnet| subnet.cidr.contains(&ip))?.server
        };
        let named = match (self.only, self.request.ask) {
            (Some(only), _) => return own(only).unwrap_or(self.fallback),
            (None, Ask::Select { server, .. }) => {
                Some(server).filter(|ip| of_address(*ip) == Some(*ip))
            }
            (None, Ask::Reboot { address } | Ask::Renew { address } | Ask::Rebind { address }) => {
                of_address(address)
            }
            (None, _) => None,
        };
        let of_client = || {
            let mut addresses = client?.addresses.iter().rev();
            addresses.find_map(|(subnet, _)| own(*subnet))
        };
        named.or_else(of_client).unwrap_or(self.fallback)
    }

    /// To a client that is told that its address is none of its own.
    pub(super) fn to_refused(&self) -> Delivery {
        match (self.request.giaddr(), self.request.ask) {
            (Some(relay), _) => Delivery::Relay(SocketAddrV4::new(relay, SERVER_PORT)),
            // Our broadcast does not reach it (dnsmasq does the same).
            (None, Ask::Renew { address }) if self.is_remote(address) => {
                Delivery::Routed(SocketAddrV4::new(address, CLIENT_PORT))
            }
            (None, _) => TO_ALL,
        }
    }

    /// To a client that has no address yet.
    pub(super) fn to_new(&self, yiaddr: Ipv4Addr) -> Delivery {
        match self.request.giaddr() {
            Some(relay) => Delivery::Relay(SocketAddrV4::new(relay, SERVER_PORT)),
            None if self.request.wants_broadcast() || self.scope.broadcast_reply => TO_ALL,
            None => Delivery::Frame {
                mac: self.request.mac(),
                ip: yiaddr,
            },
        }
    }

    /// To a client that uses its address already. Never routed to where no client of ours can be.
    pub(super) fn to_configured(&self, ciaddr: Ipv4Addr) -> Delivery {
        match self.request.giaddr() {
            Some(relay) => Delivery::Relay(SocketAddrV4::new(relay, SERVER_PORT)),
            None if self.is_remote(ciaddr) => {
                Delivery::Routed(SocketAddrV4::new(ciaddr, CLIENT_PORT))
            }
            None => Delivery::Frame {
                mac: self.request.mac(),
                ip: ciaddr,
            },
        }
    }

    /// In a subnet of ours that is not on this link.
    fn is_remote(&self, ip: Ipv4Addr) -> bool {
        let of = self
            .scope
            .subnets
            .iter()
            .find(|subnet| subnet.cidr.contains(&ip));
        of.is_some_and(|subnet| subnet.server.is_none())
    }
}
