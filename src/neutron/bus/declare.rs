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
mod tests;
