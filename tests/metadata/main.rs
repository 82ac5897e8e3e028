//! Metadata from outside: instances with curl, the running daemon, and a Nova that checks the signature.
#![allow(clippy::unwrap_used)] // in a test a panic is the report

#[path = "../common/mod.rs"]
mod common;
mod mutants;
mod nova;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use common::{Guest, Host, HttpAnswer, Output, PATIENCE, wait_until};

const METADATA: &str = "http://169.254.169.254";

/// Networks blue and green behind a router, and two without one whose subnets are the same.
const CLOUD: &str = r#"
dns_domain = "test"

[[network]]
name = "blue"
bridge = "br-blue"
[[network.subnet]]
cidr = "10.0.1.0/24"

[[network]]
name = "green"
bridge = "br-green"
[[network.subnet]]
cidr = "10.0.2.0/24"

[[network]]
name = "left"
bridge = "br-left"
[[network.subnet]]
cidr = "10.9.0.0/24"

[[network]]
name = "right"
bridge = "br-right"
[[network.subnet]]
cidr = "10.9.0.0/24"

[[router]]
name = "r1"
interfaces = ["blue", "green"]

[[instance]]
id = "00000000-0000-0000-0000-0000000000b1"
name = "blue1"
user_data = "blue one's secret"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINLvW3sqvrUmgGzCRr9t7lcZn5ply+15dHNGKcOMW4D8 blue@test"]
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:01:01"
addresses = ["10.0.1.11"]

[[instance]]
id = "00000000-0000-0000-0000-0000000000b2"
name = "blue2"
user_data = "blue two's secret"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:01:02"
addresses = ["10.0.1.12"]

[[instance]]
id = "00000000-0000-0000-0000-0000000000c1"
name = "green1"
user_data = "green one's secret"
[[instance.port]]
network = "green"
mac = "fa:16:3e:00:02:01"
addresses = ["10.0.2.11"]

[[instance]]
id = "00000000-0000-0000-0000-0000000000d1"
name = "left1"
user_data = "left one's secret"
[[instance.port]]
network = "left"
mac = "fa:16:3e:00:03:01"
addresses = ["10.9.0.11"]

[[instance]]
id = "00000000-0000-0000-0000-0000000000e1"
name = "right1"
user_data = "right one's secret"
[[instance.port]]
network = "right"
mac = "fa:16:3e:00:04:01"
addresses = ["10.9.0.11"]
"#;

/// An instance that has booted.
fn boot(host: &Host, name: &str, bridge: &str, mac: &str) -> Guest {
    let guest = host.guest(name, bridge, mac);
    guest.udhcpc();
    guest
}

fn blue1(host: &Host) -> Guest {
    boot(host, "blue1", "br-blue", "fa:16:3e:00:01:01")
}

fn blue2(host: &Host) -> Guest {
    boot(host, "blue2", "br-blue", "fa:16:3e:00:01:02")
}

fn left1(host: &Host) -> Guest {
    boot(host, "left1", "br-left", "fa:16:3e:00:03:01")
}

fn ask(guest: &Guest, path: &str) -> Result<HttpAnswer, Output> {
    guest.curl(&format!("{METADATA}{path}"), &[])
}

/// A file that the topology names is watched like the topology.
#[test]
fn a_file_of_user_data_may_change() {
    let Some(host) = Host::new("userdata") else {
        return;
    };
    let machine = host.machine();
    let topology = CLOUD.replace(
        "user_data = \"blue one's secret\"",
        "user_data_file = \"/run/user-data\"",
    );
    assert_ne!(topology, CLOUD);
    machine.write("/run/user-data", "first");
    let daemon = host.warren_run(&topology);
    let guest = blue1(&host);
    for text in ["first", "second", "third"] {
        machine.write("/run/user-data", text);
        let told = wait_until(PATIENCE, || {
            guest.get(&format!("{METADATA}/latest/user-data")) == text
        });
        assert!(told, "{text}: {}", daemon.log());
    }
}

#[test]
fn each_instance_gets_its_own() {
    let Some(host) = Host::new("own") else { return };
    let _daemon = host.warren_run(CLOUD);
    let guests = [
        (blue1(&host), "blue one's secret"),
        (blue2(&host), "blue two's secret"),
        (
            boot(&host, "green1", "br-green", "fa:16:3e:00:02:01"),
            "green one's secret",
        ),
        (left1(&host), "left one's secret"),
        // The same address as left's.
        (
            boot(&host, "right1", "br-right", "fa:16:3e:00:04:01"),
            "right one's secret",
        ),
    ];
    for (guest, secret) in &guests {
        assert_eq!(guest.get(&format!("{METADATA}/latest/user-data")), *secret);
        assert_eq!(
            guest.get(&format!("{METADATA}/openstack/latest/user_data")),
            *secret
        );
        let told = guest.get(&format!("{METADATA}/openstack/latest/meta_data.json"));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["name"], guest.name());
        assert_eq!(told["hostname"], format!("{}.test", guest.name()));
    }
    let (blue, _) = &guests[0];
    assert_eq!(
        blue.get(&format!("{METADATA}/latest/meta-data/local-ipv4")),
        "10.0.1.11"
    );
    assert_eq!(
        blue.get(&format!(
            "{METADATA}/2009-04-04/meta-data/public-keys/0/openssh-key"
        ))
        .split(' ')
        .next_back(),
        Some("blue@test")
    );
    assert_eq!(ask(blue, "/latest/api/token").unwrap().status, 404);
    assert_eq!(
        ask(blue, "/2021-03-23/meta-data/instance-id")
            .unwrap()
            .status,
        404
    );
}

#[test]
fn a_neighbours_data_is_out_of_reach() {
    let Some(host) = Host::new("reach") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    let blue = blue1(&host);
    let green = boot(&host, "green1", "br-green", "fa:16:3e:00:02:01");
    let left = left1(&host);
    let network = |name: &str| {
        daemon.json(&["show", "network", name])["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let claims = [
        ("X-Forwarded-For", "10.0.1.12".to_owned()),
        (
            "X-Instance-ID",
            "00000000-0000-0000-0000-0000000000b2".to_owned(),
        ),
        ("X-Neutron-Network-ID", network("green")),
        (
            "X-Neutron-Router-ID",
            "00000000-0000-0000-0000-000000000001".to_owned(),
        ),
        ("Forwarded", "for=10.0.1.12".to_owned()),
        ("Host", "10.0.1.12".to_owned()),
    ];
    for (guest, secret) in [(&blue, "blue one's secret"), (&left, "left one's secret")] {
        for (name, value) in &claims {
            let answer = guest
                .curl(&format!("{METADATA}/latest/user-data"), &[(name, value)])
                .unwrap();
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, secret),
                "{name}: {value}"
            );
        }
    }
    // The port behind the redirection is for redirected requests only, on whichever address of the router.
    for address in ["10.0.1.1", "10.0.2.1"] {
        for guest in [&blue, &green] {
            let direct = guest.curl_with(
                &format!("http://{address}:9697/"),
                &[],
                &["--connect-timeout", "2"],
            );
            assert!(direct.is_err(), "{} at {address}: {direct:?}", guest.name());
        }
    }
    // An address that no port has.
    blue.ip("addr add 10.0.1.99/24 dev eth0");
    let unknown = blue.curl_with(
        &format!("{METADATA}/latest/user-data"),
        &[],
        &["--interface", "10.0.1.99"],
    );
    assert_eq!(unknown.unwrap().status, 404);
}

#[test]
fn a_password_is_kept_once() {
    let Some(host) = Host::new("password") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    let (blue, other) = (blue1(&host), blue2(&host));
    let url = format!("{METADATA}/openstack/latest/password");
    let post = |text: &str| {
        blue.curl_with(&url, &[], &["--data-binary", text])
            .unwrap()
            .status
    };
    assert_eq!(blue.get(&url), "");
    assert_eq!(post(&"x".repeat(1021)), 400);
    assert_eq!(post("encrypted"), 200);
    assert_eq!(post("again"), 409);
    assert_eq!(blue.get(&url), "encrypted");
    assert_eq!(other.get(&url), "");
    // Another instance takes its place, and then one of its name takes it back.
    for id in ["0000000000b9", "0000000000b1"] {
        daemon.rewrite(&CLOUD.replace("0000000000b1", id));
        let told = wait_until(PATIENCE, || {
            let document = format!("{METADATA}/openstack/latest/meta_data.json");
            let answer = blue.curl_with(&document, &[], &[]);
            answer.is_ok_and(|answer| answer.body.contains(id))
        });
        assert!(told, "{id} is not told who it is");
        assert_eq!(blue.get(&url), "", "what the one before has left");
    }
    assert_eq!(post("of its own"), 200);
}

#[test]
fn who_floods_and_stalls_harms_nobody() {
    let Some(host) = Host::new("flood") else {
        return;
    };
    let mut daemon = host.warren_run(CLOUD);
    let (bad, good) = (blue1(&host), blue2(&host));
    let mut connections: Vec<TcpStream> = bad.inside(|| {
        let to: SocketAddr = "169.254.169.254:80".parse().unwrap();
        (0..100)
            .filter_map(|_| TcpStream::connect_timeout(&to, PATIENCE).ok())
            .collect()
    });
    // Some say nothing; some begin a head, some a body, and some ask and do not read.
    for (at, connection) in connections.iter_mut().enumerate() {
        let words = [
            "",
            "GET / HT",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1",
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ];
        _ = connection.write_all(words[at % words.len()].as_bytes());
    }
    let is_open = |mut connection: &TcpStream| {
        connection.set_nonblocking(true).unwrap();
        match connection.read(&mut [0; 4096]) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    };
    let refused = wait_until(PATIENCE, || {
        connections
            .iter()
            .filter(|connection| is_open(connection))
            .count()
            <= 32
    });
    assert!(refused, "a guest may have more than 32 connections");
    for _ in 0..5 {
        let answer = good.curl_with(
            &format!("{METADATA}/latest/user-data"),
            &[],
            &["--max-time", "5"],
        );
        assert_eq!(answer.unwrap().body, "blue two's secret");
    }
    assert!(daemon.is_alive());
}
