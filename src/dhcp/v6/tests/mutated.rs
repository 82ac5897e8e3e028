//! Whatever comes in: no panic, and nothing longer than the link carries goes out.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const PACKETS: usize = 120_000;

#[test]
fn mutated_packets_do_no_harm() {
    let mut random = StdRng::seed_from_u64(8415);
    let all = ["2001:db8:1::a", "2001:db8:1::77", "2001:db8:77::1"];
    let seeds: Vec<Says> = [ANN, BOB, FAR, IDA, LES, STRANGER]
        .into_iter()
        .flat_map(|last| {
            let peer = mac(last).link_local().to_string();
            [
                says(last, SOLICIT)
                    .na(&all)
                    .ta()
                    .pd()
                    .wanting(&[23, 24, 31, 32, 39, 56]),
                says(last, SOLICIT)
                    .na(&[])
                    .raw(14, b"")
                    .raw(39, b"\x01\x03box"),
                says(last, REQUEST)
                    .to(US)
                    .na(&all)
                    .na_wishing(2, &all, [1, 2]),
                says(last, RENEW).to(US).na(&all),
                says(last, REBIND).na(&all).raw(15, b"\0\x04iPXE"),
                says(last, CONFIRM).na(&all),
                says(last, RELEASE).to(US).na(&all),
                says(last, DECLINE).to(US).na(&all),
                says(last, INFORMATION).wanting(&[23]),
                says(last, SOLICIT)
                    .na(&[])
                    .relay("2001:db8:9::1", &peer, &option(18, b"one"))
                    .relay("2001:db8:7::1", "2001:db8:9::1", &option(135, &[0, 0])),
            ]
        })
        .collect();
    let mut world = World::new();
    let mut replies = 0;
    for _ in 0..PACKETS {
        let seed = &seeds[random.random_range(0..seeds.len())];
        let packet = mutate(seed.packet(), &mut random);
        let arrived = match random.random_bool(0.2) {
            true => Arrived::Unicast,
            false => Arrived::Multicast,
        };
        let Ok(request) = Request::decode(&packet, arrived, seed.source) else {
            continue;
        };
        let World { scope, leases, now } = &mut world;
        if let Answer::Reply(reply) = answer(scope, &request, seed.neighbour, leases, *now) {
            replies += 1;
            let longest = match reply.to {
                Delivery::Frame { .. } => 1450 - 48,
                Delivery::Datagram(_) => 4096,
            };
            assert!(
                (4..=longest).contains(&reply.message.len()),
                "{} bytes",
                reply.message.len()
            );
        }
        world.now += Duration::from_millis(10);
        assert!(world.leases.list(&world.scope, world.now).len() <= 6);
    }
    assert!(
        replies > PACKETS / 100,
        "only {replies} replies: the mutations are too wild to show anything"
    );
}

/// A few bytes changed, taken out, doubled or cut off.
fn mutate(mut packet: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    for _ in 0..random.random_range(1..4) {
        if packet.is_empty() {
            break;
        }
        let at = random.random_range(0..packet.len());
        match random.random_range(0..7) {
            0 => packet[at] = random.random(),
            1 => packet[at] ^= 1 << random.random_range(0..8),
            2 => drop(packet.remove(at)),
            3 => packet.insert(at, random.random()),
            4 => packet.extend_from_within(at..(at + 8).min(packet.len())),
            5 if random.random_bool(0.1) => packet.truncate(at),
            _ => {
                packet[at] =
                    [0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 14, 25, 39, 79][random.random_range(0..14)];
            }
        }
    }
    packet
}
