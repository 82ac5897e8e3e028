//! Where the server's tests take place: a namespace with the server's device, and a wire that ends in our own.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use netns::socket::PacketSocket;
use netns::spec::{Link, Place};
use netns::{Namespace, NsName, Spec};
use nix::net::if_::InterfaceFlags;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::dhcp::tests::{self, Ask, mac};
use crate::dhcp::{Server, Shared};
use crate::model::{DevName, MacAddr};
use crate::plan::scope::DhcpScope;

/// Replies arrive well before this.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What never comes is not waited for longer.
const BRIEFLY: Duration = Duration::from_millis(300);

/// The test `name` of the server, in namespaces of its own.
pub(super) fn sandboxed(name: &str, test: impl Future<Output = ()>) {
    crate::sandboxed::sandboxed(&format!("dhcp::server::tests::{name}"), || {
        // One worker: who would starve others, can.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(test);
    });
}

/// The network 10.0.0.0/24 with the server at .2, and us at .9 on the other end of the wire.
pub(super) struct Ground {
    pub(super) server: Server,
    pub(super) inside: Namespace,
    wire: Arc<PacketSocket>,
    device: DevName,
}

/// A reply as it was on the wire.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) to_mac: MacAddr,
    pub(super) from_mac: MacAddr,
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) checksums_hold: bool,
}

impl Ground {
    pub(super) async fn new(name: &str) -> Self {
        let (inside, _) = Namespace::ensure(&NsName::new(name).unwrap())
            .await
            .unwrap();
        let wire = Arc::new(cable(&inside, name).await);
        let server = start(&inside).await;
        Self {
            server,
            inside,
            wire,
            device: end(name),
        }
    }

    /// Packet sockets in the server's namespace.
    pub(super) async fn packet_sockets(&self) -> usize {
        let list = || std::fs::read_to_string("/proc/thread-self/net/packet");
        let list = self.inside.enter(list).await.unwrap();
        list.lines().count() - 1 // the headline
    }

    /// Waits: the kernel takes its time for closing one.
    pub(super) async fn holds_no_packet_socket(&self) {
        let closed = async {
            while self.packet_sockets().await > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // Shorter than a network takes to be at rest.
        let closed = tokio::time::timeout(Shared::default().quiet / 2, closed);
        closed.await.expect("closed");
    }

    /// Another server in place of the one that is there.
    pub(super) async fn serve_by(&mut self, shared: Shared) {
        let (scope, shared) = (Arc::new(scope()), Arc::new(shared));
        self.server = Server::start(&self.inside, scope, &shared).await.unwrap();
    }

    /// The wire goes, with the devices at both of its ends.
    pub(super) async fn cut(&mut self) {
        let mut spec = Spec::default();
        spec.absent.insert(self.device.clone());
        netns::converge(&Namespace::home().unwrap(), &spec)
            .await
            .unwrap();
    }

    /// And comes again.
    pub(super) async fn join(&mut self, name: &str) {
        self.wire = Arc::new(cable(&self.inside, name).await);
    }

    /// Sends a request, and hears what comes back.
    pub(super) async fn ask(&self, ask: &Ask) -> Option<Heard> {
        self.ask_within(ask, PATIENCE).await
    }

    pub(super) async fn ask_briefly(&self, ask: &Ask) -> Option<Heard> {
        self.ask_within(ask, BRIEFLY).await
    }

    /// Sends a request as fast as it goes, until the returned value is dropped.
    pub(super) fn flood(&self, ask: &Ask) -> Flood {
        let (wire, frame) = (Arc::clone(&self.wire), request(ask));
        Flood(tokio::spawn(async move {
            loop {
                for _ in 0..256 {
                    let _queue_is_full = wire.try_send(&frame);
                }
                tokio::task::yield_now().await;
            }
        }))
    }

    async fn ask_within(&self, ask: &Ask, patience: Duration) -> Option<Heard> {
        self.wire.send(&request(ask)).await.unwrap();
        let listen = async {
            let mut frame = [0; 2000];
            loop {
                let length = self.wire.recv(&mut frame).await.unwrap();
                if let Some(heard) = Heard::parse(&frame[..length]) {
                    return heard;
                }
            }
        };
        timeout(patience, listen).await.ok()
    }
}

pub(super) struct Flood(JoinHandle<()>);

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Heard {
    /// `None`: no reply of a DHCP server.
    fn parse(frame: &[u8]) -> Option<Self> {
        let (ip, udp) = (frame.get(14..34)?, frame.get(34..)?);
        if ip[9] != 17 || udp.get(..4)? != [0, 67, 0, 68] {
            return None;
        }
        let mac = |at: usize| MacAddr(frame[at..at + 6].try_into().unwrap());
        let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&ip[at..at + 4]).unwrap());
        let pseudo = [&ip[12..20], &[0, 17], &udp[4..6]].concat();
        Some(Self {
            to_mac: mac(0),
            from_mac: mac(6),
            from: address(12),
            to: address(16),
            checksums_hold: sum(ip) == 0xffff && sum(&[&pseudo, udp].concat()) == 0xffff,
        })
    }
}

/// One's complement sum: all ones if a checksum in it is right.
fn sum(bytes: &[u8]) -> u32 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum
}

pub(super) async fn start(inside: &Namespace) -> Server {
    let shared = Arc::default();
    Server::start(inside, Arc::new(scope()), &shared)
        .await
        .unwrap()
}

/// What is served, on the device that [`cable`] makes.
pub(super) fn scope() -> DhcpScope {
    DhcpScope {
        device: DevName::new("tap0").unwrap(),
        ..tests::scope()
    }
}

/// CPU time of this program so far, in milliseconds.
pub(super) fn burned() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let millis = |time: TimeVal| time.tv_sec() * 1000 + time.tv_usec() / 1000;
    millis(usage.user_time()) + millis(usage.system_time())
}

/// Takes the DHCP port as a program does that does not share it.
pub(super) async fn hold_port(inside: &Namespace) -> std::net::UdpSocket {
    let bind = || std::net::UdpSocket::bind("0.0.0.0:67");
    inside.enter(bind).await.unwrap()
}

/// A client's frame: by broadcast, or to the server's address if the client knows it.
fn request(ask: &Ask) -> Vec<u8> {
    let (payload, unicast) = (ask.packet(), ask.is_unicast());
    let (to_mac, to) = if unicast {
        (mac(2), [10, 0, 0, 2])
    } else {
        (MacAddr::BROADCAST, [255; 4])
    };
    let length = u16::try_from(payload.len() + 8).unwrap();
    let mut frame = [&to_mac.0[..], &mac(0x99).0, &[8, 0]].concat();
    let mut ip = [
        &[0x45, 0][..],
        &(length + 20).to_be_bytes(),
        &[0, 0, 0, 0, 64, 17, 0, 0],
    ]
    .concat();
    ip.extend(if unicast { [10, 0, 0, 50] } else { [0; 4] });
    ip.extend(to);
    let checksum = !u16::try_from(sum(&ip)).unwrap();
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0, 68, 0, 67]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0]); // no checksum
    frame.extend(payload);
    frame
}

fn end(name: &str) -> DevName {
    DevName::new(format!("wire-{name}")).unwrap()
}

/// Ties the server's device to one here, and listens on that.
/// Waits until the kernel sends by this device: some time after both ends are up it drops what it is given.
async fn carries(ns: &Namespace, dev: &DevName) {
    let dev = dev.to_string();
    let running = move || {
        let mut all = nix::ifaddrs::getifaddrs()?.filter(|found| found.interface_name == dev);
        Ok(all.any(|found| found.flags.contains(InterfaceFlags::IFF_RUNNING)))
    };
    let running = async {
        while !ns.enter(running.clone()).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, running).await.expect("the wire carries");
}

async fn cable(inside: &Namespace, name: &str) -> PacketSocket {
    let addresses =
        |texts: &[&str]| -> Vec<IpNet> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    let tap = DevName::new("tap0").unwrap();
    let pair = Link::veth(tap.clone(), Place::Named(NsName::new(name).unwrap()));
    // Only the first wire has addresses at our end: two of them would be one network for the kernel.
    let here: &[&str] = if name == "one" { &["10.0.0.9/24"] } else { &[] };
    let mut spec = Spec::default();
    spec.links.insert(end(name), pair.addrs(addresses(here)));
    netns::converge(&Namespace::home().unwrap(), &spec)
        .await
        .unwrap();
    let mut spec = Spec::default();
    let served = addresses(&["10.0.0.1/24", "10.0.0.2/24", "10.1.0.2/24"]);
    spec.links
        .insert(tap.clone(), Link::existing().mac(mac(2)).addrs(served));
    netns::converge(inside, &spec).await.unwrap();
    carries(&Namespace::home().unwrap(), &end(name)).await;
    carries(inside, &tap).await;
    let ipv4 = 0x0800;
    netns::socket::packet(&Namespace::home().unwrap(), &end(name), ipv4)
        .await
        .unwrap()
}
