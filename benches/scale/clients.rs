//! DHCP clients on many bridges at once, to see when they are served.

use std::time::{Duration, Instant};

use dhcproto::v4::{Message, MessageType};
use netns::MacAddr;
use nix::sys::socket::SockProtocol;

use crate::common::{Dhcp, PATIENCE, discover};
use crate::frames::Frames;

/// Clients that speak through the bridges' own devices, in the host's namespace: no tap of theirs is needed, and what they
/// say goes through the bridge, the cable and the namespace all the same. Replies come as broadcast.
#[derive(Debug)]
pub(crate) struct Clients {
    frames: Frames,
    clients: Vec<Client>,
    /// Tells the answers to one round of questions from those to an earlier one.
    round: u16,
}

#[derive(Debug)]
struct Client {
    bridge: String,
    mac: MacAddr,
    /// `None`: the bridge was not there when it was last asked for.
    to: Option<u32>,
}

impl Clients {
    /// In the namespace that the calling thread is in; the bridges need not be there yet.
    pub(crate) fn open(bridges: impl Iterator<Item = (String, MacAddr)>) -> Self {
        // Bound to no device, and for IP only: it hears what reaches the bridges themselves, and nothing twice.
        let frames = Frames::open(SockProtocol::EthIp);
        let clients = bridges.map(|(bridge, mac)| Client {
            bridge,
            mac,
            to: None,
        });
        Self {
            frames,
            clients: clients.collect(),
            round: 0,
        }
    }

    /// Asks for other addresses than before, on the same bridges.
    pub(crate) fn set_mac(&mut self, number: usize, mac: MacAddr) {
        self.clients[number].mac = mac;
    }

    /// All ask `every` so often until they have an offer, at the latest after some patience. When each had it.
    pub(crate) fn until_offered(&mut self, every: Duration) -> Vec<Instant> {
        self.until(every, |_| true)
    }

    /// The same for an offer with something in it.
    pub(crate) fn until(
        &mut self,
        every: Duration,
        wanted: impl Fn(&Message) -> bool,
    ) -> Vec<Instant> {
        self.round += 1;
        let mut offered: Vec<Option<Instant>> = vec![None; self.clients.len()];
        let mut missing = offered.len();
        let begin = Instant::now();
        let mut ask_at = begin;
        while missing > 0 {
            let now = Instant::now();
            assert!(
                now < begin + PATIENCE,
                "{missing} networks are not served, the first is number {:?}",
                offered.iter().position(Option::is_none)
            );
            if now >= ask_at {
                ask_at = now + every;
                for (number, _) in offered.iter().enumerate().filter(|(_, at)| at.is_none()) {
                    self.ask(number);
                }
            }
            self.frames.wait(ask_at);
            while let Some((number, offer)) = self.receive() {
                if !wanted(&offer) {
                    continue;
                }
                if let Some(at @ None) = offered.get_mut(number) {
                    *at = Some(Instant::now());
                    missing -= 1;
                }
            }
        }
        offered.into_iter().flatten().collect()
    }

    /// The first client asks until nothing has been offered for so long; when the last question was asked that had an offer.
    pub(crate) fn until_silent(&mut self, every: Duration, silence: Duration) -> Instant {
        let begin = Instant::now();
        let mut asked = begin;
        let mut answered = begin;
        while asked < answered + silence {
            assert!(begin.elapsed() < PATIENCE, "the client is served on and on");
            self.round += 1;
            asked = Instant::now();
            self.ask(0);
            while Instant::now() < asked + every {
                self.frames.wait(asked + every);
                while self.receive().is_some() {
                    answered = asked;
                }
            }
        }
        answered
    }

    /// A bridge that takes nothing now, or is not there, is asked again.
    fn ask(&mut self, number: usize) {
        let xid = u32::from(self.round) << 16 | u32::try_from(number).expect("they are few");
        let client = &mut self.clients[number];
        if client.to.is_none() {
            client.to = self.frames.index(&client.bridge);
        }
        if let Some(bridge) = client.to {
            self.frames.send(bridge, &discover(client.mac, xid));
        }
    }

    /// Which client an offer of this round is for; other frames are read over. `None`: nothing more for now.
    fn receive(&self) -> Option<(usize, Message)> {
        while let Some((_, frame)) = self.frames.receive() {
            let offer = Dhcp::parse(&frame).filter(|dhcp| dhcp.kind() == Some(MessageType::Offer));
            let offer = offer.map(|offer| offer.message);
            if let Some(offer) = offer.filter(|offer| offer.xid() >> 16 == u32::from(self.round)) {
                return Some(((offer.xid() & 0xffff) as usize, offer));
            }
        }
        None
    }
}
