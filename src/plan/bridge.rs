//! The host's part: one bridge per network, its uplink, and our ports on it.

use netns::Spec;
use netns::spec::{Link, Place, Vxlan};

use super::{Plugging, names, ownership_on_host};
use crate::model::{Attachment, DevName, Network, PortId};

/// Bridge and uplink of a network; nothing where someone else keeps the bridges.
pub(super) fn bridge(network: &Network) -> Spec {
    let mut spec = Spec {
        ownership: ownership_on_host(),
        ..Spec::default()
    };
    let Some(bridge) = network.bridge().cloned() else {
        return spec;
    };
    if let Some((device, uplink)) = uplink(&network.attachment, network.mtu) {
        let uplink = uplink.master(bridge.clone());
        spec.links.insert(device, uplink);
    }
    keep_host_out(&mut spec, &bridge);
    // Without addresses it still takes what is sent to its MAC. The way back to a tenant's address never leads over it,
    // so with the strict check nothing arrives: neither at the host's own services, nor through it elsewhere.
    spec.sysctls
        .insert(format!("net/ipv4/conf/{bridge}/rp_filter"), "1".into());
    spec.links.insert(bridge, Link::bridge().mtu(network.mtu));
    spec
}

/// A port's device inside; and on the host, for a pair, its far end, plugged where the network's ports belong. Where
/// someone else keeps the bridges it is left in whichever they put it.
pub(super) fn plug(
    host: &mut Spec,
    port: PortId,
    network: Option<&Network>,
    mtu: u32,
    plugging: Plugging,
) -> Link {
    if plugging == Plugging::Internal {
        return Link::given().mtu(mtu);
    }
    let tap = names::tap_device(port);
    let mut end = Link::existing().mtu(mtu);
    end.master = network.and_then(Network::bridge).cloned();
    keep_host_out(host, &tap);
    host.links.insert(tap.clone(), end);
    Link::veth(tap, Place::Home).mtu(mtu)
}

fn uplink(attachment: &Attachment, mtu: u32) -> Option<(DevName, Link)> {
    match attachment {
        Attachment::Foreign | Attachment::Local { .. } => None,
        // A physical device is the operator's: it joins the bridge, and keeps its own MTU.
        Attachment::Flat { device, .. } => Some((device.clone(), Link::existing())),
        Attachment::Vlan { device, tag, .. } => Some((
            vlan_device(device, *tag),
            Link::vlan(device.clone(), *tag).mtu(mtu),
        )),
        Attachment::Vxlan { vxlan, .. } => {
            let tunnel = Vxlan {
                vni: vxlan.vni,
                local: vxlan.local,
                underlay: vxlan.device.clone(),
                group: vxlan.group,
                remotes: vxlan.remotes.clone(),
                port: vxlan.port,
            };
            let name = DevName::new(format!("vxlan-{}", vxlan.vni))
                .expect("a 24-bit number leaves room for the prefix");
            Some((name, Link::vxlan(tunnel).mtu(mtu)))
        }
    }
}

/// `eth0.100`; a long device name gives way, the tag stays.
fn vlan_device(device: &DevName, tag: u16) -> DevName {
    let tag = format!(".{tag}");
    let stem: String = device.as_str().chars().take(15 - tag.len()).collect();
    DevName::new(stem + &tag).expect("cut to 15 bytes")
}

/// The host has no address of its own on a tenant's network, not even a link-local one.
fn keep_host_out(spec: &mut Spec, device: &DevName) {
    spec.sysctls
        .insert(format!("net/ipv6/conf/{device}/disable_ipv6"), "1".into());
}
