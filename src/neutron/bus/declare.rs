//! What is declared on the broker, as values: every agent and server must say the same, or the broker refuses (406).
//!
//! Names and arguments are oslo.messaging's (`impl_rabbit: Connection`, `Consumer`); in its words T is the topic, H the host.

use super::{Listener, Queues, Settings};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Topic,
    Fanout,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) arguments: Vec<(&'static str, Argument)>,
    /// (exchange, routing key)
    pub(super) binding: Option<(String, String)>,
    pub(super) role: QueueRole,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Argument {
    Text(String),
    Number(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueRole {
    /// Shared with others, or kept over restarts.
    Shared,
    /// A fanout queue that nobody needs when we are gone.
    Ours,
    /// Read from the last message on, or from where we were.
    Stream,
    Reply,
}

/// What one listener needs; the exchanges first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) queues: Vec<Queue>,
}

/// The exchange that calls, casts and topics share.
pub(super) fn control(settings: &Settings) -> Exchange {
    Exchange {
        name: settings.exchange.clone(),
        kind: Kind::Topic,
        durable: lasting(&settings.queues),
        auto_delete: settings.queues.auto_delete,
    }
}

/// `suffix` tells our fanout queue from those of other agents.
pub(super) fn listener(settings: &Settings, listener: &Listener, suffix: &str) -> Ground {
    let queues = &settings.queues;
    let Listener { topic, host, .. } = listener;
    let fanout = format!("{topic}_fanout");
    let shared = |name: String| Queue {
        binding: Some((settings.exchange.clone(), name.clone())),
        name,
        durable: lasting(queues),
        auto_delete: queues.auto_delete,
        arguments: shared_arguments(queues),
        role: QueueRole::Shared,
    };
    let mut last = if queues.stream_fanout {
        stream(fanout.clone(), queues)
    } else {
        Queue {
            role: match queues.manager {
                Some(_) => QueueRole::Shared,
                None => QueueRole::Ours,
            },
            ..transient(format!("{fanout}_{suffix}"), queues)
        }
    };
    last.binding = Some((fanout.clone(), topic.clone()));
    Ground {
        exchanges: vec![
            control(settings),
            Exchange {
                name: fanout,
                kind: Kind::Fanout,
                durable: queues.transient_quorum,
                auto_delete: true,
            },
        ],
        queues: vec![
            shared(topic.clone()),
            shared(format!("{topic}.{host}")),
            last,
        ],
    }
}

/// An exchange that goes when `exchange` does: it is bound to that, and deletes itself with its last binding. Who makes
/// `exchange` anew does not make this. Its name is the same after each restart, so none is left over.
pub(super) fn witness(exchange: &Exchange, listener: &Listener) -> Exchange {
    let Listener { topic, host, .. } = listener;
    let whose = format!("{topic}.{host}");
    let whose = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, whose.as_bytes());
    Exchange {
        name: format!("{}_{}", exchange.name, whose.simple()),
        kind: Kind::Fanout,
        durable: false,
        auto_delete: true,
    }
}

pub(super) fn reply(settings: &Settings, suffix: &str) -> Queue {
    transient(format!("reply_{suffix}"), &settings.queues)
}

/// What makes our reply and fanout queues ours: random, or with the queue manager the same after each restart.
/// The `n`-th queue of this process, counted from 1.
pub(super) fn suffix(settings: &Settings, n: usize) -> String {
    match &settings.queues.manager {
        Some(manager) => format!("{}:{}:{n}", manager.hostname, manager.process),
        None => uuid::Uuid::new_v4().simple().to_string(),
    }
}

/// Whether a refusal (406) only says that the thing is there already, and not durable.
pub(super) fn is_there_not_durable(refusal: &str) -> bool {
    refusal.contains("inequivalent arg 'durable'")
}

fn lasting(queues: &Queues) -> bool {
    queues.durable || queues.quorum
}

fn shared_arguments(queues: &Queues) -> Vec<(&'static str, Argument)> {
    if queues.quorum {
        quorum(queues)
    } else if queues.ha {
        vec![("x-ha-policy", Argument::Text("all".to_owned()))]
    } else {
        Vec::new()
    }
}

fn quorum(queues: &Queues) -> Vec<(&'static str, Argument)> {
    let limits = [
        ("x-delivery-limit", queues.delivery_limit),
        ("x-max-in-memory-length", queues.max_memory_length),
        ("x-max-in-memory-bytes", queues.max_memory_bytes),
    ];
    let set = limits.into_iter().filter(|&(_, limit)| limit > 0);
    [("x-queue-type", Argument::Text("quorum".to_owned()))]
        .into_iter()
        .chain(set.map(|(name, limit)| (name, Argument::Number(limit.into()))))
        .collect()
}

fn transient(name: String, queues: &Queues) -> Queue {
    let mut arguments = if queues.transient_quorum {
        quorum(queues)
    } else {
        Vec::new()
    };
    if queues.transient_ttl > 0 {
        let milliseconds = i64::from(queues.transient_ttl) * 1000;
        arguments.push(("x-expires", Argument::Number(milliseconds)));
    }
    Queue {
        name,
        durable: queues.transient_quorum,
        auto_delete: false,
        arguments,
        binding: None,
        role: QueueRole::Reply,
    }
}

/// All agents read the same one.
fn stream(name: String, queues: &Queues) -> Queue {
    Queue {
        name,
        durable: true,
        auto_delete: false,
        arguments: vec![
            ("x-queue-type", Argument::Text("stream".to_owned())),
            (
                "x-max-age",
                Argument::Text(format!("{}s", queues.transient_ttl)),
            ),
        ],
        binding: None,
        role: QueueRole::Stream,
    }
}

#[cfg(test)]
mod tests {
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
}
