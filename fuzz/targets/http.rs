//! Requests for metadata, over real connections: to the embedded source and to a Nova, which sees whether anything but our own
//! headers reaches it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use warren::metadata::{
    Limits, MetadataSettings, NovaProtocol, NovaSettings, Secret, Server, Shared, Upstream,
};
use warren::model::{Instance, InstanceId, Port, Target};
use warren::plan::scope::{MetadataScope, Residents};

use super::{LAN, network};

const ANN: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// Both servers, and what drives them.
struct House {
    runtime: Runtime,
    local: SocketAddr,
    nova: SocketAddr,
    _servers: [Server; 2],
}

thread_local! {
    static HOUSE: House = House::new();
}

pub(super) fn http(input: &[u8]) {
    HOUSE.with(|house| {
        house.runtime.block_on(async {
            for to in [house.local, house.nova] {
                let talk = tokio::time::timeout(Duration::from_secs(5), talk(to, input));
                let answer = talk
                    .await
                    .expect("an end of the connection")
                    .unwrap_or_default();
                let text = answer.escape_ascii().to_string();
                assert!(text.is_empty() || text.starts_with("HTTP/1."), "{text}");
                assert!(!text.contains("HTTP/1.1 418 "), "{text}");
            }
        });
    });
}

/// Says it all, and hears the answers to the end.
async fn talk(to: SocketAddr, said: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((ANN, 0).into())?;
    let mut stream = socket.connect(to).await?;
    stream.write_all(said).await?;
    stream.shutdown().await?;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await?;
    Ok(heard)
}

impl House {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let ((local, first), (nova, second)) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.2:0").await.expect("a port");
            let address = listener.local_addr().expect("it is bound");
            tokio::spawn(stand_in_for_nova(listener));
            let nova = Upstream::Nova(NovaSettings {
                protocol: NovaProtocol::Http,
                host: address.ip().to_string(),
                port: address.port(),
                secret: Secret::new("secret"),
                insecure: false,
                ca: None,
                client_cert: None,
                client_key: None,
            });
            (serve(Upstream::Local).await, serve(nova).await)
        });
        Self {
            runtime,
            local,
            nova,
            _servers: [first, second],
        }
    }
}

async fn serve(upstream: Upstream) -> (SocketAddr, Server) {
    let settings = MetadataSettings {
        upstream,
        limits: Limits::default(),
    };
    let state = Arc::new(ArcSwap::from_pointee(LAN.state.clone()));
    let shared = Shared::new(settings, state).expect("settings");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    (
        address,
        Server::serve(vec![listener], Arc::new(scope()), &shared),
    )
}

/// The instance `ann`, at an address that this host has.
fn scope() -> MetadataScope {
    let network = network();
    let of_ann = |port: &&Arc<Port>| port.instance == Some(ann());
    let port = network.ports.values().find(of_ann).expect("ann has a port");
    let residents = Residents {
        network: network.id,
        by_address: [(ANN.into(), port.id, Arc::clone(port))]
            .into_iter()
            .collect(),
    };
    MetadataScope {
        listen: Vec::new(),
        device: None,
        links: BTreeMap::new(),
        networks: vec![network.id],
        of: Target::Network(network.id),
        residents: vec![Arc::new(residents)],
    }
}

fn ann() -> InstanceId {
    let named = |(_, one): &(_, &Arc<Instance>)| one.name == "ann";
    let (id, _) = LAN
        .state
        .instances
        .iter()
        .find(named)
        .expect("ann is there");
    id.clone()
}

async fn stand_in_for_nova(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(async {
            _ = be_asked(stream).await;
        });
    }
}

/// Answers each request; if it has not the headers that it must have, each once, and no other, then with 418.
async fn be_asked(mut stream: TcpStream) -> std::io::Result<()> {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&read[..end - 4]).to_lowercase();
        let headers: BTreeMap<_, _> = head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .collect();
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        while read.len() < end + length.unwrap_or(0) {
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        }
        read.drain(..end + length.unwrap_or(0));
        let lines = head.split("\r\n").count() - 1;
        let answer = match wrong(&headers, lines) {
            None => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
            Some(why) => format!(
                "HTTP/1.1 418 No\r\ncontent-length: {}\r\n\r\n{why}",
                why.len()
            ),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// What of a request's headers a guest has put there.
fn wrong(headers: &BTreeMap<&str, &str>, lines: usize) -> Option<String> {
    let ours = |(name, value): (&&str, &&str)| match *name {
        "x-instance-id" => *value == ann().to_string(),
        "x-forwarded-for" => *value == ANN.to_string(),
        name => [
            "host",
            "x-tenant-id",
            "x-instance-id-signature",
            "content-length",
        ]
        .contains(&name),
    };
    let right = headers.len() == lines && lines >= 5 && headers.iter().all(ours);
    (!right).then(|| format!("{headers:?}"))
}
