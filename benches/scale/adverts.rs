//! 500 IPv6 links that are advertised on, with everything that the daemon's loop does beside; and radvd in the same namespaces,
//! one for each router as Neutron's agent starts them.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use nix::unistd::Pid;
use warren::status::{Ask, Reply};
use warren::topology;

use crate::cloud;
use crate::common::{Host, Running};
use crate::daemon::Loop;
use crate::figures::{Memory, cpu_time};
use crate::starts;

const LINKS: u16 = 500;
const ROUTERS: u16 = 50;
const OF_EACH: u16 = LINKS / ROUTERS;
const TOPOLOGY: &str = "/run/warren/topology.toml";
/// The first three come quickly, whatever the interval: that passes.
const BEGINNING: Duration = Duration::from_secs(40);

/// Seconds between two on a link: at least, at most.
struct Pace {
    part: &'static str,
    interval: (u16, u16),
    /// So long is measured.
    window: Duration,
}

/// The first is nearly silence: what the loop costs without them, which is to be taken from the others.
const PACES: [Pace; 3] = [
    Pace {
        part: "adverts-seldom",
        interval: (1350, 1800),
        window: Duration::from_secs(60),
    },
    Pace {
        part: "adverts",
        interval: (30, 100),
        window: Duration::from_secs(100),
    },
    Pace {
        part: "adverts-often",
        interval: (3, 4),
        window: Duration::from_secs(40),
    },
];

pub(crate) fn measure() {
    let before = starts::namespaces_of_kernel();
    let Some(host) = Host::new("bench-ra") else {
        return;
    };
    host.machine().write(TOPOLOGY, &cloud());
    println!(
        "{LINKS} IPv6 links of {ROUTERS} routers, an advertisement on each every interval (to reach: < 1 % of a core more than seldom)"
    );
    for pace in &PACES {
        let (least, most) = pace.interval;
        println!("  every {least} to {most} s");
        print!("{}", run(&host, pace.part));
        radvd(&host, pace);
    }
    starts::take_down(host, before);
}

/// Takes longer than a command of a test may.
fn run(host: &Host, part: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let argv = [own.to_str().unwrap(), "inside", part, TOPOLOGY];
    let output = host.machine().command(&argv).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Each network with one subnet of SLAAC.
fn cloud() -> String {
    let mut text = String::new();
    for number in 0..LINKS {
        write!(
            text,
            "[[network]]\nname = \"n{number}\"\nbridge = \"{}\"\n[[network.subnet]]\ncidr = \"fd00:{number:x}::/64\"\n",
            cloud::bridge(number)
        )
        .unwrap();
    }
    for router in 0..ROUTERS {
        let first = router * OF_EACH;
        let joined: Vec<_> = (first..first + OF_EACH).map(|n| format!("n{n}")).collect();
        write!(
            text,
            "[[router]]\nname = \"r{router}\"\ninterfaces = {joined:?}\n"
        )
        .unwrap();
    }
    text
}

#[tokio::main]
pub(crate) async fn inside(part: &str, topology: &str) {
    let pace = PACES.iter().find(|pace| pace.part == part).unwrap();
    let state_dir = Path::new("/run/warren/state-of-bench");
    let loaded = topology::load(Path::new(topology), state_dir).unwrap();
    let mut settings = loaded.settings;
    settings.ra_interval = pace.interval;
    let daemon = Loop::start(state_dir, loaded.state, settings).await;
    tokio::time::sleep(BEGINNING).await;
    let (said, spent) = (advertised(&daemon).await, cpu_time(Pid::this()));
    tokio::time::sleep(pace.window).await;
    let spent = cpu_time(Pid::this()) - spent;
    let said = advertised(&daemon).await - said;
    let share = 100.0 * spent.as_secs_f64() / pace.window.as_secs_f64();
    println!(
        "    warren, the whole loop: {share:.3} % of a core, {said} advertisements, {:.0} us each",
        spent.as_secs_f64() * 1e6 / said as f64
    );
}

/// In all, to everyone.
async fn advertised(daemon: &Loop) -> u64 {
    let mut all = 0;
    for router in 0..ROUTERS {
        let name = format!("r{router}");
        let Reply::Router(shown) = daemon.ask(Ask::Router(name)).await else {
            panic!("no such router");
        };
        let counters = shown.counters.as_object().unwrap().iter();
        let links = counters.filter(|(name, _)| name.starts_with("ra "));
        all += links
            .map(|(_, counted)| counted["advertised"].as_u64().unwrap())
            .sum::<u64>();
    }
    all
}

/// In the namespaces that stayed.
fn radvd(host: &Host, pace: &Pace) {
    let mut running: Vec<Running> = Vec::new();
    for namespace in host.namespaces() {
        if !namespace.starts_with("qrouter-") {
            continue;
        }
        let conf = conf(host, &namespace, pace.interval);
        let path = format!("/run/radvd-{namespace}.conf");
        host.place().write(&path, &conf);
        let pid = format!("/run/radvd-{namespace}.pid");
        let argv = [
            "ip", "netns", "exec", &namespace, "radvd", "-n", "-m", "stderr",
        ];
        running.push(host.spawn(&[&argv[..], &["-C", &path, "-p", &pid]].concat()));
    }
    std::thread::sleep(BEGINNING);
    let pids: Vec<Vec<Pid>> = running
        .iter_mut()
        .map(|one| family(one.pid().unwrap()))
        .collect();
    let pids: Vec<Pid> = pids.into_iter().flatten().collect();
    let spent = || pids.iter().map(|pid| cpu_time(*pid)).sum::<Duration>();
    let before = spent();
    std::thread::sleep(pace.window);
    let share = 100.0 * (spent() - before).as_secs_f64() / pace.window.as_secs_f64();
    let memory = pids
        .iter()
        .map(|pid| Memory::of(*pid).proportional)
        .sum::<f64>();
    println!(
        "    radvd, one for each router: {share:.3} % of a core, {memory:.0} MiB proportional in {} processes",
        pids.len()
    );
}

/// A process, and those that it has started.
fn family(pid: Pid) -> Vec<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace();
    let children = children.map(|child| Pid::from_raw(child.parse().unwrap()));
    [pid].into_iter().chain(children).collect()
}

/// As Neutron's agent writes it (`agent/linux/ra.py`).
fn conf(host: &Host, namespace: &str, (least, most): (u16, u16)) -> String {
    let links = host.run_in(
        namespace,
        &["ip", "-o", "-6", "addr", "show", "scope", "global"],
    );
    let mut text = String::new();
    for line in links.ok().lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let net: ipnet::Ipv6Net = words[3].parse().unwrap();
        write!(
            text,
            "interface {}\n{{\n   AdvSendAdvert on;\n   MinRtrAdvInterval {least};\n   MaxRtrAdvInterval {most};\n   \
             AdvLinkMTU 1500;\n   prefix {}\n   {{\n        AdvOnLink on;\n        AdvAutonomous on;\n   }};\n\
             route fe80::a9fe:a9fe/128 {{\n   }};\n}};\n",
            words[1],
            net.trunc()
        )
        .unwrap();
    }
    text
}
