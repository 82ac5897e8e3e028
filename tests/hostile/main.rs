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

use std::net::Ipv6Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{Flood, PATIENCE, wait_for};
use frames::{INFORMATION_REQUEST, SOLICIT};
use ground::{BAD, BAD_IP, Ground, METADATA, Party, ROUTER, SERVER};

/// Packets per second.
const FLOOD: u32 = 100_000;
const LASTS: Duration = Duration::from_secs(3);

/// One flood at a time: each takes a CPU of its own.
static TURN: Mutex<()> = Mutex::new(());

type Ask = fn(&Party) -> Option<Duration>;

/// Floods with `frames` while the neighbour asks. Returns how many were sent.
fn flooded(ground: &mut Ground, frames: Vec<Vec<u8>>, ask: Ask) -> u64 {
    beset(ground, |ground| ground.flood(frames, FLOOD), ask)
}

/// The same with any kind of flood.
fn beset(ground: &mut Ground, start: impl FnOnce(&Ground) -> Flood, ask: Ask) -> u64 {
    let quiet = ground.neighbour.ask(ask, Duration::from_millis(500));
    let (begin, before) = (Instant::now(), ground.spent());
    let flood = start(ground);
    let served = ground.neighbour.ask(ask, LASTS);
    // With as much patience as a client has.
    wait_for("the flooded network's other machine", PATIENCE, || {
        ask(&ground.good)
    });
    let sent = flood.stop();
    let (lasted, spent) = (begin.elapsed(), ground.spent() - before);
    println!(
        "{sent} sent in {lasted:?}, {spent:?} of CPU; p99 quiet {:?}, flooded {:?}",
        quiet.p99(),
        served.p99()
    );
    assert_eq!(served.answered, served.asked, "the neighbour is answered");
    assert!(spent < lasted, "{spent:?} of CPU in {lasted:?}");
    wait_for("all to be as before", PATIENCE, || ask(&ground.good));
    assert!(warnings(ground) <= 2, "{}", ground.daemon.log());
    sent
}

/// How often the log says that somebody is held back.
fn warnings(ground: &Ground) -> usize {
    ground.daemon.log().matches("more than its share").count()
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
        counters["throttled"].as_u64().unwrap() > sent / 100,
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
        counters["throttled"].as_u64().unwrap() > sent / 100,
        "{counters}"
    );
    assert_eq!(counters["loudest"], BAD.to_string(), "{counters}");
    assert!(warnings(&ground) > 0, "{}", ground.daemon.log());
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
        counters["throttled"].as_u64().unwrap() > sent / 100,
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
    let entries = ground.neighbours("-4");
    println!("{entries} neighbours");
    assert!(entries < 500, "{entries} neighbours");
    let counters = ground.counters("network", "loud", "dns");
    assert!(
        counters["throttled"].as_u64().unwrap() > sent / 100,
        "{counters}"
    );
}

/// What the kernel answers, it bounds by nothing but the table itself. DHCP needs no entry, so machines that are known get their
/// leases while it is full; names are told to who is in it, or when there is room, and all is well again by itself.
#[test]
#[ignore = "for some seconds it fills the neighbour table of the whole machine, which its own network uses too"]
fn a_full_table_of_neighbours() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(ground) = Ground::new("") else {
        return;
    };
    let syns = frames::syns_of_many(BAD, (ground.server_mac(), METADATA), 80);
    let flood = ground.flood(syns, 20_000);
    let mut before = had_no_room();
    wait_for("the table to be full", PATIENCE, || {
        (had_no_room() > before).then_some(())
    });
    let asks: [(_, Ask); 2] = [("leases", Party::dhcp), ("names", Party::dns)];
    for (who, party) in [("good", &ground.good), ("neighbour", &ground.neighbour)] {
        for (what, ask) in asks {
            before = had_no_room();
            let served = party.ask(ask, LASTS);
            let (asked, answered) = (served.asked, served.answered);
            println!(
                "full, {who}: {answered} of {asked} {what}, p99 {:?}",
                served.p99()
            );
            assert!(had_no_room() > before, "the table was full meanwhile");
            let least = if what == "leases" { asked } else { 1 };
            assert!(answered >= least, "{who}: {answered} of {asked} {what}");
        }
    }
    println!(
        "{} SYNs, {} neighbours",
        flood.stop(),
        ground.neighbours("-4")
    );
    let begin = Instant::now();
    for party in [&ground.good, &ground.neighbour] {
        wait_for("all names again", PATIENCE, || {
            let names = party.ask(Party::dns, Duration::from_millis(500));
            (names.answered == names.asked).then_some(())
        });
    }
    println!("as before after {:?}", begin.elapsed());
}

/// How often this machine's kernel had no room for a neighbour of IPv4 more (the column `table_fulls`, a line for each CPU).
fn had_no_room() -> u64 {
    let text = std::fs::read_to_string("/proc/net/stat/arp_cache").unwrap();
    let mut lines = text.lines();
    let mut names = lines.next().unwrap().split_whitespace();
    let column = names.position(|name| name == "table_fulls").unwrap();
    let counts = lines.map(|line| line.split_whitespace().nth(column).unwrap());
    counts
        .map(|count| u64::from_str_radix(count, 16).unwrap())
        .sum()
}

#[test]
fn router_solicitations() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new(ROUTER) else {
        return;
    };
    let floods = || vec![frames::solicitation(BAD); 64];
    flooded(&mut ground, floods(), Party::dhcp);
    // The neighbour is behind the same router.
    flooded(&mut ground, floods(), Party::ra);
    let router = ground.daemon.json(&["show", "router", "r"]);
    let links = router["counters"].as_object().unwrap().iter();
    let links: Vec<_> = links.filter(|(name, _)| name.starts_with("ra ")).collect();
    let throttled = |(_, link): &&(&String, &serde_json::Value)| link["throttled"] != 0;
    let (held_back, others): (Vec<_>, Vec<_>) = links.iter().partition(throttled);
    assert_eq!((held_back.len(), others.len()), (1, 1), "{router:#}");
    let (_, counters) = held_back[0];
    assert!(warnings(&ground) > 0, "{}", ground.daemon.log());
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

/// Whoever asks for nothing else gets no more connections than its share, and who else asks is answered.
#[test]
fn connections_to_metadata_one_after_the_other() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new("") else {
        return;
    };
    let hurries = |ground: &Ground| ground.hurry(8, ground::connect_and_ask);
    beset(&mut ground, hurries, Party::metadata);
    let counters = ground.counters("network", "loud", "metadata");
    assert!(counters["throttled"].as_u64().unwrap() > 0, "{counters}");
    assert!(warnings(&ground) > 0, "{}", ground.daemon.log());
    assert_eq!(counters["loudest"], BAD_IP.to_string(), "{counters}");
    let counters = ground.counters("network", "calm", "metadata");
    assert_eq!(counters["throttled"], 0, "{counters}");
}

/// As many requests as fit, on connections that are kept.
#[test]
fn requests_for_metadata() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new("") else {
        return;
    };
    let hurries = |ground: &Ground| ground.hurry(8, ground::ask_and_ask);
    beset(&mut ground, hurries, Party::metadata);
    let counters = ground.counters("network", "loud", "metadata");
    assert!(counters["delayed"].as_u64().unwrap() > 0, "{counters}");
    assert!(warnings(&ground) > 0, "{}", ground.daemon.log());
    assert_eq!(counters["loudest"], BAD_IP.to_string(), "{counters}");
    let counters = ground.counters("network", "calm", "metadata");
    assert_eq!(counters["delayed"], 0, "{counters}");
}

/// Bodies whose every byte is a piece of its own: reading them costs more than answering.
#[test]
fn bodies_for_metadata_in_pieces() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut ground) = Ground::new("") else {
        return;
    };
    let hurries = |ground: &Ground| ground.hurry(8, ground::ask_byte_by_byte);
    beset(&mut ground, hurries, Party::metadata);
    let counters = ground.counters("network", "loud", "metadata");
    assert!(counters["delayed"].as_u64().unwrap() > 0, "{counters}");
    assert!(warnings(&ground) > 0, "{}", ground.daemon.log());
    assert_eq!(counters["loudest"], BAD_IP.to_string(), "{counters}");
}

/// Each kind by one machine in many names, by many, and by a relay that nobody has set up.
#[test]
fn dhcp6_of_made_up_clients() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let [relay, link]: [Ipv6Addr; 2] = ["fd00:1::9", "fd00:1::"].map(|text| text.parse().unwrap());
    let (own, by_relay) = (BAD.link_local().to_string(), relay.to_string());
    for (name, frames, loudest) in [
        ("SOLICIT", frames::dhcp6_of(BAD, SOLICIT), Some(&own)),
        ("SOLICIT of many", frames::dhcp6_of_many(SOLICIT), None),
        (
            "SOLICIT, relayed",
            frames::dhcp6_relayed(BAD, relay, link, SOLICIT),
            Some(&by_relay),
        ),
        (
            "INFORMATION-REQUEST",
            frames::dhcp6_of(BAD, INFORMATION_REQUEST),
            Some(&own),
        ),
        (
            "INFORMATION-REQUEST of many",
            frames::dhcp6_of_many(INFORMATION_REQUEST),
            None,
        ),
        (
            "INFORMATION-REQUEST, relayed",
            frames::dhcp6_relayed(BAD, relay, link, INFORMATION_REQUEST),
            Some(&by_relay),
        ),
    ] {
        let Some(mut ground) = Ground::new("") else {
            return;
        };
        print!("{name}: ");
        let sent = flooded(&mut ground, frames, Party::dhcp6);
        let entries = ground.neighbours("-6");
        assert!(entries < 500, "{name}: {entries} neighbours");
        let counters = ground.counters("network", "loud", "dhcp6");
        let throttled = counters["throttled"].as_u64().unwrap();
        assert!(throttled > sent / 100, "{name}: {counters}");
        let said = counters["loudest"].as_str();
        assert_eq!(said, loudest.map(String::as_str), "{name}: {counters}");
        let counters = ground.counters("network", "calm", "dhcp6");
        assert_eq!(counters["throttled"], 0, "{name}: {counters}");
    }
}

/// An operator finds that a limit is wrong: the servers go on with the new one.
#[test]
fn limits_are_changed_while_they_hold() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(ground) = Ground::new("") else {
        return;
    };
    let dhcp = || {
        let served = ground.good.ask(Party::dhcp, Duration::from_millis(300));
        let counters = ground.counters("network", "loud", "dhcp");
        (served, counters)
    };
    let (served, before) = dhcp();
    assert_eq!(served.answered, served.asked, "{before}");
    ground.rewrite("[limits]\ndhcp_client = 1\n");
    wait_for("who asks too often to be dropped", PATIENCE, || {
        let (served, counters) = dhcp();
        let dropped = counters["throttled"].as_u64().unwrap() > 0;
        (dropped && served.answered < served.asked).then_some(())
    });
    ground.rewrite("");
    let after = wait_for("all to be as before", PATIENCE, || {
        let (served, counters) = dhcp();
        (served.answered == served.asked).then_some(counters)
    });
    let received = |counters: &serde_json::Value| counters["received"].as_u64().unwrap();
    assert!(received(&after) > received(&before), "it was started anew");
}
