//! What there is to serve, made through the REST API by several who call at once.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use netns::MacAddr;
use serde_json::{Value, json};

use crate::cloud::{Api, Cloud, id};

/// The server has two workers.
const CALLERS: usize = 6;

/// A network that only DHCP serves, with one instance.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) network: String,
    pub(crate) mac: MacAddr,
    pub(crate) address: Ipv4Addr,
    /// Of the port that it is served from; nothing until that was made.
    pub(crate) own: Option<OwnPort>,
}

/// A port of an agent, as the node's other end shows it.
#[derive(Debug, Clone)]
pub(crate) struct OwnPort {
    pub(crate) device: String,
    pub(crate) mac: MacAddr,
    pub(crate) address: Ipv4Addr,
}

/// A router with one network behind it, and an instance there that has a floating IP.
#[derive(Debug, Clone)]
pub(crate) struct Routed {
    pub(crate) instance: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) floating: String,
    pub(crate) floating_address: Ipv4Addr,
    pub(crate) gateway: OwnPort,
    pub(crate) interface: OwnPort,
}

impl Tenant {
    pub(crate) fn make_all(cloud: &Cloud, count: u16) -> Vec<Self> {
        in_parallel(cloud, count, |api, number| {
            let network = api.create("network", json!({"name": format!("n{number}")}));
            let [high, low] = number.to_be_bytes();
            let subnet = json!({
                "network_id": id(&network),
                "ip_version": 4,
                "cidr": format!("10.{}.{low}.0/24", 64 + high),
            });
            api.create("subnet", subnet);
            let address = Ipv4Addr::new(10, 64 + high, low, 10);
            let fixed = json!({"fixed_ips": [{"ip_address": address}]});
            let port = api.instance_port(id(&network), "net1", fixed);
            Self {
                network: id(&network).to_owned(),
                mac: mac(&port),
                address,
                own: None,
            }
        })
    }

    /// The ports that they are served from, once an agent has asked for them.
    pub(crate) fn with_own_ports(cloud: &Cloud, tenants: Vec<Self>) -> Vec<Self> {
        let mut own = own_ports(cloud, "network:dhcp", "network_id");
        let with = |mut tenant: Self| {
            tenant.own = own.remove(&tenant.network);
            tenant
        };
        tenants.into_iter().map(with).collect()
    }

    #[track_caller]
    pub(crate) fn own(&self) -> &OwnPort {
        self.own.as_ref().expect("an agent has been there")
    }
}

impl Routed {
    pub(crate) fn make_all(cloud: &Cloud, count: u16) -> Vec<Self> {
        let outside = json!({
            "name": "outside",
            "router:external": true,
            "provider:network_type": "flat",
            "provider:physical_network": "external",
        });
        let outside = cloud.create("network", outside);
        let subnet = json!({
            "network_id": id(&outside),
            "ip_version": 4,
            "cidr": "198.18.0.0/22",
            "gateway_ip": "198.18.0.1",
            "enable_dhcp": false,
        });
        cloud.create("subnet", subnet);
        let outside = id(&outside);
        let made = in_parallel(cloud, count, |api, number| make(api, outside, number));
        let mut gateways = own_ports(cloud, "network:router_gateway", "device_id");
        let mut interfaces = own_ports(cloud, "network:router_interface", "device_id");
        let with =
            |(router, instance, address, floating): (String, String, Ipv4Addr, Value)| Self {
                gateway: gateways.remove(&router).expect("it was given one"),
                interface: interfaces.remove(&router).expect("it was given one"),
                instance,
                address,
                floating: id(&floating).to_owned(),
                floating_address: floating["floating_ip_address"]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap(),
            };
        made.into_iter().map(with).collect()
    }
}

fn make(api: &Api, outside: &str, number: u16) -> (String, String, Ipv4Addr, Value) {
    let network = api.create("network", json!({"name": format!("r{number}")}));
    let [high, low] = number.to_be_bytes();
    let subnet = json!({
        "network_id": id(&network),
        "ip_version": 4,
        "cidr": format!("10.{}.{low}.0/24", 128 + high),
        "enable_dhcp": false,
    });
    let subnet = api.create("subnet", subnet);
    let address = Ipv4Addr::new(10, 128 + high, low, 10);
    let fixed = json!({"fixed_ips": [{"ip_address": address}]});
    let port = api.instance_port(id(&network), "net1", fixed);
    let gateway = json!({"network_id": outside});
    let router = json!({"name": format!("r{number}"), "external_gateway_info": gateway});
    let router = api.create("router", router);
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    api.put(&add, &json!({"subnet_id": id(&subnet)}));
    let floating = json!({"floating_network_id": outside, "port_id": id(&port)});
    let floating = api.create("floatingip", floating);
    let (router, port) = (id(&router).to_owned(), id(&port).to_owned());
    (router, port, address, floating)
}

/// By what they belong to.
fn own_ports(cloud: &Cloud, owner: &str, key: &str) -> BTreeMap<String, OwnPort> {
    let mut found = cloud.get(&format!("/v2.0/ports?device_owner={owner}"));
    let ports = found["ports"].as_array_mut().unwrap().drain(..);
    let own = ports.map(|port| {
        let address = port["fixed_ips"][0]["ip_address"].as_str().unwrap();
        let own = OwnPort {
            device: format!("tap{}", &id(&port)[..11]),
            mac: mac(&port),
            address: address.parse().unwrap(),
        };
        (port[key].as_str().unwrap().to_owned(), own)
    });
    own.collect()
}

fn mac(port: &Value) -> MacAddr {
    port["mac_address"].as_str().unwrap().parse().unwrap()
}

/// In the order of their numbers.
fn in_parallel<T: Send>(cloud: &Cloud, count: u16, make: impl Fn(&Api, u16) -> T + Sync) -> Vec<T> {
    let numbers: Vec<u16> = (0..count).collect();
    let (api, make) = (&**cloud, &make);
    std::thread::scope(|scope| {
        let share = numbers.len().div_ceil(CALLERS).max(1);
        let callers: Vec<_> = numbers
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().map(|n| make(api, *n)).collect()))
            .collect();
        let made = callers.into_iter().map(|caller| caller.join().unwrap());
        made.collect::<Vec<Vec<T>>>()
            .into_iter()
            .flatten()
            .collect()
    })
}
