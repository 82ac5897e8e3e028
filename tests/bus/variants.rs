//! Queues as newer releases of oslo.messaging declare them.

use lapin::options::ExchangeDeclareOptions;
use lapin::types::FieldTable;
use serde_json::json;
use warren::neutron::bus::{Bus, QueueManager, Queues, Settings};

use crate::ground::{Ground, agent, cast, connected, notice, publish, settings};

#[test]
fn quorum_queues_streams_and_names_that_last() {
    let Some(ground) = Ground::new("variants") else {
        return;
    };
    let plain = settings().queues;
    let manager = QueueManager {
        hostname: "net1".to_owned(),
        process: "warren".to_owned(),
    };
    let quorum = Queues {
        quorum: true,
        transient_quorum: true,
        ..plain.clone()
    };
    ground.runtime.block_on(async {
        for (n, (name, queues, fanout)) in [
            (
                "durable",
                Queues {
                    durable: true,
                    ..plain.clone()
                },
                "",
            ),
            ("quorum", quorum.clone(), ""),
            (
                "stream",
                Queues {
                    stream_fanout: true,
                    ..quorum
                },
                "_fanout",
            ),
            (
                "names that last",
                Queues {
                    manager: Some(manager.clone()),
                    ..plain.clone()
                },
                "_fanout_net1:warren:1",
            ),
            (
                "a server that knows no durable exchange",
                Queues {
                    durable: true,
                    ..plain
                },
                "",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            // Each in names of its own, as they don't go together.
            let exchange = format!("neutron{n}");
            let topic = format!("dhcp_agent{n}");
            let settings = Settings {
                exchange: exchange.clone(),
                queues,
                prefetch: 10,
                ..settings()
            };
            let channel = ground.channel().await;
            if name.starts_with("a server") {
                let options = ExchangeDeclareOptions::default();
                let topic = lapin::ExchangeKind::Topic;
                let there = channel.exchange_declare(
                    exchange.as_str().into(),
                    topic,
                    options,
                    FieldTable::default(),
                );
                there.await.unwrap();
            }
            let mut listener = agent();
            listener.topic.clone_from(&topic);
            let all = format!("{topic}_fanout");
            for life in 0..2 {
                let (settings, listener) = (settings.clone(), listener.clone());
                let starting = ground
                    .runtime
                    .spawn(async move { Bus::start(settings, vec![listener]) });
                let (bus, mut notices) = starting.await.unwrap();
                connected(&bus, 1).await;
                for (exchange, key, to) in [
                    (&exchange, format!("{topic}.net1"), "us"),
                    (&all, String::new(), "all"),
                ] {
                    let id = format!("{name} {life} {to}");
                    publish(
                        &channel,
                        exchange,
                        &key,
                        &cast("port_update_end", json!({"id": id}), &id),
                    )
                    .await;
                    // A stream begins with what was there last.
                    while notice(&mut notices).await.args["id"] != id {
                        assert_eq!((name, life), ("stream", 1));
                    }
                }
                if life == 0 {
                    bus.close().await;
                } else {
                    drop(bus);
                }
            }
            let queues = ground.broker.queues();
            let kinds: Vec<&str> = queues
                .iter()
                .filter(|q| q.name.contains(&topic))
                .map(|q| q.kind.as_str())
                .collect();
            let want: &[&str] = match name {
                "quorum" => &["quorum", "quorum", "quorum"],
                "stream" => &["quorum", "quorum", "stream"],
                _ => &["classic", "classic", "classic"],
            };
            let mut kinds = kinds;
            kinds.sort_unstable();
            assert_eq!(
                kinds, want,
                "{name}: one of each, also after an orderly end: {queues:#?}"
            );
            let lasting = format!("{topic}{fanout}");
            assert!(
                queues.iter().any(|queue| queue.name == lasting),
                "{name}: {lasting}: {queues:#?}"
            );
        }
    });
}
