//! A network whose way out is somebody else's router: its DHCP namespace advertises, where the operator wants that.

use crate::common::{ALL_NODES, Advertised, Host, PATIENCE, Sender, wait_for};
use crate::{default_route, learned};

const CLOUD: &str = r#"
advertise_without_router = true
dns_domain = "test"

[[network]]
name = "public"
bridge = "br-public"
mtu = 1400
[[network.subnet]]
cidr = "fd00:9::/64"
gateway = "fe80::99"

[[instance]]
name = "one"
[[instance.port]]
network = "public"
mac = "fa:16:3e:00:09:01"
"#;

#[test]
fn the_dhcp_namespace_tells_all_but_the_way_out() {
    let Some(host) = Host::new("no-router") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    let one = host.guest("one", "br-public", "fa:16:3e:00:09:01");
    learned(&one, "fd00:9::f816:3eff:fe00:901");
    assert_eq!(default_route(&one), "", "we lead nowhere");
    let shown = daemon.json(&["show", "network", "public"]);
    let server = shown["subnets"][0]["dhcp_address"].as_str().unwrap();
    let wire = one.wire();
    let asking = Sender {
        mac: wire.mac(),
        ip: "fe80::f816:3eff:fe00:901".parse().unwrap(),
    };
    wire.send(&asking.solicits());
    let said = wire.recv(PATIENCE, Advertised::parse).unwrap();
    for (field, want) in [
        ("router lifetime", "0".to_owned()),
        ("name servers (RDNSS)", format!("{server}, 1800")),
        ("search list (DNSSL)", "test, 1800".to_owned()),
        ("MTU", "1400".to_owned()),
        (
            "prefix fd00:9::/64",
            "on-link autonomous, valid 86400, preferred 14400".to_owned(),
        ),
    ] {
        assert_eq!(said.fields.get(field), Some(&want), "{field}: {said:#?}");
    }
    assert!(!said.fields.keys().any(|name| name.starts_with("route ")));
    assert!(one.ping(server), "on-link");
    let counted = &daemon.json(&["show", "network", "public"])["counters"]["ra"];
    assert!(counted["advertised"].as_u64().unwrap() > 0, "{counted}");

    // The router of elsewhere speaks for itself, and of no prefix.
    let router = host.guest("router", "br-public", "02:00:00:00:ff:99");
    router.ip(
        "addr add fe80::99/64 dev eth0 nodad\naddr add 2001:db8:1::1/128 dev lo\n\
               route add fd00:9::/64 dev eth0",
    );
    let outside = Sender {
        mac: router.wire().mac(),
        ip: "fe80::99".parse().unwrap(),
    };
    router.wire().send(&outside.advertises(&[]));
    wait_for("its way out", PATIENCE, || {
        default_route(&one).contains("via fe80::99").then_some(())
    });
    assert!(one.ping("2001:db8:1::1"), "by both together");

    // Nothing is left to be told.
    wire.drain();
    let elsewhere = CLOUD.replace(
        "gateway = \"fe80::99\"",
        "gateway = \"fe80::99\"\nipv6_ra_mode = \"none\"\nipv6_address_mode = \"slaac\"",
    );
    daemon.rewrite(&elsewhere);
    let last = wire.recv(PATIENCE, |frame| {
        let said = Advertised::parse(frame)?;
        let servers = said.fields.get("name servers (RDNSS)")?;
        (said.to == ALL_NODES && servers.ends_with(", 0")).then_some(())
    });
    assert!(last.is_some(), "its name server is taken back");
}
