//! The server with real sockets, in namespaces of its own: each test starts this program again inside `unshare`.

#![allow(clippy::unwrap_used)] // a test may panic

mod connections;
mod forwarding;
mod ground;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use ground::{Asker, Forward, Ground, Stub, question, record, refusal, sandboxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::super::shared::Bound;
use super::*;
use crate::plan::scope::{NoRebind, Side};

/// Answers arrive well before this, and what never arrives is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn answers_by_udp_and_tcp_on_each_address() {
    sandboxed("answers_by_udp_and_tcp_on_each_address", async {
        let ground = Ground::new(&[]).await;
        for server in ["10.0.0.2:53", "[fd00::2]:53"] {
            let server: SocketAddr = server.parse().unwrap();
            let asker = Asker::new(server).await;
            // The asker is connected: it hears nothing that leaves from another address.
            let reply = asker.ask(&question(7, "Web.demo")).await.unwrap();
            assert_eq!(reply[..2], [0, 7]);
            assert!(reply.ends_with(&[10, 0, 0, 5]), "{reply:x?}");
            let reply = ground::by_tcp(server, &question(8, "web.demo"))
                .await
                .unwrap();
            assert_eq!(reply[..2], [0, 8]);
            assert!(reply.ends_with(&[10, 0, 0, 5]), "{reply:x?}");
        }
        let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
        assert_eq!(
            asker.code(&question(1, "nobody.demo")).await,
            Some(3),
            "NXDOMAIN"
        );
        assert_eq!(
            asker.code(&question(1, "example.org")).await,
            Some(5),
            "REFUSED"
        );
        let counters = ground.server.counters();
        assert_eq!(counters.answered, 4);
        assert_eq!((counters.denied, counters.forward_nowhere), (1, 1));
        assert_eq!((counters.queries, counters.connections), (6, 2));
    });
}

#[test]
fn strangers_are_not_answered() {
    sandboxed("strangers_are_not_answered", async {
        let ground = Ground::new(&[]).await;
        let server: SocketAddr = "10.0.0.2:53".parse().unwrap();
        let asker = Asker::from("10.99.0.9", server).await;
        assert_eq!(asker.code_within(&question(1, "web.demo"), 300).await, None);
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("10.99.0.9:0".parse().unwrap()).unwrap();
        let mut stream = socket.connect(server).await.unwrap();
        assert!(closed(&mut stream).await);
        assert_eq!(ground.server.counters().strangers, 2);
        assert_eq!(ground.server.counters().queries, 0);
    });
}

#[test]
fn an_update_is_served_at_once() {
    sandboxed("an_update_is_served_at_once", async {
        let ground = Ground::new(&[]).await;
        let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
        assert_eq!(asker.code(&question(1, "new.demo")).await, Some(3));
        let stub = Stub::at("127.0.0.1", |query| vec![record(query, 1)]).await;
        let mut scope = ground::scope(&[stub.from(Side::Host)]);
        scope.zones = vec![ground::zone("new", "10.0.0.6")];
        ground.server.update(Arc::new(scope));
        assert_eq!(asker.code(&question(2, "new.demo")).await, Some(0));
        assert_eq!(asker.code(&question(2, "web.demo")).await, Some(3));
        assert_eq!(asker.code(&question(2, "example.org")).await, Some(0));
    });
}

#[test]
fn networks_with_the_same_addresses_never_meet() {
    sandboxed("networks_with_the_same_addresses_never_meet", async {
        // Twice 10.0.0.0/24 with a forwarder at 10.0.0.9, and one more on the host that both use.
        let common = Stub::at("127.0.0.1", |query| vec![record(query, 9)]).await;
        let red = Ground::elsewhere("red", |query| vec![record(query, 1)], &common).await;
        let blue = Ground::elsewhere("blue", |query| vec![record(query, 2)], &common).await;
        // Each is asked for twice, and the second time answered from the cache.
        let name = |id| format!("{}.example.org", id / 2);
        for id in 0..50 {
            let (of_red, of_blue) = tokio::join!(
                red.asks(question(id, &name(id))),
                blue.asks(question(id, &name(id)))
            );
            assert!(of_red.ends_with(&[192, 0, 2, 1]), "{of_red:x?}");
            assert!(of_blue.ends_with(&[192, 0, 2, 2]), "{of_blue:x?}");
        }
        assert_eq!(red.server.counters().forward_answered, 25);
        assert_eq!(red.server.counters().cached, 25);
        assert_eq!(blue.server.counters().spoofed, 0);
        assert!(common.heard().is_empty());
    });
}

#[test]
fn a_flooded_network_leaves_others_their_turn() {
    sandboxed("a_flooded_network_leaves_others_their_turn", async {
        let silent = Stub::at("127.0.0.1", |_| vec![]).await;
        let red = Ground::elsewhere("red", |_| vec![], &silent).await;
        let blue = Ground::elsewhere("blue", |_| vec![], &silent).await;
        blue.asks(question(0, "web.demo")).await; // neighbours have found each other
        let flood = red.flood(question(1, "web.demo")).await;
        let (mut slowest, mut asked) = (Duration::ZERO, 0);
        // Until it was a flood.
        while asked < 200 || red.server.counters().queries < 1000 {
            let start = Instant::now();
            let reply = blue.asks(question(asked, "web.demo")).await;
            assert_eq!(reply[3] & 15, 0);
            slowest = slowest.max(start.elapsed());
            asked += 1;
        }
        drop(flood);
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    });
}

/// The other side ended the connection, without a word.
async fn closed(stream: &mut TcpStream) -> bool {
    matches!(
        timeout(PATIENCE, stream.read(&mut [0; 16])).await,
        Ok(Ok(0) | Err(_))
    )
}
