//! When there are no files left the service does what it can without them, and all of it as soon as there are some again.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::fs::read_dir;
use std::net::TcpStream;
use std::time::Duration;

use common::{Client, Daemon, Host, PATIENCE, wait_for};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

const METADATA: &str = "http://169.254.169.254/latest/meta-data/instance-id";

const TOPOLOGY: &str = r#"
dns_domain = "test"

[[network]]
name = "red"
bridge = "br-red"
[[network.subnet]]
cidr = "10.1.0.0/24"

[[network]]
name = "blue"
bridge = "br-blue"
[[network.subnet]]
cidr = "10.2.0.0/24"

[[instance]]
name = "red1"
[[instance.port]]
network = "red"
mac = "fa:16:3e:00:01:01"
addresses = ["10.1.0.11"]

[[instance]]
name = "blue1"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:02:01"
addresses = ["10.2.0.11"]

[[instance]]
name = "blue2"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:02:02"
addresses = ["10.2.0.12"]
"#;

/// What is added while there are no files.
const GREEN: &str = r#"
[[network]]
name = "green"
bridge = "br-green"
[[network.subnet]]
cidr = "10.3.0.0/24"

[[instance]]
name = "green1"
[[instance.port]]
network = "green"
mac = "fa:16:3e:00:03:01"
addresses = ["10.3.0.11"]
"#;

#[test]
fn a_daemon_without_files_goes_on_and_recovers_by_itself() {
    let Some(host) = Host::new("exhaustion") else {
        return;
    };
    let mut daemon = host.warren_run(TOPOLOGY);
    let red1 = host.guest("red1", "br-red", "fa:16:3e:00:01:01");
    let blue1 = host.guest("blue1", "br-blue", "fa:16:3e:00:02:01");
    let blue2 = host.guest("blue2", "br-blue", "fa:16:3e:00:02:02");
    red1.udhcpc();
    blue1.udhcpc();
    blue1.get(METADATA);

    let files = Files::of(&mut daemon);
    files.limit_to_those_open();
    // The kernel takes them, up to its backlog; warren can't.
    let waiting: Vec<_> = red1.inside(|| {
        let connect = |_| {
            let address = "169.254.169.254:80".parse().unwrap();
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap()
        };
        (0..30).map(connect).collect()
    });
    wait_for("a word about it", PATIENCE, || {
        let said = "failed to accept metadata connections (see the limit of open files)";
        daemon.log().contains(said).then_some(())
    });
    assert_eq!(
        blue1.resolve("blue2.test"),
        ["10.2.0.12".parse::<std::net::Ipv4Addr>().unwrap()]
    );
    assert_eq!(
        red1.resolve("red1.test"),
        ["10.1.0.11".parse::<std::net::Ipv4Addr>().unwrap()]
    );
    // Whether it gets an answer hangs on a socket that may be open still; it asks until it has one.
    let mut booting = blue2.dhcp(Client::Udhcpc);
    daemon.rewrite(&format!("{TOPOLOGY}{GREEN}"));
    wait_for("an attempt at the new network", PATIENCE, || {
        daemon.log().contains("open files").then_some(())
    });

    files.give_back();
    booting.bound();
    blue1.get(METADATA);
    red1.get(METADATA);
    daemon.converged();
    host.guest("green1", "br-green", "fa:16:3e:00:03:01")
        .udhcpc();
    assert!(daemon.is_alive(), "{}", daemon.log());
    drop(waiting);
    let words = daemon.log().matches("failed to accept").count();
    assert!(words < 5, "said {words} times\n{}", daemon.log());
}

/// How many files a daemon may have open.
struct Files {
    pid: Pid,
    before: Rlimit,
}

impl Files {
    fn of(daemon: &mut Daemon) -> Self {
        let pid = daemon.pid().unwrap();
        Self {
            pid: Pid::from_raw(pid.as_raw()).unwrap(),
            before: getrlimit(Resource::Nofile),
        }
    }

    fn limit_to_those_open(&self) {
        let open = read_dir(format!("/proc/{}/fd", self.pid.as_raw_nonzero()));
        let open = u64::try_from(open.unwrap().count()).unwrap();
        self.set(Some(open));
    }

    fn give_back(&self) {
        self.set(self.before.current);
    }

    fn set(&self, current: Option<u64>) {
        let limit = Rlimit {
            current,
            ..self.before
        };
        prlimit(Some(self.pid), Resource::Nofile, limit).unwrap();
    }
}
