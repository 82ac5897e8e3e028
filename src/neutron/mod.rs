//! A Neutron server as the source: its notices and answers become the model's [`Event`]s, and what the loop [`Report`]s
//! becomes calls to the server. The wire to Neutron, and nothing else.
//!
//! ```text
//! bus ─> decode ─> dhcp, l3 (what is ours) ─> Event          Report ─> dhcp, l3 ─> server ─> bus
//! ```
//!
//! `bus` RabbitMQ and oslo.messaging | `decode` dicts -> model | `server` the methods that we call | `dhcp`, `l3` the agents'
//! roles, of common `parts` | `report` that we live | `lookup` whose an address is | `remarked` what was told of nonsense | `settings` what the configuration files chose

pub mod bus;
pub mod decode;
mod dhcp;
mod l3;
mod lookup;
mod parts;
mod remarked;
mod report;
#[cfg(test)]
mod sample;
mod server;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::chain;
use crate::latest::Latest;
use crate::model::{Event, Network, NetworkId, Report, Router, RouterId, State, Target};

use bus::{Bus, Failure, Link, Listener, Notice, Reply};
use decode::{DecodeError, Naming};
use parts::Parts;
use remarked::Remarked;
use report::Reporter;
use server::Server;

pub(crate) use dhcp::PortError;
pub use lookup::Ports;
pub use settings::{Dhcp, L3, Metadata, Role, Settings};

const DHCP_TOPIC: &str = "dhcp_agent";
const L3_TOPIC: &str = "l3_agent";
const NETWORK_UPDATE_TOPIC: &str = "q-agent-notifier-network-update";
/// The method by which versioned objects come.
const PUSH: &str = "push";

/// Notices that a role has not looked at yet; a role that is slow makes the others wait, and the broker with them.
const NOTICES: usize = 64;

/// The way to the loop and back.
#[derive(Debug, Clone)]
pub struct Loop {
    pub events: mpsc::Sender<Vec<Event>>,
    pub networks: Arc<Latest<NetworkId, Report<Network>>>,
    pub routers: Arc<Latest<RouterId, Report<Router>>>,
}

/// The roles at work.
#[derive(Debug)]
pub struct Neutron {
    bus: Bus,
    ports: Ports,
    tasks: JoinSet<()>,
}

impl Neutron {
    /// Connects in the background; `known` is what the last run served, until the server has been asked.
    pub fn start(settings: Settings, known: &State, to_loop: Loop) -> Self {
        let settings = Arc::new(settings);
        let (bus, notices) = Bus::start(settings.bus.clone(), listeners(&settings));
        let mut roles = Roles {
            server: Server::new(bus.clone(), &settings.host),
            link: bus.link(),
            remarked: Remarked::default(),
            tasks: JoinSet::new(),
            settings,
            to_loop,
        };
        let mut synced = Vec::new();
        let dhcp = roles
            .plays(Role::Dhcp)
            .then(|| roles.dhcp(known, &mut synced));
        let l3 = roles.plays(Role::L3).then(|| roles.l3(known, &mut synced));
        if roles.plays(Role::Metadata) {
            roles.report(Role::Metadata, watch::channel(report::Counts::new()).1);
        }
        let events = roles.to_loop.events.clone();
        roles.tasks.spawn(async move {
            let mut named = BTreeSet::new();
            for synced in synced {
                match synced.await {
                    Ok(mut targets) => named.append(&mut targets),
                    Err(_) => return,
                }
            }
            // A loop that has ended hears nothing, and the daemon ends with it.
            let _ = events.send(vec![Event::Complete { named }]).await;
        });
        roles.tasks.spawn(hand_out(notices, dhcp, l3));
        Self {
            ports: Ports::new(roles.server),
            bus,
            tasks: roles.tasks,
        }
    }

    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    pub fn link(&self) -> watch::Receiver<Link> {
        self.bus.link()
    }

    /// Whoever wants to know what passes there.
    pub fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// Stops the roles and takes leave of the broker.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.bus.close().await;
    }

    /// When a role breaks, which is a bug.
    pub async fn broken(&mut self) {
        loop {
            match self.tasks.join_next().await {
                Some(Err(error)) if error.is_panic() => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

struct Roles {
    server: Server,
    settings: Arc<Settings>,
    link: watch::Receiver<Link>,
    remarked: Remarked,
    to_loop: Loop,
    tasks: JoinSet<()>,
}

impl Roles {
    fn plays(&self, role: Role) -> bool {
        self.settings.roles.contains(&role)
    }

    fn dhcp(
        &mut self,
        known: &State,
        synced: &mut Vec<oneshot::Receiver<BTreeSet<Target>>>,
    ) -> mpsc::Sender<Notice> {
        let reports = Arc::clone(&self.to_loop.networks);
        let (parts, notices) = self.parts(Role::Dhcp, reports, synced);
        let naming = Naming::new(&self.settings.host, &self.settings.dhcp.dns_domain);
        let known = known.networks.clone().into_iter().collect();
        let role = dhcp::Dhcp::new(parts, Arc::new(naming), known);
        self.tasks.spawn(role.run());
        notices
    }

    fn l3(
        &mut self,
        known: &State,
        synced: &mut Vec<oneshot::Receiver<BTreeSet<Target>>>,
    ) -> mpsc::Sender<Notice> {
        let reports = Arc::clone(&self.to_loop.routers);
        let (parts, notices) = self.parts(Role::L3, reports, synced);
        let known = known.routers.clone().into_iter().collect();
        self.tasks.spawn(l3::L3::new(parts, known).run());
        notices
    }

    /// What a role is made of, and where its notices go.
    fn parts<Id, T>(
        &mut self,
        role: Role,
        reports: Arc<Latest<Id, Report<T>>>,
        synced: &mut Vec<oneshot::Receiver<BTreeSet<Target>>>,
    ) -> (Parts<Id, T>, mpsc::Sender<Notice>) {
        let (notices, heard) = mpsc::channel(NOTICES);
        let (done, is_synced) = oneshot::channel();
        let (counts, counted) = watch::channel(report::Counts::new());
        synced.push(is_synced);
        let parts = Parts {
            server: self.server.clone(),
            settings: Arc::clone(&self.settings),
            notices: heard,
            events: self.to_loop.events.clone(),
            reports,
            counts,
            synced: Some(done),
            remarked: self.remarked.clone(),
            sync_due: self.report(role, counted),
        };
        (parts, notices)
    }

    fn report(&mut self, role: Role, counts: watch::Receiver<report::Counts>) -> Arc<Notify> {
        let sync_due = Arc::new(Notify::new());
        let reporter = Reporter {
            server: self.server.clone(),
            role,
            settings: Arc::clone(&self.settings),
            counts,
            link: self.link.clone(),
            sync_due: Arc::clone(&sync_due),
        };
        self.tasks.spawn(reporter.run());
        sync_due
    }
}

/// What each role answers on, and in which version (`dhcp/agent.py`, `l3/agent.py`: `target`).
fn listeners(settings: &Settings) -> Vec<Listener> {
    let listener = |topic: &str, version, methods| Listener {
        topic: topic.to_owned(),
        host: settings.host.clone(),
        version,
        methods,
    };
    let mut listeners = Vec::new();
    if settings.roles.contains(&Role::Dhcp) {
        listeners.push(listener(DHCP_TOPIC, (1, 0), decode::DHCP_METHODS));
    }
    if settings.roles.contains(&Role::L3) {
        listeners.push(listener(L3_TOPIC, (1, 4), decode::L3_METHODS));
        listeners.push(listener(NETWORK_UPDATE_TOPIC, (1, 4), &["network_update"]));
        for (extension, topic) in [
            ("port_forwarding", "neutron-vo-PortForwarding-1.3"),
            ("conntrack_helper", "neutron-vo-ConntrackHelper-1.0"),
        ] {
            if settings.l3.extensions.contains(extension) {
                listeners.push(listener(topic, (1, 1), &[PUSH]));
            }
        }
    }
    listeners
}

/// To each role what is its; it ends when the bus is closed, and then the roles end.
async fn hand_out(
    mut notices: mpsc::Receiver<Notice>,
    dhcp: Option<mpsc::Sender<Notice>>,
    l3: Option<mpsc::Sender<Notice>>,
) {
    while let Some(notice) = notices.recv().await {
        let role = if notice.topic == DHCP_TOPIC {
            &dhcp
        } else {
            &l3
        };
        if let Some(role) = role {
            // A role that broke is noticed by who waits for its task.
            let _ = role.send(notice).await;
        }
    }
}

/// A call that makes no sense: the caller is told as Python would tell it, and so is the operator, once.
fn not_understood(remarked: &Remarked, reply: Option<Reply>, error: &DecodeError) {
    let message = chain(error);
    remarked.once(&error.object, &message);
    if let Some(reply) = reply {
        reply.failed(Failure {
            class: "TypeError".into(),
            module: "builtins".into(),
            message,
        });
    }
}
