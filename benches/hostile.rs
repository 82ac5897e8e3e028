//! What a tenant who floods costs its neighbour on another network, and the daemon: p99 of the neighbour's exchanges, quiet
//! and flooded, and CPU time per second; for each kind of flood.
//!
//! The packet generator and the neighbour run on the same CPUs as the daemon, which in life they do not. So an answer is there
//! when it is at the neighbour's interface (the kernel's time stamp), not when the neighbour gets a CPU to read it; of metadata,
//! which takes several turns, it is the latter. A floor is beside it: the neighbour's p99 while the same frames are sent as a
//! protocol that nobody speaks. And the third machine, who only wants to be served, is spared the flood while the neighbour is
//! measured: its kernel is the same one here, and spends more on each broadcast than the daemon. Rounds alternate, so that
//! whatever else the machine does hits all three.
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

use ground::{BAD, BAD_IP, Ground, METADATA, Party, ROUTER, SERVER, Served};

/// Packets per second.
const FLOOD: u32 = 100_000;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(4);

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
        "flooded with | packets/s: floor, flood | daemon, CPU s per s | neighbour's p99: quiet, floor, flooded, ratios to both | answered: neighbour, on the same network"
    );
    // `cargo bench --bench hostile -- DNS`: only those of that name.
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = |name: &str| wanted.as_ref().is_none_or(|of| name.contains(of.as_str()));
    for (name, more, frames, ask) in floods.into_iter().filter(|flood| wanted(flood.0)) {
        let Some(mut ground) = Ground::new(more) else {
            return;
        };
        let frames = frames(&ground);
        println!("{name} | {}", flood(&mut ground, &frames, ask));
    }
}

/// A line of figures.
fn flood(ground: &mut Ground, frames: &[Vec<u8>], ask: Ask) -> String {
    let unheard: Vec<_> = frames.iter().map(|frame| unheard(frame)).collect();
    let [mut quiet, mut floor, mut flooded, mut beside] =
        std::array::from_fn(|_| Served::default());
    let (mut sent, mut lasted, mut spent) = (0, Duration::ZERO, Duration::ZERO);
    let (mut idle, mut lasted_idle) = (0, Duration::ZERO);
    for _ in 0..ROUNDS {
        ground.good_hears_all(false);
        quiet.extend(ground.neighbour.ask(ask, ROUND));
        let idle_since = Instant::now();
        let flood = ground.flood(unheard.clone(), FLOOD);
        floor.extend(ground.neighbour.ask(ask, ROUND));
        idle += flood.stop();
        lasted_idle += idle_since.elapsed();
        let (begin, before) = (Instant::now(), ground.spent());
        let flood = ground.flood(frames.to_vec(), FLOOD);
        flooded.extend(ground.neighbour.ask(ask, ROUND));
        ground.good_hears_all(true);
        beside.extend(ground.good.ask(ask, ROUND / 4));
        sent += flood.stop();
        lasted += begin.elapsed();
        spent += ground.spent() - before;
    }
    #[allow(clippy::cast_precision_loss, reason = "there are not so many")]
    let rate = |sent: u64, lasted: Duration| sent as f64 / lasted.as_secs_f64();
    let (idle, sent) = (rate(idle, lasted_idle), rate(sent, lasted));
    let [quiet, floor, p99] = [&quiet, &floor, &flooded].map(Served::p99);
    let [to_quiet, to_floor] = [quiet, floor].map(|other| p99.as_secs_f64() / other.as_secs_f64());
    format!(
        "{idle:.0}, {sent:.0} | {:.2} | {quiet:.2?}, {floor:.2?}, {p99:.2?}, {to_quiet:.1}x (to reach: < 2x), {to_floor:.1}x | {}/{}, {}/{}",
        spent.as_secs_f64() / lasted.as_secs_f64(),
        flooded.answered,
        flooded.asked,
        beside.answered,
        beside.asked
    )
}

/// The same frame, of a protocol for experiments (IEEE 802's first).
fn unheard(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame
}
