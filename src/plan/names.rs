//! Neutron's names, so that both agents and every operator's habit agree on them.

use uuid::Uuid;

use super::Plugging;
use crate::model::{DevName, NsName, PortId, Target};

/// Devices that we may find and remove in a namespace of ours.
pub(super) const DEVICE_PREFIXES: [&str; 4] = ["ns-", "tap", "qr-", "qg-"];

const NAMESPACE_PREFIXES: [&str; 2] = ["qdhcp-", "qrouter-"];

/// `qdhcp-<network>` or `qrouter-<router>`.
pub fn namespace(target: Target) -> NsName {
    let name = match target {
        Target::Network(id) => format!("qdhcp-{id}"),
        Target::Router(id) => format!("qrouter-{id}"),
    };
    NsName::new(name).expect("a prefix and a UUID are a valid name")
}

/// The target that a namespace of this name serves, if its name is of our kind.
pub fn is_ours(name: &NsName) -> Option<Target> {
    let [dhcp, router] = NAMESPACE_PREFIXES;
    let id = |prefix| {
        name.as_str()
            .strip_prefix(prefix)
            .and_then(|rest: &str| rest.parse::<Uuid>().ok())
    };
    let network = id(dhcp).map(|id| Target::Network(crate::model::NetworkId(id)));
    network.or_else(|| id(router).map(|id| Target::Router(crate::model::RouterId(id))))
}

pub(super) fn loopback() -> DevName {
    DevName::new("lo").expect("two letters are a valid name")
}

/// A DHCP port's device inside its namespace.
pub(super) fn dhcp_device(port: PortId, plugging: Plugging) -> DevName {
    match plugging {
        Plugging::Veth => cut("ns-", port),
        Plugging::Internal => cut("tap", port),
    }
}

/// A router's internal interface.
pub fn router_device(port: PortId) -> DevName {
    cut("qr-", port)
}

/// A router's gateway.
pub fn gateway_device(port: PortId) -> DevName {
    cut("qg-", port)
}

/// `qg-`.
pub fn is_gateway_device(device: &DevName) -> bool {
    device.as_str().starts_with("qg-")
}

/// `qr-` or `qg-`.
pub fn is_router_device(device: &DevName) -> bool {
    device.as_str().starts_with("qr-") || device.as_str().starts_with("qg-")
}

/// A device of a port of ours, inside.
pub fn is_port_device(device: &DevName) -> bool {
    DEVICE_PREFIXES
        .iter()
        .any(|prefix| device.as_str().starts_with(prefix))
}

/// The host's end of the port that has `device` inside.
pub fn tap_of(device: &DevName) -> DevName {
    let id = device.as_str().get(3..).unwrap_or_default();
    DevName::new(format!("tap{id}")).expect("as long as a prefix of ours makes it")
}

/// The host's end of any port.
pub fn tap_device(port: PortId) -> DevName {
    cut("tap", port)
}

/// Prefix and port id, cut to 14 bytes (`n_const.DEV_NAME_LEN`).
fn cut(prefix: &str, port: PortId) -> DevName {
    let mut name = format!("{prefix}{port}");
    name.truncate(14);
    DevName::new(name).expect("14 bytes of a prefix and a UUID are a valid name")
}
