//! A checked file: everything is known but the addresses and MACs that the file leaves to us.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::Ipv4Net;

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
    pub(super) named: BTreeMap<SubnetId, BTreeSet<Ipv4Addr>>,
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
    pub(super) subnet: SubnetRef,
    /// `None`: to be picked.
    pub(super) given: Option<Ipv4Addr>,
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
    pub(super) id: uuid::Uuid,
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

/// The addresses of a subnet that may be picked: ranges in order, without overlap.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    pub(super) cidr: Ipv4Net,
    pub(super) ranges: Vec<(u32, u32)>,
    /// In none of the ranges' business.
    pub(super) gateway: Option<Ipv4Addr>,
}

impl Pool {
    /// `ranges` may overlap and be in any order; empty: the whole subnet.
    pub(super) fn new(
        cidr: Ipv4Net,
        ranges: &[(Ipv4Addr, Ipv4Addr)],
        gateway: Option<Ipv4Addr>,
    ) -> Self {
        let (first, last) = usable(cidr);
        let mut sorted: Vec<(u32, u32)> = ranges
            .iter()
            .map(|(from, to)| (u32::from(*from).max(first), u32::from(*to).min(last)))
            .filter(|(from, to)| from <= to)
            .collect();
        if ranges.is_empty() {
            sorted.push((first, last));
        }
        sorted.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
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
        }
    }

    /// How many addresses there are, the gateway's included.
    pub(super) fn size(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(from, to)| u64::from(to - from) + 1)
            .sum()
    }

    /// The n-th address, counted from 0, round and round.
    pub(super) fn nth(&self, n: u64) -> Option<Ipv4Addr> {
        let mut rest = n.checked_rem(self.size())?;
        for (from, to) in &self.ranges {
            let length = u64::from(to - from) + 1;
            if rest < length {
                return u32::try_from(u64::from(*from) + rest)
                    .ok()
                    .map(Ipv4Addr::from);
            }
            rest -= length;
        }
        None
    }

    /// Whether it is one of those that may be picked.
    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        let number = u32::from(address);
        let after = self.ranges.partition_point(|(from, _)| *from <= number);
        let range = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        range.is_some_and(|(_, to)| number <= *to) && self.gateway != Some(address)
    }

    /// Whether somebody may have it: neither the subnet's first nor last one, where these mean something.
    pub(super) fn is_usable(&self, address: Ipv4Addr) -> bool {
        let (first, last) = usable(self.cidr);
        (first..=last).contains(&u32::from(address))
    }

    /// The first address, which is the gateway if nothing is said.
    pub(super) fn first(cidr: Ipv4Net) -> Ipv4Addr {
        usable(cidr).0.into()
    }
}

/// All but network and broadcast address; in /31 (RFC 3021) and /32 all.
fn usable(cidr: Ipv4Net) -> (u32, u32) {
    let (first, last) = (u32::from(cidr.network()), u32::from(cidr.broadcast()));
    if cidr.prefix_len() < 31 {
        (first + 1, last - 1)
    } else {
        (first, last)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Literals in tables are what they look like.
mod tests {
    use super::*;

    #[test]
    fn pools_count_their_addresses_once() {
        let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
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
