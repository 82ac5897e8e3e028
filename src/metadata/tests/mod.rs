//! The server over real sockets, in an empty network namespace per test: guests are addresses of `lo`, Nova is a stub.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod agent;
mod guests;
mod limits;
mod local;
mod lookup;
mod nova;
mod smuggling;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{
    Limits, MetadataSettings, NovaProtocol, NovaSettings, Secret, Server, Shared, Upstream, sample,
};
use crate::plan::scope::MetadataScope;

const SECRET: &str = "s3cr3t";
/// Of `web`, of `db` and of nobody.
const WEB: &str = "127.0.1.1";
const DB: &str = "127.0.1.2";
const NOBODY: &str = "127.0.1.99";

/// Runs a test on a thread of its own, alone in a network namespace with `lo`.
fn alone<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let unshared = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET);
        if let Err(error) = unshared {
            let required = std::env::var_os("WARREN_REQUIRE_NAMESPACES").is_some();
            assert!(!required, "this test needs a namespace: {error}");
            return;
        }
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.unwrap().success());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let minute = Duration::from_secs(60);
            tokio::time::timeout(minute, test()).await.unwrap();
        });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// One namespace's server, asking `upstream`.
struct Warren {
    server: Server,
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Warren {
    fn start(upstream: Upstream) -> Self {
        Self::limited(upstream, Limits::default())
    }

    fn limited(upstream: Upstream, limits: Limits) -> Self {
        let settings = MetadataSettings { upstream, limits };
        let state = Arc::new(ArcSwap::from_pointee(sample::state()));
        let shared = Shared::new(settings, state).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:80").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let server = Server::serve(vec![listener], Arc::new(scope(WEB)), &shared);
        Self {
            server,
            shared,
            address,
        }
    }

    async fn connect(&self, from: &str) -> TcpStream {
        self.try_connect(from).await.unwrap()
    }

    async fn try_connect(&self, from: &str) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((from.parse::<IpAddr>().unwrap(), 0).into())?;
        socket.connect(self.address).await
    }

    /// Sends these bytes on a connection of its own; `None`: no answer.
    async fn ask(&self, from: &str, request: impl AsRef<[u8]>) -> Option<Answer> {
        let mut stream = self.connect(from).await;
        _ = stream.write_all(request.as_ref()).await;
        Answer::read(&mut stream).await
    }

    async fn get(&self, from: &str, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: metadata\r\n\r\n");
        self.ask(from, request).await.expect("an answer")
    }
}

/// `web` is at the given address, `db` at its own.
fn scope(web: &str) -> MetadataScope {
    let db = "00000000-0000-0000-0000-0000000000db";
    sample::scope(vec![sample::residents(
        1,
        &[(web, Some(sample::WEB)), (DB, Some(db))],
    )])
}

/// The same network, of which the model knows nobody: as in a router's namespace, where another process serves DHCP.
fn unmodelled() -> Arc<MetadataScope> {
    Arc::new(MetadataScope {
        residents: Vec::new(),
        ..scope(WEB)
    })
}

/// One guest holds all that it may have: connections, or requests whose bodies do not end. Others are answered all the same.
async fn shuts_nobody_out(warren: &Warren, guest: &str, others: [&str; 2]) {
    let post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nslow";
    let holds = [(32, &b""[..]), (8, post)];
    for ((connections, said), other) in holds.into_iter().zip(others) {
        let mut streams = Vec::new();
        for _ in 0..connections {
            let mut stream = warren.connect(guest).await;
            stream.write_all(said).await.unwrap();
            streams.push(stream);
        }
        // What was sent is read by then.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), warren.get(other, "/"));
        assert_eq!(answer.await.expect("an answer, soon").status, 200);
        if connections == 32 {
            assert_eq!(warren.ask(guest, post).await, None, "one too many");
        }
        drop(streams);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn nova_at(address: SocketAddr) -> NovaSettings {
    NovaSettings {
        protocol: NovaProtocol::Http,
        host: address.ip().to_string(),
        port: address.port(),
        secret: Secret::new(SECRET),
        insecure: false,
        ca: None,
        client_cert: None,
        client_key: None,
    }
}

/// An answer as a guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    /// Names in lower case.
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    /// The next answer on a connection; `None`: it was closed before the answer's end.
    async fn read(stream: &mut TcpStream) -> Option<Self> {
        Self::read_to(stream, "GET").await
    }

    async fn read_to(stream: &mut TcpStream, method: &str) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut body = Vec::new();
        if headers
            .get("transfer-encoding")
            .is_some_and(|coding| coding == "chunked")
        {
            body = read_chunks(stream).await?;
        } else if let Some(length) = headers.get("content-length").filter(|_| method != "HEAD") {
            body.resize(length.parse().unwrap(), 0);
            stream.read_exact(&mut body).await.ok()?;
        }
        Some(Self {
            status,
            headers,
            body,
        })
    }
}

async fn read_chunks(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.ok()?);
        }
        let size = usize::from_str_radix(String::from_utf8(line).unwrap().trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(&chunk[..size]);
    }
}
