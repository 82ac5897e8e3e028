//! Whatever comes in: no panic, and nothing longer than was asked for goes out.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const PACKETS: usize = 120_000;

#[test]
fn mutated_packets_do_no_harm() {
    let mut random = StdRng::seed_from_u64(2131);
    let seeds: Vec<Ask> = [ANN, BOB, FAR, IDA, STRANGER]
        .into_iter()
        .flat_map(|last| {
            [
                discover(last).list(&[1, 3, 6, 12, 15, 26, 28, 42, 119, 121, 249]),
                select(last, "10.0.0.2", "10.0.0.10").raw(61, b"ib-7"),
                renew(last, "10.0.0.11").raw(81, b"\x05\0\0\x03box\0"),
                reboot(last, "10.1.0.11").max_size(600),
                discover(last).relay("10.9.0.1").raw(
                    82,
                    &[1, 4, 1, 2, 3, 4, 5, 4, 10, 9, 0, 0, 11, 4, 10, 9, 0, 1],
                ),
                inform(last, "10.0.0.10").raw(52, &[3]),
                ask(last, MessageType::Decline)
                    .server("10.0.0.2")
                    .requested("10.0.0.10"),
                ask(last, MessageType::Release)
                    .server("10.0.0.2")
                    .ciaddr("10.0.0.10"),
                bootp(last),
            ]
        })
        .collect();
    let mut world = World::new();
    let mut replies = 0;
    for _ in 0..PACKETS {
        let seed = &seeds[random.random_range(0..seeds.len())];
        let packet = mutate(seed.packet(), &mut random);
        let arrived = if random.random() {
            Arrived::Unicast
        } else {
            Arrived::Broadcast
        };
        let Ok(request) = Request::decode(&packet, arrived, seed.source) else {
            continue;
        };
        if let Answer::Reply(reply) = answer(&world.scope, &request, &mut world.leases, world.now) {
            replies += 1;
            assert!(
                (300..=1450 - 28).contains(&reply.message.len()),
                "{} bytes",
                reply.message.len()
            );
            assert_eq!(&reply.message[4..8], &packet[4..8]);
        }
        world.now += Duration::from_millis(10);
        assert!(world.leases.list(&world.scope, world.now).len() <= 4);
    }
    assert!(
        replies > PACKETS / 100,
        "only {replies} replies: the mutations are too wild to show anything"
    );
}

/// A few bytes changed, taken out, doubled or cut off; mostly among the options, where it matters.
fn mutate(mut packet: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    for _ in 0..random.random_range(1..6) {
        if packet.is_empty() {
            break;
        }
        let from = if random.random_bool(0.2) {
            0
        } else {
            packet.len().min(240)
        };
        let at = random.random_range(from.min(packet.len() - 1)..packet.len());
        match random.random_range(0..6) {
            0 => packet[at] = random.random(),
            1 => packet[at] ^= 1 << random.random_range(0..8),
            2 => drop(packet.remove(at)),
            3 => packet.insert(at, random.random()),
            4 => packet.extend_from_within(at..(at + 8).min(packet.len())),
            _ if random.random_bool(0.1) => packet.truncate(at),
            _ => {
                packet[at] = [0, 1, 4, 50, 51, 52, 53, 54, 55, 57, 61, 81, 82, 118, 255]
                    [random.random_range(0..15)];
            }
        }
    }
    packet
}
