//! The listener of one namespace, and its guests' connections.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tracing::{debug, warn};

use super::guest::{House, answer};
use super::limits::{Door, Seat};
use super::patience::Patience;
use super::pulse::{Late, Pulse};
use super::rate::Rate;
use super::route::Origin;
use super::{Counters, Error, Limits, Shared};
use crate::complaint::Complaint;
use crate::plan::scope::MetadataScope;

/// After a mistake of the guest its rest is read for so long and so far: else the kernel would drop our answer with it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 256 * 1024;

/// When the kernel has no room for a new connection (files, memory), a moment must pass, or the loop would spin.
const BREATHER: Duration = Duration::from_millis(100);

/// Serves metadata in one namespace until it is dropped.
pub struct Server {
    house: Arc<House>,
    door: Arc<Door>,
    /// One for each listener; aborted on drop, and their connections with them.
    tasks: Mutex<JoinSet<()>>,
}

impl Server {
    /// Binds the scope's addresses inside `ns`; the addresses may come later.
    ///
    /// # Errors
    /// When one can't be bound.
    pub async fn start(
        ns: &netns::Namespace,
        scope: Arc<MetadataScope>,
        shared: &Arc<Shared>,
    ) -> Result<Self, Error> {
        let mut listeners = Vec::new();
        for listen in &scope.listen {
            let device = scope.device.as_ref().filter(|_| is_link_local(listen.ip()));
            let listener = netns::socket::tcp_listener(ns, *listen, device).await;
            listeners.push(listener.map_err(Error::Listen)?);
        }
        Ok(Self::serve(listeners, scope, shared))
    }

    /// Serves the guests that the listeners accept. Must be called inside a tokio runtime.
    pub fn serve(
        listeners: Vec<TcpListener>,
        scope: Arc<MetadataScope>,
        shared: &Arc<Shared>,
    ) -> Self {
        let limits = &shared.limits;
        let rate = limits.rate.map(Rate::new);
        let house = House::new(scope, shared, http(limits), rate, Arc::default());
        let house = Arc::new(house);
        let door = Door::new(limits, &shared.commons);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            // Those that are accepted inherit it. Without it an answer could wait for the guest's delayed ACK.
            if let Err(error) = SockRef::from(&listener).set_tcp_nodelay(true) {
                debug!(%error, "answers may be slow: failed to set TCP_NODELAY");
            }
            tasks.spawn(accept(listener, Arc::clone(&house), Arc::clone(&door)));
        }
        Self {
            house,
            door,
            tasks: Mutex::new(tasks),
        }
    }

    /// Ends, and waits until its sockets are closed; after a mere drop they are so a moment later.
    pub async fn stop(&self) {
        crate::stopped(&self.tasks).await;
    }

    /// Later requests are judged by this scope, those on open connections too.
    pub fn update(&self, scope: Arc<MetadataScope>) {
        self.house.rescope(scope);
    }

    pub fn counters(&self) -> Counters {
        self.house.tally.counters()
    }

    /// Who made most of the connections throttled of late, or of the requests delayed.
    pub fn loudest(&self) -> Option<IpAddr> {
        let loudest = self.door.loudest(Instant::now());
        loudest.map(|origin| origin.address)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

pub(super) fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None) // Ours is the pulse.
        .max_header_size(limits.head)
        .max_buf_size(limits.head)
        // A guest may close its half behind the request, as `nc` does.
        .half_close(true)
        // Answers are small: one buffer costs less than the kernel's walk along several.
        .writev(false);
    http
}

async fn accept(listener: TcpListener, house: Arc<House>, door: Arc<Door>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                endure(&error, &house.shared.crowded).await;
                continue;
            }
        };
        // Those that have ended are cleared away here: waking us at each one's end would cost more.
        while connections.try_join_next().is_some() {}
        let Some(origin) = origin(&stream, from, &house) else {
            house.tally.unknown.up();
            continue;
        };
        let who = house.who(origin);
        let now = Instant::now();
        let (paced, rest) = door.knock(who, now);
        if !paced {
            house.tally.throttled.up();
            door.complain(house.scope.load().of, now);
        }
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
        let Some(seat) = paced.then(|| door.admit(who)).flatten() else {
            house.tally.connections_refused.up();
            continue;
        };
        house.tally.connections.up();
        connections.spawn(converse(stream, seat, Arc::clone(&house)));
    }
}

/// With the network that a link-local address is of, where the namespace has several. `None`: it is of none of them, and so
/// may be that of a machine on any.
fn origin(stream: &TcpStream, from: SocketAddr, house: &House) -> Option<Origin> {
    let scope = house.scope.load();
    let network = match from {
        SocketAddr::V6(from) if from.ip().is_unicast_link_local() && !scope.links.is_empty() => {
            let device = netns::socket::device_of(stream, from.scope_id());
            Some(*scope.links.get(&device.ok()?)?)
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => None,
    };
    Some(Origin::new(from.ip(), network))
}

/// Errors of `accept` pass: they are of one connection, or of a full table (accept(2), "Error handling").
pub(super) async fn endure(error: &io::Error, crowded: &Complaint) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        return;
    }
    if let Some(times) = crowded.due(Instant::now()) {
        warn!(%error, times, "failed to accept metadata connections (see the limit of open files); trying again");
    }
    tokio::time::sleep(BREATHER).await;
}

async fn converse(stream: TcpStream, seat: Seat, house: Arc<House>) {
    let pulse = Pulse::new(&house.shared.limits);
    let mut timer = pin!(pulse.timer());
    // A guest that says nothing costs no buffers; one that speaks has seldom done so by now.
    let spoken = poll_fn(|cx| pulse.drive(timer.as_mut(), cx, |cx| stream.poll_read_ready(cx)));
    let Ok(Ok(())) = spoken.await else {
        house.tally.connections_failed.up();
        return;
    };
    // Boxed: else every guest's task had room for it, and was copied with it from hand to hand.
    Box::pin(exchange(stream, &seat, &house, &pulse, timer)).await;
}

/// Requests and answers, until one side ends the connection.
async fn exchange(
    stream: TcpStream,
    seat: &Seat,
    house: &House,
    pulse: &Pulse,
    mut timer: Pin<&mut Sleep>,
) {
    let service = service_fn(|request| async {
        Ok::<_, Infallible>(answer(house, seat, pulse, request).await)
    });
    let mut connection = house
        .http
        .serve_connection(Patience::new(stream, pulse), service);
    let ended =
        poll_fn(|cx| pulse.drive(timer.as_mut(), cx, |cx| Pin::new(&mut connection).poll(cx)));
    let ended = ended.await;
    if let Ok(Ok(())) = ended {
        return;
    }
    house.tally.connections_failed.up();
    debug!(source = %seat.origin().address, ?ended, "a metadata connection failed");
    let stream = connection.into_parts().io.into_inner();
    match ended {
        Ok(Err(error)) if error.is_parse() => linger(stream).await,
        // What it did not take the kernel need not keep either.
        Err(Late) => _ = stream.set_zero_linger(),
        Ok(_) => {}
    }
}

/// The answer is written; now the guest reads it, if what it still sends is taken.
async fn linger(mut stream: TcpStream) {
    let read = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    _ = tokio::time::timeout(LINGER, read).await;
}
