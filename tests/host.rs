//! The host stays out of its tenants' networks, and they out of it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::Duration;

use common::{Host, PATIENCE, wait_until};

const CLOUD: &str = r#"
[[network]]
name = "blue"
bridge = "br-blue"
[[network.subnet]]
cidr = "10.0.1.0/24"

[[instance]]
name = "web"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:01:01"
"#;

/// A bridge takes what is sent to its own MAC, and the host has services on its addresses.
#[test]
fn an_instance_reaches_no_service_of_the_host_through_its_bridge() {
    let Some(host) = Host::new("host") else {
        return;
    };
    let mut daemon = host.warren_run(CLOUD);
    daemon.converged();
    host.ip("link add office type veth peer name other\naddr add 198.51.100.1/24 dev office\nlink set office up");
    let web = host.guest("web", "br-blue", "fa:16:3e:00:01:01");
    web.udhcpc();
    let mac = host
        .machine()
        .read("/sys/class/net/br-blue/address")
        .unwrap();
    web.ip(&format!(
        "neigh replace 10.0.1.99 lladdr {} dev eth0 nud permanent\nroute replace 198.51.100.0/24 via 10.0.1.99",
        mac.trim()
    ));
    let service = host.spawn(&["socat", "-u", "UDP-RECV:9999", "STDOUT"]);
    let heard = |wait| {
        wait_until(wait, || {
            web.run(&["bash", "-c", "echo hello >/dev/udp/198.51.100.1/9999"])
                .ok();
            service.log().contains("hello")
        })
    };
    assert!(!heard(Duration::from_secs(1)), "the host heard it");
    // And it would have: only the check keeps it away. (A running daemon would put it back.)
    daemon.stop();
    host.machine()
        .sh("echo 0 >/proc/sys/net/ipv4/conf/br-blue/rp_filter")
        .ok();
    assert!(heard(PATIENCE), "else this test tells nothing");
}
