//! The tests' ground: a network with a daemon, and somebody on it who sends what the test says and hears everything.

pub(crate) use super::common::asker::{
    Ask, ask, bootp, discover, inform, rebind, reboot, renew, select,
};
use super::common::asker::{Asker, Heard, Mac, mac};
use super::common::{Daemon, Host};

/// Has 10.0.0.10.
pub(crate) const ANN: Mac = mac(0xa);
/// Has 10.0.0.11, and options of its own.
pub(crate) const OPA: Mac = mac(0xb);
/// Has 10.2.0.12, in the other subnet of the link.
pub(crate) const FAR: Mac = mac(0xc);
/// Has 10.0.0.13, and is known by its client id `ib-7` too.
pub(crate) const IDA: Mac = mac(0xd);
/// Has nothing.
pub(crate) const STRANGER: Mac = mac(0xe);
const TOPOLOGY: &str = r#"
dns_domain = "example.org"

[[network]]
name = "lan"
bridge = "lan"
mtu = 1400

[[network.subnet]]
name = "near"
cidr = "10.0.0.0/24"
dhcp_address = "10.0.0.2"
ntp_servers = ["10.0.0.3"]
host_routes = [{ to = "192.168.0.0/16", via = "10.0.0.7" }]

[[network.subnet]]
name = "far"
cidr = "10.2.0.0/24"
dhcp_address = "10.2.0.2"

[[instance]]
name = "ann"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:0a"
addresses = ["10.0.0.10"]

[[instance]]
name = "opa"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:0b"
addresses = ["10.0.0.11"]
[[instance.port.dhcp_options]]
name = "tag:!ipxe,bootfile-name"
value = "undionly.kpxe"
[[instance.port.dhcp_options]]
name = "tag:ipxe,67"
value = "http://boot/script"
[[instance.port.dhcp_options]]
name = "tftp-server"
value = "10.0.0.5"
[[instance.port.dhcp_options]]
name = "server-ip-address"
value = "10.0.0.5"
[[instance.port.dhcp_options]]
name = "ntp-server"
value = "192.0.2.9"
[[instance.port.dhcp_options]]
name = "224"
value = "01:02:03"

[[instance]]
name = "far"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:0c"
addresses = ["10.2.0.12"]

[[instance]]
name = "ida"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:0d"
addresses = ["10.0.0.13"]
dhcp_options = { client-id = "ib-7" }

[[instance]]
name = "probe"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:77:77:77"
addresses = ["10.0.0.99"]
"#;

/// The asker is a relay too: it has 10.0.0.9 and 10.2.0.9.
pub(crate) struct Lan {
    pub(crate) daemon: Daemon,
    asker: Asker,
    /// Held for its `Drop`, which ends all of it.
    _host: Host,
}

impl Lan {
    pub(crate) fn new(name: &str) -> Option<Self> {
        let host = Host::new(name)?;
        let daemon = host.warren_run(TOPOLOGY);
        let guest = host.guest("tester", "lan", "fa:16:3e:00:00:99");
        guest.ip("addr add 10.0.0.9/24 dev eth0\naddr add 10.2.0.9/24 dev eth0");
        let asker = Asker::new(guest, "10.0.0.2");
        // Both know each other, so that no reply has to wait for ARP.
        for (own, server) in [("10.0.0.9", "10.0.0.2"), ("10.2.0.9", "10.2.0.2")] {
            asker
                .guest
                .run(&["ping", "-c1", "-W5", "-I", own, server])
                .ok();
        }
        Some(Self {
            daemon,
            asker,
            _host: host,
        })
    }

    /// The answer in words, or "silence".
    pub(crate) fn said(&mut self, ask: &Ask) -> String {
        self.asker.said(ask)
    }

    pub(crate) fn hear(&mut self, ask: &Ask) -> Option<Heard> {
        self.asker.hear(ask)
    }

    /// Sends these bytes the way that `ask` travels.
    pub(crate) fn send(&self, ask: &Ask, message: Vec<u8>) {
        self.asker.send(ask, message);
    }

    /// `warren show network lan --json`.
    pub(crate) fn shown(&self) -> serde_json::Value {
        let text = self
            .daemon
            .warren(&["show", "network", "lan", "--json"])
            .ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The lease of this address, as it is shown.
    pub(crate) fn lease(&self, address: &str) -> Option<String> {
        let shown = self.shown();
        let leases = shown["leases"].as_array().unwrap();
        let lease = leases.iter().find(|lease| lease["address"] == address)?;
        Some(lease["state"].as_str().unwrap().to_owned())
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.shown()["counters"]["dhcp"][name].as_u64().unwrap()
    }
}
