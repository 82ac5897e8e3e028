//! Every code has its page, and every error its four parts.

use std::io;
use std::path::PathBuf;

use super::*;
use crate::neutron::Role;
use crate::neutron::bus::{CallError, Failure, LinkError};
use crate::{chain, config, topology};

const PAGE: &str = include_str!("../../docs/errors.md");

#[test]
fn every_code_is_documented_with_what_to_do() {
    let rows = PAGE.lines().filter(|line| line.starts_with("| W"));
    let rows: Vec<Vec<&str>> = rows
        .map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let said: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let topology = topology::Code::ALL.iter().map(|code| code.as_str());
    let own = Code::ALL.iter().map(|code| code.as_str());
    let config = config::Code::ALL.iter().map(|code| code.as_str());
    assert_eq!(said, topology.chain(config).chain(own).collect::<Vec<_>>());
    for row in rows {
        let full = row.len() == 3 && row.iter().all(|cell| !cell.is_empty());
        assert!(full, "code, what, what to do: {row:?}");
    }
}

/// What to do stands behind a semicolon, in brackets, or as a question.
fn advises(told: &str) -> bool {
    let told = told.replace("(os error 28)", "");
    let bracketed = told
        .split_once('(')
        .is_some_and(|(_, rest)| rest.contains(')'));
    bracketed || told.contains("; ") || told.contains('?')
}

#[test]
fn every_error_says_what_about_which_object_why_and_what_to_do() {
    const WHY: &str = "No space left on device";
    let full = || io::Error::from_raw_os_error(28);
    let (path, ns) = (PathBuf::from("/the/place"), "qdhcp-1");
    let place = || ::netns::spec::Place::Named(ns.parse().expect("a name"));
    let dev = || "tap9".parse().expect("a name");
    let network = crate::model::NetworkId(uuid::Uuid::from_u128(9));
    let refused = || ::netns::Error::Socket {
        place: place(),
        what: "UDP".into(),
        source: full(),
    };
    // An error, which object is named in it, and why.
    let rows: Vec<(Box<dyn Error>, &str, &str)> = vec![
        (Box::new(CliError::Print(full())), "answer", WHY),
        (Box::new(CliError::Runtime(full())), "start", WHY),
        (
            Box::new(CliError::Unknown {
                kind: "network".into(),
                name: "bleu".into(),
                known: vec!["blue".into()],
            }),
            "bleu",
            "no single network",
        ),
        (
            Box::new(SocketError::Ask {
                path: path.clone(),
                source: full(),
            }),
            "/the/place",
            WHY,
        ),
        (
            Box::new(SocketError::Late { path: path.clone() }),
            "/the/place",
            "no answer within",
        ),
        (
            Box::new(SocketError::Answer {
                path: path.clone(),
                reason: "garbled".into(),
            }),
            "/the/place",
            "garbled",
        ),
        (
            Box::new(CliError::Refused {
                reason: "garbled".into(),
            }),
            "daemon",
            "garbled",
        ),
        (
            Box::new(CliError::StillRunning),
            "warren",
            "runs on this host",
        ),
        (
            Box::new(CliError::NoState {
                dir: path.clone(),
                state_path: path.clone(),
            }),
            "/the/place",
            "state directory",
        ),
        (
            Box::new(StoreError::Dir {
                dir: path.clone(),
                source: full(),
            }),
            "/the/place",
            WHY,
        ),
        (
            Box::new(StoreError::Taken {
                dir: path.clone(),
                pid: "7".into(),
            }),
            "/the/place",
            "pid 7",
        ),
        (
            Box::new(StoreError::Broken {
                path: path.display().to_string(),
                reason: "garbled".into(),
            }),
            "/the/place",
            "garbled",
        ),
        (
            Box::new(StoreError::Write {
                path: path.clone(),
                source: full(),
            }),
            "/the/place",
            WHY,
        ),
        (
            Box::new(AloneError::NotAlone {
                role: crate::neutron::Role::L3,
            }),
            "this host",
            "another one runs",
        ),
        (Box::new(AloneError::Unknown(full())), "this host", WHY),
        (
            Box::new(SocketError::Listen {
                path: path.clone(),
                source: full(),
            }),
            "/the/place",
            WHY,
        ),
        (
            Box::new(AdoptError::AgentRuns {
                program: "neutron-l3-agent",
                pid: 7,
            }),
            "neutron-l3-agent",
            "it runs",
        ),
        (Box::new(AdoptError::Processes(full())), "processes", WHY),
        (
            Box::new(AdoptError::End {
                program: "dnsmasq",
                pid: 7,
                ns: ns.parse().expect("a name"),
                source: full(),
            }),
            ns,
            WHY,
        ),
        (
            Box::new(AdoptError::GoesOn {
                program: "dnsmasq",
                pid: 7,
                ns: ns.parse().expect("a name"),
            }),
            ns,
            "goes on",
        ),
        (
            Box::new(GiveBackError::NotTaken(ns.parse().expect("a name"))),
            ns,
            "has not written",
        ),
        (
            Box::new(GiveBackError::NotHeard(path.clone())),
            "/the/place",
            "nobody listens",
        ),
        (
            Box::new(GiveBackError::Connect {
                path: path.clone(),
                source: full(),
            }),
            "/the/place",
            WHY,
        ),
        (
            Box::new(CliError::StillServing { role: Role::L3 }),
            "the role l3",
            "runs on this host",
        ),
        (
            Box::new(::netns::Error::Iptables {
                place: place(),
                source: full().into(),
            }),
            ns,
            WHY,
        ),
        (Box::new(AppError::Signals(full())), "signals", WHY),
        (
            Box::new(AppError::Topology {
                path: path.clone(),
                mistakes: 3,
            }),
            "/the/place",
            "3 mistakes",
        ),
        (
            Box::new(AppError::Ended { part: "the loop" }),
            "the loop",
            "bug",
        ),
        (
            Box::new(::netns::Error::Open {
                place: place(),
                source: full(),
            }),
            ns,
            WHY,
        ),
        (
            Box::new(::netns::Error::Create {
                name: ns.parse().expect("a name"),
                source: full(),
            }),
            ns,
            WHY,
        ),
        (
            Box::new(::netns::Error::Delete {
                name: ns.parse().expect("a name"),
                source: full(),
            }),
            ns,
            WHY,
        ),
        (
            Box::new(::netns::Error::List { source: full() }),
            "/run/netns",
            WHY,
        ),
        (
            Box::new(::netns::Error::Workers { source: full() }),
            "threads",
            WHY,
        ),
        (
            Box::new(::netns::Error::Enter {
                place: place(),
                source: full(),
            }),
            ns,
            WHY,
        ),
        (
            Box::new(::netns::Error::Look {
                place: place(),
                what: "links",
                source: full().into(),
            }),
            ns,
            WHY,
        ),
        (
            Box::new(::netns::Error::Step {
                place: place(),
                step: Box::new(::netns::Step::DeleteLink {
                    dev: dev(),
                    addresses: [].into(),
                }),
                source: io::Error::from_raw_os_error(1).into(),
            }),
            "tap9",
            "Operation not permitted",
        ),
        (
            Box::new(::netns::Error::Conflict {
                place: place(),
                conflict: ::netns::Conflict::Missing { dev: dev() },
            }),
            "tap9",
            "there is no device",
        ),
        (
            Box::new(::netns::Error::Unsettled {
                place: place(),
                rounds: 3,
                left: "set tap9 up".into(),
            }),
            ns,
            "set tap9 up",
        ),
        (Box::new(refused()), ns, WHY),
        (
            Box::new(::netns::Error::Conntrack {
                place: place(),
                of: "203.0.113.9".into(),
                source: full().into(),
            }),
            "203.0.113.9",
            WHY,
        ),
        (
            Box::new(::netns::Error::Announce {
                place: place(),
                dev: dev(),
                source: full(),
            }),
            "tap9",
            WHY,
        ),
        (
            Box::new(::netns::Error::Watch {
                place: place(),
                source: full(),
            }),
            ns,
            WHY,
        ),
        (
            Box::new(::netns::Error::Panicked { place: place() }),
            ns,
            "panicked",
        ),
        (
            Box::new(dhcp::Error::Listen {
                network,
                device: dev(),
                source: refused(),
            }),
            "tap9",
            WHY,
        ),
        (
            Box::new(dhcp::Error::Listen6 {
                network,
                device: dev(),
                source: refused(),
            }),
            "tap9",
            WHY,
        ),
        (
            Box::new(dns::Error::Listen {
                network,
                device: dev(),
                address: std::net::IpAddr::from([10, 0, 0, 2]),
                by: "UDP",
                source: refused(),
            }),
            "10.0.0.2",
            WHY,
        ),
        (
            Box::new(ra::Error::Listen {
                of: crate::model::Target::Network(network),
                device: dev(),
                source: refused(),
            }),
            "tap9",
            WHY,
        ),
        (Box::new(metadata::Error::Listen(refused())), ns, WHY),
        (
            Box::new(metadata::SecretError::Read {
                path: path.clone(),
                source: full(),
            }),
            "/the/place",
            WHY,
        ),
        (
            Box::new(metadata::Error::Host {
                host: "no host".into(),
            }),
            "no host",
            "as Nova's metadata host",
        ),
        (
            Box::new(CliError::Log {
                place: path.clone(),
                source: full(),
            }),
            "/the/place",
            WHY,
        ),
        (
            Box::new(::netns::Error::Offload {
                place: place(),
                dev: dev(),
                source: full(),
            }),
            "tap9",
            WHY,
        ),
        (
            Box::new(CallError::Away {
                topic: "q-plugin".into(),
                method: "get_network_info".into(),
                reason: "it refused".into(),
            }),
            "get_network_info",
            "it refused",
        ),
        (
            Box::new(LinkError::Consume {
                queue: "dhcp_agent.net1".into(),
                source: lapin::ErrorKind::IOError(full().into()).into(),
            }),
            "dhcp_agent.net1",
            WHY,
        ),
        (
            Box::new(LinkError::Broken(
                lapin::ErrorKind::IOError(full().into()).into(),
            )),
            "connection to the broker",
            WHY,
        ),
        (
            Box::new(CallError::TimedOut {
                topic: "q-plugin".into(),
                method: "get_network_info".into(),
                waited: std::time::Duration::from_secs(60),
            }),
            "get_network_info",
            "within 60s",
        ),
        (
            Box::new(CallError::Remote(Failure {
                class: "NetworkNotFound".into(),
                module: "neutron_lib.exceptions".into(),
                message: "it went".into(),
            })),
            "NetworkNotFound",
            "it went",
        ),
        (
            Box::new(DecodeError {
                object: format!("network {network}"),
                path: "subnets[1].cidr".into(),
                found: "null".into(),
                wanted: "a network in CIDR notation".into(),
            }),
            "subnets[1].cidr",
            "is null",
        ),
        (
            Box::new(PortError::Incomplete { missing: 2 }),
            "port of our own",
            "2 of them gave none",
        ),
        (
            Box::new(plug::Error::Database(plug::OvsdbError::Connect {
                address: Box::new(plug::OvsdbAddress::Unix(path.clone())),
                source: full(),
            })),
            "/the/place",
            WHY,
        ),
        (
            Box::new(plug::Error::Database(plug::OvsdbError::Refused {
                address: Box::new(plug::OvsdbAddress::Unix(path.clone())),
                error: "constraint violation".into(),
                details: None,
            })),
            "/the/place",
            "constraint violation",
        ),
        (
            Box::new(plug::Error::NoBridge {
                bridge: "br-int".into(),
            }),
            "br-int",
            "there is no such bridge",
        ),
        (
            Box::new(plug::Error::Refused {
                device: dev(),
                bridge: "br-int".into(),
                why: "it is full".into(),
            }),
            "tap9",
            "it is full",
        ),
    ];
    for (error, object, why) in &rows {
        let told = chain(&**error);
        for part in [object, why] {
            assert!(told.contains(*part), "{part:?} in {told:?}");
        }
        assert!(advises(&told), "what to do? {told}");
    }
    let codes = rows.iter().filter_map(|(error, ..)| of(&**error));
    let mut seen: Vec<Code> = codes.collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, Code::ALL, "a row for each code");
}

#[test]
fn the_nearest_code_is_told_and_no_cause_twice() {
    let full = || io::Error::from_raw_os_error(28);
    let dir = PathBuf::from("/s");
    let store = || StoreError::Dir {
        dir: dir.clone(),
        source: full(),
    };
    let look = netns::Error::Look {
        place: netns::spec::Place::Home,
        what: "links",
        source: full().into(),
    };
    for (name, error, want) in [
        (
            "its own",
            Box::new(store()) as Box<dyn Error>,
            "[W1101] use /s as state directory: No space left on device (os error 28); create it, or name another with --state-dir",
        ),
        (
            "passed on",
            Box::new(AppError::from(store())),
            "[W1101] use /s as state directory: No space left on device (os error 28); create it, or name another with --state-dir",
        ),
        (
            "of its cause",
            Box::new(AppError::Home(look)),
            "[W1302] open the host's namespace: look at the links of the home namespace (needs CAP_NET_ADMIN, and free memory): No space left on device (os error 28)",
        ),
        (
            "none",
            Box::new(full()),
            "No space left on device (os error 28)",
        ),
    ] {
        assert_eq!(chain(&*error), want, "{name}");
    }
}
