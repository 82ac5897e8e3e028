//! Who the model does not know is asked of its source, where that can be asked (Neutron's `get_ports`).
//!
//! What it said is kept for a moment; requests of one guest at the same time are one question. A guest that makes up
//! addresses makes few questions, for each namespace has a bound on them.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Display;
use std::net::IpAddr;
use std::pin::Pin;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::sync::{OnceCell, Semaphore};
use tracing::warn;

use super::Window;
use super::rate::Counts;
use super::route::Origin;
use crate::chain;
use crate::complaint::Complaint;
use crate::model::{InstanceId, NetworkId, ProjectId, RouterId};
use crate::plan::scope::MetadataScope;

/// The machine at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub instance: InstanceId,
    pub project: ProjectId,
}

pub type Answer<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Found>, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

pub type Networks<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<NetworkId>, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// Asks the source of the model.
pub trait Lookup: Send + Sync {
    /// The networks that a router has interfaces in. Cancel-safe.
    fn networks(&self, router: RouterId) -> Networks<'_>;
    /// Who has this address in one of these networks. `None`: nobody, or not one alone. Cancel-safe.
    fn who<'a>(&'a self, networks: &'a [NetworkId], address: IpAddr) -> Answer<'a>;
}

/// Questions under way at once; others wait their turn.
const AT_ONCE: usize = 16;
/// Neutron's agents wait longer, but their guests do not.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer is good: a machine, nobody, and that there was no answer.
const FOUND: Duration = Duration::from_secs(30);
const NOBODY: Duration = Duration::from_secs(5);
const FAILED: Duration = Duration::from_secs(1);
/// Nova's 404 is also how it says that there is no user data: an answer this young is not doubted because of one.
const DOUBTED: Duration = Duration::from_secs(5);
/// Questions of one namespace; beyond, its guests are told to come again (503). So many answers are kept at most, too.
const QUESTIONS: Window = Window {
    requests: 100,
    duration: Duration::from_secs(10),
};

/// What all namespaces share.
pub(super) struct Source {
    lookup: Arc<dyn Lookup>,
    turns: Semaphore,
    failed: Complaint,
}

/// What one namespace was told.
#[derive(Debug)]
pub(super) struct Learned {
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    by_origin: HashMap<Origin, Arc<OnceCell<Heard>>>,
    questions: Counts<()>,
}

#[derive(Debug, Clone)]
struct Heard {
    at: Instant,
    answer: Result<Option<Found>, StatusCode>,
}

impl Source {
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Self {
        Self {
            lookup,
            turns: Semaphore::new(AT_ONCE),
            failed: Complaint::default(),
        }
    }

    async fn ask(&self, networks: &[NetworkId], address: IpAddr) -> Heard {
        let answer = self
            .in_time(&address, self.lookup.who(networks, address))
            .await;
        Heard {
            at: Instant::now(),
            answer,
        }
    }

    /// The networks behind a router; the error is what the guest is answered. Cancel-safe.
    pub(super) async fn networks(&self, router: RouterId) -> Result<Vec<NetworkId>, StatusCode> {
        self.in_time(&router, self.lookup.networks(router)).await
    }

    async fn in_time<T>(
        &self,
        of: &(dyn Display + Sync),
        question: impl Future<Output = Result<T, Box<dyn Error + Send + Sync>>>,
    ) -> Result<T, StatusCode> {
        let asked = async {
            let _turn = self.turns.acquire().await;
            question.await
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                if let Some(times) = self.failed.due(Instant::now()) {
                    warn!(%of, error = %chain(&*error), times, "failed to ask who a metadata request is of");
                }
                Err(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Err(_late) => {
                if let Some(times) = self.failed.due(Instant::now()) {
                    warn!(%of, times, "nobody said in time who a metadata request is of");
                }
                Err(StatusCode::GATEWAY_TIMEOUT)
            }
        }
    }
}

impl Heard {
    fn is_good(&self, now: Instant) -> bool {
        let good = match self.answer {
            Ok(Some(_)) => FOUND,
            Ok(None) => NOBODY,
            Err(_) => FAILED,
        };
        now.saturating_duration_since(self.at) < good
    }
}

impl Learned {
    pub(super) fn new() -> Self {
        Self {
            told: Mutex::new(Told {
                by_origin: HashMap::new(),
                questions: Counts::new(QUESTIONS),
            }),
        }
    }

    /// Other networks have other guests.
    pub(super) fn forget(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.by_origin.clear();
    }

    /// A machine was found there not long ago.
    pub(super) fn knows(&self, origin: Origin) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = told.by_origin.get(&origin).and_then(|cell| cell.get());
        heard.is_some_and(|heard| {
            matches!(heard.answer, Ok(Some(_))) && heard.is_good(Instant::now())
        })
    }

    /// Who asks; the error is what the guest is answered. Cancel-safe.
    pub(super) async fn who(
        &self,
        source: &Source,
        scope: &MetadataScope,
        origin: Origin,
    ) -> Result<Found, StatusCode> {
        let now = Instant::now();
        let cell = self.cell(origin, now, |heard| heard.is_good(now));
        self.hear(cell?, source, scope, origin).await
    }

    /// The same after Nova did not know that machine: `None` where the answer is too young to be doubted, or the same.
    pub(super) async fn who_else(
        &self,
        source: &Source,
        scope: &MetadataScope,
        origin: Origin,
        known: &Found,
    ) -> Option<Found> {
        let now = Instant::now();
        let is_young = |heard: &Heard| now.saturating_duration_since(heard.at) < DOUBTED;
        let cell = self.cell(origin, now, is_young).ok()?;
        let found = self.hear(cell, source, scope, origin).await.ok()?;
        (found != *known).then_some(found)
    }

    /// Of a question that is under way or was answered, while that is good; else a new one.
    fn cell(
        &self,
        origin: Origin,
        now: Instant,
        is_good: impl Fn(&Heard) -> bool,
    ) -> Result<Arc<OnceCell<Heard>>, StatusCode> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = told.by_origin.get(&origin)
            && cell.get().is_none_or(is_good)
        {
            return Ok(Arc::clone(cell));
        }
        if told.questions.exceeds((), now) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        // A question whose guests have all gone is nobody's any more.
        told.by_origin.retain(|_, cell| match cell.get() {
            Some(heard) => heard.is_good(now),
            None => Arc::strong_count(cell) > 1,
        });
        let cell = Arc::default();
        told.by_origin.insert(origin, Arc::clone(&cell));
        Ok(cell)
    }

    async fn hear(
        &self,
        cell: Arc<OnceCell<Heard>>,
        source: &Source,
        scope: &MetadataScope,
        origin: Origin,
    ) -> Result<Found, StatusCode> {
        let networks = match &origin.network {
            Some(network) => slice::from_ref(network),
            None => &scope.networks,
        };
        let heard = cell.get_or_init(|| source.ask(networks, origin.address));
        let heard = heard.await;
        let found = heard.answer.clone()?;
        found.ok_or(StatusCode::NOT_FOUND)
    }
}
