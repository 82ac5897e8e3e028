//! A role that no server is ever reached by, for tests of what it does by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::bus::{self, Bus};
use super::parts::Parts;
use super::remarked::Remarked;
use super::server::Server;
use super::settings::{Dhcp, L3, Metadata, Settings};
use crate::model::Event;

/// What a role is made of, and what it says to the loop.
pub(super) fn parts<Id: Ord, T>() -> (Parts<Id, T>, mpsc::Receiver<Vec<Event>>) {
    let settings = settings();
    let (events, said) = mpsc::channel(1000);
    let (bus, _) = Bus::start(settings.bus.clone(), Vec::new());
    let parts = Parts {
        server: Server::new(bus, &settings.host),
        settings,
        notices: mpsc::channel(1).1,
        events,
        reports: Arc::default(),
        sync_due: Arc::default(),
        counts: watch::Sender::default(),
        synced: Some(oneshot::channel().0),
        remarked: Remarked::default(),
    };
    (parts, said)
}

fn settings() -> Arc<Settings> {
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
