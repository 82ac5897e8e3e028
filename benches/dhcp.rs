//! DHCP exchanges (DISCOVER, OFFER, REQUEST, ACK) per CPU second: warren against the dnsmasq that Neutron starts per
//! network, with its lease file, and against Kea with memfile and host reservations.
//!
//! Each server has a sandboxed host of its own, and serves the same 500 clients, which one load generator plays on an
//! instance's interface. Server and load share one CPU, and only the server's CPU time counts: on a virtual machine that
//! is the steady figure. Rounds alternate, so that a noisy neighbour hits all.
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use uuid::Uuid;
use warren::dhcp::{Server, Shared};
use warren::model::{DevName, MacAddr, NetworkId, PortId, SubnetId};
use warren::plan::scope::{Claims, DhcpClient, DhcpScope, DhcpSubnet};

use common::{Guest, Host, PATIENCE, Running, Udp, Wire, udp_frame, wait_for};

/// The CPU that all share.
const CPU: usize = 0;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const CLIENTS: u16 = 500;
/// Clients that are in the middle of an exchange at any time: a rack that boots.
const AT_ONCE: u16 = 32;
/// After so long without any reply, those in the middle ask again.
const RESEND: Duration = Duration::from_millis(500);

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
    let mut only_one = CpuSet::new();
    only_one.set(CPU).unwrap();
    sched_setaffinity(Pid::from_raw(0), &only_one).unwrap();
    let servers: [(&str, &str, Start); 3] = [
        ("warren", "", start_warren),
        ("dnsmasq", ">= 100x", start_dnsmasq),
        ("Kea", ">= 5x", start_kea),
    ];
    let mut races: Vec<Race> = Vec::new();
    for (name, goal, start) in servers {
        let Some(race) = Race::new(name, goal, start) else {
            return;
        };
        races.push(race);
    }
    let stolen = steal();
    for _ in 0..ROUNDS {
        races.iter_mut().for_each(Race::round);
    }
    println!(
        "DHCP exchanges per CPU second of the server, {CLIENTS} clients, {AT_ONCE} at once, median of {ROUNDS} rounds of {} s (stolen meanwhile: {:.1} s)",
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

/// One server, and its 500 clients.
struct Race {
    name: &'static str,
    goal: &'static str,
    /// Held for their `Drop`.
    _host: Host,
    _guest: Guest,
    server: Running,
    load: Load,
    rates: Vec<f64>,
}

impl Race {
    fn new(name: &'static str, goal: &'static str, start: Start) -> Option<Self> {
        let host = Host::new("bench-dhcp")?;
        host.bridge("br0");
        host.ip(&format!(
            "link set br0 address {SERVER_MAC}\naddr add {SERVER}/16 dev br0"
        ));
        let guest = host.guest("load", "br0", "fa:16:3e:ff:00:09");
        let server = start(&host);
        let mut load = Load::new(guest.wire());
        // Every client once: leases are there, and so is the server.
        wait_for("the first lease", PATIENCE, || {
            (load.exchanges(1, RESEND) == 1).then_some(())
        });
        let all = u64::from(CLIENTS);
        assert_eq!(load.exchanges(all, PATIENCE), all, "{}", server.log());
        Some(Self {
            name,
            goal,
            _host: host,
            _guest: guest,
            server,
            load,
            rates: Vec::new(),
        })
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
    clients: Clients,
}

struct Clients {
    /// Transaction ids in use, and whose they are.
    going: HashMap<u32, u16>,
    next_client: u16,
    next_xid: u32,
    started: u64,
    done: u64,
}

impl Load {
    fn new(wire: Wire) -> Self {
        let clients = Clients {
            going: HashMap::new(),
            next_client: 0,
            next_xid: 1,
            started: 0,
            done: 0,
        };
        Self { wire, clients }
    }

    /// Makes `wanted` exchanges, or as many as fit into `limit`.
    fn exchanges(&mut self, wanted: u64, limit: Duration) -> u64 {
        let end = Instant::now() + limit;
        let Self { wire, clients } = self;
        (clients.started, clients.done) = (0, 0);
        clients.going.clear();
        wire.drain();
        let is_over = |clients: &Clients| clients.done == wanted || Instant::now() >= end;
        while !is_over(clients) {
            // At first, and when no reply comes any more: what is going on is begun again.
            let lost: Vec<u16> = clients.going.drain().map(|(_, client)| client).collect();
            lost.into_iter()
                .for_each(|client| clients.discover(client, wire));
            while clients.going.len() < AT_ONCE.into() && clients.started < wanted {
                clients.begin(wire);
            }
            wire.recv(RESEND, |frame| {
                let reply = Udp::parse(frame).filter(|udp| udp.to.port() == 68)?;
                if clients.hear(&reply, wire) && clients.started < wanted {
                    clients.begin(wire);
                }
                is_over(clients).then_some(())
            });
        }
        clients.done
    }
}

impl Clients {
    /// The next one's turn.
    fn begin(&mut self, wire: &Wire) {
        let client = self.next_client;
        self.next_client = (client + 1) % CLIENTS;
        self.started += 1;
        self.discover(client, wire);
    }

    fn discover(&mut self, client: u16, wire: &Wire) {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.going.insert(xid, client);
        wire.send(&frame(client, xid, 1, &[]));
    }

    /// Answers an OFFER; true if an ACK ended an exchange.
    fn hear(&mut self, reply: &Udp, wire: &Wire) -> bool {
        let message = &reply.payload;
        let xid = u32::from_be_bytes(message[4..8].try_into().unwrap());
        let Some(&client) = self.going.get(&xid) else {
            return false;
        };
        let address = address(client).octets();
        assert_eq!(message[16..20], address, "the client's address");
        let message_type = message[240..]
            .windows(3)
            .find(|option| option[..2] == [53, 1]);
        match message_type.unwrap()[2] {
            2 => {
                let chosen = [&[50, 4][..], &address, &[54, 4], &SERVER.octets()].concat();
                wire.send(&frame(client, xid, 3, &chosen));
                false
            }
            5 => {
                self.going.remove(&xid);
                self.done += 1;
                true
            }
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

fn start_warren(host: &Host) -> Running {
    let own = std::env::current_exe().unwrap();
    host.machine().spawn(&[own.to_str().unwrap(), "serve"])
}

/// As `neutron/agent/linux/dhcp.py` writes its command line and files. The lease file is on a tmpfs: a disk is slower.
fn start_dnsmasq(host: &Host) -> Running {
    let place = host.place();
    let (mut hosts, mut names) = (String::new(), String::new());
    for client in 0..CLIENTS {
        let (mac, name, address) = (mac(client), name(client), address(client));
        writeln!(hosts, "{mac},{name}.lan.,{address}").unwrap();
        writeln!(names, "{address} {name}.lan. {name}").unwrap();
    }
    place.write("/run/d/hosts", &hosts);
    place.write("/run/d/addn", &names);
    let options = "tag:subnet-1,option:router,10.0.0.1\n\
         tag:subnet-1,option:dns-server,10.0.0.2\n\
         tag:subnet-1,option:classless-static-route,169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1\n\
         tag:subnet-1,249,169.254.169.254/32,10.0.0.2,0.0.0.0/0,10.0.0.1\n";
    place.write("/run/d/opts", options);
    host.spawn(&[
        "dnsmasq",
        "-k",
        "--log-facility=/dev/null",
        "--user=root",
        "--no-hosts",
        "--no-resolv",
        "--pid-file=/run/d/pid",
        "--dhcp-hostsfile=/run/d/hosts",
        "--addn-hosts=/run/d/addn",
        "--dhcp-optsfile=/run/d/opts",
        "--dhcp-leasefile=/run/d/leases",
        "--dhcp-match=set:ipxe,175",
        "--dhcp-userclass=set:ipxe6,iPXE",
        "--local-service",
        "--interface=br0",
        "--bind-dynamic",
        "--dhcp-range=set:subnet-1,10.0.0.0,static,255.255.0.0,86400s",
        "--dhcp-option-force=option:mtu,1450",
        "--dhcp-lease-max=65536",
        "--conf-file=/dev/null",
        "--domain=lan",
    ])
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

/// What all threads of a process have used; the kernel counts nanoseconds here.
fn cpu_time(pid: Pid) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let spent = threads.map(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
    });
    spent.sum()
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
            addresses: vec![(0, address(number))],
            hostname: Some(name(number)),
            fqdn: Some(format!("{}.lan", name(number))),
            options: Vec::new(),
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
        domain_search: true,
        options: [].into(),
        broadcast_reply: false,
        only_v6: false,
        subnets: vec![subnet],
        clients: (0..CLIENTS).map(client).collect(),
        by_client_id: Claims::default(),
    });
    let home = netns::Namespace::home().unwrap();
    let shared = Arc::<Shared>::default();
    let _server = Server::start(&home, scope, &shared).await.unwrap();
    std::future::pending::<()>().await;
}
