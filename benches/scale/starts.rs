//! A whole cloud: started cold, killed and started again, and what it costs to hold.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use netns::{NsName, Spec};
use nix::unistd::Pid;
use warren::model::Target;
use warren::plan;

use crate::clients::Clients;
use crate::cloud::{self, NETWORKS, ROUTERS};
use crate::common::{Daemon, Guest, Host, tcp_stream, wait_until};
use crate::figures::median;
use crate::floor::Work;
use crate::run_inside;

const ROUNDS: usize = 3;
/// Of each cloud.
const RESTARTS: usize = 3;
/// A client repeats its question so often, which bounds how exact the figures are.
const EVERY: Duration = Duration::from_millis(20);

/// What one round gave.
#[derive(Debug)]
struct Round {
    ready: Duration,
    served: Duration,
    floor: Duration,
    restarts: Vec<Restart>,
    memory: Memory,
}

#[derive(Debug, Clone, Copy)]
struct Restart {
    /// From the start of the new process until the middle and the last network was served.
    middle: Duration,
    last: Duration,
    /// The last, from SIGKILL.
    outage: Duration,
}

/// MiB
#[derive(Debug, Clone, Copy)]
struct Memory {
    resident: f64,
    proportional: f64,
}

pub(crate) fn measure() {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let Some(round) = one_round() else { return };
        rounds.push(round);
    }
    let middle =
        |figure: fn(&Round) -> Duration| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    let [ready, served, floor] = [
        middle(|round| round.ready),
        middle(|round| round.served),
        middle(|round| round.floor),
    ];
    println!("{NETWORKS} networks and {ROUTERS} routers, median of {ROUNDS} rounds");
    println!(
        "  cold, until all answer DHCP: {served:.2?}; bare netlink doing the same creations: {floor:.2?}: {:.2}x (to reach: 2x); READY was said after {ready:.2?}",
        served.as_secs_f64() / floor.as_secs_f64()
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
    let ready = daemon.start();
    let served = last(&clients.until_offered(EVERY)) - begin;
    daemon.converged();
    let work = work(&host, &daemon);
    let guests = [0, 1].map(|number| guest(&host, number));
    let restarts = (0..RESTARTS).map(|_| restart(&mut daemon, &mut clients, &guests));
    let restarts = restarts.collect();
    let memory = memory(daemon.pid().unwrap());
    drop((guests, daemon, host));
    rest(before);
    let floor = floor(&work);
    rest(before);
    Some(Round {
        ready,
        served,
        floor,
        restarts,
        memory,
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
    let killed = Instant::now();
    daemon.kill9();
    let begin = Instant::now();
    let offered = std::thread::scope(|scope| {
        let asking = scope.spawn(|| clients.until_offered(EVERY));
        daemon.start();
        asking.join().unwrap()
    });
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

/// As soon as the daemon has nothing to do.
fn memory(pid: Pid) -> Memory {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let mebibytes = |name: &str| -> f64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes / 1024.0
    };
    Memory {
        resident: mebibytes("Rss:"),
        proportional: mebibytes("Pss:"),
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
fn floor(work: &Work) -> Duration {
    const WORK: &str = "/run/warren/work.json";
    const TOPOLOGY: &str = "/run/warren/topology.toml";
    let host = Host::new("bench-floor").expect("there was one before");
    host.machine()
        .write(WORK, &serde_json::to_string(work).unwrap());
    host.machine().write(TOPOLOGY, &cloud::topology());
    let seconds: f64 = run_inside(&host, "floor", WORK).trim().parse().unwrap();
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
    Duration::from_secs_f64(seconds)
}

fn last(times: &[Instant]) -> Instant {
    *times.iter().max().unwrap()
}

/// Deleted namespaces are taken down behind our back, under locks that the next round needs: waits until they are gone.
fn rest(before: usize) {
    const OTHERS: usize = 50;
    wait_until(Duration::from_secs(60), || {
        namespaces_of_kernel() < before + OTHERS
    });
}

/// How many network namespaces the kernel holds.
fn namespaces_of_kernel() -> usize {
    let slabs = fs::read_to_string("/proc/slabinfo").unwrap();
    let line = slabs
        .lines()
        .find_map(|line| line.strip_prefix("net_namespace"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
