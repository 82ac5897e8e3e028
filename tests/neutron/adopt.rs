//! A node where Neutron's own agents ran is taken over, and given back, with traffic that goes on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, Message, MessageType};
use serde_json::{Value, json};

use crate::cloud::{Cloud, LONG, Node, Service, id};
use crate::common::{
    Dhcp, Guest, HttpAnswer, HttpStub, Pinging, Place, StreamReport, TcpStreaming, Udp, tcp_stream,
    udp_frame, wait_for,
};
use crate::drop_in::{FILES, warren};

const AGENTS: [&str; 3] = [
    "neutron-dhcp-agent",
    "neutron-l3-agent",
    "neutron-metadata-agent",
];
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// Between two questions; a name server may take much quicker ones for an attack.
const PAUSE: Duration = Duration::from_millis(10);

/// A network with a router, served by whoever serves it: `vm1` has a floating IP, `vm2` has not.
struct Life<'a> {
    cloud: &'a Cloud,
    net1: &'a Node,
    dhcp: String,
    router: String,
    floating: Ipv4Addr,
    vm1: Guest,
    vm2: Guest,
    /// Has no traffic that goes on: its client may set its interface anew.
    vm3: Guest,
    world: Guest,
    _nova: HttpStub,
}

impl<'a> Life<'a> {
    fn begin(cloud: &'a Cloud, net1: &'a Node) -> Self {
        let network = cloud.create("network", json!({"name": "blue"}));
        let subnet = cloud.create(
            "subnet",
            json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.1.0.0/24"}),
        );
        let outside = cloud.create(
            "network",
            json!({"name": "outside", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "external"}),
        );
        cloud.create(
            "subnet",
            json!({"network_id": id(&outside), "ip_version": 4, "cidr": "203.0.113.0/24", "gateway_ip": "203.0.113.1", "enable_dhcp": false}),
        );
        let world = cloud.world("203.0.113.1/24");
        let gateway = json!({"network_id": id(&outside)});
        let router = cloud.create("router", json!({"external_gateway_info": gateway}));
        let interface = format!("/v2.0/routers/{}/add_router_interface", id(&router));
        cloud.put(&interface, &json!({"subnet_id": id(&subnet)}));
        let instance = |name, address| -> (Value, Guest) {
            let fixed = json!({"fixed_ips": [{"ip_address": address}]});
            let port = cloud.instance_port(id(&network), "net1", fixed);
            let guest = net1.guest(name, &port);
            cloud.port_active(id(&port));
            (port, guest)
        };
        let (port, vm1) = instance("vm1", "10.1.0.77");
        let (_, vm2) = instance("vm2", "10.1.0.78");
        let (_, vm3) = instance("vm3", "10.1.0.79");
        let floating = cloud.create(
            "floatingip",
            json!({"floating_network_id": id(&outside), "port_id": id(&port)}),
        );
        let floating = floating["floating_ip_address"].as_str().unwrap();
        let life = Self {
            cloud,
            net1,
            dhcp: format!("qdhcp-{}", id(&network)),
            router: format!("qrouter-{}", id(&router)),
            floating: floating.parse().unwrap(),
            vm1,
            vm2,
            vm3,
            world,
            _nova: cloud.nova(|request| {
                let who = request.header("x-instance-id").unwrap_or("nobody");
                HttpAnswer {
                    headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
                    ..HttpAnswer::new(200, format!("you are {who}"))
                }
            }),
        };
        life.vm1.udhcpc();
        life.vm2.udhcpc();
        wait_for("a way in", LONG, || {
            life.world.ping(life.floating).then_some(())
        });
        wait_for("a way out", LONG, || life.vm2.ping(OUTSIDE).then_some(()));
        life
    }

    /// All that the node is there for, asked anew.
    #[track_caller]
    fn works(&self) {
        let tails = || self.net1.tails();
        let lease = self.vm3.udhcpc();
        assert_eq!(lease.address, Ipv4Addr::new(10, 1, 0, 79), "{}", tails());
        assert!(self.world.ping(self.floating), "{}", tails());
        assert!(self.vm3.ping(OUTSIDE), "{}", tails());
        let answer = self
            .vm3
            .get("http://169.254.169.254/latest/meta-data/instance-id");
        assert!(answer.starts_with("you are "), "{answer}\n{}", tails());
    }

    fn programs_in(&self, namespace: &str) -> Vec<String> {
        let pids = self.net1.run(&["ip", "netns", "pids", namespace]).ok();
        let names = pids.lines().filter_map(|pid| {
            let name = self
                .net1
                .place()
                .read(&format!("/proc/{}/comm", pid.trim()))?;
            Some(name.trim().to_owned())
        });
        names.collect()
    }

    /// Rules of iptables, and nftables, in a namespace.
    fn rules(&self, namespace: &str) -> [String; 2] {
        let iptables = ["sh", "-c", "iptables-save; ip6tables-save"];
        let nft = ["sh", "-c", "nft list tables inet"];
        let text = |argv: &[&str]| self.net1.run_in(namespace, argv).ok();
        [text(&iptables), text(&nft)]
    }
}

/// Traffic both ways, by ping and TCP.
struct Traffic {
    pings: [(&'static str, Pinging); 2],
    streams: [(&'static str, TcpStreaming); 2],
    asking: [Asking; 3],
}

impl Traffic {
    fn begin(life: &Life<'_>, port: u16) -> Self {
        let Life {
            vm1, vm2, world, ..
        } = life;
        let server = life.name_server();
        Self {
            pings: [
                ("a ping through SNAT", vm2.pinging(OUTSIDE).flowing()),
                (
                    "a ping through a floating IP",
                    world.pinging(life.floating).flowing(),
                ),
            ],
            streams: [
                ("TCP through SNAT", tcp_stream(vm2, world, OUTSIDE, port)),
                (
                    "TCP through a floating IP",
                    tcp_stream(world, vm1, life.floating, port + 1),
                ),
            ],
            asking: [
                Asking::dns(vm2, server),
                Asking::dhcp(vm2),
                Asking::metadata(vm2),
            ],
        }
    }

    /// Nothing was lost.
    #[track_caller]
    fn end(self) {
        for (what, stream) in self.streams {
            let StreamReport {
                echoed,
                longest_stall,
                broken,
            } = stream.stop();
            println!("{what}: {echoed} numbers, longest stall {longest_stall:?}");
            assert_eq!(broken, None, "{what}");
            assert!(echoed > 100, "{what}: {echoed}");
        }
        for (what, ping) in self.pings {
            let report = ping.stop();
            println!("{what}: {report:?}");
            assert_eq!(report.lost(), 0, "{what}: {report:?}");
        }
        self.asking.into_iter().for_each(Asking::end);
    }
}

/// Asks again and again, to see how long nobody answers.
struct Asking {
    what: &'static str,
    stop: Arc<AtomicBool>,
    asker: JoinHandle<Duration>,
}

impl Asking {
    fn begin(what: &'static str, mut ask: impl FnMut() -> bool + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let asker = std::thread::spawn(move || {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                if ask() {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
                std::thread::sleep(PAUSE);
            }
            longest.max(last.elapsed())
        });
        Self { what, stop, asker }
    }

    /// For the address of its own name.
    fn dns(guest: &Guest, server: Ipv4Addr) -> Self {
        let socket = guest.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
        socket.set_read_timeout(Some(PAUSE)).unwrap();
        let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in ["host-10-1-0-78", "example", "org", ""] {
            question.push(u8::try_from(label.len()).unwrap());
            question.extend(label.as_bytes());
        }
        question.extend([0, 1, 0, 1]);
        Self::begin("DNS", move || {
            // Nobody there is an error, too.
            let _ = socket.send_to(&question, (server, 53));
            socket.recv(&mut [0; 512]).is_ok()
        })
    }

    /// For an offer.
    fn dhcp(guest: &Guest) -> Self {
        let wire = guest.wire();
        let (mac, any) = (wire.mac(), Ipv4Addr::UNSPECIFIED);
        let mut discover = Message::new(any, any, any, any, &mac);
        discover
            .opts_mut()
            .insert(DhcpOption::MessageType(MessageType::Discover));
        let frame = udp_frame(&Udp {
            to_mac: [0xff; 6],
            from_mac: mac,
            from: SocketAddrV4::new(any, 68),
            to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
            payload: discover.to_vec().unwrap(),
        });
        Self::begin("DHCP", move || {
            wire.drain();
            wire.send(&frame);
            wire.recv(2 * PAUSE, Dhcp::of(MessageType::Offer)).is_some()
        })
    }

    fn metadata(guest: &Guest) -> Self {
        let place = Place::clone(guest);
        Self::begin("metadata", move || {
            place.inside(|| ask_metadata().unwrap_or(false))
        })
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        println!(
            "longest time without {}: {:?}",
            self.what,
            self.asker.join().unwrap()
        );
    }
}

fn ask_metadata() -> std::io::Result<bool> {
    let address = SocketAddr::from(([169, 254, 169, 254], 80));
    let mut connection = TcpStream::connect_timeout(&address, 10 * PAUSE)?;
    connection.set_read_timeout(Some(50 * PAUSE))?;
    connection.write_all(
        b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.contains("you are "))
}

impl Life<'_> {
    /// The DHCP port's address.
    fn name_server(&self) -> Ipv4Addr {
        let network = self.dhcp.trim_start_matches("qdhcp-");
        let path = format!("/v2.0/ports?network_id={network}&device_owner=network:dhcp");
        let ports = self.cloud.get(&path);
        let address = &ports["ports"][0]["fixed_ips"][0]["ip_address"];
        address.as_str().unwrap().parse().unwrap()
    }
}

fn start_reference(node: &Node) {
    node.reference_dhcp_agent();
    node.reference_l3_agent();
    node.reference_metadata_agent();
}

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn a_node_is_taken_over_without_loss_and_given_back() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let net1 = cloud.node("net1");
    net1.linuxbridge_agent();
    start_reference(&net1);
    let life = Life::begin(&cloud, &net1);
    life.works();

    // Beside the agents it does not start, and says why.
    let refused = net1.warren(&[&["run"], &FILES[..]].concat());
    assert!(!refused.succeeded(), "{refused}");
    let why = "W1211]: failed to take the place of neutron-";
    assert!(refused.stderr.contains(why), "{refused}");

    let traffic = Traffic::begin(&life, 7001);
    AGENTS.iter().for_each(|agent| net1.stop(agent));
    let told = net1.warren(&["adopt", "--dry-run"]).ok();
    for word in [
        life.dhcp.as_str(),
        &life.router,
        "would keep device qg-",
        "would keep device ns-",
        "would end dnsmasq",
        "would end haproxy",
        "chains of iptables",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    println!("{told}");
    let [before, _] = life.rules(&life.router);
    assert!(before.contains("neutron-l3-agent-"), "{before}");
    let mut taker: Service = warren(&cloud, &net1);
    wait_for("the agents' rules to go", LONG, || {
        let [iptables, _] = life.rules(&life.router);
        let gone = !iptables.contains("neutron-");
        (gone && !life.rules(&life.dhcp)[0].contains("neutron-")).then_some(())
    });
    println!("{}", taker.log());
    for namespace in [&life.dhcp, &life.router] {
        assert_eq!(life.programs_in(namespace), [""; 0], "{}", taker.tail());
    }
    life.works();
    traffic.end();

    taker.stop();
    start_reference(&net1);
    let given = net1.warren(&["adopt", "--undo"]).ok();
    assert!(given.contains(&life.router), "{given}");
    wait_for("the agents' processes", LONG, || {
        let programs = life.programs_in(&life.dhcp);
        programs.contains(&"dnsmasq".to_owned()).then_some(())
    });
    for namespace in [&life.dhcp, &life.router] {
        let [_, nft] = life.rules(namespace);
        assert_eq!(nft, "", "{namespace}");
        let links = net1.run_in(namespace, &["ip", "-details", "link"]).ok();
        assert!(!links.contains("alias"), "{links}");
    }
    life.works();
    // Nothing is ours here.
    let nothing = net1.warren(&["cleanup", "--all", "--dry-run"]).ok();
    assert!(nothing.contains("nothing of warren's"), "{nothing}");
}
