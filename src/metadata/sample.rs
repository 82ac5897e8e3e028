//! A small cloud for the tests of this room.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::{
    AddressScopes, DeviceOwner, FixedIp, FloatingIp, FloatingIpId, HostRoute, Instance, InstanceId,
    MacAddr, Network, NetworkId, Port, PortId, ProjectId, PublicKey, Router, RouterId, RouterPort,
    State, Subnet, SubnetId, Target,
};
use crate::plan::scope::{MetadataScope, Residents};

pub(super) const WEB: &str = "00000000-0000-0000-0000-000000000001";

/// Who lives in network `number`: addresses, each with the instance behind it.
pub(super) fn residents(number: u128, who: &[(&str, Option<&str>)]) -> Arc<Residents> {
    let port = |(nth, (address, instance)): (u128, &(&str, Option<&str>))| {
        let mut port = port(number, nth, &[]);
        port.instance = instance.map(InstanceId::from);
        (ip(address), port.id, Arc::new(port))
    };
    Arc::new(Residents {
        network: NetworkId(Uuid::from_u128(number)),
        by_address: (0..).zip(who).map(port).collect(),
    })
}

pub(super) fn scope(residents: Vec<Arc<Residents>>) -> MetadataScope {
    MetadataScope {
        listen: vec!["169.254.169.254:80".parse().expect("address")],
        device: None,
        links: BTreeMap::new(),
        networks: residents.iter().map(|of| of.network).collect(),
        of: Target::Network(NetworkId(Uuid::from_u128(1))),
        residents,
    }
}

/// `web` has a port in `red` (DHCP), one in `blue` (static, both families), a floating IP and all that can be told.
pub(super) fn state() -> State {
    let mut red = network(1, "red", vec![subnet(11, "10.0.0.0/24", "10.0.0.1")]);
    red.dns_domain = "red.example".to_owned();
    red.subnets[0].enable_dhcp = true;
    red.subnets[0].dns_nameservers = vec![ip("9.9.9.9")];
    let mut blue = network(
        2,
        "blue",
        vec![
            subnet(21, "10.1.0.0/16", "10.1.0.1"),
            subnet(22, "fd00::/64", "fd00::1"),
        ],
    );
    blue.subnets[0].dns_nameservers = vec![ip("9.9.9.9"), ip("149.112.112.112")];
    blue.subnets[0].host_routes = vec![HostRoute {
        destination: "192.168.0.0/24".parse().expect("network"),
        nexthop: ip("10.1.0.2"),
    }];
    blue.subnets[1].dns_nameservers = vec![ip("2620:fe::fe")];

    let ports = [
        (&mut red, port(1, 0xa1, &[(11, "10.0.0.5")])),
        (
            &mut blue,
            port(2, 0xa2, &[(21, "10.1.0.5"), (22, "fd00::5")]),
        ),
    ];
    let mut of_web = Vec::new();
    for (network, port) in ports {
        of_web.push((network.id, port.id));
        network.ports.insert(port.id, Arc::new(port));
    }
    let web = instance(of_web);
    let router = router(&red);
    State {
        networks: [red, blue]
            .map(|network| (network.id, Arc::new(network)))
            .into_iter()
            .collect(),
        routers: [(router.id, Arc::new(router))].into_iter().collect(),
        instances: [(web.id.clone(), Arc::new(web))].into_iter().collect(),
    }
}

fn instance(ports: Vec<(NetworkId, PortId)>) -> Instance {
    let key = |name: &str| PublicKey {
        name: name.to_owned(),
        key: format!("ssh-ed25519 AAAA {name}"),
    };
    Instance {
        id: InstanceId::from(WEB),
        name: "web".to_owned(),
        project: ProjectId::from("acme"),
        ports: ports.into(),
        hostname: "web".to_owned(),
        public_keys: [key("alice"), key("bob")].into(),
        user_data: Some((*b"\x1f\x8b\x00\xff").into()),
        metadata: [("role".to_owned(), "front".to_owned())].into(),
        vendor_data: Some(serde_json::json!({"cloud-init": "#cloud-config\n{}"})),
        availability_zone: "nova".into(),
        instance_type: "m1.small".into(),
    }
}

fn router(network: &Network) -> Router {
    Router {
        name: "r".to_owned(),
        project: network.project.clone(),
        interfaces: vec![RouterPort {
            port: PortId(Uuid::from_u128(0xb1)),
            network: network.id,
            mac: mac(),
            admin_state_up: true,
            mtu: 1450,
            addresses: vec![],
            subnets: vec![],
            extra_subnets: vec![],
            scopes: AddressScopes::default(),
        }],
        floating_ips: vec![FloatingIp {
            id: FloatingIpId(Uuid::from_u128(0xf1)),
            floating_ip: "203.0.113.9".parse().expect("address"),
            fixed_ip: Some("10.0.0.5".parse().expect("address")),
            fixed_scope: None,
            status: None,
        }],
        ..Router::new(RouterId(Uuid::from_u128(9)))
    }
}

fn network(number: u128, name: &str, subnets: Vec<Subnet>) -> Network {
    Network {
        name: name.to_owned(),
        project: ProjectId::from("acme"),
        mtu: 1450,
        subnets,
        ..Network::new(NetworkId(Uuid::from_u128(number)))
    }
}

fn subnet(number: u128, cidr: &str, gateway: &str) -> Subnet {
    Subnet {
        gateway_ip: Some(ip(gateway)),
        enable_dhcp: false,
        ..Subnet::new(
            SubnetId(Uuid::from_u128(number)),
            cidr.parse().expect("network"),
        )
    }
}

fn port(network: u128, number: u128, addresses: &[(u128, &str)]) -> Port {
    let fixed = |(subnet, address): &(u128, &str)| FixedIp {
        subnet: SubnetId(Uuid::from_u128(*subnet)),
        ip: ip(address),
    };
    Port {
        project: ProjectId::from("acme"),
        mac: mac(),
        fixed_ips: addresses.iter().map(fixed).collect(),
        instance: Some(InstanceId::from(WEB)),
        ..Port::new(
            PortId(Uuid::from_u128(number << 96)),
            NetworkId(Uuid::from_u128(network)),
            DeviceOwner::Machine,
        )
    }
}

fn mac() -> MacAddr {
    "fa:16:3e:00:00:05".parse().expect("MAC")
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}
