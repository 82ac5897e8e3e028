//! Frames on a guest's interface: crafted ones out, all of them in.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind,
    recv, recvmsg, send, setsockopt, socket,
};
use nix::sys::time::TimeSpec;

use super::Place;

/// Bytes that wait to be read: what a flood brings while nobody looks must not keep out what is waited for.
const UNREAD: usize = 8 << 20;

/// An AF_PACKET socket on one interface. It hears everything from the moment it is opened, also what the guest itself sends.
#[derive(Debug)]
pub struct Wire {
    fd: OwnedFd,
    mac: [u8; 6],
}

impl Wire {
    pub(super) fn open(place: &Place, device: &str) -> Self {
        let device = device.to_owned();
        place.inside(move || {
            let address = link_address(&device);
            let fd = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )
            .unwrap();
            // The address names no protocol, so the one of the socket stays.
            bind(fd.as_raw_fd(), &address).unwrap();
            setsockopt(&fd, RcvBufForce, &UNREAD).unwrap();
            stamp(&fd);
            let mac = address.addr().expect("an Ethernet interface");
            Self { fd, mac }
        })
    }

    /// The interface's own address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Sends a whole frame, Ethernet header included.
    #[track_caller]
    pub fn send(&self, frame: &[u8]) {
        let sent = send(self.fd.as_raw_fd(), frame, MsgFlags::empty()).unwrap();
        assert_eq!(sent, frame.len());
    }

    /// The first frame from now on of which `wanted` makes something, or `None` after `deadline`.
    pub fn recv<T>(&self, deadline: Duration, wanted: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
        Some(self.recv_stamped(deadline, wanted)?.0)
    }

    /// And when it came.
    pub fn recv_stamped<T>(
        &self,
        deadline: Duration,
        mut wanted: impl FnMut(&[u8]) -> Option<T>,
    ) -> Option<(T, SystemTime)> {
        let end = Instant::now() + deadline;
        let mut frame = vec![0; 65_536];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let millis = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
            let mut ready = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::from(millis)) {
                Ok(0) if left.is_zero() => return None,
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => {
                    let (length, when) = stamped(&self.fd, &mut frame).unwrap();
                    if let Some(found) = wanted(&frame[..length]) {
                        return Some((found, when));
                    }
                }
                Err(e) => panic!("poll: {e}"),
            }
            if left.is_zero() {
                return None;
            }
        }
    }

    /// Forgets what came in so far.
    pub fn drain(&self) {
        let mut frame = [0; 1];
        while recv(self.fd.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT).is_ok() {}
    }
}

/// From now on the kernel notes when something came in, whenever it is read.
pub fn stamp(socket: &impl AsFd) {
    setsockopt(socket, ReceiveTimestampns, &true).unwrap();
}

/// What a socket heard, how long it is, and when it came in.
pub fn stamped(socket: &impl AsRawFd, message: &mut [u8]) -> nix::Result<(usize, SystemTime)> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut part = [IoSliceMut::new(message)];
    let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
    let got = recvmsg::<()>(fd, &mut part, Some(&mut control), flags)?;
    let when = got.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(when) => Some(when),
        _ => None,
    });
    let when = Duration::from(when.expect("a stamped message"));
    Ok((got.bytes, SystemTime::UNIX_EPOCH + when))
}

/// Interface number and MAC of a device in this thread's namespace.
pub(super) fn link_address(device: &str) -> LinkAddr {
    nix::ifaddrs::getifaddrs()
        .unwrap()
        .filter(|entry| entry.interface_name == device)
        .find_map(|entry| entry.address?.as_link_addr().copied())
        .unwrap_or_else(|| panic!("no interface {device} here"))
}

/// A UDP datagram in a frame, as seen on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp {
    pub to_mac: [u8; 6],
    pub from_mac: [u8; 6],
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub payload: Vec<u8>,
}

impl Udp {
    /// `None`: not UDP over IPv4, or a fragment, or cut short. Checksums are not looked at: on a veth they are often not
    /// filled in.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        if frame.get(12..14)? != [0x08, 0x00] {
            return None;
        }
        let packet = &frame[14..];
        let header = usize::from(packet.first()? & 0xf) * 4;
        if packet.get(9)? != &17
            || u16::from_be_bytes(packet.get(6..8)?.try_into().ok()?) & 0x3fff != 0
        {
            return None;
        }
        let udp = packet.get(header..)?;
        let port = |at: usize| Some(u16::from_be_bytes(udp.get(at..at + 2)?.try_into().ok()?));
        let address = |at: usize| {
            Some(Ipv4Addr::from(
                <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?,
            ))
        };
        Some(Self {
            to_mac: frame[..6].try_into().ok()?,
            from_mac: frame[6..12].try_into().ok()?,
            from: SocketAddrV4::new(address(12)?, port(0)?),
            to: SocketAddrV4::new(address(16)?, port(2)?),
            payload: udp.get(8..usize::from(port(4)?))?.to_vec(),
        })
    }
}

/// An Ethernet frame with a UDP datagram, checksums filled in.
pub fn udp_frame(udp: &Udp) -> Vec<u8> {
    let length = u16::try_from(udp.payload.len() + 8).expect("fits a datagram");
    let mut frame = Vec::with_capacity(42 + udp.payload.len());
    frame.extend(udp.to_mac);
    frame.extend(udp.from_mac);
    frame.extend([0x08, 0x00, 0x45, 0x00]);
    frame.extend((length + 20).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame.extend(udp.from.ip().octets());
    frame.extend(udp.to.ip().octets());
    let header = checksum(0, &frame[14..34]);
    frame[24..26].copy_from_slice(&header.to_be_bytes());
    frame.extend(udp.from.port().to_be_bytes());
    frame.extend(udp.to.port().to_be_bytes());
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(&udp.payload);
    // Addresses, UDP header and data, and the rest of the pseudo header: protocol and length.
    let sum = match checksum(17 + u32::from(length), &frame[26..]) {
        0 => 0xffff, // zero would say "no checksum"
        sum => sum,
    };
    frame[40..42].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// RFC 1071; what is not in `bytes` is summed up in `start`.
pub fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum = words.fold(start, |sum, word| sum + word);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}
