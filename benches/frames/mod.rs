//! Frames into and out of any device of a namespace.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each bench is a crate that compiles all of it and uses some of it"
)]

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, recvfrom,
    sendmsg, setsockopt, socket, sockopt,
};

/// Room for an answer on each of very many networks at once.
const RECEIVE: usize = 4 << 20;

/// One socket for all devices.
#[derive(Debug)]
pub struct Frames(OwnedFd);

impl Frames {
    /// In the namespace that the calling thread is in. IP that comes in, or (`EthAll`) everything that comes and goes.
    pub fn open(protocol: SockProtocol) -> Self {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, protocol).unwrap();
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE).unwrap();
        Self(socket)
    }

    /// `None`: there is no such device now.
    pub fn index(&self, device: &str) -> Option<u32> {
        rustix::net::netdevice::name_to_index(&self.0, device).ok()
    }

    /// A device that takes nothing now is asked again by who wants an answer.
    pub fn send(&self, index: u32, frame: &[u8]) {
        let _refused = sendmsg(
            self.0.as_raw_fd(),
            &[IoSlice::new(frame)],
            &[],
            MsgFlags::empty(),
            Some(&link_address(index)),
        );
    }

    /// The next one, and where it came. `None`: nothing more for now.
    pub fn receive(&self) -> Option<(u32, Vec<u8>)> {
        let mut frame = [0; 2048];
        let (length, from) = recvfrom::<LinkAddr>(self.0.as_raw_fd(), &mut frame).ok()?;
        let index = u32::try_from(from?.ifindex()).ok()?;
        Some((index, frame[..length.min(frame.len())].to_vec()))
    }

    /// Until there is one, or it is so late.
    pub fn wait(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        // Whole milliseconds only: the shortest waits are spent looking.
        let millis = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
        let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::from(millis)).unwrap();
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
