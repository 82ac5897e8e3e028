//! Topologies that more than one behaviour is tried on.

/// One routed network `blue` with the instance `blue1`, which has a floating IP, and the external network `outside`.
pub const ROUTED: &str = r#"
dns_domain = "test"

[[network]]
name = "blue"
bridge = "br-blue"
[[network.subnet]]
cidr = "10.0.1.0/24"

[[network]]
name = "outside"
bridge = "br-outside"
external = true
[[network.subnet]]
cidr = "203.0.113.0/24"
gateway = "203.0.113.1"
dhcp = false

[[instance]]
name = "blue1"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:01:01"
addresses = ["10.0.1.11"]

[[router]]
name = "r1"
interfaces = ["blue"]
gateway = { network = "outside", address = "203.0.113.5" }
[[router.floating_ip]]
address = "203.0.113.20"
instance = "blue1"
"#;
