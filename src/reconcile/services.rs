//! The servers of one namespace: started, given new data, or started anew where their ground changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use netns::Namespace;
use tokio::task::JoinSet;

use crate::model::DevName;
use crate::pace::Limits;
use crate::plan::scope::{
    Dhcp6Scope, DhcpScope, DnsScope, MetadataScope, RaLink, RaScope, Services,
};
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
    dhcp: Option<(Arc<dhcp::Server>, Arc<DhcpScope>)>,
    dhcp6: Option<(Arc<dhcp::v6::Server>, Arc<Dhcp6Scope>)>,
    dns: Option<(Arc<dns::Server>, Arc<DnsScope>)>,
    metadata: Option<(Arc<metadata::Server>, Arc<MetadataScope>)>,
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
        if let (Some((server, scope)), Some(new)) = (&mut self.dhcp, &wanted.dhcp)
            && scope.device == new.device
        {
            server.update(Arc::clone(new));
            *scope = Arc::clone(new);
        }
        if let (Some((server, scope)), Some(new)) = (&mut self.dhcp6, &wanted.dhcp6)
            && scope.device == new.device
        {
            server.update(Arc::clone(new));
            *scope = Arc::clone(new);
        }
        if let (Some((server, scope)), Some(new)) = (&mut self.dns, &wanted.dns)
            && (&scope.device, &scope.listen) == (&new.device, &new.listen)
        {
            server.update(Arc::clone(new));
            *scope = Arc::clone(new);
        }
        if let (Some((server, scope)), Some(new)) = (&mut self.metadata, &wanted.metadata)
            && scope.listen == new.listen
        {
            server.update(Arc::clone(new));
            *scope = Arc::clone(new);
        }
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
        if let Some((server, _)) = self.dhcp.take() {
            stopping.spawn(async move { server.stop().await });
        }
        if let Some((server, _)) = self.dhcp6.take() {
            stopping.spawn(async move { server.stop().await });
        }
    }

    /// Of those that others hold as well, too: their addresses are free then.
    async fn stop(&self) {
        if let Some((server, _)) = &self.dhcp {
            server.stop().await;
        }
        if let Some((server, _)) = &self.dhcp6 {
            server.stop().await;
        }
        if let Some((server, _)) = &self.dns {
            server.stop().await;
        }
        if let Some((server, _)) = &self.metadata {
            server.stop().await;
        }
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
        let dhcp = self
            .settle_dhcp(ns, wanted, rooms)
            .await
            .map_err(ServeError::Dhcp);
        let dhcp6 = self
            .settle_dhcp6(ns, wanted, rooms)
            .await
            .map_err(ServeError::Dhcp6);
        let dns = self
            .settle_dns(ns, wanted, rooms)
            .await
            .map_err(ServeError::Dns);
        let metadata = self
            .settle_metadata(ns, wanted, rooms)
            .await
            .map_err(ServeError::Metadata);
        let ra = self
            .settle_ra(ns, indexes, wanted, rooms)
            .await
            .map_err(ServeError::Ra);
        dhcp.and(dhcp6).and(dns).and(metadata).and(ra)
    }

    /// After [`Served::update`]: are exactly the wanted servers running?
    pub(super) fn serves(&self, wanted: &Services) -> bool {
        is_current(
            self.dhcp.as_ref().map(|(_, scope)| scope),
            wanted.dhcp.as_ref(),
        ) && is_current(
            self.dhcp6.as_ref().map(|(_, scope)| scope),
            wanted.dhcp6.as_ref(),
        ) && is_current(
            self.dns.as_ref().map(|(_, scope)| scope),
            wanted.dns.as_ref(),
        ) && is_current(
            self.metadata.as_ref().map(|(_, scope)| scope),
            wanted.metadata.as_ref(),
        ) && self
            .ra
            .iter()
            .map(|(device, (_, link))| (device, link))
            .eq(links(wanted))
    }

    pub(super) fn dhcp(&self) -> Option<&dhcp::Server> {
        self.dhcp.as_ref().map(|(server, _)| &**server)
    }

    pub(super) fn dhcp6(&self) -> Option<&dhcp::v6::Server> {
        self.dhcp6.as_ref().map(|(server, _)| &**server)
    }

    pub(super) fn dns(&self) -> Option<&dns::Server> {
        self.dns.as_ref().map(|(server, _)| &**server)
    }

    pub(super) fn metadata(&self) -> Option<&metadata::Server> {
        self.metadata.as_ref().map(|(server, _)| &**server)
    }

    pub(super) fn ra(&self) -> impl Iterator<Item = (&DevName, &ra::Server)> {
        self.ra
            .iter()
            .map(|(device, (server, _))| (device, &**server))
    }

    async fn settle_dhcp(
        &mut self,
        ns: &Namespace,
        wanted: &Services,
        rooms: &Rooms,
    ) -> Result<(), dhcp::Error> {
        if is_current(
            self.dhcp.as_ref().map(|(_, scope)| scope),
            wanted.dhcp.as_ref(),
        ) {
            return Ok(());
        }
        if let Some((server, _)) = self.dhcp.take() {
            server.stop().await;
        }
        if let Some(scope) = &wanted.dhcp {
            let server = dhcp::Server::start(ns, Arc::clone(scope), &rooms.dhcp).await?;
            self.dhcp = Some((Arc::new(server), Arc::clone(scope)));
        }
        Ok(())
    }

    async fn settle_dhcp6(
        &mut self,
        ns: &Namespace,
        wanted: &Services,
        rooms: &Rooms,
    ) -> Result<(), dhcp::Error> {
        if is_current(
            self.dhcp6.as_ref().map(|(_, scope)| scope),
            wanted.dhcp6.as_ref(),
        ) {
            return Ok(());
        }
        if let Some((server, _)) = self.dhcp6.take() {
            server.stop().await;
        }
        if let Some(scope) = &wanted.dhcp6 {
            let server = dhcp::v6::Server::start(ns, Arc::clone(scope), &rooms.dhcp).await?;
            self.dhcp6 = Some((Arc::new(server), Arc::clone(scope)));
        }
        Ok(())
    }

    async fn settle_dns(
        &mut self,
        ns: &Namespace,
        wanted: &Services,
        rooms: &Rooms,
    ) -> Result<(), dns::Error> {
        if is_current(
            self.dns.as_ref().map(|(_, scope)| scope),
            wanted.dns.as_ref(),
        ) {
            return Ok(());
        }
        if let Some((server, _)) = self.dns.take() {
            server.stop().await;
        }
        if let Some(scope) = &wanted.dns {
            let server = dns::Server::start(ns, Arc::clone(scope), &rooms.dns).await?;
            self.dns = Some((Arc::new(server), Arc::clone(scope)));
        }
        Ok(())
    }

    async fn settle_metadata(
        &mut self,
        ns: &Namespace,
        wanted: &Services,
        rooms: &Rooms,
    ) -> Result<(), metadata::Error> {
        if is_current(
            self.metadata.as_ref().map(|(_, scope)| scope),
            wanted.metadata.as_ref(),
        ) {
            return Ok(());
        }
        if let Some((server, _)) = self.metadata.take() {
            server.stop().await;
        }
        if let Some(scope) = &wanted.metadata {
            let server = metadata::Server::start(ns, Arc::clone(scope), &rooms.metadata).await?;
            self.metadata = Some((Arc::new(server), Arc::clone(scope)));
        }
        Ok(())
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

/// After [`Served::update`] a running server has the wanted scope itself, or needs other sockets.
fn is_current<T>(running: Option<&Arc<T>>, wanted: Option<&Arc<T>>) -> bool {
    match (running, wanted) {
        (Some(running), Some(wanted)) => Arc::ptr_eq(running, wanted),
        (None, None) => true,
        _ => false,
    }
}
