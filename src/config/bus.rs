//! `transport_url` and `[oslo_messaging_rabbit]`: the way to the brokers.

use std::time::Duration;

use super::options;
use super::problem::{Code, quoted};
use super::reader::{Reader, default};
use super::transport::{self, Transport, encoded};
use crate::neutron::bus::{
    Compression, Failover, Login, QueueManager, Queues, Retry, Settings, Tls,
};

const GROUP: &str = "oslo_messaging_rabbit";
const URL: (&str, &str) = default("transport_url");

/// Names of the time before `transport_url`.
const SPELLED_APART: [&str; 6] = [
    "rabbit_host",
    "rabbit_hosts",
    "rabbit_port",
    "rabbit_userid",
    "rabbit_password",
    "rabbit_virtual_host",
];

const fn rabbit(name: &'static str) -> (&'static str, &'static str) {
    (GROUP, name)
}

pub(super) fn settings(reader: &mut Reader, program: &str, machine: &str) -> Settings {
    let transport = transport(reader);
    kind_of_broker(reader);
    let (brokers, vhost) =
        transport.map_or_else(Default::default, |read| (read.brokers, read.vhost));
    let prefetch = reader.number(rabbit("rabbit_qos_prefetch_count"));
    let queues = queues(reader, program, machine);
    if queues.stream_fanout && (prefetch == 0 || !queues.transient_quorum) {
        reader.refuse(
            rabbit("rabbit_stream_fanout"),
            Code::Contradiction,
            "streams need rabbit_transient_quorum_queue, and a limit of unacknowledged messages",
            "set rabbit_transient_quorum_queue to true and rabbit_qos_prefetch_count above 0, or this to false",
        );
    }
    Settings {
        brokers,
        vhost,
        tls: tls(reader),
        login: match reader.text(rabbit("rabbit_login_method")).as_str() {
            "PLAIN" => Login::Plain,
            "EXTERNAL" => Login::External,
            _ => Login::AmqPlain,
        },
        exchange: reader.text(default("control_exchange")),
        queues,
        prefetch,
        heartbeat: reader.number(rabbit("heartbeat_timeout_threshold")),
        retry: Retry {
            first: reader.seconds(rabbit("rabbit_retry_interval")),
            backoff: reader.seconds(rabbit("rabbit_retry_backoff")),
            longest: reader.seconds(rabbit("rabbit_interval_max")),
            delay: reader.fraction(rabbit("kombu_reconnect_delay")),
            splay: reader.fraction(rabbit("kombu_reconnect_splay")),
        },
        failover: match reader.text(rabbit("kombu_failover_strategy")).as_str() {
            "shuffle" => Failover::Shuffle,
            _ => Failover::RoundRobin,
        },
        response_timeout: reader.seconds(default("rpc_response_timeout")),
        response_max_timeout: response_max_timeout(reader),
        missing_consumer_timeout: reader.seconds(rabbit("kombu_missing_consumer_retry_timeout")),
        compression: match reader.text(rabbit("kombu_compression")).as_str() {
            // Two names of one thing (`kombu/compression.py`).
            "gzip" | "zlib" => Some(Compression::Gzip),
            _ => None,
        },
        program: program.to_owned(),
    }
}

/// The URL; from here on its query wins over the files.
fn transport(reader: &mut Reader) -> Option<Transport> {
    let url = reader.text(URL);
    let url = if url.is_empty() {
        "rabbit://".to_owned()
    } else {
        url
    };
    let spelled_apart = SPELLED_APART
        .into_iter()
        .find(|name| reader.is_given(rabbit(name)));
    if let (Some(name), false) = (spelled_apart, reader.is_given(URL)) {
        let same = same_url(reader);
        reader.refuse(
            rabbit(name),
            Code::Missing,
            "this is not read any more (since oslo.messaging 9.0), and transport_url is not set",
            format!("write, with the password in place of ***: [DEFAULT] transport_url = {same}"),
        );
        return None;
    }
    let transport = match transport::parse(&url) {
        Ok(transport) => transport,
        Err((why, fix)) => {
            reader.refuse(URL, Code::BadValue, why, fix);
            return None;
        }
    };
    if transport.mixed {
        reader.warn(
            URL,
            Code::Unusual,
            "some hosts have a user and others have none, for whom guest is taken",
            "write user and password before each host",
        );
    }
    let place = reader.place(URL);
    let (known, unknown): (Vec<_>, Vec<_>) = transport
        .query
        .iter()
        .cloned()
        .partition(|(name, _)| options::find(GROUP, name).is_some());
    for (name, _) in unknown {
        reader.refuse(
            URL,
            Code::Unknown,
            format!(
                "behind its `?` is {}, which is no option of [{GROUP}]",
                quoted(&name)
            ),
            "correct it, or leave it out",
        );
    }
    reader.sources.add_query(GROUP, known, &place);
    Some(transport)
}

/// What the options of old say, as a URL without its passwords.
fn same_url(reader: &mut Reader) -> String {
    let user = encoded(&reader.text(rabbit("rabbit_userid")));
    let port = reader.text(rabbit("rabbit_port"));
    let mut hosts = reader.list(rabbit("rabbit_hosts"));
    if hosts.is_empty() {
        let host = reader.text(rabbit("rabbit_host"));
        let bare = host.contains(':') && !host.starts_with('[');
        hosts.push(format!(
            "{}:{port}",
            if bare { format!("[{host}]") } else { host }
        ));
    }
    let hosts: Vec<_> = hosts
        .iter()
        .map(|host| format!("{user}:***@{}", quoted(host)))
        .collect();
    let vhost = match reader.text(rabbit("rabbit_virtual_host")).as_str() {
        "/" | "" => String::new(),
        vhost => encoded(vhost),
    };
    format!("rabbit://{}/{vhost}", hosts.join(","))
}

/// `rpc_backend` of old named the kind.
fn kind_of_broker(reader: &mut Reader) {
    let name = default("rpc_backend");
    if !reader.is_given(name) {
        return;
    }
    let value = reader.text(name);
    if value == "rabbit" || value.ends_with("kombu") {
        reader.warn(
            name,
            Code::NoEffect,
            "transport_url says which broker it is",
            "leave it out",
        );
    } else {
        reader.refuse(
            name,
            Code::NotServed,
            "only RabbitMQ is spoken to",
            "leave it out, and set transport_url to rabbit://...",
        );
    }
}

fn queues(reader: &mut Reader, program: &str, machine: &str) -> Queues {
    let manager = reader.bool(rabbit("use_queue_manager"));
    let hostname = reader.text(rabbit("hostname"));
    let process = reader.text(rabbit("processname"));
    let or = |text: String, other: &str| {
        if text.is_empty() {
            other.to_owned()
        } else {
            text
        }
    };
    Queues {
        durable: reader.bool(rabbit("amqp_durable_queues")),
        auto_delete: reader.bool(rabbit("amqp_auto_delete")),
        ha: reader.bool(rabbit("rabbit_ha_queues")),
        quorum: reader.bool(rabbit("rabbit_quorum_queue")),
        transient_quorum: reader.bool(rabbit("rabbit_transient_quorum_queue")),
        delivery_limit: reader.number(rabbit("rabbit_quorum_delivery_limit")),
        max_memory_length: reader.number(rabbit("rabbit_quorum_max_memory_length")),
        max_memory_bytes: reader.number(rabbit("rabbit_quorum_max_memory_bytes")),
        stream_fanout: reader.bool(rabbit("rabbit_stream_fanout")),
        transient_ttl: reader.number(rabbit("rabbit_transient_queues_ttl")),
        cancel_on_failover: reader.bool(rabbit("enable_cancel_on_failover")),
        manager: manager.then(|| QueueManager {
            hostname: or(hostname, machine),
            process: or(process, program),
        }),
    }
}

fn tls(reader: &mut Reader) -> Option<Tls> {
    let tls = Tls {
        ca: reader.path(rabbit("ssl_ca_file")),
        cert: reader.path(rabbit("ssl_cert_file")),
        key: reader.path(rabbit("ssl_key_file")),
        verify_host: reader.bool(rabbit("ssl_enforce_hostname_verification")),
    };
    if !reader.bool(rabbit("ssl")) {
        for name in ["ssl_ca_file", "ssl_cert_file", "ssl_key_file"] {
            if reader.is_given(rabbit(name)) && reader.path(rabbit(name)).is_some() {
                reader.warn(
                    rabbit(name),
                    Code::Unusual,
                    "the broker is spoken to without TLS, since ssl is not true",
                    "set ssl to true, or leave this out",
                );
            }
        }
        return None;
    }
    for (name, other) in [
        ("ssl_cert_file", "ssl_key_file"),
        ("ssl_key_file", "ssl_cert_file"),
    ] {
        if reader.path(rabbit(name)).is_some() && reader.path(rabbit(other)).is_none() {
            reader.refuse(
                rabbit(name),
                Code::Contradiction,
                format!("{other} is not set"),
                "set both or none",
            );
        }
    }
    if tls.ca.is_none() {
        reader.warn(
            rabbit("ssl"),
            Code::Unusual,
            "ssl_ca_file is not set, so anyone can pretend to be the broker",
            "set ssl_ca_file",
        );
    }
    Some(tls)
}

fn response_max_timeout(reader: &mut Reader) -> Duration {
    let first = reader.seconds(default("rpc_response_timeout"));
    // Neutron takes the larger one, too.
    reader
        .seconds(default("rpc_response_max_timeout"))
        .max(first)
}
