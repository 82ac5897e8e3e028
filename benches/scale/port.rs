//! One port of a crowded network comes, changes or goes: until that is served.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dhcproto::v4::{DhcpOption, Message, OptionCode};
use uuid::Uuid;
use warren::model::{self, Event, Port, PortId};
use warren::topology;

use crate::clients::Clients;
use crate::cloud;
use crate::common::Host;
use crate::daemon::Loop;
use crate::figures::{Memory, median};
use crate::{reload, run_inside};

const PORTS: u16 = 10_000;
const BRIDGE: &str = "br-crowd";
const TOPOLOGY: &str = "/run/warren/topology.toml";

const ADDED: &str = "added";
const MOVED: &str = "moved to another address";

/// Ports of each kind of change, one after the other, and edits of the file.
const CHANGED: u16 = 20;
const EDITS: u16 = 5;
/// Between them, so that each finds the daemon at rest: it writes its state down a moment after each.
const PAUSE: Duration = Duration::from_millis(500);
/// What a reload took for a moment has gone back to the system by then.
const AT_REST: Duration = Duration::from_secs(15);
/// The new port's client repeats its question so often.
const EVERY: Duration = Duration::from_micros(200);
/// Nobody is answered as late as this.
const SILENCE: Duration = Duration::from_millis(50);

pub(crate) fn measure() {
    let Some(host) = Host::new("bench-port") else {
        return;
    };
    host.machine().write(TOPOLOGY, &cloud::crowd(PORTS));
    println!(
        "one port among {PORTS} of a network, until its client is served so; medians of {CHANGED}"
    );
    let rows = run_inside(&host, "port", TOPOLOGY);
    drop(host);
    let Some(beside) = reload::measure(PORTS) else {
        return;
    };
    for row in rows.lines() {
        let fields: Vec<_> = row.split('\t').collect();
        let [what, median, longest] = fields[..] else {
            panic!("a row of ours: {row}");
        };
        let time = |nanoseconds: &str| Duration::from_nanos(nanoseconds.parse().unwrap());
        let (median, longest) = (time(median), time(longest));
        let beside = match what {
            ADDED => Some(&beside.added),
            MOVED => Some(&beside.moved),
            _ => None,
        };
        print_row(what, median, longest, beside.map(Vec::as_slice));
    }
    edits();
}

/// From the source's word to the loop.
#[tokio::main]
pub(crate) async fn inside(topology: &str) {
    let state_dir = Path::new("/run/warren/state-of-bench");
    let loaded = topology::load(Path::new(topology), state_dir).unwrap();
    let network = Arc::clone(loaded.state.networks.values().next().unwrap());
    let daemon = Loop::start(state_dir, loaded.state, loaded.settings).await;
    let template = network.ports.values().next().unwrap();
    let clients = Clients::open([(BRIDGE.to_owned(), template.mac)].into_iter());
    let mut change = Change { daemon, clients };
    change.clients.until_offered(EVERY);

    let mut ports: Vec<Port> = (PORTS..PORTS + CHANGED)
        .map(|number| another(template, number))
        .collect();
    change.of_each(ADDED, &mut ports, |_| {}, |_, _| true).await;
    let moved = |port: &mut Port| {
        let IpAddr::V4(ip) = port.fixed_ips[0].ip else {
            unreachable!("the network has no other");
        };
        at(port, (u32::from(ip) + 1024).into());
    };
    let has_moved = |port: &Port, offer: &Message| offer.yiaddr() == port.fixed_ips[0].ip;
    change.of_each(MOVED, &mut ports, moved, has_moved).await;
    let renamed = |port: &mut Port| {
        for name in &mut port.dns {
            for name in [&mut name.hostname, &mut name.fqdn] {
                *name = format!("re-{name}").into();
            }
        }
    };
    let is_renamed = |port: &Port, offer: &Message| {
        let name = DhcpOption::Hostname(port.dns[0].hostname.to_string());
        offer.opts().get(OptionCode::Hostname) == Some(&name)
    };
    change
        .of_each("renamed", &mut ports, renamed, is_renamed)
        .await;
    let with_options = |port: &mut Port| {
        port.extra_dhcp_opts = [model::DhcpOption::parse_v4("mtu", "1234").unwrap()].into();
    };
    let has_options = |_: &Port, offer: &Message| {
        let mtu = DhcpOption::InterfaceMtu(1234);
        offer.opts().get(OptionCode::InterfaceMtu) == Some(&mtu)
    };
    change
        .of_each("given an option", &mut ports, with_options, has_options)
        .await;
    change.removed(&ports).await;
}

/// The daemon's loop, and the client whose port changes.
struct Change {
    daemon: Loop,
    clients: Clients,
}

impl Change {
    async fn of_each(
        &mut self,
        what: &str,
        ports: &mut [Port],
        change: impl Fn(&mut Port),
        is_served: impl Fn(&Port, &Message) -> bool,
    ) {
        let mut took = Vec::new();
        for port in ports {
            tokio::time::sleep(PAUSE).await;
            change(port);
            self.clients.set_mac(0, port.mac);
            let begin = Instant::now();
            self.daemon.tell(Event::Port(Arc::new(port.clone()))).await;
            let served = tokio::task::block_in_place(|| {
                self.clients.until(EVERY, |offer| is_served(port, offer))
            });
            took.push(served[0] - begin);
        }
        tell_row(what, &took);
    }

    async fn removed(&mut self, ports: &[Port]) {
        let mut took = Vec::new();
        for port in ports {
            tokio::time::sleep(PAUSE).await;
            self.clients.set_mac(0, port.mac);
            self.clients.until_offered(EVERY);
            let begin = Instant::now();
            self.daemon
                .tell(Event::PortGone(port.network, port.id))
                .await;
            let last = tokio::task::block_in_place(|| self.clients.until_silent(EVERY, SILENCE));
            took.push((last + EVERY).saturating_duration_since(begin));
        }
        tell_row("removed", &took);
    }
}

/// For [`measure`].
fn tell_row(what: &str, took: &[Duration]) {
    let [median, longest] = [median(took), *took.iter().max().unwrap()].map(|took| took.as_nanos());
    println!("{what}\t{median}\t{longest}");
}

fn print_row(what: &str, ours: Duration, longest: Duration, beside: Option<&[Duration]>) {
    let beside = beside.map(|took| {
        let took = median(took);
        let times = took.as_secs_f64() / ours.as_secs_f64();
        format!("; dnsmasq, told to read its files again: {took:.1?}, {times:.0} times as long")
    });
    println!(
        "  {what:<28}{ours:>10.2?}, the longest {longest:>8.2?} (to reach: 5 ms){}",
        beside.unwrap_or_default()
    );
}

fn another(template: &Port, number: u16) -> Port {
    let mut port = template.clone();
    let [high, low] = (number + 256).to_be_bytes();
    port.id = PortId(Uuid::from_u128(number.into()));
    port.mac = cloud::mac(number);
    for name in &mut port.dns {
        name.hostname = format!("more{number}").into();
        name.fqdn = format!("more{number}.warren.internal").into();
    }
    at(&mut port, [10, 64, high, low].into());
    port
}

fn at(port: &mut Port, address: Ipv4Addr) {
    port.fixed_ips[0].ip = address.into();
    for name in &mut port.dns {
        name.ip = address.into();
    }
}

/// From the renaming of the file, with all that the daemon does with one.
fn edits() {
    let Some(host) = Host::new("bench-edit") else {
        return;
    };
    let mut text = cloud::crowd(PORTS);
    let mut daemon = host.warren_run(&text);
    let mut clients = host
        .machine()
        .inside(|| Clients::open([(BRIDGE.to_owned(), cloud::mac(0))].into_iter()));
    clients.until_offered(EVERY);
    let mut took = Vec::new();
    for number in PORTS..PORTS + EDITS {
        std::thread::sleep(PAUSE);
        text.push_str(&cloud::of_crowd(number));
        clients.set_mac(0, cloud::mac(number));
        let begin = Instant::now();
        daemon.rewrite(&text);
        took.push(clients.until_offered(Duration::from_millis(1))[0] - begin);
    }
    println!(
        "  added by an edit of the file{:>10.0?}, median of {EDITS} (no goal; the file has to rest 100 ms)",
        median(&took)
    );
    std::thread::sleep(AT_REST);
    let Memory { resident, .. } = Memory::of(daemon.pid().unwrap());
    drop(daemon);
    let mut quiet = host.warren_run(&cloud::crowd(1));
    std::thread::sleep(AT_REST);
    let empty = Memory::of(quiet.pid().unwrap()).resident;
    println!(
        "  memory of the daemon then   {resident:>6.1} MiB resident; with one port {empty:.1} MiB: {:.1} MiB for {PORTS} ports (to reach: 20 MiB)",
        resident - empty
    );
}
