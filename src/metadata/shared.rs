//! What all namespaces' servers share: who knows the machines, and the budgets of all guests together.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::agent::Agent;
use super::counters::{Counters, Tally};
use super::limits::Commons;
use super::lookup::{self, Lookup};
use super::nova::Nova;
use super::passwords::Passwords;
use super::{Error, Limits, MetadataSettings, Upstream};
use crate::complaint::Complaint;
use crate::model::{InstanceId, State};
use crate::pace;

pub struct Shared {
    pub(super) source: ArcSwap<Source>,
    pub(super) limits: Limits,
    pub(super) commons: Arc<Commons>,
    /// The model that the embedded source tells from.
    pub(super) state: Arc<ArcSwap<State>>,
    pub(super) passwords: Passwords,
    /// No connection can be accepted.
    pub(super) crowded: Complaint,
    pub(super) lookup: OnceLock<lookup::Source>,
    /// Of the socket for other processes, once it is served.
    pub(super) proxies: OnceLock<Arc<Tally>>,
}

/// [`Upstream`], ready for use.
#[allow(clippy::large_enum_variant, reason = "there is one, behind an Arc")]
pub(super) enum Source {
    Local,
    Nova(Nova),
    Agent(Agent),
}

impl Shared {
    /// # Errors
    /// When Nova's host is no name, or a certificate or key that the settings name can't be used.
    pub fn new(settings: MetadataSettings, state: Arc<ArcSwap<State>>) -> Result<Arc<Self>, Error> {
        let MetadataSettings { upstream, limits } = settings;
        Ok(Arc::new(Self {
            source: ArcSwap::from_pointee(Source::new(&upstream)?),
            commons: Commons::new(&limits),
            limits,
            state,
            passwords: Passwords::default(),
            crowded: Complaint::default(),
            lookup: OnceLock::new(),
            proxies: OnceLock::new(),
        }))
    }

    /// From now on this is asked for whoever the model does not know. The first one stays.
    pub fn set_lookup(&self, lookup: Arc<dyn Lookup>) {
        self.lookup.get_or_init(|| lookup::Source::new(lookup));
    }

    /// Another process knows whom the model does not.
    pub(super) fn asks_elsewhere(&self) -> bool {
        self.lookup.get().is_some() || matches!(**self.source.load(), Source::Agent(_))
    }

    /// What is taken of each network from now on: of connections, and of requests.
    pub fn limit(&self, budgets: pace::Budgets) {
        self.commons.pace(budgets);
    }

    /// This instance is gone: what it left is not another's.
    pub fn forget(&self, instance: &InstanceId) {
        self.passwords.forget(instance);
    }

    /// What was asked by the socket for other processes; `None`: there is none.
    pub fn proxied(&self) -> Option<Counters> {
        self.proxies.get().map(|tally| tally.counters())
    }

    /// Later requests go to this upstream; those under way end as they began. Its files are read anew.
    ///
    /// # Errors
    /// As [`Shared::new`]; then all stays as it was.
    pub fn set_upstream(&self, upstream: &Upstream) -> Result<(), Error> {
        self.source.store(Arc::new(Source::new(upstream)?));
        Ok(())
    }
}

impl Source {
    fn new(upstream: &Upstream) -> Result<Self, Error> {
        Ok(match upstream {
            Upstream::Local => Self::Local,
            Upstream::Nova(settings) => Self::Nova(Nova::new(settings)?),
            Upstream::Agent(socket) => Self::Agent(Agent::new(socket.clone())),
        })
    }
}

/// Its parts hold secrets and sockets: neither says anything in a log.
impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
