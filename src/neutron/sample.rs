//! A server that nobody reaches, and settings to ask it with, for tests of the roles.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::bus::{self, Bus};
use super::server::Server;
use super::settings::{Dhcp, L3, Metadata, Settings};

pub(super) fn settings() -> Arc<Settings> {
    let bus = bus::Settings {
        brokers: Vec::new(),
        ..bus::sample::settings()
    };
    Arc::new(Settings {
        host: "net1".into(),
        roles: BTreeSet::new(),
        bus,
        report_interval: None,
        availability_zone: "nova".into(),
        log_agent_heartbeats: false,
        interface_driver: "linuxbridge".into(),
        dhcp: Dhcp {
            driver: "native".into(),
            lease: 86_400,
            dns_domain: String::new(),
            resync_interval: Duration::from_secs(5),
            resync_throttle: Duration::from_secs(1),
        },
        l3: L3 {
            agent_mode: "legacy".into(),
            handle_internal_only_routers: true,
            extensions: BTreeSet::new(),
            periodic_interval: Duration::from_secs(40),
            fuzzy_delay: Duration::ZERO,
        },
        metadata: Metadata {
            nova_host: "127.0.0.1".into(),
            nova_port: 8775,
            proxy_socket: String::new(),
        },
    })
}

pub(super) fn server(settings: &Settings) -> Server {
    let (bus, _) = Bus::start(settings.bus.clone(), Vec::new());
    Server::new(bus, &settings.host)
}
