//! How queues and exchanges are declared.

use super::super::QueueManager;
use super::super::sample::settings;
use super::*;

/// One line each, as a person would write it down.
fn lines(settings: &Settings) -> Vec<String> {
    let dhcp = Listener {
        topic: "dhcp_agent".to_owned(),
        host: "net1.example".to_owned(),
        version: (1, 0),
        methods: &[],
    };
    let suffix = |n| match settings.queues.manager {
        Some(_) => suffix(settings, n),
        None => "f00d".to_owned(),
    };
    let ground = listener(settings, &dhcp, &suffix(1));
    let exchanges = ground.exchanges.iter().map(|e| {
        let durable = if e.durable { " durable" } else { "" };
        let auto_delete = if e.auto_delete { " auto-delete" } else { "" };
        format!("exchange {} {:?}{durable}{auto_delete}", e.name, e.kind)
    });
    let reply = reply(settings, &suffix(2));
    let queues = ground.queues.iter().chain([&reply]).map(|q| {
        let durable = if q.durable { " durable" } else { "" };
        let auto_delete = if q.auto_delete { " auto-delete" } else { "" };
        let arguments: String = q
            .arguments
            .iter()
            .map(|(name, value)| match value {
                Argument::Text(text) => format!(" {name}={text}"),
                Argument::Number(number) => format!(" {name}={number}"),
            })
            .collect();
        let binding = q
            .binding
            .iter()
            .map(|(exchange, key)| format!(" <- {exchange} {key}"));
        let binding: String = binding.collect();
        format!(
            "{:?} {}{durable}{auto_delete}{arguments}{binding}",
            q.role, q.name
        )
    });
    exchanges.chain(queues).collect()
}

#[test]
fn the_server_declares_the_same() {
    let plain = settings().queues;
    for (name, queues, want) in [
        (
            "as it comes",
            plain.clone(),
            [
                "exchange neutron Topic",
                "exchange dhcp_agent_fanout Fanout auto-delete",
                "Shared dhcp_agent <- neutron dhcp_agent",
                "Shared dhcp_agent.net1.example <- neutron dhcp_agent.net1.example",
                "Ours dhcp_agent_fanout_f00d x-expires=1800000 <- dhcp_agent_fanout dhcp_agent",
                "Reply reply_f00d x-expires=1800000",
            ],
        ),
        (
            "durable, auto-delete, mirrored, for ever",
            Queues {
                durable: true,
                auto_delete: true,
                ha: true,
                transient_ttl: 0,
                ..plain.clone()
            },
            [
                "exchange neutron Topic durable auto-delete",
                "exchange dhcp_agent_fanout Fanout auto-delete",
                "Shared dhcp_agent durable auto-delete x-ha-policy=all <- neutron dhcp_agent",
                "Shared dhcp_agent.net1.example durable auto-delete x-ha-policy=all <- neutron dhcp_agent.net1.example",
                "Ours dhcp_agent_fanout_f00d <- dhcp_agent_fanout dhcp_agent",
                "Reply reply_f00d",
            ],
        ),
        (
            "quorum with a limit",
            Queues {
                quorum: true,
                delivery_limit: 3,
                ..plain.clone()
            },
            [
                "exchange neutron Topic durable",
                "exchange dhcp_agent_fanout Fanout auto-delete",
                "Shared dhcp_agent durable x-queue-type=quorum x-delivery-limit=3 <- neutron dhcp_agent",
                "Shared dhcp_agent.net1.example durable x-queue-type=quorum x-delivery-limit=3 <- neutron dhcp_agent.net1.example",
                "Ours dhcp_agent_fanout_f00d x-expires=1800000 <- dhcp_agent_fanout dhcp_agent",
                "Reply reply_f00d x-expires=1800000",
            ],
        ),
        (
            "all of them quorum",
            Queues {
                quorum: true,
                transient_quorum: true,
                max_memory_length: 7,
                ..plain.clone()
            },
            [
                "exchange neutron Topic durable",
                "exchange dhcp_agent_fanout Fanout durable auto-delete",
                "Shared dhcp_agent durable x-queue-type=quorum x-max-in-memory-length=7 <- neutron dhcp_agent",
                "Shared dhcp_agent.net1.example durable x-queue-type=quorum x-max-in-memory-length=7 <- neutron dhcp_agent.net1.example",
                "Ours dhcp_agent_fanout_f00d durable x-queue-type=quorum x-max-in-memory-length=7 x-expires=1800000 <- dhcp_agent_fanout dhcp_agent",
                "Reply reply_f00d durable x-queue-type=quorum x-max-in-memory-length=7 x-expires=1800000",
            ],
        ),
        (
            "one stream for all agents",
            Queues {
                transient_quorum: true,
                stream_fanout: true,
                ..plain.clone()
            },
            [
                "exchange neutron Topic",
                "exchange dhcp_agent_fanout Fanout durable auto-delete",
                "Shared dhcp_agent <- neutron dhcp_agent",
                "Shared dhcp_agent.net1.example <- neutron dhcp_agent.net1.example",
                "Stream dhcp_agent_fanout durable x-queue-type=stream x-max-age=1800s <- dhcp_agent_fanout dhcp_agent",
                "Reply reply_f00d durable x-queue-type=quorum x-expires=1800000",
            ],
        ),
        (
            "names that last",
            Queues {
                manager: Some(QueueManager {
                    hostname: "net1".to_owned(),
                    process: "warren".to_owned(),
                }),
                ..plain
            },
            [
                "exchange neutron Topic",
                "exchange dhcp_agent_fanout Fanout auto-delete",
                "Shared dhcp_agent <- neutron dhcp_agent",
                "Shared dhcp_agent.net1.example <- neutron dhcp_agent.net1.example",
                "Shared dhcp_agent_fanout_net1:warren:1 x-expires=1800000 <- dhcp_agent_fanout dhcp_agent",
                "Reply reply_net1:warren:2 x-expires=1800000",
            ],
        ),
    ] {
        let settings = Settings {
            queues,
            ..settings()
        };
        assert_eq!(lines(&settings), want, "{name}");
    }
}

#[test]
fn only_durable_is_given_in_to() {
    for (refusal, want) in [
        (
            "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'neutron' in vhost '/': received 'true' but current is 'false'",
            true,
        ),
        (
            "PRECONDITION_FAILED - inequivalent arg 'x-expires' for queue 'q' in vhost '/': received none but current is '1' of type 'signedint'",
            false,
        ),
        ("NOT_FOUND - no queue 'q' in vhost '/'", false),
    ] {
        assert_eq!(is_there_not_durable(refusal), want, "{refusal}");
    }
}
