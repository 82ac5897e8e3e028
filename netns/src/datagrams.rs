//! Datagrams and frames, many by one system call (recvmmsg(2), sendmmsg(2)).
//!
//! What these calls are told is kept, one per thread: made anew, it costs as much as a few messages. (nix offers both calls, but
//! leaves in what it keeps what the kernel wrote there, and the next message would have less room.)

use std::cell::RefCell;
use std::io;
use std::mem::zeroed;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::reactor::register;

/// So often a socket that can't be watched is looked at.
const UNWATCHED: Duration = Duration::from_millis(50);

thread_local! {
    static CALL: RefCell<Call> = RefCell::default();
}

/// A UDP socket of a server. The reactor is told of what comes in only, not of all that has left; and of nothing from a
/// [`UdpListener::rest`] until the socket was found to be empty: else every message would wake the process, also one that is left
/// unread, or about to be read.
#[derive(Debug)]
pub struct UdpListener {
    socket: Arc<UdpSocket>,
    watched: Option<AsyncFd<Arc<UdpSocket>>>,
    /// It has rested, and was not found to be empty since.
    rested: bool,
}

impl UdpListener {
    pub(crate) fn new(socket: tokio::net::UdpSocket) -> io::Result<Self> {
        Ok(Self {
            socket: Arc::new(socket.into_std()?),
            watched: None,
            rested: false,
        })
    }

    /// Waits until a message may be there. A socket that can't be watched (the host has no more watches to give) is to be looked
    /// at every now and then. Cancel-safe.
    pub async fn readable(&mut self) -> io::Result<()> {
        if self.rested {
            return Ok(());
        }
        if self.watched.is_none() {
            match register(Arc::clone(&self.socket), Interest::READABLE) {
                Ok(watched) => self.watched = Some(watched),
                Err(error) => tracing::debug!(%error, "a UDP socket can't be watched"),
            }
        }
        match &self.watched {
            Some(watched) => watched.readable().await?.retain_ready(),
            None => tokio::time::sleep(UNWATCHED).await,
        }
        Ok(())
    }

    /// From now on nothing that comes is noticed. It is to be looked at, now or later, without being told.
    pub fn rest(&mut self) {
        self.watched = None;
        self.rested = true;
    }

    /// To send by. It never waits.
    pub fn socket(&self) -> &Arc<UdpSocket> {
        &self.socket
    }

    /// Takes what is there into `inbox`, up to `most` messages of up to `longest` bytes; what was in there is gone. `false`:
    /// nothing is left, for now.
    pub fn receive(&mut self, inbox: &mut Inbox, most: usize, longest: usize) -> io::Result<bool> {
        inbox.heads.clear();
        let mut take = || {
            inbox.take(self.socket.as_fd(), most, longest)?;
            if inbox.len() < most.max(1) {
                // Known to be empty, without asking once more.
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(true)
        };
        let received = match &self.watched {
            Some(watched) => watched.try_io(Interest::READABLE, |_| take()),
            None => take(),
        };
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.rested = false;
                Ok(false)
            }
            other => other,
        }
    }
}

/// Room for messages that come in.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Bytes for each message.
    longest: usize,
    heads: Vec<Head>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    /// `None`: it was longer than its room.
    length: Option<usize>,
    from: Sender,
}

/// A message that came in.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// `None`: longer than any message that is read.
    pub message: Option<&'a [u8]>,
    pub from: Sender,
}

/// Who sent a message, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Sender {
    pub address: SocketAddr,
    /// It was sent to an address of ours, not to everybody.
    pub unicast: bool,
}

impl Inbox {
    fn take(&mut self, socket: BorrowedFd<'_>, most: usize, longest: usize) -> io::Result<()> {
        let longest = longest.max(1);
        self.longest = longest;
        if self.bytes.len() < most * longest {
            self.bytes.resize(most * longest, 0);
        }
        CALL.with_borrow_mut(|call| {
            let rooms = self.bytes.chunks_exact_mut(longest).take(most);
            call.lay_out(rooms.map(|room| (room.as_mut_ptr(), room.len())), |_, _| {
                (ADDRESS, CONTROL)
            });
            let many = libc::c_uint::try_from(call.messages.len()).unwrap_or(libc::c_uint::MAX);
            let (fd, messages) = (socket.as_raw_fd(), call.messages.as_mut_ptr());
            // SAFETY: `messages` are as many as it says; each points to a part, which points to a room of its own in `bytes`, and
            // to an end of its own. All of that was laid out just now and outlives the call.
            #[allow(unsafe_code, reason = "see the head of this file")]
            let received = unsafe { libc::recvmmsg(fd, messages, many, 0, null_mut()) };
            let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
            self.heads.extend(call.heads().take(received));
            Ok(())
        })
    }

    /// Of messages.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub fn messages(&self) -> impl Iterator<Item = Received<'_>> {
        let rooms = self.bytes.chunks_exact(self.longest.max(1));
        self.heads.iter().zip(rooms).map(|(head, room)| Received {
            message: head.length.map(|length| &room[..length]),
            from: head.from,
        })
    }
}

/// Messages or frames that go out, one behind the other.
#[derive(Debug, Default)]
pub struct Packed {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Packed {
    /// The next one is what `write` appends.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let spans = starts.zip(&self.ends);
        spans.map(|(start, end)| &self.bytes[start..*end])
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// What became of messages that were to be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// So many were not sent.
    pub unsent: usize,
    /// There was no room for more.
    pub full: bool,
}

/// Sends these at once, as many as there is room for; each to its own address, or (`to` is empty) all to where the socket is bound
/// to. One that cannot be sent (it is too long, say) keeps none of the others.
pub fn send(socket: BorrowedFd<'_>, messages: &Packed, to: &[SocketAddr]) -> Sent {
    CALL.with_borrow_mut(|call| {
        call.lay_out(
            messages
                .iter()
                .map(|message| (message.as_ptr().cast_mut(), message.len())),
            |at, end| (to.get(at).map_or(0, |to| end.set_address(*to)), 0),
        );
        let mut sent = Sent::default();
        let mut rest = &mut call.messages[..];
        while !rest.is_empty() {
            let many = libc::c_uint::try_from(rest.len()).unwrap_or(libc::c_uint::MAX);
            // SAFETY: as for `recvmmsg`; the kernel only reads the parts.
            #[allow(unsafe_code, reason = "see the head of this file")]
            let done = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), many, 0) };
            let done = usize::try_from(done).map_err(|_| io::Error::last_os_error().raw_os_error());
            let gone = match done {
                Ok(done) => done,
                // The queue is full; and so it is for those behind it.
                Err(Some(libc::EAGAIN | libc::ENOBUFS)) => {
                    sent.full = true;
                    sent.unsent += rest.len();
                    break;
                }
                // It is for this one only.
                Err(_) => {
                    sent.unsent += 1;
                    1
                }
            };
            rest = &mut rest[gone..];
        }
        sent
    })
}

/// What the kernel is told in one call, and what it tells.
#[derive(Debug, Default)]
struct Call {
    /// Each points to one of `parts`, and one of `ends`.
    messages: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    ends: Vec<End>,
}

/// Of `sockaddr_in6`, the longer one of the two.
const ADDRESS: usize = 28;
/// A `cmsghdr` and a whole `in6_pktinfo`, the longer one of the two.
const CONTROL: usize = CONTROL_HEAD + 24;
const CONTROL_HEAD: usize = size_of::<libc::cmsghdr>();

/// Where a message comes from or goes to, as the kernel spells it.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
struct End {
    control: [u8; CONTROL],
    address: [u8; ADDRESS],
}

impl Call {
    /// For one message of each of `parts`; `lengths` says how long address and control of one are, and may fill them in.
    fn lay_out(
        &mut self,
        parts: impl Iterator<Item = (*mut u8, usize)>,
        mut lengths: impl FnMut(usize, &mut End) -> (usize, usize),
    ) {
        self.parts.clear();
        self.parts.extend(parts.map(|(base, length)| libc::iovec {
            iov_base: base.cast(),
            iov_len: length,
        }));
        if self.ends.len() < self.parts.len() {
            self.ends.resize(self.parts.len(), End::EMPTY);
        }
        self.messages.clear();
        // From here on neither vector moves.
        let each = self.parts.iter_mut().zip(&mut self.ends).enumerate();
        self.messages.extend(each.map(|(at, (part, end))| {
            let (address, control) = lengths(at, end);
            // SAFETY: all fields of `mmsghdr` are numbers and pointers, for which zero is a value.
            #[allow(unsafe_code, reason = "the structure has no other maker")]
            let mut message: libc::mmsghdr = unsafe { zeroed() };
            let header = &mut message.msg_hdr;
            header.msg_name = end.address.as_mut_ptr().cast();
            header.msg_namelen = u32::try_from(address).unwrap_or(0); // 28 at most
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_control = end.control.as_mut_ptr().cast();
            header.msg_controllen = control;
            message
        }));
    }

    /// Of messages that the kernel has filled in.
    fn heads(&self) -> impl Iterator<Item = Head> {
        self.messages.iter().zip(&self.ends).map(|(message, end)| {
            let header = &message.msg_hdr;
            let whole = header.msg_flags & libc::MSG_TRUNC == 0;
            let length = usize::try_from(message.msg_len).ok().filter(|_| whole);
            let control = &end.control[..header.msg_controllen.min(CONTROL)];
            let from = Sender {
                address: end.address(),
                unicast: is_unicast(control),
            };
            Head { length, from }
        })
    }
}

impl End {
    const EMPTY: Self = Self {
        control: [0; CONTROL],
        address: [0; ADDRESS],
    };

    /// Returns its length.
    fn set_address(&mut self, address: SocketAddr) -> usize {
        let out = &mut self.address;
        out[2..4].copy_from_slice(&address.port().to_be_bytes());
        let (family, length) = match address {
            SocketAddr::V4(v4) => {
                out[4..8].copy_from_slice(&v4.ip().octets());
                out[8..16].fill(0);
                (libc::AF_INET, 16)
            }
            SocketAddr::V6(v6) => {
                out[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
                out[8..24].copy_from_slice(&v6.ip().octets());
                out[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                (libc::AF_INET6, ADDRESS)
            }
        };
        let [low, high, ..] = family.to_le_bytes();
        out[..2].copy_from_slice(&u16::from_le_bytes([low, high]).to_ne_bytes());
        length
    }

    fn address(&self) -> SocketAddr {
        let of = &self.address;
        let port = u16::from_be_bytes([of[2], of[3]]);
        let word = |at: usize| u32::from_ne_bytes(array(&of[at..at + 4]));
        match i32::from(u16::from_ne_bytes([of[0], of[1]])) {
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(array::<16>(&of[8..24]));
                SocketAddrV6::new(ip, port, word(4), word(24)).into()
            }
            _ => SocketAddrV4::new(Ipv4Addr::from(array::<4>(&of[4..8])), port).into(),
        }
    }
}

/// By the first control message, `IP_PKTINFO` or `IPV6_PKTINFO`; without any, it is not known to be.
fn is_unicast(control: &[u8]) -> bool {
    let Some((head, info)) = control.split_at_checked(CONTROL_HEAD) else {
        return false;
    };
    // Behind the length.
    let [level, kind] =
        [CONTROL_HEAD - 8, CONTROL_HEAD - 4].map(|at| i32::from_ne_bytes(array(&head[at..at + 4])));
    match (level, kind) {
        // The address that it was sent to, against the own one that the kernel took it for.
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => info.len() >= 12 && info[4..8] == info[8..12],
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            info.first().is_some_and(|first| *first != 0xff)
        }
        _ => false,
    }
}

/// `bytes` has so many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| bytes[at])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    #[test]
    fn an_address_survives_the_kernels_spelling() {
        for text in ["10.0.0.1:67", "[2001:db8::1]:547", "[fe80::1%7]:546"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut end = End::EMPTY;
            end.set_address("[ffff::ffff%9]:65535".parse().unwrap());
            end.set_address(address);
            assert_eq!(end.address(), address);
        }
    }

    #[tokio::test]
    async fn what_is_sent_at_once_is_received_at_once() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let one = UdpSocket::bind(any).unwrap();
            let other = tokio::net::UdpSocket::bind(any).await.unwrap();
            match one.local_addr().unwrap() {
                SocketAddr::V4(_) => setsockopt(&other, sockopt::Ipv4PacketInfo, &true).unwrap(),
                SocketAddr::V6(_) => {
                    setsockopt(&other, sockopt::Ipv6RecvPacketInfo, &true).unwrap();
                }
            }
            let to = other.local_addr().unwrap();
            let mut other = UdpListener::new(other).unwrap();
            let mut inbox = Inbox::default();
            for round in 0..2 {
                let mut packed = Packed::default();
                for message in [&b"a"[..], b"", b"too long", &[0; 70_000], b"z"] {
                    packed.add(|out| out.extend(message));
                }
                let sent = send(one.as_fd(), &packed, &[to; 5]);
                let want = Sent {
                    unsent: 1,
                    full: false,
                };
                assert_eq!(sent, want, "{any} {round}");

                let mut heard = Vec::new();
                while heard.len() < 4 {
                    other.readable().await.unwrap();
                    let more = other.receive(&mut inbox, 3, 5).unwrap();
                    assert!(!more || inbox.len() == 3);
                    for received in inbox.messages() {
                        assert_eq!(received.from.address, one.local_addr().unwrap());
                        assert!(received.from.unicast, "{any} {round}");
                        heard.push(received.message.map(<[u8]>::to_vec));
                    }
                }
                let want = [Some(&b"a"[..]), Some(b""), None, Some(b"z")];
                let want = want.map(|message| message.map(<[u8]>::to_vec));
                assert_eq!(heard, want, "{any} {round}");
                assert!(!other.receive(&mut inbox, 3, 5).unwrap(), "nothing is left");
                assert!(inbox.is_empty());
                // What comes while it rests is found afterwards, and what comes after that is told again.
                other.rest();
            }
        }
    }
}
