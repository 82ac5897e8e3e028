//! What we plan, in lines.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
use warren::model::{Event, Network, NetworkId, PortId, RouterId, State, Target};
use warren::neutron::decode::{self, DhcpNotice, Naming};
use warren::plan::scope::{Dhcp6Scope, DhcpScope, Residents, Services, Zone};
use warren::plan::{self, Ipv6Gateway, Settings, Shared};

use super::{comma, route_line, shown};
use crate::{NETWORKS, NOTICES, PORTS, ROUTERS, all};

pub(super) fn network(message: &str, id: &str, later: &[&str]) -> Network {
    let naming = Naming::new("net1", "example.org.");
    let is = |line: &Value, from: &str| line["from"] == from;
    let networks = all(NETWORKS);
    let line = networks
        .iter()
        .find(|line| is(line, message) && line["network"]["id"] == id);
    let mut network = decode::network(&line.unwrap()["network"], &naming)
        .unwrap()
        .value;
    for from in later {
        if let Some(answer) = all(PORTS).iter().find(|line| is(line, from)) {
            let own = decode::port(&answer["port"], &naming).unwrap().value;
            assert_eq!(own.device, naming.dhcp_device(network.id));
            network.dhcp_port = Some(Arc::new(own));
            continue;
        }
        let notices = all(NOTICES);
        let notice = notices.iter().find(|line| is(line, from)).unwrap();
        let notice =
            decode::dhcp_notice(notice["method"].as_str().unwrap(), &notice["args"], &naming);
        match notice.unwrap().unwrap() {
            DhcpNotice::PortChanged(port) => {
                network.ports.insert(port.value.id, Arc::new(port.value));
            }
            other => panic!("no port is made by {other:?}"),
        }
    }
    network
}

/// As net1's agent was configured.
fn settings() -> Settings {
    Settings {
        authoritative_dns: false,
        joined_names: false,
        every_address: false,
        ..Settings::default()
    }
}

struct Known<'a>(&'a Network, &'a Settings);

impl Shared for Known<'_> {
    fn dhcp(&self, _: NetworkId) -> Option<Arc<DhcpScope>> {
        plan::dhcp_scope(self.0, self.1).map(Arc::new)
    }

    fn dhcp6(&self, _: NetworkId) -> Option<Arc<Dhcp6Scope>> {
        plan::dhcp6_scope(self.0, self.1).map(Arc::new)
    }

    fn zone(&self, _: NetworkId) -> Option<Arc<Zone>> {
        Some(Arc::new(plan::zone(self.0, self.1)))
    }

    fn residents(&self, _: NetworkId) -> Option<Arc<Residents>> {
        Some(Arc::new(plan::residents(self.0)))
    }

    fn has_isolated(&self, _: NetworkId) -> bool {
        plan::has_isolated(self.0)
    }

    fn first_router(&self, _: NetworkId) -> Option<RouterId> {
        None
    }

    fn networks_of(&self, _: RouterId) -> Vec<NetworkId> {
        Vec::new()
    }
}

pub(super) fn of_network(network: &Network, effect: &Value) -> BTreeSet<String> {
    let settings = settings();
    let mut state = State::default();
    state.apply(&Event::Network(Arc::new(network.clone())));
    let target = Target::Network(network.id);
    let plan = plan::plan(&state, target, &settings).unwrap();
    let served: Services = plan::services(&state, target, &settings, &Known(network, &settings));
    let (dhcp, dns) = (served.dhcp.unwrap(), served.dns.unwrap());
    let mut lines = planned(&plan);
    lines.insert(format!("mtu {}", dhcp.mtu.unwrap()));
    lines.insert(format!("domain {}", dhcp.domain.as_deref().unwrap()));
    for subnet in &dhcp.subnets {
        let id = subnet.id;
        lines.insert(format!("range {} {}", subnet.cidr, id));
        // dnsmasq gives its own address by itself.
        if !subnet.dns.iter().eq(&subnet.server) && !subnet.dns.is_empty() {
            lines.insert(format!("subnet {id} dns-server {}", comma(&subnet.dns)));
        }
        let routes: Vec<String> = subnet
            .classless_routes
            .iter()
            .map(|(net, via)| format!("{net},{via}"))
            .collect();
        if !routes.is_empty() {
            lines.insert(format!("subnet {id} routes {}", comma(&routes)));
        }
        lines.extend(
            subnet
                .router
                .map(|router| format!("subnet {id} router {router}")),
        );
    }
    for client in dhcp.clients.values() {
        for (_, ip) in &client.addresses {
            lines.insert(format!("host {} {ip}", client.mac));
        }
        lines.insert(format!(
            "hostname {} {}",
            client.mac,
            client.hostname().unwrap()
        ));
        let options = client.options.iter();
        lines.extend(options.map(|option| format!("port {} {}", client.port, shown(option))));
    }
    if let Some(dhcp6) = &served.dhcp6 {
        of_dhcp6(dhcp6, network, &mut lines);
    }
    let zone = &dns.zones[0];
    for (ip, claims) in zone.pointers.iter() {
        let (_, fqdn) = claims.last().unwrap();
        let at = |claims: &[(PortId, IpAddr)]| claims.iter().any(|(_, other)| other == ip);
        let bare = zone
            .names
            .iter()
            .filter(|(name, claims)| at(claims) && *name != fqdn);
        let mut bare: Vec<&str> = bare.map(|(name, _)| &**name).collect();
        bare.sort_unstable();
        lines.insert(format!("name {ip} {fqdn} {}", comma(&bare)));
    }
    let listen = served.metadata.iter().flat_map(|served| &served.listen);
    lines.extend(listen.map(|to| format!("metadata {}:{}", to.ip(), to.port())));
    assert_eq!(effect["host"], "net1");
    lines
}

fn of_dhcp6(scope: &Dhcp6Scope, network: &Network, lines: &mut BTreeSet<String>) {
    for subnet in &scope.subnets {
        let id = subnet.id;
        lines.insert(format!("v6 range {} {id}", subnet.cidr.network()));
        if !scope.search.is_empty() {
            let domains = scope.search.join(",");
            lines.insert(format!("v6 subnet {id} domain-search {domains}"));
        }
        // dnsmasq gives its own address by itself.
        let own = network.dhcp_port.iter().flat_map(|port| &port.fixed_ips);
        let own = own.filter(|fixed| fixed.subnet == id).map(|fixed| fixed.ip);
        if !subnet.dns.iter().copied().map(IpAddr::V6).eq(own) {
            lines.insert(format!("v6 subnet {id} dns-server {}", comma(&subnet.dns)));
        }
    }
    for client in scope.clients.values() {
        for (subnet, ip) in &client.addresses {
            lines.insert(match scope.subnets[*subnet].stateful {
                true => format!("v6 host {} {ip}", client.mac),
                false => format!("v6 host {}", client.mac),
            });
        }
        let options = client.options.iter();
        lines.extend(options.map(|option| format!("v6 port {} {}", client.port, shown(option))));
    }
}

pub(super) fn of_router(message: &str) -> BTreeSet<String> {
    let line = all(ROUTERS)
        .into_iter()
        .find(|line| line["from"] == message)
        .unwrap();
    let router = decode::router(&line["router"]).unwrap().value;
    let target = Target::Router(router.id);
    let mut state = State::default();
    state.apply(&Event::Router(Arc::new(router)));
    let settings = Settings {
        ipv6_gateway: Ipv6Gateway::Advertised,
        ..settings()
    };
    let plan = plan::plan(&state, target, &settings).unwrap();
    let mut lines = planned(&plan);
    let inside = plan.inside.unwrap();
    for (device, link) in &inside.links {
        if let (Some(mac), Some(mtu)) = (link.mac, link.mtu) {
            lines.insert(format!("link {device} {mac} mtu {mtu}"));
        }
    }
    for (key, value) in &inside.sysctls {
        lines.insert(format!("setting {} = {value}", key.replace('/', ".")));
    }
    lines
}

/// Addresses, and routes that the kernel does not make by itself.
fn planned(plan: &plan::Plan) -> BTreeSet<String> {
    let inside = plan.inside.as_ref().unwrap();
    let mut lines = BTreeSet::new();
    for (device, link) in &inside.links {
        for address in link.addrs.iter().flatten() {
            lines.insert(format!("address {address} on {device}"));
        }
    }
    for route in &inside.routes {
        let hops: Vec<String> = route.via.iter().map(ToString::to_string).collect();
        let device = route.dev.as_ref().map(ToString::to_string);
        lines.insert(route_line(
            &route.destination.to_string(),
            &comma(&hops),
            device.as_deref(),
        ));
    }
    lines
}
