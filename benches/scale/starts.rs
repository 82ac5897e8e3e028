//! A whole cloud: started cold, killed and started again, and what it costs to hold.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use netns::{NsName, Spec};
use nix::sched::{CloneFlags, unshare};
use warren::model::Target;
use warren::plan;

use crate::clients::Clients;
use crate::cloud::{self, NETWORKS, ROUTERS};
use crate::common::{Daemon, Guest, Host, tcp_stream, wait_until};
use crate::figures::{Memory, cpu_time_with_children, median};
use crate::floor::Work;
use crate::run_inside;

const ROUNDS: usize = 3;
/// Of each cloud.
const RESTARTS: usize = 2;
/// A client repeats its question so often, which bounds how exact the figures are.
const EVERY: Duration = Duration::from_millis(20);

/// What one round gave.
#[derive(Debug)]
struct Round {
    ready: Duration,
    cold: Cost,
    floor: Cost,
    restarts: Vec<Restart>,
    memory: Memory,
}

#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    /// Of all threads and children.
    cpu: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Restart {
    /// From the start of the new process until the middle and the last network was served.
    middle: Duration,
    last: Duration,
    /// The last, from SIGKILL.
    outage: Duration,
}

pub(crate) fn measure() {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let Some(round) = one_round() else { return };
        rounds.push(round);
    }
    let middle =
        |figure: fn(&Round) -> Duration| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    let ratio = |figure: fn(&Cost) -> Duration| {
        let of =
            |round: &Round| figure(&round.cold).as_secs_f64() / figure(&round.floor).as_secs_f64();
        median(&rounds.iter().map(of).collect::<Vec<_>>())
    };
    println!("{NETWORKS} networks and {ROUTERS} routers, medians of {ROUNDS} rounds");
    println!(
        "  cold, until all answer DHCP: {:.2?}; bare netlink doing the same creations: {:.2?}: {:.2}x (to reach: 2x); READY was said after {:.2?}",
        middle(|round| round.cold.wall),
        middle(|round| round.floor.wall),
        ratio(|cost| cost.wall),
        middle(|round| round.ready),
    );
    println!(
        "  the same in CPU time: {:.2?}; {:.2?}: {:.2}x",
        middle(|round| round.cold.cpu),
        middle(|round| round.floor.cpu),
        ratio(|cost| cost.cpu),
    );
    let restarts: Vec<Restart> = rounds
        .iter()
        .flat_map(|round| &round.restarts)
        .copied()
        .collect();
    let warm =
        |figure: fn(&Restart) -> Duration| median(&restarts.iter().map(figure).collect::<Vec<_>>());
    println!(
        "  warm, from the start until all answer DHCP: {:.0?}, half of them after {:.0?}, median of {} (to reach: 1 s); from kill -9: {:.0?}; no ping and no number of a TCP stream was lost",
        warm(|restart| restart.last),
        warm(|restart| restart.middle),
        restarts.len(),
        warm(|restart| restart.outage),
    );
    let resident = rounds.iter().map(|round| round.memory.resident);
    let proportional = rounds.iter().map(|round| round.memory.proportional);
    println!(
        "  memory then: {:.1} MiB resident, {:.1} MiB proportional (to reach: 64 MiB)",
        median(&resident.collect::<Vec<_>>()),
        median(&proportional.collect::<Vec<_>>()),
    );
}

fn one_round() -> Option<Round> {
    let before = namespaces_of_kernel();
    let host = Host::new("bench-scale")?;
    let mut daemon = Daemon::new(&host, &cloud::topology());
    let mut clients = clients(&host);
    let begin = Instant::now();
    let (ready, offered) = start(&mut daemon, &mut clients);
    let cold = Cost {
        wall: last(&offered) - begin,
        cpu: cpu_time_with_children(daemon.pid().unwrap()),
    };
    daemon.converged();
    let work = work(&host, &daemon);
    let guests = [0, 1].map(|number| guest(&host, number));
    let restarts = (0..RESTARTS).map(|_| restart(&mut daemon, &mut clients, &guests));
    let restarts = restarts.collect();
    let memory = Memory::of(daemon.pid().unwrap());
    drop((guests, daemon));
    take_down(host, before);
    let floor = floor(&work, before);
    Some(Round {
        ready,
        cold,
        floor,
        restarts,
        memory,
    })
}

/// Asked all the while: when it said READY, and when each client had its offer.
fn start(daemon: &mut Daemon, clients: &mut Clients) -> (Duration, Vec<Instant>) {
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| clients.until_offered(EVERY));
        let ready = daemon.start();
        (ready, asking.join().unwrap())
    })
}

fn clients(host: &Host) -> Clients {
    let bridges = (0..NETWORKS).map(|number| (cloud::bridge(number), cloud::mac(number)));
    host.machine().inside(|| Clients::open(bridges))
}

/// The instance on this network.
fn guest(host: &Host, number: u16) -> Guest {
    let mac = cloud::mac(number).to_string();
    let guest = host.guest(&format!("vm{number}"), &cloud::bridge(number), &mac);
    let address = cloud::address(number);
    let [a, b, c, _] = address.octets();
    guest.ip(&format!(
        "addr add {address}/24 dev eth0\nroute add default via {}",
        Ipv4Addr::new(a, b, c, 1)
    ));
    guest
}

/// Under a ping and a TCP stream from one network to the next.
fn restart(daemon: &mut Daemon, clients: &mut Clients, [one, other]: &[Guest; 2]) -> Restart {
    let pinging = one.pinging(cloud::address(1)).flowing();
    let stream = tcp_stream(one, other, cloud::address(1), 7000);
    // All clients were served a moment ago, which is the worst that can be for the end of the process: see `dhcp/sockets.rs`.
    let killed = Instant::now();
    daemon.kill9();
    let begin = Instant::now();
    let (_, offered) = start(daemon, clients);
    daemon.converged();
    let (pings, stream) = (pinging.stop(), stream.stop());
    assert_eq!(pings.lost(), 0, "{pings:?}");
    assert_eq!(stream.broken, None, "{stream:?}");
    Restart {
        middle: median(&offered) - begin,
        last: last(&offered) - begin,
        outage: last(&offered) - killed,
    }
}

/// The same for bare netlink: what the daemon planned, and the tables that it loaded.
fn work(host: &Host, daemon: &Daemon) -> Work {
    let path = |path: &str| host.machine().path(path);
    let loaded =
        warren::topology::load(&path(daemon.topology()), &path(daemon.state_dir())).unwrap();
    let (state, settings) = (loaded.state, loaded.settings);
    let networks = state.networks.keys().map(|id| Target::Network(*id));
    let routers = state.routers.keys().map(|id| Target::Router(*id));
    let mut work = Work::default();
    for target in networks.chain(routers) {
        let plan = plan::plan(&state, target, &settings).unwrap();
        let Spec {
            links,
            sysctls,
            ownership,
            ..
        } = plan.host;
        work.host.ownership = ownership;
        work.host.links.extend(links);
        work.host.sysctls.extend(sysctls);
        let Some(inside) = plan.inside else { continue };
        let namespace = plan::namespace(target);
        if inside.ruleset.is_some() {
            work.tables
                .insert(namespace.clone(), table(host, &namespace));
        }
        work.namespaces.insert(
            namespace,
            Spec {
                ruleset: None,
                ..inside
            },
        );
    }
    work
}

fn table(host: &Host, namespace: &NsName) -> String {
    host.run_in(
        namespace.as_str(),
        &["nft", "-j", "list", "table", "inet", plan::MARK],
    )
    .ok()
}

/// Bare netlink on a host of its own, after which the daemon would have nothing to do.
fn floor(work: &Work, before: usize) -> Cost {
    const WORK: &str = "/run/warren/work.json";
    const TOPOLOGY: &str = "/run/warren/topology.toml";
    let host = Host::new("bench-floor").expect("there was one before");
    host.machine()
        .write(WORK, &serde_json::to_string(work).unwrap());
    host.machine().write(TOPOLOGY, &cloud::topology());
    let said = run_inside(&host, "floor", WORK);
    let seconds = said
        .split_whitespace()
        .map(|number| Duration::from_secs_f64(number.parse().unwrap()));
    let [wall, cpu] = seconds.collect::<Vec<_>>()[..] else {
        panic!("{said}");
    };
    let left = host
        .warren(&[
            "plan",
            "--topology",
            TOPOLOGY,
            "--state-dir",
            "/run/warren/state",
        ])
        .ok();
    assert_eq!(
        left.trim(),
        "nothing to do",
        "the floor made something else"
    );
    take_down(host, before);
    Cost { wall, cpu }
}

fn last(times: &[Instant]) -> Instant {
    *times.iter().max().unwrap()
}

/// Ends all that is on the host, and waits until the kernel is done with it: that goes on behind our back, under locks that the
/// next round needs. The end of a bridge takes it 20 ms and more under the lock of all devices; all of them at once with
/// their namespace would keep everybody else from the network for as long as half a minute.
pub(crate) fn take_down(host: Host, before: usize) {
    const OTHERS: usize = 50;
    let bridges: Vec<u16> = (0..NETWORKS).collect();
    for some in bridges.chunks(100) {
        let line = |number: &u16| format!("link del {}\n", cloud::bridge(*number));
        host.ip(&some.iter().map(line).collect::<String>());
    }
    drop(host);
    let gone = wait_until(Duration::from_secs(120), || {
        end_a_namespace();
        namespaces_of_kernel() < before + OTHERS
    });
    if !gone {
        println!("  (the kernel is still taking down namespaces: the next figures suffer)");
    }
}

/// With the next one that ends, newer kernels free what is left of those that have ended.
fn end_a_namespace() {
    std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET).unwrap())
        .join()
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
}

/// How many network namespaces the kernel holds.
pub(crate) fn namespaces_of_kernel() -> usize {
    let slabs = fs::read_to_string("/proc/slabinfo").unwrap();
    let line = slabs
        .lines()
        .find_map(|line| line.strip_prefix("net_namespace"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
