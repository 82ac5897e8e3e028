//! The network dicts of `get_network_info` and `get_active_networks_info`.

use std::sync::Arc;

use ipnet::IpNet;
use serde_json::Value;

use super::read::{Dict, Fault, NAME, Read, Remarks, flag, ip, label, net, number, text, uuid};
use super::{DecodeError, Decoded, Naming, port};
use crate::model::{
    Attachment, DeviceOwner, HostRoute, Ipv6Mode, Network, NetworkId, ProjectId, Segment,
    SegmentId, Subnet, SubnetId,
};

/// A /16's worth of ports several times over.
const PORTS: usize = 250_000;
const SUBNETS: usize = 1_000;
const SEGMENTS: usize = 10_000;
/// Of a subnet; Neutron's own bound is 20 unless configured otherwise.
const HOST_ROUTES: usize = 1_000;
const NAMESERVERS: usize = 100;
/// Where Neutron says none.
const MTU: u32 = 1500;
/// `subnetpool_id` of subnets whose prefix comes from upstream.
const PREFIX_DELEGATION: &str = "prefix_delegation";

/// # Errors
/// It has no usable id, or a subnet of it makes no sense: the addresses of our own port depend on those.
pub fn network(value: &Value, naming: &Naming) -> Result<Decoded<Network>, DecodeError> {
    let dict = Dict::of(value).map_err(|fault| fault.of("a network".into()))?;
    let called = dict.called("network", "id");
    let mut remarks = Remarks::of(called.clone());
    match read(dict, naming, &mut remarks) {
        Ok(network) => Ok(remarks.with(network)),
        Err(fault) => Err(fault.of(called)),
    }
}

fn read(dict: Dict<'_>, naming: &Naming, remarks: &mut Remarks) -> Read<Network> {
    let mut network = Network {
        id: NetworkId(dict.required("id", uuid)?),
        // Not told to agents by all releases.
        name: dict.optional("name", label)?.unwrap_or_default(),
        project: project(dict)?,
        admin_state_up: dict.required("admin_state_up", flag)?,
        mtu: mtu(dict)?,
        external: false,
        dns_domain: naming.dns_domain().to_owned(),
        dns_search: Vec::new(),
        dhcp_options: Vec::new(),
        attachment: Attachment::Foreign,
        subnets: dict.list("subnets", SUBNETS, |value| subnet(value, remarks))?,
        non_local_subnets: dict
            .list("non_local_subnets", SUBNETS, |value| subnet(value, remarks))?,
        segments: dict.list("segments", SEGMENTS, segment)?,
        dhcp_port: None,
        ports: imbl::OrdMap::new(),
    };
    let ports = dict.good_of("ports", PORTS, remarks, |value, remarks| {
        port::within(value, naming, remarks)
    })?;
    for port in ports.into_iter().flatten() {
        let port = Arc::new(port);
        let own = port.owner == DeviceOwner::Dhcp && naming.is_own(&port, &network);
        if own && network.dhcp_port.is_none() {
            network.dhcp_port = Some(port);
        } else {
            network.ports.insert(port.id, port);
        }
    }
    Ok(network)
}

fn subnet(value: &Value, remarks: &mut Remarks) -> Read<Subnet> {
    let dict = Dict::of(value)?;
    let mut remarks_of_it = Remarks::of(dict.called("subnet", "id"));
    let cidr = dict.required("cidr", cidr)?;
    let same_family = |value: &Value| {
        let wanted = if cidr.addr().is_ipv4() {
            "an IPv4 address"
        } else {
            "an IPv6 address"
        };
        let ip = ip(value)?;
        if ip.is_ipv4() == cidr.addr().is_ipv4() && !ip.is_multicast() {
            Ok(ip)
        } else {
            Err(Fault::new(value, wanted))
        }
    };
    let subnet = Subnet {
        id: SubnetId(dict.required("id", uuid)?),
        name: dict.optional("name", label)?.unwrap_or_default(),
        cidr,
        gateway_ip: dict.optional("gateway_ip", same_family)?,
        enable_dhcp: dict.required("enable_dhcp", flag)?,
        dns_nameservers: dict.good_of(
            "dns_nameservers",
            NAMESERVERS,
            &mut remarks_of_it,
            |value, _| same_family(value),
        )?,
        dns_forwarders: Vec::new(),
        ntp_servers: Vec::new(),
        host_routes: dict.good_of(
            "host_routes",
            HOST_ROUTES,
            &mut remarks_of_it,
            |value, _| {
                let route = route(value)?;
                let fits = route.nexthop.is_ipv4() == cidr.addr().is_ipv4();
                fits.then_some(route)
                    .ok_or_else(|| Fault::new(value, "a route of the subnet's IP version"))
            },
        )?,
        segment: dict.optional("segment_id", uuid)?.map(SegmentId),
        ra_mode: dict.optional("ipv6_ra_mode", ipv6_mode)?,
        address_mode: dict.optional("ipv6_address_mode", ipv6_mode)?,
        prefix_delegation: dict.optional("subnetpool_id", text(NAME))? == Some(PREFIX_DELEGATION),
    };
    remarks.adopt(remarks_of_it);
    Ok(subnet)
}

fn segment(value: &Value) -> Read<Segment> {
    let dict = Dict::of(value)?;
    Ok(Segment {
        id: SegmentId(dict.required("id", uuid)?),
        segmentation_id: dict.optional("segmentation_id", number(0..=u64::from(u32::MAX)))?,
    })
}

/// A default route as a subnet would be everything.
fn cidr(value: &Value) -> Read<IpNet> {
    let wanted = "a network in CIDR notation, of 1 bit or more";
    let cidr = net(value).map_err(|_| Fault::new(value, wanted))?;
    let fits = cidr.prefix_len() > 0;
    fits.then(|| cidr.trunc())
        .ok_or_else(|| Fault::new(value, wanted))
}

pub(super) fn ipv6_mode(value: &Value) -> Read<Ipv6Mode> {
    match value.as_str() {
        Some("slaac") => Ok(Ipv6Mode::Slaac),
        Some("dhcpv6-stateful") => Ok(Ipv6Mode::Stateful),
        Some("dhcpv6-stateless") => Ok(Ipv6Mode::Stateless),
        _ => Err(Fault::new(
            value,
            "slaac, dhcpv6-stateful, dhcpv6-stateless or null",
        )),
    }
}

/// Destination and next hop of one IP version.
pub(super) fn route(value: &Value) -> Read<HostRoute> {
    let dict = Dict::of(value)?;
    let route = HostRoute {
        destination: dict.required("destination", net)?.trunc(),
        nexthop: dict.required("nexthop", ip)?,
    };
    let fits = route.destination.addr().is_ipv4() == route.nexthop.is_ipv4();
    fits.then_some(route)
        .ok_or_else(|| Fault::new(value, "a destination and a next hop of one IP version"))
}

/// `tenant_id` is the older name; both may be missing.
pub(super) fn project(dict: Dict<'_>) -> Read<ProjectId> {
    let project = match dict.optional("project_id", text(NAME))? {
        None => dict.optional("tenant_id", text(NAME))?,
        some => some,
    };
    Ok(ProjectId::from(project.unwrap_or_default().to_owned()))
}

/// Absent, null and 0 are Neutron's "not told".
pub(super) fn mtu(dict: Dict<'_>) -> Read<u32> {
    let mtu = dict.optional("mtu", |value| match value.as_u64() {
        Some(0) => Ok(MTU),
        _ => number(68..=65_535)(value),
    });
    Ok(mtu?.unwrap_or(MTU))
}
