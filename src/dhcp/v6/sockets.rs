//! One network's two sockets: UDP for what comes in and for relays, frames for clients.

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use netns::Namespace;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use super::frame::{self, End};
use super::reply::{Delivery, Reply, SERVER_PORT};
use super::request::Arrived;
use crate::dhcp::frames::Frames;
use crate::model::MacAddr;
use crate::plan::scope::Dhcp6Scope;

/// `All_DHCP_Relay_Agents_and_Servers` and `All_DHCP_Servers` (section 7.1).
const GROUPS: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
    Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3),
];

/// The longest message read: one frame's, and what relays put around it.
const LONGEST: usize = 4096;

#[derive(Debug)]
pub(super) struct Sockets {
    mac: MacAddr,
    udp: UdpSocket,
    frames: Frames,
}

/// Room for one message, and for what the kernel says about it; used again for the next.
pub(super) struct Buffer {
    message: [u8; LONGEST],
    control: Vec<u8>,
    frame: Vec<u8>,
}

/// What came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    /// `None`: longer than any message that we take.
    pub(super) length: Option<usize>,
    pub(super) arrived: Arrived,
    pub(super) source: SocketAddrV6,
}

impl Sockets {
    pub(super) async fn open(
        namespace: &Namespace,
        scope: &Dhcp6Scope,
        places: &Arc<Semaphore>,
    ) -> Result<Self, netns::Error> {
        let bind = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), SERVER_PORT);
        let udp = netns::socket::udp(namespace, bind, Some(&scope.device)).await?;
        Ok(Self {
            mac: scope.mac,
            udp: netns::socket::join_v6(namespace, udp, &scope.device, GROUPS).await?,
            frames: Frames::new(namespace, &scope.device, places),
        })
    }

    /// Waits for a message. After `quiet` without any, nobody is starting here.
    pub(super) async fn readable(&mut self, quiet: Duration) -> io::Result<()> {
        self.frames.rest_after(quiet, self.udp.readable()).await
    }

    /// The next message into `buffer`, or `WouldBlock`.
    pub(super) fn receive(&self, buffer: &mut Buffer) -> io::Result<Received> {
        self.udp.try_io(Interest::READABLE, || {
            let mut room = [IoSliceMut::new(&mut buffer.message)];
            let control = Some(buffer.control.as_mut_slice());
            let received = recvmsg::<SockaddrIn6>(
                self.udp.as_raw_fd(),
                &mut room,
                control,
                MsgFlags::empty(),
            )?;
            let to = received.cmsgs()?.find_map(|word| match word {
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    Some(Ipv6Addr::from(info.ipi6_addr.s6_addr))
                }
                _ => None,
            });
            let whole = !received.flags.contains(MsgFlags::MSG_TRUNC);
            let nobody = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0);
            Ok(Received {
                length: whole.then_some(received.bytes),
                arrived: if to.is_some_and(|to| to.is_multicast()) {
                    Arrived::Multicast
                } else {
                    Arrived::Unicast
                },
                source: received.address.map_or(nobody, SocketAddrV6::from),
            })
        })
    }

    /// Sends at once, or says `WouldBlock`; or keeps a frame for [`Sockets::send_waiting`].
    pub(super) fn send(&mut self, reply: &Reply, buffer: &mut Buffer) -> io::Result<()> {
        match reply.to {
            Delivery::Frame { mac, ip } => {
                let from = End {
                    mac: self.mac,
                    ip: self.mac.link_local(),
                };
                frame::write(&mut buffer.frame, from, End { mac, ip }, &reply.message);
                self.frames.send(&buffer.frame)
            }
            Delivery::Datagram(to) => {
                self.udp.try_send_to(&reply.message, to.into())?;
                Ok(())
            }
        }
    }

    /// How many of the frames that waited could not be sent.
    pub(super) async fn send_waiting(&mut self) -> usize {
        self.frames.send_waiting().await
    }
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self {
            message: [0; LONGEST],
            control: nix::cmsg_space!(libc::in6_pktinfo),
            frame: Vec::with_capacity(LONGEST),
        }
    }

    pub(super) fn message(&self, length: usize) -> &[u8] {
        &self.message[..length]
    }
}
