//! DNS answers per CPU second: warren against the dnsmasq that Neutron starts per network.
//!
//! Server and load share one CPU in a sandbox, and only the server's CPU time counts: on a virtual machine that is the
//! steady figure. Queries come over a bridge from an instance, as they would. Rounds alternate, so that a noisy
//! neighbour hits both.
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../tests/common/mod.rs"]
mod common;
mod figures;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use warren::dns::{Server, Shared};
use warren::model::{DevName, NetworkId, PortId};
use warren::pace::Budgets;
use warren::plan::scope::{DnsScope, Forwarder, Side, Zone};

use common::{Dnsmasq, Guest, Host, PATIENCE, Running, resolver, wait_for};
use figures::{cpu_time, median};

/// The CPU that all share.
const CPU: &str = "0";
const ROUNDS: usize = 5;
const SECONDS: &str = "2";
/// Hosts of the network.
const NAMES: u16 = 500;

/// Many clients, each with many questions in flight.
const HABIT: [&str; 2] = ["-c4", "-q64"];

const DNSMASQ: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const WARREN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const RESOLVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5399);

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        serve();
    } else {
        measure();
    }
}

fn measure() {
    let Some(host) = Host::new("bench-dns") else {
        return;
    };
    host.bridge("br0");
    host.ip(&format!(
        "addr add {DNSMASQ}/16 dev br0\naddr add {WARREN}/16 dev br0"
    ));
    let load = host.guest("load", "br0", "fa:16:3e:00:00:01");
    load.ip("addr add 10.0.0.9/16 dev eth0");
    for (file, queries) in [
        ("names", names()),
        ("addresses", addresses()),
        ("elsewhere", elsewhere()),
    ] {
        load.write(&format!("/run/{file}"), &queries);
    }

    let _resolver = start_resolver(&host);
    let mut dnsmasq = start_dnsmasq(&host);
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap();
    let mut warren = host.machine().spawn(&["taskset", "-c", CPU, own, "serve"]);
    let last = &name(NAMES - 1);
    for server in [DNSMASQ, WARREN] {
        wait_for("the last name", PATIENCE, || {
            let answer = load.dig(&[&format!("@{server}"), last]);
            (answer.answers.len() == 1).then_some(())
        });
        // What is to be kept, one after the other: who asks for much of elsewhere at once is held back.
        let server = server.to_string();
        let each_once = ["-d", "/run/elsewhere", "-n", "1", "-c1", "-q1"];
        load.run(&[&["dnsperf", "-s", &server], &each_once[..]].concat())
            .ok();
    }

    println!(
        "DNS answers per CPU second of the server, {NAMES} names, median of {ROUNDS} rounds of {SECONDS} s"
    );
    for (title, file, goal) in [
        ("addresses of names", "names", "to reach: 1.3x"),
        ("names of addresses", "addresses", "to reach: 1.3x"),
        ("names of elsewhere, kept", "elsewhere", "no goal"),
    ] {
        let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            for (server, address, process) in [
                ("dnsmasq", DNSMASQ, &mut dnsmasq),
                ("warren", WARREN, &mut warren),
            ] {
                let rate = round(&load, address, file, process);
                rates.entry(server).or_default().push(rate);
            }
        }
        let [dnsmasq, warren] = ["dnsmasq", "warren"].map(|server| median(&rates[server]));
        println!(
            "{title}: warren {warren:.0}, dnsmasq {dnsmasq:.0}: {:.2}x ({goal})",
            warren / dnsmasq
        );
    }
}

fn start_dnsmasq(host: &Host) -> Running {
    let mut names = String::new();
    for number in 0..NAMES {
        let (name, bare, address) = (name(number), bare(number), address(number));
        writeln!(names, "{address} {name} {bare}").unwrap();
    }
    let served = Dnsmasq {
        names: &names,
        ..Dnsmasq::default()
    };
    let network = [
        "--dhcp-range=set:subnet-1,10.0.0.0,static,255.255.0.0,86400s",
        "--dhcp-option-force=option:mtu,1450",
        "--dhcp-lease-max=65536",
        "--domain=lan",
        &format!("--server={}#{}", RESOLVER.ip(), RESOLVER.port()),
        &format!("--listen-address={DNSMASQ}"),
    ];
    let command = served.command(&host.place(), "-", &network);
    let own_cpu = ["taskset", "-c", CPU].map(str::to_owned);
    let mut running = host.spawn(&[&own_cpu[..], &command].concat());
    running.says("read /run/dnsmasq");
    running
}

/// Knows every name of `elsewhere.test`, for an hour.
fn start_resolver(host: &Host) -> Running {
    let known = ["--local-ttl=3600", "--address=/elsewhere.test/9.9.9.9"];
    resolver(&host.place(), RESOLVER, &known)
}

/// Answers per CPU second of `process`.
fn round(load: &Guest, server: Ipv4Addr, file: &str, process: &mut Running) -> f64 {
    let (server, file) = (server.to_string(), format!("/run/{file}"));
    let pid = process.pid().unwrap();
    let before = cpu_time(pid);
    let report = load.run(&[
        "taskset", "-c", CPU, "dnsperf", "-s", &server, "-d", &file, "-l", SECONDS, HABIT[0],
        HABIT[1],
    ]);
    let spent = cpu_time(pid) - before;
    let report = report.ok();
    let counted = |title: &str| -> f64 {
        let line = report
            .lines()
            .find_map(|line| line.trim().strip_prefix(title));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number
            .unwrap_or_else(|| panic!("{report}"))
            .parse()
            .unwrap()
    };
    let done = counted("Queries completed:");
    // Only answers count, not refusals.
    let codes = report.lines().find(|line| line.contains("Response codes:"));
    assert!(
        codes.is_some_and(|line| line.contains("NOERROR") && !line.contains(',')),
        "{report}"
    );
    done / spent.as_secs_f64()
}

fn names() -> String {
    let lines = (0..NAMES).map(|number| format!("{} A\n", name(number)));
    lines.collect()
}

fn addresses() -> String {
    let lines = (0..NAMES).map(|number| {
        let [a, b, c, d] = address(number).octets();
        format!("{d}.{c}.{b}.{a}.in-addr.arpa PTR\n")
    });
    lines.collect()
}

/// Fewer than dnsmasq keeps by default.
fn elsewhere() -> String {
    let lines = (0..100).map(|number| format!("host-{number}.elsewhere.test A\n"));
    lines.collect()
}

fn bare(number: u16) -> String {
    format!("host-{}", address(number).to_string().replace('.', "-"))
}

fn name(number: u16) -> String {
    format!("{}.lan", bare(number))
}

fn address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 0, high + 1, low)
}

/// The daemon's part, in a process of its own.
#[tokio::main]
async fn serve() {
    let mut zone = Zone {
        domain: "lan".to_owned(),
        authoritative: true,
        ..Zone::default()
    };
    for number in 0..NAMES {
        let address = IpAddr::V4(address(number));
        let fqdn: Arc<str> = name(number).into();
        let port = PortId(uuid::Uuid::from_u128(number.into()));
        zone.names.insert(Arc::clone(&fqdn), port, address);
        zone.names.insert(bare(number).into(), port, address);
        zone.pointers.insert(address, port, fqdn);
    }
    let scope = Arc::new(DnsScope {
        network: NetworkId(uuid::Uuid::from_u128(1)),
        device: DevName::new("br0").unwrap(),
        listen: vec![WARREN.into()],
        zones: vec![Arc::new(zone)],
        forwarders: vec![Forwarder {
            address: RESOLVER,
            from: Side::Host,
        }],
        domain_forwarders: Vec::new(),
        text: None,
        cache: 150,
        no_rebind: None,
        clients: vec!["10.0.0.0/16".parse().unwrap()],
    });
    let shared = Shared::new();
    // It is to be as fast as it can be.
    shared.limit(Budgets::UNLIMITED);
    let home = netns::Namespace::home().unwrap();
    let _server = Server::start(&home, scope, &shared).await.unwrap();
    std::future::pending::<()>().await;
}
