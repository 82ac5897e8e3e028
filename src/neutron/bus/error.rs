//! What can fail: a call; a session with a broker.

use std::time::Duration;

use lapin::ErrorKind;

use super::Failure;
use crate::tls::TlsError;

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(
        "send {method} to {topic}: no broker is connected: {reason}; it is tried for ever: see transport_url and the broker"
    )]
    Away {
        topic: String,
        method: String,
        reason: String,
    },
    #[error(
        "send {method} to {topic} within {timeout:?}: the broker takes no messages: {reason}; see its log for alarms"
    )]
    NotSent {
        topic: String,
        method: String,
        timeout: Duration,
        reason: String,
    },
    #[error(
        "get an answer to {method} from {topic} within {waited:?} (is neutron-server up, or overloaded? see rpc_response_timeout)"
    )]
    TimedOut {
        topic: String,
        method: String,
        waited: Duration,
    },
    #[error(
        "get an answer to {method} from {topic}: the broker lost the queue for it; call again, and see why the broker went away"
    )]
    Lost { topic: String, method: String },
    /// The server did what it could, or did not understand.
    #[error("get a result from the server (its log has more)")]
    Remote(#[source] Failure),
}

impl CallError {
    /// True when the same call may succeed later, without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Away { .. }
            | Self::NotSent { .. }
            | Self::TimedOut { .. }
            | Self::Lost { .. } => true,
            Self::Remote(_) => false,
        }
    }
}

/// Why there is no session, or no longer one. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("find the address of broker {broker} (correct transport_url, or the name service)")]
    Resolve {
        broker: String,
        #[source]
        source: std::io::Error,
    },
    #[error("connect to broker {broker} (is RabbitMQ up there, and reachable?)")]
    Connect {
        broker: String,
        #[source]
        source: std::io::Error,
    },
    #[error("set up TLS for broker {broker} (correct [oslo_messaging_rabbit] ssl_*)")]
    Tls {
        broker: String,
        #[source]
        source: Box<TlsError>,
    },
    #[error(
        "agree on TLS with broker {broker} (does that port speak TLS? see [oslo_messaging_rabbit] ssl_*)"
    )]
    Handshake {
        broker: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{what} broker {broker} within {within:?} (is it frozen or overloaded?)")]
    Late {
        what: &'static str,
        broker: String,
        within: Duration,
    },
    #[error("log in as {user:?} to virtual host {vhost:?} of broker {broker} ({hint})")]
    Login {
        user: String,
        vhost: String,
        broker: String,
        hint: &'static str,
        #[source]
        source: Box<lapin::Error>,
    },
    #[error("open a channel to the broker (see its log)")]
    Channel(#[source] lapin::Error),
    #[error(
        "declare {what} (is it there with other properties? set amqp_durable_queues, rabbit_quorum_queue .. as the server has them)"
    )]
    Declare {
        what: String,
        #[source]
        source: lapin::Error,
    },
    #[error("delete {what} (may our user do that? see the broker's log)")]
    Delete {
        what: String,
        #[source]
        source: lapin::Error,
    },
    #[error("read from queue {queue:?} (may our user do that? see the broker's log)")]
    Consume {
        queue: String,
        #[source]
        source: lapin::Error,
    },
    #[error("use {name:?} as a name (AMQP allows 255 bytes)")]
    Name { name: String },
    #[error("go on reading queue {queue:?} (the broker ended it: was it deleted?)")]
    Cancelled { queue: String },
    #[error("find our bindings to exchange {exchange:?} still there (was it deleted?)")]
    Gone {
        exchange: String,
        #[source]
        source: lapin::Error,
    },
    #[error("publish a message (see the broker's log)")]
    Publish(#[source] lapin::Error),
    #[error("keep the connection to the broker (is it up? its log may say why)")]
    Broken(#[source] lapin::Error),
    #[error(
        "go on: a part of the session ended; this is a bug, please report it with the log lines before this one"
    )]
    Ended,
}

/// The AMQP reply code of a refusal, and its text.
pub(super) fn refusal(error: &lapin::Error) -> Option<(u16, &str)> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some((error.get_id(), error.get_message().as_str())),
        _ => None,
    }
}

/// What to do about a login that failed.
pub(super) fn login_hint(error: &lapin::Error) -> &'static str {
    match refusal(error) {
        Some((403, _)) => "correct user and password in transport_url, or on the broker",
        Some((530, _)) => {
            "create the virtual host on the broker, or let the user in: rabbitmqctl set_permissions"
        }
        _ => "is that RabbitMQ? see its log",
    }
}
