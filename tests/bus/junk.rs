//! Messages that make no sense, come twice, or are far too many.

use std::io::Write;

use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use crate::LONG;
use crate::ground::{Ground, cast, connected, notice, publish, publish_with};

const KEY: &str = "dhcp_agent.net1";

#[test]
fn junk_is_dropped_and_counted_and_what_follows_it_comes() {
    let Some(ground) = Ground::new("junk") else {
        return;
    };
    ground.runtime.block_on(async {
        let (bus, mut notices) = ground.bus().await;
        let channel = ground.channel().await;
        let mut bomb = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..64 {
            bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        let bomb = bomb.finish().unwrap();
        let future = json!({"oslo.version": "3.0", "oslo.message": "{}"}).to_string();
        for (body, compression) in [
            (b"no JSON".as_slice(), None),
            (b"", None),
            (b"\xff\xfe\xfd", None),
            (b"[]", None),
            (future.as_bytes(), None),
            ("[".repeat(1_000_000).as_bytes(), None),
            (&vec![b' '; 50_000_000], None),
            (&bomb, Some("application/x-gzip")),
            (&bomb[..100], Some("application/x-gzip")),
            (b"{}", Some("application/x-unheard-of")),
            (json!({"method": 7}).to_string().as_bytes(), None),
            (
                json!({"method": "port_update_end", "args": [1]})
                    .to_string()
                    .as_bytes(),
                None,
            ),
            (
                json!({"method": "port_update_end", "_msg_id": "i", "_reply_q": "q".repeat(300)})
                    .to_string()
                    .as_bytes(),
                None,
            ),
        ] {
            publish_with(&channel, "neutron", KEY, body, compression).await;
        }
        // The same message twice, one that nobody serves, and at last one that is new.
        let once = cast(
            "port_update_end",
            json!({"n": 1}),
            "11111111111111111111111111111111",
        );
        publish(&channel, "neutron", KEY, &once).await;
        publish(&channel, "neutron", KEY, &once).await;
        publish(
            &channel,
            "neutron",
            KEY,
            &cast("drop_all_tables", json!({}), "2"),
        )
        .await;
        publish(
            &channel,
            "neutron",
            KEY,
            &cast("port_update_end", json!({"n": 3}), "3"),
        )
        .await;

        assert_eq!(notice(&mut notices).await.args["n"], 1);
        assert_eq!(notice(&mut notices).await.args["n"], 3);
        let counts = bus.counts();
        assert_eq!(
            (
                counts.unreadable,
                counts.repeated,
                counts.refused,
                counts.notices
            ),
            (13, 1, 1, 2),
            "{counts:?}"
        );
        assert_eq!(
            connected(&bus, 1).await,
            1,
            "none of it broke the connection"
        );
    });
    let queues = ground.broker.queues();
    let ours = queues.iter().find(|queue| queue.name == KEY).unwrap();
    assert_eq!(ours.messages, 0, "nothing came back: {ours:?}");
}

/// What nobody takes stays with the broker.
#[test]
fn a_flood_waits_in_the_broker() {
    let Some(ground) = Ground::new("flood") else {
        return;
    };
    const FLOOD: u64 = 2000;
    ground.runtime.block_on(async {
        let (bus, mut notices) = ground.bus().await;
        let channel = ground.channel().await;
        for n in 0..FLOOD {
            publish(
                &channel,
                "neutron",
                KEY,
                &cast("port_update_end", json!({"n": n}), &n.to_string()),
            )
            .await;
        }
        // Taken are as many as the channel has room for.
        let full = timeout(LONG, async {
            while bus.counts().notices < 256 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        full.await.unwrap();
        let waiting = ground.broker.queues();
        let waiting = waiting
            .iter()
            .find(|queue| queue.name == KEY)
            .unwrap()
            .messages;
        assert_eq!(bus.counts().notices, 256);
        assert_eq!(waiting, FLOOD - 256, "the rest is the broker's");
        for n in 0..FLOOD {
            assert_eq!(
                notice(&mut notices).await.args["n"],
                Value::from(n),
                "in order, none missing"
            );
        }
    });
}
