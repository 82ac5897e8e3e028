//! A tenant with a packet generator, under a real server: the neighbours do not notice. All kinds of floods, with a topology:
//! tests/hostile.

use std::time::{Duration, Instant};

use dhcproto::v4::MessageType;
use netns::MacAddr;
use serde_json::{Value, json};

use super::{Ground, outside};
use crate::cloud::{Cloud, Service, id};
use crate::common::{self, Dhcp, Guest, Wire, discover, wait_until};

#[path = "../../../benches/figures/mod.rs"]
mod figures;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "other floods are those of tests/hostile"
)]
#[path = "../../hostile/frames.rs"]
mod frames;

const FLOOD: u32 = 100_000;
const LASTS: Duration = Duration::from_secs(3);
/// What is not answered within this, is not answered.
const PATIENT: Duration = Duration::from_secs(1);

#[test]
#[ignore = "a minute long: make test-neutron runs it"]
fn discovers_of_one_machine() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    // Not over the tunnels of all other tests' nodes.
    let wires = ["loud", "calm"];
    let mut ground = Ground::prepared(cloud, "life21", |node| {
        outside::wires(cloud, node, &wires);
    });
    let [loud, calm] = wires.map(|wire| {
        let on_wire = json!({"provider:network_type": "flat", "provider:physical_network": wire});
        let network = ground.network(wire, on_wire);
        ground.subnet(&network, "10.21.0.0/24", json!({}));
        network
    });
    let bad = Party::new(&ground, "bad", &loud, 1);
    let good = Party::new(&ground, "good", &loud, 2);
    let neighbour = Party::new(&ground, "calm", &calm, 3);
    for party in [&bad, &good, &neighbour] {
        ground.until("an OFFER", || party.is_offered(1));
    }

    let (begin, before) = (Instant::now(), spent(&mut ground.warren));
    let flood = bad.guest.flood(frames::discovers_of(bad.mac), FLOOD);
    let (mut asked, mut answered) = (0, 0);
    while begin.elapsed() < LASTS {
        asked += 1;
        answered += u32::from(neighbour.is_offered(asked));
        std::thread::sleep(Duration::from_millis(10)); // within its own share
    }
    let served = wait_until(super::SOON, || good.is_offered(2));
    let sent = flood.stop();
    let (lasted, spent) = (begin.elapsed(), spent(&mut ground.warren) - before);
    println!("{sent} sent in {lasted:?}, {spent:?} of CPU; the neighbour: {answered} of {asked}");
    assert_eq!(answered, asked, "the neighbour is answered");
    assert!(served, "so is who else is there\n{}", ground.tails());
    assert!(spent < lasted, "{spent:?} of CPU in {lasted:?}");

    let counters = |network: &Value| {
        let shown = ["show", "network", id(network), "--json"];
        let shown = ground.node.warren(&shown).ok();
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown["counters"]["dhcp"].clone()
    };
    let counted = counters(&loud);
    assert_eq!(counted["loudest"], bad.mac.to_string(), "{counted}");
    let throttled = counted["throttled"].as_u64().unwrap();
    assert!(throttled > sent / 100, "of {sent}: {counted}");
    let counted = counters(&calm);
    assert_eq!(counted["throttled"], 0, "{counted}");
    assert!(ground.warren.log().contains("more than its share"));
}

/// CPU time of the daemon so far.
fn spent(warren: &mut Service) -> Duration {
    figures::cpu_time(warren.pid().unwrap())
}

/// Somebody with a port, who asks.
struct Party {
    guest: Guest,
    wire: Wire,
    mac: MacAddr,
}

impl Party {
    fn new(ground: &Ground<'_>, name: &str, network: &Value, number: u8) -> Self {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0x21, number]);
        let guest = ground.unbound(name, network, mac);
        let wire = guest.wire();
        Self { guest, wire, mac }
    }

    /// By an answer to this very question.
    fn is_offered(&self, number: u32) -> bool {
        let transaction = 0x7700_0000 | number;
        self.wire.send(&discover(self.mac, transaction));
        let mut of = Dhcp::of(MessageType::Offer);
        let ours = |frame: &[u8]| of(frame).filter(|offer| offer.message.xid() == transaction);
        self.wire.recv(PATIENT, ours).is_some()
    }
}
