//! Where it takes place: two networks on one host. On `loud` there is somebody with a packet generator, and somebody who
//! only wants to be served; on `calm` there is a neighbour, who is measured.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use dhcproto::v4::MessageType;
use netns::MacAddr;
use socket2::SockRef;

use super::common::{
    ALL_NODES, Advertised, Daemon, Dhcp, Flood, Guest, Host, PATIENCE, Udp6, Wire, discover, stamp,
    stamped, wait_for,
};
use super::figures::cpu_time;
use super::frames::{SOLICIT, dhcp6, dhcp6_frame, duid, query, solicitation};

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
ipv6_ra_mode = "dhcpv6-stateful"
ipv6_address_mode = "dhcpv6-stateful"

[[network]]
name = "calm"
bridge = "br-calm"
[[network.subnet]]
cidr = "10.2.0.0/24"
dhcp_address = "10.2.0.2"
[[network.subnet]]
cidr = "fd00:2::/64"
ipv6_address_mode = "dhcpv6-stateful"

[[instance]]
name = "bad"
[[instance.port]]
network = "loud"
mac = "fa:16:3e:00:01:0b"
addresses = ["10.1.0.11", "fd00:1::b"]

[[instance]]
name = "good"
[[instance.port]]
network = "loud"
mac = "fa:16:3e:00:01:0c"
addresses = ["10.1.0.12", "fd00:1::c"]

[[instance]]
name = "neighbour"
[[instance.port]]
network = "calm"
mac = "fa:16:3e:00:02:0b"
addresses = ["10.2.0.11", "fd00:2::b"]
"#;

/// Two legs for router advertisements; without them, each network has its metadata from the DHCP namespace.
pub const ROUTER: &str = r#"
[[router]]
name = "r"
interfaces = ["fd00:1::/64", "fd00:2::/64"]
"#;

pub const BAD: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 1, 0xb]);
const GOOD: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 1, 0xc]);
const NEIGHBOUR: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 2, 0xb]);
pub const BAD_IP: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 11);
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Where DHCP and DNS answer on `loud`.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

/// A request whose answer is short.
const ASK: &[u8] = b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n";

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
#[derive(Default)]
pub struct Served {
    pub asked: usize,
    pub answered: usize,
    /// Until each answer; as long as it was waited for where none came.
    took: Vec<Duration>,
}

impl Served {
    /// Zero if nothing was asked.
    pub fn p99(&self) -> Duration {
        let mut took = self.took.clone();
        took.sort();
        took.get(took.len() * 99 / 100).copied().unwrap_or_default()
    }

    /// And then so.
    pub fn extend(&mut self, other: Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.took.extend(other.took);
    }
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
            wait_for("an address of IPv6", PATIENCE, || party.dhcp6());
            wait_for("a name", PATIENCE, || party.dns());
        }
        wait_for("metadata", PATIENCE, || ground.neighbour.metadata());
        Some(ground)
    }

    /// The same machines, and this.
    pub fn rewrite(&self, more: &str) {
        self.daemon.rewrite(&format!("{TOPOLOGY}{more}"));
    }

    pub fn flood(&self, frames: Vec<Vec<u8>>, per_second: u32) -> Flood {
        self.bad.flood(frames, per_second)
    }

    /// Somebody on `loud` does `work` with so many threads.
    pub fn hurry(&self, threads: usize, work: fn() -> u64) -> Flood {
        self.bad.hurry(threads, work)
    }

    /// The MAC of `loud`'s own port.
    pub fn server_mac(&self) -> MacAddr {
        let network = self.daemon.json(&["show", "network", "loud"]);
        let ports = network["ports"].as_array().unwrap();
        let own = ports.iter().find(|port| port["owner"] == "dhcp").unwrap();
        own["mac"].as_str().unwrap().parse().unwrap()
    }

    /// Entries of all namespaces in the host's table of neighbours of this IP version.
    pub fn neighbours(&self, version: &str) -> usize {
        let namespaces = self.host.namespaces();
        let of = |namespace: &String| {
            let shown = self
                .host
                .run_in(namespace, &["ip", version, "neigh", "show"]);
            shown.ok().lines().count()
        };
        namespaces.iter().map(of).sum()
    }

    /// Whether the good one on `loud` hears what is for everybody. It is a machine of its own in life, and what that spends on a
    /// flood is not the host's.
    pub fn good_hears_all(&self, all: bool) {
        let all = if all { "on" } else { "off" };
        let kinds = ["flood", "mcast_flood", "bcast_flood"].map(|kind| [kind, all]);
        let set = ["bridge", "link", "set", "dev", "good.eth0"];
        let words: Vec<_> = set.into_iter().chain(kinds.concat()).collect();
        self.host.machine().run(&words).ok();
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
        self.wire.drain();
        let begin = SystemTime::now();
        self.wire.send(&discover(self.mac, transaction));
        let mut of = Dhcp::of(MessageType::Offer);
        let ours = |frame: &[u8]| of(frame).filter(|offer| offer.message.xid() == transaction);
        let (_, came) = self.wire.recv_stamped(SOON, ours)?;
        came.duration_since(begin).ok()
    }

    /// From a SOLICIT to its ADVERTISE with an address.
    pub fn dhcp6(&self) -> Option<Duration> {
        let transaction = 0x77_0000 | u32::from(self.next());
        self.wire.drain();
        let begin = SystemTime::now();
        let message = dhcp6(SOLICIT, transaction, &duid(self.mac));
        let source = (self.mac.link_local(), 546);
        self.wire.send(&dhcp6_frame(self.mac, source, message));
        let begins = [&[2], &transaction.to_be_bytes()[1..]].concat();
        let address = [0xfd, 0, 0];
        let ours = |frame: &[u8]| {
            let told = Udp6::parse(frame).filter(|udp| udp.payload.starts_with(&begins))?;
            told.payload
                .windows(3)
                .find(|bytes| *bytes == address)
                .map(drop)
        };
        let (_, came) = self.wire.recv_stamped(SOON, ours)?;
        came.duration_since(begin).ok()
    }

    /// From a router solicitation to the advertisement, alone or to all. Asks seldom enough for one machine's share.
    pub fn ra(&self) -> Option<Duration> {
        std::thread::sleep(Duration::from_millis(300));
        self.wire.drain();
        let begin = SystemTime::now();
        self.wire.send(&solicitation(self.mac));
        let heard = [self.mac.link_local(), ALL_NODES];
        let ours = |frame: &[u8]| Advertised::parse(frame).filter(|said| heard.contains(&said.to));
        let (_, came) = self.wire.recv_stamped(SOON, ours)?;
        came.duration_since(begin).ok()
    }

    /// From a query for its own name to the answer; each from a port of its own.
    pub fn dns(&self) -> Option<Duration> {
        let number = self.next();
        let ask = query(number, &format!("{}.test", self.name));
        let bound = self.guest.inside(|| UdpSocket::bind("0.0.0.0:0"));
        let socket = bound.unwrap();
        stamp(&socket);
        socket.connect((self.server, 53)).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let begin = SystemTime::now();
        socket.send(&ask).ok()?;
        let mut answer = [0; 512];
        let (length, came) = stamped(&socket, &mut answer).ok()?;
        let named = answer[..length].starts_with(&number.to_be_bytes()) && answer[7] == 1;
        came.duration_since(begin).ok().filter(|_| named)
    }

    /// From the connection to the answer's end, as its machine reads it.
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
        let mut served = Served::default();
        while Instant::now() < end {
            served.asked += 1;
            let took = ask(self);
            served.answered += usize::from(took.is_some());
            served.took.push(took.unwrap_or(SOON));
            // Within its own share.
            std::thread::sleep(Duration::from_millis(10));
        }
        served
    }

    fn next(&self) -> u16 {
        self.asked.replace(self.asked.get().wrapping_add(1))
    }
}

/// Connects for metadata, asks, reads the answer, and does not say good-bye. 1: that was answered.
pub fn connect_and_ask() -> u64 {
    let to = SocketAddr::from((METADATA, 80));
    let Ok(mut stream) = TcpStream::connect_timeout(&to, SOON) else {
        return 0;
    };
    // Else its own ports are used up in a moment.
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut answer = [0; 4096];
    let asked = stream.write_all(ASK);
    let heard = asked.and_then(|()| stream.read(&mut answer));
    heard.map_or(0, |length| u64::from(length > 0))
}

/// Connects for metadata once, and asks on and on without waiting for answers, which it reads to make room for more.
/// How much it read, counted in answers.
pub fn ask_and_ask() -> u64 {
    let to = SocketAddr::from((METADATA, 80));
    let Ok(mut stream) = TcpStream::connect_timeout(&to, SOON) else {
        return 0;
    };
    stream.set_nodelay(true).unwrap();
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    let (end, many) = (Instant::now() + SOON, ASK.repeat(64));
    let (mut answers, mut read) = (vec![0; 65_536], 0);
    while Instant::now() < end {
        let asked = stream.write_all(&many);
        match asked.and_then(|()| stream.read(&mut answers)) {
            Ok(length @ 1..) => read += length as u64,
            Ok(0) | Err(_) => break,
        }
    }
    read / 256
}

/// Asks once, with a body that comes byte by byte and has no end. 1: it was sent as far as anybody would take it.
pub fn ask_byte_by_byte() -> u64 {
    let to = SocketAddr::from((METADATA, 80));
    let Ok(mut stream) = TcpStream::connect_timeout(&to, SOON) else {
        return 0;
    };
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    let head = "POST /latest/meta-data/instance-id HTTP/1.1\r\nHost: 169.254.169.254\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (end, bytes) = (Instant::now() + SOON, "1\r\nx\r\n".repeat(10_000));
    let mut sent = stream.write_all(head.as_bytes());
    while sent.is_ok() && Instant::now() < end {
        sent = stream.write_all(bytes.as_bytes());
    }
    1
}
