//! The figures as people read them: both sides, their ratio, and what is to be reached.

use std::time::Duration;

use crate::cost::{self, Cold};
use crate::figures::median;
use crate::networks;
use crate::notices::Latency;
use crate::routers;
use crate::side::Side;

/// Why, the panic has told.
const MISSING: &str = "could not be measured on both sides";

pub(crate) fn networks([warren, reference]: &[networks::Figures; 2]) {
    println!("{} networks; load {}", warren.networks, cost::load());
    cold(
        "cold start, until all serve DHCP and metadata",
        [warren.cold, reference.cold],
    );
    if let (Some(warren), Some(reference)) = (&warren.warm, &reference.warm) {
        warm([warren, reference]);
    } else {
        println!("warm restart: {MISSING}");
    }
    memory([warren.memory, reference.memory]);
    latency("port create to OFFER", [&warren.ports, &reference.ports]);
    if let (Some(warren), Some(reference)) = (&warren.metadata, &reference.metadata) {
        metadata([warren, reference]);
    } else {
        println!("metadata requests: {MISSING}");
    }
}

fn warm([warren, reference]: [&networks::Warm; 2]) {
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
            of(warren),
            Side::Reference.name(),
            of(reference),
        );
    }
    println!(
        "  asked every {:?} and {:?}, metadata every {:?} and {:?}, which is in these figures",
        warren.every, reference.every, warren.metadata_every, reference.metadata_every
    );
    less("  full sync", [warren.synced, reference.synced], "1/10");
}

fn metadata(sides: [&networks::Metadata; 2]) {
    let [warren, reference] = [Side::Warren, Side::Reference].map(Side::name);
    for (what, goal, of) in [
        (
            "through the whole chain (node, server, broker, database)",
            " (to reach: 100x)",
            (|side| side.node + side.control) as fn(&networks::Metadata) -> Duration,
        ),
        ("  of the node alone", "", |side| side.node),
    ] {
        let [ours, theirs] = sides.map(|side| {
            let requests = u32::try_from(side.requests).expect("seconds are short");
            f64::from(requests) / of(side).as_secs_f64()
        });
        println!(
            "metadata requests per CPU second, {what}: {warren} {ours:.0}, {reference} {theirs:.0}: {:.0}x{goal}",
            ours / theirs
        );
    }
    println!("  of {} and {}", sides[0].requests, sides[1].requests);
}

pub(crate) fn routers([warren, reference]: &[routers::Figures; 2]) {
    println!("{} routers; load {}", warren.routers, cost::load());
    cold(
        "cold start, until all forward through their floating IPs",
        [warren.cold, reference.cold],
    );
    memory([warren.memory, reference.memory]);
    latency(
        "floating ip set to the first packet through and back",
        [&warren.floating, &reference.floating],
    );
}

fn cold(what: &str, sides: [Option<Cold>; 2]) {
    let [Some(warren), Some(reference)] = sides else {
        println!("{what}: {MISSING}: {sides:.2?}");
        return;
    };
    less(what, [warren.time, reference.time], "1/20");
    less(
        "  the same in CPU time",
        [warren.cpu, reference.cpu],
        "1/40",
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

fn latency(what: &str, sides: [&Option<Vec<Latency>>; 2]) {
    let [Some(warren), Some(reference)] = sides else {
        println!("{what}: {MISSING}: {sides:.1?}");
        return;
    };
    let sides = [warren, reference];
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
