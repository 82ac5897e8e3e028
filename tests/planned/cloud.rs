//! A cloud whose model is made by the test, as a source would say it; its router's plan is applied on a sandboxed host.

use std::net::IpAddr;
use std::sync::Arc;

use netns::{DevName, Namespace};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use warren::model::*;
use warren::plan::{self, Settings};

use crate::common::{Guest, Host};

/// Where the host finds what is to be applied, and how the test's own program knows that it is there to do that.
const FILE: &str = "/run/planned.json";
const INSIDE: &str = "WARREN_TEST_APPLIES";

pub(crate) const ROUTER: RouterId = RouterId(Uuid::from_u128(0x11));
pub(crate) const SCOPE_X: AddressScopeId = AddressScopeId(Uuid::from_u128(0xa1));
pub(crate) const SCOPE_Y: AddressScopeId = AddressScopeId(Uuid::from_u128(0xa2));

/// Networks by number, each with a bridge `br<number>`, and one router.
pub(crate) struct Cloud {
    pub(crate) host: Host,
    pub(crate) router: Router,
    pub(crate) settings: Settings,
    networks: Vec<Network>,
}

#[derive(Serialize, Deserialize)]
struct Said {
    networks: Vec<Network>,
    router: Router,
    settings: Settings,
}

impl Cloud {
    /// `None`: this process may not make namespaces.
    pub(crate) fn new(name: &str, networks: u128) -> Option<Self> {
        let host = Host::new(name)?;
        let networks = (1..=networks).map(network).collect();
        let router = Router {
            name: "r".to_owned(),
            ..Router::new(ROUTER)
        };
        Some(Self {
            host,
            router,
            settings: Settings::default(),
            networks,
        })
    }

    /// Makes the kernel what the plan says. The second time there is nothing to do.
    #[track_caller]
    pub(crate) fn apply(&self) {
        let said = Said {
            networks: self.networks.clone(),
            router: self.router.clone(),
            settings: self.settings.clone(),
        };
        let machine = self.host.machine();
        machine.write(FILE, &serde_json::to_string(&said).unwrap());
        let program = std::env::current_exe().unwrap();
        let variable = format!("{INSIDE}=1");
        let argv = [
            "env",
            &variable,
            program.to_str().unwrap(),
            "--exact",
            "cloud::inside",
            "--nocapture",
        ];
        machine.run(&argv).ok();
    }

    pub(crate) fn namespace(&self) -> String {
        plan::namespace(Target::Router(ROUTER)).to_string()
    }

    /// Runs a tool in the router's namespace; what it printed.
    #[track_caller]
    pub(crate) fn in_router(&self, argv: &[&str]) -> String {
        self.host.run_in(&self.namespace(), argv).ok()
    }

    /// An instance with static addresses on network `n`, whose way out is the router's address there.
    #[track_caller]
    pub(crate) fn guest(&self, name: &str, n: u8, address: &str, gateway: &str) -> Guest {
        let mac = format!("fa:16:3e:00:0{n}:{:02x}", name.len());
        let guest = self.host.guest(name, &format!("br{n}"), &mac);
        guest.ip(&format!(
            "addr add {address} dev eth0\nroute add default via {gateway} dev eth0"
        ));
        guest
    }

    pub(crate) fn gateway_device(&self) -> String {
        let gateway = self.router.gateway.as_ref().unwrap();
        plan::gateway_device(gateway.port.port).to_string()
    }
}

/// Not a test of its own: what [`Cloud::apply`] runs on the host.
#[test]
fn inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let text = std::fs::read_to_string(FILE).unwrap();
    let said: Said = serde_json::from_str(&text).unwrap();
    let networks = said.networks.into_iter().map(|of| (of.id, Arc::new(of)));
    let state = State {
        networks: networks.collect(),
        routers: [(ROUTER, Arc::new(said.router))].into_iter().collect(),
        ..State::default()
    };
    let plan = plan::plan(&state, Target::Router(ROUTER), &said.settings).unwrap();
    let inside = plan.inside.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let home = Namespace::home().unwrap();
        let name = plan::namespace(Target::Router(ROUTER));
        let (namespace, _) = Namespace::ensure(&name).await.unwrap();
        for round in ["first", "second"] {
            for (place, spec) in [(&namespace, &inside), (&home, &plan.host)] {
                let applied = netns::converge(place, spec).await;
                let applied = applied.unwrap_or_else(|error| panic!("{}", warren::chain(&error)));
                let settled = applied.steps.is_empty();
                assert!(round == "first" || settled, "{:?}", applied.steps);
            }
        }
    });
}

fn network(n: u128) -> Network {
    Network {
        name: format!("net{n}"),
        attachment: Attachment::Local {
            bridge: DevName::new(format!("br{n}")).unwrap(),
        },
        ..Network::new(NetworkId(Uuid::from_u128(n)))
    }
}

/// The `port`-th leg, in network `n`. Each address is one in a subnet of its own, with that subnet's gateway.
pub(crate) fn leg(port: u8, n: u128, addresses: &[(&str, Option<&str>)]) -> RouterPort {
    let net = |(address, _): &(&str, Option<&str>)| address.parse::<IpNet>().unwrap();
    RouterPort {
        port: PortId(Uuid::from_u128(u128::from(port) << 96)),
        network: NetworkId(Uuid::from_u128(n)),
        mac: MacAddr([0xfa, 0x16, 0x3e, 0xff, 0, port]),
        admin_state_up: true,
        mtu: 1500,
        addresses: addresses.iter().map(net).collect(),
        subnets: addresses
            .iter()
            .map(|of| subnet(&net(of).trunc().to_string(), of.1))
            .collect(),
        extra_subnets: Vec::new(),
        scopes: AddressScopes::default(),
    }
}

pub(crate) fn subnet(cidr: &str, gateway: Option<&str>) -> RouterSubnet {
    RouterSubnet {
        id: SubnetId(Uuid::from_u128(0x5)),
        cidr: cidr.parse().unwrap(),
        gateway_ip: gateway.map(|ip| ip.parse::<IpAddr>().unwrap()),
        ra_mode: None,
        dns_nameservers: Vec::new(),
    }
}

pub(crate) fn scoped(v4: Option<AddressScopeId>, leg: RouterPort) -> RouterPort {
    let scopes = AddressScopes {
        v4,
        v6: leg.scopes.v6,
    };
    RouterPort { scopes, ..leg }
}

pub(crate) fn floating(floating: &str, fixed: &str, scope: Option<AddressScopeId>) -> FloatingIp {
    FloatingIp {
        id: FloatingIpId(Uuid::from_u128(0xf)),
        floating_ip: floating.parse().unwrap(),
        fixed_ip: Some(fixed.parse().unwrap()),
        fixed_scope: scope,
        status: None,
    }
}

pub(crate) fn forwarding(
    floating: &str,
    external: (u16, u16),
    to: &str,
    internal: (u16, u16),
) -> PortForwarding {
    PortForwarding {
        floating_ip: floating.parse().unwrap(),
        protocol: Protocol::Tcp,
        internal_ip: to.parse().unwrap(),
        ports: Forwarding { external, internal },
        id: None,
        floating: None,
    }
}
