//! DHCP clients on many bridges at once, to see when they are served.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use dhcproto::v4::{Message, MessageType};
use netns::MacAddr;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, recv,
    sendmsg, setsockopt, socket, sockopt,
};

use crate::common::{Dhcp, PATIENCE, discover};

/// Room for an answer to each of the clients at once.
const RECEIVE: usize = 4 << 20;

/// Clients that speak through the bridges' own devices, in the host's namespace: no tap of theirs is needed, and what they
/// say goes through the bridge, the cable and the namespace all the same. Replies come as broadcast.
#[derive(Debug)]
pub(crate) struct Clients {
    socket: OwnedFd,
    clients: Vec<Client>,
    /// Tells the answers to one round of questions from those to an earlier one.
    round: u16,
}

#[derive(Debug)]
struct Client {
    bridge: String,
    mac: MacAddr,
    /// `None`: the bridge was not there when it was last asked for.
    to: Option<LinkAddr>,
}

impl Clients {
    /// In the namespace that the calling thread is in; the bridges need not be there yet.
    pub(crate) fn open(bridges: impl Iterator<Item = (String, MacAddr)>) -> Self {
        // Bound to no device, and for IP only: it hears what reaches the bridges themselves, and nothing twice.
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::EthIp,
        )
        .unwrap();
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE).unwrap();
        let clients = bridges.map(|(bridge, mac)| Client {
            bridge,
            mac,
            to: None,
        });
        Self {
            socket,
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
            self.wait(ask_at);
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
                self.wait(asked + every);
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
            let index = rustix::net::netdevice::name_to_index(&self.socket, &client.bridge);
            client.to = index.ok().map(link_address);
        }
        let frame = discover(client.mac, xid);
        if let Some(bridge) = &client.to {
            let _refused = sendmsg(
                self.socket.as_raw_fd(),
                &[IoSlice::new(&frame)],
                &[],
                MsgFlags::empty(),
                Some(bridge),
            );
        }
    }

    fn wait(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        // Whole milliseconds only: the shortest waits are spent looking.
        let millis = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
        let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::from(millis)).unwrap();
    }

    /// Which client an offer of this round is for; other frames are read over. `None`: nothing more for now.
    fn receive(&self) -> Option<(usize, Message)> {
        let mut frame = [0; 2048];
        while let Ok(length) = recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::empty()) {
            let offer = Dhcp::parse(&frame[..length])
                .filter(|dhcp| dhcp.kind() == Some(MessageType::Offer));
            let offer = offer.map(|offer| offer.message);
            if let Some(offer) = offer.filter(|offer| offer.xid() >> 16 == u32::from(self.round)) {
                return Some(((offer.xid() & 0xffff) as usize, offer));
            }
        }
        None
    }
}

/// Where frames for a device go.
fn link_address(index: u32) -> LinkAddr {
    // SAFETY: all fields of `sockaddr_ll` are plain numbers, for which zero is a value.
    let mut raw: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    raw.sll_family = libc::AF_PACKET.try_into().unwrap();
    raw.sll_ifindex = index.try_into().unwrap();
    let length = size_of_val(&raw).try_into().unwrap();
    // SAFETY: `raw` is a whole `sockaddr_ll` of this family, and lives through the call.
    unsafe { LinkAddr::from_raw((&raw const raw).cast(), Some(length)) }.unwrap()
}
