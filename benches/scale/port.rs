//! One port more on a crowded network, until it is served.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;
use warren::model::{Event, Port, PortId};
use warren::topology;

use crate::clients::Clients;
use crate::cloud;
use crate::common::Host;
use crate::daemon::Loop;
use crate::figures::median;
use crate::run_inside;

const PORTS: u16 = 10_000;
const BRIDGE: &str = "br-crowd";
const TOPOLOGY: &str = "/run/warren/topology.toml";

/// Ports added one after the other, and edits of the file.
const ADDED: u16 = 30;
const EDITS: u16 = 5;
/// Between them, so that each finds the daemon at rest: it writes its state down a moment after each.
const PAUSE: Duration = Duration::from_millis(500);
/// The new port's client repeats its question so often.
const EVERY: Duration = Duration::from_micros(200);

pub(crate) fn measure() {
    let Some(host) = Host::new("bench-port") else {
        return;
    };
    host.machine().write(TOPOLOGY, &cloud::crowd(PORTS));
    println!("one port more on a network of {PORTS}, until its client is offered its address");
    print!("{}", run_inside(&host, "port", TOPOLOGY));
    drop(host);
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
    let mut clients = Clients::open([(BRIDGE.to_owned(), template.mac)].into_iter());
    clients.until_offered(EVERY);
    let mut took = Vec::new();
    for number in PORTS..PORTS + ADDED {
        tokio::time::sleep(PAUSE).await;
        let port = another(template, number);
        clients.set_mac(0, port.mac);
        let begin = Instant::now();
        daemon.tell(Event::Port(Arc::new(port))).await;
        let offered = tokio::task::block_in_place(|| clients.until_offered(EVERY));
        took.push(offered[0] - begin);
    }
    println!(
        "  from the source's event: {:.2?}, median of {ADDED}, the longest {:.2?} (to reach: 5 ms)",
        median(&took),
        took.iter().max().unwrap()
    );
}

fn another(template: &Port, number: u16) -> Port {
    let mut port = template.clone();
    let [high, low] = (number + 256).to_be_bytes();
    let address = [10, 64, high, low].into();
    port.id = PortId(Uuid::from_u128(number.into()));
    port.mac = cloud::mac(number);
    port.fixed_ips[0].ip = address;
    for name in &mut port.dns {
        name.ip = address;
        name.hostname = format!("more{number}");
        name.fqdn = format!("more{number}.warren.internal");
    }
    port
}

/// From the renaming of the file, with all that the daemon does with one.
fn edits() {
    let Some(host) = Host::new("bench-edit") else {
        return;
    };
    let mut text = cloud::crowd(PORTS);
    let daemon = host.warren_run(&text);
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
        "  from an edit of the topology file: {:.0?}, median of {EDITS} (no goal; the file has to rest 100 ms)",
        median(&took)
    );
}
