//! One network's two sockets: UDP for what comes in and what can be routed, frames for clients on the link.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use netns::Namespace;
use netns::datagrams::{Inbox, UdpListener};
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use tokio::sync::Semaphore;

use super::frames::Frames;
use super::outbox::{Datagram, Outbox};
use super::version::{Ground, Version};

#[derive(Debug)]
pub(super) struct Sockets {
    udp: UdpListener,
    frames: Frames,
}

impl Sockets {
    pub(super) async fn open<V: Version>(
        namespace: &Namespace,
        ground: Ground<'_>,
        places: &Arc<Semaphore>,
    ) -> Result<Self, netns::Error> {
        let device = ground.device;
        let bind = SocketAddr::new(V::ANY, V::PORTS.server);
        let udp = netns::socket::udp_listener(namespace, bind, device, V::GROUPS).await?;
        let frames = Frames::new(namespace, device, places);
        Ok(Self { udp, frames })
    }

    /// Waits for a message. After `quiet` without any, nobody is starting here.
    pub(super) async fn readable(&mut self, quiet: Duration) -> io::Result<()> {
        self.frames.rest_after(quiet, self.udp.readable()).await
    }

    /// Is not told of what comes, until there was nothing left.
    pub(super) fn rest(&mut self) {
        self.udp.rest();
    }

    /// Takes up to `most` messages that are there, none if there is none. `false`: no more are left, for now.
    pub(super) fn receive(
        &mut self,
        inbox: &mut Inbox,
        most: usize,
        longest: usize,
    ) -> io::Result<bool> {
        self.udp.receive(inbox, most, longest)
    }

    /// Sends at once what can be, and keeps frames for [`Sockets::send_waiting`]. Returns how many could not be sent: they are
    /// not waited for, the client asks again.
    pub(super) fn send(&mut self, outbox: &Outbox) -> usize {
        let refused = |datagram: &&Datagram| self.send_by_ip(datagram).is_err();
        let unsent = outbox.datagrams.iter().filter(refused).count();
        unsent + self.frames.send(&outbox.frames)
    }

    /// How many of the frames that waited could not be sent.
    pub(super) async fn send_waiting(&mut self) -> usize {
        self.frames.send_waiting().await
    }

    /// From the address that is named: left alone, the kernel would take the device's first one.
    fn send_by_ip(&self, datagram: &Datagram) -> io::Result<()> {
        let info = datagram.from.map(|from| libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr {
                s_addr: u32::from_ne_bytes(from.octets()),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        });
        let control: Vec<_> = info.iter().map(ControlMessage::Ipv4PacketInfo).collect();
        let message = [IoSlice::new(&datagram.message)];
        let to = SockaddrStorage::from(datagram.to);
        let socket = self.udp.socket().as_raw_fd();
        sendmsg(socket, &message, &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }
}
