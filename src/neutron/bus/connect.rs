//! TCP, TLS, login: one connection to one broker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, net};

use lapin::tcp::RustlsConnector;
use lapin::types::LongString;
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use socket2::{SockRef, Socket};
use tokio::net::lookup_host;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use super::error::{LinkError, login_hint};
use super::{Broker, Login, Settings, Tls};
use crate::tls::{self, Identity, TlsError, Trust};

/// For each address.
const CONNECTING: Duration = Duration::from_secs(5);
/// For TLS, and then for all of AMQP's login.
const AGREEING: Duration = Duration::from_secs(10);
/// Without heartbeats: how long the kernel waits for the broker's host to confirm what was sent.
const UNHEARD: Duration = Duration::from_secs(60);
/// Of frames. lapin has buffers for 64 of them per connection, and larger ones would carry our messages no faster.
const FRAME_MAX: u32 = 16 << 10;

/// A connection that is logged in.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) connection: Arc<Connection>,
    _cord: Cord,
}

/// Cuts the connection when it goes. lapin's thread sits at it, and would stay there for as long as a frozen broker does.
#[derive(Debug)]
struct Cord(Socket);

impl Drop for Cord {
    fn drop(&mut self) {
        // It fails if it is cut already.
        let _cut = self.0.shutdown(net::Shutdown::Both);
    }
}

pub(super) fn name(broker: &Broker) -> String {
    if broker.host.contains(':') {
        format!("[{}]:{}", broker.host, broker.port)
    } else {
        format!("{}:{}", broker.host, broker.port)
    }
}

pub(super) async fn connect(settings: &Settings, broker: &Broker) -> Result<Connected, LinkError> {
    let addresses = lookup_host((broker.host.as_str(), broker.port)).await;
    let addresses: Vec<_> = addresses
        .map_err(|source| LinkError::Resolve {
            broker: name(broker),
            source,
        })?
        .collect();
    // The type of the stream has no name that we could write down: it is lapin's.
    let runtime = lapin::runtime::default_runtime().map_err(LinkError::Broken)?;
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut found = None;
    for address in addresses {
        match timeout(CONNECTING, AsyncTcpStream::connect(&runtime, address)).await {
            Ok(Ok(stream)) => {
                found = Some(stream);
                break;
            }
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    let cannot = |source| LinkError::Connect {
        broker: name(broker),
        source,
    };
    let Some(stream) = found else {
        return Err(cannot(failed));
    };
    let cord = match &stream {
        // lapin has set TCP_NODELAY.
        AsyncTcpStream::Plain(stream) => prepare(settings, &SockRef::from(stream.get_ref())),
        // None other comes from `connect`.
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    let cord = cord.map_err(cannot)?;
    let late = |what| LinkError::Late {
        what,
        broker: name(broker),
        within: AGREEING,
    };
    let stream = match &settings.tls {
        None => stream,
        Some(tls) => {
            let connector = connector(tls).await.map_err(|source| LinkError::Tls {
                broker: name(broker),
                source: Box::new(source),
            })?;
            let secured = timeout(AGREEING, stream.into_rustls(&connector, &broker.host)).await;
            secured
                .map_err(|_| late("agree on TLS with"))?
                .map_err(|source| LinkError::Handshake {
                    broker: name(broker),
                    source,
                })?
        }
    };
    // lapin asks for a stream when it likes; there is one.
    let stream = Mutex::new(Some(stream));
    let once = async move |_: AMQPUri, _| {
        let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream: io::Result<_> = stream.ok_or_else(|| io::ErrorKind::NotConnected.into());
        Ok(stream?)
    };
    let properties =
        ConnectionProperties::default().with_connection_name(LongString::from(format!(
            "{}:{}:{}",
            settings.program,
            std::process::id(),
            Uuid::new_v4()
        )));
    let connecting = Connection::connector(uri(settings, broker), runtime, once, properties);
    let connected = timeout(AGREEING, connecting).await;
    let connection = connected
        .map_err(|_| late("log in to"))?
        .map_err(|source| LinkError::Login {
            user: broker.user.clone(),
            vhost: settings.vhost.clone(),
            broker: name(broker),
            hint: login_hint(&source),
            source: Box::new(source),
        })?;
    Ok(Connected {
        connection: Arc::new(connection),
        _cord: cord,
    })
}

/// A host that vanished is noticed as soon as something is sent to it.
fn prepare(settings: &Settings, socket: &SockRef<'_>) -> io::Result<Cord> {
    let unheard = match settings.heartbeat {
        0 => UNHEARD,
        seconds => Duration::from_secs(seconds.into()),
    };
    socket.set_tcp_user_timeout(Some(unheard))?;
    socket.try_clone().map(Cord)
}

/// The files are read each time: certificates are renewed while we run.
async fn connector(tls: &Tls) -> Result<RustlsConnector, TlsError> {
    let tls = tls.clone();
    let config = spawn_blocking(move || {
        let trust = match &tls.ca {
            None => Trust::Anyone,
            Some(path) if tls.verify_host => Trust::Authorities(path),
            Some(path) => Trust::AnyNameOf(path),
        };
        let identity = match (&tls.cert, &tls.key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            _ => None,
        };
        tls::client_config(trust, identity)
    });
    let config = config
        .await
        .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
    Ok(RustlsConnector::from(Arc::new(config?)))
}

fn uri(settings: &Settings, broker: &Broker) -> AMQPUri {
    AMQPUri {
        // The stream is made already, encrypted or not.
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: broker.user.clone(),
                password: broker.password.0.clone(),
            },
            host: broker.host.clone(),
            port: broker.port,
        },
        vhost: settings.vhost.clone(),
        query: AMQPQueryString {
            frame_max: Some(FRAME_MAX),
            channel_max: None,
            heartbeat: Some(settings.heartbeat),
            connection_timeout: None,
            auth_mechanism: Some(match settings.login {
                Login::AmqPlain => SASLMechanism::AMQPlain,
                Login::Plain => SASLMechanism::Plain,
                Login::External => SASLMechanism::External,
            }),
        },
    }
}
