//! What an operator sees of the loop's state.

use std::sync::Arc;

use imbl::OrdMap;
use serde::Serialize;

use super::services::Served;
use super::{Entry, Reconciler};
use crate::dhcp::{Lease, LeaseState};
use crate::model::{
    DeviceOwner, FixedIp, Instance, Network, Port, Router, RouterPort, State, Target,
};
use crate::plan;
use crate::status::{
    Ask, Convergence, InstanceView, LeaseView, LegView, NetworkView, PortOwner, PortView, Reply,
    RouterView, Status, SubnetView, TargetView,
};

impl Reconciler {
    pub(super) fn answer(&self, question: &Ask) -> Reply {
        match question {
            Ask::Alive => Reply::Alive,
            Ask::Status => Reply::Status(Box::new(self.status())),
            Ask::Network(name) => {
                let all = &self.state.networks;
                match find(all, name, |network| (network.id.to_string(), &network.name)) {
                    Ok(network) => Reply::Network(Box::new(self.network(network))),
                    Err(known) => unknown("network", name, known),
                }
            }
            Ask::Router(name) => {
                let all = &self.state.routers;
                match find(all, name, |router| (router.id.to_string(), &router.name)) {
                    Ok(router) => Reply::Router(Box::new(self.router(router))),
                    Err(known) => unknown("router", name, known),
                }
            }
            Ask::Instance(name) => {
                let all = &self.state.instances;
                match find(all, name, |instance| {
                    (instance.id.to_string(), &instance.name)
                }) {
                    Ok(instance) => Reply::Instance(Box::new(self.instance(instance))),
                    Err(known) => unknown("instance", name, known),
                }
            }
        }
    }

    fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            source: self.source.clone().unwrap_or_default(),
            networks: self.state.networks.len(),
            routers: self.state.routers.len(),
            instances: self.state.instances.len(),
            pending: self.queue.pending(),
            targets: self
                .entries
                .iter()
                .map(|(target, entry)| self.target(*target, entry))
                .collect(),
            counters: serde_json::json!({
                "metadata_proxy_socket": self.rooms.metadata.proxied(),
                "bus": self.counting.as_ref().map(|source| source.counters()),
            }),
        }
    }

    fn target(&self, target: Target, entry: &Entry) -> TargetView {
        let (kind, id, name) = match target {
            Target::Network(id) => ("network", id.to_string(), self.network_name(id)),
            Target::Router(id) => {
                let name = self
                    .state
                    .routers
                    .get(&id)
                    .map_or_else(|| id.to_string(), |router| router.name.clone());
                ("router", id.to_string(), name)
            }
        };
        let namespace = plan::namespace(target);
        TargetView {
            kind: kind.to_owned(),
            id,
            name,
            namespace,
            convergence: entry.convergence.clone(),
        }
    }

    fn convergence(&self, target: Target) -> Convergence {
        self.entries
            .get(&target)
            .map(|entry| entry.convergence.clone())
            .unwrap_or_default()
    }

    fn network(&self, network: &Arc<Network>) -> NetworkView {
        let target = Target::Network(network.id);
        let served = self.entries.get(&target).map(|entry| &entry.served);
        let dhcp = served.and_then(|served| served.dhcp());
        let own = |subnet| {
            network
                .dhcp_port
                .iter()
                .flat_map(|port| &port.fixed_ips)
                .find(move |fixed: &&FixedIp| fixed.subnet == subnet)
        };
        let subnets = network.subnets.iter().map(|subnet| SubnetView {
            name: subnet.name.clone(),
            cidr: subnet.cidr,
            gateway_ip: subnet.gateway_ip,
            dhcp: subnet.enable_dhcp,
            dhcp_address: own(subnet.id).map(|fixed| fixed.ip),
        });
        NetworkView {
            id: network.id,
            name: network.name.clone(),
            namespace: plan::namespace(target),
            bridge: network.bridge().cloned(),
            attachment: format!("{}", network.attachment),
            mtu: network.mtu,
            external: network.external,
            dns_domain: network.dns_domain.clone(),
            convergence: self.convergence(target),
            subnets: subnets.collect(),
            ports: network
                .dhcp_port
                .iter()
                .chain(network.ports.values())
                .map(|port| self.port(port))
                .collect(),
            leases: served
                .map(|served| leases(served).iter().map(lease_view).collect())
                .unwrap_or_default(),
            counters: serde_json::json!({
                "dhcp": dhcp.map(|server| counted(server.counters(), server.loudest())),
                "dhcp6": served.and_then(|served| served.dhcp6()).map(|server| counted(server.counters(), server.loudest())),
                "dns": served.and_then(|served| served.dns()).map(|server| counted(server.counters(), server.loudest())),
                "metadata": served.and_then(|served| served.metadata()).map(|server| counted(server.counters(), server.loudest())),
                "ra": served.and_then(|served| served.ra().next()).map(|(_, server)| counted(server.counters(), server.loudest())),
            }),
        }
    }

    fn router(&self, router: &Router) -> RouterView {
        let target = Target::Router(router.id);
        let served = self.entries.get(&target).map(|entry| &entry.served);
        let metadata = served.and_then(|served| served.metadata());
        let mut counters = serde_json::Map::new();
        counters.insert(
            "metadata".into(),
            metadata.map_or(serde_json::Value::Null, |server| {
                counted(server.counters(), server.loudest())
            }),
        );
        for (device, server) in served.into_iter().flat_map(|served| served.ra()) {
            let counted = counted(server.counters(), server.loudest());
            counters.insert(format!("ra {device}"), counted);
        }
        let leg = |leg: &RouterPort, device| LegView {
            device,
            network: self.network_name(leg.network),
            mac: leg.mac,
            addresses: leg.addresses.clone(),
        };
        RouterView {
            id: router.id,
            name: router.name.clone(),
            namespace: plan::namespace(target),
            convergence: self.convergence(target),
            interfaces: router
                .interfaces
                .iter()
                .map(|port| leg(port, plan::router_device(port.port)))
                .collect(),
            gateway: router
                .gateway
                .as_ref()
                .map(|gateway| leg(&gateway.port, plan::gateway_device(gateway.port.port))),
            snat: router
                .gateway
                .as_ref()
                .is_some_and(|gateway| gateway.enable_snat),
            routes: router.routes.clone(),
            floating_ips: router.floating_ips.clone(),
            port_forwardings: router.port_forwardings.clone(),
            counters: counters.into(),
        }
    }

    fn instance(&self, instance: &Instance) -> InstanceView {
        let ports: Vec<_> = instance
            .ports
            .iter()
            .filter_map(|(network, port)| self.state.port(*network, *port))
            .collect();
        let leases = ports.iter().flat_map(|port| {
            let served = self
                .entries
                .get(&Target::Network(port.network))
                .map(|entry| &entry.served);
            let leases = served.map(leases).unwrap_or_default();
            let own = leases.iter().filter(|lease| lease.port == port.id);
            own.map(lease_view).collect::<Vec<_>>()
        });
        InstanceView {
            id: instance.id.clone(),
            name: instance.name.clone(),
            hostname: instance.hostname.clone(),
            leases: leases.collect(),
            floating_ips: floating_ips(&self.state, &ports),
            ports: ports.into_iter().map(|port| self.port(port)).collect(),
        }
    }

    /// Name of the instance or router whose port it is.
    fn whose(&self, port: &Port) -> Option<String> {
        let of_router = |router: &&Arc<Router>| {
            let gateway = router.gateway.iter().map(|gateway| &gateway.port);
            let mut legs = router.interfaces.iter().chain(gateway);
            legs.any(|leg| leg.port == port.id)
        };
        match port.owner {
            DeviceOwner::Machine => {
                let instance = self.state.instances.get(port.instance.as_ref()?)?;
                Some(instance.name.clone())
            }
            DeviceOwner::RouterInterface | DeviceOwner::RouterGateway => {
                let router = self.state.routers.values().find(of_router)?;
                Some(router.name.clone())
            }
            DeviceOwner::Dhcp
            | DeviceOwner::FloatingIp
            | DeviceOwner::Service
            | DeviceOwner::Other => None,
        }
    }

    fn port(&self, port: &Port) -> PortView {
        PortView {
            id: port.id,
            name: port.name.clone(),
            owner: owner(port.owner),
            of: self.whose(port),
            network: self.network_name(port.network),
            bridge: self
                .state
                .networks
                .get(&port.network)
                .and_then(|network| network.bridge().cloned()),
            mac: port.mac,
            addresses: port.fixed_ips.iter().map(|fixed| fixed.ip).collect(),
            names: port.dns.iter().map(|name| name.fqdn.to_string()).collect(),
        }
    }
}

fn owner(owner: DeviceOwner) -> PortOwner {
    match owner {
        DeviceOwner::Machine => PortOwner::Instance,
        DeviceOwner::Dhcp => PortOwner::Dhcp,
        DeviceOwner::RouterInterface => PortOwner::Router,
        DeviceOwner::RouterGateway => PortOwner::Gateway,
        DeviceOwner::FloatingIp => PortOwner::FloatingIp,
        DeviceOwner::Service | DeviceOwner::Other => PortOwner::Service,
    }
}

/// Of both versions.
fn leases(served: &Served) -> Vec<Lease> {
    let v4 = served.dhcp().map(|server| server.leases());
    let v6 = served.dhcp6().map(|server| server.leases());
    v4.into_iter().chain(v6).flatten().collect()
}

fn lease_view(lease: &Lease) -> LeaseView {
    let state = match lease.state {
        LeaseState::Offered => "offered",
        LeaseState::Bound => "bound",
        LeaseState::Released => "released",
        LeaseState::Declined => "declined",
    };
    LeaseView {
        mac: lease.mac,
        address: lease.address,
        state: state.to_owned(),
        seen_seconds_ago: lease.seen_seconds_ago,
    }
}

/// By id, or by a name that only one has; else the names that there are.
fn find<'a, K: Ord, T>(
    all: &'a OrdMap<K, Arc<T>>,
    wanted: &str,
    identity: impl Fn(&T) -> (String, &String),
) -> Result<&'a Arc<T>, Vec<String>> {
    let mut matching = all.values().filter(|object| {
        let (id, name) = identity(object);
        id == wanted || name == wanted
    });
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only),
        // Of several with one name each is told by its id.
        (Some(_), Some(_)) => Err(all
            .values()
            .map(|object| identity(object))
            .filter(|(_, name)| *name == wanted)
            .map(|(id, _)| id)
            .collect()),
        _ => {
            let names = all.values().map(|object| identity(object).1.clone());
            let mut names: Vec<_> = names.collect();
            names.sort_unstable();
            Err(names)
        }
    }
}

fn unknown(kind: &str, name: &str, known: Vec<String>) -> Reply {
    Reply::Unknown {
        kind: kind.to_owned(),
        name: name.to_owned(),
        known,
    }
}

/// Floating IPs of these ports, through whichever router.
fn floating_ips(state: &State, ports: &[&Arc<Port>]) -> Vec<crate::model::FloatingIp> {
    let networks: Vec<_> = ports.iter().map(|port| port.network).collect();
    let routers = state.routers.values().filter(|router| {
        router
            .interfaces
            .iter()
            .any(|leg| networks.contains(&leg.network))
    });
    let addresses: Vec<_> = ports
        .iter()
        .flat_map(|port| &port.fixed_ips)
        .map(|fixed| fixed.ip)
        .collect();
    let mine = |floating: &&crate::model::FloatingIp| {
        floating
            .fixed_ip
            .is_some_and(|fixed| addresses.contains(&fixed.into()))
    };
    routers
        .flat_map(|router| router.floating_ips.iter().filter(mine))
        .cloned()
        .collect()
}

/// What a server counted, and who sent most of what it throttled.
fn counted(counters: impl Serialize, loudest: Option<impl ToString>) -> serde_json::Value {
    let mut counted = serde_json::json!(counters);
    if let Some(loudest) = loudest {
        counted["loudest"] = loudest.to_string().into();
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_found_by_id_or_by_a_name_of_its_own() {
        let all = [("1", "web"), ("2", "db"), ("3", "twin"), ("4", "twin")]
            .map(|(id, name)| (id, Arc::new((id.to_owned(), name.to_owned()))));
        let all: OrdMap<&str, Arc<(String, String)>> = all.into_iter().collect();
        for (name, wanted, want) in [
            ("by name", "db", Ok("2")),
            ("by id", "1", Ok("1")),
            ("by id where the name is another's too", "4", Ok("4")),
            (
                "of two of one name each by its id",
                "twin",
                Err(vec!["3", "4"]),
            ),
            (
                "of none all names, in their order",
                "x",
                Err(vec!["db", "twin", "twin", "web"]),
            ),
        ] {
            let found = find(&all, wanted, |(id, name)| (id.clone(), name));
            let got = found.map(|object| object.0.as_str());
            let want = want.map_err(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(got, want, "{name}");
        }
    }
}
