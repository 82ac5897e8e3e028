//! A Neutron server as the source at work: what its roles say goes to the loop, how its broker is goes to the status.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::AppError;
use crate::chain;
use crate::config::Configured;
use crate::dns::{self, RESOLV_CONF};
use crate::metadata::{self, Answer, Found, Lookup, Networks, Proxies};
use crate::model::{Event, NetworkId, Protocol, RouterId, State};
use crate::neutron::bus::{Bus, Link};
use crate::neutron::{Loop, Neutron, Ports, Role};
use crate::plan;
use crate::plug::Plug;
use crate::reconcile::{Counting, Reports, Word};
use crate::status::SourceView;
use crate::topology::Watch;

/// Words of the roles that wait for the loop; roles that are faster wait.
const EVENTS: usize = 16;

/// How ports are plugged, and what plans must say so that they fit.
pub(super) async fn plugging(configured: &Configured) -> (Plug, plan::Settings) {
    let plug = configured.driver.clone().map(Plug::new).unwrap_or_default();
    let mut settings = configured.plan.clone();
    settings.plugging = plug.plugging();
    if !settings.conntrack_helpers.is_empty() {
        settings.conntrack_helpers = helpers_there(settings.conntrack_helpers).await;
    }
    (plug, settings)
}

/// A router that names a helper which the kernel has not would be refused as a whole.
async fn helpers_there<S: FromIterator<(String, Protocol)>>(
    wanted: impl IntoIterator<Item = (String, Protocol)>,
) -> S {
    let named = wanted
        .into_iter()
        .filter_map(|(name, protocol)| match protocol {
            Protocol::Tcp => Some((name, "tcp")),
            Protocol::Udp => Some((name, "udp")),
            Protocol::Sctp | Protocol::Dccp => None,
        });
    let there = netns::conntrack_helpers(named.collect()).await.unwrap_or_else(|error| {
        warn!(error = %chain(&error), "which conntrack helpers the kernel has is unknown; none is used");
        Vec::new()
    });
    let protocol = |name| {
        if name == "tcp" {
            Protocol::Tcp
        } else {
            Protocol::Udp
        }
    };
    there
        .into_iter()
        .map(|(helper, name)| (helper, protocol(name)))
        .collect()
}

/// Starts the roles; the tasks that carry their words end when the roles do.
pub(super) fn start(
    configured: Configured,
    known: &State,
    reports: &Reports,
    metadata: &metadata::Shared,
    words: mpsc::Sender<Word>,
    reload: Signal,
    tasks: &mut JoinSet<()>,
) -> Neutron {
    let (events, said) = mpsc::channel(EVENTS);
    let to_loop = Loop {
        events,
        networks: Arc::clone(&reports.networks),
        routers: Arc::clone(&reports.routers),
    };
    let asks_host = configured.asks_host;
    let neutron = Neutron::start(configured.neutron, known, to_loop);
    metadata.set_lookup(Arc::new(Asked(neutron.ports())));
    tasks.spawn(carry(said, words.clone()));
    if asks_host {
        tasks.spawn(host_resolvers(words.clone()));
    }
    tasks.spawn(tell_link(neutron.link(), neutron.bus(), words));
    tasks.spawn(stay_as_configured(reload));
    neutron
}

/// The socket for processes without the metadata role. With all roles in this one nobody may ever need it.
pub(super) fn proxies(configured: &Configured) -> Result<Option<Proxies>, AppError> {
    let Some(settings) = &configured.proxies else {
        return Ok(None);
    };
    match Proxies::listen(settings) {
        Ok(proxies) => Ok(Some(proxies)),
        Err(error) if configured.neutron.roles.len() == Role::ALL.len() => {
            warn!(error = %chain(&error), "other processes can't ask for metadata here; our own namespaces are served");
            Ok(None)
        }
        Err(error) => Err(AppError::Metadata(error)),
    }
}

impl Counting for Bus {
    fn counters(&self) -> serde_json::Value {
        serde_json::json!(self.counts())
    }
}

/// The server, as the metadata service asks it.
struct Asked(Ports);

impl Lookup for Asked {
    fn networks(&self, router: RouterId) -> Networks<'_> {
        Box::pin(async move { Ok(self.0.networks_of(router).await?) })
    }

    fn who<'a>(&'a self, networks: &'a [NetworkId], address: IpAddr) -> Answer<'a> {
        Box::pin(async move {
            let found = self.0.who(networks, address).await?;
            Ok(found.map(|(instance, project)| Found { instance, project }))
        })
    }
}

async fn carry(mut said: mpsc::Receiver<Vec<Event>>, words: mpsc::Sender<Word>) {
    while let Some(events) = said.recv().await {
        // A loop that has ended hears nothing, and the daemon ends with it.
        let _ = words.send(Word::Events(events)).await;
    }
}

/// Tells the host's resolvers each time that they may have changed.
async fn host_resolvers(words: mpsc::Sender<Word>) {
    let mut watch = match Watch::new([RESOLV_CONF.into()]) {
        Ok(watch) => watch,
        Err(error) => {
            warn!(%error, "{RESOLV_CONF} is not watched: other resolvers are asked after a restart");
            return;
        }
    };
    loop {
        match dns::host_resolvers() {
            Ok(resolvers) => {
                // A loop that has ended hears nothing, and the daemon ends with it.
                let _ = words.send(Word::HostResolvers(resolvers)).await;
            }
            Err(error) => {
                warn!(%error, "{RESOLV_CONF} can't be read; the resolvers stay what they were");
            }
        }
        watch.changed().await;
    }
}

/// For `warren status`: where the words come from, and why none come now.
async fn tell_link(mut link: watch::Receiver<Link>, bus: Bus, words: mpsc::Sender<Word>) {
    // A loop that has ended hears nothing, and the daemon ends with it.
    let _ = words.send(Word::Counting(Box::new(bus))).await;
    loop {
        let view = match &*link.borrow_and_update() {
            Link::Connected { broker, .. } => SourceView {
                name: format!("neutron by {broker}"),
                refused: None,
            },
            Link::Away { reason, .. } => SourceView {
                name: "neutron".into(),
                refused: Some(format!("no broker is connected: {reason}")),
            },
        };
        let told = words.send(Word::Source(view)).await;
        if told.is_err() || link.changed().await.is_err() {
            return;
        }
    }
}

async fn stay_as_configured(mut reload: Signal) {
    while reload.recv().await.is_some() {
        info!(
            "SIGHUP: configuration files are read at the start only; a restart takes them up, and cuts no flow"
        );
    }
}
