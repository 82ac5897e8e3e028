//! From a draft and its addresses to the model.

use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::IpNet;

use super::draft::{Draft, NetworkDraft, PortDraft, PortRef, RouterDraft, Target};
use super::picks::Chosen;
use crate::model::{
    AddressScopes, DeviceOwner, DnsAssignment, FixedIp, FloatingIp, FloatingIpId, Gateway, MacAddr,
    Network, Port, PortForwarding, Router, RouterPort, RouterSubnet, State, Subnet,
};

/// What the file says, as the rest of warren knows it.
pub(super) fn state(draft: &Draft, chosen: &Chosen) -> State {
    let networks = draft.networks.iter().map(|network| {
        let network = self::network(draft, network, chosen);
        (network.id, Arc::new(network))
    });
    let routers = draft.routers.iter().map(|router| {
        let router = self::router(draft, router, chosen);
        (router.id, Arc::new(router))
    });
    let instances = draft
        .instances
        .iter()
        .map(|instance| (instance.id.clone(), Arc::new(instance.clone())));
    State {
        networks: networks.collect(),
        routers: routers.collect(),
        instances: instances.collect(),
    }
}

fn network(draft: &Draft, network: &NetworkDraft, chosen: &Chosen) -> Network {
    let mut ports = OrdMap::new();
    let mut dhcp_port = None;
    for port in &network.ports {
        let port = Arc::new(self::port(draft, network, port, chosen));
        match port.owner {
            DeviceOwner::Dhcp => dhcp_port = Some(port),
            _ => {
                ports.insert(port.id, port);
            }
        }
    }
    Network {
        dhcp_port,
        ports,
        ..network.network.clone()
    }
}

fn port(draft: &Draft, network: &NetworkDraft, port: &PortDraft, chosen: &Chosen) -> Port {
    let fixed_ips: Box<[FixedIp]> = port
        .claims
        .iter()
        .map(|claim| FixedIp {
            subnet: network.network.subnets[draft.claims[*claim].subnet.subnet].id,
            ip: chosen.addresses[*claim],
        })
        .collect();
    let domain = &network.network.dns_domain;
    let named = fixed_ips.iter().map(|fixed| {
        let by_address = || format!("host-{}", fixed.ip).replace(['.', ':'], "-");
        let hostname: Arc<str> = port.hostname.clone().unwrap_or_else(by_address).into();
        let fqdn = if domain.is_empty() {
            Arc::clone(&hostname)
        } else {
            format!("{hostname}.{domain}").into()
        };
        DnsAssignment {
            ip: fixed.ip,
            hostname,
            fqdn,
        }
    });
    let dns = match port.port.owner {
        DeviceOwner::Machine | DeviceOwner::RouterInterface | DeviceOwner::RouterGateway => {
            named.collect()
        }
        DeviceOwner::Dhcp | DeviceOwner::FloatingIp | DeviceOwner::Service | DeviceOwner::Other => {
            Box::default()
        }
    };
    Port {
        mac: mac(chosen, port),
        fixed_ips,
        dns,
        ..port.port.clone()
    }
}

fn router(draft: &Draft, router: &RouterDraft, chosen: &Chosen) -> Router {
    let address = |claim: usize| match chosen.addresses[claim] {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => unreachable!("what is translated was looked for in IPv4 subnets alone"),
    };
    let target = |target: Target| match target {
        Target::Claim(claim) => address(claim),
        Target::Fixed(ip) => ip,
    };
    let leg = |of: &PortRef| router_port(draft, *of, chosen);
    let gateway = router.gateway.as_ref().map(|(port, enable_snat)| Gateway {
        port: leg(port),
        enable_snat: *enable_snat,
    });
    let floating_ips = router.floating_ips.iter().map(|floating| FloatingIp {
        id: FloatingIpId(floating.id),
        floating_ip: address(floating.address),
        fixed_ip: floating.target.map(target),
        fixed_scope: None,
        status: None,
    });
    let forwardings = router.forwardings.iter().map(|forwarding| PortForwarding {
        floating_ip: address(forwarding.address),
        protocol: forwarding.protocol,
        internal_ip: target(forwarding.target),
        ports: forwarding.ports.clone(),
        id: None,
        floating: None,
    });
    Router {
        interfaces: router.interfaces.iter().map(leg).collect(),
        gateway,
        floating_ips: floating_ips.collect(),
        port_forwardings: forwardings.collect(),
        ..router.router.clone()
    }
}

fn router_port(draft: &Draft, of: PortRef, chosen: &Chosen) -> RouterPort {
    let network = &draft.networks[of.network];
    let port = &network.ports[of.port];
    let own: Vec<(usize, IpAddr)> = port
        .claims
        .iter()
        .map(|claim| (draft.claims[*claim].subnet.subnet, chosen.addresses[*claim]))
        .collect();
    let with_prefix = |(subnet, ip): &(usize, IpAddr)| {
        let length = network.network.subnets[*subnet].cidr.prefix_len();
        IpNet::new(*ip, length).expect("a subnet's prefix length fits its addresses")
    };
    let has_own = |index: usize| own.iter().any(|(subnet, _)| *subnet == index);
    let subnets = |wanted: bool| {
        let all = network.network.subnets.iter().enumerate();
        all.filter(|(index, _)| has_own(*index) == wanted)
            .map(|(_, subnet)| router_subnet(subnet))
            .collect()
    };
    RouterPort {
        port: port.port.id,
        network: network.network.id,
        mac: mac(chosen, port),
        admin_state_up: true,
        mtu: network.network.mtu,
        addresses: own.iter().map(with_prefix).collect(),
        subnets: subnets(true),
        extra_subnets: subnets(false),
        scopes: AddressScopes::default(),
    }
}

fn router_subnet(subnet: &Subnet) -> RouterSubnet {
    RouterSubnet {
        id: subnet.id,
        cidr: subnet.cidr,
        gateway_ip: subnet.gateway_ip,
        ra_mode: subnet.ra_mode,
        dns_nameservers: subnet.dns_nameservers.clone(),
    }
}

fn mac(chosen: &Chosen, port: &PortDraft) -> MacAddr {
    *chosen
        .macs
        .get(&port.port.id)
        .expect("`choose_macs` gave every port one")
}
