//! DHCP exchanges (DISCOVER, OFFER, REQUEST, ACK) per CPU second: warren against the dnsmasq that Neutron starts per
//! network, with and without its lease file, and against Kea with memfile and host reservations.
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../tests/common/mod.rs"]
mod common;
mod exchanges;
mod figures;

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use uuid::Uuid;
use warren::dhcp::Server;
use warren::model::{DevName, MacAddr, NetworkId, PortId, SubnetId};
use warren::plan::scope::{Claims, DhcpClient, DhcpScope, DhcpSubnet};

use common::{Dnsmasq, Host, Running, Udp, udp_frame};
use exchanges::{Clients, Entry, Heard, Race, line_up, run, start_own, unlimited};

const CLIENTS: u16 = 900;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const SERVER_MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0xff, 0, 2]);

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        serve();
    } else {
        measure();
    }
}

fn measure() {
    let warren: Entry = ("warren", "", |host| start_own(host, "serve"));
    let with: Entry = ("dnsmasq", ">= 100x", |host| start_dnsmasq(host, &[]));
    let without: Entry = ("dnsmasq without lease file", ">= 10x", |host| {
        start_dnsmasq(host, &["--leasefile-ro"])
    });
    let kea: Entry = ("Kea", ">= 5x", start_kea);
    let ground = |host: &Host| {
        host.ip(&format!(
            "link set br0 address {SERVER_MAC}\naddr add {SERVER}/16 dev br0"
        ));
    };
    // Not both at once: each puts its clients into the machine's one neighbour table, which holds about a thousand.
    for entries in [&[warren, with, kea][..], &[warren, without]] {
        if let Some(mut races) = line_up::<Dhcp>(entries, ground) {
            races.iter_mut().for_each(Race::warm_up);
            run(&mut races);
        }
    }
}

struct Dhcp;

impl Clients for Dhcp {
    const NAME: &str = "DHCP";
    const COUNT: u16 = CLIENTS;

    fn ask(client: u16, transaction: u32) -> Vec<u8> {
        frame(client, transaction, 1, &[])
    }

    fn hear(heard: &[u8], whose: impl Fn(u32) -> Option<u16>) -> Option<Heard> {
        let reply = Udp::parse(heard).filter(|udp| udp.to.port() == 68)?;
        let message = &reply.payload;
        let transaction = u32::from_be_bytes(message[4..8].try_into().unwrap());
        let client = whose(transaction)?;
        let address = address(client).octets();
        assert_eq!(message[16..20], address, "the client's address");
        let message_type = message[240..]
            .windows(3)
            .find(|option| option[..2] == [53, 1]);
        match message_type.unwrap()[2] {
            2 => {
                let chosen = [&[50, 4][..], &address, &[54, 4], &SERVER.octets()].concat();
                Some(Heard::Answer(frame(client, transaction, 3, &chosen)))
            }
            5 => Some(Heard::Done(transaction)),
            other => panic!("message of type {other}"),
        }
    }
}

/// A message as dhclient sends it.
fn frame(client: u16, xid: u32, kind: u8, options: &[u8]) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0];
    message.extend(xid.to_be_bytes());
    message.resize(28, 0);
    message.extend(mac(client).0);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99, 53, 1, kind]);
    // A lease's end is counted in seconds. In life no client comes twice within one, so each ACK changes its lease;
    // here the lengths differ instead.
    message.extend([51, 4]);
    message.extend((40_000 + xid % 10_000).to_be_bytes());
    message.extend(options);
    message.extend([
        55, 13, 1, 28, 2, 3, 15, 6, 119, 12, 44, 47, 26, 121, 42, 255,
    ]);
    message.resize(message.len().max(300), 0);
    udp_frame(&Udp {
        to_mac: MacAddr::BROADCAST.0,
        from_mac: mac(client).0,
        from: "0.0.0.0:68".parse().unwrap(),
        to: "255.255.255.255:67".parse().unwrap(),
        payload: message,
    })
}

/// It says nothing.
fn start_dnsmasq(host: &Host, more: &[&str]) -> Running {
    let (mut hosts, mut names) = (String::new(), String::new());
    for client in 0..CLIENTS {
        let (mac, name, address) = (mac(client), name(client), address(client));
        writeln!(hosts, "{mac},{name}.lan.,{address}").unwrap();
        writeln!(names, "{address} {name}.lan. {name}").unwrap();
    }
    let served = Dnsmasq {
        hosts: &hosts,
        names: &names,
        options: "tag:subnet-1,option:router,10.0.0.1\n\
                  tag:subnet-1,option:dns-server,10.0.0.2\n\
                  tag:subnet-1,option:classless-static-route,169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1\n\
                  tag:subnet-1,249,169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1\n",
        ..Dnsmasq::default()
    };
    let network = [
        "--interface=br0",
        "--dhcp-range=set:subnet-1,10.0.0.0,static,255.255.0.0,86400s",
        "--dhcp-option-force=option:mtu,1450",
        "--dhcp-lease-max=65536",
        "--domain=lan",
    ];
    let more = [&network, more].concat();
    host.spawn(&served.command(&host.place(), "/dev/null", &more))
}

/// Host reservations and no pool; leases in memory and appended to a file, on a tmpfs. It logs warnings only.
fn start_kea(host: &Host) -> Running {
    let reservation = |client| {
        serde_json::json!({
            "hw-address": mac(client).to_string(), "ip-address": address(client), "hostname": name(client)
        })
    };
    let option = |name: &str, data: &str| serde_json::json!({ "name": name, "data": data });
    let config = serde_json::json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": ["br0"], "dhcp-socket-type": "raw" },
        "lease-database": { "type": "memfile", "persist": true, "name": "/run/kea/leases", "lfc-interval": 0 },
        "host-reservation-identifiers": ["hw-address"],
        "reservations-in-subnet": true,
        "reservations-out-of-pool": true,
        "valid-lifetime": 86400,
        "loggers": [{ "name": "kea-dhcp4", "severity": "WARN", "output_options": [{ "output": "stderr" }] }],
        "subnet4": [{
            "subnet": "10.0.0.0/16",
            "interface": "br0",
            "option-data": [
                option("routers", "10.0.0.1"),
                option("domain-name-servers", "10.0.0.2"),
                option("domain-name", "lan"),
                option("domain-search", "lan"),
                option("interface-mtu", "1450"),
                option("broadcast-address", "10.0.255.255"),
            ],
            "reservations": (0..CLIENTS).map(reservation).collect::<Vec<_>>(),
        }],
    }});
    host.place()
        .write("/run/kea/dhcp4.conf", &config.to_string());
    host.spawn(&["kea-dhcp4", "-c", "/run/kea/dhcp4.conf"])
}

fn mac(client: u16) -> MacAddr {
    let [high, low] = client.to_be_bytes();
    MacAddr([0xfa, 0x16, 0x3e, 0, high, low])
}

fn address(client: u16) -> Ipv4Addr {
    let [high, low] = client.to_be_bytes();
    Ipv4Addr::new(10, 0, high + 1, low)
}

fn name(client: u16) -> String {
    format!("host-{}", address(client).to_string().replace('.', "-"))
}

/// The daemon's part, in a process of its own, with the options that dnsmasq is given.
#[tokio::main]
async fn serve() {
    let subnet = DhcpSubnet {
        id: SubnetId(Uuid::from_u128(1)),
        cidr: "10.0.0.0/16".parse().unwrap(),
        server: Some(SERVER),
        router: Some(Ipv4Addr::new(10, 0, 0, 1)),
        dns: vec![SERVER],
        ntp: Vec::new(),
        classless_routes: vec![
            ("169.254.169.254/32".parse().unwrap(), SERVER),
            ("0.0.0.0/0".parse().unwrap(), Ipv4Addr::new(10, 0, 0, 1)),
        ],
    };
    let client = |number: u16| {
        let client = DhcpClient {
            port: PortId(Uuid::from_u128(number.into())),
            mac: mac(number),
            addresses: [(0, address(number))].into(),
            fqdn: Some(format!("{}.lan", name(number)).into()),
            options: [].into(),
        };
        (client.mac, client.port, Arc::new(client))
    };
    let scope = Arc::new(DhcpScope {
        network: NetworkId(Uuid::from_u128(1)),
        device: DevName::new("br0").unwrap(),
        mac: SERVER_MAC,
        lease: 86400,
        renewal: None,
        rebinding: None,
        mtu: Some(1450),
        domain: Some("lan".to_owned()),
        search: vec!["lan".to_owned()],
        options: [].into(),
        tags: [].into(),
        broadcast_reply: false,
        only_v6: false,
        subnets: vec![subnet],
        clients: (0..CLIENTS).map(client).collect(),
        by_client_id: Claims::default(),
    });
    let home = netns::Namespace::home().unwrap();
    let _server = Server::start(&home, scope, &unlimited()).await.unwrap();
    std::future::pending::<()>().await;
}
