//! The metadata role for other processes of this host: it listens as Neutron's metadata agent does, for the reference's
//! haproxys and for our own other roles.
//!
//! Each network or router that is spoken for has the same bounds and memory here as a namespace that we serve ourselves.
//! Who may connect can be any instance, so more than the file's mode decides that: see [`Proxies::trusts`].

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fs;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::body::{Body, refuse};
use super::counters::Tally;
use super::guest::{House, answer};
use super::limits::{Door, Seat};
use super::lookup;
use super::patience::Patience;
use super::proxied::said;
use super::pulse::Pulse;
use super::route::Origin;
use super::server::{endure, http};
use super::{Error, ProxySocket, Shared};
use crate::complaint::Complaint;
use crate::model::{NetworkId, RouterId, Target};
use crate::plan::scope::MetadataScope;
use crate::unix;

/// How long it is believed which networks a router has.
const ROUTED: Duration = Duration::from_secs(5);
/// Networks and routers that nobody spoke for in this time are forgotten, once there are so many; beyond the last number
/// their guests are told to come again (503).
const FORGOTTEN: Duration = Duration::from_secs(60);
const MANY: usize = 1024;
const MOST: usize = 16 * 1024;

/// The socket, listening.
#[derive(Debug)]
pub struct Proxies {
    listener: UnixListener,
    owner: u32,
    /// If it may write.
    group: Option<u32>,
}

impl Proxies {
    /// Takes the place of a stale socket, as Neutron's agent does. It is not removed at the end: by then it may be the
    /// reference's, which takes the place the same way.
    ///
    /// # Errors
    /// The socket can't be made.
    pub fn listen(settings: &ProxySocket) -> Result<Self, Error> {
        let failed = |source| Error::Socket {
            path: settings.path.clone(),
            source,
        };
        let listener = unix::listen(&settings.path).map_err(failed)?;
        // First: of what is another user's it would take CAP_FOWNER.
        let mode = fs::Permissions::from_mode(settings.mode);
        fs::set_permissions(&settings.path, mode).map_err(failed)?;
        let (owner, group) = give(settings).map_err(failed)?;
        Ok(Self {
            listener,
            owner,
            group: (settings.mode & 0o020 != 0).then_some(group),
        })
    }

    /// Answers until it is dropped.
    pub async fn serve(self, shared: Arc<Shared>) {
        let places = Arc::new(Semaphore::new(shared.limits.connections));
        let strangers = Complaint::default();
        let homes = Arc::new(Homes::new(shared));
        let mut connections = JoinSet::new();
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    endure(&error, &homes.shared.crowded).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            if !self.trusts(&stream) {
                homes.tally.connections_refused.up();
                if let Some(times) = strangers.due(Instant::now()) {
                    warn!(times, peer = ?stream.peer_cred(), "a process that is not trusted connected to metadata_proxy_socket; run the proxies as root or as metadata_proxy_user");
                }
                continue;
            }
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                homes.tally.connections_refused.up();
                continue;
            };
            homes.tally.connections.up();
            let homes = Arc::clone(&homes);
            connections.spawn(async move {
                Box::pin(converse(stream, &homes)).await;
                drop(place);
            });
        }
    }

    /// Root, we ourselves, whose the socket is (who has its directory could replace it), and its group if that may write.
    fn trusts(&self, stream: &UnixStream) -> bool {
        let Ok(peer) = stream.peer_cred() else {
            return false;
        };
        let own = nix::unistd::geteuid().as_raw();
        [0, own, self.owner].contains(&peer.uid()) || self.group == Some(peer.gid())
    }
}

/// Gives the socket to whom the settings or its directory name, and answers whose it is now.
fn give(settings: &ProxySocket) -> io::Result<(u32, u32)> {
    let path = &settings.path;
    let dir = fs::metadata(path.parent().unwrap_or(Path::new("/")))?;
    let now = fs::metadata(path)?;
    let user = settings.user.unwrap_or(dir.uid());
    let group = settings.group.unwrap_or(dir.gid());
    if (user, group) == (now.uid(), now.gid()) {
        return Ok((user, group));
    }
    match chown(path, Some(user), Some(group)) {
        Ok(()) => Ok((user, group)),
        Err(error) => {
            warn!(%error, path = %path.display(), user, group, "metadata_proxy_socket can't be given away (warren needs CAP_CHOWN for that); only processes of our own user can use it");
            Ok((now.uid(), now.gid()))
        }
    }
}

/// Requests and answers of one proxy, one after the other.
async fn converse(stream: UnixStream, homes: &Homes) {
    let pulse = Pulse::new(&homes.shared.limits);
    let mut timer = pin!(pulse.timer());
    // As long as its answer is being sent: until the next request, or the end.
    let seat = Mutex::new(None);
    let service = service_fn(|request| async {
        Ok::<_, Infallible>(homes.answer(&seat, &pulse, request).await)
    });
    let http = http(&homes.shared.limits);
    let mut connection = http.serve_connection(Patience::new(stream, &pulse), service);
    let ended =
        poll_fn(|cx| pulse.drive(timer.as_mut(), cx, |cx| Pin::new(&mut connection).poll(cx)));
    let ended = ended.await;
    if !matches!(ended, Ok(Ok(()))) {
        homes.tally.connections_failed.up();
        debug!(?ended, "a metadata proxy's connection failed");
    }
}

struct Homes {
    shared: Arc<Shared>,
    /// Of all of them together, and of who spoke for none.
    tally: Arc<Tally>,
    by_target: Mutex<HashMap<Target, Arc<Home>>>,
}

/// A network or router that is spoken for.
struct Home {
    house: House,
    door: Arc<Door>,
    used: Mutex<Instant>,
    /// Of a router: when it was asked about last.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Homes {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            tally: Arc::clone(shared.proxies.get_or_init(Arc::default)),
            shared,
            by_target: Mutex::default(),
        }
    }

    /// Always answers. Cancel-safe.
    async fn answer(
        &self,
        seat: &Mutex<Option<Arc<Seat>>>,
        pulse: &Pulse,
        request: Request<Incoming>,
    ) -> Response<Body> {
        pulse.answer();
        let entered = match said(request.headers()) {
            Some((of, address)) => self.enter(of, address, pulse).await,
            None => Err(StatusCode::BAD_REQUEST),
        };
        match entered {
            Ok((home, own)) => {
                let own = Arc::new(own);
                *seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&own));
                answer(&home.house, &own, pulse, request).await
            }
            Err(status) => {
                pulse.send();
                self.tally.answered(status);
                refuse(status)
            }
        }
    }

    async fn enter(
        &self,
        of: Target,
        address: IpAddr,
        pulse: &Pulse,
    ) -> Result<(Arc<Home>, Seat), StatusCode> {
        let home = self.home(of)?;
        if let Target::Router(router) = of {
            let known = pin!(self.refresh(&home, router));
            let known = pulse.in_time(known).await;
            known.unwrap_or(Err(StatusCode::GATEWAY_TIMEOUT))?;
        }
        // Which link it is of the proxy does not tell.
        let origin = Origin::new(address, None);
        let seat = home.door.admit(home.house.who(origin));
        let seat = seat.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        Ok((home, seat))
    }

    fn home(&self, of: Target) -> Result<Arc<Home>, StatusCode> {
        let mut homes = self
            .by_target
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(home) = homes.get(&of) {
            home.touch(now);
            return Ok(Arc::clone(home));
        }
        if homes.len() >= MANY {
            homes.retain(|_, home| Arc::strong_count(home) > 1 || !home.is_forgotten(now));
        }
        if homes.len() >= MOST {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let home = Arc::new(Home::new(of, &self.shared, &self.tally));
        homes.insert(of, Arc::clone(&home));
        Ok(home)
    }

    /// Learns which networks a router has, where that is not known of late: from the model, or else the server.
    async fn refresh(&self, home: &Home, router: RouterId) -> Result<(), StatusCode> {
        // Those who come meanwhile wait for the one answer.
        let mut asked = home.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < ROUTED) {
            return Ok(());
        }
        let networks = match self.modelled(router) {
            Some(networks) => networks,
            None => self.ask(router).await?,
        };
        let of = Target::Router(router);
        home.house.rescope(Arc::new(scope(of, networks)));
        *asked = Some(Instant::now());
        Ok(())
    }

    fn modelled(&self, router: RouterId) -> Option<Vec<NetworkId>> {
        let state = self.shared.state.load();
        let router = state.routers.get(&router)?;
        Some(router.interfaces.iter().map(|leg| leg.network).collect())
    }

    async fn ask(&self, router: RouterId) -> Result<Vec<NetworkId>, StatusCode> {
        let lookup: Option<&lookup::Source> = self.shared.lookup.get();
        let lookup = lookup.ok_or(StatusCode::NOT_FOUND)?;
        lookup.networks(router).await
    }
}

impl Home {
    fn new(of: Target, shared: &Arc<Shared>, tally: &Arc<Tally>) -> Self {
        let networks = match of {
            Target::Network(id) => vec![id],
            Target::Router(_) => Vec::new(),
        };
        let scope = Arc::new(scope(of, networks));
        let limits = &shared.limits;
        Self {
            // The proxies limit how often a guest may ask.
            house: House::new(scope, shared, http(limits), None, Arc::clone(tally)),
            door: Door::new(limits, &shared.commons),
            used: Mutex::new(Instant::now()),
            asked: tokio::sync::Mutex::default(),
        }
    }

    fn touch(&self, now: Instant) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(used) >= FORGOTTEN
    }
}

/// Guests are looked up one by one: whom the model knows may be on another host.
fn scope(of: Target, networks: Vec<NetworkId>) -> MetadataScope {
    MetadataScope {
        // Nothing listens for it: its requests come by our socket.
        listen: Vec::new(),
        device: None,
        links: BTreeMap::new(),
        residents: Vec::new(),
        networks,
        of,
    }
}
