//! A broker of the test's own, and buses that live in its network namespace.

use std::fs::File;
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use nix::sched::{CloneFlags, setns};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use warren::neutron::bus::{
    Broker as Address, Bus, Failover, Link, Listener, Login, Notice, Password, Queues, Retry,
    Settings,
};

use crate::LONG;
use crate::broker::{Broker, USER};
use crate::common::{Host, Place};

pub(crate) struct Ground {
    /// Its threads are in the broker's namespace, and so is every socket of a bus. First: it ends before that does.
    pub(crate) runtime: Runtime,
    pub(crate) broker: Broker,
    pub(crate) host: Host,
}

impl Ground {
    /// `None`, with a word about it, where this process may not make namespaces.
    pub(crate) fn new(name: &str) -> Option<Self> {
        Self::prepared(name, |_| {})
    }

    /// `prepare` may write files before the broker reads them.
    pub(crate) fn prepared(name: &str, prepare: impl FnOnce(&Place)) -> Option<Self> {
        let host = Host::of_cloud(name)?;
        let place = host.place();
        place.write("/etc/hosts", &format!("127.0.0.1 localhost {name}\n"));
        let broker = Broker::new(&place);
        prepare(&place);
        broker.start();
        broker.wait();
        let runtime = place.inside(|| {
            let here = File::open("/proc/thread-self/ns/net").unwrap();
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .on_thread_start(move || setns(&here, CloneFlags::CLONE_NEWNET).unwrap())
                .build()
                .unwrap()
        });
        Some(Self {
            runtime,
            broker,
            host,
        })
    }

    /// Threads that serve a connection, of this broker's clients here: each is in its namespace.
    pub(crate) fn connections(&self) -> usize {
        let here = self
            .host
            .place()
            .inside(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap());
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let threads = threads.filter(|thread| {
            let thread = thread.as_ref().unwrap().path();
            let name = std::fs::read_to_string(thread.join("comm"));
            let namespace = std::fs::read_link(thread.join("ns/net"));
            // It may end meanwhile.
            name.is_ok_and(|name| name.starts_with("lapin-io-loop"))
                && namespace.is_ok_and(|found| found == here)
        });
        threads.count()
    }

    /// A bus with our agent on it, as soon as it is connected, and what it hears.
    pub(crate) async fn bus(&self) -> (Bus, Receiver<Notice>) {
        let starting = async { Bus::start(settings(), vec![agent()]) };
        let (bus, notices) = self.runtime.spawn(starting).await.unwrap();
        connected(&bus, 1).await;
        (bus, notices)
    }

    /// A raw AMQP client, for what no bus would send.
    pub(crate) async fn channel(&self) -> Channel {
        let connecting = self.runtime.spawn(async {
            let uri = format!("amqp://{USER}:{USER}@127.0.0.1:5672/%2f");
            let connection = Connection::connect(&uri, ConnectionProperties::default());
            connection.await.unwrap().create_channel().await.unwrap()
        });
        connecting.await.unwrap()
    }
}

pub(crate) async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8]) {
    publish_with(channel, exchange, key, body, None).await;
}

pub(crate) async fn publish_with(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    compression: Option<&str>,
) {
    let mut headers = FieldTable::default();
    if let Some(compression) = compression {
        let compression = AMQPValue::LongString(compression.into());
        headers.insert("compression".into(), compression);
    }
    let properties = BasicProperties::default().with_headers(headers);
    let options = BasicPublishOptions::default();
    let (exchange, key) = (exchange.into(), key.into());
    let published = channel.basic_publish(exchange, key, options, body, properties);
    published.await.unwrap();
}

/// A cast as any sender would write it.
pub(crate) fn cast(method: &str, args: Value, unique_id: &str) -> Vec<u8> {
    let message =
        json!({"method": method, "args": args, "version": "1.0", "_unique_id": unique_id});
    let body = json!({"oslo.version": "2.0", "oslo.message": message.to_string()});
    body.to_string().into_bytes()
}

/// Neutron's defaults, but for times that a test can wait for.
pub(crate) fn settings() -> Settings {
    Settings {
        brokers: vec![address("127.0.0.1", 5672)],
        vhost: "/".to_owned(),
        tls: None,
        login: Login::AmqPlain,
        exchange: "neutron".to_owned(),
        queues: Queues {
            durable: false,
            auto_delete: false,
            ha: false,
            quorum: false,
            transient_quorum: false,
            delivery_limit: 0,
            max_memory_length: 0,
            max_memory_bytes: 0,
            stream_fanout: false,
            transient_ttl: 1800,
            cancel_on_failover: false,
            manager: None,
        },
        prefetch: 0,
        heartbeat: 2,
        retry: Retry {
            first: Duration::from_millis(200),
            backoff: Duration::ZERO,
            longest: Duration::from_secs(1),
            delay: Duration::from_millis(100),
            splay: Duration::ZERO,
        },
        failover: Failover::RoundRobin,
        response_timeout: Duration::from_secs(60),
        response_max_timeout: Duration::from_secs(600),
        missing_consumer_timeout: Duration::from_secs(60),
        compression: None,
        program: "warren-test".to_owned(),
    }
}

pub(crate) fn address(host: &str, port: u16) -> Address {
    Address {
        host: host.to_owned(),
        port,
        user: USER.to_owned(),
        password: Password(USER.to_owned()),
    }
}

/// What a DHCP agent listens to.
pub(crate) fn agent() -> Listener {
    Listener {
        topic: "dhcp_agent".to_owned(),
        host: "net1".to_owned(),
        version: (1, 0),
        methods: &["network_create_end", "port_update_end"],
    }
}

/// A server made of a second bus: `echo` gives its arguments back, `hold` is answered when the test drops its notice.
pub(crate) fn server() -> Listener {
    Listener {
        topic: "q-plugin".to_owned(),
        host: "ctl".to_owned(),
        version: (1, 1),
        methods: &["echo", "hold"],
    }
}

/// Answers `echo`; what is held comes through the returned channel.
pub(crate) fn serve(mut notices: Receiver<Notice>) -> Receiver<Notice> {
    let (held, receiver) = tokio::sync::mpsc::channel(100);
    tokio::spawn(async move {
        while let Some(mut notice) = notices.recv().await {
            if notice.method == "hold" {
                held.send(notice).await.unwrap();
            } else if let Some(reply) = notice.reply.take() {
                reply.ok(Value::Object(notice.args));
            }
        }
    });
    receiver
}

pub(crate) fn args(value: Value) -> Map<String, Value> {
    let Value::Object(args) = value else {
        panic!("{value} is no object")
    };
    args
}

/// Waits until the bus has been connected at least so often, and is. How often it was.
pub(crate) async fn connected(bus: &Bus, least: u64) -> u64 {
    let mut link = bus.link();
    let up = link.wait_for(|link| matches!(link, Link::Connected { times, .. } if *times >= least));
    let found = timeout(LONG, up).await.map(|link| link.unwrap().clone());
    match found {
        Ok(Link::Connected { times, .. }) => times,
        _ => panic!("not connected {least} times, but {:?}", bus.link().borrow()),
    }
}

/// Waits until the bus is away for a reason that contains this.
pub(crate) async fn away(bus: &Bus, why: &str) -> String {
    let mut link = bus.link();
    let down =
        link.wait_for(|link| matches!(link, Link::Away { reason, .. } if reason.contains(why)));
    let found = timeout(LONG, down).await.map(|link| link.unwrap().clone());
    match found {
        Ok(Link::Away { reason, .. }) => reason,
        _ => panic!("not away for {why:?}, but {:?}", bus.link().borrow()),
    }
}

pub(crate) async fn notice(notices: &mut Receiver<Notice>) -> Notice {
    let notice = timeout(LONG, notices.recv()).await;
    notice.expect("a notice in time").expect("an open channel")
}
