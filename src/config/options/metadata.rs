//! `[DEFAULT]`: the metadata agent; and the groups about metadata that all agents read.

use super::Treatment::{Honoured as H, Ignored as I};
use super::{ALL, Known, METADATA, options};
use crate::config::value::Kind::{Bool, Choice, Host, Int, List, Secret, Text};
use crate::config::value::LONG;

const MODES: &[&str] = &["deduce", "user", "group", "all"];

options! {
    METADATA_AGENT ["DEFAULT"]
    // name                             type                default             roles   treatment   what it does, or why not
    "nova_metadata_host" old "nova_metadata_ip", Host,      "127.0.0.1",        METADATA, H, "where Nova's metadata API is";
    "nova_metadata_port",               Int(1, 65535),      "8775",             METADATA, H, "its port";
    "nova_metadata_protocol",           Choice(&["http", "https"]), "http",     METADATA, H, "how it is asked";
    "nova_metadata_insecure",           Bool,               "false",            METADATA, H, "take any certificate for Nova's; a warning is given";
    "auth_ca_cert",                     Text,               "-",                METADATA, H, "PEM file of the authorities to trust for Nova, in place of the system's";
    "nova_client_cert",                 Text,               "",                 METADATA, H, "PEM file of our certificate; goes with nova_client_priv_key";
    "nova_client_priv_key",             Text,               "",                 METADATA, H, "PEM file of its key";
    "metadata_proxy_shared_secret",     Secret,             "",                 METADATA, H, "signs instances' ids for Nova, which has the same; empty: a warning";
    "metadata_proxy_socket",            Text,               "$state_path/metadata_proxy", ALL, H, "where the process with the metadata role listens for the others on this host, and for haproxys of Neutron's agents";
    "metadata_proxy_socket_mode",       Choice(MODES),      "deduce",           METADATA, H, "who may connect there; deduce never means all: the socket is given to metadata_proxy_user or to its directory's owner";
    "metadata_proxy_user",              Text,               "",                 ALL,    H, "whose that socket is, by name or number; empty: its directory's owner";
    "metadata_proxy_group",             Text,               "",                 ALL,    H, "its group, in the same way";
    "metadata_workers",                 Int(0, LONG),       "-",                METADATA, I, "the daemon's own threads serve metadata";
    "metadata_backlog",                 Int(1, LONG),       "4096",             METADATA, I, "1024 connections may wait there";
    "metadata_proxy_watch_log",         Bool,               "-",                ALL,    I, "there is no proxy process; gone in 11.0";
    "wsgi_default_pool_size",           Int(0, LONG),       "100",              METADATA, I, "of Python's HTTP server";
    "wsgi_keep_alive",                  Bool,               "true",             METADATA, I, "of Python's HTTP server";
    "wsgi_log_format",                  Text,               "-",                METADATA, I, "of Python's HTTP server";
    "wsgi_server_debug",                Bool,               "false",            METADATA, I, "of Python's HTTP server";
    "client_socket_timeout",            Int(0, LONG),       "900",              METADATA, I, "of Python's HTTP server";
    "tcp_keepidle",                     Int(0, LONG),       "600",              METADATA, I, "of Python's HTTP server";
    "max_header_line",                  Int(0, LONG),       "16384",            METADATA, I, "of Python's HTTP server; more than 16 KiB is refused here, too";
}

options! {
    RATE_LIMITING ["metadata_rate_limiting"]
    "rate_limit_enabled",               Bool,               "false",            ALL,    H, "limit how often a guest may ask for metadata";
    "ip_versions",                      List,               "4",                ALL,    H, "which guests: 4, 6, or both";
    "base_window_duration",             Int(1, LONG),       "10",               ALL,    H, "seconds";
    "base_query_rate_limit",            Int(1, LONG),       "10",               ALL,    H, "requests of one guest in these seconds; more are answered with 429";
    "burst_window_duration",            Int(1, LONG),       "10",               ALL,    H, "seconds of a second, most often shorter window";
    "burst_query_rate_limit",           Int(1, LONG),       "10",               ALL,    H, "requests of one guest in these";
}

options! {
    HAPROXY ["metadata_haproxy"]
    "timeout_http_keep_alive",          Int(1, LONG),       "30",               ALL,    H, "seconds from an answer until the next request is there";
    "timeout_server",                   Int(1, LONG),       "32",               ALL,    H, "seconds until Nova begins its answer; then 504";
    "timeout_connect",                  Int(1, LONG),       "30",               ALL,    I, "nothing is between guest and daemon";
    "timeout_client",                   Int(1, LONG),       "32",               ALL,    I, "a guest has as long as timeout_server says to take its answer";
    "timeout_http_request",             Int(1, LONG),       "30",               ALL,    I, "a request has to be there within timeout_http_keep_alive";
}

options! {
    CACHE ["cache"]
    "enabled",                          Bool,               "false",            METADATA, I, "who asks is known without asking the server";
    "expiration_time",                  Int(0, LONG),       "600",              METADATA, I, "who asks is known without asking the server";
    "backend",                          Text,               "-",                METADATA, I, "who asks is known without asking the server";
}
