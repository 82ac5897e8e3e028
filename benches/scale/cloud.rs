//! The clouds that are measured, as topology files.

use std::fmt::Write;
use std::net::Ipv4Addr;

/// Networks with DHCP; one more is the way out, without.
pub(crate) const NETWORKS: u16 = 500;
pub(crate) const ROUTERS: u16 = 50;
const INTERFACES: u16 = NETWORKS / ROUTERS;
/// Of each router.
const FLOATING_IPS: u16 = 5;

/// Every network has one instance and one router; every router joins ten networks to the outside.
pub(crate) fn topology() -> String {
    let mut text = String::from(OUTSIDE);
    for number in 0..NETWORKS {
        let (network, mac, address) = (network(number), mac(number), address(number));
        let [a, b, c, _] = address.octets();
        write!(
            text,
            r#"
[[network]]
name = "{network}"
bridge = "{bridge}"
[[network.subnet]]
cidr = "{a}.{b}.{c}.0/24"
[[instance]]
name = "vm{number}"
[[instance.port]]
network = "{network}"
mac = "{mac}"
addresses = ["{address}"]
"#,
            bridge = bridge(number)
        )
        .unwrap();
    }
    for number in 0..ROUTERS {
        let first = number * INTERFACES;
        let joined: Vec<_> = (first..first + INTERFACES).map(network).collect();
        let [high, low] = number.to_be_bytes();
        write!(
            text,
            r#"
[[router]]
name = "r{number}"
interfaces = {joined:?}
gateway = {{ network = "outside", address = "198.18.{high}.{}" }}
"#,
            low + 10
        )
        .unwrap();
        for floating in 0..FLOATING_IPS {
            write!(
                text,
                r#"
[[router.floating_ip]]
address = "198.18.{}.{floating}"
instance = "vm{}"
"#,
                number + 10,
                first + floating
            )
            .unwrap();
        }
    }
    text
}

pub(crate) const OUTSIDE: &str = r#"
[[network]]
name = "outside"
bridge = "br-outside"
external = true
[[network.subnet]]
cidr = "198.18.0.0/16"
gateway = "198.18.0.1"
dhcp = false
"#;

/// One network with so many instances, the last of which is `vm<count - 1>`.
pub(crate) fn crowd(count: u16) -> String {
    let mut text = String::from(
        r#"
[[network]]
name = "crowd"
bridge = "br-crowd"
[[network.subnet]]
cidr = "10.64.0.0/16"
"#,
    );
    for number in 0..count {
        text.push_str(&of_crowd(number));
    }
    text
}

/// One instance of [`crowd`].
pub(crate) fn of_crowd(number: u16) -> String {
    let [high, low] = (number + 256).to_be_bytes();
    format!(
        r#"
[[instance]]
name = "vm{number}"
[[instance.port]]
network = "crowd"
mac = "{}"
addresses = ["10.64.{high}.{low}"]
"#,
        mac(number)
    )
}

fn network(number: u16) -> String {
    format!("n{number}")
}

pub(crate) fn bridge(number: u16) -> String {
    format!("br-{number}")
}

/// Of the instance with this number.
pub(crate) fn mac(number: u16) -> netns::MacAddr {
    let [high, low] = number.to_be_bytes();
    netns::MacAddr([0xfa, 0x16, 0x3e, 0, high, low])
}

/// Of the instance on the network with this number.
pub(crate) fn address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, high, low, 10)
}
