//! DHCPv6 exchanges (SOLICIT, ADVERTISE, REQUEST, REPLY) per CPU second: warren against the dnsmasq that Neutron starts per
//! network, with its lease file, and against Kea with memfile and host reservations. And how long a client waits that the
//! kernel has never seen.
//!
//! As for IPv4: each server has a sandboxed host of its own, and serves the same clients, which one load generator plays on
//! an instance's interface. Server and load share one CPU, and only the server's CPU time counts. The peers are told whose
//! MAC is which while they race, since they would wait for neighbour discovery; warren never asks.
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../tests/common/mod.rs"]
mod common;
mod figures;

use std::collections::HashMap;
use std::fmt::Write;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use uuid::Uuid;
use warren::dhcp::{Shared, v6};
use warren::model::{DevName, MacAddr, NetworkId, PortId, SubnetId};
use warren::plan::scope::{Claims, Dhcp6Client, Dhcp6Scope, Dhcp6Subnet};

use figures::cpu_time;

use common::{Guest, Host, PATIENCE, Running, Udp6, Wire, settled, wait_for};

/// The CPU that all share.
const CPU: usize = 0;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// Each is an entry of the host's one neighbour table, which holds about a thousand.
const CLIENTS: u16 = 200;
/// Clients that are in the middle of an exchange at any time: a rack that boots.
const AT_ONCE: u16 = 32;
/// After so long without any reply, those in the middle ask again.
const RESEND: Duration = Duration::from_millis(500);
/// Clients that the kernel has never seen, each measured once.
const UNSEEN: u16 = 51;

const SERVER_MAC: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0xff, 0, 2]);

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        serve();
    } else {
        measure();
    }
}

fn measure() {
    let mut only_one = CpuSet::new();
    only_one.set(CPU).unwrap();
    sched_setaffinity(Pid::from_raw(0), &only_one).unwrap();
    let servers: [(&str, &str, Start); 3] = [
        ("warren", "", start_warren),
        ("dnsmasq", "-", start_dnsmasq),
        ("Kea", ">= 5x", start_kea),
    ];
    let mut races: Vec<Race> = Vec::new();
    for (name, goal, start) in servers {
        let Some(race) = Race::new(name, goal, start) else {
            return;
        };
        races.push(race);
    }
    println!(
        "A client that the kernel has never seen, {UNSEEN} of them, p50 and longest of SOLICIT to ADVERTISE:"
    );
    for race in &mut races {
        let by_mac = race.unseen(CLIENTS, |mac| mac.link_local());
        println!(
            "{}: link-local address made of the MAC: {by_mac}",
            race.name
        );
        let private = race.unseen(CLIENTS + UNSEEN, |mac| {
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
    races.iter().for_each(Race::tell_neighbours);
    let stolen = steal();
    for _ in 0..ROUNDS {
        races.iter_mut().for_each(Race::round);
    }
    println!(
        "DHCPv6 exchanges per CPU second of the server, {CLIENTS} clients, {AT_ONCE} at once, median of {ROUNDS} rounds of {} s (stolen meanwhile: {:.1} s)",
        ROUND.as_secs(),
        steal() - stolen
    );
    let warren = races[0].median();
    println!("warren: {warren:.0}, {:.1} us each", 1e6 / warren);
    for race in &races[1..] {
        let rate = race.median();
        println!(
            "{}: {rate:.0}, {:.1} us each; warren {:.1}x (to reach: {})",
            race.name,
            1e6 / rate,
            warren / rate,
            race.goal
        );
    }
}

type Start = fn(&Host) -> Running;

/// One server, and its clients.
struct Race {
    name: &'static str,
    goal: &'static str,
    host: Host,
    /// Held for its `Drop`.
    _guest: Guest,
    server: Running,
    load: Load,
    rates: Vec<f64>,
}

impl Race {
    fn new(name: &'static str, goal: &'static str, start: Start) -> Option<Self> {
        let host = Host::new("bench-dhcp6")?;
        host.bridge("br0");
        host.ip(&format!(
            "link set br0 address {SERVER_MAC}\naddr add 2001:db8::2/64 dev br0 nodad"
        ));
        let guest = host.guest("load", "br0", "fa:16:3e:ff:00:09");
        // Kea does not serve on an address that is not there yet.
        settled(&host.place(), "br0");
        let server = start(&host);
        let mut load = Load::new(guest.wire());
        wait_for("the first lease", PATIENCE, || {
            (load.exchanges(1, RESEND) == 1).then_some(())
        });
        Some(Self {
            name,
            goal,
            host,
            _guest: guest,
            server,
            load,
            rates: Vec::new(),
        })
    }

    /// Clients from `first` on, each with a source of its own.
    fn unseen(&mut self, first: u16, source: fn(MacAddr) -> Ipv6Addr) -> String {
        let mut took: Vec<Duration> = (first..first + UNSEEN)
            .map(|client| self.load.first_answer(client, source(mac(client))))
            .collect();
        took.sort();
        let [middle, last] =
            [took.len() / 2, took.len() - 1].map(|at| took[at].as_secs_f64() * 1e3);
        format!("{middle:.2} ms, {last:.2} ms")
    }

    fn tell_neighbours(&self) {
        let mut all = String::new();
        for client in 0..CLIENTS {
            let mac = mac(client);
            let ip = mac.link_local();
            writeln!(all, "neigh replace {ip} lladdr {mac} dev br0 nud permanent").unwrap();
        }
        self.host.ip(&all);
    }

    fn round(&mut self) {
        let pid = self.server.pid().unwrap();
        let before = cpu_time(pid);
        let done = self.load.exchanges(u64::MAX, ROUND);
        let spent = cpu_time(pid) - before;
        assert!(
            done > 100,
            "{} answers no more:\n{}",
            self.name,
            self.server.log()
        );
        #[allow(clippy::cast_precision_loss, reason = "there are not so many")]
        self.rates.push(done as f64 / spent.as_secs_f64());
    }

    fn median(&self) -> f64 {
        let mut sorted = self.rates.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

/// Plays the clients, each with an exchange of its own.
struct Load {
    wire: Wire,
    /// Transactions in use, and whose they are.
    going: HashMap<u32, u16>,
    next_client: u16,
    next_transaction: u32,
    started: u64,
    done: u64,
}

impl Load {
    fn new(wire: Wire) -> Self {
        Self {
            wire,
            going: HashMap::new(),
            next_client: 0,
            next_transaction: 1,
            started: 0,
            done: 0,
        }
    }

    /// Makes `wanted` exchanges, or as many as fit into `limit`.
    fn exchanges(&mut self, wanted: u64, limit: Duration) -> u64 {
        let end = Instant::now() + limit;
        (self.started, self.done) = (0, 0);
        self.going.clear();
        self.wire.drain();
        while self.done < wanted && Instant::now() < end {
            // At first, and when no reply comes any more: what is going on is begun again.
            let lost: Vec<u16> = self.going.drain().map(|(_, client)| client).collect();
            lost.into_iter().for_each(|client| self.solicit(client));
            while self.going.len() < AT_ONCE.into() && self.started < wanted {
                self.begin();
            }
            while self.done < wanted && Instant::now() < end {
                let reply = self.wire.recv(RESEND, |frame| match solicited(frame) {
                    Some(answer) => Some(Err(answer)),
                    None => Udp6::parse(frame)
                        .filter(|udp| udp.to.port() == 546)
                        .map(Ok),
                });
                match reply {
                    Some(Ok(reply)) => {
                        if self.hear(&reply) && self.started < wanted {
                            self.begin();
                        }
                    }
                    Some(Err(answer)) => self.wire.send(&answer),
                    None => break,
                }
            }
        }
        self.done
    }

    /// From the SOLICIT of somebody new to the ADVERTISE.
    fn first_answer(&mut self, client: u16, source: Ipv6Addr) -> Duration {
        let transaction = self.next_transaction;
        self.next_transaction += 1;
        self.wire.drain();
        let begin = Instant::now();
        self.wire
            .send(&frame_from(client, source, transaction, 1, &[]));
        loop {
            let heard = self.wire.recv(PATIENCE, |frame| match solicited(frame) {
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
                    self.wire.send(&answer);
                }
                None => return begin.elapsed(),
            }
        }
    }

    /// The next one's turn.
    fn begin(&mut self) {
        let client = self.next_client;
        self.next_client = (client + 1) % CLIENTS;
        self.started += 1;
        self.solicit(client);
    }

    fn solicit(&mut self, client: u16) {
        let transaction = self.next_transaction;
        self.next_transaction += 1;
        self.going.insert(transaction, client);
        self.wire.send(&frame(client, transaction, 1, &[]));
    }

    /// Answers an ADVERTISE; true if a REPLY ended an exchange.
    fn hear(&mut self, reply: &Udp6) -> bool {
        let message = &reply.payload;
        let transaction = number(message);
        let Some(&client) = self.going.get(&transaction) else {
            return false;
        };
        let address = address(client).octets();
        assert!(
            message.windows(16).any(|part| part == address),
            "the client's address"
        );
        match message[0] {
            2 => {
                let server = option_of(message, 2).expect("a server id");
                self.wire
                    .send(&frame(client, transaction, 3, &option(2, server)));
                false
            }
            7 => {
                self.going.remove(&transaction);
                self.done += 1;
                true
            }
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

fn start_warren(host: &Host) -> Running {
    let own = std::env::current_exe().unwrap();
    host.machine().spawn(&[own.to_str().unwrap(), "serve"])
}

/// Clients that are served: those that race, and those that are new.
fn everybody() -> std::ops::Range<u16> {
    0..CLIENTS + 2 * UNSEEN
}

/// As `neutron/agent/linux/dhcp.py` writes its command line and files. The lease file is on a tmpfs: a disk is slower.
fn start_dnsmasq(host: &Host) -> Running {
    let place = host.place();
    let mut hosts = String::new();
    for client in everybody() {
        let (mac, name, address) = (mac(client), name(client), address(client));
        writeln!(hosts, "{mac},tag:dhcpv6,{name}.lan.,[{address}]").unwrap();
    }
    place.write("/run/d/hosts", &hosts);
    place.write("/run/d/opts", "tag:subnet-1,option6:domain-search,lan.\n");
    host.spawn(&[
        "dnsmasq",
        "-k",
        "--log-facility=/dev/null",
        "--user=root",
        "--no-hosts",
        "--no-resolv",
        "--pid-file=/run/d/pid",
        "--dhcp-hostsfile=/run/d/hosts",
        "--dhcp-optsfile=/run/d/opts",
        "--dhcp-leasefile=/run/d/leases",
        "--dhcp-userclass=set:ipxe6,iPXE",
        "--local-service",
        "--interface=br0",
        "--bind-dynamic",
        "--dhcp-range=set:subnet-1,2001:db8::,static,64,86400s",
        "--dhcp-lease-max=65536",
        "--conf-file=/dev/null",
        "--domain=lan",
    ])
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

/// Seconds that the machine below took from this one, on all CPUs.
fn steal() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let ticks: f64 = stat.split_whitespace().nth(8).unwrap().parse().unwrap();
    ticks / 100.0
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
            fqdn: Some(format!("{}.lan", name(number))),
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
    let shared = Arc::<Shared>::default();
    let _server = v6::Server::start(&home, scope, &shared).await.unwrap();
    std::future::pending::<()>().await;
}
