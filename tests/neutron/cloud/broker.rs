//! RabbitMQ, and what happens to brokers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::Value;

use super::{LONG, Service};
use crate::common::{Output, Place, wait_for};

/// Its user, who is allowed everything, and the user's password.
pub const USER: &str = "openstack";

const ENVIRONMENT: [&str; 13] = [
    "env",
    "HOME=/run/broker", // of the cookie
    "RABBITMQ_NODENAME=rabbit@localhost",
    "RABBITMQ_MNESIA_BASE=/run/broker/data",
    "RABBITMQ_LOG_BASE=/run/broker",
    "RABBITMQ_LOGS=-",
    "RABBITMQ_CONFIG_FILE=/run/broker/rabbitmq.conf",
    "RABBITMQ_PID_FILE=/run/broker/pid",
    "RABBITMQ_ENABLED_PLUGINS_FILE=/run/broker/plugins",
    "RABBITMQ_CONF_ENV_FILE=/dev/null",
    "ERL_EPMD_ADDRESS=127.0.0.1",
    // Schedulers that have nothing to do must not spin on a processor that other tests share.
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +sbwtdcpu none +sbwtdio none",
    // Without a shell around it: the process that is started is the broker.
    "RUNNING_UNDER_SYSTEMD=true",
];

const CONFIG: &str = "\
loopback_users = none
total_memory_available_override_value = 2GB
default_user = openstack
default_pass = openstack
listeners.ssl.default = 5671
ssl_options.certfile = /run/broker/server.pem
ssl_options.keyfile = /run/broker/server.key
ssl_options.cacertfile = /run/broker/ca.pem
ssl_options.verify = verify_none
";

/// An authority, and a certificate of it for the names under which the broker is known.
const CERTIFICATES: &str = "
cd /run/broker
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30'
openssl req -x509 $key -subj '/CN=authority of the tests' -keyout ca.key -out ca.pem
openssl req -x509 $key -subj /CN=ctl -keyout server.key -out server.pem -CA ca.pem -CAkey ca.key \\
  -addext subjectAltName=DNS:ctl,DNS:localhost,IP:127.0.0.1,IP:10.254.0.1 -addext basicConstraints=critical,CA:false
";

/// On 5672, and with TLS on 5671.
#[derive(Debug)]
pub struct Broker {
    place: Place,
    service: Mutex<Service>,
}

/// A queue as `rabbitmqctl list_queues` tells of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Queue {
    pub name: String,
    pub durable: bool,
    pub auto_delete: bool,
    /// Name, type and value of each.
    pub arguments: Value,
    /// `classic`, `quorum` or `stream`.
    #[serde(rename = "type")]
    pub kind: String,
    pub messages: u64,
    pub consumers: u64,
}

impl Broker {
    /// On any host of a cloud's; starts nothing yet.
    #[track_caller]
    pub fn new(place: &Place) -> Self {
        place.write("/run/broker/rabbitmq.conf", CONFIG);
        place.write("/run/broker/plugins", "[].");
        place.sh(CERTIFICATES).ok();
        let argv = [&ENVIRONMENT[..], &["/usr/lib/rabbitmq/bin/rabbitmq-server"]].concat();
        Self {
            place: place.clone(),
            service: Mutex::new(Service::new(place, "rabbitmq-server", &argv)),
        }
    }

    /// Who vouches for its certificate (PEM).
    pub fn authority(&self) -> String {
        self.place.read("/run/broker/ca.pem").expect("just made")
    }

    /// Does not wait.
    #[track_caller]
    pub fn start(&self) {
        self.service.lock().unwrap().start();
    }

    /// Waits until it speaks AMQP.
    #[track_caller]
    pub fn wait(&self) {
        wait_for("the broker", LONG, || {
            let mut service = self.service.lock().unwrap();
            assert!(service.is_alive(), "{}", service.tail());
            drop(service);
            self.place.inside(greeted).unwrap_or(false).then_some(())
        });
    }

    /// In good order: clients are told.
    #[track_caller]
    pub fn stop(&self) {
        self.service.lock().unwrap().stop();
    }

    /// As when its machine's power fails, but for the TCP resets that its kernel still sends.
    #[track_caller]
    pub fn kill9(&self) {
        self.service.lock().unwrap().kill9();
    }

    #[track_caller]
    pub fn restart(&self) {
        self.stop();
        self.start();
        self.wait();
    }

    /// Its connections stay, and nobody is there: half open.
    pub fn freeze(&self) {
        self.service.lock().unwrap().signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.service.lock().unwrap().signal(Signal::SIGCONT);
    }

    /// Clients that are connected stay so.
    #[track_caller]
    pub fn change_password(&self, password: &str) {
        self.control(&["change_password", USER, password]).ok();
    }

    #[track_caller]
    pub fn delete_queue(&self, name: &str) {
        self.control(&["delete_queue", name]).ok();
    }

    /// The messages that wait in a queue are lost.
    #[track_caller]
    pub fn purge_queue(&self, name: &str) {
        self.control(&["purge_queue", name]).ok();
    }

    #[track_caller]
    pub fn delete_exchange(&self, name: &str) {
        self.eval(&format!(
            r#"ok = rabbit_exchange:delete(rabbit_misc:r(<<"/">>, exchange, <<"{name}">>), false, <<"test">>)."#
        ));
    }

    /// As servers and agents make a `topic` or a `fanout`, if it is not there.
    #[track_caller]
    pub fn make_exchange(&self, name: &str, kind: &str) {
        let goes_when_unused = kind == "fanout";
        self.eval(&format!(
            r#"rabbit_exchange:declare(rabbit_misc:r(<<"/">>, exchange, <<"{name}">>), {kind}, false, {goes_when_unused}, false, [], <<"test">>)."#
        ));
    }

    /// With all that is in it; clients are cut off.
    #[track_caller]
    pub fn delete_vhost(&self, name: &str) {
        self.control(&["delete_vhost", name]).ok();
    }

    /// Empty, and open to the user.
    #[track_caller]
    pub fn add_vhost(&self, name: &str) {
        self.control(&["add_vhost", name]).ok();
        let all = ["set_permissions", "--vhost", name, USER, ".*", ".*", ".*"];
        self.control(&all).ok();
    }

    /// Cuts every client's connection.
    #[track_caller]
    pub fn close_all_connections(&self) {
        self.control(&["close_all_connections", "the test wants it"])
            .ok();
    }

    #[track_caller]
    pub fn queues(&self) -> Vec<Queue> {
        let columns = ["name", "durable", "auto_delete", "arguments", "type"];
        let list = ["--quiet", "--formatter", "json", "list_queues"];
        let counters = ["messages", "consumers"];
        let text = self
            .control(&[&list[..], &columns, &counters].concat())
            .ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("list_queues: {e}: {text}"))
    }

    /// The names of all exchanges.
    #[track_caller]
    pub fn exchanges(&self) -> Vec<String> {
        let text = self.control(&["--quiet", "list_exchanges", "name"]).ok();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    /// An Erlang expression in the broker; what it gave, printed.
    #[track_caller]
    pub fn eval(&self, expression: &str) -> String {
        self.control(&["eval", expression]).ok()
    }

    /// `rabbitmqctl`.
    pub fn control(&self, args: &[&str]) -> Output {
        let ctl = ["/usr/lib/rabbitmq/bin/rabbitmqctl"];
        self.place.run(&[&ENVIRONMENT[..], &ctl, args].concat())
    }

    pub fn log(&self) -> String {
        self.service.lock().unwrap().log()
    }
}

/// Whether someone answers the protocol's header.
fn greeted() -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(("127.0.0.1", 5672))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    connection.write_all(b"AMQP\x00\x00\x09\x01")?;
    Ok(connection.read(&mut [0])? == 1)
}
