//! Devices: dump -> word, step -> request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVlan, InfoVxlan, LinkAttribute,
    LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use crate::addr::AddrSeen;
use crate::error::Refusal;
use crate::names::{DevName, MacAddr};
use crate::namespace::Namespace;
use crate::spec::{Link, LinkKind, Vxlan};
use crate::wire::Request;

/// A device that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSeen {
    pub index: u32,
    pub kind: KindSeen,
    pub mac: Option<MacAddr>,
    pub mtu: u32,
    pub up: bool,
    /// Index of the bridge that it is a port of.
    pub master: Option<u32>,
    pub alias: Option<String>,
    pub addrs: BTreeMap<IpNet, AddrSeen>,
    /// Remote ends that a tunnel floods to.
    pub floods: BTreeSet<IpAddr>,
}

impl LinkSeen {
    pub(crate) fn id(&self) -> LinkId {
        LinkId {
            index: self.index,
            mac: self.mac,
        }
    }

    /// As it is in a new namespace.
    pub(crate) fn loopback() -> Self {
        Self {
            index: 1,
            kind: KindSeen::Other(String::new()),
            mac: Some(MacAddr([0; 6])),
            mtu: 65536,
            up: false,
            master: None,
            alias: None,
            addrs: BTreeMap::new(),
            floods: BTreeSet::new(),
        }
    }
}

/// What a device is. Other devices are named by index, as the kernel does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindSeen {
    /// Index of the far end, in whatever namespace that is.
    Veth {
        peer: Option<u32>,
    },
    /// `plain`: no spanning tree, no forward delay, no multicast snooping.
    Bridge {
        plain: bool,
    },
    /// Without `underlay` and `remotes`, which stand beside.
    Vxlan {
        tunnel: Vxlan,
        underlay: Option<u32>,
    },
    Vlan {
        parent: Option<u32>,
        id: u16,
    },
    /// The kernel's word for it; empty: physical.
    Other(String),
}

/// Who a device is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkId {
    pub index: u32,
    /// `None`: a device without Ethernet address (a tunnel on the IP layer).
    pub mac: Option<MacAddr>,
}

/// Asks for one device by name; the statistics, the largest part, are left out.
pub(crate) fn get(dev: &DevName) -> Request {
    let message = LinkUnspec::new_with_name(dev.as_str())
        .append_extra_attribute(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]))
        .build();
    Request::new(&RouteNetlinkMessage::GetLink(message), 0)
}

/// Asks for all devices.
pub(crate) fn list() -> Request {
    let mask = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
    let message = LinkMessageBuilder::<LinkUnspec>::new()
        .append_extra_attribute(mask)
        .build();
    Request::new(&RouteNetlinkMessage::GetLink(message), 0)
}

/// `None`: a device whose name is none that we could name.
pub(crate) fn parse(body: &[u8]) -> Result<Option<(DevName, LinkSeen)>, Refusal> {
    let message = LinkMessage::parse(body).map_err(std::io::Error::other)?;
    let mut seen = LinkSeen {
        index: message.header.index,
        kind: KindSeen::Other(String::new()),
        mac: None,
        mtu: 0,
        up: message.header.flags.contains(LinkFlags::Up),
        master: None,
        alias: None,
        addrs: BTreeMap::new(),
        floods: BTreeSet::new(),
    };
    let (mut name, mut below, mut info) = (None, None, &[][..]);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(found) => name = DevName::new(found.as_str()).ok(),
            LinkAttribute::Address(bytes) => {
                seen.mac = bytes.as_slice().try_into().ok().map(MacAddr);
            }
            LinkAttribute::Mtu(mtu) => seen.mtu = *mtu,
            LinkAttribute::Controller(index) => {
                seen.master = Some(*index).filter(|index| *index != 0);
            }
            LinkAttribute::IfAlias(alias) => seen.alias = Some(alias.clone()),
            LinkAttribute::Link(index) => below = Some(*index).filter(|index| *index != 0),
            LinkAttribute::LinkInfo(found) => info = found,
            _ => {}
        }
    }
    seen.kind = kind(info, below);
    Ok(name.map(|name| (name, seen)))
}

fn kind(info: &[LinkInfo], below: Option<u32>) -> KindSeen {
    let named = info.iter().find_map(|part| match part {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    let data = info.iter().find_map(|part| match part {
        LinkInfo::Data(data) => Some(data),
        _ => None,
    });
    match (named, data) {
        (Some(InfoKind::Veth), _) => KindSeen::Veth { peer: below },
        (Some(InfoKind::Bridge), Some(InfoData::Bridge(data))) => KindSeen::Bridge {
            plain: is_plain(data),
        },
        (Some(InfoKind::Vxlan), Some(InfoData::Vxlan(data))) => vxlan(data),
        (Some(InfoKind::Vlan), Some(InfoData::Vlan(data))) => {
            let id = data.iter().find_map(|part| match part {
                InfoVlan::Id(id) => Some(*id),
                _ => None,
            });
            KindSeen::Vlan {
                parent: below,
                id: id.unwrap_or(0),
            }
        }
        (Some(kind), _) => KindSeen::Other(kind.to_string()),
        (None, _) => KindSeen::Other(String::new()),
    }
}

fn is_plain(data: &[InfoBridge]) -> bool {
    data.iter().all(|part| match part {
        InfoBridge::ForwardDelay(ticks) => *ticks == 0,
        InfoBridge::StpState(state) => *state == BridgeStpState::Disabled,
        InfoBridge::MulticastSnooping(on) => !on,
        _ => true,
    })
}

fn vxlan(data: &[InfoVxlan]) -> KindSeen {
    let (mut vni, mut local, mut group, mut port, mut underlay) = (0, None, None, 0, None);
    for part in data {
        match part {
            InfoVxlan::Id(id) => vni = *id,
            InfoVxlan::Group(address) => group = Some(IpAddr::from(*address)),
            InfoVxlan::Group6(address) => group = Some(IpAddr::from(*address)),
            InfoVxlan::Local(address) => local = Some(IpAddr::from(*address)),
            InfoVxlan::Local6(address) => local = Some(IpAddr::from(*address)),
            InfoVxlan::Port(number) => port = *number,
            InfoVxlan::Link(index) => underlay = Some(*index).filter(|index| *index != 0),
            _ => {}
        }
    }
    let tunnel = Vxlan {
        vni,
        local,
        underlay: None,
        group,
        remotes: BTreeSet::new(),
        port,
    };
    KindSeen::Vxlan { tunnel, underlay }
}

/// A pair uses one queue in any case. Not told so, the kernel makes one per processor and waits until the others are out of
/// use, twice, under the lock of all devices.
const ONE_QUEUE: [LinkAttribute; 2] =
    [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];

/// Makes a device: down, with the hardware address and MTU that it shall have. `below` is the index of its parent
/// or underlay; `far` the namespace of a pair's far end.
pub(crate) fn create(
    dev: &DevName,
    link: &Link,
    below: Option<u32>,
    far: Option<&Namespace>,
) -> Request {
    let name = dev.as_str();
    let mut message = match &link.kind {
        // Never asked for.
        LinkKind::Existing | LinkKind::Given => LinkUnspec::new_with_name(name).build(),
        LinkKind::Veth { peer, .. } => {
            let mut end = LinkUnspec::new_with_name(peer.as_str());
            if let Some(mtu) = link.mtu {
                end = end.mtu(mtu);
            }
            if let Some(far) = far {
                end = end.setns_by_fd(far.file().as_raw_fd());
            }
            let mut end = end.build();
            end.attributes.extend(ONE_QUEUE);
            let peer = rtnetlink::packet_route::link::InfoVeth::Peer(end);
            let mut message = LinkVeth::new(name, "")
                .set_info_data(InfoData::Veth(peer))
                .build();
            message.attributes.extend(ONE_QUEUE);
            message
        }
        LinkKind::Bridge => of_kind(name, InfoKind::Bridge, InfoData::Bridge(plain_bridge())),
        LinkKind::Vxlan(tunnel) => of_kind(
            name,
            InfoKind::Vxlan,
            InfoData::Vxlan(vxlan_data(tunnel, below)),
        ),
        LinkKind::Vlan { id, .. } => of_kind(
            name,
            InfoKind::Vlan,
            InfoData::Vlan(vec![InfoVlan::Id(*id)]),
        ),
    };
    if matches!(link.kind, LinkKind::Vlan { .. }) {
        message.attributes.extend(below.map(LinkAttribute::Link));
    }
    message
        .attributes
        .extend(link.mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    message.attributes.extend(link.mtu.map(LinkAttribute::Mtu));
    Request::new(
        &RouteNetlinkMessage::NewLink(message),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

fn of_kind(name: &str, kind: InfoKind, data: InfoData) -> LinkMessage {
    LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(kind)
        .name(name)
        .set_info_data(data)
        .build()
}

fn plain_bridge() -> Vec<InfoBridge> {
    vec![
        InfoBridge::StpState(BridgeStpState::Disabled),
        InfoBridge::ForwardDelay(0),
        InfoBridge::MulticastSnooping(false),
    ]
}

fn vxlan_data(tunnel: &Vxlan, underlay: Option<u32>) -> Vec<InfoVxlan> {
    let mut data = vec![InfoVxlan::Id(tunnel.vni), InfoVxlan::Port(tunnel.port)];
    data.extend(underlay.map(InfoVxlan::Link));
    data.extend(tunnel.local.map(|local| match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    }));
    data.extend(tunnel.group.map(|group| match group {
        IpAddr::V4(group) => InfoVxlan::Group(group),
        IpAddr::V6(group) => InfoVxlan::Group6(group),
    }));
    data
}

/// Marks a device as ours, by name: its index is not known yet when this is sent right behind its creation.
pub(crate) fn alias(dev: &DevName, alias: &str) -> Request {
    set(LinkUnspec::new_with_name(dev.as_str()).alias(alias))
}

pub(crate) fn up(index: u32) -> Request {
    set(LinkUnspec::new_with_index(index).up())
}

pub(crate) fn down(index: u32) -> Request {
    set(LinkUnspec::new_with_index(index).down())
}

pub(crate) fn mac(index: u32, mac: MacAddr) -> Request {
    set(LinkUnspec::new_with_index(index).address(mac.0.to_vec()))
}

pub(crate) fn mtu(index: u32, mtu: u32) -> Request {
    set(LinkUnspec::new_with_index(index).mtu(mtu))
}

/// 0: out of its bridge.
pub(crate) fn master(index: u32, bridge: u32) -> Request {
    set(LinkUnspec::new_with_index(index).controller(bridge))
}

/// Two messages: the kernel sets the delay first, and refuses one of zero as long as the spanning tree is on.
pub(crate) fn bridge_settings(index: u32) -> [Request; 2] {
    let no_tree = vec![InfoBridge::StpState(BridgeStpState::Disabled)];
    [no_tree, plain_bridge()].map(|settings| {
        let kind = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Bridge);
        let message = kind
            .index(index)
            .set_info_data(InfoData::Bridge(settings))
            .build();
        Request::new(&RouteNetlinkMessage::NewLink(message), 0) // SETLINK ignores the settings of a kind
    })
}

/// Into another namespace; it comes out there without addresses, and down.
pub(crate) fn give(index: u32, to: &Namespace) -> Request {
    set(LinkUnspec::new_with_index(index).setns_by_fd(to.file().as_raw_fd()))
}

pub(crate) fn delete(index: u32) -> Request {
    Request::new(
        &RouteNetlinkMessage::DelLink(LinkUnspec::new_with_index(index).build()),
        0,
    )
}

fn set(change: LinkMessageBuilder<LinkUnspec>) -> Request {
    Request::new(&RouteNetlinkMessage::SetLink(change.build()), 0)
}

impl fmt::Display for KindSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Veth { .. } => f.write_str("veth"),
            Self::Bridge { .. } => f.write_str("bridge"),
            Self::Vxlan { tunnel, .. } => {
                write!(f, "vxlan {} (UDP port {})", tunnel.vni, tunnel.port)
            }
            Self::Vlan { id, .. } => write!(f, "vlan {id}"),
            Self::Other(kind) if kind.is_empty() => f.write_str("physical device"),
            Self::Other(kind) => write!(f, "{kind} device"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Place;

    /// What is asked for is what would be found: the kernel tells it in the same attributes. For kinds that the kernel at
    /// hand may lack, nothing else shows that they are asked for rightly.
    #[test]
    fn what_is_asked_for_is_what_fits() {
        let dev = |name: &str| DevName::new(name).expect("a plain name");
        let remotes = ["10.0.0.2".parse().expect("an address")].into();
        let tunnel = Vxlan {
            vni: 0x00ab_cdef,
            local: "fd00::1".parse().ok(),
            underlay: Some(dev("eth0")),
            group: None,
            remotes,
            port: 4789,
        };
        let seen = Vxlan {
            underlay: None,
            remotes: BTreeSet::new(),
            ..tunnel.clone()
        };
        for (link, below, kind) in [
            (Link::bridge(), None, KindSeen::Bridge { plain: true }),
            (
                Link::vlan(dev("eth0"), 4094),
                Some(7),
                KindSeen::Vlan {
                    parent: Some(7),
                    id: 4094,
                },
            ),
            (
                Link::vxlan(tunnel),
                Some(7),
                KindSeen::Vxlan {
                    tunnel: seen,
                    underlay: Some(7),
                },
            ),
            (
                Link::veth(dev("far"), Place::Home),
                None,
                KindSeen::Veth { peer: None },
            ),
        ] {
            let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
            let link = link.mac(mac).mtu(1400);
            let asked = create(&dev("new"), &link, below, None);
            let (name, found) = parse(&asked.body)
                .expect("well formed")
                .expect("with a name");
            assert_eq!((name, &found.kind), (dev("new"), &kind));
            assert_eq!(
                (found.mac, found.mtu, found.up),
                (Some(mac), 1400, false),
                "{kind}"
            );
        }
    }
}
