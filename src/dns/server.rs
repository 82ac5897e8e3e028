//! One namespace's DNS server: its sockets, and who is answered.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use netns::Namespace;
use netns::datagrams::Sent;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::cache::{Cache, Key};
use super::forward::{Forwarding, Outcome};
use super::once::Once;
use super::places::{NoPlace, Place, Places};
use super::query::{Carrier, Query};
use super::rebind::rebinds;
use super::reply::{Rcode, Reply};
use super::shared::{Counters, Settings, Shared, Tally};
use super::sockets::Sockets;
use super::zone::{Verdict, answer};
use super::{tcp, udp};
use crate::complaint::Complaint;
use crate::model::{DevName, NetworkId};
use crate::pace::{Pace, Who};
use crate::plan::scope::DnsScope;

#[cfg(test)]
mod tests;

pub(super) const PORT: u16 = 53;

/// The longest query that is read. One question and its OPT record need a tenth of it.
pub(super) const LONGEST_QUERY: usize = 4096;

/// How long a loop rests after an error that may repeat at once (too many open files, say).
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// So often the cache is rid of what is too old.
const SWEEP: Duration = Duration::from_secs(60);

/// Why there is no server. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "serve the names of network {network} by {by} on {device}, {address} port {PORT} (the address must be on the device, and no other name server on the port)"
    )]
    Listen {
        network: NetworkId,
        device: DevName,
        address: IpAddr,
        by: &'static str,
        source: netns::Error,
    },
}

/// Serves one scope in one namespace, by UDP and TCP, until it is dropped.
#[derive(Debug)]
pub struct Server {
    serving: Arc<Serving>,
    /// Aborted on drop.
    tasks: Mutex<JoinSet<()>>,
}

impl Server {
    /// Opens every socket, or none.
    pub async fn start(
        namespace: &Namespace,
        scope: Arc<DnsScope>,
        shared: &Arc<Shared>,
    ) -> Result<Self, Error> {
        let serving = Arc::new(Serving::new(namespace, Arc::clone(&scope), shared));
        let mut tasks = JoinSet::new();
        let device = &scope.device;
        for address in &scope.listen {
            let failed = |by| {
                let scope = Arc::clone(&scope);
                move |source| Error::Listen {
                    network: scope.network,
                    device: scope.device.clone(),
                    address: *address,
                    by,
                    source,
                }
            };
            // One socket per address: a reply leaves from the address that was asked.
            let bind = SocketAddr::new(*address, PORT);
            let socket = netns::socket::udp_listener(namespace, bind, device, &[]).await;
            let socket = socket.map_err(failed("UDP"))?;
            tasks.spawn(udp::serve(Arc::clone(&serving), socket));
            let listener = netns::socket::tcp_listener(namespace, bind, Some(device)).await;
            let listener = listener.map_err(failed("TCP"))?;
            tasks.spawn(tcp::serve(Arc::clone(&serving), listener));
        }
        tasks.spawn(sweep(Arc::clone(&serving)));
        Ok(Self {
            serving,
            tasks: Mutex::new(tasks),
        })
    }

    /// Ends, and waits until its sockets are closed; after a mere drop they are so a moment later.
    pub async fn stop(&self) {
        crate::stopped(&self.tasks).await;
    }

    /// Serves `scope` from now on. Its device and addresses must be those that the server was started with.
    pub fn update(&self, scope: Arc<DnsScope>) {
        self.serving.update(scope);
    }

    pub fn counters(&self) -> Counters {
        self.serving.tally.read()
    }

    /// Whose queries most of those throttled of late were.
    pub fn loudest(&self) -> Option<IpAddr> {
        self.serving.pace().loudest(Instant::now().into_std())
    }
}

async fn sweep(serving: Arc<Serving>) {
    loop {
        sleep(SWEEP).await;
        serving.cache.sweep(Instant::now());
    }
}

/// What all tasks of one server work with.
#[derive(Debug)]
pub(super) struct Serving {
    scope: ArcSwap<DnsScope>,
    forwarding: Forwarding,
    pace: Mutex<Pace<IpAddr>>,
    throttling: Complaint,
    asking: Once<Outcome>,
    cache: Cache,
    waiting: Arc<Places>,
    waiting_by_tcp: Arc<Places>,
    pub(super) connections: Arc<Places>,
    pub(super) settings: Settings,
    shared: Arc<Shared>,
    pub(super) tally: Tally,
}

/// What is due for a message at once.
pub(super) enum Due {
    /// The reply is written.
    Reply,
    /// A forwarder has to be asked; the place is for the time that takes, until the client has been told.
    Ask(Place),
    Nothing,
}

impl Serving {
    fn new(namespace: &Namespace, scope: Arc<DnsScope>, shared: &Arc<Shared>) -> Self {
        let sockets = Sockets::new(namespace.clone());
        Self {
            forwarding: Forwarding::new(sockets, &scope, shared.settings),
            scope: ArcSwap::new(scope),
            pace: Mutex::new(Pace::new(
                **shared.budgets.load(),
                Instant::now().into_std(),
            )),
            throttling: Complaint::default(),
            asking: Once::new(),
            cache: shared.cache(),
            waiting: Arc::new(shared.waiting()),
            waiting_by_tcp: Arc::new(shared.waiting_by_tcp()),
            connections: Arc::new(shared.connections()),
            settings: shared.settings,
            shared: Arc::clone(shared),
            tally: Tally::default(),
        }
    }

    fn update(&self, scope: Arc<DnsScope>) {
        self.forwarding.update(&scope);
        let old = self.scope.swap(scope);
        let new = self.scope.load();
        if !old.forwards_like(&new) || new.cache < old.cache {
            self.cache.clear();
        }
    }

    /// Whether `source` is one of those that are served; counts it if not.
    pub(super) fn serves(&self, source: IpAddr) -> bool {
        let served = self
            .scope
            .load()
            .clients
            .iter()
            .any(|net| net.contains(&source));
        if !served {
            self.tally.strangers.add();
        }
        served
    }

    /// Takes note of messages that were read. Returns how long to leave the next unread.
    pub(super) fn read(&self, messages: usize) -> Duration {
        self.pace().read(messages, Instant::now().into_std())
    }

    /// Whether this client has not had its share; counts it if it has.
    fn admits(&self, client: IpAddr) -> bool {
        let now = Instant::now().into_std();
        let scope = self.scope.load();
        let is_a_ports = scope
            .zones
            .iter()
            .any(|zone| zone.pointers.get(&client).is_some());
        let who = if is_a_ports {
            Who::Known(client)
        } else {
            Who::Newcomer(client)
        };
        let mut pace = self.pace();
        let admitted = pace.admits(who, now);
        if !admitted {
            self.tally.throttled.add();
            if let Some(times) = self.throttling.due(now) {
                let network = scope.network;
                let loudest = pace.loudest(now).map(|client| client.to_string());
                drop(pace);
                tracing::warn!(%network, loudest, times, "dropped DNS queries of who sent more than its share");
            }
        }
        admitted
    }

    /// Takes note of what became of replies. A socket is full of those to addresses that nobody has, for which the kernel looks
    /// for seconds.
    pub(super) fn sent(&self, sent: Sent) {
        self.tally.unsent.add_many(sent.unsent);
        if sent.full {
            self.pace().jammed(Instant::now().into_std());
        }
    }

    /// With the budgets that hold now. Held for a moment; whoever panicked under it left whole values.
    fn pace(&self) -> MutexGuard<'_, Pace<IpAddr>> {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.set(**self.shared.budgets.load());
        pace
    }

    /// Answers, refuses, or finds a place to ask a forwarder. Never waits.
    pub(super) fn receive(
        &self,
        message: &[u8],
        client: SocketAddr,
        carrier: Carrier,
        reply: &mut Vec<u8>,
    ) -> Due {
        let tally = &self.tally;
        tally.queries.add();
        if !self.admits(client.ip()) {
            return Due::Nothing;
        }
        let query = match answer(&self.scope.load(), message, carrier, reply) {
            Verdict::Reply(rcode) => {
                match rcode {
                    Rcode::NoError => tally.answered.add(),
                    Rcode::NxDomain => tally.denied.add(),
                    _ => tally.malformed.add(),
                }
                return Due::Reply;
            }
            Verdict::Silent => {
                tally.malformed.add();
                return Due::Nothing;
            }
            Verdict::Forward(query) => query,
        };
        if let Some((response, age)) = self.cache.get(&Key::of(&query), Instant::now()) {
            tally.cached.add();
            response.answer(&query, carrier, age, reply);
            return Due::Reply;
        }
        if self.forwarding.is_nowhere(&query) {
            tally.forward_nowhere.add();
            Reply::to(&query, reply).fail(Rcode::Refused);
            return Due::Reply;
        }
        let waiting = match carrier {
            Carrier::Udp => &self.waiting,
            Carrier::Tcp => &self.waiting_by_tcp,
        };
        match waiting.take(client.ip(), repeats_as(&query, client.port())) {
            Ok(place) => {
                tally.forwarded.add();
                Due::Ask(place)
            }
            Err(NoPlace::Repeated) => {
                tally.forward_repeated.add();
                Due::Nothing
            }
            Err(NoPlace::Full) => {
                tally.forward_full.add();
                Reply::to(&query, reply).fail(Rcode::ServFail);
                Due::Reply
            }
        }
    }

    /// The reply to a message that [`Serving::receive`] had a place for.
    pub(super) async fn ask(&self, message: &[u8], carrier: Carrier) -> Vec<u8> {
        let mut reply = Vec::new();
        let Some(query) = Query::read(message) else {
            return reply; // cannot be: it was read before
        };
        let key = Key::of(&query);
        let how = [
            u8::from(carrier == Carrier::Tcp),
            u8::from(query.edns().is_some()),
        ];
        let same = [key.as_bytes(), &how].concat();
        let ask = || self.ask_forwarders(&key, &query, carrier);
        match &*self.asking.ask(&same, ask).await {
            Outcome::Answer(response) => {
                self.tally.forward_answered.add();
                response.answer(&query, carrier, 0, &mut reply);
            }
            Outcome::TooLong => {
                self.tally.forward_answered.add();
                Reply::to(&query, &mut reply).truncated();
            }
            Outcome::Rebinds => {
                self.tally.rebinding.add();
                Reply::to(&query, &mut reply).fail(Rcode::NoError);
            }
            Outcome::Failed => {
                self.tally.forward_failed.add();
                Reply::to(&query, &mut reply).fail(Rcode::ServFail);
            }
        }
        reply
    }

    /// For whoever asks the same meanwhile, and later.
    async fn ask_forwarders(&self, key: &Key, query: &Query<'_>, carrier: Carrier) -> Outcome {
        let era = self.cache.era();
        let outcome = self.forwarding.ask(query, carrier, &self.tally).await;
        if let Outcome::Answer(response) = &outcome {
            let scope = self.scope.load();
            if rebinds(&scope, query, response) {
                return Outcome::Rebinds;
            }
            let now = Instant::now();
            self.cache.put(key, response, now, era, scope.cache);
        }
        outcome
    }
}

/// The same for a query that a client sends again because it was not answered yet.
fn repeats_as(query: &Query<'_>, port: u16) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (port, query.head()).hash(&mut hasher);
    hasher.finish()
}
