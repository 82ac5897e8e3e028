//! The words: what a namespace should hold. Plain values, in one order, so that two equal wishes are equal values.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::names::{DevName, MacAddr, NsName};
use crate::ruleset::Ruleset;

/// What one namespace should hold of what is ours. All else in it is left alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub ownership: Ownership,
    /// Devices by name. `lo` may be listed, to be up.
    pub links: BTreeMap<DevName, Link>,
    /// Devices that must not exist (only needed where `ownership.prefixes` does not say so already). In a shared namespace
    /// others' devices stay, but leave the bridges that are named among the links.
    pub absent: BTreeSet<DevName>,
    pub routes: BTreeSet<Route>,
    pub rules: BTreeSet<Rule>,
    pub neighbours: BTreeSet<Neighbour>,
    /// Path below `/proc/sys/` with slashes (`net/ipv4/ip_forward`) -> value as the kernel prints it.
    pub sysctls: BTreeMap<String, String>,
    /// Our nftables table; `None`: no table of ours.
    pub ruleset: Option<Ruleset>,
}

/// Which of the things found are ours to remove when the Spec does not name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// A device whose name begins so is ours. Empty: only the devices that the Spec names are looked at at
    /// all, one by one, which is how a part of a large shared namespace (the host's) is described.
    pub prefixes: BTreeSet<String>,
    /// `rtm_protocol` and `FRA_PROTOCOL` of our routes and rules (`/etc/iproute2/rt_protos`).
    pub protocol: u8,
    /// Name of our nftables table (family inet).
    pub table: String,
    /// `IFLA_IFALIAS` set on every device that we make: what tells ours from others' in a shared namespace.
    pub alias: String,
}

/// A device and its addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub kind: LinkKind,
    pub mac: Option<MacAddr>,
    /// Bytes; `None`: whatever it is.
    pub mtu: Option<u32>,
    pub up: bool,
    /// Bridge that it is a port of, in the same namespace.
    pub master: Option<DevName>,
    /// Exactly these, and the kernel's own (link-local, autoconfigured); `None`: addresses are not ours to touch. Of several
    /// in one network the one that came first is the primary (source) address, and stays it: no flow is cut to change that.
    pub addrs: Option<BTreeSet<IpNet>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LinkKind {
    /// Someone else makes it (the kernel's `lo`, the far end of a veth, a physical device): we only set what is named here.
    Existing,
    /// Made elsewhere for us (a port of a switch) and moved in here: ours from then on, and marked so. It can't be made
    /// here: while it is missing, an error names it, and whoever had it made must ask again.
    Given,
    /// A pair: this end here, `peer` in another namespace. Made from this end; goes with it.
    Veth {
        peer: DevName,
        peer_in: Place,
    },
    /// Without STP, forward delay 0, no multicast snooping.
    Bridge,
    Vxlan(Vxlan),
    /// 802.1Q on `parent`, in the same namespace.
    Vlan {
        parent: DevName,
        id: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// The namespace that the program itself lives in.
    Home,
    Named(NsName),
}

/// A VXLAN tunnel end (RFC 7348).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vxlan {
    /// 24 bits.
    pub vni: u32,
    pub local: Option<IpAddr>,
    /// Device that carries the tunnel; needed with a group.
    pub underlay: Option<DevName>,
    /// Multicast group, or none.
    pub group: Option<IpAddr>,
    /// Head-end replication: every flood goes to each of these (all-zero entries of the forwarding table).
    pub remotes: BTreeSet<IpAddr>,
    pub port: u16,
}

/// A route of ours in table main unless `table` says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    pub destination: IpNet,
    /// Several: one multipath route. Empty: on-link at `dev`.
    pub via: BTreeSet<IpAddr>,
    /// Needed when `via` is empty, or when a gateway is outside of every connected prefix (then "onlink").
    pub dev: Option<DevName>,
    pub onlink: bool,
    /// Preferred source address.
    pub source: Option<IpAddr>,
    /// 0: main (254).
    pub table: u32,
    /// Lower wins; 0 is the kernel's default (v6: 1024).
    pub metric: u32,
}

/// A policy rule (`ip rule`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    pub priority: u32,
    pub from: Option<IpNet>,
    pub to: Option<IpNet>,
    pub table: u32,
}

/// A permanent neighbour entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Neighbour {
    pub dev: DevName,
    pub address: IpAddr,
    pub mac: MacAddr,
}

impl Default for Ownership {
    fn default() -> Self {
        Self {
            prefixes: BTreeSet::new(),
            protocol: 4,
            table: "netns".into(),
            alias: "netns".into(),
        }
    }
}

impl Link {
    fn of(kind: LinkKind) -> Self {
        Self {
            kind,
            mac: None,
            mtu: None,
            up: true,
            master: None,
            addrs: None,
        }
    }

    /// `lo`, or another device that is there already.
    pub fn existing() -> Self {
        Self::of(LinkKind::Existing)
    }

    pub fn given() -> Self {
        Self::of(LinkKind::Given)
    }

    pub fn bridge() -> Self {
        Self::of(LinkKind::Bridge)
    }

    pub fn veth(peer: DevName, peer_in: Place) -> Self {
        Self::of(LinkKind::Veth { peer, peer_in })
    }

    pub fn vlan(parent: DevName, id: u16) -> Self {
        Self::of(LinkKind::Vlan { parent, id })
    }

    pub fn vxlan(vxlan: Vxlan) -> Self {
        Self::of(LinkKind::Vxlan(vxlan))
    }

    #[must_use]
    pub fn mac(mut self, mac: MacAddr) -> Self {
        self.mac = Some(mac);
        self
    }

    #[must_use]
    pub fn mtu(mut self, bytes: u32) -> Self {
        self.mtu = Some(bytes);
        self
    }

    #[must_use]
    pub fn master(mut self, bridge: DevName) -> Self {
        self.master = Some(bridge);
        self
    }

    #[must_use]
    pub fn addrs(mut self, addrs: impl IntoIterator<Item = IpNet>) -> Self {
        self.addrs = Some(addrs.into_iter().collect());
        self
    }
}

impl Route {
    pub fn to(destination: IpNet) -> Self {
        let (via, dev, onlink, source) = (BTreeSet::new(), None, false, None);
        Self {
            destination,
            via,
            dev,
            onlink,
            source,
            table: 0,
            metric: 0,
        }
    }

    pub fn default_v4() -> Self {
        Self::to(IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 0))
    }

    #[must_use]
    pub fn via(mut self, gateway: IpAddr) -> Self {
        self.via.insert(gateway);
        self
    }

    #[must_use]
    pub fn dev(mut self, dev: DevName) -> Self {
        self.dev = Some(dev);
        self
    }
}
