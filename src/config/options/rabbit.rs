//! `[oslo_messaging_rabbit]`: how the brokers are reached, and queues declared. The server must say the same of queues.

use super::Treatment::{Honoured as H, Ignored as I, RefusedUnless, Warned as W};
use super::{ALL, Known, options};
use crate::config::value::Kind::{Bool, Choice, Float, Int, List, Secret, Text};
use crate::config::value::LONG;

options! {
    RABBIT ["oslo_messaging_rabbit"]
    // name                             type                default             roles   treatment   what it does, or why not
    "amqp_durable_queues",              Bool,               "false",            ALL,    H, "queues outlive the broker";
    "amqp_auto_delete" old ["DEFAULT"] "amqp_auto_delete", Bool, "false",       ALL,    H, "queues go with their last consumer";
    "rabbit_ha_queues" old ["DEFAULT"] "rabbit_ha_queues", Bool, "false",       ALL,    H, "queues are mirrored (by a policy, in brokers of today)";
    "rabbit_quorum_queue",              Bool,               "false",            ALL,    H, "quorum queues";
    "rabbit_transient_quorum_queue",    Bool,               "false",            ALL,    H, "for replies and fanouts, too";
    "rabbit_quorum_delivery_limit",     Int(0, LONG),       "0",                ALL,    H, "their `x-delivery-limit`; 0: none";
    "rabbit_quorum_max_memory_length" old "rabbit_quroum_max_memory_length", Int(0, LONG), "0", ALL, H, "their `x-max-in-memory-length`; 0: none";
    "rabbit_quorum_max_memory_bytes" old "rabbit_quroum_max_memory_bytes", Int(0, LONG), "0", ALL, H, "their `x-max-in-memory-bytes`; 0: none";
    "rabbit_stream_fanout",             Bool,               "false",            ALL,    H, "fanouts are streams; needs rabbit_qos_prefetch_count above 0 and rabbit_transient_quorum_queue";
    "rabbit_transient_queues_ttl",      Int(0, LONG),       "1800",             ALL,    H, "seconds that an unused queue for replies or fanouts lives; 0: for ever";
    "rabbit_qos_prefetch_count",        Int(0, 65535),      "0",                ALL,    H, "messages that may wait unacknowledged; 0: no limit";
    "use_queue_manager",                Bool,               "false",            ALL,    H, "names of such queues are the same after a restart";
    "hostname",                         Text,               "-",                ALL,    H, "a part of these names; without it: the machine's hostname";
    "processname",                      Text,               "-",                ALL,    H, "a part of these names; without it: the program's name";
    "heartbeat_timeout_threshold",      Int(0, 65535),      "60",               ALL,    H, "seconds until a silent broker is given up; 0: never";
    "heartbeat_rate",                   Int(1, LONG),       "3",                ALL,    I, "heartbeats go out in time, whatever the rate of looking";
    "heartbeat_in_pthread",             Bool,               "false",            ALL,    I, "nothing stands in their way";
    "direct_mandatory_flag",            Bool,               "true",             ALL,    I, "an answer without a queue is always told";
    "enable_cancel_on_failover",        Bool,               "false",            ALL,    H, "consumers are told when their queue moves (`x-cancel-on-ha-failover`)";
    "ssl" old "rabbit_use_ssl",         Bool,               "false",            ALL,    H, "TLS";
    "ssl_ca_file" old "kombu_ssl_ca_certs", Text,           "",                 ALL,    H, "PEM file of the authority; empty: the broker is not verified";
    "ssl_cert_file" old "kombu_ssl_certfile", Text,         "",                 ALL,    H, "PEM file of our certificate";
    "ssl_key_file" old "kombu_ssl_keyfile", Text,           "",                 ALL,    H, "PEM file of its key";
    "ssl_version" old "kombu_ssl_version", Choice(&["", "TLSv1_2", "SSLv23", "TLSv1", "TLSv1_1", "SSLv2", "SSLv3"]), "", ALL, RefusedUnless(&["", "TLSv1_2", "SSLv23"]), "TLS is spoken from version 1.2 on", "leave it out";
    "ssl_enforce_hostname_verification", Bool,              "true",             ALL,    H, "the certificate must be for the broker's name";
    "ssl_enforce_fips_mode",            Bool,               "false",            ALL,    RefusedUnless(&["false"]), "TLS here is not certified by FIPS", "set it to false";
    "rabbit_login_method" old ["DEFAULT"] "rabbit_login_method", Choice(&["AMQPLAIN", "PLAIN", "EXTERNAL", "RABBIT-CR-DEMO"]), "AMQPLAIN", ALL, RefusedUnless(&["AMQPLAIN", "PLAIN", "EXTERNAL"]), "a demonstration of RabbitMQ's", "set it to AMQPLAIN, PLAIN or EXTERNAL";
    "rabbit_retry_interval",            Int(0, LONG),       "1",                ALL,    H, "seconds before the second attempt to connect";
    "rabbit_retry_backoff" old ["DEFAULT"] "rabbit_retry_backoff", Int(0, LONG), "2", ALL, H, "longer by this each time";
    "rabbit_interval_max",              Int(1, LONG),       "30",               ALL,    H, "but never longer";
    "kombu_reconnect_delay" old ["DEFAULT"] "kombu_reconnect_delay", Float, "1.0", ALL, H, "seconds before each attempt, on top";
    "kombu_reconnect_splay",            Float,              "0.0",              ALL,    H, "and at random up to this";
    "kombu_compression",                Choice(&["", "gzip", "zlib", "bz2"]), "", ALL,  RefusedUnless(&["", "gzip", "zlib"]), "messages are plain or of zlib's format, which kombu calls gzip; with bz2 it fails to send any, for it has no such name", "set it to gzip, or leave it out";
    "kombu_missing_consumer_retry_timeout" old "kombu_reconnect_timeout", Int(0, LONG), "60", ALL, H, "seconds that an answer without a queue is tried";
    "kombu_failover_strategy",          Choice(&["round-robin", "shuffle"]), "round-robin", ALL, H, "which broker is next";
    "rpc_conn_pool_size" old ["DEFAULT"] "rpc_conn_pool_size", Int(1, LONG), "30", ALL, I, "one connection is enough";
    "conn_pool_min_size",               Int(0, LONG),       "2",                ALL,    I, "one connection is enough";
    "conn_pool_ttl",                    Int(0, LONG),       "1200",             ALL,    I, "one connection is enough";
    "rabbit_max_retries" old ["DEFAULT"] "rabbit_max_retries", Int(0, LONG), "0", ALL,  W, "connecting is tried without end; gone in oslo.messaging 9.0", "leave it out";
    "rabbit_durable_queues" old ["DEFAULT"] "rabbit_durable_queues", Bool, "false", ALL, W, "it has no effect; gone in oslo.messaging 9.0", "set amqp_durable_queues, as the server does";
}

options! {
    OLD ["oslo_messaging_rabbit"]
    "rabbit_host" old ["DEFAULT"] "rabbit_host", Text,      "localhost",        ALL,    W, "gone in oslo.messaging 9.0; without transport_url it is refused, and the URL that says the same is told", "leave it out, transport_url says it";
    "rabbit_port" old ["DEFAULT"] "rabbit_port", Int(1, 65535), "5672",         ALL,    W, "as rabbit_host", "leave it out, transport_url says it";
    "rabbit_hosts" old ["DEFAULT"] "rabbit_hosts", List,    "",                 ALL,    W, "as rabbit_host", "leave it out, transport_url says it";
    "rabbit_userid" old ["DEFAULT"] "rabbit_userid", Text,  "guest",            ALL,    W, "as rabbit_host", "leave it out, transport_url says it";
    "rabbit_password" old ["DEFAULT"] "rabbit_password", Secret, "guest",       ALL,    W, "as rabbit_host", "leave it out, transport_url says it";
    "rabbit_virtual_host" old ["DEFAULT"] "rabbit_virtual_host", Text, "/",     ALL,    W, "as rabbit_host", "leave it out, transport_url says it";
}
