//! Where it takes place: two networks on one host. On `loud` there is somebody with a packet generator, and somebody who
//! only wants to be served; on `calm` there is a neighbour, who is measured.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use dhcproto::v4::MessageType;
use netns::MacAddr;

use super::common::{Daemon, Dhcp, Flood, Guest, Host, PATIENCE, Wire, discover, wait_for};
use super::figures::cpu_time;
use super::frames::query;

const TOPOLOGY: &str = r#"
dns_domain = "test"
metadata = { source = "file" }

[[network]]
name = "loud"
bridge = "br-loud"
[[network.subnet]]
cidr = "10.1.0.0/16"
dhcp_address = "10.1.0.2"
[[network.subnet]]
cidr = "fd00:1::/64"

[[network]]
name = "calm"
bridge = "br-calm"
[[network.subnet]]
cidr = "10.2.0.0/24"
dhcp_address = "10.2.0.2"

[[instance]]
name = "bad"
[[instance.port]]
network = "loud"
mac = "fa:16:3e:00:01:0b"
addresses = ["10.1.0.11"]

[[instance]]
name = "good"
[[instance.port]]
network = "loud"
mac = "fa:16:3e:00:01:0c"
addresses = ["10.1.0.12"]

[[instance]]
name = "neighbour"
[[instance.port]]
network = "calm"
mac = "fa:16:3e:00:02:0b"
addresses = ["10.2.0.11"]
"#;

/// An own leg of the router for router advertisements; without one, `loud` has its metadata from the DHCP namespace.
pub const ROUTER: &str = r#"
[[router]]
name = "r"
interfaces = ["fd00:1::/64"]
"#;

pub const BAD: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 1, 0xb]);
const GOOD: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 1, 0xc]);
const NEIGHBOUR: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 2, 0xb]);
pub const BAD_IP: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 11);
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Where DHCP and DNS answer on `loud`.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

/// What is not answered within this, is not answered.
const SOON: Duration = Duration::from_secs(1);

pub struct Ground {
    host: Host,
    pub daemon: Daemon,
    bad: Guest,
    pub good: Party,
    pub neighbour: Party,
}

/// Somebody who asks.
pub struct Party {
    guest: Guest,
    wire: Wire,
    mac: MacAddr,
    server: Ipv4Addr,
    name: &'static str,
    asked: Cell<u16>,
}

/// How somebody was served.
#[derive(Debug)]
pub struct Served {
    pub answered: usize,
    pub asked: usize,
    pub p99: Duration,
}

impl Ground {
    pub fn new(more: &str) -> Option<Self> {
        let host = Host::new("hostile")?;
        let daemon = host.warren_run(&format!("{TOPOLOGY}{more}"));
        daemon.converged();
        let guest = |name: &str, network: &str, mac: MacAddr, address: &str| {
            let guest = host.guest(name, &format!("br-{network}"), &mac.to_string());
            let server = address.rsplit_once('.').unwrap().0;
            guest.ip(&format!(
                "addr add {address}/24 dev eth0\nroute add {METADATA} via {server}.2"
            ));
            guest
        };
        let party = |name, network, mac, address: &str| {
            let guest = guest(name, network, mac, address);
            let wire = guest.wire();
            let server: Ipv4Addr = address.parse().unwrap();
            let [a, b, c, _] = server.octets();
            Party {
                guest,
                wire,
                mac,
                server: Ipv4Addr::new(a, b, c, 2),
                name,
                asked: Cell::new(1),
            }
        };
        let bad = guest("bad", "loud", BAD, "10.1.0.11");
        let good = party("good", "loud", GOOD, "10.1.0.12");
        let neighbour = party("neighbour", "calm", NEIGHBOUR, "10.2.0.11");
        let ground = Self {
            bad,
            good,
            neighbour,
            daemon,
            host,
        };
        for party in [&ground.good, &ground.neighbour] {
            wait_for("an offer", PATIENCE, || party.dhcp());
            wait_for("a name", PATIENCE, || party.dns());
        }
        wait_for("metadata", PATIENCE, || ground.neighbour.metadata());
        Some(ground)
    }

    pub fn flood(&self, frames: Vec<Vec<u8>>, per_second: u32) -> Flood {
        self.bad.flood(frames, per_second)
    }

    /// The MAC of `loud`'s own port.
    pub fn server_mac(&self) -> MacAddr {
        let network = self.daemon.json(&["show", "network", "loud"]);
        let ports = network["ports"].as_array().unwrap();
        let own = ports.iter().find(|port| port["owner"] == "dhcp").unwrap();
        own["mac"].as_str().unwrap().parse().unwrap()
    }

    /// Entries of all namespaces in the host's table of IPv4 neighbours.
    pub fn neighbours(&self) -> usize {
        let namespaces = self.host.namespaces();
        let of = |namespace: &String| {
            let shown = self.host.run_in(namespace, &["ip", "-4", "neigh", "show"]);
            shown.ok().lines().count()
        };
        namespaces.iter().map(of).sum()
    }

    pub fn counters(&self, kind: &str, name: &str, service: &str) -> serde_json::Value {
        self.daemon.json(&["show", kind, name])["counters"][service].clone()
    }

    /// CPU time of the daemon so far.
    pub fn spent(&mut self) -> Duration {
        cpu_time(self.daemon.pid().unwrap())
    }
}

impl Party {
    /// From a DISCOVER to its OFFER.
    pub fn dhcp(&self) -> Option<Duration> {
        let number = u32::from(self.next());
        let transaction = 0x7700_0000 | number;
        let begin = Instant::now();
        self.wire.send(&discover(self.mac, transaction));
        let mut of = Dhcp::of(MessageType::Offer);
        let ours = |frame: &[u8]| of(frame).filter(|offer| offer.message.xid() == transaction);
        self.wire.recv(SOON, ours)?;
        Some(begin.elapsed())
    }

    /// From a query for its own name to the answer.
    pub fn dns(&self) -> Option<Duration> {
        let (number, server) = (self.next(), self.server);
        let ask = query(number, &format!("{}.test", self.name));
        self.guest.inside(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect((server, 53)).unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            let begin = Instant::now();
            socket.send(&ask).ok()?;
            let mut answer = [0; 512];
            let length = socket.recv(&mut answer).ok()?;
            let named = answer[..length].starts_with(&number.to_be_bytes()) && answer[7] == 1;
            named.then(|| begin.elapsed())
        })
    }

    /// From the connection to the answer's end.
    pub fn metadata(&self) -> Option<Duration> {
        self.guest.inside(|| {
            let begin = Instant::now();
            let to = SocketAddr::from((METADATA, 80));
            let mut stream = TcpStream::connect_timeout(&to, SOON).ok()?;
            stream.set_read_timeout(Some(SOON)).unwrap();
            let ask = "GET /latest/meta-data/instance-id HTTP/1.0\r\n\r\n";
            stream.write_all(ask.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            answer.contains(" 200 ").then(|| begin.elapsed())
        })
    }

    /// Asks for so long, one after the other.
    pub fn ask(&self, ask: fn(&Self) -> Option<Duration>, time: Duration) -> Served {
        let end = Instant::now() + time;
        let (mut asked, mut took) = (0, Vec::new());
        while Instant::now() < end {
            asked += 1;
            took.extend(ask(self));
            // Within its own share.
            std::thread::sleep(Duration::from_millis(20));
        }
        took.sort();
        Served {
            answered: took.len(),
            asked,
            p99: took.get(took.len() * 99 / 100).copied().unwrap_or_default(),
        }
    }

    fn next(&self) -> u16 {
        self.asked.replace(self.asked.get().wrapping_add(1))
    }
}
