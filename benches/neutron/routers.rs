//! Routers: until all forward through their floating IPs, what they cost, and when a floating IP works that was just set.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use nix::sys::socket::SockProtocol;
use serde_json::{Value, json};

use crate::cloud::{Cloud, Node};
use crate::common::{Udp, udp_frame, wait_until};
use crate::cost::{Cold, Meter, attempt};
use crate::frames::Frames;
use crate::notices::{Latency, Notices};
use crate::objects::Routed;
use crate::side::{self, Side};

/// Nothing here takes longer that works at all: on a quiet machine the agents need a tenth of it.
const DEADLINE: Duration = Duration::from_secs(900);
const COLD_EVERY: Duration = Duration::from_millis(50);
/// Floating IPs that are set one after the other.
const FLOATING: usize = 10;
/// Who starts no process for so long has started them all.
const REST: Duration = Duration::from_secs(15);
/// Without an answer for this long a floating IP leads nowhere.
const SILENT: Duration = Duration::from_millis(500);

/// The external network's gateway, and who asks from there.
const WORLD: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const WORLD_MAC: [u8; 6] = [2, 0, 0, 0xff, 0xff, 1];
const INSTANCE_MAC: [u8; 6] = [2, 0, 0, 0xff, 0xff, 2];
const SERVICE: u16 = 7;

/// What could not be got is `None`.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) routers: usize,
    pub(crate) cold: Option<Cold>,
    /// MiB of so many processes.
    pub(crate) memory: (f64, usize),
    pub(crate) floating: Option<Vec<Latency>>,
}

/// The server binds a router's ports when an agent asks for it the first time, which takes it longer than all else. That was
/// done before; on a node that then goes.
pub(crate) fn bind_ports(cloud: &Cloud, routed: &[Routed]) {
    let node = side::node(cloud);
    let _warren = Side::Warren.serve_routers(&node);
    until_forwarding(&node, routed, COLD_EVERY);
}

pub(crate) fn measure(cloud: &Cloud, side: Side, routed: &[Routed]) -> Figures {
    let node = side::node(cloud);
    let everything = Meter::start(&node);
    if side == Side::Reference {
        node.reference_metadata_agent();
    }
    let meter = Meter::without(&node, "neutron-metadat");
    let begin = Instant::now();
    let _service = side.serve_routers(&node);
    let cold = attempt(|| {
        let forwarding = until_forwarding(&node, routed, COLD_EVERY);
        Cold {
            time: *forwarding.iter().max().unwrap() - begin,
            cpu: meter.cpu(&node),
        }
    });
    eprintln!("{}: all routers forwarded after {cold:.2?}", side.name());
    let floating = attempt(|| floating(cloud, &node, routed));
    // Last: the agents start what answers metadata after all forward.
    at_rest(&node, &everything);
    Figures {
        routers: routed.len(),
        cold,
        memory: everything.memory(&node),
        floating,
    }
}

fn at_rest(node: &Node, meter: &Meter) {
    let (mut processes, mut since) = (0, Instant::now());
    let rest = wait_until(DEADLINE, || {
        std::thread::sleep(Duration::from_secs(1));
        let (_, now) = meter.memory(node);
        if now != processes {
            (processes, since) = (now, Instant::now());
        }
        since.elapsed() > REST
    });
    assert!(rest, "processes come and go");
}

fn floating(cloud: &Cloud, node: &Node, routed: &[Routed]) -> Vec<Latency> {
    let notices = Notices::listen(cloud);
    let some = routed.iter().take(FLOATING);
    let set = some.filter_map(|routed| {
        let to = |port| json!({ "port_id": port });
        cloud.update("floatingip", &routed.floating, &to(Value::Null));
        until_silent(node, routed);
        let begin = Instant::now();
        let through = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let every = Duration::from_millis(2);
                until_forwarding(node, std::slice::from_ref(routed), every)
            });
            cloud.update("floatingip", &routed.floating, &to(json!(routed.instance)));
            asking.join().unwrap()[0]
        });
        notices.latency(begin, through, "routers_updated", &["sync_routers"])
    });
    set.collect()
}

/// When each let a packet in, and the answer to it out.
fn until_forwarding(node: &Node, routed: &[Routed], every: Duration) -> Vec<Instant> {
    let through = ask(node, routed, every, DEADLINE);
    let silent = routed.iter().zip(&through).filter(|(_, at)| at.is_none());
    let silent: Vec<&Routed> = silent.map(|(routed, _)| routed).collect();
    assert!(
        silent.is_empty(),
        "{} do not forward: {silent:?}",
        silent.len()
    );
    through.into_iter().flatten().collect()
}

/// The agents may need seconds to take a floating IP away.
fn until_silent(node: &Node, routed: &Routed) {
    let one = std::slice::from_ref(routed);
    let every = Duration::from_millis(50);
    let silent = wait_until(DEADLINE, || ask(node, one, every, SILENT) == [None]);
    assert!(silent, "still forwards: {routed:?}");
}

/// When each let a packet in, and the answer to it out; `None`: not within `patience`.
fn ask(
    node: &Node,
    routed: &[Routed],
    every: Duration,
    patience: Duration,
) -> Vec<Option<Instant>> {
    let routed = routed.to_vec();
    node.place().inside(move || {
        let frames = Frames::open(SockProtocol::EthAll);
        let mut through: Vec<Option<Instant>> = vec![None; routed.len()];
        let begin = Instant::now();
        // A flow that came too early stays what it was: each question is a new one.
        let mut port = 1024;
        while through.contains(&None) && begin.elapsed() < patience {
            port = if port < 60_000 { port + 1 } else { 1024 };
            for (routed, _) in routed.iter().zip(&through).filter(|(_, at)| at.is_none()) {
                if let Some(gateway) = frames.index(&routed.gateway.device) {
                    frames.send(gateway, &question(routed, port));
                }
            }
            let next = Instant::now() + every;
            let devices: Vec<_> = routed
                .iter()
                .map(|routed| {
                    [&routed.gateway, &routed.interface].map(|end| frames.index(&end.device))
                })
                .collect();
            while Instant::now() < next && through.contains(&None) {
                let Some((device, frame)) = frames.receive() else {
                    frames.wait(next);
                    continue;
                };
                let at = |end: usize| devices.iter().position(|ends| ends[end] == Some(device));
                if let Some(number) = at(0) {
                    if let Some(answer) = resolve(&frame, WORLD, WORLD_MAC) {
                        frames.send(device, &answer);
                    } else if came_out(&frame, &routed[number]) {
                        through[number].get_or_insert_with(Instant::now);
                    }
                } else if let Some(number) = at(1) {
                    let address = routed[number].address;
                    let answer = resolve(&frame, address, INSTANCE_MAC);
                    if let Some(answer) = answer.or_else(|| reply(&frame, address)) {
                        frames.send(device, &answer);
                    }
                }
            }
        }
        through
    })
}

/// From the world to the floating IP.
fn question(routed: &Routed, port: u16) -> Vec<u8> {
    udp_frame(&Udp {
        to_mac: routed.gateway.mac.0,
        from_mac: WORLD_MAC,
        from: SocketAddrV4::new(WORLD, port),
        to: SocketAddrV4::new(routed.floating_address, SERVICE),
        payload: b"hello".to_vec(),
    })
}

/// The instance's answer to a question that came in.
fn reply(frame: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let question = Udp::parse(frame)?;
    let is_for_us = *question.to.ip() == address && question.to.port() == SERVICE;
    is_for_us.then(|| {
        udp_frame(&Udp {
            to_mac: question.from_mac,
            from_mac: INSTANCE_MAC,
            from: question.to,
            to: question.from,
            payload: question.payload,
        })
    })
}

fn came_out(frame: &[u8], routed: &Routed) -> bool {
    Udp::parse(frame).is_some_and(|udp| {
        *udp.from.ip() == routed.floating_address
            && udp.from.port() == SERVICE
            && udp.from_mac != WORLD_MAC
    })
}

/// The answer to a question (RFC 826) for the MAC of this address.
fn resolve(frame: &[u8], address: Ipv4Addr, mac: [u8; 6]) -> Option<Vec<u8>> {
    const REQUEST: [u8; 10] = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
    if frame.get(12..22)? != REQUEST || frame.get(38..42)? != address.octets() {
        return None;
    }
    let sender = &frame[22..32];
    let mut answer = Vec::with_capacity(42);
    answer.extend(&sender[..6]);
    answer.extend(mac);
    answer.extend(&REQUEST[..9]);
    answer.push(2);
    answer.extend(mac);
    answer.extend(address.octets());
    answer.extend(sender);
    Some(answer)
}
