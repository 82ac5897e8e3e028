//! A cloud of its own for a test: an unmodified neutron-server with its database and broker on one sandboxed host, network
//! nodes beside it, and the world outside.
//!
//!     let Some(cloud) = Cloud::start() else { return };           // prints "skipped: needs namespaces"
//!     let net1 = cloud.node("net1");
//!     net1.linuxbridge_agent();                                    // the real one; alive when this returns
//!     let network = cloud.create("network", json!({"name": "blue"}));
//!     cloud.create("subnet", json!({"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}));
//!     net1.reference_dhcp_agent();
//!     let port = cloud.instance_port(id(&network), "net1", json!({}));
//!     let lease = net1.guest("vm1", &port).udhcpc();
//!     cloud.broker.freeze();
//!
//! | looking for | open |
//! |---|---|
//! | what is started, in which order | this file |
//! | REST calls: `create`, `get`, `put`, `delete`, `call` | `rest.rs` |
//! | what a test does to the broker | `broker.rs` |
//! | a network node: its files, agents, instances | `node.rs` |
//! | Open vSwitch on a node | `openvswitch.rs` |
//! | the configuration files | `config.rs` |
//! | neutron-server's programs, and which release's | `server.rs` |
//! | a daemon that is ended and started again | `service.rs` |
//!
//! The management network is 10.254.0.0/24: the host `ctl` is .1 (API on 9696, broker on 5672, Nova's metadata, if a test
//! starts a stub of it, on 8775), nodes begin at .11. The external network is the bridge `external` on `ctl`, Neutron's
//! physical network `external`. A cloud takes some 10 s and 1 GB. It ends with the test, however that ends: each host is
//! a PID namespace whose first process reads a pipe of ours.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a vocabulary for several crates, each of which speaks some of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "in a test a panic is the report, and a call that reads well beats a saved copy"
)]

mod broker;
mod config;
mod node;
mod openvswitch;
mod rest;
mod server;
mod service;

use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::common::{Guest, Host, HttpAnswer, HttpRequest, HttpStub, Place, wait_for};

pub use broker::{Broker, Queue};
pub use node::Node;
pub use rest::{Api, id};
use server::Release;
pub use server::Server;
pub use service::Service;

/// Enough for what a real control plane does in seconds, on a machine that is busy with other tests.
pub const LONG: Duration = Duration::from_secs(180);

/// The management address of `ctl`.
pub const CONTROL: &str = "10.254.0.1";

/// The control plane. Its verbs beside these are those of [`Api`].
#[derive(Debug)]
pub struct Cloud {
    api: Api,
    release: Release,
    pub broker: Broker,
    pub server: Arc<Mutex<Server>>,
    pub database: Mutex<Service>,
    nodes: AtomicU8,
    // Last: it takes all along.
    host: Host,
}

impl Cloud {
    /// `None`, with a word about it, where this process may not make namespaces.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// One for all tests of a crate that do no harm to it. Their nodes have names of their own; networks and routers that
    /// are made with `availability_zone_hints` of a node's name come to that node, whatever else runs.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cloud>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// One of its own, with more lines for neutron-server's configuration: they win over those in `config.rs`.
    pub fn start_with(more: &str) -> Option<Self> {
        Self::of(Release::Zed, more)
    }

    /// The same of the newest release, agents and all. Its only L2 agent is that of Open vSwitch.
    pub fn newest(more: &str) -> Option<Self> {
        Self::of(Release::Newest, more)
    }

    fn of(release: Release, more: &str) -> Option<Self> {
        let host = Self::machine(release, "ctl")?;
        let place = host.place();
        place.write("/etc/hosts", "127.0.0.1 localhost\n10.254.0.1 ctl\n");
        host.bridge("management");
        host.bridge("external");
        host.ip(&format!("addr add {CONTROL}/24 dev management"));

        let broker = Broker::new(&place);
        let mut database = Service::new(&place, "mariadbd", &DATABASE);
        broker.start();
        database.start();
        wait_for("the database", LONG, || {
            assert!(database.is_alive(), "{}", database.tail());
            place.run(&MAY_CONNECT).succeeded().then_some(())
        });

        place.write("/etc/neutron/server.conf", &config::server(release, more));
        let mut server = Server::new(&place, release);
        broker.wait();
        server.start();
        let server = Arc::new(Mutex::new(server));
        let cloud = Self {
            api: Api::new(place, Arc::clone(&server)),
            release,
            broker,
            server,
            database: Mutex::new(database),
            nodes: AtomicU8::new(0),
            host,
        };
        cloud.ready();
        Some(cloud)
    }

    fn machine(release: Release, name: &str) -> Option<Host> {
        match release {
            Release::Zed => Host::of_cloud(name),
            Release::Newest => Host::of_newest_cloud(name),
        }
    }

    /// Waits until the API answers.
    #[track_caller]
    pub fn ready(&self) {
        wait_for("neutron-server's API", LONG, || {
            let mut server = self.server.lock().unwrap();
            assert!(server.is_alive(), "{}", server.tail());
            drop(server);
            let answer = self.call("GET", "/v2.0/networks?limit=1", None);
            matches!(answer, Ok((200, _))).then_some(())
        });
    }

    /// One more machine, joined to the management network and to the external one.
    #[track_caller]
    pub fn node(&self, name: &str) -> Node {
        let number = self.nodes.fetch_add(1, Ordering::Relaxed) + 11;
        Node::join(self, name, number)
    }

    /// Someone on the external network with a fixed address: the world outside.
    pub fn world(&self, cidr: &str) -> Guest {
        self.host.world("external", cidr)
    }

    /// Nova's metadata service, where the nodes' configuration files say that it is.
    pub fn nova(
        &self,
        answer: impl Fn(&HttpRequest) -> HttpAnswer + Send + Sync + 'static,
    ) -> HttpStub {
        HttpStub::start(&self.place(), &format!("{CONTROL}:8775"), answer)
    }

    /// The host of the control plane, as its programs see it.
    pub fn place(&self) -> Place {
        self.host.place()
    }

    /// All verbs of a sandboxed host, for that one.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl Deref for Cloud {
    type Target = Api;
    fn deref(&self) -> &Api {
        &self.api
    }
}

/// On what was prepared when the root file system was built. It is in memory here: no write waits for a disk.
const DATABASE: [&str; 11] = [
    "mariadbd",
    "--no-defaults",
    "--user=mysql",
    "--datadir=/var/lib/neutron-database",
    "--socket=/tmp/database",
    "--bind-address=127.0.0.1",
    "--max-connections=400",
    "--innodb-log-file-size=10M",
    "--innodb-flush-method=fsync",
    "--skip-log-bin",
    "--skip-name-resolve",
];

const MAY_CONNECT: [&str; 4] = ["mariadb", "--socket=/tmp/database", "-e", "select 1"];
