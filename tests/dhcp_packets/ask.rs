//! The tests' ground: a network with a daemon, and somebody on it who sends what the test says and hears everything.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dhcproto::Encodable;
use dhcproto::v4::{MessageType, OptionCode};

use super::common::{Daemon, Dhcp, Guest, Host, PATIENCE, Udp, Wire, udp_frame, wait_for};

pub(crate) type Mac = [u8; 6];

pub(crate) const fn mac(last: u8) -> Mac {
    [0xfa, 0x16, 0x3e, 0, 0, last]
}

/// Has 10.0.0.10.
pub(crate) const ANN: Mac = mac(0xa);
/// Has 10.0.0.11, and options of its own.
pub(crate) const OPA: Mac = mac(0xb);
/// Has 10.2.0.12, in the other subnet of the link.
pub(crate) const FAR: Mac = mac(0xc);
/// Has 10.0.0.13, and is known by its client id `ib-7` alone.
pub(crate) const IDA: Mac = mac(0xd);
/// Has nothing.
pub(crate) const STRANGER: Mac = mac(0xe);
/// Has 10.0.0.99, and is always answered: whoever was not answered before it, is not.
const PROBE: Mac = [0xfa, 0x16, 0x3e, 0x77, 0x77, 0x77];

pub(crate) const ALL: Mac = [0xff; 6];

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

/// A client's message, and how it travels.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) mac: Mac,
    broadcast_flag: bool,
    ciaddr: Ipv4Addr,
    giaddr: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
    /// From where it is sent to the server alone; `None`: to everybody.
    unicast_from: Option<SocketAddrV4>,
}

pub(crate) fn bootp(mac: Mac) -> Ask {
    let none = Ipv4Addr::UNSPECIFIED;
    Ask {
        mac,
        broadcast_flag: false,
        ciaddr: none,
        giaddr: none,
        options: vec![],
        unicast_from: None,
    }
}

pub(crate) fn ask(mac: Mac, kind: MessageType) -> Ask {
    bootp(mac).option(53, &[kind.into()])
}

pub(crate) fn discover(mac: Mac) -> Ask {
    ask(mac, MessageType::Discover)
}

/// REQUEST, SELECTING.
pub(crate) fn select(mac: Mac, server: &str, address: &str) -> Ask {
    reboot(mac, address).address(54, server)
}

/// REQUEST, INIT-REBOOT.
pub(crate) fn reboot(mac: Mac, address: &str) -> Ask {
    ask(mac, MessageType::Request).address(50, address)
}

/// REQUEST, RENEWING.
pub(crate) fn renew(mac: Mac, address: &str) -> Ask {
    let mut ask = rebind(mac, address);
    ask.unicast_from = Some(SocketAddrV4::new(address.parse().unwrap(), 68));
    ask
}

/// REQUEST, REBINDING.
pub(crate) fn rebind(mac: Mac, address: &str) -> Ask {
    ask(mac, MessageType::Request).ciaddr(address)
}

pub(crate) fn inform(mac: Mac, address: &str) -> Ask {
    ask(mac, MessageType::Inform).ciaddr(address)
}

impl Ask {
    pub(crate) fn option(mut self, code: u8, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    pub(crate) fn address(self, code: u8, address: &str) -> Self {
        let address: Ipv4Addr = address.parse().unwrap();
        self.option(code, &address.octets())
    }

    /// The parameter request list.
    pub(crate) fn list(self, codes: &[u8]) -> Self {
        self.option(55, codes)
    }

    pub(crate) fn ciaddr(mut self, address: &str) -> Self {
        self.ciaddr = address.parse().unwrap();
        self
    }

    pub(crate) fn broadcast_flag(mut self) -> Self {
        self.broadcast_flag = true;
        self
    }

    /// As a relay passes it on.
    pub(crate) fn relay(mut self, giaddr: &str) -> Self {
        self.giaddr = giaddr.parse().unwrap();
        self.unicast_from = Some(SocketAddrV4::new(self.giaddr, 67));
        self
    }

    pub(crate) fn message(&self, xid: u32) -> Vec<u8> {
        let mut message = vec![1, 1, 6, 0];
        message.extend(xid.to_be_bytes());
        message.extend([0, 7, u8::from(self.broadcast_flag) << 7, 0]);
        message.extend(self.ciaddr.octets());
        message.extend([0; 8]);
        message.extend(self.giaddr.octets());
        message.extend(self.mac);
        message.resize(236, 0);
        message.extend([99, 130, 83, 99]);
        for (code, value) in &self.options {
            message.extend([*code, u8::try_from(value.len()).unwrap()]);
            message.extend(value);
        }
        message.push(255);
        message.resize(message.len().max(300), 0);
        message
    }
}

/// What was heard in answer.
#[derive(Debug)]
pub(crate) struct Heard(pub(crate) Dhcp);

impl Heard {
    /// The bytes of an option.
    pub(crate) fn option(&self, code: u8) -> Option<Vec<u8>> {
        let option = self.0.message.opts().get(OptionCode::from(code))?;
        let mut wire = Vec::new();
        option
            .encode(&mut dhcproto::Encoder::new(&mut wire))
            .unwrap();
        Some(wire.get(2..).unwrap_or_default().to_vec())
    }

    /// Codes in the order in which they were sent.
    pub(crate) fn order(&self) -> Vec<u8> {
        let mut rest = &self.0.udp.payload[240..];
        let mut codes = Vec::new();
        while let [code, length, after @ ..] = rest {
            if *code == 255 {
                break;
            }
            codes.push(*code);
            rest = &after[usize::from(*length)..];
        }
        codes
    }

    /// Kind, address, and whom it was sent to.
    pub(crate) fn words(&self) -> String {
        let Dhcp { udp, message } = &self.0;
        let kind = self
            .0
            .kind()
            .map_or("bootp".into(), |kind| format!("{kind:?}").to_lowercase());
        let whom = match udp.to_mac {
            ALL => "all",
            RELAY => "relay",
            mac if message.chaddr() == mac => "client",
            _ => "somebody",
        };
        format!(
            "{kind} {} from {} to {whom} at {}",
            message.yiaddr(),
            udp.from.ip(),
            udp.to
        )
    }
}

/// Where the test's frames come from; as a relay it has 10.0.0.9 and 10.2.0.9.
const RELAY: Mac = mac(0x99);

pub(crate) struct Lan {
    pub(crate) daemon: Daemon,
    guest: Guest,
    wire: Wire,
    server: Mac,
    next_xid: u32,
    /// Held for its `Drop`, which ends all of it.
    _host: Host,
}

impl Lan {
    pub(crate) fn new(name: &str) -> Option<Self> {
        let host = Host::new(name)?;
        let daemon = host.warren_run(TOPOLOGY);
        let guest = host.guest("tester", "lan", "fa:16:3e:00:00:99");
        guest.ip("addr add 10.0.0.9/24 dev eth0\naddr add 10.2.0.9/24 dev eth0");
        let wire = guest.wire();
        let mut lan = Self {
            daemon,
            guest,
            wire,
            server: ALL,
            next_xid: 1,
            _host: host,
        };
        // A device that was just plugged drops frames until it carries them.
        wait_for("the wire to carry", PATIENCE, || {
            lan.send(&discover(PROBE), discover(PROBE).message(0));
            let reply = |frame: &[u8]| Dhcp::parse(frame).filter(|dhcp| dhcp.udp.payload[0] == 2);
            lan.wire.recv(Duration::from_millis(200), reply)
        });
        let probed = lan.hear(&discover(PROBE)).expect("the daemon serves");
        lan.server = probed.0.udp.from_mac;
        // Both know each other, so that no reply has to wait for ARP.
        for (own, server) in [("10.0.0.9", "10.0.0.2"), ("10.2.0.9", "10.2.0.2")] {
            lan.guest
                .run(&["ping", "-c1", "-W5", "-I", own, server])
                .ok();
        }
        Some(lan)
    }

    /// The answer in words, or "silence".
    pub(crate) fn said(&mut self, ask: &Ask) -> String {
        self.hear(ask)
            .map_or("silence".into(), |heard| heard.words())
    }

    /// Sends it, and after it somebody who is always answered. What did not come by then will not come.
    pub(crate) fn hear(&mut self, ask: &Ask) -> Option<Heard> {
        let (xid, probe) = (self.next_xid, self.next_xid + 1);
        self.next_xid += 2;
        self.wire.drain();
        self.send(ask, ask.message(xid));
        self.send(&discover(PROBE), discover(PROBE).message(probe));
        let mut heard = None;
        let probed = self.wire.recv(PATIENCE, |frame| {
            let dhcp = Dhcp::parse(frame).filter(|dhcp| dhcp.udp.payload[0] == 2)?;
            let answers = dhcp.message.xid();
            if answers == xid {
                heard = Some(Heard(dhcp));
            }
            (answers == probe).then_some(())
        });
        assert!(
            probed.is_some(),
            "the daemon answers no more:\n{}",
            self.daemon.log()
        );
        heard
    }

    /// Sends these bytes the way that `ask` travels.
    pub(crate) fn send(&self, ask: &Ask, message: Vec<u8>) {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let to = match ask.unicast_from {
            Some(_) => Ipv4Addr::new(10, 0, 0, 2),
            None => Ipv4Addr::BROADCAST,
        };
        self.wire.send(&udp_frame(&Udp {
            to_mac: if ask.unicast_from.is_some() {
                self.server
            } else {
                ALL
            },
            from_mac: if ask.giaddr.is_unspecified() {
                ask.mac
            } else {
                RELAY
            },
            from: ask.unicast_from.unwrap_or(any),
            to: SocketAddrV4::new(to, 67),
            payload: message,
        }));
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
