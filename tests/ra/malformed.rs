//! Solicitations that no router heeds (RFC 4861 section 6.1.1), and thousands that are broken: they are dropped and counted, and
//! whoever asks next is answered.

use std::net::Ipv6Addr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::common::{
    ALL_NODES, ALL_ROUTERS, Advertised, Daemon, Host, PATIENCE, Sender, Wire, group_mac,
    prefix_option, settled, wait_for,
};
use crate::hostile::held;
use crate::{CLOUD, ROUTER};

/// Broken messages in all; after each batch a whole one must be answered.
const BATCHES: u32 = 50;
const BATCH: u32 = 100;
/// One that each sender would be answered for.
const WHOLE: [u8; 8] = [133, 0, 0, 0, 0, 0, 0, 0];

/// Somebody else for each number.
fn sender(wire: &Wire, number: u32) -> Sender {
    Sender {
        mac: wire.mac(),
        ip: Ipv6Addr::from((0xfe80 << 112) | u128::from(0x1000 + number)),
    }
}

fn solicitation(from: Sender, message: &[u8], options: &[u8]) -> Vec<u8> {
    let message = [message, options].concat();
    from.icmp6(group_mac(ALL_ROUTERS), ALL_ROUTERS, message)
}

/// Of all links of the router.
fn counted(daemon: &Daemon, word: &str) -> u64 {
    let counters = &daemon.json(&["show", "router", "r1"])["counters"];
    let links = counters.as_object().unwrap().iter();
    let links = links.filter(|(name, _)| name.starts_with("ra qr-"));
    links.map(|(_, link)| link[word].as_u64().unwrap()).sum()
}

/// Who asks as one should is answered, alone or with all.
#[track_caller]
fn answered(wire: &Wire, number: u32) {
    let asking = sender(wire, number);
    wire.drain();
    wait_for("an answer", PATIENCE, || {
        wire.send(&asking.solicits());
        wire.recv(Duration::from_secs(1), |frame| {
            Advertised::parse(frame).filter(|said| [asking.ip, ALL_NODES].contains(&said.to))
        })
    });
}

#[test]
fn only_whole_ones_of_neighbours_are_heeded() {
    let Some(host) = Host::new("ra-malformed") else {
        return;
    };
    let daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let guest = host.guest("blue9", "br-blue", "02:00:00:00:09:09");
    settled(&guest, "eth0");
    let wire = guest.wire();
    answered(&wire, 0);
    let own = [&[1, 1][..], &wire.mac()].concat();
    let nobody = Sender {
        ip: Ipv6Addr::UNSPECIFIED,
        ..sender(&wire, 0)
    };
    let far = {
        let mut frame = solicitation(sender(&wire, 1), &WHOLE, &own);
        frame[21] = 64; // hop limit; 254 is what one router on the way leaves
        frame
    };
    let nearly = {
        let mut frame = far.clone();
        frame[21] = 254;
        frame
    };
    let of = |number, message: &[u8], options: &[u8]| {
        solicitation(sender(&wire, number), message, options)
    };
    for (number, (name, frame)) in (1..).zip([
        ("a hop limit of 64", far),
        ("a hop limit of 254", nearly),
        ("another code", of(3, &[133, 1, 0, 0, 0, 0, 0, 0], &own)),
        ("shorter than its head", of(4, &WHOLE[..7], &[])),
        (
            "an option of no length",
            of(5, &WHOLE, &[1, 0, 0, 0, 0, 0, 0, 0]),
        ),
        ("an option that is cut", of(6, &WHOLE, &own[..6])),
        (
            "half an option more",
            of(7, &WHOLE, &[&own[..], &[1]].concat()),
        ),
        (
            "a MAC of who has no address",
            solicitation(nobody, &WHOLE, &own),
        ),
        ("longer than any", of(9, &WHOLE, &own.repeat(40))),
    ]) {
        let (before, answers) = (counted(&daemon, "malformed"), counted(&daemon, "answered"));
        wire.send(&frame);
        wait_for(name, PATIENCE, || {
            (counted(&daemon, "malformed") > before).then_some(())
        });
        assert_eq!(counted(&daemon, "malformed"), before + 1, "{name}");
        assert_eq!(counted(&daemon, "answered"), answers, "{name}");
        answered(&wire, 100 + number);
    }
}

#[test]
fn broken_ones_do_no_harm() {
    let Some(host) = Host::new("ra-broken") else {
        return;
    };
    let mut daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let guest = host.guest("blue9", "br-blue", "02:00:00:00:09:09");
    settled(&guest, "eth0");
    let wire = guest.wire();
    answered(&wire, 0);
    let router = daemon.json(&["show", "router", "r1"])["namespace"].clone();
    let router = router.as_str().unwrap();
    let in_router = |argv: &[&str]| host.run_in(router, argv).ok();
    let holds = held(in_router);
    let mut random = StdRng::seed_from_u64(4861);
    let far: Ipv6Addr = "2001:db8:77::1".parse().unwrap();
    let before = counted(&daemon, "received");
    for batch in 0..BATCHES {
        for _ in 0..BATCH {
            let from = sender(&wire, random.random_range(1..20));
            let to = (group_mac(ALL_ROUTERS), ALL_ROUTERS);
            // What only the kernel hears (advertisements, redirects) is a part of it.
            let frame = match random.random_range(0..8) {
                0 => from.advertises(&prefix_option(far)),
                1 => from.redirects(to, far, (wire.mac(), from.ip)),
                _ => from.solicits(),
            };
            wire.send(&mutated(from, &frame, &mut random));
        }
        answered(&wire, 1000 + batch);
        assert!(daemon.is_alive(), "batch {batch}: {}", daemon.log());
    }
    let (received, malformed) = (
        counted(&daemon, "received") - before,
        counted(&daemon, "malformed"),
    );
    println!(
        "{received} of {} came in, {malformed} malformed",
        BATCHES * BATCH
    );
    assert!(received > u64::from(BATCHES * BATCH / 4), "only {received}");
    assert!(malformed > received / 4, "only {malformed} of {received}");
    assert_eq!(held(in_router), holds, "nothing of it was learned");
    assert!(daemon.log().len() < 100_000, "the log stays short");
}

/// A few bytes of the message changed, taken out, doubled or cut off; the checksum is mostly right. Now and then the hop limit
/// is another.
fn mutated(from: Sender, frame: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut message = frame[54..].to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(1..message.len());
        match random.random_range(0..6) {
            0 => message[at] = random.random(),
            1 => message[at] ^= 1 << random.random_range(0..8),
            2 => message.insert(at, random.random()),
            3 => message.extend_from_within(at..),
            4 => message.truncate(at.max(5)),
            _ => message[at] = [0, 1, 2, 3, 5, 24, 25, 31, 255][random.random_range(0..9)],
        }
    }
    message[2..4].fill(0); // it is summed up anew
    let mut frame = from.icmp6(group_mac(ALL_ROUTERS), ALL_ROUTERS, message);
    match random.random_range(0..10) {
        0 => frame[21] = random.random(),
        1 => frame[56] ^= 0xff, // the checksum
        _ => {}
    }
    frame
}
