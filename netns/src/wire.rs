//! Netlink, blocking and pipelined: many requests leave in one `send`, and every answer finds its request by number.
//!
//! Used only inside of a namespace, by a thread that may wait there: the kernel works a request off within the `send`,
//! so a round trip costs two system calls, whatever the number of requests.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST,
    NLMSG_DONE, NLMSG_ERROR, NetlinkSerializable,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::{Socket, SocketAddr, protocols};

use crate::error::Refusal;

/// What a request came to: `Ok` carries the body of the answer, if one was asked for (`GET`).
pub(crate) type Answer = Result<Option<Vec<u8>>, Refusal>;

/// One netlink message to send, without its header.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: Vec<u8>,
}

/// An open netlink socket of the namespace that it was opened in.
pub(crate) struct Wire {
    socket: Socket,
    sequence: u32,
    received: Vec<u8>,
    /// Time spent in calls of the kernel, which does its work within them.
    pub(crate) in_kernel: Duration,
}

/// Requests in one `send`: so many answers, with a device in each, surely fit the receive buffer below.
const BATCH: usize = 64;

/// Bytes in one `send`, below the default send buffer of 208 KiB.
const BATCH_BYTES: usize = 128 << 10;

/// Receive buffer; the kernel's default is 208 KiB, and each small answer takes about 1 KiB of it.
const RECEIVE: usize = 1 << 20;

/// Larger than any datagram that the kernel makes for a dump (32 KiB).
const DATAGRAM: usize = 64 << 10;

/// The kernel answers within the call; only a bug leaves us waiting, and then an error is better than a lost thread.
const PATIENCE_SECONDS: i64 = 30;

/// A dump that was disturbed by a change is taken again, this often at most; a disturbed one is still used then.
const DUMP_TRIES: usize = 4;

const HEADER: usize = 16;

impl Request {
    pub(crate) fn new(message: &RouteNetlinkMessage, flags: u16) -> Self {
        let mut body = vec![0; message.buffer_len()];
        message.serialize(&mut body);
        Self {
            kind: message.message_type(),
            flags,
            body,
        }
    }

    /// True when it changes nothing: every third type is a `GET` (the types of a kind are NEW, DEL, GET, SET).
    pub(crate) fn only_asks(&self) -> bool {
        self.kind % 4 == 2
    }

    /// The bytes as they go out, padded to four.
    pub(crate) fn write(&self, sequence: u32, flags: u16, to: &mut Vec<u8>) {
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX); // bodies are bounded far below
        to.extend(length.to_ne_bytes());
        to.extend(self.kind.to_ne_bytes());
        to.extend((self.flags | flags | NLM_F_REQUEST).to_ne_bytes());
        to.extend(sequence.to_ne_bytes());
        to.extend([0; 4]);
        to.extend(&self.body);
        to.resize(to.len().next_multiple_of(4), 0);
    }
}

impl Wire {
    /// For devices, addresses, routes.
    pub(crate) fn route() -> io::Result<Self> {
        Self::open(protocols::NETLINK_ROUTE)
    }

    /// For nftables and connection tracking.
    pub(crate) fn netfilter() -> io::Result<Self> {
        Self::open(protocols::NETLINK_NETFILTER)
    }

    fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        // Lets the kernel filter dumps by device, table and protocol. Old kernels (before 4.20) give more than was asked.
        let _ = socket.set_netlink_get_strict_chk(true);
        let fd = socket.as_fd();
        setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE)
            .or_else(|_| setsockopt(&fd, sockopt::RcvBuf, &RECEIVE))?;
        setsockopt(
            &fd,
            sockopt::ReceiveTimeout,
            &TimeVal::new(PATIENCE_SECONDS, 0),
        )?;
        Ok(Self {
            socket,
            sequence: 0,
            received: vec![0; DATAGRAM],
            in_kernel: Duration::ZERO,
        })
    }

    /// Sends all, and gives the answers in the same order. An error of its own means that the socket failed.
    pub(crate) fn exchange(&mut self, requests: &[Request]) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut left = requests;
        while !left.is_empty() {
            let mut bytes = Vec::new();
            let first = self.sequence.wrapping_add(1);
            let mut count = 0;
            while count < left.len().min(BATCH)
                && (count == 0 || bytes.len() + left[count].body.len() < BATCH_BYTES)
            {
                self.sequence = self.sequence.wrapping_add(1);
                left[count].write(self.sequence, NLM_F_ACK, &mut bytes);
                count += 1;
            }
            self.send(&bytes)?;
            self.collect(first, count, &mut answers)?;
            left = &left[count..];
        }
        Ok(answers)
    }

    /// One request, one answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        self.exchange(std::slice::from_ref(request))?
            .pop()
            .unwrap_or(Ok(None))
    }

    /// All messages that answer a dump.
    pub(crate) fn dump(&mut self, request: &Request) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.sequence = self.sequence.wrapping_add(1);
            let mut bytes = Vec::new();
            request.write(self.sequence, NLM_F_DUMP, &mut bytes);
            self.send(&bytes)?;
            let (bodies, disturbed) = self.collect_dump()?;
            if !disturbed || tries == DUMP_TRIES {
                return Ok(bodies);
            }
        }
    }

    /// Sends netfilter messages as one transaction: all of them or none. Reports the first refusal.
    pub(crate) fn transact(&mut self, messages: &[Request]) -> Result<(), Refusal> {
        const BEGIN: u16 = 0x10;
        const END: u16 = 0x11;
        let Some(count) = u32::try_from(messages.len())
            .ok()
            .filter(|count| *count > 0)
        else {
            return Ok(());
        };
        // `nfgenmsg` with the subsystem (nftables) as resource.
        let frame = |kind| Request {
            kind,
            flags: 0,
            body: vec![0, 0, 0, 10],
        };
        let first = self.sequence.wrapping_add(1);
        let last = first.wrapping_add(count);
        self.sequence = last.wrapping_add(1);
        let mut bytes = Vec::new();
        frame(BEGIN).write(first, 0, &mut bytes);
        for (number, message) in (1..).zip(messages) {
            // One answer is enough, to the last: refusals come unasked, and before it.
            let number = first.wrapping_add(number);
            message.write(
                number,
                if number == last { NLM_F_ACK } else { 0 },
                &mut bytes,
            );
        }
        frame(END).write(self.sequence, 0, &mut bytes);
        self.send(&bytes)?;
        loop {
            let received = self.receive()?;
            for message in Messages(&self.received[..received]) {
                let ours = message.sequence.wrapping_sub(first) <= count + 1;
                if message.kind == NLMSG_ERROR && ours {
                    message.verdict()?;
                    if message.sequence == last {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn collect(&mut self, first: u32, count: usize, answers: &mut Vec<Answer>) -> io::Result<()> {
        let base = answers.len();
        answers.extend((0..count).map(|_| Ok(None)));
        let mut open = count;
        while open > 0 {
            let received = self.receive()?;
            for message in Messages(&self.received[..received]) {
                let number = message.sequence.wrapping_sub(first) as usize;
                let Some(answer) = answers[base..].get_mut(number) else {
                    continue;
                }; // late, of an older request
                if message.kind == NLMSG_ERROR {
                    open -= 1;
                    if let Err(refusal) = message.verdict() {
                        *answer = Err(refusal);
                    }
                } else {
                    *answer = Ok(Some(message.body.to_vec()));
                }
            }
        }
        Ok(())
    }

    fn collect_dump(&mut self) -> Result<(Vec<Vec<u8>>, bool), Refusal> {
        let (mut bodies, mut disturbed) = (Vec::new(), false);
        loop {
            let received = self.receive()?;
            for message in Messages(&self.received[..received]) {
                if message.sequence != self.sequence {
                    continue;
                }
                disturbed |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        message.verdict()?;
                        return Ok((bodies, disturbed));
                    }
                    _ => bodies.push(message.body.to_vec()),
                }
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let begin = Instant::now();
        let sent = loop {
            match self.socket.send(bytes, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => break sent.map(|_| ()),
            }
        };
        self.in_kernel += begin.elapsed();
        sent
    }

    fn receive(&mut self) -> io::Result<usize> {
        let begin = Instant::now();
        let received = self.receive_one();
        self.in_kernel += begin.elapsed();
        received
    }

    fn receive_one(&mut self) -> io::Result<usize> {
        loop {
            match self
                .socket
                .recv(&mut &mut self.received[..], libc::MSG_TRUNC)
            {
                Ok(length) if length > DATAGRAM => {
                    return Err(io::Error::other(format!(
                        "a netlink datagram of {length} bytes"
                    )));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the kernel did not answer",
                    ));
                }
                received => return received,
            }
        }
    }
}

/// The messages of one datagram; ends at the first that is cut short.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

/// One received message.
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let header = self.0.get(..HEADER)?;
        let length = u32_at(header, 0)? as usize;
        let body = self.0.get(HEADER..length)?;
        let flags_and_kind = u32_at(header, 4)?.to_ne_bytes();
        let message = Message {
            kind: u16::from_ne_bytes([flags_and_kind[0], flags_and_kind[1]]),
            flags: u16::from_ne_bytes([flags_and_kind[2], flags_and_kind[3]]),
            sequence: u32_at(header, 8)?,
            body,
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

impl Message<'_> {
    /// Of an error (which is also how success is told) or the end of a dump.
    fn verdict(&self) -> Result<(), Refusal> {
        let code = u32_at(self.body, 0).map_or(0, u32::cast_signed);
        if code >= 0 {
            return Ok(());
        }
        Err(Refusal {
            source: io::Error::from_raw_os_error(code.saturating_neg()),
            words: self.words(),
        })
    }

    /// `NLMSGERR_ATTR_MSG`, behind the code and the header of the request (whose body we asked not to get back).
    fn words(&self) -> Option<String> {
        const NLMSGERR_ATTR_MSG: u16 = 1;
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let behind = match (self.kind, self.flags & NLM_F_CAPPED) {
            (NLMSG_DONE, _) => 4,
            (_, 0) => 4 + (u32_at(self.body, 4)? as usize).next_multiple_of(4),
            (_, _) => 4 + HEADER,
        };
        let text = crate::attr::Attributes(self.body.get(behind..)?)
            .find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)?
            .1;
        let text = text.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .try_into()
        .ok()
        .map(u32::from_ne_bytes)
}
