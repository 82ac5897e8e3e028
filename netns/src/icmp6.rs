//! A raw ICMPv6 socket on one device of a namespace: one type of message comes in, and any goes out.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::error::Error;
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::reactor::register;
use crate::socket::{failed, named};

/// What neighbours expect of each other's messages: none came from further away (RFC 4861 section 6.1).
pub const HOP_LIMIT: u8 = 255;

/// `ICMP6_FILTER` (RFC 3542 section 3.2).
const FILTER: libc::c_int = 1;
const SOL_ICMPV6: libc::c_int = 58;

/// Messages of one type on one device. The kernel checks and sets their checksums.
#[derive(Debug)]
pub struct Icmp6Socket {
    open: AsyncFd<OwnedFd>,
    index: u32,
}

/// A message that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp6Received {
    /// Of the message, which is cut to the buffer.
    pub length: usize,
    pub whole: bool,
    pub source: Ipv6Addr,
    pub hop_limit: u8,
}

/// Hears messages of type `hears` on `dev` that are sent to it or to `group`, and no others wake it.
pub async fn icmp6(
    ns: &Namespace,
    dev: &DevName,
    hears: u8,
    group: Ipv6Addr,
) -> Result<Icmp6Socket, Error> {
    let what = format!("ICMPv6 {dev}");
    let device = dev.clone();
    let made = ns.enter(move || {
        let index = nix::net::if_::if_nametoindex(device.as_str())?;
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::IPV6, kind, Some(Protocol::ICMPV6))?;
        // First: nothing that is not meant for us gets into its queue.
        only(&socket, hears)?;
        socket.bind_device(Some(device.as_str().as_bytes()))?;
        socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_multicast_loop_v6(false)?;
        setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        socket.join_multicast_v6(&group, index)?;
        Ok((OwnedFd::from(socket), index))
    });
    let made = made.await.map_err(|error| named(error, || what.clone()));
    let (made, index) = made?;
    register(made, Interest::READABLE)
        .map(|open| Icmp6Socket { open, index })
        .map_err(|source| failed(ns, what, source))
}

impl Icmp6Socket {
    /// Waits until a message may be there.
    pub async fn readable(&self) -> io::Result<()> {
        // What is not received keeps it ready.
        self.open
            .readable()
            .await
            .map(|mut guard| guard.retain_ready())
    }

    /// The next message into `buffer`, or `WouldBlock`.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Icmp6Received> {
        self.open.try_io(Interest::READABLE, |fd| {
            let mut room = [IoSliceMut::new(buffer)];
            let mut control = nix::cmsg_space!(libc::c_int);
            let received = recvmsg::<SockaddrIn6>(
                fd.as_raw_fd(),
                &mut room,
                Some(&mut control),
                MsgFlags::empty(),
            )?;
            let hop_limit = received.cmsgs()?.find_map(|word| match word {
                ControlMessageOwned::Ipv6HopLimit(limit) => u8::try_from(limit).ok(),
                _ => None,
            });
            Ok(Icmp6Received {
                length: received.bytes,
                whole: !received.flags.contains(MsgFlags::MSG_TRUNC),
                source: received
                    .address
                    .map_or(Ipv6Addr::UNSPECIFIED, |from| from.ip()),
                // Not told: as good as none.
                hop_limit: hop_limit.unwrap_or(0),
            })
        })
    }

    /// Sends one message from an address of the device to one on its link, or says why not. Does not wait.
    pub fn send(&self, message: &[u8], from: Ipv6Addr, to: Ipv6Addr) -> io::Result<()> {
        let info = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr {
                s6_addr: from.octets(),
            },
            ipi6_ifindex: self.index,
        };
        let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, self.index));
        let control = [ControlMessage::Ipv6PacketInfo(&info)];
        let message = [IoSlice::new(message)];
        let fd = self.open.as_raw_fd();
        sendmsg(fd, &message, &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    /// Index of its device: another device of this name is not its own any more.
    pub fn index(&self) -> u32 {
        self.index
    }
}

fn only(socket: &Socket, hears: u8) -> io::Result<()> {
    // A set bit keeps that type out.
    let mut filter = [u32::MAX; 8];
    filter[usize::from(hears >> 5)] &= !(1 << (hears & 31));
    let length = libc::socklen_t::try_from(size_of_val(&filter)).map_err(io::Error::other)?;
    // SAFETY: `filter` is a whole `icmp6_filter` (eight words), and lives through the call, which only reads it.
    #[allow(unsafe_code, reason = "no crate has a safe form of this option")]
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            SOL_ICMPV6,
            FILTER,
            (&raw const filter).cast(),
            length,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
