//! The figures as people read them: both sides, their ratio, and what is to be reached.

use std::time::Duration;

use crate::cost;
use crate::figures::median;
use crate::networks;
use crate::notices::Latency;
use crate::routers;
use crate::side::Side;

pub(crate) fn networks([warren, reference]: &[networks::Figures; 2]) {
    println!("{} networks; load {}", warren.networks, cost::load());
    less(
        "cold start, until all serve DHCP and metadata",
        [warren.cold, reference.cold],
        "1/20",
    );
    less(
        "  the same in CPU time",
        [warren.cold_cpu, reference.cold_cpu],
        "1/40",
    );
    for (what, goal, of) in [
        (
            "DHCP",
            "0.5 s",
            (|warm| warm.silence.dhcp) as fn(&networks::Warm) -> Duration,
        ),
        ("DNS", "0.5 s", |warm| warm.silence.dns),
        ("metadata", "0.5 s", |warm| warm.metadata),
    ] {
        println!(
            "warm restart: longest silence of any network's {what}: {} {:.2?}, {} {:.2?} (to reach: {goal})",
            Side::Warren.name(),
            of(&warren.warm),
            Side::Reference.name(),
            of(&reference.warm),
        );
    }
    println!(
        "  asked every {:?} and {:?}, metadata every {:?} and {:?}, which is in these figures",
        warren.warm.every,
        reference.warm.every,
        warren.warm.metadata_every,
        reference.warm.metadata_every
    );
    less(
        "  full sync",
        [warren.warm.synced, reference.warm.synced],
        "1/10",
    );
    memory([warren.memory, reference.memory]);
    latency("port create to OFFER", [&warren.ports, &reference.ports]);
    println!(
        "metadata requests per CPU second, through the whole chain: {} {:.0}, {} {:.0}: {:.0}x (to reach: 100x)",
        Side::Warren.name(),
        warren.requests,
        Side::Reference.name(),
        reference.requests,
        warren.requests / reference.requests,
    );
}

pub(crate) fn routers([warren, reference]: &[routers::Figures; 2]) {
    println!("{} routers; load {}", warren.routers, cost::load());
    less(
        "cold start, until all forward through their floating IPs",
        [warren.cold, reference.cold],
        "1/20",
    );
    less(
        "  the same in CPU time",
        [warren.cold_cpu, reference.cold_cpu],
        "1/40",
    );
    memory([warren.memory, reference.memory]);
    latency(
        "floating ip set to the first packet through and back",
        [&warren.floating, &reference.floating],
    );
}

fn less(what: &str, [warren, reference]: [Duration; 2], goal: &str) {
    println!(
        "{what}: {} {warren:.2?}, {} {reference:.2?}: 1/{:.1} (to reach: {goal})",
        Side::Warren.name(),
        Side::Reference.name(),
        reference.as_secs_f64() / warren.as_secs_f64(),
    );
}

fn memory([(warren, ours), (reference, theirs)]: [(f64, usize); 2]) {
    println!(
        "memory (PSS): {} {warren:.1} MiB in {ours} process, {} {reference:.1} MiB in {theirs}: 1/{:.1} (to reach: 1/40)",
        Side::Warren.name(),
        Side::Reference.name(),
        reference / warren,
    );
}

fn latency(what: &str, sides: [&[Latency]; 2]) {
    let middle = |of: fn(&Latency) -> Duration| {
        sides.map(|side| {
            let all: Vec<Duration> = side.iter().map(of).collect();
            if all.is_empty() {
                Duration::ZERO
            } else {
                median(&all)
            }
        })
    };
    let [own, reference_own] = middle(|latency| latency.own);
    let [noticed, _] = middle(|latency| latency.noticed);
    let [answered, _] = middle(|latency| latency.answered);
    let [call, reference_call] = middle(|latency| latency.call);
    let [warren, reference] = [Side::Warren, Side::Reference].map(Side::name);
    println!(
        "{what}, from the notice on and without the server's answers: {warren} {own:.1?}, {reference} {reference_own:.1?} (to reach: 20 ms)"
    );
    println!(
        "  from the call on: {warren} {call:.1?}, {reference} {reference_call:.1?}; of {warren}'s the server had {noticed:.1?} until the notice, {answered:.1?} for its answers; medians of {} and {}",
        sides[0].len(),
        sides[1].len(),
    );
}
