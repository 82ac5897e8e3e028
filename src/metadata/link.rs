//! Connections to whom we ask, which is Nova or the metadata role's process. Those to Nova are kept open between requests.
//!
//! Who waits for an answer drives the connection itself: there is no task per connection, no channel on the way, and
//! a guest that goes away takes its unfinished exchange with it. In the pool nobody drives; that a kept connection
//! was closed meanwhile shows at its next use, which then takes a fresh one.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::InvalidHeaderValue;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::wire::Wire;
use super::{Error, NovaProtocol, NovaSettings};
use crate::tls::{self, Identity, Trust};

/// Kept longer, most would be found closed: Apache in front of Nova closes after 5 s.
const KEEP: Duration = Duration::from_secs(4);
/// Kept at once; each holds a thread of some Novas. Past that they are closed after their exchange.
const KEPT: usize = 64;

/// Looks at once for the address of Nova's name, each of which holds a thread; further ones wait their turn.
const LOOKUPS: usize = 8;

/// One connection. Boxed, as it goes from hand to hand.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// `None`: it has ended. Only its absence tells `sender` so.
    driver: Option<http1::Connection<TokioIo<Wire>, Full<Bytes>>>,
}

/// Opens connections, and keeps those that may serve again.
pub(super) struct Pool {
    place: Place,
    kept: Mutex<Kept>,
}

enum Place {
    Nova(Server),
    Socket(PathBuf),
}

struct Server {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    lookups: Semaphore,
}

#[derive(Default)]
struct Kept {
    /// The one used last is used next; so the others grow old.
    links: Vec<(Instant, Box<Link>)>,
    /// A task will close them when they are old.
    swept: bool,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("connect to {host}:{port} (see whether Nova's metadata API runs there)")]
    Connect {
        host: String,
        port: u16,
        #[source]
        source: io::Error,
    },
    #[error(
        "connect to {path} (see whether the metadata agent runs, and whether this is its metadata_proxy_socket)"
    )]
    Reach {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("get an HTTP answer (see the log of who was asked)")]
    Exchange(#[source] hyper::Error),
    #[error(
        "name the instance to Nova: its id or its project's can stand in no HTTP header (give it others)"
    )]
    Id(#[from] InvalidHeaderValue),
    #[error(
        "use the answer {0}: it is none; set the address where Nova's metadata API answers itself"
    )]
    Redirect(StatusCode),
}

impl Pool {
    /// # Errors
    /// When the TLS files can't be used, or the host is no name.
    pub(super) fn new(settings: &NovaSettings) -> Result<Arc<Self>, Error> {
        let tls = match settings.protocol {
            NovaProtocol::Http => None,
            NovaProtocol::Https => {
                let config = tls::client_config(trust(settings), identity(settings))?;
                let name = ServerName::try_from(settings.host.clone());
                let name = name.map_err(|_| Error::Host {
                    host: settings.host.clone(),
                })?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
        };
        Ok(Self::at(Place::Nova(Server {
            host: settings.host.clone(),
            port: settings.port,
            tls,
            lookups: Semaphore::new(LOOKUPS),
        })))
    }

    /// Of a process on this host.
    pub(super) fn of_socket(path: PathBuf) -> Arc<Self> {
        Self::at(Place::Socket(path))
    }

    fn at(place: Place) -> Arc<Self> {
        Arc::new(Self {
            place,
            kept: Mutex::default(),
        })
    }

    /// The connection used last, if one is kept.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.links.pop().map(|(_, link)| link)
    }

    /// Keeps a connection whose exchange is over, if it may serve again.
    pub(super) fn put(self: &Arc<Self>, mut link: Box<Link>) {
        // Once more, to its rest; nobody is to be woken by it there.
        link.drive(&mut Context::from_waker(Waker::noop()));
        if !link.sender.is_ready() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.links.len() >= KEPT {
            return;
        }
        kept.links.push((Instant::now(), link));
        if !std::mem::replace(&mut kept.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// A new connection. Cancel-safe.
    pub(super) async fn open(&self) -> Result<Box<Link>, Failure> {
        let wire = match &self.place {
            Place::Nova(nova) => nova.connect().await.map_err(|source| Failure::Connect {
                host: nova.host.clone(),
                port: nova.port,
                source,
            })?,
            Place::Socket(path) => {
                let stream = UnixStream::connect(path).await;
                Wire::Unix(stream.map_err(|source| Failure::Reach {
                    path: path.clone(),
                    source,
                })?)
            }
        };
        // Requests are small: one buffer costs less than the kernel's walk along several.
        let mut http = http1::Builder::new();
        let shaken = http.writev(false).handshake(TokioIo::new(wire)).await;
        let (sender, driver) = shaken.map_err(Failure::Exchange)?;
        Ok(Box::new(Link {
            sender,
            driver: Some(driver),
        }))
    }
}

impl Server {
    async fn connect(&self) -> io::Result<Wire> {
        let tcp = match self.host.parse::<IpAddr>() {
            Ok(address) => TcpStream::connect((address, self.port)).await?,
            Err(_) => TcpStream::connect(&*self.look_up().await?).await?,
        };
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Wire::Plain(tcp)),
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), tcp).await?;
                Ok(Wire::Tls(Box::new(stream)))
            }
        }
    }

    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let _turn = self.lookups.acquire().await.map_err(io::Error::other)?;
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        Ok(found.collect())
    }
}

fn trust(settings: &NovaSettings) -> Trust<'_> {
    match &settings.ca {
        _ if settings.insecure => Trust::Anyone,
        Some(path) => Trust::Authorities(path),
        None => Trust::System,
    }
}

/// As Neutron has it: half of the pair is none.
fn identity(settings: &NovaSettings) -> Option<Identity<'_>> {
    match (&settings.client_cert, &settings.client_key) {
        (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        _ => None,
    }
}

/// Closes what grew old; ends with the last one, or with the pool.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(KEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut kept = pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.links.retain(|(since, _)| since.elapsed() < KEEP);
        if kept.links.is_empty() {
            kept.swept = false;
            return;
        }
    }
}

impl Link {
    /// Sends a request and waits for the answer's head.
    pub(super) fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, Failure>> {
        let answer = self.sender.send_request(request);
        async {
            let mut answer = pin!(answer);
            let answer = poll_fn(|cx| {
                self.drive(cx);
                answer.as_mut().poll(cx)
            });
            answer.await.map_err(Failure::Exchange)
        }
    }

    /// Moves bytes; the answer has news only after this. The connection's own end is not looked into: an error shows in
    /// the exchange, and between two of them nothing is lost.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && Pin::new(driver).poll(cx).is_ready()
        {
            self.driver = None;
        }
    }
}
