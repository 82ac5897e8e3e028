//! Sockets born inside of a namespace, which they never leave. All are non-blocking and closed on exec.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, bind, recv,
    send, setsockopt, socket, sockopt,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::aside;
use crate::datagrams::{self, Packed, UdpListener};
use crate::error::Error;
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::reactor::register;

pub use crate::icmp6::{HOP_LIMIT, Icmp6Received, Icmp6Socket, icmp6};

/// Bytes of messages that wait for a server. The kernel doubles it, and counts short ones at four times their size: there is room
/// for some 2,000, that is 20 ms of a flood.
const ROOM: usize = 1 << 20;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// What a client of a TCP server has sent before it was read is the kernel's memory, and counts as the daemon's where that is
/// limited (cgroups): so many bytes of each connection, which the kernel doubles for what it needs itself. Left to itself it would
/// take more than a hundred times as much.
const UNREAD: usize = 16 * 1024;

/// A UDP socket that other sockets may share the address with (each with its own device), that may broadcast, and
/// that can tell which address and device a datagram came to (`IP_PKTINFO`).
pub async fn udp(
    ns: &Namespace,
    bind: SocketAddr,
    dev: Option<&DevName>,
) -> Result<UdpSocket, Error> {
    let dev = dev.cloned();
    let made = ns.enter(move || {
        let socket = Socket::new(
            Domain::for_address(bind),
            Type::DGRAM.nonblocking().cloexec(),
            Some(Protocol::UDP),
        )?;
        socket.set_reuse_address(true)?;
        if bind.is_ipv4() {
            socket.set_broadcast(true)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            socket.set_only_v6(true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        on_device(&socket, dev.as_ref())?;
        socket.bind(&bind.into())?;
        Ok(std::net::UdpSocket::from(socket))
    });
    let made = made
        .await
        .map_err(|error| named(error, || format!("UDP {bind}")))?;
    UdpSocket::from_std(made).map_err(|source| failed(ns, format!("UDP {bind}"), source))
}

/// The same for a server on `dev`, which also hears what is sent there to these groups.
pub async fn udp_listener(
    ns: &Namespace,
    bind: SocketAddr,
    dev: &DevName,
    groups: &'static [Ipv6Addr],
) -> Result<UdpListener, Error> {
    let mut socket = udp(ns, bind, Some(dev)).await?;
    // Without the right to more: as much as anybody may have.
    setsockopt(&socket, sockopt::RcvBufForce, &ROOM)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &ROOM))
        .map_err(|error| failed(ns, format!("UDP {bind}"), error.into()))?;
    if !groups.is_empty() {
        socket = join_v6(ns, socket, dev, groups).await?;
    }
    UdpListener::new(socket).map_err(|source| failed(ns, format!("UDP {bind}"), source))
}

async fn join_v6(
    ns: &Namespace,
    socket: UdpSocket,
    dev: &DevName,
    groups: &'static [Ipv6Addr],
) -> Result<UdpSocket, Error> {
    let device = dev.clone();
    let joined = ns.enter(move || {
        let index = nix::net::if_::if_nametoindex(device.as_str())?;
        for group in groups {
            socket.join_multicast_v6(group, index)?;
        }
        Ok(socket)
    });
    let joined = joined.await;
    joined.map_err(|error| named(error, || format!("multicast groups on {dev}")))
}

/// A listening TCP socket. Its address need not be there yet (`IP_FREEBIND`).
pub async fn tcp_listener(
    ns: &Namespace,
    bind: SocketAddr,
    dev: Option<&DevName>,
) -> Result<TcpListener, Error> {
    let dev = dev.cloned();
    let made = ns.enter(move || {
        let socket = Socket::new(
            Domain::for_address(bind),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if bind.is_ipv4() {
            socket.set_freebind_v4(true)?;
        } else {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
        on_device(&socket, dev.as_ref())?;
        socket.set_recv_buffer_size(UNREAD)?;
        socket.bind(&bind.into())?;
        socket.listen(BACKLOG)?;
        Ok(std::net::TcpListener::from(socket))
    });
    let made = made
        .await
        .map_err(|error| named(error, || format!("TCP {bind}")))?;
    TcpListener::from_std(made).map_err(|source| failed(ns, format!("TCP {bind}"), source))
}

/// Name of the device with this index where the socket was born.
pub fn device_of(socket: &impl AsRawFd, index: u32) -> io::Result<DevName> {
    // SAFETY: all zeros are a value of this plain structure.
    #[allow(unsafe_code, reason = "the structure has no other maker")]
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_ifru.ifru_ifindex = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: the call reads and writes one `ifreq`, which lives through it.
    #[allow(unsafe_code, reason = "nix asks in its own thread's namespace")]
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFNAME, &raw mut request) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    let name = request.ifr_name.map(|byte| byte.to_ne_bytes()[0]);
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(io::Error::other)?;
    DevName::new(name).map_err(io::Error::other)
}

/// Connects from inside of the namespace. Without a time limit of its own beyond the kernel's; drop it to give up.
pub async fn tcp_stream(ns: &Namespace, to: SocketAddr) -> Result<TcpStream, Error> {
    let made = ns.enter(move || {
        let socket = Socket::new(
            Domain::for_address(to),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        match socket.connect(&SockAddr::from(to)) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            Ok(()) | Err(_) => Ok(std::net::TcpStream::from(socket)),
        }
    });
    let what = || format!("TCP to {to}");
    let stream = TcpStream::from_std(made.await.map_err(|error| named(error, what))?);
    let stream = stream.map_err(|source| failed(ns, what(), source))?;
    stream
        .writable()
        .await
        .map_err(|source| failed(ns, what(), source))?;
    match stream.take_error() {
        Ok(None) => Ok(stream),
        Ok(Some(source)) | Err(source) => Err(failed(ns, what(), source)),
    }
}

/// Whole Ethernet frames of one device.
#[derive(Debug)]
pub struct PacketSocket {
    /// There until the drop.
    open: Option<AsyncFd<OwnedFd>>,
}

/// A socket for whole frames on `dev`: receives those of one `ethertype` (host byte order), or none at all (0).
pub async fn packet(ns: &Namespace, dev: &DevName, ethertype: u16) -> Result<PacketSocket, Error> {
    let made = packet_on(ns, dev, ethertype).await?;
    register(made, Interest::READABLE | Interest::WRITABLE)
        .map(|open| PacketSocket { open: Some(open) })
        .map_err(|source| failed(ns, format!("packet {dev}"), source))
}

/// Sends whole Ethernet frames by one device. No reactor knows it: that would be woken by every frame that has left.
#[derive(Debug)]
pub struct FrameSender {
    /// There until the drop.
    open: Option<OwnedFd>,
}

/// A socket that only sends whole frames by `dev`.
pub async fn frame_sender(ns: &Namespace, dev: &DevName) -> Result<FrameSender, Error> {
    let open = Some(packet_on(ns, dev, 0).await?);
    Ok(FrameSender { open })
}

/// Waits until all packet sockets that were dropped are closed: a process that ends before would not be gone until then.
pub async fn packets_closed() {
    aside::closed().await;
}

async fn packet_on(ns: &Namespace, dev: &DevName, ethertype: u16) -> Result<OwnedFd, Error> {
    aside::room().await;
    let device = dev.clone();
    let made = ns.enter(move || {
        let index = nix::net::if_::if_nametoindex(device.as_str())?;
        let made = packet_here(SockFlag::SOCK_NONBLOCK)?;
        bind(made.as_raw_fd(), &link_address(index, ethertype)?)?;
        Ok(made)
    });
    let made = made.await;
    made.map_err(|error| named(error, || format!("packet {dev}")))
}

/// In the namespace that the calling thread is in. It receives nothing until it is bound, and then of one device: born with
/// a protocol, it would hear every device in between. The caller closes it by [`aside::close`].
pub(crate) fn packet_here(flags: SockFlag) -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::Packet, SockType::Raw);
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    Ok(socket(family, kind, flags, None::<SockProtocol>)?)
}

impl PacketSocket {
    /// Waits for room in the device's queue, then sends one frame.
    pub async fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.open()
            .async_io(Interest::WRITABLE, |_| self.try_send(frame))
            .await
    }

    /// Sends one frame, or says `WouldBlock`.
    pub fn try_send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.open().as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }

    /// Length of the next frame, which is cut to `into`. Also sees frames that this host sends.
    pub async fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        let receive = |fd: &OwnedFd| Ok(recv(fd.as_raw_fd(), into, MsgFlags::empty())?);
        let mut receive = receive;
        self.open()
            .async_io(Interest::READABLE, |fd| receive(fd))
            .await
    }

    fn open(&self) -> &AsyncFd<OwnedFd> {
        self.open.as_ref().expect("only the drop takes it")
    }
}

impl Drop for PacketSocket {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            aside::close(open.into_inner());
        }
    }
}

impl FrameSender {
    /// Sends these at once, as many as there is room for. Returns how many could not be sent.
    pub fn send_now(&self, frames: &Packed) -> usize {
        let socket = self.open.as_ref().expect("only the drop takes it");
        datagrams::send(socket.as_fd(), frames, &[]).unsent
    }
}

impl Drop for FrameSender {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            aside::close(open);
        }
    }
}

fn on_device(socket: &Socket, dev: Option<&DevName>) -> io::Result<()> {
    dev.map_or(Ok(()), |dev| {
        socket.bind_device(Some(dev.as_str().as_bytes()))
    })
}

pub(crate) fn link_address(index: u32, ethertype: u16) -> io::Result<LinkAddr> {
    let index = i32::try_from(index).map_err(io::Error::other)?;
    // SAFETY: all fields of `sockaddr_ll` are plain numbers, for which zero is a value.
    #[allow(unsafe_code, reason = "nix offers no way to build this address")]
    let mut raw: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    raw.sll_family = libc::AF_PACKET.try_into().map_err(io::Error::other)?;
    raw.sll_protocol = ethertype.to_be();
    raw.sll_ifindex = index;
    // SAFETY: `raw` is a whole `sockaddr_ll` of this family, and lives through the call.
    #[allow(unsafe_code, reason = "nix offers no way to build this address")]
    let address = unsafe {
        LinkAddr::from_raw(
            (&raw const raw).cast(),
            u32::try_from(size_of_val(&raw)).ok(),
        )
    };
    address.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// An error of work inside becomes one of this socket; others (the namespace is gone) stay.
pub(crate) fn named(error: Error, what: impl FnOnce() -> String) -> Error {
    match error {
        Error::Inside { place, source } => Error::Socket {
            place,
            what: what(),
            source,
        },
        other => other,
    }
}

pub(crate) fn failed(ns: &Namespace, what: String, source: io::Error) -> Error {
    Error::Socket {
        place: ns.place().clone(),
        what,
        source,
    }
}
