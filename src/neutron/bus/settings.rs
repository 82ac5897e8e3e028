//! Where the brokers are, and what oslo.messaging's options say of connections and queues.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// `transport_url` and `[oslo_messaging_rabbit]`, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// At least one.
    pub brokers: Vec<Broker>,
    pub vhost: String,
    /// `None`: plain TCP.
    pub tls: Option<Tls>,
    /// `rabbit_login_method`
    pub login: Login,
    /// `control_exchange`
    pub exchange: String,
    pub queues: Queues,
    /// `rabbit_qos_prefetch_count`; 0: unbounded.
    pub prefetch: u16,
    /// Seconds between heartbeats asked for; 0: none (`heartbeat_timeout_threshold`).
    pub heartbeat: u16,
    pub retry: Retry,
    /// `kombu_failover_strategy`
    pub failover: Failover,
    /// What a call waits at first, and at most after time-outs (`rpc_response_timeout`, `rpc_response_max_timeout`).
    pub response_timeout: Duration,
    pub response_max_timeout: Duration,
    /// How long a reply whose queue is missing is tried (`kombu_missing_consumer_retry_timeout`).
    pub missing_consumer_timeout: Duration,
    /// Of what we send (`kombu_compression`); what comes is read either way.
    pub compression: Option<Compression>,
    /// Program name that the broker shows for our connection.
    pub program: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Name or address, without brackets.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Password,
}

/// Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// `None`: the chain is not verified at all, as oslo.messaging does it.
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// `ssl_enforce_hostname_verification`
    pub verify_host: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    AmqPlain,
    Plain,
    External,
}

/// How queues and exchanges are declared: the server must say the same, or the broker refuses (406).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queues {
    /// `amqp_durable_queues`
    pub durable: bool,
    /// `amqp_auto_delete`
    pub auto_delete: bool,
    /// `rabbit_ha_queues`
    pub ha: bool,
    /// `rabbit_quorum_queue`; with the three limits below where they are not 0.
    pub quorum: bool,
    /// `rabbit_transient_quorum_queue`
    pub transient_quorum: bool,
    pub delivery_limit: u32,
    pub max_memory_length: u32,
    pub max_memory_bytes: u32,
    /// `rabbit_stream_fanout`
    pub stream_fanout: bool,
    /// Seconds that an unused reply or fanout queue lives (`rabbit_transient_queues_ttl`); 0: for ever.
    pub transient_ttl: u32,
    /// `enable_cancel_on_failover`
    pub cancel_on_failover: bool,
    /// `use_queue_manager`: names of reply and fanout queues that are the same after a restart.
    pub manager: Option<QueueManager>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueManager {
    pub hostname: String,
    pub process: String,
}

/// Pauses between attempts to connect; without limit of attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// `rabbit_retry_interval`
    pub first: Duration,
    /// Longer by this each time (`rabbit_retry_backoff`).
    pub backoff: Duration,
    /// `rabbit_interval_max`
    pub longest: Duration,
    /// `kombu_reconnect_delay`
    pub delay: Duration,
    /// At random up to this much more (`kombu_reconnect_splay`).
    pub splay: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    RoundRobin,
    Shuffle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
}
