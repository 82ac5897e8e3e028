//! With a memory limit that is a fixed amount above what its topology needs (docs/operate.md, "Memory"), the service goes on,
//! whatever tenants do: each kind of flood alone, and all of them together.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the frames are another test's, which sends more kinds"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/frames.rs"]
mod frames;
mod gang;
mod limit;
mod resolver;
mod topology;

use std::time::{Duration, Instant};

use common::{Guest, Host, PATIENCE, wait_for};
use frames::SOLICIT;
use gang::{Gang, HOSTILE, Held};
use limit::{Limited, MIB};
use resolver::Resolver;
use topology::{LATE, METADATA, topology};

/// What docs/operate.md says that tenants add at their worst.
const ROOM: u64 = 320 * MIB;
/// And how much is mapped without being used.
const UNUSED: u64 = 150 * MIB;
/// Packets per second of one machine.
const FLOOD: u32 = 100_000;
/// So long each kind of flood lasts at least.
const LASTS: Duration = Duration::from_secs(2);

#[test]
fn floods_fit_into_what_is_documented() {
    let Some(host) = Host::new("memory") else {
        return;
    };
    limit::open_more_files();
    let _resolver = Resolver::start(&host.place());
    let mut daemon = host.warren_run(&topology(""));
    daemon.converged();
    // What reading the file anew takes for a moment is part of what its topology needs.
    daemon.rewrite(&topology("\n"));
    wait_for("the file to be read anew", PATIENCE, || {
        daemon.log().contains("topology loaded").then_some(())
    });
    daemon.converged();
    let calm = host.guest("calm1", "br-calm", "fa:16:3e:00:ca:01");
    let other = host.guest("calm2", "br-calm", "fa:16:3e:00:ca:02");
    calm.udhcpc();
    is_served(&calm);

    let limited = Limited::to(daemon.pid().unwrap(), ROOM, UNUSED);
    let gang = Gang::new(&host);
    for (name, attack) in [
        ("answers to be kept", Gang::fill_caches as fn(&Gang) -> Held),
        ("long answers by TCP that nobody takes", Gang::long_answers),
        ("half a head of a request", Gang::half_heads),
        ("a body but its last byte", Gang::half_bodies),
        ("answers of metadata that nobody takes", Gang::untaken),
    ] {
        limited.holds(name, || {
            let held = attack(&gang);
            std::thread::sleep(LASTS);
            assert!(daemon.is_alive(), "{name}:\n{}", daemon.log());
            is_served(&calm);
            drop(held);
        });
    }
    for (name, frames) in [
        ("DISCOVERs of made-up machines", frames::discovers_of_many()),
        (
            "SOLICITs of made-up machines",
            frames::dhcp6_of_many(SOLICIT),
        ),
    ] {
        limited.holds(name, || {
            let floods = gang.flood(&frames, FLOOD);
            let until = Instant::now() + LASTS;
            while Instant::now() < until {
                is_served(&calm);
            }
            drop(floods);
        });
        assert!(daemon.is_alive(), "{name}:\n{}", daemon.log());
    }
    limited.holds("all at once", || {
        let floods = gang.flood(&frames::discovers_of_many(), FLOOD / 10);
        let held = (
            gang.fill_caches(),
            gang.untaken(),
            gang.half_heads(),
            gang.half_bodies(),
            gang.long_answers(),
        );
        is_served(&calm);
        other.udhcpc();
        is_served(&other);
        drop((floods, held));
    });
    assert!(daemon.is_alive(), "{}", daemon.log());

    // As before, by the same process, under the same limit; a change of the topology too.
    for guest in [&calm, &other] {
        is_served(guest);
    }
    daemon.rewrite(&topology(LATE));
    let late = host.guest("late", "br-calm", "fa:16:3e:00:ca:03");
    late.udhcpc();
    is_served(&late);
    for number in 0..HOSTILE {
        wait_for("who was hostile to be served", PATIENCE, || {
            gang.asks(number).then_some(())
        });
    }
    daemon.converged();
    assert!(daemon.is_alive(), "{}", daemon.log());
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}

/// By DNS and metadata, as a guest asks them.
#[track_caller]
fn is_served(guest: &Guest) {
    guest.get(METADATA);
    let own = format!("{}.test", guest.name());
    assert_eq!(guest.resolve(&own).len(), 1, "{own}");
}
