//! A checked file: everything is known but the addresses and MACs that the file leaves to us.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use uuid::Uuid;

use super::metadata::MetadataSource;
use super::mistake::{Mistake, Span};
use crate::model::{Forwarding, Instance, MacAddr, Network, Port, Protocol, Router, SubnetId};
use crate::plan::Settings;

/// What a file says, checked: give it addresses and it is a [`crate::model::State`].
#[derive(Debug)]
pub struct Topology {
    pub(super) draft: Draft,
    pub(super) settings: Settings,
    pub(super) resolvers: Option<Vec<SocketAddr>>,
    pub(super) metadata: MetadataSource,
    pub(super) files: BTreeSet<PathBuf>,
    /// Legal, but someone should look.
    pub warnings: Vec<Mistake>,
}

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) networks: Vec<NetworkDraft>,
    pub(super) instances: Vec<Instance>,
    pub(super) routers: Vec<RouterDraft>,
    /// Every address that someone has or needs.
    pub(super) claims: Vec<Claim>,
    /// Named as a target, whoever has them: not to be given to a new one.
    pub(super) named: BTreeMap<SubnetId, BTreeSet<IpAddr>>,
}

#[derive(Debug)]
pub(super) struct NetworkDraft {
    pub(super) object: String,
    pub(super) at: Span,
    /// Without its ports.
    pub(super) network: Network,
    /// One per subnet.
    pub(super) pools: Vec<Pool>,
    /// All of them, our own DHCP port and routers' legs included.
    pub(super) ports: Vec<PortDraft>,
    /// False: a subnet could not be read, so nothing is said about addresses outside of the others.
    pub(super) whole: bool,
}

/// One address of one owner.
#[derive(Debug)]
pub(super) struct Claim {
    /// Owner, subnet and count: what a pick is kept under.
    pub(super) key: String,
    pub(super) kind: Claimant,
    /// The port's id, where it is a port.
    pub(super) owner: Uuid,
    pub(super) subnet: SubnetRef,
    /// `None`: to be picked.
    pub(super) given: Option<IpAddr>,
    pub(super) at: Span,
    pub(super) object: String,
}

/// Index into [`Draft::claims`].
pub(super) type ClaimId = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimant {
    Machine,
    /// May be the subnet's gateway, and is, unless the file says another address.
    Interface,
    Dhcp,
    RouterGateway,
    Floating,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SubnetRef {
    pub(super) network: usize,
    pub(super) subnet: usize,
}

#[derive(Debug)]
pub(super) struct PortDraft {
    /// Without addresses, names and MAC.
    pub(super) port: Port,
    pub(super) mac: Option<MacAddr>,
    pub(super) claims: Vec<ClaimId>,
    /// `None`: named after its address.
    pub(super) hostname: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortRef {
    pub(super) network: usize,
    pub(super) port: usize,
}

#[derive(Debug)]
pub(super) struct RouterDraft {
    /// Without its legs and what hangs on addresses.
    pub(super) router: Router,
    pub(super) interfaces: Vec<PortRef>,
    pub(super) gateway: Option<(PortRef, bool)>,
    pub(super) floating_ips: Vec<FloatingDraft>,
    pub(super) forwardings: Vec<ForwardingDraft>,
}

#[derive(Debug)]
pub(super) struct FloatingDraft {
    pub(super) id: Uuid,
    pub(super) address: ClaimId,
    pub(super) target: Option<Target>,
}

#[derive(Debug)]
pub(super) struct ForwardingDraft {
    pub(super) address: ClaimId,
    pub(super) protocol: Protocol,
    pub(super) ports: Forwarding,
    pub(super) target: Target,
}

/// An inside address: someone's, or one that the file spells out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Claim(ClaimId),
    Fixed(Ipv4Addr),
}

/// The addresses of a subnet that may be picked: ranges in order, without overlap, as numbers of the subnet's family.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) cidr: IpNet,
    pub(super) ranges: Vec<(u128, u128)>,
    /// In none of the ranges' business.
    pub(super) gateway: Option<IpAddr>,
    /// Its machines make their addresses of their MACs: none is picked for them.
    pub(super) auto: bool,
}

impl Pool {
    /// `ranges` are of the subnet's family, may overlap and be in any order; empty: the whole subnet.
    pub(super) fn new(cidr: IpNet, ranges: &[(IpAddr, IpAddr)], gateway: Option<IpAddr>) -> Self {
        let (first, last) = usable(cidr);
        let mut sorted: Vec<(u128, u128)> = ranges
            .iter()
            .map(|(from, to)| (number(*from).max(first), number(*to).min(last)))
            .filter(|(from, to)| from <= to)
            .collect();
        if ranges.is_empty() {
            sorted.push((first, last));
        }
        sorted.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(sorted.len());
        for (from, to) in sorted {
            match merged.last_mut() {
                Some(before) if from <= before.1 => before.1 = before.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Self {
            cidr,
            ranges: merged,
            gateway,
            auto: false,
        }
    }

    /// How many addresses there are, the gateway's included.
    pub(super) fn size(&self) -> u128 {
        self.ranges.iter().map(|(from, to)| to - from + 1).sum()
    }

    /// The n-th address, counted from 0, round and round.
    pub(super) fn nth(&self, n: u128) -> Option<IpAddr> {
        let mut rest = n.checked_rem(self.size())?;
        for (from, to) in &self.ranges {
            let length = to - from + 1;
            if rest < length {
                return self.address(from + rest);
            }
            rest -= length;
        }
        None
    }

    /// Whether it is one of those that may be picked.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.ranges_contain(address) && self.gateway != Some(address)
    }

    pub(super) fn ranges_contain(&self, address: IpAddr) -> bool {
        let number = number(address);
        let after = self.ranges.partition_point(|(from, _)| *from <= number);
        let range = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        self.cidr.contains(&address) && range.is_some_and(|(_, to)| number <= *to)
    }

    /// Whether somebody may have it: neither the subnet's first nor last one, where these mean something.
    pub(super) fn is_usable(&self, address: IpAddr) -> bool {
        let (first, last) = usable(self.cidr);
        (first..=last).contains(&number(address))
    }

    /// The first address, which is the gateway if nothing is said.
    pub(super) fn first(cidr: IpNet) -> IpAddr {
        let (first, _) = usable(cidr);
        of_family(cidr, first).unwrap_or(cidr.network())
    }

    /// The one that a machine makes itself (RFC 4291 appendix A).
    pub(super) fn made_of(&self, mac: MacAddr) -> Option<IpAddr> {
        match self.cidr {
            IpNet::V6(cidr) if self.auto => Some(IpAddr::V6(mac.eui64(cidr.network()))),
            IpNet::V4(_) | IpNet::V6(_) => None,
        }
    }

    fn address(&self, number: u128) -> Option<IpAddr> {
        of_family(self.cidr, number)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn of_family(cidr: IpNet, number: u128) -> Option<IpAddr> {
    match cidr {
        IpNet::V4(_) => Some(Ipv4Addr::from(u32::try_from(number).ok()?).into()),
        IpNet::V6(_) => Some(Ipv6Addr::from(number).into()),
    }
}

/// All but network and broadcast address, in /31 (RFC 3021) and /32 all; in IPv6 all but the first, which is any router's
/// (RFC 4291 section 2.6.1), in /127 (RFC 6164) and /128 all.
fn usable(cidr: IpNet) -> (u128, u128) {
    let (first, last) = (number(cidr.network()), number(cidr.broadcast()));
    match cidr {
        IpNet::V4(cidr) if cidr.prefix_len() < 31 => (first + 1, last - 1),
        IpNet::V6(cidr) if cidr.prefix_len() < 127 => (first + 1, last),
        IpNet::V4(_) | IpNet::V6(_) => (first, last),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Literals in tables are what they look like.
mod tests {
    use super::*;

    #[test]
    fn pools_count_their_addresses_once() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (name, cidr, ranges, size, first, last) in [
            (
                "all of a subnet",
                "10.0.0.0/24",
                &[][..],
                254,
                "10.0.0.1",
                "10.0.0.254",
            ),
            (
                "point to point",
                "10.0.0.0/31",
                &[],
                2,
                "10.0.0.0",
                "10.0.0.1",
            ),
            ("one address", "10.0.0.7/32", &[], 1, "10.0.0.7", "10.0.0.7"),
            (
                "a range",
                "10.0.0.0/24",
                &[("10.0.0.10", "10.0.0.19")],
                10,
                "10.0.0.10",
                "10.0.0.19",
            ),
            (
                "in any order",
                "10.0.0.0/24",
                &[("10.0.0.30", "10.0.0.39"), ("10.0.0.10", "10.0.0.19")],
                20,
                "10.0.0.10",
                "10.0.0.39",
            ),
            (
                "overlapping",
                "10.0.0.0/24",
                &[("10.0.0.10", "10.0.0.19"), ("10.0.0.15", "10.0.0.24")],
                15,
                "10.0.0.10",
                "10.0.0.24",
            ),
            (
                "without broadcast",
                "10.0.0.0/24",
                &[("10.0.0.250", "10.0.0.255")],
                5,
                "10.0.0.250",
                "10.0.0.254",
            ),
            (
                "a /64",
                "fd00::/64",
                &[],
                u128::from(u64::MAX),
                "fd00::1",
                "fd00::ffff:ffff:ffff:ffff",
            ),
            (
                "a range of it",
                "fd00::/64",
                &[("fd00::10", "fd00::1f")],
                16,
                "fd00::10",
                "fd00::1f",
            ),
            (
                "point to point, v6",
                "fd00::/127",
                &[],
                2,
                "fd00::",
                "fd00::1",
            ),
            (
                "the largest",
                "10.0.0.0/8",
                &[],
                (1 << 24) - 2,
                "10.0.0.1",
                "10.255.255.254",
            ),
        ] {
            let ranges: Vec<_> = ranges.iter().map(|(a, b)| (ip(a), ip(b))).collect();
            let pool = Pool::new(cidr.parse().unwrap(), &ranges, None);
            assert_eq!(pool.size(), size, "{name}");
            assert_eq!(pool.nth(0), Some(ip(first)), "{name}");
            assert_eq!(pool.nth(size - 1), Some(ip(last)), "{name}");
            assert_eq!(pool.nth(size), Some(ip(first)), "{name}: round and round");
            let all = (0..size.min(300)).all(|n| pool.contains(pool.nth(n).unwrap()));
            assert!(all, "{name}: all are contained");
        }
    }
}
