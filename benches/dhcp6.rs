//! DHCPv6 exchanges (SOLICIT, ADVERTISE, REQUEST, REPLY) per CPU second: warren against the dnsmasq that Neutron starts per
//! network, with its lease file, and against Kea with memfile and host reservations. And how long a client waits that the
//! kernel has never seen.
//!
//! The floor is a server that thinks nothing: it takes messages and sends frames by the same calls, and a frame is one that was
//! made beforehand. What is above the kernel's part can be seen beside it.
//!
//! The peers are told whose MAC is which while they race, since they would wait for neighbour discovery; warren never asks.
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../tests/common/mod.rs"]
mod common;
mod exchanges;
mod figures;

use std::fmt::Write;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netns::datagrams::{Inbox, Packed};
use uuid::Uuid;
use warren::dhcp::v6;
use warren::model::{DevName, MacAddr, NetworkId, PortId, SubnetId};
use warren::plan::scope::{Claims, Dhcp6Client, Dhcp6Scope, Dhcp6Subnet};

use common::{Dnsmasq, Host, PATIENCE, Running, Udp6, settled};
use exchanges::{Clients, Entry, Heard, Load, Race, line_up, run, start_own, unlimited};

/// Each is an entry of the host's one neighbour table, which holds about a thousand.
const CLIENTS: u16 = 200;
/// Clients that the kernel has never seen, each measured once.
const UNSEEN: u16 = 51;

const SERVER_MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0xff, 0, 2]);

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve(),
        Some("floor") => floor(),
        _ => measure(),
    }
}

fn measure() {
    let entries: [Entry; 4] = [
        ("warren", "", |host| start_own(host, "serve")),
        ("dnsmasq", "-", start_dnsmasq),
        ("Kea", ">= 5x", start_kea),
        ("floor", "-", |host| start_own(host, "floor")),
    ];
    let ground = |host: &Host| {
        host.ip(&format!(
            "link set br0 address {SERVER_MAC}\naddr add 2001:db8::2/64 dev br0 nodad"
        ));
        // Kea does not serve on an address that is not there yet.
        settled(&host.place(), "br0");
    };
    let Some(mut races) = line_up::<Dhcp6>(&entries, ground) else {
        return;
    };
    println!(
        "A client that the kernel has never seen, {UNSEEN} of them, p50 and longest of SOLICIT to ADVERTISE:"
    );
    for race in &mut races {
        let by_mac = unseen(&mut race.load, CLIENTS, |mac| mac.link_local());
        println!(
            "{}: link-local address made of the MAC: {by_mac}",
            race.name
        );
        let private = unseen(&mut race.load, CLIENTS + UNSEEN, |mac| {
            let [.., high, low] = mac.0;
            Ipv6Addr::new(
                0xfe80,
                0,
                0,
                0,
                0x1234,
                0x5678,
                0x9abc,
                u16::from_be_bytes([high, low]),
            )
        });
        println!("{}: any other link-local address: {private}", race.name);
    }
    races.iter().for_each(|race| tell_neighbours(&race.host));
    races.iter_mut().for_each(Race::warm_up);
    run(&mut races);
}

/// Clients from `first` on, each with a source of its own.
fn unseen(load: &mut Load<Dhcp6>, first: u16, source: fn(MacAddr) -> Ipv6Addr) -> String {
    let mut took: Vec<Duration> = (first..first + UNSEEN)
        .map(|client| first_answer(load, client, source(mac(client))))
        .collect();
    took.sort();
    let [middle, last] = [took.len() / 2, took.len() - 1].map(|at| took[at].as_secs_f64() * 1e3);
    format!("{middle:.2} ms, {last:.2} ms")
}

fn tell_neighbours(host: &Host) {
    let mut all = String::new();
    for client in 0..CLIENTS {
        let mac = mac(client);
        let ip = mac.link_local();
        writeln!(all, "neigh replace {ip} lladdr {mac} dev br0 nud permanent").unwrap();
    }
    host.ip(&all);
}

/// From the SOLICIT of somebody new to the ADVERTISE.
fn first_answer(load: &mut Load<Dhcp6>, client: u16, source: Ipv6Addr) -> Duration {
    let transaction = load.next_transaction();
    load.wire.drain();
    let begin = Instant::now();
    load.wire
        .send(&frame_from(client, source, transaction, 1, &[]));
    loop {
        let heard = load.wire.recv(PATIENCE, |frame| match solicited(frame) {
            // The answer to neighbour discovery carries the MAC that asked for an address last, which is this client's.
            Some(answer) => Some(Some(answer)),
            None => Udp6::parse(frame)
                .filter(|udp| udp.to.port() == 546 && number(&udp.payload) == transaction)
                .map(|_| None),
        });
        match heard.expect("an answer") {
            Some(mut answer) => {
                for at in [6, 80] {
                    answer[at..at + 6].copy_from_slice(&mac(client).0);
                }
                fill_checksum(&mut answer);
                load.wire.send(&answer);
            }
            None => return begin.elapsed(),
        }
    }
}

struct Dhcp6;

impl Clients for Dhcp6 {
    const NAME: &str = "DHCPv6";
    const COUNT: u16 = CLIENTS;

    fn ask(client: u16, transaction: u32) -> Vec<u8> {
        frame(client, transaction, 1, &[])
    }

    fn hear(heard: &[u8], whose: impl Fn(u32) -> Option<u16>) -> Option<Heard> {
        if let Some(answer) = solicited(heard) {
            return Some(Heard::Answer(answer));
        }
        let reply = Udp6::parse(heard).filter(|udp| udp.to.port() == 546)?;
        let message = &reply.payload;
        let transaction = number(message);
        let client = whose(transaction)?;
        let address = address(client).octets();
        assert!(
            message.windows(16).any(|part| part == address),
            "the client's address"
        );
        match message[0] {
            2 => {
                let server = option_of(message, 2).expect("a server id");
                let chosen = option(2, server);
                Some(Heard::Answer(frame(client, transaction, 3, &chosen)))
            }
            7 => Some(Heard::Done(transaction)),
            other => panic!("message of type {other}"),
        }
    }
}

fn number(message: &[u8]) -> u32 {
    u32::from_be_bytes([0, message[1], message[2], message[3]])
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&code.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

fn option_of(message: &[u8], code: u16) -> Option<&[u8]> {
    let mut rest = &message[4..];
    while let [a, b, c, d, after @ ..] = rest {
        let (value, next) = after.split_at(usize::from(u16::from_be_bytes([*c, *d])));
        if u16::from_be_bytes([*a, *b]) == code {
            return Some(value);
        }
        rest = next;
    }
    None
}

fn frame(client: u16, transaction: u32, kind: u8, options: &[u8]) -> Vec<u8> {
    frame_from(client, mac(client).link_local(), transaction, kind, options)
}

/// A message as dhclient sends it.
fn frame_from(
    client: u16,
    source: Ipv6Addr,
    transaction: u32,
    kind: u8,
    options: &[u8],
) -> Vec<u8> {
    let mut message = transaction.to_be_bytes().to_vec();
    message[0] = kind;
    message.extend(option(1, &[&[0, 3, 0, 1][..], &mac(client).0].concat()));
    message.extend(option(6, &[0, 23, 0, 24, 0, 39, 0, 31]));
    message.extend(option(8, &[0, 0]));
    message.extend(options);
    // Lifetimes that differ each time, so that each REPLY changes its lease.
    let wish = (40_000 + transaction % 10_000).to_be_bytes();
    let wished = option(5, &[&address(client).octets()[..], &wish, &wish].concat());
    let [high, low] = client.to_be_bytes();
    let association = [&[0, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0][..], &wished].concat();
    message.extend(option(3, &association));
    Udp6 {
        to_mac: [0x33, 0x33, 0, 1, 0, 2],
        from_mac: mac(client).0,
        from: SocketAddrV6::new(source, 546, 0, 0),
        to: SocketAddrV6::new("ff02::1:2".parse().unwrap(), 547, 0, 0),
        payload: message,
    }
    .frame()
}

/// The advertisement for a neighbour solicitation, from a client whose address is made of its MAC.
fn solicited(frame: &[u8]) -> Option<Vec<u8>> {
    if frame.get(12..14)? != [0x86, 0xdd] || frame.get(20)? != &58 || frame.get(54)? != &135 {
        return None;
    }
    let target: [u8; 16] = frame.get(62..78)?.try_into().ok()?;
    let mac = MacAddr::of_link_local(Ipv6Addr::from(target)).unwrap_or(MacAddr([2; 6]));
    let mut answer = vec![];
    answer.extend(&frame[6..12]);
    answer.extend(mac.0);
    answer.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    answer.extend(target);
    answer.extend(&frame[22..38]);
    answer.extend([136, 0, 0, 0, 0x60, 0, 0, 0]); // solicited, override
    answer.extend(target);
    answer.extend([2, 1]);
    answer.extend(mac.0);
    fill_checksum(&mut answer);
    Some(answer)
}

/// Of ICMPv6, over the addresses, the message, and the rest of the pseudo header.
fn fill_checksum(frame: &mut [u8]) {
    frame[56..58].fill(0);
    let words = frame[22..].chunks(2);
    let words = words.map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum = words.fold(58 + 32, |sum, word| sum + word);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let sum = !u16::try_from(sum).unwrap();
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
}

/// Clients that are served: those that race, and those that are new.
fn everybody() -> std::ops::Range<u16> {
    0..CLIENTS + 2 * UNSEEN
}

/// It says nothing.
fn start_dnsmasq(host: &Host) -> Running {
    let mut hosts = String::new();
    for client in everybody() {
        let (mac, name, address) = (mac(client), name(client), address(client));
        writeln!(hosts, "{mac},tag:dhcpv6,{name}.lan.,[{address}]").unwrap();
    }
    let served = Dnsmasq {
        hosts: &hosts,
        options: "tag:subnet-1,option6:domain-search,lan.\n",
        ..Dnsmasq::default()
    };
    let network = [
        "--interface=br0",
        "--dhcp-range=set:subnet-1,2001:db8::,static,64,86400s",
        "--dhcp-lease-max=65536",
        "--domain=lan",
    ];
    host.spawn(&served.command(&host.place(), "/dev/null", &network))
}

/// Host reservations and no pool; leases in memory and appended to a file, on a tmpfs. It logs warnings only.
fn start_kea(host: &Host) -> Running {
    let reservation = |client| {
        serde_json::json!({
            "hw-address": mac(client).to_string(), "ip-addresses": [address(client)], "hostname": name(client)
        })
    };
    let option = |name: &str, data: &str| serde_json::json!({ "name": name, "data": data });
    let config = serde_json::json!({ "Dhcp6": {
        "interfaces-config": { "interfaces": ["br0"] },
        "lease-database": { "type": "memfile", "persist": true, "name": "/run/kea/leases", "lfc-interval": 0 },
        "server-id": { "type": "LL", "htype": 1, "identifier": "FA163EFF0002", "persist": false },
        "mac-sources": ["ipv6-link-local", "duid"],
        "host-reservation-identifiers": ["hw-address"],
        "reservations-in-subnet": true,
        "reservations-out-of-pool": true,
        "preferred-lifetime": 86400,
        "valid-lifetime": 86400,
        "loggers": [{ "name": "kea-dhcp6", "severity": "WARN", "output_options": [{ "output": "stderr" }] }],
        "subnet6": [{
            "subnet": "2001:db8::/64",
            "interface": "br0",
            "option-data": [option("dns-servers", "2001:db8::2"), option("domain-search", "lan")],
            "reservations": everybody().map(reservation).collect::<Vec<_>>(),
        }],
    }});
    host.place()
        .write("/run/kea/dhcp6.conf", &config.to_string());
    host.spawn(&["kea-dhcp6", "-c", "/run/kea/dhcp6.conf"])
}

fn mac(client: u16) -> MacAddr {
    let [high, low] = client.to_be_bytes();
    MacAddr([0xfa, 0x16, 0x3e, 0, high, low])
}

fn address(client: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, client)
}

fn name(client: u16) -> String {
    format!("host-{client}")
}

/// The daemon's part, in a process of its own, with the options that dnsmasq is given.
#[tokio::main]
async fn serve() {
    let subnet = Dhcp6Subnet {
        id: SubnetId(Uuid::from_u128(1)),
        cidr: "2001:db8::/64".parse().unwrap(),
        segment: None,
        local: true,
        stateful: true,
        dns: vec!["2001:db8::2".parse().unwrap()],
        ntp: Vec::new(),
    };
    let client = |number: u16| {
        let client = Dhcp6Client {
            port: PortId(Uuid::from_u128(number.into())),
            mac: mac(number),
            addresses: vec![(0, address(number))],
            fqdn: Some(format!("{}.lan", name(number)).into()),
            options: Vec::new(),
        };
        (client.mac, client.port, Arc::new(client))
    };
    let tenant = |number: u16| {
        let port = PortId(Uuid::from_u128(number.into()));
        (mac(number).link_local(), port, ())
    };
    let scope = Arc::new(Dhcp6Scope {
        network: NetworkId(Uuid::from_u128(1)),
        device: DevName::new("br0").unwrap(),
        mac: SERVER_MAC,
        options: Arc::default(),
        tags: Arc::default(),
        lease: 86400,
        mtu: Some(1450),
        search: vec!["lan".to_owned()],
        every_address: false,
        subnets: vec![subnet],
        clients: everybody().map(client).collect(),
        by_client_id: Claims::default(),
        tenants: everybody().map(tenant).collect(),
    });
    let home = netns::Namespace::home().unwrap();
    let _server = v6::Server::start(&home, scope, &unlimited()).await.unwrap();
    std::future::pending::<()>().await;
}

/// What the floor says to a client: ADVERTISE or REPLY, about as long as ours.
fn said(client: u16, kind: u8) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend(option(2, &[&[0, 3, 0, 1][..], &SERVER_MAC.0].concat()));
    message.extend(option(1, &[&[0, 3, 0, 1][..], &mac(client).0].concat()));
    let address = option(5, &[&address(client).octets()[..], &[0; 8]].concat());
    message.extend(option(3, &[&[0; 12][..], &address].concat()));
    message.resize(130, 0);
    Udp6 {
        to_mac: mac(client).0,
        from_mac: SERVER_MAC.0,
        from: SocketAddrV6::new(SERVER_MAC.link_local(), 547, 0, 0),
        to: SocketAddrV6::new(mac(client).link_local(), 546, 0, 0),
        payload: message,
    }
    .frame()
}

#[tokio::main]
async fn floor() {
    const GROUPS: &[Ipv6Addr] = &[Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2)];
    const TRANSACTION: std::ops::Range<usize> = 63..66;
    let home = netns::Namespace::home().unwrap();
    let device = DevName::new("br0").unwrap();
    let bind = "[::]:547".parse().unwrap();
    let listener = netns::socket::udp_listener(&home, bind, &device, GROUPS).await;
    let sender = netns::socket::frame_sender(&home, &device).await.unwrap();
    let frames: Vec<_> = everybody()
        .map(|client| [2, 7].map(|kind| said(client, kind)))
        .collect();
    let (mut listener, mut inbox, mut out) =
        (listener.unwrap(), Inbox::default(), Packed::default());
    loop {
        listener.readable().await.unwrap();
        listener.receive(&mut inbox, 64, 4096).unwrap();
        out.clear();
        for received in inbox.messages() {
            let message = received.message.unwrap();
            // The first option is the client's DUID, which ends with its MAC.
            let client = usize::from(u16::from_be_bytes([message[16], message[17]]));
            let frame = &frames[client][usize::from(message[0] == 3)];
            out.add(|bytes| {
                let start = bytes.len();
                bytes.extend(frame);
                let place = start + TRANSACTION.start..start + TRANSACTION.end;
                bytes[place].copy_from_slice(&message[1..4]);
            });
        }
        assert_eq!(sender.send_now(&out), 0);
    }
}
