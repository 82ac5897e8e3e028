//! Ports of less usual kinds: with several addresses of a subnet, with an id in the place of a MAC, with options that firmware
//! reads. And a relay that asks from a port of its own.

use super::lan::{ANN, Lan, STRANGER};
use super::message::{REQUEST, Says, option, said, server, value};

/// Has three addresses of one subnet.
const MANY: u8 = 0x1a;
/// The MAC of a port that is known by this DUID; its machine may have any other.
const NAMED: u8 = 0x1d;
const DUID: [u8; 7] = [0, 2, 0, 0, 0x12, 0x34, 0x77];

const MACHINES: &str = r#"
[[instance]]
name = "many"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:1a"
addresses = ["2001:db8:1::1a", "2001:db8:1::1b", "2001:db8:1::1c"]
[[instance.port.dhcp_options]]
ip_version = 6
name = "bootfile-url"
value = "tftp://[2001:db8::1]/linux"
[[instance.port.dhcp_options]]
ip_version = 6
name = "bootfile-param"
value = ["quiet", "root=/dev/nfs"]

[[instance]]
name = "named"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:1d"
addresses = ["2001:db8:1::1d"]
dhcp_options = { client-id = "00:02:00:00:12:34:77" }
"#;

#[test]
fn each_gets_what_its_port_has() {
    let Some(mut lan) = Lan::with("ports6", MACHINES) else {
        return;
    };
    let first = lan.link.hear(&Says::solicit(MANY)).unwrap();
    let us = server(&first);
    let many = "na[2001:db8:1::1a 2001:db8:1::1b 2001:db8:1::1c]";
    let to_many = "to 1a [fe80::f816:3eff:fe00:1a]:546";
    let to_stranger = "to e [fe80::f816:3eff:fe00:e]:546";
    for (name, says, want) in [
        (
            "several of one subnet",
            Says::solicit(MANY),
            format!("advertise {many} {to_many}"),
        ),
        (
            "several of one subnet, one wished",
            Says::new(MANY, REQUEST).to(&us).na(&["2001:db8:1::1b"]),
            format!("reply na[2001:db8:1::1b 2001:db8:1::1a 2001:db8:1::1c] Success {to_many}"),
        ),
        (
            "known by its DUID",
            Says::solicit(STRANGER).duid(&DUID),
            format!("advertise na[2001:db8:1::1d] {to_stranger}"),
        ),
        (
            "known by its DUID, from the port's MAC",
            Says::solicit(NAMED).duid(&DUID),
            "advertise na[2001:db8:1::1d] to 1d [fe80::f816:3eff:fe00:1d]:546".into(),
        ),
        (
            "another DUID",
            Says::solicit(STRANGER).duid(&[&DUID[..], &[1]].concat()),
            format!("advertise na[NoAddrsAvail] NoAddrsAvail {to_stranger}"),
        ),
    ] {
        assert_eq!(lan.link.said(&says), want, "{name}\n{}", lan.daemon.log());
    }
    for address in ["2001:db8:1::1a", "2001:db8:1::1b", "2001:db8:1::1c"] {
        assert_eq!(lan.lease(address).as_deref(), Some("bound"), "{address}");
    }
    assert_eq!(
        value(&first, 60).unwrap(),
        b"\0\x05quiet\0\x0droot=/dev/nfs"
    );
    let asked = lan.link.hear(&Says::solicit(MANY).wanting(&[59])).unwrap();
    assert_eq!(value(&asked, 59).unwrap(), b"tftp://[2001:db8::1]/linux");
    assert_eq!(value(&asked, 60), None, "not asked for");
}

/// RFC 8357: where its option is, the answer goes to the port that was asked from, and says so too.
#[test]
fn a_relay_is_answered_at_its_own_port() {
    let Some(mut lan) = Lan::new("relay-port6") else {
        return;
    };
    let own_port = (135, vec![0, 0]);
    for (name, options, port) in [("with", &[own_port][..], 1547), ("without", &[], 547)] {
        let mut says = Says::solicit(ANN).relay("2001:db8:1::1", options);
        says.port = 1547;
        let heard = lan.link.hear(&says).unwrap();
        assert_eq!(
            said(&heard),
            format!("advertise na[2001:db8:1::a] to 99 [2001:db8:1::9]:{port}"),
            "{name}"
        );
        let given_back = option(135, &[0, 0]);
        let mut parts = heard.payload.windows(given_back.len());
        assert_eq!(parts.any(|part| part == given_back), port == 1547, "{name}");
    }
}
