//! What a tenant who floods costs its neighbour on another network, and the daemon: p99 of the neighbour's exchanges, quiet
//! and flooded, and CPU time per second; for each kind of flood.
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the ground is shared with the tests, which use other parts of it"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod figures;
#[path = "../tests/hostile/frames.rs"]
mod frames;
#[path = "../tests/hostile/ground.rs"]
mod ground;

use std::time::{Duration, Instant};

use ground::{BAD, BAD_IP, Ground, METADATA, Party, ROUTER, SERVER};

/// Packets per second.
const FLOOD: u32 = 100_000;
const LASTS: Duration = Duration::from_secs(5);

type Ask = fn(&Party) -> Option<Duration>;
type Frames = fn(&Ground) -> Vec<Vec<u8>>;

fn main() {
    let floods: [(&str, &str, Frames, Ask); 6] = [
        (
            "DISCOVERs of made-up machines",
            "",
            |_| frames::discovers_of_many(),
            Party::dhcp,
        ),
        (
            "DISCOVERs of one machine",
            "",
            |_| frames::discovers_of(BAD),
            Party::dhcp,
        ),
        (
            "DHCPv6 SOLICITs of made-up machines",
            "",
            |_| frames::dhcp6_of_many(frames::SOLICIT),
            Party::dhcp6,
        ),
        (
            "DNS queries",
            "",
            |ground| {
                let server = (ground.server_mac(), SERVER);
                frames::queries((BAD, BAD_IP), server, "good.test")
            },
            Party::dns,
        ),
        (
            "router solicitations",
            ROUTER,
            |_| vec![frames::solicitation(BAD); 64],
            Party::dhcp,
        ),
        (
            "SYNs to metadata",
            "",
            |ground| frames::syns((BAD, BAD_IP), (ground.server_mac(), METADATA), 80),
            Party::metadata,
        ),
    ];
    println!(
        "flooded with | packets/s | daemon, CPU s per s | neighbour's p99: quiet, flooded, ratio | answered: neighbour, on the same network"
    );
    for (name, more, frames, ask) in floods {
        let Some(mut ground) = Ground::new(more) else {
            return;
        };
        let frames = frames(&ground);
        let quiet = ground.neighbour.ask(ask, LASTS);
        let (begin, before) = (Instant::now(), ground.spent());
        let flood = ground.flood(frames, FLOOD);
        let flooded = ground.neighbour.ask(ask, LASTS);
        let beside = ground.good.ask(ask, LASTS);
        let sent = flood.stop();
        let (lasted, spent) = (begin.elapsed(), ground.spent() - before);
        #[allow(clippy::cast_precision_loss, reason = "there are not so many")]
        let rate = sent as f64 / lasted.as_secs_f64();
        println!(
            "{name} | {rate:.0} | {:.2} | {:.2?}, {:.2?}, {:.1}x (to reach: < 2x) | {}/{}, {}/{}",
            spent.as_secs_f64() / lasted.as_secs_f64(),
            quiet.p99,
            flooded.p99,
            flooded.p99.as_secs_f64() / quiet.p99.as_secs_f64(),
            flooded.answered,
            flooded.asked,
            beside.answered,
            beside.asked
        );
    }
}
