//! The same beside it: dnsmasq, started and told as Neutron's agent does it (`Dnsmasq.reload_allocations`), which for each change
//! writes all of a network's files, and sends a SIGHUP. How long the agent itself takes to make up the files is left out.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::clients::Clients;
use crate::cloud;
use crate::common::{Dnsmasq, Host};

const BRIDGE: &str = "br-crowd";
/// Changes of each kind.
const CHANGED: u16 = 10;
/// The client repeats its question so often: more seldom than warren's, for what comes while dnsmasq reads its files waits in its
/// socket, and is answered first.
const EVERY: Duration = Duration::from_millis(2);
/// Between changes.
const PAUSE: Duration = Duration::from_millis(200);

/// Until a port is served as it is now.
pub(crate) struct Took {
    pub(crate) added: Vec<Duration>,
    pub(crate) moved: Vec<Duration>,
}

/// From the first byte that is written. `None`: there are no namespaces to be had.
pub(crate) fn measure(ports: u16) -> Option<Took> {
    let host = Host::new("bench-reload")?;
    host.bridge(BRIDGE);
    host.ip(&format!(
        "netns add crowd\n\
         link add crowd type veth peer name ns0 netns crowd\n\
         link set crowd master {BRIDGE} up"
    ));
    for line in ["link set ns0 up", "addr add 10.64.0.2/16 dev ns0"] {
        let words: Vec<_> = ["ip"].into_iter().chain(line.split(' ')).collect();
        host.run_in("crowd", &words).ok();
    }
    let mut all: Vec<(u16, Ipv4Addr)> = (0..ports).map(|port| (port, address(port))).collect();
    let place = host.place();
    let network = [
        "--interface=ns0",
        "--dhcp-range=set:subnet-1,10.64.0.0,static,255.255.0.0,86400s",
        "--dhcp-option-force=option:mtu,1500",
        "--dhcp-lease-max=65536",
        "--domain=warren.internal",
    ];
    let command = Files::of(&all)
        .dnsmasq()
        .command(&place, "/dev/null", &network);
    let inside = ["ip", "netns", "exec", "crowd"].map(str::to_owned);
    let mut running = host.spawn(&[&inside[..], &command].concat());
    let mut clients = host
        .machine()
        .inside(|| Clients::open([(BRIDGE.to_owned(), cloud::mac(0))].into_iter()));
    clients.until_offered(EVERY);

    let mut served = |all: &[(u16, Ipv4Addr)]| {
        std::thread::sleep(PAUSE);
        let (port, ip) = all[all.len() - 1];
        let files = Files::of(all);
        clients.set_mac(0, cloud::mac(port));
        let begin = Instant::now();
        files.dnsmasq().write(&place);
        running.signal(Signal::SIGHUP);
        clients.until(EVERY, |offer| offer.yiaddr() == ip)[0] - begin
    };
    let mut took = Took {
        added: Vec::new(),
        moved: Vec::new(),
    };
    for port in ports..ports + CHANGED {
        all.push((port, address(port)));
        took.added.push(served(&all));
        all[usize::from(port)].1 = address(port + CHANGED);
        took.moved.push(served(&all));
    }
    Some(took)
}

/// A network's, as `neutron/agent/linux/dhcp.py` makes them up.
struct Files {
    hosts: String,
    names: String,
}

impl Files {
    fn of(ports: &[(u16, Ipv4Addr)]) -> Self {
        let (mut hosts, mut names) = (String::new(), String::new());
        for (port, ip) in ports {
            let name = format!("host-{}", ip.to_string().replace('.', "-"));
            let mac = cloud::mac(*port);
            writeln!(hosts, "{mac},{name}.warren.internal,{ip}").unwrap();
            writeln!(names, "{ip} {name}.warren.internal {name}").unwrap();
        }
        Self { hosts, names }
    }

    fn dnsmasq(&self) -> Dnsmasq<'_> {
        Dnsmasq {
            network: "crowd",
            hosts: &self.hosts,
            names: &self.names,
            options: "tag:subnet-1,option:dns-server,10.64.0.2\n\
                      tag:subnet-1,option:classless-static-route,169.254.169.254/32,10.64.0.2,0.0.0.0/0,10.64.0.1\n\
                      tag:subnet-1,249,169.254.169.254/32,10.64.0.2,0.0.0.0/0,10.64.0.1\n\
                      tag:subnet-1,option:router,10.64.0.1\n",
            ..Dnsmasq::default()
        }
    }
}

fn address(number: u16) -> Ipv4Addr {
    let [high, low] = (number + 256).to_be_bytes();
    Ipv4Addr::new(10, 64, high, low)
}
