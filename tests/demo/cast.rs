//! Who plays: the instances, the router's addresses and the world, as the daemon tells them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::Value;

use crate::FILE;
use crate::common::{Client, Daemon, Guest, Host};
use crate::transcript::Transcript;

/// An instance, with what the daemon says of it.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) guest: Guest,
    pub(crate) client: Client,
    pub(crate) address: Ipv4Addr,
    pub(crate) fqdn: String,
    /// `warren show network` of its network.
    pub(crate) network: Value,
    /// What the file gives it.
    pub(crate) user_data: Option<String>,
}

/// Who plays.
pub(crate) struct Cast {
    pub(crate) instances: Vec<Instance>,
    /// On the external network, at its gateway's address.
    pub(crate) world: Guest,
    pub(crate) world_address: Ipv4Addr,
    /// The router's own external address.
    pub(crate) snat: Ipv4Addr,
    pub(crate) floating_ip: Ipv4Addr,
    /// Who is behind the floating IP.
    pub(crate) floating: usize,
    /// External port of `floating_ip` or another one, and who answers there on which port.
    pub(crate) forwarded: (Ipv4Addr, u16),
    pub(crate) forwarding: (usize, u16),
}

pub(crate) fn cast(say: &Transcript, host: &Host, daemon: &Daemon) -> (Cast, String) {
    let file: toml::Table = std::fs::read_to_string(FILE).unwrap().parse().unwrap();
    let names = |kind: &str| -> Vec<String> {
        let objects = file[kind].as_array().unwrap().iter();
        objects
            .map(|object| object["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let networks: Vec<Value> = names("network")
        .iter()
        .map(|name| daemon.json(&["show", "network", name]))
        .collect();
    for network in &networks {
        assert_eq!(network["state"], "converged", "{network:#}");
    }
    let network = |name: &Value| {
        networks
            .iter()
            .find(|network| network["name"] == *name)
            .unwrap()
            .clone()
    };
    let instances: Vec<Instance> = names("instance")
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let view = daemon.json(&["show", "instance", name]);
            let port = &view["ports"][0];
            Instance {
                name: name.clone(),
                id: text(&view["id"]),
                guest: host.guest(name, &text(&port["bridge"]), &text(&port["mac"])),
                client: [Client::Udhcpc, Client::Dhclient][number % 2],
                address: text(&port["addresses"][0]).parse().unwrap(),
                fqdn: text(&port["names"][0]),
                network: network(&port["network"]),
                user_data: file["instance"][number]
                    .get("user_data")
                    .map(|data| data.as_str().unwrap().to_owned()),
            }
        })
        .collect();
    let router = daemon.json(&["show", "router", &names("router")[0]]);
    let outside = network(&router["gateway"]["network"]);
    let subnet: Ipv4Net = text(&outside["subnets"][0]["cidr"]).parse().unwrap();
    let world_address: Ipv4Addr = text(&outside["subnets"][0]["gateway_ip"]).parse().unwrap();
    let world = host.world(
        &text(&outside["bridge"]),
        &format!("{world_address}/{}", subnet.prefix_len()),
    );
    let at = |address: &Value| {
        instances
            .iter()
            .position(|instance| text(address) == instance.address.to_string())
            .unwrap()
    };
    let (floating, forwarding) = (&router["floating_ips"][0], &router["port_forwardings"][0]);
    let port = |side: &str| u16::try_from(forwarding["ports"][side][0].as_u64().unwrap()).unwrap();
    let cast = Cast {
        floating: at(&floating["fixed_ip"]),
        floating_ip: text(&floating["floating_ip"]).parse().unwrap(),
        forwarded: (
            text(&forwarding["floating_ip"]).parse().unwrap(),
            port("external"),
        ),
        forwarding: (at(&forwarding["internal_ip"]), port("internal")),
        snat: text(&router["gateway"]["addresses"][0])
            .parse::<Ipv4Net>()
            .unwrap()
            .addr(),
        instances,
        world,
        world_address,
    };
    for network in &networks {
        say.tell(&format!(
            "network {:8} {:18} bridge {}{}",
            text(&network["name"]),
            text(&network["subnets"][0]["cidr"]),
            text(&network["bridge"]),
            if network["external"] == true {
                ", external"
            } else {
                ""
            }
        ));
    }
    let bridges = networks.len();
    (cast, format!("{bridges} networks, a router between them"))
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("text, not {value}"))
        .to_owned()
}
