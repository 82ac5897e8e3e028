//! One change of the kernel, small enough to name in a sentence: what `diff` says and `apply` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::conflict::Conflict;
use crate::names::{DevName, MacAddr};
use crate::route::RouteSeen;
use crate::rule::RuleSeen;
use crate::ruleset::{Element, MapChange};
use crate::spec::{Link, LinkKind, Neighbour, Place, Route, Rule};

/// One change. Its text reads after "failed to" and after "would".
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Cannot be done: the reason. All that does not depend on it is done.
    Blocked(Conflict),
    SetSysctl {
        key: String,
        value: String,
    },
    DeleteRoute(RouteSeen),
    DeleteRule(RuleSeen),
    DeleteNeighbour(Neighbour),
    DeleteAddress {
        dev: DevName,
        address: IpNet,
    },
    /// A tunnel no longer floods to this remote end.
    DeleteFlood {
        dev: DevName,
        remote: IpAddr,
    },
    /// With all addresses that it had, where the Spec owns the namespace.
    DeleteLink {
        dev: DevName,
        addresses: BTreeSet<IpNet>,
    },
    /// Ours by its alias, left over in another namespace where the far end of a pair shall be.
    DeletePeer {
        dev: DevName,
        place: Place,
    },
    DeleteTable {
        table: String,
    },
    /// All of our table in one transaction; established flows stay.
    LoadTable {
        table: String,
        why: &'static str,
    },
    /// Only these elements, by map; all in one transaction.
    ChangeMaps {
        table: String,
        changes: BTreeMap<String, MapChange>,
    },
    /// Down, with our alias; what it shall be beyond its kind follows in steps of their own.
    CreateLink {
        dev: DevName,
        link: Box<Link>,
    },
    SetDown {
        dev: DevName,
    },
    SetMac {
        dev: DevName,
        mac: MacAddr,
    },
    SetMtu {
        dev: DevName,
        mtu: u32,
    },
    SetMaster {
        dev: DevName,
        master: Option<DevName>,
    },
    /// Back to no spanning tree, no forward delay, no multicast snooping.
    SetBridge {
        dev: DevName,
    },
    SetAlias {
        dev: DevName,
        alias: String,
    },
    SetUp {
        dev: DevName,
    },
    /// A tunnel floods to this remote end, too.
    AddFlood {
        dev: DevName,
        remote: IpAddr,
    },
    AddAddress {
        dev: DevName,
        address: IpNet,
    },
    SetNeighbour(Neighbour),
    AddRoute(Route),
    /// In one go, so that no packet finds neither.
    ReplaceRoute {
        route: Route,
        instead_of: Route,
    },
    AddRule(Rule),
}

impl Step {
    /// True when the kernel changes more than was asked: a deleted address takes its routes along, a lowered MTU
    /// those of devices on top, and so on. Then one looks again.
    pub(crate) fn has_side_effects(&self) -> bool {
        match self {
            Self::DeleteAddress { .. }
            | Self::DeleteLink { .. }
            | Self::DeletePeer { .. }
            | Self::SetDown { .. }
            | Self::SetMac { .. }
            | Self::SetMtu { .. }
            | Self::SetMaster { .. } => true,
            // Turning forwarding resets other switches (`inet_forward_change`); turning IPv6 off drops addresses.
            Self::SetSysctl { key, .. } => {
                key.ends_with("ip_forward")
                    || key.ends_with("forwarding")
                    || key.ends_with("disable_ipv6")
            }
            Self::Blocked(_)
            | Self::DeleteRoute(_)
            | Self::DeleteRule(_)
            | Self::DeleteNeighbour(_)
            | Self::DeleteFlood { .. }
            | Self::DeleteTable { .. }
            | Self::LoadTable { .. }
            | Self::ChangeMaps { .. }
            | Self::CreateLink { .. }
            | Self::SetBridge { .. }
            | Self::SetAlias { .. }
            | Self::SetUp { .. }
            | Self::AddFlood { .. }
            | Self::AddAddress { .. }
            | Self::SetNeighbour(_)
            | Self::AddRoute(_)
            | Self::ReplaceRoute { .. }
            | Self::AddRule(_) => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(conflict) => write!(f, "nothing is done: {conflict}"),
            Self::SetSysctl { key, value } => write!(f, "set {key} = {value}"),
            Self::DeleteRoute(seen) => write!(f, "delete route {}", seen.route),
            Self::DeleteRule(seen) => write!(f, "delete rule {}", seen.rule),
            Self::DeleteNeighbour(Neighbour { dev, address, .. }) => {
                write!(f, "delete neighbour {address} on {dev}")
            }
            Self::DeleteAddress { dev, address } => {
                write!(f, "delete address {address} from {dev}")
            }
            Self::DeleteFlood { dev, remote } => write!(f, "stop flooding from {dev} to {remote}"),
            Self::DeleteLink { dev, .. } => write!(f, "delete device {dev}"),
            Self::DeletePeer { dev, place } => {
                write!(f, "delete left-over device {dev} in {place}")
            }
            Self::DeleteTable { table } => write!(f, "delete nftables table inet {table}"),
            Self::LoadTable { table, why } => write!(f, "load nftables table inet {table} ({why})"),
            Self::ChangeMaps { table, changes } => {
                let each: Vec<String> = changes
                    .iter()
                    .map(|(map, change)| format!("{map}: {change}"))
                    .collect();
                write!(
                    f,
                    "change maps of nftables table inet {table} ({})",
                    each.join("; ")
                )
            }
            Self::CreateLink { dev, link } => write!(f, "create {} {dev}", link.kind),
            Self::SetDown { dev } => write!(f, "set {dev} down"),
            Self::SetMac { dev, mac } => write!(f, "set hardware address {mac} on {dev}"),
            Self::SetMtu { dev, mtu } => write!(f, "set MTU {mtu} on {dev}"),
            Self::SetMaster {
                dev,
                master: Some(master),
            } => write!(f, "put {dev} into bridge {master}"),
            Self::SetMaster { dev, master: None } => write!(f, "take {dev} out of its bridge"),
            Self::SetBridge { dev } => write!(
                f,
                "turn STP, forward delay and multicast snooping off on {dev}"
            ),
            Self::SetAlias { dev, alias } => write!(f, "mark {dev} with alias {alias:?}"),
            Self::SetUp { dev } => write!(f, "set {dev} up"),
            Self::AddFlood { dev, remote } => write!(f, "flood from {dev} to {remote}"),
            Self::AddAddress { dev, address } => write!(f, "add address {address} to {dev}"),
            Self::SetNeighbour(Neighbour { dev, address, mac }) => {
                write!(f, "set neighbour {address} at {mac} on {dev}")
            }
            Self::AddRoute(route) => write!(f, "add route {route}"),
            Self::ReplaceRoute { route, instead_of } => {
                write!(f, "replace route {instead_of} by {route}")
            }
            Self::AddRule(rule) => write!(f, "add rule {rule}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home => f.write_str("the home namespace"),
            Self::Named(name) => write!(f, "namespace {name}"),
        }
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Existing | Self::Given => f.write_str("device"),
            Self::Veth { peer, peer_in } => write!(f, "veth (far end {peer} in {peer_in})"),
            Self::Bridge => f.write_str("bridge"),
            Self::Vxlan(vxlan) => write!(f, "vxlan {} (UDP port {})", vxlan.vni, vxlan.port),
            Self::Vlan { parent, id } => write!(f, "vlan {id} (on {parent})"),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        for gateway in &self.via {
            write!(f, " via {gateway}")?;
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        if self.onlink {
            f.write_str(" onlink")?;
        }
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        if self.table != 0 {
            write!(f, " table {}", self.table)?;
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.priority)?;
        match self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        write!(f, " lookup {}", self.table)
    }
}

/// Few elements by name, many by number.
impl fmt::Display for MapChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FEW: usize = 4;
        let key = |key: &[Element]| {
            key.iter()
                .map(Element::to_string)
                .collect::<Vec<_>>()
                .join(" . ")
        };
        if self.remove.len() + self.add.len() > FEW {
            return write!(f, "{} less, {} more", self.remove.len(), self.add.len());
        }
        let less = self.remove.iter().map(|gone| format!("-{}", key(gone)));
        let more = self.add.iter().map(|(new, data)| match data {
            Some(data) => format!("+{} : {data}", key(new)),
            None => format!("+{}", key(new)),
        });
        f.write_str(&less.chain(more).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(address) => address.fmt(f),
            Self::Net(address, length) => write!(f, "{address}/{length}"),
            Self::Protocol(number) => number.fmt(f),
            Self::Port(number) => number.fmt(f),
            Self::Device(name) => f.write_str(name),
            Self::Mark(mark) => write!(f, "{mark:#x}"),
        }
    }
}
