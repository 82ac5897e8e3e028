//! Metadata requests per CPU second: warren asking Nova, signature and all, against the haproxy that Neutron starts per
//! network, which does not sign (its other half, the metadata agent, is not counted).
//!
//! One guest-facing process, one load generator and one stub Nova share one CPU in a sandbox, and only the first one's
//! CPU time counts: on a virtual machine that is the steady figure. Rounds alternate, so that a noisy neighbour hits
//! both, and what is told is the median of the rounds' ratios.
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../tests/common/mod.rs"]
mod common;
mod figures;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use uuid::Uuid;
use warren::metadata::{
    Limits, MetadataSettings, NovaProtocol, NovaSettings, Secret, Server, Shared, Upstream,
};
use warren::model::{DeviceOwner, InstanceId, NetworkId, Port, PortId, ProjectId, State, Target};
use warren::pace::Budgets;
use warren::plan::scope::{MetadataScope, Residents};

use common::{Host, PATIENCE, Running, wait_for};
use figures::{cpu_time, median};

/// The CPU that all share.
const CPU: &str = "0";
const ROUNDS: usize = 9;
const SECONDS: u64 = 1;
/// Guests that ask at the same time, each with an address of its own.
const GUESTS: u8 = 16;

const HAPROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
const WARREN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9697);
const NOVA: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8775);

/// As `neutron/agent/metadata/driver.py` writes it.
const HAPROXY_CFG: &str = "
global
    log /dev/log local0 info
    maxconn 1024
defaults
    log global
    mode http
    option httplog
    option dontlognull
    option http-server-close
    option forwardfor
    retries 3
    timeout http-request 30s
    timeout connect 30s
    timeout client 32s
    timeout server 32s
    timeout http-keep-alive 30s
listen listener
    bind 127.0.0.1:80
    server metadata /run/nova.sock
    http-request del-header X-Neutron-Router-ID
    http-request set-header X-Neutron-Network-ID 11111111-1111-1111-1111-111111111111
";

/// Answers as fast as anything can; on the socket where haproxy looks for the agent, and where warren looks for Nova.
const NOVA_CFG: &str = "
global
    maxconn 2000
defaults
    mode http
    timeout client 60s
    timeout http-keep-alive 60s
listen nova
    bind /run/nova.sock mode 666
    bind 127.0.0.1:8775
    http-request return status 200 content-type text/plain lf-file /run/answer
";

#[derive(Clone, Copy)]
enum Habit {
    /// As curl and cloud-init do: a connection per request.
    Connect,
    KeepAlive,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("serve") => serve(),
        Some("load") => load(&args[2..]),
        _ => measure(),
    }
}

fn measure() {
    let Some(host) = Host::new("bench-metadata") else {
        return;
    };
    let place = host.place();
    place.write("/run/answer", &"x".repeat(512));
    place.write("/run/nova.cfg", NOVA_CFG);
    place.write("/run/haproxy.cfg", HAPROXY_CFG);
    let _nova = host.spawn(&pinned(&["haproxy", "-db", "-f", "/run/nova.cfg"]));
    let mut haproxy = host.spawn(&pinned(&["haproxy", "-db", "-f", "/run/haproxy.cfg"]));
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap();
    let mut warren = host.machine().spawn(&pinned(&[own, "serve"]));
    for (name, address) in [("haproxy", HAPROXY), ("warren", WARREN)] {
        wait_for(name, PATIENCE, || {
            host.place()
                .inside(move || std::net::TcpStream::connect(address))
                .ok()
        });
    }
    println!(
        "metadata requests per CPU second of the guest-facing process, {GUESTS} guests at once, median of {ROUNDS} rounds of {SECONDS} s"
    );
    for (title, habit) in [
        ("a connection per request", Habit::Connect),
        ("connections kept open", Habit::KeepAlive),
    ] {
        let (mut rates, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
        for _ in 0..ROUNDS {
            let both = [(HAPROXY, &mut haproxy), (WARREN, &mut warren)]
                .map(|(address, process)| round(&host, own, address, habit, process));
            rates[0].push(both[0]);
            rates[1].push(both[1]);
            ratios.push(both[1] / both[0]);
        }
        let [haproxy, warren] = rates.map(|rates| median(&rates));
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        println!(
            "{title}: warren {warren:.0}, haproxy alone {haproxy:.0}: {:.2}x ({least:.2} to {most:.2}; to reach: 1.2x)",
            median(&ratios)
        );
    }
}

/// A command on the shared CPU.
fn pinned<'a>(argv: &[&'a str]) -> Vec<&'a str> {
    [&["taskset", "-c", CPU], argv].concat()
}

/// Requests per CPU second of `process`.
fn round(host: &Host, own: &str, address: SocketAddr, habit: Habit, process: &mut Running) -> f64 {
    let habit = match habit {
        Habit::Connect => "connect",
        Habit::KeepAlive => "keep-alive",
    };
    let pid = process.pid().unwrap();
    let before = cpu_time(pid);
    let output = host.machine().run(&[
        "taskset",
        "-c",
        CPU,
        own,
        "load",
        &address.to_string(),
        habit,
    ]);
    let spent = cpu_time(pid) - before;
    let done: f64 = output.ok().trim().parse().unwrap();
    done / spent.as_secs_f64()
}

/// The daemon's part, in a process of its own.
#[tokio::main]
async fn serve() {
    let settings = MetadataSettings {
        upstream: Upstream::Nova(NovaSettings {
            protocol: NovaProtocol::Http,
            host: NOVA.ip().to_string(),
            port: NOVA.port(),
            secret: Secret::new("s3cr3t"),
            insecure: false,
            ca: None,
            client_cert: None,
            client_key: None,
        }),
        limits: Limits::default(),
    };
    let shared = Shared::new(settings, Arc::new(ArcSwap::from_pointee(State::default()))).unwrap();
    shared.limit(Budgets::UNLIMITED);
    let by_address = (0..GUESTS).map(|number| {
        let port = Arc::new(port(number));
        (guest(number), port.id, port)
    });
    let scope = Arc::new(MetadataScope {
        listen: vec![WARREN],
        device: None,
        links: BTreeMap::new(),
        residents: vec![Arc::new(Residents {
            network: NetworkId(Uuid::from_u128(1)),
            by_address: by_address.collect(),
        })],
        networks: vec![NetworkId(Uuid::from_u128(1))],
        of: Target::Network(NetworkId(Uuid::from_u128(1))),
    });
    let home = netns::Namespace::home().unwrap();
    let _server = Server::start(&home, scope, &shared).await.unwrap();
    std::future::pending::<()>().await;
}

fn guest(number: u8) -> IpAddr {
    IpAddr::from([127, 0, 1, number])
}

fn port(number: u8) -> Port {
    Port {
        project: ProjectId::from("0123456789abcdef0123456789abcdef"),
        mac: "fa:16:3e:00:00:01".parse().unwrap(),
        instance: Some(InstanceId::from(Uuid::from_u128(number.into()).to_string())),
        ..Port::new(
            PortId(Uuid::from_u128(number.into())),
            NetworkId(Uuid::from_u128(1)),
            DeviceOwner::Machine,
        )
    }
}

/// All guests ask, for [`SECONDS`]. Prints how many answers there were; panics at the first that is none.
#[tokio::main(flavor = "current_thread")]
async fn load(args: &[String]) {
    let address: SocketAddr = args[0].parse().unwrap();
    let keep_alive = args[1] == "keep-alive";
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let guests: Vec<_> = (0..GUESTS)
        .map(|number| tokio::spawn(ask_until(end, guest(number), address, keep_alive)))
        .collect();
    let mut done = 0;
    for guest in guests {
        done += guest.await.unwrap();
    }
    println!("{done}");
}

async fn ask_until(end: Instant, source: IpAddr, address: SocketAddr, keep_alive: bool) -> u64 {
    let mut done = 0;
    let mut kept = None;
    while Instant::now() < end {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => connect(source, address).await,
        };
        ask(&mut stream).await;
        done += 1;
        kept = keep_alive.then_some(stream);
    }
    done
}

async fn connect(source: IpAddr, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn ask(stream: &mut TcpStream) {
    let request = b"GET /openstack/latest/meta_data.json HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: Cloud-Init/22.4.2\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = [0; 4096];
    let mut read = 0;
    loop {
        let more = stream.read(&mut answer[read..]).await.unwrap();
        read += more;
        assert!(
            more > 0,
            "closed after {:?}",
            String::from_utf8_lossy(&answer[..read])
        );
        // The stub's body is all x, and ends the answer.
        if read > 512 && answer[..read].windows(4).any(|end| end == b"\r\n\r\n") {
            let head = answer
                .windows(4)
                .position(|end| end == b"\r\n\r\n")
                .unwrap()
                + 4;
            if read == head + 512 {
                break;
            }
        }
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 200 "),
        "{:?}",
        String::from_utf8_lossy(&answer[..read])
    );
}
