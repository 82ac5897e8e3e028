//! The listener of one namespace, and its guests' connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, warn};

use super::counters::Tally;
use super::guest::{House, answer};
use super::limits::{Door, Seat};
use super::patience::Patience;
use super::{Counters, Error, Shared};
use crate::plan::scope::MetadataScope;

/// After a mistake of the guest its rest is read for so long and so far: else the kernel would drop our answer with it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 256 * 1024;

/// When the kernel has no room for a new connection (files, memory), a moment must pass, or the loop would spin.
const BREATHER: Duration = Duration::from_millis(100);

/// Serves metadata in one namespace until it is dropped.
pub struct Server {
    house: Arc<House>,
    task: AbortHandle,
}

impl Server {
    /// Binds the scope's address inside `ns`; the address may come later.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn start(
        ns: &netns::Namespace,
        scope: Arc<MetadataScope>,
        shared: &Arc<Shared>,
    ) -> Result<Self, Error> {
        let listener = netns::socket::tcp_listener(ns, scope.listen, None)
            .await
            .map_err(Error::Listen)?;
        Ok(Self::serve(listener, scope, shared))
    }

    /// Serves the guests that `listener` accepts. Must be called inside a tokio runtime.
    pub fn serve(listener: TcpListener, scope: Arc<MetadataScope>, shared: &Arc<Shared>) -> Self {
        let house = Arc::new(House {
            scope: ArcSwap::new(scope),
            shared: Arc::clone(shared),
            tally: Tally::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&house)));
        Self {
            house,
            task: task.abort_handle(),
        }
    }

    /// Later requests are judged by this scope, those on open connections too.
    pub fn update(&self, scope: Arc<MetadataScope>) {
        self.house.scope.store(scope);
    }

    pub fn counters(&self) -> Counters {
        self.house.tally.counters()
    }
}

impl Drop for Server {
    /// The connections end with the task that accepted them.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, house: Arc<House>) {
    let limits = &house.shared.limits;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_header_size(limits.head)
        .max_buf_size(limits.head)
        // A guest may close its half behind the request, as `nc` does.
        .half_close(true);
    let door = Arc::new(Door::default());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let source = from.ip().to_canonical();
                    let Some(seat) = door.admit(source, limits, &house.shared.budgets) else {
                        house.tally.connections_refused.up();
                        continue;
                    };
                    house.tally.connections.up();
                    connections.spawn(converse(http.clone(), stream, seat, Arc::clone(&house)));
                }
                Err(error) => endure(&error).await,
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// Errors of `accept` pass: they are of one connection, or of a full table (accept(2), "Error handling").
async fn endure(error: &io::Error) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        return;
    }
    warn!(%error, "failed to accept a metadata connection; trying again");
    tokio::time::sleep(BREATHER).await;
}

async fn converse(http: http1::Builder, stream: TcpStream, seat: Seat, house: Arc<House>) {
    // Without it an answer could wait for the guest's delayed ACK. It fails on a dead connection only.
    _ = stream.set_nodelay(true);
    let io = Patience::new(stream, house.shared.limits.request);
    let service = service_fn(|request| async {
        Ok::<_, std::convert::Infallible>(answer(&house, &seat, request).await)
    });
    let mut connection = http.serve_connection(io, service);
    let Err(error) = (&mut connection).await else {
        return;
    };
    house.tally.connections_failed.up();
    debug!(source = %seat.source(), %error, "a metadata connection failed");
    if error.is_parse() {
        linger(connection.into_parts().io.into_inner()).await;
    }
}

/// The answer is written and our half closed; now the guest reads it, if what it still sends is taken.
async fn linger(stream: TcpStream) {
    let mut rest = stream.take(LINGER_BYTES);
    let mut scrap = [0; 4096];
    let read = async { while rest.read(&mut scrap).await.is_ok_and(|read| read > 0) {} };
    _ = tokio::time::timeout(LINGER, read).await;
}
