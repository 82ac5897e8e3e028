//! Where the server's tests take place: a network, somebody who asks, and forwarders that do as they are told.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::IpNet;
use netns::spec::{Link, Place, Route};
use netns::{Namespace, NsName, Spec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};

use super::PATIENCE;
use crate::dns::{Server, Settings, Shared};
use crate::model::{DevName, NetworkId, PortId};
use crate::pace::Budgets;
pub(super) use crate::plan::scope::Forwarder as Forward;
use crate::plan::scope::{DnsScope, Side, Zone};

/// The test `name` of the server, in namespaces of its own.
pub(super) fn sandboxed(name: &str, test: impl Future<Output = ()>) {
    crate::sandboxed::sandboxed(&format!("dns::server::tests::{name}"), || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            lay_out().await;
            test.await;
        });
    });
}

/// The network 10.0.0.0/24, fd00::/64: the server at .2 and ::2, and at .9, .10 and ::9 somebody who asks.
pub(super) struct Ground {
    pub(super) server: Server,
    guest: Namespace,
    _forwarder: Option<Stub>,
}

impl Ground {
    /// Who asks lives on the host.
    pub(super) async fn new(forwarders: &[Forward]) -> Self {
        Self::with(forwarders, |_| ()).await
    }

    pub(super) async fn with(forwarders: &[Forward], change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = quick();
        change(&mut settings);
        Self {
            server: start("one", forwarders, settings).await,
            guest: Namespace::home().unwrap(),
            _forwarder: None,
        }
    }

    /// Who asks lives in a namespace of its own, and so does the forwarder at 10.0.0.9. `common` comes second, late.
    pub(super) async fn elsewhere(
        name: &str,
        answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
        common: &Stub,
    ) -> Self {
        let guest = named(&format!("{name}-guest"));
        let (guest, _) = Namespace::ensure(&guest).await.unwrap();
        cable(&guest, name, &[]).await;
        let bind = "10.0.0.9:5300".parse().unwrap();
        let socket = netns::socket::udp(&guest, bind, None).await.unwrap();
        let stub = Stub::on(socket, None, answer);
        let forwarders = [stub.from(Side::Namespace), common.from(Side::Host)];
        let settings = Settings {
            per_forwarder: PATIENCE,
            head_start: PATIENCE,
            ..quick()
        };
        Self {
            server: start(name, &forwarders, settings).await,
            guest,
            _forwarder: Some(stub),
        }
    }

    pub(super) async fn asks(&self, message: Vec<u8>) -> Vec<u8> {
        Asker::of(self.socket().await).ask(&message).await.unwrap()
    }

    /// Sends one message as fast as it goes, until it is dropped.
    pub(super) async fn flood(&self, message: Vec<u8>) -> Flood {
        let socket = self.socket().await;
        Flood(tokio::spawn(async move {
            loop {
                for _ in 0..100 {
                    let _buffer_is_full = socket.try_send(&message);
                }
                tokio::task::yield_now().await;
            }
        }))
    }

    async fn socket(&self) -> UdpSocket {
        let bind = "10.0.0.9:0".parse().unwrap();
        let socket = netns::socket::udp(&self.guest, bind, None).await.unwrap();
        socket.connect("10.0.0.2:53").await.unwrap();
        socket
    }
}

pub(super) struct Flood(JoinHandle<()>);

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Times that a test can wait for, and a busy machine is not late for.
fn quick() -> Settings {
    Settings {
        per_forwarder: Duration::from_millis(1200),
        head_start: Duration::from_millis(300),
        in_all: Duration::from_secs(3),
        ..Settings::default()
    }
}

async fn start(name: &str, forwarders: &[Forward], settings: Settings) -> Server {
    let shared = Shared::with(settings);
    // All ask from one address.
    shared.limit(Budgets::UNLIMITED);
    let scope = Arc::new(scope(forwarders));
    let namespace = open(name);
    // The server of the round before ends a moment after its drop.
    let all = timeout(PATIENCE, async {
        loop {
            match Server::start(&namespace, Arc::clone(&scope), &shared).await {
                Ok(server) => return server,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    all.await.unwrap()
}

fn open(name: &str) -> Namespace {
    Namespace::open(&named(name)).unwrap().unwrap()
}

pub(super) fn scope(forwarders: &[Forward]) -> DnsScope {
    let parse = |text: &&str| text.parse().unwrap();
    DnsScope {
        network: NetworkId(uuid::Uuid::nil()),
        device: device("tap0"),
        listen: ["10.0.0.2", "fd00::2"].iter().map(parse).collect(),
        zones: vec![zone("web", "10.0.0.5")],
        forwarders: forwarders.to_vec(),
        domain_forwarders: Vec::new(),
        text: None,
        cache: 150,
        no_rebind: None,
        clients: vec!["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()],
    }
}

/// The domain `demo` with one host in it.
pub(super) fn zone(host: &str, address: &str) -> Arc<Zone> {
    let name: Arc<str> = format!("{host}.demo").into();
    let port = PortId(uuid::Uuid::nil());
    Arc::new(Zone {
        domain: "demo".to_owned(),
        authoritative: true,
        names: [(name, port, address.parse().unwrap())]
            .into_iter()
            .collect(),
        ..Zone::default()
    })
}

/// Somebody with a socket on which only the server's address is heard.
pub(super) struct Asker(UdpSocket);

impl Asker {
    pub(super) async fn new(server: SocketAddr) -> Self {
        let own = if server.is_ipv4() {
            "10.0.0.9"
        } else {
            "fd00::9"
        };
        Self::from(own, server).await
    }

    pub(super) async fn from(own: &str, server: SocketAddr) -> Self {
        let own: IpAddr = own.parse().unwrap();
        let socket = UdpSocket::bind((own, 0)).await.unwrap();
        socket.connect(server).await.unwrap();
        Self(socket)
    }

    fn of(socket: UdpSocket) -> Self {
        Self(socket)
    }

    pub(super) async fn send(&self, message: &[u8]) {
        self.0.send(message).await.unwrap();
    }

    pub(super) async fn receive(&self) -> Option<Vec<u8>> {
        self.receive_within(PATIENCE).await
    }

    async fn receive_within(&self, patience: Duration) -> Option<Vec<u8>> {
        let mut reply = vec![0; 65536];
        let length = timeout(patience, self.0.recv(&mut reply))
            .await
            .ok()?
            .unwrap();
        reply.truncate(length);
        Some(reply)
    }

    pub(super) async fn ask(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.send(message).await;
        self.receive().await
    }

    /// The response code.
    pub(super) async fn code(&self, message: &[u8]) -> Option<u8> {
        Some(self.ask(message).await?[3] & 15)
    }

    pub(super) async fn code_within(&self, message: &[u8], millis: u64) -> Option<u8> {
        self.send(message).await;
        let reply = self.receive_within(Duration::from_millis(millis)).await?;
        Some(reply[3] & 15)
    }
}

pub(super) async fn by_tcp(server: SocketAddr, message: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    ask_on(&mut stream, message).await
}

pub(super) async fn ask_on(stream: &mut TcpStream, message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).unwrap();
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await.ok()?;
    let length = timeout(PATIENCE, stream.read_u16()).await.ok()?.ok()?;
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await.ok()?;
    Some(reply)
}

/// What a stub heard, and from where.
type Heard = Arc<Mutex<Vec<(Vec<u8>, SocketAddr)>>>;

/// A forwarder that answers each question with what it is told to.
pub(super) struct Stub {
    address: SocketAddr,
    heard: Heard,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Stub {
    pub(super) async fn at(
        address: &str,
        answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        Self::on(UdpSocket::bind((address, 0)).await.unwrap(), None, answer)
    }

    /// Says 192.0.2.1 after a while.
    pub(super) async fn slow(address: &str, pause: Duration) -> Self {
        Self::at(address, move |query| {
            std::thread::sleep(pause);
            vec![record(query, 1)]
        })
        .await
    }

    /// Before each answer, somebody says 192.0.2.66 from another port of the same address.
    pub(super) async fn with_rival(
        address: &str,
        answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind((address, 0)).await.unwrap();
        let rival = UdpSocket::bind((address, 0)).await.unwrap();
        Self::on(socket, Some(rival), answer)
    }

    fn on(
        socket: UdpSocket,
        rival: Option<UdpSocket>,
        answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let address = socket.local_addr().unwrap();
        let heard = Heard::default();
        let hears = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65536];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                    continue; // someone closed its port meanwhile
                };
                let message = buffer[..length].to_vec();
                let replies = answer(&message);
                if let Some(rival) = &rival {
                    rival.send_to(&record(&message, 66), from).await.unwrap();
                }
                hears.lock().unwrap().push((message, from));
                for reply in replies {
                    socket.send_to(&reply, from).await.unwrap();
                }
            }
        });
        Self {
            address,
            heard,
            tasks: Mutex::new(vec![task.abort_handle()]),
        }
    }

    pub(super) fn from(&self, side: Side) -> Forward {
        Forward {
            address: self.address,
            from: side,
        }
    }

    pub(super) fn heard(&self) -> Vec<(Vec<u8>, SocketAddr)> {
        self.heard.lock().unwrap().clone()
    }

    /// Answers by TCP as well, at the same port.
    pub(super) async fn answers_by_tcp(&self, answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let length = stream.read_u16().await.unwrap();
                let mut message = vec![0; length.into()];
                stream.read_exact(&mut message).await.unwrap();
                let reply = answer(&message);
                stream
                    .write_u16(reply.len().try_into().unwrap())
                    .await
                    .unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        });
        self.tasks.lock().unwrap().push(task.abort_handle());
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        for task in self.tasks.lock().unwrap().iter() {
            task.abort();
        }
    }
}

/// A query for the A record of `name`, recursion desired.
pub(super) fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len().try_into().unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// The answer to `query`: 192.0.2.`last`.
pub(super) fn record(query: &[u8], last: u8) -> Vec<u8> {
    let mut answer = refusal(query, 0);
    answer[7] = 1;
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    answer
}

/// The question alone, with this code.
pub(super) fn refusal(query: &[u8], code: u8) -> Vec<u8> {
    let mut end = 12;
    while query[end] > 0 {
        end += 1 + usize::from(query[end]);
    }
    let mut answer = query[..end + 5].to_vec();
    answer[11] = 0;
    answer[2] |= 0x80;
    answer[3] = 0x80 | code;
    answer
}

/// The header alone, with this code.
pub(super) fn curt_refusal(query: &[u8], code: u8) -> Vec<u8> {
    let mut answer = refusal(query, code);
    answer.truncate(12);
    answer[5] = 0;
    answer
}

/// The network that most tests need, with those who ask on the host itself. 10.99.0.9 is a stranger's address.
async fn lay_out() {
    let home = Namespace::home().unwrap();
    let stranger = "10.99.0.9/24";
    cable(&home, "one", &[stranger]).await;
    let back = Route::to("10.99.0.0/24".parse().unwrap()).dev(device("tap0"));
    let mut spec = Spec::default();
    spec.routes.insert(back);
    netns::converge(&open("one"), &spec).await.unwrap();
}

/// Makes the namespace `name` with the server's addresses, and ties it to `guest`.
async fn cable(guest: &Namespace, name: &str, more: &[&str]) {
    let addresses = |texts: &[&str]| -> Vec<IpNet> {
        let nets = texts.iter().map(|text| text.parse().unwrap());
        nets.collect()
    };
    let (inside, _) = Namespace::ensure(&named(name)).await.unwrap();
    let own = [&["10.0.0.9/24", "10.0.0.10/24", "fd00::9/64"], more].concat();
    let mut spec = Spec::default();
    spec.links.insert(device("lo"), Link::existing());
    let pair = Link::veth(device("tap0"), Place::Named(named(name)));
    spec.links
        .insert(device("eth0"), pair.addrs(addresses(&own)));
    netns::converge(guest, &spec).await.unwrap();
    let mut spec = Spec::default();
    let served = addresses(&["10.0.0.2/24", "fd00::2/64"]);
    spec.links
        .insert(device("tap0"), Link::existing().addrs(served));
    netns::converge(&inside, &spec).await.unwrap();
}

fn device(name: &str) -> DevName {
    DevName::new(name).unwrap()
}

fn named(name: &str) -> NsName {
    NsName::new(name).unwrap()
}
