//! The server with real sockets, in namespaces of its own: each test starts this program again inside `unshare`.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod ground;

use std::time::Duration;

use ground::{Ground, PATIENCE, sandboxed};

use super::*;
use crate::dhcp::tests::{ANN, STRANGER, discover, ip, mac, rebind, renew, select};
use crate::dhcp::{LeaseState, Server};
use crate::model::MacAddr;
use crate::plan::scope::{Claims, DhcpScope};

#[test]
fn who_has_no_address_is_answered_by_frames() {
    sandboxed("who_has_no_address_is_answered_by_frames", async {
        let ground = Ground::new("one").await;
        for (name, ask, to, address) in [
            (
                "by broadcast",
                discover(ANN).broadcast_flag(),
                MacAddr::BROADCAST,
                "255.255.255.255",
            ),
            ("offer", discover(ANN), mac(ANN), "10.0.0.10"),
            (
                "ack",
                select(ANN, "10.0.0.2", "10.0.0.10"),
                mac(ANN),
                "10.0.0.10",
            ),
            ("renewal", renew(ANN, "10.0.0.10"), mac(ANN), "10.0.0.10"),
            (
                "nak",
                select(ANN, "10.0.0.2", "10.0.0.99"),
                MacAddr::BROADCAST,
                "255.255.255.255",
            ),
        ] {
            let heard = ground
                .ask(&ask)
                .await
                .unwrap_or_else(|| panic!("{name}: no reply"));
            assert_eq!(heard.to_mac, to, "{name}");
            assert_eq!(heard.from_mac, mac(2), "{name}");
            assert_eq!(
                (heard.from, heard.to),
                (ip("10.0.0.2"), ip(address)),
                "{name}"
            );
            assert!(heard.checksums_hold, "{name}");
        }
        let leases = ground.server.leases();
        assert_eq!(
            (leases[0].mac, leases[0].address, leases[0].state),
            (mac(ANN), ip("10.0.0.10").into(), LeaseState::Bound)
        );
        let counters = ground.server.counters();
        assert_eq!(
            (
                counters.received,
                counters.counted.offers,
                counters.counted.acks,
                counters.counted.naks
            ),
            (5, 2, 2, 1)
        );
        assert_eq!(counters.unsent, 0);
    });
}

#[test]
fn renewing_is_by_unicast_and_rebinding_by_broadcast() {
    sandboxed("renewing_is_by_unicast_and_rebinding_by_broadcast", async {
        let ground = Ground::new("one").await;
        // The same bytes: a stranger who asks us alone is refused, one who asks everybody is left to others.
        assert!(ground.ask(&renew(STRANGER, "10.0.0.50")).await.is_some());
        assert!(
            ground
                .ask_briefly(&rebind(STRANGER, "10.0.0.50"))
                .await
                .is_none()
        );
        let counters = ground.server.counters();
        assert_eq!((counters.counted.naks, counters.counted.strangers), (1, 1));
    });
}

#[test]
fn relays_hear_from_the_address_that_they_asked() {
    sandboxed("relays_hear_from_the_address_that_they_asked", async {
        let _ground = Ground::new("one").await;
        let relay = tokio::net::UdpSocket::bind("10.0.0.9:67").await.unwrap();
        let mut reply = [0; 1500];
        // 10.0.0.2 is not the first address of the server's device, which the kernel would choose.
        relay
            .send_to(&discover(ANN).relay("10.0.0.9").packet(), "10.0.0.2:67")
            .await
            .unwrap();
        let received = tokio::time::timeout(PATIENCE, relay.recv_from(&mut reply)).await;
        let (length, from) = received.expect("a reply").unwrap();
        assert_eq!(from, "10.0.0.2:67".parse().unwrap());
        assert_eq!(reply[..length][242], 2, "an OFFER");
    });
}

#[test]
fn nonsense_is_counted_and_harms_nobody() {
    sandboxed("nonsense_is_counted_and_harms_nobody", async {
        let ground = Ground::new("one").await;
        let socket = tokio::net::UdpSocket::bind("10.0.0.9:68").await.unwrap();
        let long = [discover(ANN).packet(), vec![0; 4000]].concat();
        for nonsense in [&[][..], b"hello", &[0; 300], &long] {
            socket.send_to(nonsense, "10.0.0.2:67").await.unwrap();
        }
        assert!(ground.ask(&discover(ANN)).await.is_some());
        let counters = ground.server.counters();
        assert_eq!(
            (
                counters.received,
                counters.malformed,
                counters.counted.offers
            ),
            (5, 4, 1)
        );
    });
}

#[test]
fn an_update_is_served_at_once() {
    sandboxed("an_update_is_served_at_once", async {
        let ground = Ground::new("one").await;
        assert!(ground.ask(&discover(ANN)).await.is_some());
        let mut scope = ground::scope();
        scope.clients = Claims::default();
        ground.server.update(Arc::new(scope));
        assert!(ground.ask_briefly(&discover(ANN)).await.is_none());
        assert!(ground.server.leases().is_empty(), "not shown any more");
    });
}

#[test]
fn a_network_at_rest_holds_no_socket_for_frames() {
    sandboxed("a_network_at_rest_holds_no_socket_for_frames", async {
        let mut ground = Ground::new("one").await;
        assert_eq!(ground.packet_sockets().await, 0, "nobody has asked yet");
        assert!(ground.ask(&discover(ANN)).await.is_some());
        assert_eq!(
            ground.packet_sockets().await,
            1,
            "kept for the next message"
        );
        let quiet = Duration::from_millis(50);
        let hasty = Shared {
            quiet,
            ..Shared::default()
        };
        ground.serve_by(hasty).await;
        for _ in 0..2 {
            assert!(ground.ask(&discover(ANN)).await.is_some());
            ground.holds_no_packet_socket().await;
        }
        assert_eq!(ground.server.counters().unsent, 0);
    });
}

#[test]
fn of_many_networks_that_start_machines_few_hold_a_socket_for_frames() {
    sandboxed(
        "of_many_networks_that_start_machines_few_hold_a_socket_for_frames",
        async {
            let mut ground = Ground::new("one").await;
            let full = Shared {
                starting: Arc::new(Semaphore::new(0)),
                ..Shared::default()
            };
            ground.serve_by(full).await;
            for _ in 0..3 {
                assert!(ground.ask(&discover(ANN)).await.is_some());
                // Long before the network is at rest.
                ground.holds_no_packet_socket().await;
            }
            assert_eq!(ground.server.counters().unsent, 0);
        },
    );
}

#[test]
fn a_device_that_is_gone_is_waited_for_without_spinning() {
    sandboxed(
        "a_device_that_is_gone_is_waited_for_without_spinning",
        async {
            let mut ground = Ground::new("one").await;
            assert!(ground.ask(&discover(ANN)).await.is_some());
            ground.cut().await;
            let before = ground::burned();
            tokio::time::sleep(Duration::from_millis(500)).await;
            let spent = ground::burned() - before;
            assert!(spent < 100, "{spent} ms");
            // A device of the same name is another one. Its server may start before the old one is quite gone.
            ground.join("one").await;
            ground.server = ground::start(&ground.inside).await;
            assert!(ground.ask(&discover(ANN)).await.is_some());
        },
    );
}

#[test]
fn a_flooded_network_does_not_starve_another() {
    sandboxed("a_flooded_network_does_not_starve_another", async {
        let (loud, quiet) = (Ground::new("one").await, Ground::new("two").await);
        let flood = loud.flood(&discover(ANN));
        for _ in 0..20 {
            let start = Instant::now();
            assert!(quiet.ask(&discover(ANN)).await.is_some());
            assert!(
                start.elapsed() < Duration::from_secs(1),
                "{:?}",
                start.elapsed()
            );
        }
        drop(flood);
        assert!(
            loud.server.counters().received > 1000,
            "{:?}",
            loud.server.counters()
        );
    });
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    sandboxed("a_port_that_is_taken_is_said_so", async {
        let ground = Ground::new("one").await;
        let missing = DhcpScope {
            device: DevName::new("tap9").unwrap(),
            ..ground::scope()
        };
        let error = Server::start(&ground.inside, Arc::new(missing), &Arc::default())
            .await
            .unwrap_err();
        assert!(
            crate::chain(&error).contains("on tap9"),
            "{}",
            crate::chain(&error)
        );
        ground.server.stop().await;
        // SO_REUSEADDR or not: dnsmasq, left over from before, holds the port without it.
        let held = ground::hold_port(&ground.inside).await;
        let taken = Server::start(&ground.inside, Arc::new(ground::scope()), &Arc::default()).await;
        assert!(taken.is_err());
        drop(held);
    });
}
