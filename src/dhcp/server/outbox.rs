//! The replies of one turn: one room per thread, as for what comes in.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};

use netns::datagrams::Packed;

use super::frame;
use super::version::{Outgoing, Ports, Way};
use crate::model::MacAddr;

thread_local! {
    static OUTBOX: RefCell<Outbox> = RefCell::default();
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) frames: Packed,
    pub(super) datagrams: Vec<Datagram>,
}

#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) message: Vec<u8>,
    pub(super) from: Option<Ipv4Addr>,
    pub(super) to: SocketAddr,
}

impl Outbox {
    /// With the thread's own, empty. `turn` must not come here again.
    pub(super) fn with<T>(turn: impl FnOnce(&mut Self) -> T) -> T {
        OUTBOX.with_borrow_mut(|outbox| {
            outbox.frames.clear();
            outbox.datagrams.clear();
            turn(outbox)
        })
    }

    /// `mac`: our own.
    pub(super) fn add(&mut self, outgoing: Outgoing, mac: MacAddr, ports: Ports) {
        let message = outgoing.message;
        match outgoing.way {
            Way::Frame { from, mac: to, ip } => self
                .frames
                .add(|out| frame::append(out, (mac, from), (to, ip), ports, &message)),
            Way::Datagram { from, to } => self.datagrams.push(Datagram { message, from, to }),
        }
    }
}
