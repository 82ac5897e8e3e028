//! The client matrix: real DHCP clients through every turn of a lease's life, watched on the wire.
//!
//! The same rows are asked of dnsmasq in the way in which Neutron starts it: what it answers is what people's images are used to.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::net::Ipv4Addr;
use std::time::Duration;

use common::{
    Client, Daemon, Dhcp, DhcpClient, Dnsmasq, Guest, Host, PATIENCE, Running, Wire, wait_for,
};
use dhcproto::v4::MessageType;
use nix::sys::signal::Signal;

const MAC: &str = "fa:16:3e:00:00:11";
const FAR_MAC: &str = "fa:16:3e:00:00:12";
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
/// The same MAC on the other network.
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 11);
/// A network behind a relay.
const FAR_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 11);
/// Long enough for a client's second try, if nobody answered its first.
const SILENCE: Duration = Duration::from_secs(4);

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Dnsmasq,
    Warren,
}

/// Two networks with a server on each, T1 of 3 s, T2 of 6 s, a lease of two minutes: `lan`, 10.0.0.0/24 and, behind a
/// relay, 10.2.0.0/24; and `other`, 10.1.0.0/24, where the same MAC has another address.
struct Lan {
    host: Host,
    /// Held for their `Drop`, and for what they said.
    dnsmasqs: Vec<Running>,
    warren: Option<Daemon>,
}

const TOPOLOGY: &str = r#"
lease = 120
lease_renewal = 3
lease_rebinding = 6

[[network]]
name = "lan"
bridge = "lan"
[[network.subnet]]
name = "near"
cidr = "10.0.0.0/24"
dhcp_address = "10.0.0.2"
[[network.subnet]]
name = "far"
cidr = "10.2.0.0/24"
dhcp_address = "10.2.0.2"

[[network]]
name = "other"
bridge = "other"
[[network.subnet]]
cidr = "10.1.0.0/24"
dhcp_address = "10.1.0.2"

[[instance]]
name = "vm"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:11"
addresses = ["10.0.0.11"]

[[instance]]
name = "mover"
[[instance.port]]
network = "other"
mac = "fa:16:3e:00:00:11"
addresses = ["10.1.0.11"]

[[instance]]
name = "far"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:12"
addresses = ["10.2.0.11"]
"#;

impl Lan {
    fn new(name: &str, server: Server) -> Option<Self> {
        let host = Host::new(name)?;
        let mut lan = Self {
            host,
            dnsmasqs: vec![],
            warren: None,
        };
        match server {
            Server::Warren => lan.warren = Some(lan.host.warren_run(TOPOLOGY)),
            Server::Dnsmasq => {
                lan.dnsmasq(
                    "lan",
                    "10.0.0",
                    &format!("{MAC},10.0.0.11\n{FAR_MAC},10.2.0.11\n"),
                );
                lan.dnsmasq("other", "10.1.0", &format!("{MAC},10.1.0.11\n"));
            }
        }
        Some(lan)
    }

    /// On the bridge itself.
    fn dnsmasq(&mut self, bridge: &str, net: &str, hosts: &str) {
        self.host.bridge(bridge);
        self.host.ip(&format!("addr add {net}.2/24 dev {bridge}"));
        let served = Dnsmasq {
            network: bridge,
            hosts,
            options: "option:T1,3\noption:T2,6\n",
            ..Dnsmasq::default()
        };
        self.dnsmasqs.push(served.start(
            &self.host.place(),
            &[
                "--log-dhcp",
                "--port=0",
                "--dhcp-authoritative",
                &format!("--interface={bridge}"),
                &format!("--dhcp-range={net}.0,static,255.255.255.0,120s"),
                "--dhcp-range=10.2.0.0,static,255.255.255.0,120s",
            ],
        ));
    }

    fn vm(&self) -> (Guest, Wire) {
        let vm = self.host.guest("vm", "lan", MAC);
        let wire = vm.wire();
        (vm, wire)
    }

    /// What the servers said.
    fn log(&self) -> String {
        let warren = self.warren.as_ref().map(Daemon::log);
        self.dnsmasqs
            .iter()
            .map(Running::log)
            .chain(warren)
            .collect()
    }
}

#[track_caller]
fn sees(wire: &Wire, kind: MessageType, client: &DhcpClient) -> Dhcp {
    wire.recv(PATIENCE, Dhcp::of(kind))
        .unwrap_or_else(|| panic!("no {kind:?} on the wire:\n{}", client.log()))
}

/// The REQUEST for more time of who has a lease. One more for the first lease, which a hurried client may send, is passed
/// over.
#[track_caller]
fn asks_for_more(dhcp: &mut DhcpClient, wire: &Wire, client: Client) -> Dhcp {
    dhcp.bound();
    sees(wire, MessageType::Ack, dhcp);
    if client == Client::Udhcpc {
        dhcp.signal(Signal::SIGUSR1);
    }
    let extension = |frame: &[u8]| {
        let request = Dhcp::of(MessageType::Request)(frame)?;
        (!request.message.ciaddr().is_unspecified()).then_some(request)
    };
    let request = wire
        .recv(PATIENCE, extension)
        .unwrap_or_else(|| panic!("no request for more time on the wire:\n{}", dhcp.log()));
    assert_eq!(
        (
            request.message.ciaddr(),
            request.server_id(),
            request.requested()
        ),
        (ADDRESS, None, None)
    );
    request
}

fn boots(server: Server, client: Client) {
    let Some(lan) = Lan::new("boot", server) else {
        return;
    };
    let (vm, wire) = lan.vm();
    let mut dhcp = vm.dhcp(client);
    let lease = dhcp.bound();
    assert_eq!(lease.address, ADDRESS);
    assert_eq!(lease.server_id, Some(SERVER));
    let offer = sees(&wire, MessageType::Offer, &dhcp);
    assert_eq!(offer.message.yiaddr(), ADDRESS);
    let request = sees(&wire, MessageType::Request, &dhcp);
    assert_eq!(
        (request.server_id(), request.requested()),
        (Some(SERVER), Some(ADDRESS))
    );
    assert!(vm.ping(SERVER));
}

fn renews(server: Server, client: Client) {
    let Some(lan) = Lan::new("renew", server) else {
        return;
    };
    let (vm, wire) = lan.vm();
    let mut dhcp = vm.dhcp(client);
    let request = asks_for_more(&mut dhcp, &wire, client);
    assert_eq!(*request.udp.to.ip(), SERVER, "renewing is by unicast");
    let ack = sees(&wire, MessageType::Ack, &dhcp);
    assert_eq!(*ack.udp.to.ip(), ADDRESS, "and so is the answer");
    assert_eq!(dhcp.bound().address, ADDRESS);
}

fn rebinds(server: Server, client: Client) {
    let Some(lan) = Lan::new("rebind", server) else {
        return;
    };
    let (vm, wire) = lan.vm();
    // The server is not reached by unicast, as when it moved to another host; broadcasts are raw frames and pass.
    vm.run(&["nft", "add table ip t; add chain ip t out { type filter hook output priority 0; }; add rule ip t out ip daddr 10.0.0.2 udp dport 67 drop"]).ok();
    let mut dhcp = vm.dhcp(client);
    let request = asks_for_more(&mut dhcp, &wire, client);
    assert!(request.is_broadcast());
    sees(&wire, MessageType::Ack, &dhcp);
    assert_eq!(dhcp.bound().address, ADDRESS);
}

fn reboots(server: Server, client: Client) {
    let Some(lan) = Lan::new("reboot", server) else {
        return;
    };
    let (vm, wire) = lan.vm();
    let mut dhcp = vm.dhcp(client);
    dhcp.bound();
    dhcp.crash();
    wire.drain();
    dhcp.boot();
    let request = sees(&wire, MessageType::Request, &dhcp);
    let server = if client == Client::Udhcpc {
        Some(SERVER)
    } else {
        None
    };
    assert_eq!(
        (
            request.message.ciaddr(),
            request.server_id(),
            request.requested()
        ),
        (Ipv4Addr::UNSPECIFIED, server, Some(ADDRESS))
    );
    sees(&wire, MessageType::Ack, &dhcp);
    assert_eq!(dhcp.bound().address, ADDRESS);
}

fn releases(server: Server, client: Client) {
    let Some(lan) = Lan::new("release", server) else {
        return;
    };
    let (vm, wire) = lan.vm();
    let mut dhcp = vm.dhcp(client);
    dhcp.bound();
    dhcp.release();
    let release = sees(&wire, MessageType::Release, &dhcp);
    assert_eq!(
        (release.message.ciaddr(), release.server_id()),
        (ADDRESS, Some(SERVER))
    );
    dhcp.boot();
    assert_eq!(dhcp.bound().address, ADDRESS);
}

fn declines(server: Server, client: Client) {
    let Some(lan) = Lan::new("decline", server) else {
        return;
    };
    let (vm, wire) = lan.vm();
    let squatter = lan.host.guest("squatter", "lan", "fa:16:3e:00:00:99");
    squatter.ip("addr add 10.0.0.11/24 dev eth0");
    let dhcp = vm.dhcp_probing(client);
    let decline = sees(&wire, MessageType::Decline, &dhcp);
    assert_eq!(
        (decline.requested(), decline.server_id()),
        (Some(ADDRESS), Some(SERVER))
    );
    let offered = wire.recv(SILENCE, Dhcp::of(MessageType::Offer));
    assert!(offered.is_none(), "{offered:?}\n{}", lan.log());
}

fn is_told_no(server: Server, client: Client) {
    let Some(lan) = Lan::new("nak", server) else {
        return;
    };
    let (vm, wire) = lan.vm();
    let mut dhcp = vm.dhcp(client);
    dhcp.bound();
    dhcp.crash();
    lan.host.ip(&format!("link set {} master other", vm.tap()));
    wire.drain();
    dhcp.boot();
    if client != Client::Udhcpc {
        let nak = sees(&wire, MessageType::Nak, &dhcp);
        assert!(nak.is_broadcast());
    }
    let lease = dhcp.bound();
    assert_eq!(lease.address, OTHER_ADDRESS);
}

/// Its address is another one from now on, in a subnet that is not the network's first.
fn is_given_another(server: Server, client: Client) {
    let Some(lan) = Lan::new("moved", server) else {
        return;
    };
    let far = lan.host.guest("far", "lan", FAR_MAC);
    let wire = far.wire();
    let mut dhcp = far.dhcp(client);
    assert_eq!(dhcp.bound().address, FAR_ADDRESS);
    let warren = lan.warren.as_ref().unwrap();
    warren.rewrite(&TOPOLOGY.replace("10.2.0.11", "10.2.0.12"));
    wait_for("the new address to hold", PATIENCE, || {
        let shown = warren.warren(&["show", "instance", "far"]).ok();
        shown.contains("10.2.0.12").then_some(())
    });
    if client == Client::Udhcpc {
        dhcp.signal(Signal::SIGUSR1);
    }
    let nak = sees(&wire, MessageType::Nak, &dhcp);
    assert_eq!(nak.server_id(), Some(Ipv4Addr::new(10, 2, 0, 2)));
    // Long before its lease ends.
    let mut address = dhcp.bound().address;
    while address == FAR_ADDRESS {
        address = dhcp.bound().address;
    }
    assert_eq!(address, Ipv4Addr::new(10, 2, 0, 12));
}

fn is_served_through_a_relay(server: Server, client: Client) {
    let Some(lan) = Lan::new("relay", server) else {
        return;
    };
    let relay = lan.host.guest("relay", "lan", "fa:16:3e:00:00:aa");
    lan.host.bridge("far");
    lan.host.plug(&relay, "eth1", "far", "fa:16:3e:00:00:ab");
    relay.ip("addr add 10.0.0.9/24 dev eth0\naddr add 10.2.0.1/24 dev eth1");
    if server == Server::Dnsmasq {
        lan.host.ip("route add 10.2.0.0/24 via 10.0.0.9");
    }
    relay.sh("echo 1 >/proc/sys/net/ipv4/ip_forward").ok();
    let mut relaying = relay.spawn(&[
        "dnsmasq",
        "-k",
        "--log-facility=-",
        "--log-dhcp",
        "--port=0",
        "--user=root",
        "--conf-file=/dev/null",
        "--dhcp-relay=10.2.0.1,10.0.0.2",
    ]);
    relaying.says("DHCP relay");
    let vm = lan.host.guest("far", "far", FAR_MAC);
    let wire = vm.wire();
    let mut dhcp = vm.dhcp(client);
    let lease = dhcp.bound();
    assert_eq!(lease.address, FAR_ADDRESS);
    let ack = sees(&wire, MessageType::Ack, &dhcp);
    assert_eq!(ack.message.giaddr(), Ipv4Addr::new(10, 2, 0, 1));
}

/// More routes than an option has room for: they come in pieces (RFC 3396).
#[test]
fn many_routes_are_all_taken() {
    let Some(host) = Host::new("routes") else {
        return;
    };
    let routes: Vec<String> = (1..=45)
        .map(|net| {
            format!(
                "{{ to = \"192.168.{net}.0/24\", via = \"10.0.0.{}\" }}",
                100 + net
            )
        })
        .collect();
    let near = "dhcp_address = \"10.0.0.2\"";
    let routed = format!("{near}\nhost_routes = [{}]", routes.join(", "));
    let _daemon = host.warren_run(&TOPOLOGY.replace(near, &routed));
    for client in Client::ALL {
        let vm = host.guest("vm", "lan", MAC);
        let wire = vm.wire();
        let mut dhcp = vm.dhcp(client);
        let lease = dhcp.bound();
        let offer = sees(&wire, MessageType::Offer, &dhcp);
        let of_routes = vm.run(&["ip", "-4", "route"]).ok();
        for net in 1..=45 {
            let want = format!("192.168.{net}.0/24 via 10.0.0.{} ", 100 + net);
            assert!(
                of_routes.contains(&want),
                "{client}: {want}\n{of_routes}\n{lease:?}\n{offer:?}"
            );
        }
    }
}

/// Too small for IPv6: the kernel has no settings of it there.
#[test]
fn a_small_mtu_is_told_and_kept() {
    let Some(host) = Host::new("small-mtu") else {
        return;
    };
    let router = "[[router]]\nname = \"r\"\ninterfaces = [\"other\"]\n";
    let with = |mtu: u16| {
        let text = TOPOLOGY.replace("\"10.1.0.2\"", "\"10.1.0.2\"\ngateway = \"10.1.0.1\"");
        let named = "bridge = \"other\"";
        text.replace(named, &format!("{named}\nmtu = {mtu}")) + router
    };
    let mut daemon = host.warren_run(&with(1200));
    let vm = host.guest("vm", "other", MAC);
    for (mtu, anew) in [(1200, false), (1500, false), (1200, false), (1200, true)] {
        if anew {
            daemon.stop();
            daemon.start();
        } else {
            daemon.rewrite(&with(mtu));
            wait_for("the MTU", PATIENCE, || {
                let shown = daemon.json(&["show", "network", "other"]);
                (shown["mtu"] == mtu).then_some(())
            });
        }
        daemon.converged();
        let lease = vm.udhcpc();
        assert_eq!((lease.address, lease.mtu), (OTHER_ADDRESS, Some(mtu)));
        assert!(vm.ping("10.1.0.1"), "{mtu}: the router");
        assert!(!daemon.log().contains("failed"), "{mtu}: {}", daemon.log());
    }
}

macro_rules! matrix {
    ($server:ident: $($turn:ident)*) => {$(
        mod $turn {
            use super::{Client, Server::$server};
            #[test]
            fn udhcpc() {
                super::super::$turn($server, Client::Udhcpc);
            }
            #[test]
            fn dhclient() {
                super::super::$turn($server, Client::Dhclient);
            }
            #[test]
            fn dhcpcd() {
                super::super::$turn($server, Client::Dhcpcd);
            }
        }
    )*};
}

mod warren {
    use super::{Client, Server};
    matrix!(Warren: boots renews rebinds reboots releases declines is_told_no is_given_another is_served_through_a_relay);
}

mod dnsmasq {
    use super::{Client, Server};
    matrix!(Dnsmasq: boots renews rebinds reboots releases declines is_told_no is_served_through_a_relay);
}
