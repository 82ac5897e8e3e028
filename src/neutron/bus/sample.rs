//! Settings as Neutron's defaults are, for tests.

use std::time::Duration;

use super::{Broker, Failover, Login, Password, Queues, Retry, Settings};

pub(in crate::neutron) fn settings() -> Settings {
    Settings {
        brokers: vec![Broker {
            host: "127.0.0.1".to_owned(),
            port: 5672,
            user: "guest".to_owned(),
            password: Password("guest".to_owned()),
        }],
        vhost: "/".to_owned(),
        tls: None,
        login: Login::AmqPlain,
        exchange: "neutron".to_owned(),
        queues: Queues {
            durable: false,
            auto_delete: false,
            ha: false,
            quorum: false,
            transient_quorum: false,
            delivery_limit: 0,
            max_memory_length: 0,
            max_memory_bytes: 0,
            stream_fanout: false,
            transient_ttl: 1800,
            cancel_on_failover: false,
            manager: None,
        },
        prefetch: 0,
        heartbeat: 60,
        retry: retry(),
        failover: Failover::RoundRobin,
        response_timeout: Duration::from_secs(60),
        response_max_timeout: Duration::from_secs(600),
        missing_consumer_timeout: Duration::from_secs(60),
        compression: None,
        program: "warren".to_owned(),
    }
}

pub(super) fn retry() -> Retry {
    Retry {
        first: Duration::from_secs(1),
        backoff: Duration::from_secs(2),
        longest: Duration::from_secs(30),
        delay: Duration::from_secs(1),
        splay: Duration::ZERO,
    }
}
