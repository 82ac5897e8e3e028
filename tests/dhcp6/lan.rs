//! The tests' ground: a network with a daemon, and somebody on it who sends what the test says and hears everything.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use super::common::{Daemon, Guest, Host, PATIENCE, Udp6, Wire, settled, wait_for};
use super::message::{Says, said};

pub(crate) type Mac = [u8; 6];

pub(crate) const fn mac(last: u8) -> Mac {
    [0xfa, 0x16, 0x3e, 0, 0, last]
}

/// Has 2001:db8:1::a.
pub(crate) const ANN: u8 = 0xa;
/// Has an address in each of two subnets, and options of its own.
pub(crate) const OPA: u8 = 0xb;
/// Has an address of its own making, in the stateless subnet.
pub(crate) const LES: u8 = 0xc;
/// Has 2001:db8:1::99, and is who the test's frames come from.
pub(crate) const SELF: u8 = 0x99;
/// Has nothing.
pub(crate) const STRANGER: u8 = 0xe;
/// Has 2001:db8:1::77, and is always answered: whoever was not answered before it, is not.
pub(super) const PROBE: u8 = 0x77;

/// With DHCPv6 of all kinds.
pub(crate) const TOPOLOGY: &str = include_str!("lan.toml");

/// Somebody on a link with a DHCPv6 server, whichever that is.
pub(crate) struct Link {
    /// Held for its `Drop`.
    _guest: Guest,
    wire: Wire,
    next: u32,
}

impl Link {
    pub(crate) fn new(guest: Guest) -> Self {
        let wire = guest.wire();
        let link = Self {
            _guest: guest,
            wire,
            next: 1,
        };
        // A device that was just plugged drops frames until it carries them, and a server may still be starting.
        wait_for("the server to answer", PATIENCE, || {
            let probe = Says::solicit(PROBE);
            link.send(&probe, &probe.packet(0));
            link.wire.recv(Duration::from_millis(200), reply)
        });
        link
    }

    /// The answer in words, or "silence".
    pub(crate) fn said(&mut self, says: &Says) -> String {
        self.hear(says).map_or("silence".into(), |udp| said(&udp))
    }

    /// Sends it, and after it somebody who is always answered. What did not come by then will not come.
    pub(crate) fn hear(&mut self, says: &Says) -> Option<Udp6> {
        let (number, probe_number) = (self.next, self.next + 1);
        self.next += 2;
        self.wire.drain();
        self.send(says, &says.packet(number));
        let probe = Says::solicit(PROBE);
        if says.waits {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.send(&probe, &probe.packet(probe_number));
        let mut heard = None;
        let probed = self.wire.recv(PATIENCE, |frame| {
            let udp = reply(frame)?;
            let of = super::message::transaction(&udp.payload)?;
            if of == number {
                heard = Some(udp);
            }
            (of == probe_number).then_some(())
        });
        assert!(probed.is_some(), "the server answers no more");
        heard
    }

    pub(crate) fn send(&self, says: &Says, message: &[u8]) {
        self.wire.send(&datagram(says, message).frame());
    }

    /// Sends a frame of its own kind; what comes to this address within the time.
    pub(crate) fn exchange(&self, says: &Says, number: u32) -> Option<(Udp6, Duration)> {
        self.wire.drain();
        let begin = std::time::Instant::now();
        self.send(says, &says.packet(number));
        let heard = self.wire.recv(Duration::from_secs(5), |frame| {
            let udp = reply(frame)?;
            (super::message::transaction(&udp.payload)? == number).then_some(udp)
        });
        heard.map(|udp| (udp, begin.elapsed()))
    }
}

fn reply(frame: &[u8]) -> Option<Udp6> {
    Udp6::parse(frame)
        .filter(|udp| udp.from.port() == 547 && matches!(udp.payload.first(), Some(2 | 7 | 13)))
}

fn datagram(says: &Says, message: &[u8]) -> Udp6 {
    let group: Ipv6Addr = "ff02::1:2".parse().unwrap();
    let (to_mac, to) = match says.to_server {
        None => ([0x33, 0x33, 0, 1, 0, 2], group),
        Some((mac, address)) => (mac, address),
    };
    Udp6 {
        to_mac,
        from_mac: says.mac,
        from: SocketAddrV6::new(says.source, says.port, 0, 0),
        to: SocketAddrV6::new(to, 547, 0, 0),
        payload: message.to_vec(),
    }
}

/// The same with warren.
pub(crate) struct Lan {
    pub(crate) daemon: Daemon,
    pub(crate) link: Link,
    /// Held for its `Drop`, which ends all of it.
    _host: Host,
}

impl Lan {
    pub(crate) fn new(name: &str) -> Option<Self> {
        Self::with(name, "")
    }

    /// With machines beside those of the topology.
    pub(crate) fn with(name: &str, machines: &str) -> Option<Self> {
        let host = Host::new(name)?;
        let daemon = host.warren_run(&format!("{TOPOLOGY}{machines}"));
        let guest = host.guest("tester", "lan", "fa:16:3e:00:00:99");
        // A relay that is no machine's, and an address that no MAC can be read from.
        guest.ip("addr add 2001:db8:1::9/64 dev eth0 nodad\naddr add fe80::1234:5678:9abc:def0/64 dev eth0 nodad");
        settled(&guest, "eth0");
        // Before that the kernel does not ask for neighbours from there.
        let namespace = daemon.json(&["show", "network", "lan"])["namespace"].clone();
        let namespace = namespace.as_str().unwrap();
        wait_for("the server's own address to be there", PATIENCE, || {
            let seen = host.run_in(namespace, &["ip", "-6", "addr"]).ok();
            (!seen.contains("tentative")).then_some(())
        });
        let link = Link::new(guest);
        Some(Self {
            daemon,
            link,
            _host: host,
        })
    }

    /// `warren show network lan --json`.
    pub(crate) fn shown(&self) -> serde_json::Value {
        self.daemon.json(&["show", "network", "lan"])
    }

    /// The lease of this address, as it is shown.
    pub(crate) fn lease(&self, address: &str) -> Option<String> {
        let shown = self.shown();
        let leases = shown["leases"].as_array().unwrap();
        let lease = leases.iter().find(|lease| lease["address"] == address)?;
        Some(lease["state"].as_str().unwrap().to_owned())
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.shown()["counters"]["dhcp6"][name].as_u64().unwrap()
    }
}
