//! As little of rtnetlink as the floor needs: messages in batches, each of which must succeed.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;

const ERROR: u16 = 2;
const HEADER: usize = 16;

/// So many answers fit the receive buffer at once.
const TOGETHER: usize = 100;
const ROOM: usize = 4 << 20;

/// Messages that leave together, on a socket of the namespace that it was opened in.
pub(crate) struct Batch {
    socket: OwnedFd,
    waiting: Vec<Vec<u8>>,
}

impl Batch {
    pub(crate) fn open() -> Self {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )
        .unwrap();
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).unwrap();
        setsockopt(&socket, sockopt::RcvBufForce, &ROOM).unwrap();
        setsockopt(&socket, sockopt::SndBufForce, &ROOM).unwrap();
        Self {
            socket,
            waiting: Vec::new(),
        }
    }

    pub(crate) fn create(&mut self, kind: u16, body: Body) {
        self.push(kind, CREATE | EXCLUSIVE, body);
    }

    pub(crate) fn change(&mut self, kind: u16, body: Body) {
        self.push(kind, 0, body);
    }

    fn push(&mut self, kind: u16, flags: u16, body: Body) {
        let mut message = Vec::with_capacity(HEADER + body.0.len());
        message.extend(u32::try_from(HEADER + body.0.len()).unwrap().to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags | REQUEST | ACK).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body.0);
        self.waiting.push(message);
    }

    pub(crate) fn send(&mut self) {
        for some in std::mem::take(&mut self.waiting).chunks(TOGETHER) {
            let bytes = some.concat();
            send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty()).unwrap();
            let mut open = some.len();
            let mut answer = [0; 8192];
            while open > 0 {
                let length = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
                open -= verdicts(&answer[..length]);
            }
        }
    }
}

/// How many requests were answered; panics at a refusal.
fn verdicts(mut answer: &[u8]) -> usize {
    let mut count = 0;
    while let Some(header) = answer.get(..HEADER + 4) {
        let number = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        assert_eq!(
            u16::from_ne_bytes([header[4], header[5]]),
            ERROR,
            "an answer"
        );
        assert_eq!(number(HEADER).cast_signed(), 0, "errno of a request");
        count += 1;
        answer = &answer[(number(0) as usize).next_multiple_of(4).min(answer.len())..];
    }
    count
}

/// A message without its header, or the content of a nest.
#[derive(Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// `ifinfomsg`
    pub(crate) fn link(index: u32, flags: u32) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(index.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes()); // which of them are to change
        Self(bytes)
    }

    /// `ifaddrmsg` of IPv4
    pub(crate) fn address(prefix: u8, index: u32) -> Self {
        let mut bytes = vec![AF_INET, prefix, 0, 0];
        bytes.extend(index.to_ne_bytes());
        Self(bytes)
    }

    /// `rtmsg` of IPv4, unicast, table main
    pub(crate) fn route(prefix: u8, protocol: u8, on_link: bool) -> Self {
        const MAIN: u8 = 254;
        const UNICAST: u8 = 1;
        const LINK: u8 = 253;
        let scope = if on_link { LINK } else { 0 };
        Self(vec![
            AF_INET, prefix, 0, 0, MAIN, protocol, scope, UNICAST, 0, 0, 0, 0,
        ])
    }

    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).unwrap();
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.put(kind, &[value.as_bytes(), &[0]].concat());
    }

    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        const NESTED: u16 = 0x8000;
        let mut inside = Self::default();
        fill(&mut inside);
        self.put(kind | NESTED, &inside.0);
    }

    /// A fixed part in front of the attributes of a nest.
    pub(crate) fn header(&mut self, header: &Self) {
        self.0.extend(&header.0);
    }
}

#[allow(clippy::cast_possible_truncation, reason = "it is 2")]
const AF_INET: u8 = nix::libc::AF_INET as u8;
