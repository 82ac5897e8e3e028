//! One tenant with a packet generator: its neighbours on another network are answered every time, the others on its own
//! network are served too, the daemon does not spend itself on it, and it tells who it is. Ratios are for
//! `benches/hostile.rs`: here is only what holds on a busy machine as well.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the ground is shared with the bench, which uses other parts of it"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../benches/figures/mod.rs"]
mod figures;
mod frames;
mod ground;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{PATIENCE, wait_for};
use ground::{BAD, BAD_IP, Ground, METADATA, Party, ROUTER, SERVER};

/// Packets per second.
const FLOOD: u32 = 100_000;
const LASTS: Duration = Duration::from_secs(3);

/// One flood at a time: each takes a CPU of its own.
static TURN: Mutex<()> = Mutex::new(());

type Ask = fn(&Party) -> Option<Duration>;

/// Floods with `frames` while the neighbour asks. Returns how many were sent.
fn flooded(ground: &mut Ground, frames: Vec<Vec<u8>>, ask: Ask) -> u64 {
    let quiet = ground.neighbour.ask(ask, Duration::from_millis(500));
    let (begin, before) = (Instant::now(), ground.spent());
    let flood = ground.flood(frames, FLOOD);
    let served = ground.neighbour.ask(ask, LASTS);
    // With as much patience as a client has.
    wait_for("the flooded network's other machine", PATIENCE, || {
        ask(&ground.good)
    });
    let sent = flood.stop();
    let (lasted, spent) = (begin.elapsed(), ground.spent() - before);
    println!("{sent} packets in {lasted:?}, {spent:?} of CPU; quiet {quiet:?}, flooded {served:?}");
    assert_eq!(served.answered, served.asked, "the neighbour is answered");
    assert!(spent < lasted, "{spent:?} of CPU in {lasted:?}");
    wait_for("all to be as before", PATIENCE, || ask(&ground.good));
    sent
}

#[test]
fn discovers_of_made_up_machines() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new("") else {
        return;
    };
    let sent = flooded(&mut ground, frames::discovers_of_many(), Party::dhcp);
    let counters = ground.counters("network", "loud", "dhcp");
    assert!(
        counters["throttled"].as_u64().unwrap() > sent / 10,
        "{counters}"
    );
    assert!(counters["loudest"].is_null(), "nobody is: {counters}");
    let counters = ground.counters("network", "calm", "dhcp");
    assert_eq!(counters["throttled"], 0, "{counters}");
}

#[test]
fn discovers_of_one_machine() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new("") else {
        return;
    };
    let sent = flooded(&mut ground, frames::discovers_of(BAD), Party::dhcp);
    let counters = ground.counters("network", "loud", "dhcp");
    assert!(
        counters["throttled"].as_u64().unwrap() > sent / 10,
        "{counters}"
    );
    assert_eq!(counters["loudest"], BAD.to_string(), "{counters}");
    let shown = ground.daemon.warren(&["show", "network", "loud"]).ok();
    assert!(shown.contains(&format!("loudest {BAD}")), "{shown}");
}

#[test]
fn queries() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new("") else {
        return;
    };
    let server = (ground.server_mac(), SERVER);
    let queries = frames::queries((BAD, BAD_IP), server, "good.test");
    let sent = flooded(&mut ground, queries, Party::dns);
    let counters = ground.counters("network", "loud", "dns");
    assert!(
        counters["throttled"].as_u64().unwrap() > sent / 10,
        "{counters}"
    );
    assert_eq!(counters["loudest"], BAD_IP.to_string(), "{counters}");
}

/// Each answer to an address that nobody has is an entry in the one table that all networks of the host share.
#[test]
fn queries_of_made_up_addresses() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new("") else {
        return;
    };
    let server = (ground.server_mac(), SERVER);
    let queries = frames::queries_of_many(BAD, server, "good.test");
    let sent = flooded(&mut ground, queries, Party::dns);
    let entries = ground.neighbours();
    println!("{entries} neighbours");
    assert!(entries < 500, "{entries} neighbours");
    let counters = ground.counters("network", "loud", "dns");
    assert!(
        counters["throttled"].as_u64().unwrap() > sent / 10,
        "{counters}"
    );
}

#[test]
fn router_solicitations() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new(ROUTER) else {
        return;
    };
    flooded(
        &mut ground,
        vec![frames::solicitation(BAD); 64],
        Party::dhcp,
    );
    let router = ground.daemon.json(&["show", "router", "r"]);
    let counters = router["counters"].as_object().unwrap();
    let (_, counters) = counters
        .iter()
        .find(|(name, _)| name.starts_with("ra "))
        .unwrap();
    assert!(counters["throttled"].as_u64().unwrap() > 0, "{counters}");
    assert_eq!(
        counters["loudest"],
        BAD.link_local().to_string(),
        "{counters}"
    );
}

#[test]
fn connections_to_metadata_that_are_never_made() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new("") else {
        return;
    };
    let syns = frames::syns((BAD, BAD_IP), (ground.server_mac(), METADATA), 80);
    flooded(&mut ground, syns, Party::metadata);
}
