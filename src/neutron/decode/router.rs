//! The router dicts of `sync_routers`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde_json::Value;
use uuid::Uuid;

use super::network::{ipv6_mode, mtu, project, route};
use super::read::{Dict, Fault, Read, Remarks, flag, ip, label, net, number, parsed, text, uuid};
use super::{DecodeError, Decoded};
use crate::model::{
    AddressScopeId, AddressScopes, ConntrackHelper, FloatingIp, FloatingIpId, FloatingIpStatus,
    Gateway, NetworkId, PortId, Protocol, Router, RouterId, RouterKind, RouterPort, RouterSubnet,
    SubnetId,
};

const INTERFACES: usize = 10_000;
const ADDRESSES: usize = 1_000;
const SUBNETS: usize = 1_000;
const NAMESERVERS: usize = 1_000;
/// Neutron's own bound is 30 unless configured otherwise.
const ROUTES: usize = 10_000;
const FLOATING_IPS: usize = 100_000;
const HELPERS: usize = 1_000;
const HELPER_NAME: usize = 64;

/// Without port forwardings: the server tells those apart, for the floating IPs in [`Router::forwarded`].
///
/// # Errors
/// It, a leg or a floating IP makes no sense: leaving those out would cut flows.
pub fn router(value: &Value) -> Result<Decoded<Router>, DecodeError> {
    let dict = Dict::of(value).map_err(|fault| fault.of("a router".into()))?;
    let called = dict.called("router", "id");
    let mut remarks = Remarks::of(called.clone());
    match read(dict, &mut remarks) {
        Ok(router) => Ok(remarks.with(router)),
        Err(fault) => Err(fault.of(called)),
    }
}

fn read(dict: Dict<'_>, remarks: &mut Remarks) -> Read<Router> {
    // Before 28.0 only said where there is a gateway.
    let enable_snat = dict.optional("enable_snat", flag)?.unwrap_or(true);
    let gateway = dict.optional("gw_port", leg)?;
    let ha = dict.optional("ha", flag)?.unwrap_or(false);
    let distributed = dict.optional("distributed", flag)?.unwrap_or(false);
    let floating_ips = dict.list("_floatingips", FLOATING_IPS, |value| {
        floating_ip(value, remarks)
    })?;
    Ok(Router {
        id: RouterId(dict.required("id", uuid)?),
        name: dict.optional("name", label)?.unwrap_or_default(),
        project: project(dict)?,
        admin_state_up: dict.required("admin_state_up", flag)?,
        interfaces: dict.list("_interfaces", INTERFACES, leg)?,
        gateway: gateway.map(|port| Gateway { port, enable_snat }),
        routes: dict.good_of("routes", ROUTES, remarks, |value, _| route(value))?,
        floating_ips: floating_ips.into_iter().flatten().collect(),
        port_forwardings: Vec::new(),
        conntrack_helpers: dict.good_of("conntrack_helpers", HELPERS, remarks, |value, _| {
            conntrack_helper(Dict::of(value)?)
        })?,
        forwarded: dict.list("fip_managed_by_port_forwardings", FLOATING_IPS, |value| {
            uuid(value).map(FloatingIpId)
        })?,
        kind: match (ha, distributed) {
            (false, false) => RouterKind::Legacy,
            (true, false) => RouterKind::Ha,
            (false, true) => RouterKind::Distributed,
            (true, true) => RouterKind::DistributedHa,
        },
    })
}

/// A port with what `sync_routers` adds to it.
fn leg(value: &Value) -> Read<RouterPort> {
    let dict = Dict::of(value)?;
    let subnets = dict.list("subnets", SUBNETS, subnet)?;
    let addresses = dict.list("fixed_ips", ADDRESSES, |value| address(value, &subnets))?;
    let scopes = dict.optional("address_scopes", |value| {
        let dict = Dict::of(value)?;
        Ok(AddressScopes {
            v4: dict.optional("4", uuid)?.map(AddressScopeId),
            v6: dict.optional("6", uuid)?.map(AddressScopeId),
        })
    })?;
    Ok(RouterPort {
        port: PortId(dict.required("id", uuid)?),
        network: NetworkId(dict.required("network_id", uuid)?),
        mac: dict.required("mac_address", parsed("a MAC address, as fa:16:3e:00:00:01"))?,
        admin_state_up: dict.optional("admin_state_up", flag)?.unwrap_or(true),
        mtu: mtu(dict)?,
        addresses,
        subnets,
        extra_subnets: dict.list("extra_subnets", SUBNETS, subnet)?,
        scopes: scopes.unwrap_or_default(),
    })
}

/// An address with its `prefixlen`, else with its subnet's.
fn address(value: &Value, subnets: &[RouterSubnet]) -> Read<IpNet> {
    let dict = Dict::of(value)?;
    let ip = dict.required("ip_address", ip)?;
    let subnet: Uuid = dict.required("subnet_id", uuid)?;
    let of_subnet = || subnets.iter().find(|known| known.id.0 == subnet);
    let length = match dict.optional("prefixlen", number(0..=128))? {
        Some(length) => Some(length),
        None => of_subnet().map(|subnet| subnet.cidr.prefix_len()),
    };
    length
        .and_then(|length| IpNet::new(ip, length).ok())
        .ok_or_else(|| Fault::new(value, "an address with a prefix length that fits it"))
}

fn subnet(value: &Value) -> Read<RouterSubnet> {
    let dict = Dict::of(value)?;
    let cidr: IpNet = dict.required("cidr", net)?.trunc();
    let gateway_ip = dict.optional("gateway_ip", |value| {
        let ip = ip(value)?;
        let fits = ip.is_ipv4() == cidr.addr().is_ipv4();
        fits.then_some(ip)
            .ok_or_else(|| Fault::new(value, "an address of the subnet's IP version"))
    })?;
    Ok(RouterSubnet {
        id: SubnetId(dict.required("id", uuid)?),
        cidr,
        gateway_ip,
        ra_mode: dict.optional("ipv6_ra_mode", ipv6_mode)?,
        dns_nameservers: dict.list("dns_nameservers", NAMESERVERS, ip)?,
    })
}

/// `None`: of IPv6, for which there is no NAT.
fn floating_ip(value: &Value, remarks: &mut Remarks) -> Read<Option<FloatingIp>> {
    let dict = Dict::of(value)?;
    let fixed_ip = dict.optional("fixed_ip_address", ip)?;
    let floating_ip = dict.required("floating_ip_address", ip)?;
    let (floating_ip, fixed_ip) = match (floating_ip, fixed_ip) {
        (IpAddr::V4(floating), None) => (floating, None),
        (IpAddr::V4(floating), Some(IpAddr::V4(fixed))) => (floating, Some(fixed)),
        _ => {
            let floating_ip = dict.called("floating IP", "id");
            remarks.add(format_args!(
                "{floating_ip} is not of IPv4 on both sides: it is left out"
            ));
            return Ok(None);
        }
    };
    Ok(Some(FloatingIp {
        id: FloatingIpId(dict.required("id", uuid)?),
        floating_ip,
        fixed_ip,
        fixed_scope: dict
            .optional("fixed_ip_address_scope", uuid)?
            .map(AddressScopeId),
        status: match dict.optional("status", label)?.as_deref() {
            Some("ACTIVE") => Some(FloatingIpStatus::Active),
            Some("DOWN") => Some(FloatingIpStatus::Down),
            Some("ERROR") => Some(FloatingIpStatus::Error),
            _ => None,
        },
    }))
}

/// Of a router's dict, or the fields of a versioned object.
pub(super) fn conntrack_helper(dict: Dict<'_>) -> Read<ConntrackHelper> {
    let name = |value| {
        let name = text(HELPER_NAME)(value)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = !name.is_empty() && name.bytes().all(allowed);
        fits.then(|| name.to_owned())
            .ok_or_else(|| Fault::new(value, "the name of a kernel's conntrack helper"))
    };
    Ok(ConntrackHelper {
        helper: dict.required("helper", name)?,
        protocol: dict.required("protocol", protocol)?,
        port: dict.required("port", number(1..=65_535))?,
    })
}

/// Only protocols that have ports.
pub(super) fn protocol(value: &Value) -> Read<Protocol> {
    match value.as_str() {
        Some("tcp") => Ok(Protocol::Tcp),
        Some("udp") => Ok(Protocol::Udp),
        Some("sctp") => Ok(Protocol::Sctp),
        Some("dccp") => Ok(Protocol::Dccp),
        _ => Err(Fault::new(value, "tcp, udp, sctp or dccp")),
    }
}

pub(super) fn ipv4(value: &Value) -> Read<Ipv4Addr> {
    parsed("an IPv4 address")(value)
}
