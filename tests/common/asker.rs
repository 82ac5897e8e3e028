//! DHCPv4 questions, crafted, and what is heard in answer; whichever server there is on the link.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dhcproto::Encodable;
use dhcproto::v4::{MessageType, OptionCode};

use super::{Dhcp, Guest, PATIENCE, Udp, Wire, udp_frame, wait_for};

pub type Mac = [u8; 6];

pub const fn mac(last: u8) -> Mac {
    [0xfa, 0x16, 0x3e, 0, 0, last]
}

/// Everybody on the link.
pub const ALL: Mac = [0xff; 6];
/// Has an address, and is always answered: whoever was not answered before it, is not.
pub const PROBE: Mac = [0xfa, 0x16, 0x3e, 0x77, 0x77, 0x77];
/// Where an [`Asker`]'s frames come from when it is a relay.
pub const RELAY: Mac = mac(0x99);

/// A client's message, and how it travels.
#[derive(Debug, Clone)]
pub struct Ask {
    pub mac: Mac,
    broadcast_flag: bool,
    ciaddr: Ipv4Addr,
    giaddr: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
    cookie: [u8; 4],
    /// From where it is sent to the server alone; `None`: to everybody.
    unicast_from: Option<SocketAddrV4>,
}

pub fn bootp(mac: Mac) -> Ask {
    let none = Ipv4Addr::UNSPECIFIED;
    Ask {
        mac,
        broadcast_flag: false,
        ciaddr: none,
        giaddr: none,
        options: vec![],
        cookie: [99, 130, 83, 99],
        unicast_from: None,
    }
}

pub fn ask(mac: Mac, kind: MessageType) -> Ask {
    bootp(mac).option(53, &[kind.into()])
}

pub fn discover(mac: Mac) -> Ask {
    ask(mac, MessageType::Discover)
}

/// REQUEST, SELECTING.
pub fn select(mac: Mac, server: &str, address: &str) -> Ask {
    reboot(mac, address).address(54, server)
}

/// REQUEST, INIT-REBOOT.
pub fn reboot(mac: Mac, address: &str) -> Ask {
    ask(mac, MessageType::Request).address(50, address)
}

/// REQUEST, RENEWING.
pub fn renew(mac: Mac, address: &str) -> Ask {
    let mut ask = rebind(mac, address);
    ask.unicast_from = Some(SocketAddrV4::new(address.parse().unwrap(), 68));
    ask
}

/// REQUEST, REBINDING.
pub fn rebind(mac: Mac, address: &str) -> Ask {
    ask(mac, MessageType::Request).ciaddr(address)
}

pub fn inform(mac: Mac, address: &str) -> Ask {
    ask(mac, MessageType::Inform).ciaddr(address)
}

impl Ask {
    pub fn option(mut self, code: u8, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    pub fn address(self, code: u8, address: &str) -> Self {
        let address: Ipv4Addr = address.parse().unwrap();
        self.option(code, &address.octets())
    }

    /// The parameter request list.
    pub fn list(self, codes: &[u8]) -> Self {
        self.option(55, codes)
    }

    pub fn ciaddr(mut self, address: &str) -> Self {
        self.ciaddr = address.parse().unwrap();
        self
    }

    pub fn broadcast_flag(mut self) -> Self {
        self.broadcast_flag = true;
        self
    }

    /// As before there were options.
    pub fn without_cookie(mut self) -> Self {
        self.cookie = [0; 4];
        self
    }

    /// As a relay passes it on.
    pub fn relay(mut self, giaddr: &str) -> Self {
        self.giaddr = giaddr.parse().unwrap();
        self.unicast_from = Some(SocketAddrV4::new(self.giaddr, 67));
        self
    }

    pub fn message(&self, xid: u32) -> Vec<u8> {
        let mut message = vec![1, 1, 6, 0];
        message.extend(xid.to_be_bytes());
        message.extend([0, 7, u8::from(self.broadcast_flag) << 7, 0]);
        message.extend(self.ciaddr.octets());
        message.extend([0; 8]);
        message.extend(self.giaddr.octets());
        message.extend(self.mac);
        message.resize(236, 0);
        message.extend(self.cookie);
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
pub struct Heard(pub Dhcp);

impl Heard {
    /// The bytes of an option.
    pub fn option(&self, code: u8) -> Option<Vec<u8>> {
        let option = self.0.message.opts().get(OptionCode::from(code))?;
        let mut wire = Vec::new();
        option
            .encode(&mut dhcproto::Encoder::new(&mut wire))
            .unwrap();
        Some(wire.get(2..).unwrap_or_default().to_vec())
    }

    /// Codes in the order in which they were sent.
    pub fn order(&self) -> Vec<u8> {
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
    pub fn words(&self) -> String {
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

/// Somebody on a link who sends what the test says and hears everything.
#[derive(Debug)]
pub struct Asker {
    pub guest: Guest,
    wire: Wire,
    server: Mac,
    server_ip: Ipv4Addr,
    next_xid: u32,
}

impl Asker {
    /// A guest whose own MAC is [`RELAY`]. Waits until the server, which knows [`PROBE`], answers.
    pub fn new(guest: Guest, server_ip: &str) -> Self {
        let wire = guest.wire();
        let mut asker = Self {
            guest,
            wire,
            server: ALL,
            server_ip: server_ip.parse().unwrap(),
            next_xid: 1,
        };
        // A device that was just plugged drops frames until it carries them.
        wait_for("the server to answer", PATIENCE, || {
            asker.send(&discover(PROBE), discover(PROBE).message(0));
            let reply = |frame: &[u8]| Dhcp::parse(frame).filter(|dhcp| dhcp.udp.payload[0] == 2);
            asker.wire.recv(Duration::from_millis(200), reply)
        });
        let probed = asker.hear(&discover(PROBE)).expect("the server serves");
        asker.server = probed.0.udp.from_mac;
        asker
    }

    /// The answer in words, or "silence".
    pub fn said(&mut self, ask: &Ask) -> String {
        self.hear(ask)
            .map_or("silence".into(), |heard| heard.words())
    }

    /// Sends it, and after it somebody who is always answered. What did not come by then will not come.
    pub fn hear(&mut self, ask: &Ask) -> Option<Heard> {
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
        assert!(probed.is_some(), "the server answers no more");
        heard
    }

    /// Sends these bytes the way that `ask` travels.
    pub fn send(&self, ask: &Ask, message: Vec<u8>) {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let to = match ask.unicast_from {
            Some(_) => self.server_ip,
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
}
