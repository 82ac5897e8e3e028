//! One network's two sockets: UDP for what comes in and what can be routed, frames for who has no address yet.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use netns::Namespace;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use super::frame::{self, End};
use super::frames::Frames;
use super::link::SERVER_PORT;
use super::reply::{Delivery, Reply};
use super::request::Arrived;
use crate::model::MacAddr;
use crate::plan::scope::DhcpScope;

/// The longest message read: no Ethernet frame has more, unless it is a jumbo frame, which no client makes of this.
const LONGEST: usize = 1500;

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
    pub(super) source: Ipv4Addr,
}

impl Sockets {
    pub(super) async fn open(
        namespace: &Namespace,
        scope: &DhcpScope,
        places: &Arc<Semaphore>,
    ) -> Result<Self, netns::Error> {
        let bind = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), SERVER_PORT);
        Ok(Self {
            mac: scope.mac,
            udp: netns::socket::udp(namespace, bind, Some(&scope.device)).await?,
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
            let received =
                recvmsg::<SockaddrIn>(self.udp.as_raw_fd(), &mut room, control, MsgFlags::empty())?;
            // The address that it was sent to, against the own one that the kernel took it for.
            let to_us = received.cmsgs()?.find_map(|word| match word {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    Some(info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr)
                }
                _ => None,
            });
            let whole = !received.flags.contains(MsgFlags::MSG_TRUNC);
            Ok(Received {
                length: whole.then_some(received.bytes),
                arrived: if to_us == Some(true) {
                    Arrived::Unicast
                } else {
                    Arrived::Broadcast
                },
                source: received
                    .address
                    .map_or(Ipv4Addr::UNSPECIFIED, |from| from.ip()),
            })
        })
    }

    /// Sends at once, or says `WouldBlock`; or keeps a frame for [`Sockets::send_waiting`].
    pub(super) fn send(&mut self, reply: &Reply, buffer: &mut Buffer) -> io::Result<()> {
        match reply.to {
            Delivery::Frame { mac, ip } => {
                let from = End {
                    mac: self.mac,
                    ip: reply.from,
                };
                frame::write(&mut buffer.frame, from, End { mac, ip }, &reply.message);
                self.frames.send(&buffer.frame)
            }
            Delivery::Relay(to) | Delivery::Routed(to) => self.send_by_ip(reply, to),
        }
    }

    /// How many of the frames that waited could not be sent.
    pub(super) async fn send_waiting(&mut self) -> usize {
        self.frames.send_waiting().await
    }

    /// From the address that the reply names: left alone, the kernel would take the device's first one.
    fn send_by_ip(&self, reply: &Reply, to: SocketAddrV4) -> io::Result<()> {
        let any = libc::in_addr { s_addr: 0 };
        let from = libc::in_addr {
            s_addr: u32::from_ne_bytes(reply.from.octets()),
        };
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: from,
            ipi_addr: any,
        };
        self.udp.try_io(Interest::WRITABLE, || {
            let message = [IoSlice::new(&reply.message)];
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(
                self.udp.as_raw_fd(),
                &message,
                &control,
                MsgFlags::empty(),
                Some(&SockaddrIn::from(to)),
            )?;
            Ok(())
        })
    }
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self {
            message: [0; LONGEST],
            control: nix::cmsg_space!(libc::in_pktinfo),
            frame: Vec::with_capacity(LONGEST),
        }
    }

    pub(super) fn message(&self, length: usize) -> &[u8] {
        &self.message[..length]
    }
}
