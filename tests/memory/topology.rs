//! A crowded network, hostile ones, and a calm one.

use std::fmt::Write;

use super::gang::{ADDRESSES, HOSTILE, address, mac};
use super::resolver::AT;

pub const METADATA: &str = "http://169.254.169.254/latest/meta-data/instance-id";

/// Ports of the crowded network.
const CROWD: u16 = 10_000;
/// Bytes of what a hostile instance is told at its boot.
const USER_DATA: usize = 60_000;

pub const LATE: &str = r#"
[[instance]]
name = "late"
[[instance.port]]
network = "calm"
mac = "fa:16:3e:00:ca:03"
addresses = ["10.250.0.13"]
"#;

pub fn topology(more: &str) -> String {
    let mut text = format!(
        r#"
dns_domain = "test"
dns_resolvers = ["{AT}"]
# As much as can be asked for.
dns_cache = 10000
metadata = {{ source = "file" }}

[[network]]
name = "calm"
bridge = "br-calm"
[[network.subnet]]
cidr = "10.250.0.0/24"

[[instance]]
name = "calm1"
[[instance.port]]
network = "calm"
mac = "fa:16:3e:00:ca:01"
addresses = ["10.250.0.11"]

[[instance]]
name = "calm2"
[[instance.port]]
network = "calm"
mac = "fa:16:3e:00:ca:02"
addresses = ["10.250.0.12"]

[[network]]
name = "crowd"
bridge = "br-crowd"
[[network.subnet]]
cidr = "10.64.0.0/16"
"#
    );
    for number in 0..CROWD {
        let [high, low] = (number + 256).to_be_bytes();
        write!(
            text,
            "[[instance]]\nname = \"vm{number}\"\n[[instance.port]]\nnetwork = \"crowd\"\n\
             mac = \"fa:16:3e:01:{high:02x}:{low:02x}\"\naddresses = [\"10.64.{high}.{low}\"]\n"
        )
        .unwrap();
    }
    for network in 0..HOSTILE {
        write!(
            text,
            "[[network]]\nname = \"hostile{network}\"\nbridge = \"br-hostile{network}\"\n\
             [[network.subnet]]\ncidr = \"10.{network}.0.0/16\"\ndhcp_address = \"10.{network}.0.2\"\n\
             [[network.subnet]]\ncidr = \"fd00:{network}::/64\"\nipv6_address_mode = \"dhcpv6-stateful\"\n"
        )
        .unwrap();
        for number in 0..ADDRESSES {
            let (mac, address) = (mac(network, number), address(network, number));
            let user_data = match number {
                0 => format!("user_data = \"{}\"\n", "x".repeat(USER_DATA)),
                _ => String::new(),
            };
            write!(
                text,
                "[[instance]]\nname = \"bad{network}-{number}\"\n{user_data}[[instance.port]]\nnetwork = \"hostile{network}\"\n\
                 mac = \"{mac}\"\naddresses = [\"{address}\"]\n"
            )
            .unwrap();
        }
    }
    text + more
}
