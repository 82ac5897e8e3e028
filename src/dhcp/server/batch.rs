//! Room for the messages of one turn, and for their replies: one per thread, since there are hundreds of servers, most
//! of them quiet, and a turn never leaves its thread.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg,
};

use super::frame;
use super::version::{Outgoing, Ports, Received, Sender, Way};
use crate::model::MacAddr;

thread_local! {
    static BATCH: RefCell<Batch> = RefCell::default();
}

#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) inbox: Inbox,
    pub(super) outbox: Outbox,
}

impl Batch {
    /// The thread's own. `turn` must not come here again.
    pub(super) fn with<T>(turn: impl FnOnce(&mut Self) -> T) -> T {
        BATCH.with_borrow_mut(|batch| {
            batch.outbox.clear();
            turn(batch)
        })
    }
}

/// What came in.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Bytes for each message.
    longest: usize,
    /// The lengths of those that were not cut, and who sent them.
    heads: Vec<(Option<usize>, Sender)>,
}

impl Inbox {
    /// Takes what is there, `most` messages of up to `longest` bytes. `false`: nothing is left, for now.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        most: usize,
        longest: usize,
    ) -> io::Result<bool> {
        self.heads.clear();
        self.longest = longest;
        if self.bytes.len() < most * longest {
            self.bytes.resize(most * longest, 0);
        }
        let rooms = self.bytes.chunks_exact_mut(longest).take(most);
        let mut rooms: Vec<_> = rooms.map(|room| [IoSliceMut::new(room)]).collect();
        // Made anew: nix leaves in the headers what the kernel wrote there, and the next message would have less room.
        let control = nix::cmsg_space!(libc::in6_pktinfo);
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(most, Some(control));
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut headers,
            rooms.iter_mut(),
            MsgFlags::empty(),
            None,
        )?;
        self.heads.extend(received.map(|message| head(&message)));
        Ok(self.heads.len() == most)
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = Received<'_>> {
        let rooms = self.bytes.chunks_exact(self.longest.max(1));
        self.heads.iter().zip(rooms).map(|(head, room)| Received {
            message: head.0.map(|length| &room[..length]),
            from: head.1,
        })
    }
}

fn head(message: &RecvMsg<'_, '_, SockaddrStorage>) -> (Option<usize>, Sender) {
    let whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
    let to_us = message.cmsgs().ok().and_then(|mut words| {
        words.find_map(|word| match word {
            // The address that it was sent to, against the own one that the kernel took it for.
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr)
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(!Ipv6Addr::from(info.ipi6_addr.s6_addr).is_multicast())
            }
            _ => None,
        })
    });
    let address = message.address.as_ref();
    let v4 = address.and_then(SockaddrStorage::as_sockaddr_in);
    let v6 = address.and_then(SockaddrStorage::as_sockaddr_in6);
    let address = v4
        .map(|from| SocketAddr::V4((*from).into()))
        .or_else(|| v6.map(|from| SocketAddr::V6((*from).into())));
    let sender = Sender {
        address: address.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into()),
        unicast: to_us == Some(true),
    };
    (whole.then_some(message.bytes), sender)
}

/// What goes out.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// One behind the other.
    frames: Vec<u8>,
    ends: Vec<usize>,
    pub(super) datagrams: Vec<Datagram>,
}

#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) message: Vec<u8>,
    pub(super) from: Option<Ipv4Addr>,
    pub(super) to: SocketAddr,
}

impl Outbox {
    /// `mac`: our own.
    pub(super) fn add(&mut self, outgoing: Outgoing, mac: MacAddr, ports: Ports) {
        let message = outgoing.message;
        match outgoing.way {
            Way::Frame { from, mac: to, ip } => {
                frame::append(&mut self.frames, (mac, from), (to, ip), ports, &message);
                self.ends.push(self.frames.len());
            }
            Way::Datagram { from, to } => self.datagrams.push(Datagram { message, from, to }),
        }
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.frames[start..*end])
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.ends.clear();
        self.datagrams.clear();
    }
}
