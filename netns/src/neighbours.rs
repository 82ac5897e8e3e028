//! Who has an address on a link: the kernel asks (ARP, RFC 826; neighbour discovery, RFC 4861), and nobody waits for it.
//!
//! One netlink socket for questions and answers. What the kernel knows already comes as the answer to a question, what it
//! finds out comes as news; both are the same message.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use nix::sys::socket::{MsgFlags, recv, send};
use rtnetlink::packet_core::{NLM_F_CREATE, Parseable};
use rtnetlink::packet_route::neighbour::{
    NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::{Socket, SocketAddr, protocols};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::error::Error;
use crate::names::{DevName, MacAddr};
use crate::namespace::Namespace;
use crate::neigh;
use crate::reactor::register;
use crate::wire::{Messages, Request};

/// `RTNLGRP_NEIGH`
const GROUP: u32 = 3;
/// `RTM_NEWNEIGH`
const NEW: u16 = 28;
/// Larger than any message about one neighbour; several come in as many datagrams, or fit.
const DATAGRAM: usize = 8192;

/// Asks the kernel for the neighbours on one device.
#[derive(Debug)]
pub struct Neighbours {
    socket: AsyncFd<OwnedFd>,
    index: u32,
}

impl Neighbours {
    pub async fn open(ns: &Namespace, dev: &DevName) -> Result<Self, Error> {
        let what = format!("neighbours {dev}");
        let dev = dev.clone();
        let failed = |source| Error::Socket {
            place: ns.place().clone(),
            what: what.clone(),
            source,
        };
        let made = ns.enter(move || {
            let index = nix::net::if_::if_nametoindex(dev.as_str())?;
            let mut socket = Socket::new(protocols::NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(GROUP)?;
            Ok((owned(socket), index))
        });
        let (socket, index) = made.await.map_err(|error| match error {
            Error::Inside { source, .. } => failed(source),
            other => other,
        })?;
        let socket = register(socket, Interest::READABLE).map_err(failed)?;
        Ok(Self { socket, index })
    }

    /// Asks for one address. What comes of it comes from [`Neighbours::next`]; for an address that nobody has, some
    /// seconds later, or never: who asks keeps a deadline of its own.
    pub fn ask(&self, address: IpAddr) -> io::Result<()> {
        let mut message = neigh::question(self.index, address);
        let known = Request::new(&RouteNetlinkMessage::GetNeighbour(message.clone()), 0);
        // "I am about to use it": made if it is new, and then looked for.
        message.header.flags = NeighbourFlags::Use;
        let look = Request::new(&RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE);
        let mut bytes = Vec::new();
        look.write(1, 0, &mut bytes);
        known.write(2, 0, &mut bytes);
        let sent = send(self.socket.as_raw_fd(), &bytes, MsgFlags::MSG_DONTWAIT)?;
        debug_assert_eq!(sent, bytes.len(), "a datagram goes whole");
        Ok(())
    }

    /// The next news of neighbours on the device: an address, and who has it (`None`: it was looked for in vain). News of
    /// addresses that were not asked for come too. Cancel-safe.
    pub async fn next(&self) -> io::Result<Vec<(IpAddr, Option<MacAddr>)>> {
        let mut datagram = vec![0; DATAGRAM];
        loop {
            let receive = |fd: &OwnedFd| {
                Ok(recv(
                    fd.as_fd().as_raw_fd(),
                    &mut datagram,
                    MsgFlags::MSG_DONTWAIT,
                )?)
            };
            let mut receive = receive;
            let read = self.socket.async_io(Interest::READABLE, |fd| receive(fd));
            let length = match read.await {
                // News were lost for want of room; who waits for them has a deadline.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => continue,
                read => read?,
            };
            let news: Vec<_> = Messages(&datagram[..length])
                .filter(|message| message.kind == NEW)
                .filter_map(|message| self.news(message.body))
                .collect();
            if !news.is_empty() {
                return Ok(news);
            }
        }
    }

    /// `None`: of another device, or not known yet.
    fn news(&self, body: &[u8]) -> Option<(IpAddr, Option<MacAddr>)> {
        let message = NeighbourMessage::parse(body).ok()?;
        let header = &message.header;
        let of_ip = matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6);
        if header.ifindex != self.index || !of_ip {
            return None;
        }
        let (mut address, mut mac) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::Destination(found) => address = neigh::ip(found),
                NeighbourAttribute::LinkLayerAddress(bytes) => mac = neigh::mac_of(bytes),
                _ => {}
            }
        }
        match header.state {
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent => Some((address?, Some(mac?))),
            NeighbourState::Failed => Some((address?, None)),
            _ => None,
        }
    }
}

fn owned(socket: Socket) -> OwnedFd {
    // SAFETY: `into_raw_fd` gives the descriptor away, so this is its only owner.
    #[allow(unsafe_code, reason = "the socket's type has no other way out")]
    unsafe {
        OwnedFd::from_raw_fd(socket.into_raw_fd())
    }
}
