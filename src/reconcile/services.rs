//! The servers of one namespace: started, given new data, or started anew where their ground changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use netns::Namespace;
use tokio::task::JoinSet;

use super::slot::Slot;
use crate::model::DevName;
use crate::pace::Limits;
use crate::plan::scope::{RaLink, RaScope, Services};
use crate::{dhcp, dns, metadata, ra};

/// The process-wide part of each kind of server.
#[derive(Debug, Clone)]
pub struct Rooms {
    pub dhcp: Arc<dhcp::Shared>,
    pub dns: Arc<dns::Shared>,
    pub metadata: Arc<metadata::Shared>,
    pub ra: Arc<ra::Shared>,
}

impl Rooms {
    /// What is taken of each network from now on.
    pub(super) fn limit(&self, limits: &Limits) {
        self.dhcp.limit(limits.dhcp);
        self.dns.limit(limits.dns);
        self.metadata.limit(limits.metadata);
        self.ra.limit(limits.ra);
    }
}

/// What runs in a namespace. Clones share the servers; the last one stops them.
#[derive(Debug, Clone, Default)]
pub(super) struct Served {
    /// Namespace (inode) and device (index) that the servers' sockets were born in and bound to.
    ground: Option<Ground>,
    dhcp: Slot<dhcp::Server>,
    dhcp6: Slot<dhcp::v6::Server>,
    dns: Slot<dns::Server>,
    metadata: Slot<metadata::Server>,
    /// By device.
    ra: BTreeMap<DevName, (Arc<ra::Server>, Arc<RaLink>)>,
}

/// Sockets bound to a device are lost with it: a new index means new sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) namespace: u64,
    pub(super) device: Option<u32>,
}

/// Indexes of the devices in a namespace.
pub(super) type Indexes = BTreeMap<DevName, u32>;

#[derive(Debug, thiserror::Error)]
pub(super) enum ServeError {
    #[error("serve DHCP")]
    Dhcp(#[source] dhcp::Error),
    #[error("serve DHCPv6")]
    Dhcp6(#[source] dhcp::Error),
    #[error("serve DNS")]
    Dns(#[source] dns::Error),
    #[error("serve metadata")]
    Metadata(#[source] metadata::Error),
    #[error("serve router advertisements")]
    Ra(#[source] ra::Error),
}

impl Served {
    /// New data for servers that run; what has to start or stop waits for [`Served::settle`].
    pub(super) fn update(&mut self, wanted: &Services) {
        self.dhcp.update(wanted.dhcp.as_ref());
        self.dhcp6.update(wanted.dhcp6.as_ref());
        self.dns.update(wanted.dns.as_ref());
        self.metadata.update(wanted.metadata.as_ref());
        let links = links(wanted);
        for (device, (server, link)) in &mut self.ra {
            match links.get(device) {
                Some(new) => {
                    server.update(new);
                    *link = Arc::clone(new);
                }
                // Its device goes next, and with it the chance to say so.
                None => server.cease(),
            }
        }
    }

    /// The target goes for good. When the daemon merely stops, nothing of this is said.
    pub(super) fn cease(&self) {
        self.ra.values().for_each(|(server, _)| server.cease());
    }

    /// Who worked on them broke off, and may have left one stopped: the next [`Served::settle`] starts all anew.
    pub(super) fn distrust(&mut self) {
        self.ground = None;
    }

    /// They end in `stopping`.
    pub(super) fn stop_dhcp(&mut self, stopping: &mut JoinSet<()>) {
        let (dhcp, dhcp6) = (self.dhcp.take(), self.dhcp6.take());
        stopping.spawn(async move { dhcp.stop().await });
        stopping.spawn(async move { dhcp6.stop().await });
    }

    /// Of those that others hold as well, too: their addresses are free then.
    async fn stop(&self) {
        self.dhcp.stop().await;
        self.dhcp6.stop().await;
        self.dns.stop().await;
        self.metadata.stop().await;
    }

    /// Exactly the wanted servers run, on this ground. A server that can't start leaves the others running;
    /// the first error is returned.
    pub(super) async fn settle(
        &mut self,
        ns: &Namespace,
        ground: Ground,
        indexes: &Indexes,
        wanted: &Services,
        rooms: &Rooms,
    ) -> Result<(), ServeError> {
        if self.ground != Some(ground) {
            self.stop().await;
            *self = Self {
                ground: Some(ground),
                ..Self::default()
            };
        }
        self.update(wanted);
        let dhcp = self.dhcp.settle(wanted.dhcp.as_ref(), |scope| {
            dhcp::Server::start(ns, scope, &rooms.dhcp)
        });
        let dhcp = dhcp.await.map_err(ServeError::Dhcp);
        let dhcp6 = self.dhcp6.settle(wanted.dhcp6.as_ref(), |scope| {
            dhcp::v6::Server::start(ns, scope, &rooms.dhcp)
        });
        let dhcp6 = dhcp6.await.map_err(ServeError::Dhcp6);
        let dns = self.dns.settle(wanted.dns.as_ref(), |scope| {
            dns::Server::start(ns, scope, &rooms.dns)
        });
        let dns = dns.await.map_err(ServeError::Dns);
        let metadata = self.metadata.settle(wanted.metadata.as_ref(), |scope| {
            metadata::Server::start(ns, scope, &rooms.metadata)
        });
        let metadata = metadata.await.map_err(ServeError::Metadata);
        let ra = self
            .settle_ra(ns, indexes, wanted, rooms)
            .await
            .map_err(ServeError::Ra);
        dhcp.and(dhcp6).and(dns).and(metadata).and(ra)
    }

    /// After [`Served::update`]: are exactly the wanted servers running?
    pub(super) fn serves(&self, wanted: &Services) -> bool {
        self.dhcp.serves(wanted.dhcp.as_ref())
            && self.dhcp6.serves(wanted.dhcp6.as_ref())
            && self.dns.serves(wanted.dns.as_ref())
            && self.metadata.serves(wanted.metadata.as_ref())
            && self
                .ra
                .iter()
                .map(|(device, (_, link))| (device, link))
                .eq(links(wanted))
    }

    pub(super) fn dhcp(&self) -> Option<&dhcp::Server> {
        self.dhcp.server()
    }

    pub(super) fn dhcp6(&self) -> Option<&dhcp::v6::Server> {
        self.dhcp6.server()
    }

    pub(super) fn dns(&self) -> Option<&dns::Server> {
        self.dns.server()
    }

    pub(super) fn metadata(&self) -> Option<&metadata::Server> {
        self.metadata.server()
    }

    pub(super) fn ra(&self) -> impl Iterator<Item = (&DevName, &ra::Server)> {
        self.ra
            .iter()
            .map(|(device, (server, _))| (device, &**server))
    }

    /// A link that can't be served leaves the others heard of; the first error is returned.
    async fn settle_ra(
        &mut self,
        ns: &Namespace,
        indexes: &Indexes,
        wanted: &Services,
        rooms: &Rooms,
    ) -> Result<(), ra::Error> {
        let Some(RaScope { of, links }) = wanted.ra.as_deref() else {
            self.ra.clear();
            return Ok(());
        };
        self.ra.retain(|device, (server, _)| {
            links.contains_key(device) && indexes.get(device) == Some(&server.index())
        });
        let mut result = Ok(());
        for (device, link) in links {
            if self.ra.contains_key(device) {
                continue;
            }
            match ra::Server::start(ns, *of, device, Arc::clone(link), &rooms.ra).await {
                Ok(server) => {
                    let served = (Arc::new(server), Arc::clone(link));
                    self.ra.insert(device.clone(), served);
                }
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}

/// The links that are to hear of us.
fn links(wanted: &Services) -> &BTreeMap<DevName, Arc<RaLink>> {
    static NONE: BTreeMap<DevName, Arc<RaLink>> = BTreeMap::new();
    wanted.ra.as_ref().map_or(&NONE, |scope| &scope.links)
}
