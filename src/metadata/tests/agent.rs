//! The metadata role as another process: from a namespace's server through the unix socket to Nova.

use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Mutex;

use tokio::net::UnixStream;
use tokio::task::AbortHandle;

use super::super::{Answer as Said, Found, Lookup, Networks, Proxies, ProxySocket};
use super::lookup::LATE;
use super::nova::{Stub, status};
use super::*;
use crate::model::{DevName, InstanceId, NetworkId, ProjectId, RouterId, Target};

const RED: NetworkId = NetworkId(uuid::Uuid::from_u128(1));
const ROUTER: RouterId = RouterId(uuid::Uuid::from_u128(0xaa));
/// On a link of its own.
const LINKED: &str = "fe80::5";
const EMPTY: RouterId = RouterId(uuid::Uuid::from_u128(0xab));

/// Neutron's server: `web` and `db` are in `red`, and only a router has a way to it.
struct Server(Mutex<HashMap<IpAddr, &'static str>>);

impl Lookup for Server {
    fn networks(&self, router: RouterId) -> Networks<'_> {
        let networks = if router == ROUTER { vec![RED] } else { vec![] };
        Box::pin(async { Ok(networks) })
    }

    fn who<'a>(&'a self, networks: &'a [NetworkId], address: IpAddr) -> Said<'a> {
        let known = self.0.lock().unwrap().get(&address).copied();
        let found = known.filter(|_| networks == [RED]).map(|id| Found {
            instance: InstanceId::from(id),
            project: ProjectId::from("acme"),
        });
        Box::pin(async { Ok(found) })
    }
}

/// The process with the metadata role.
struct Role {
    socket: PathBuf,
    serving: Option<AbortHandle>,
    shared: Option<Arc<Shared>>,
}

impl Role {
    fn named(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("warren-{name}-{}", std::process::id()));
        Self {
            socket: dir.join("metadata_proxy"),
            serving: None,
            shared: None,
        }
    }

    fn start(&mut self, nova: &Stub) {
        let settings = MetadataSettings {
            upstream: nova.upstream(),
            limits: Limits::default(),
        };
        // It has no model: the other roles have it.
        let shared = Shared::new(settings, Arc::default()).unwrap();
        let known = [
            (WEB, sample::WEB),
            (DB, "db"),
            (LATE, "late"),
            (LINKED, "linked"),
        ];
        let known = known.map(|(address, id)| (address.parse().unwrap(), id));
        shared.set_lookup(Arc::new(Server(Mutex::new(known.into()))));
        self.shared = Some(Arc::clone(&shared));
        let proxies = Proxies::listen(&ProxySocket {
            path: self.socket.clone(),
            mode: 0o644,
            user: None,
            group: None,
        });
        let serving = tokio::spawn(proxies.unwrap().serve(shared));
        self.serving = Some(serving.abort_handle());
    }

    fn stop(&mut self) {
        self.serving.take().unwrap().abort();
    }

    fn upstream(&self) -> Upstream {
        Upstream::Agent(self.socket.clone())
    }

    /// As a proxy would ask.
    async fn ask(&self, headers: &str) -> u16 {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let request = format!("GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.socket.parent().unwrap());
    }
}

async fn nova() -> Stub {
    Stub::start(|seen| {
        let mut reply = status(200);
        *reply.body_mut() = seen.header("x-instance-id").unwrap().to_owned().into();
        reply
    })
    .await
}

#[test]
fn a_role_without_novas_settings_passes_requests_on() {
    alone(async || {
        let nova = nova().await;
        let mut role = Role::named("passed-on");
        role.start(&nova);
        let warren = Warren::start(role.upstream());
        for _ in 0..3 {
            assert_eq!(
                warren.get(WEB, "/a%20b?c").await.body,
                sample::WEB.as_bytes()
            );
        }
        let seen = nova.last();
        assert_eq!(seen.target, "/a%20b?c");
        assert_eq!(seen.header("x-forwarded-for"), Some(WEB));
        assert_eq!(seen.header("x-tenant-id"), Some("acme"));
        assert_eq!(warren.get(DB, "/").await.body, b"db");
        assert_eq!(warren.get(NOBODY, "/").await.status, 404);
        // A body, and one that is too long for us.
        let request = |length: usize| {
            let body = "p".repeat(length);
            format!("POST /password HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        let answer = warren.ask(WEB, request(1020)).await.unwrap();
        assert_eq!((answer.status, nova.last().body.len()), (200, 1020));
        let answer = warren.ask(WEB, request(70_000)).await.unwrap();
        assert_eq!(answer.status, 413);
    });
}

#[test]
fn one_guest_shuts_nobody_out_where_the_role_knows_them() {
    alone(async || {
        let nova = nova().await;
        let mut role = Role::named("greedy");
        role.start(&nova);
        let warren = Warren::start(role.upstream());
        warren.server.update(unmodelled());
        shuts_nobody_out(&warren, WEB, [DB, LATE]).await;
    });
}

#[test]
fn the_link_of_a_link_local_guest_is_passed_on() {
    alone(async || {
        let nova = nova().await;
        let mut role = Role::named("link");
        role.start(&nova);
        let on_lo = |address: &str| {
            let add = ["address", "add", address, "dev", "lo", "nodad"];
            let added = Command::new("ip").args(add).status();
            assert!(added.unwrap().success());
            std::net::SocketAddrV6::new(address.parse().unwrap(), 0, 0, 1)
        };
        let (here, guest) = (on_lo("fe80::a9fe:a9fe"), on_lo(LINKED));
        let socket = TcpSocket::new_v6().unwrap();
        socket.bind(here.into()).unwrap();
        let listener = socket.listen(8).unwrap();
        let address = listener.local_addr().unwrap();
        let Warren { shared, .. } = Warren::start(role.upstream());
        let server = super::Server::serve(vec![listener], unmodelled(), &shared);
        // Behind the router alone the role finds nobody.
        for (link, want) in [(Some(RED), 200), (None, 404)] {
            let link = link.map(|network| (DevName::new("lo").unwrap(), network));
            let scope = MetadataScope {
                links: link.into_iter().collect(),
                of: Target::Router(EMPTY),
                ..(*unmodelled()).clone()
            };
            server.update(Arc::new(scope));
            let socket = TcpSocket::new_v6().unwrap();
            socket.bind(guest.into()).unwrap();
            let mut stream = socket.connect(address).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            assert_eq!(Answer::read(&mut stream).await.unwrap().status, want);
        }
    });
}

#[test]
fn nothing_that_a_guest_sends_says_who_it_is() {
    alone(async || {
        let nova = nova().await;
        let mut role = Role::named("smuggled");
        role.start(&nova);
        let warren = Warren::start(role.upstream());
        let other = ROUTER.0;
        for headers in [
            format!("X-Forwarded-For: {DB}\r\n"),
            format!("X-Forwarded-For: {DB}\r\nX-Forwarded-For: {DB}\r\n"),
            format!("X-Neutron-Router-ID: {other}\r\n"),
            format!("X-Neutron-Network-ID: {other}\r\nx-neutron-network-id: {other}\r\n"),
            format!(
                "Connection: X-Forwarded-For, X-Neutron-Network-ID\r\nX-Forwarded-For: {DB}\r\n"
            ),
            format!("X_Forwarded_For: {DB}\r\nForwarded: for={DB}\r\nX-Real-IP: {DB}\r\n"),
            "X-Instance-ID: db\r\nX-Tenant-ID: evil\r\n".to_owned(),
        ] {
            let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
            let answer = warren.ask(WEB, request).await.unwrap();
            assert_eq!(answer.body, sample::WEB.as_bytes(), "{headers}");
        }
    });
}

#[test]
fn proxies_are_answered_as_neutrons_agent_answers_them() {
    alone(async || {
        let nova = nova().await;
        let mut role = Role::named("proxies");
        // As an agent that was killed leaves it.
        std::fs::create_dir_all(role.socket.parent().unwrap()).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&role.socket).unwrap());
        role.start(&nova);
        let made = std::fs::metadata(&role.socket).unwrap();
        let dir = std::fs::metadata(role.socket.parent().unwrap()).unwrap();
        assert_eq!(made.permissions().mode() & 0o777, 0o644);
        assert_eq!((made.uid(), made.gid()), (dir.uid(), dir.gid()));

        let network = format!("X-Neutron-Network-ID: {RED}\r\n");
        let router = format!("X-Neutron-Router-ID: {ROUTER}\r\n");
        let empty = format!("X-Neutron-Router-ID: {EMPTY}\r\n");
        let unknown = format!("X-Neutron-Network-ID: {}\r\n", EMPTY.0);
        let from = |address: &str| format!("X-Forwarded-For: {address}\r\n");
        for (name, headers, want) in [
            ("network", network.clone() + &from(WEB), 200),
            ("router", router.clone() + &from(WEB), 200),
            (
                "mapped",
                router.clone() + &from(&format!("::ffff:{WEB}")),
                200,
            ),
            (
                "a guest's own before it",
                network.clone() + &from(DB) + &from(WEB),
                200,
            ),
            ("nobody", network.clone() + &from(NOBODY), 404),
            ("router without interfaces", empty + &from(WEB), 404),
            ("another network", unknown + &from(WEB), 404),
            ("both", network.clone() + &router + &from(WEB), 400),
            ("neither", from(WEB), 400),
            ("no address", network, 400),
        ] {
            let before = nova.seen.lock().unwrap().len();
            assert_eq!(role.ask(&headers).await, want, "{name}");
            let asked = nova.seen.lock().unwrap().len() > before;
            assert_eq!(asked, want == 200, "{name}");
            if asked {
                assert_eq!(
                    nova.last().header("x-instance-id"),
                    Some(sample::WEB),
                    "{name}"
                );
                assert_eq!(nova.last().header("x-forwarded-for"), Some(WEB), "{name}");
            }
        }
        let counted = role.shared.as_ref().unwrap().proxied().unwrap();
        let answers = (counted.answers_2xx, counted.answers_4xx);
        assert_eq!((counted.connections, answers), (10, (4, 6)), "{counted:?}");
    });
}

#[test]
fn a_metadata_role_that_is_started_again_is_waited_for() {
    alone(async || {
        let nova = nova().await;
        let mut role = Role::named("again");
        role.start(&nova);
        let warren = Warren::start(role.upstream());
        assert_eq!(warren.get(WEB, "/").await.status, 200);
        role.stop();
        let again = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            role.start(&nova);
        };
        let (answer, ()) = tokio::join!(warren.get(WEB, "/"), again);
        assert_eq!(answer.status, 200);
        role.stop();
        std::fs::remove_file(&role.socket).unwrap();
        assert_eq!(warren.get(WEB, "/").await.status, 503);
    });
}
