//! Networks: until all serve, how long they are silent over a restart, what they cost, and when a new port is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cloud::{Cloud, LONG, Node, Service, id};
use crate::common::{wait_for, wait_until};
use crate::cost::{self, Cold, Meter, attempt};
use crate::dhcp::{self, Silence};
use crate::guests;
use crate::notices::{Latency, Notices};
use crate::objects::Tenant;
use crate::side::{self, Side};

/// Nothing here takes longer that works at all.
const DEADLINE: Duration = Duration::from_secs(900);
const COLD_EVERY: Duration = Duration::from_millis(50);
/// Ports that are made one after the other.
const PORTS: u8 = 10;
/// Guests that boot at the same time.
const GUESTS: usize = 16;
const LOAD: Duration = Duration::from_secs(10);

/// What could not be got is `None`.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) networks: usize,
    pub(crate) cold: Option<Cold>,
    /// MiB of so many processes.
    pub(crate) memory: (f64, usize),
    pub(crate) ports: Option<Vec<Latency>>,
    pub(crate) warm: Option<Warm>,
    pub(crate) metadata: Option<Metadata>,
}

/// Requests while instances boot, and the CPU time of those who serve them, without what they use when nobody asks.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) requests: usize,
    pub(crate) node: Duration,
    pub(crate) control: Duration,
}

#[derive(Debug)]
pub(crate) struct Warm {
    pub(crate) silence: Silence,
    pub(crate) metadata: Duration,
    /// How often those were asked: an answered network is silent for as long.
    pub(crate) every: Duration,
    pub(crate) metadata_every: Duration,
    pub(crate) synced: Duration,
}

/// The networks' ports that they are served from; on a node that then goes.
pub(crate) fn make_own_ports(cloud: &Cloud, tenants: Vec<Tenant>) -> Vec<Tenant> {
    let node = side::node(cloud);
    let mut warren = Side::Warren.serve_networks(&node);
    wait_for("the networks' own ports", LONG, || {
        std::thread::sleep(Duration::from_millis(500)); // the server is busy enough
        let ports = cloud.get("/v2.0/ports?device_owner=network:dhcp&fields=id");
        let made = ports["ports"].as_array().map_or(0, Vec::len);
        (made >= tenants.len()).then_some(())
    });
    warren.stop();
    Tenant::with_own_ports(cloud, tenants)
}

pub(crate) fn measure(cloud: &Cloud, side: Side, tenants: &[Tenant]) -> Figures {
    let node = side::node(cloud);
    let local = |tenant: &Tenant| format!("route add local {} dev lo\n", tenant.address);
    node.ip(&tenants.iter().map(local).collect::<String>());
    let everything = Meter::start(&node);
    if side == Side::Reference {
        node.reference_metadata_agent();
    }
    let meter = Meter::without(&node, "neutron-metadat");
    let begin = Instant::now();
    let mut service = side.serve_networks(&node);
    let cold = attempt(|| Cold {
        time: until_served(&node, tenants) - begin,
        cpu: meter.cpu(&node),
    });
    eprintln!("{}: all networks were served after {cold:.2?}", side.name());
    let metadata = attempt(|| {
        service.says(side.synced());
        metadata(cloud, &node, tenants, &everything)
    });
    let memory = everything.memory(&node);
    let ports = attempt(|| ports(cloud, &node, tenants));
    eprintln!("{}: {metadata:?}, {memory:?} MiB, {ports:.1?}", side.name());
    let warm = attempt(|| restart(&node, side, &mut service, tenants));
    eprintln!("{}: {warm:.2?}", side.name());
    Figures {
        networks: tenants.len(),
        cold,
        memory,
        ports,
        warm,
        metadata,
    }
}

/// When the last of them was.
fn until_served(node: &Node, tenants: &[Tenant]) -> Instant {
    std::thread::scope(|scope| {
        let all = tenants.to_vec();
        let offered = scope.spawn(|| {
            let ask = move || dhcp::until_offered(all, COLD_EVERY, DEADLINE);
            node.place().inside(ask)
        });
        let all = tenants.to_vec();
        let answered = node
            .place()
            .inside(move || guests::until_answered(all, DEADLINE));
        let served = offered.join().unwrap().into_iter().chain(answered);
        served.max().unwrap()
    })
}

fn metadata(cloud: &Cloud, node: &Node, tenants: &[Tenant], meter: &Meter) -> Metadata {
    let all = tenants.to_vec();
    let spent = || (meter.cpu(node), cost::control(cloud));
    let begin = spent();
    std::thread::sleep(LOAD);
    let quiet = spent();
    let boot = move || guests::boot(&all, GUESTS, LOAD);
    let requests = node.place().inside(boot);
    let end = spent();
    let more = |[begin, quiet, end]: [Duration; 3]| {
        let idle = quiet.saturating_sub(begin);
        end.saturating_sub(quiet).saturating_sub(idle)
    };
    Metadata {
        requests,
        node: more([begin.0, quiet.0, end.0]),
        control: more([begin.1, quiet.1, end.1]),
    }
}

fn ports(cloud: &Cloud, node: &Node, tenants: &[Tenant]) -> Vec<Latency> {
    let notices = Notices::listen(cloud);
    let made = (0..PORTS).zip(tenants).filter_map(|(number, tenant)| {
        let mut tenant = tenant.clone();
        tenant.mac.0 = [0xfa, 0x16, 0x3e, 0xff, tenant.mac.0[5], number];
        let port = json!({"mac_address": tenant.mac.to_string()});
        let begin = Instant::now();
        let offered = std::thread::scope(|scope| {
            let (place, asking) = (node.place(), vec![tenant.clone()]);
            let asking = scope.spawn(move || {
                let every = Duration::from_millis(2);
                place.inside(move || dhcp::until_offered(asking, every, LONG))
            });
            let port = cloud.instance_port(&tenant.network, "net1", port);
            let offered = asking.join().unwrap();
            // The other side shall find what this one found.
            cloud.remove("port", id(&port));
            offered
        });
        let questions = ["get_network_info"];
        notices.latency(begin, offered[0], "port_create_end", &questions)
    });
    made.collect()
}

/// In good order, as an upgrade does.
fn restart(node: &Node, side: Side, service: &mut Service, tenants: &[Tenant]) -> Warm {
    // What asks must not keep the reference from its work, and its metadata takes milliseconds of CPU time each.
    let (every, metadata_every) = match side {
        Side::Warren => (Duration::from_millis(50), Duration::from_millis(100)),
        Side::Reference => (Duration::from_millis(200), Duration::from_secs(5)),
    };
    let stop = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (all, stopped) = (tenants.to_vec(), Arc::clone(&stop));
        let asking = scope.spawn(move || {
            let watch = move || dhcp::watch(all, every, &stopped);
            node.place().inside(watch)
        });
        let (all, stopped) = (tenants.to_vec(), Arc::clone(&stop));
        let getting = scope.spawn(move || {
            let watch = move || guests::watch(all, metadata_every, &stopped);
            node.place().inside(watch)
        });
        std::thread::sleep(Duration::from_secs(1));
        service.stop();
        let begin = Instant::now();
        service.start();
        let synced = wait_until(DEADLINE, || service.says_now(side.synced()));
        let after = begin.elapsed();
        std::thread::sleep(Duration::from_secs(2));
        // First of all: who asks would go on for ever.
        stop.store(true, Ordering::Relaxed);
        let (silence, metadata) = (asking.join().unwrap(), getting.join().unwrap());
        assert!(synced, "{}", service.tail());
        Warm {
            silence,
            metadata,
            every,
            metadata_every,
            synced: after,
        }
    })
}
