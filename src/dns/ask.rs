//! One question to one forwarder.
//!
//! It has a random id and a random port of its own, and takes an answer only from the address that was asked, and to the
//! question that was asked. The client's bits (RD, AD, CD, DO) go along. The rest of EDNS is between two neighbours (RFC
//! 6891 section 6.1.1), so its options, like cookies, stay here; the size is ours.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::query::{AD, CD, Carrier, DO, Query, RD};
use super::reply::{OUR_SIZE, push_opt};
use super::response::{Response, is_answer_to, is_bare_refusal};
use super::shared::Tally;
use super::sockets::{Lent, Sockets};
use crate::plan::scope::Forwarder;

/// Whoever guesses at one port gets so many guesses; then the question is asked from another, and at last not at all.
const MOST_FORGED: usize = 16;
const MOST_PORTS: usize = 3;

/// What a forwarder said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Whole(Response),
    /// It is longer than what comes by UDP.
    TooLong,
}

/// Asks by UDP; and, for a client that takes long answers, by TCP for those. Cancel-safe: what it opened goes with it.
pub(super) async fn ask(
    sockets: &Sockets,
    forwarder: Forwarder,
    query: &Query<'_>,
    carrier: Carrier,
    tally: &Tally,
) -> io::Result<Said> {
    let asked = Asked::new(query);
    let mut answer = by_udp(sockets, forwarder, &asked, tally).await?;
    if answer.len() > usize::from(OUR_SIZE) || is_truncated(&answer) {
        if carrier == Carrier::Udp {
            return Ok(Said::TooLong);
        }
        answer = by_tcp(sockets, forwarder, &asked).await?;
    }
    let whole = Response::read(answer, query);
    whole
        .map(Said::Whole)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its records are not whole"))
}

async fn by_udp(
    sockets: &Sockets,
    forwarder: Forwarder,
    asked: &Asked<'_>,
    tally: &Tally,
) -> io::Result<Vec<u8>> {
    for _ in 0..MOST_PORTS {
        let socket = sockets.udp(forwarder).await?;
        socket.send(&asked.message).await?;
        if let Some(answer) = hear(&socket, asked, tally).await? {
            return Ok(answer);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "too many answers to what was not asked",
    ))
}

/// `None`: somebody guesses at this port.
async fn hear(socket: &Lent<'_>, asked: &Asked<'_>, tally: &Tally) -> io::Result<Option<Vec<u8>>> {
    let mut forged = 0;
    while forged < MOST_FORGED {
        socket.readable().await?;
        // One byte more tells what is too long.
        let mut answer = Vec::with_capacity(usize::from(OUR_SIZE) + 1);
        match socket.try_recv_buf(&mut answer) {
            Ok(_) if asked.is_answered_by(&answer) => return Ok(Some(answer)),
            Ok(_) if asked.is_refused_by(&answer) => return Ok(Some(asked.refusal(&answer))),
            Ok(_) => {
                tally.spoofed.add();
                forged += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn by_tcp(sockets: &Sockets, forwarder: Forwarder, asked: &Asked<'_>) -> io::Result<Vec<u8>> {
    let mut stream = sockets.tcp(forwarder).await?;
    let length = u16::try_from(asked.message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), asked.message.as_slice()].concat();
    stream.write_all(&framed).await?;
    let length = usize::from(stream.read_u16().await?);
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    if asked.is_answered_by(&answer) && !is_truncated(&answer) {
        Ok(answer)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// A client's question in a message of our own.
struct Asked<'q> {
    query: &'q Query<'q>,
    message: Vec<u8>,
}

impl<'q> Asked<'q> {
    fn new(query: &'q Query<'q>) -> Self {
        let bits = query.bits();
        let mut message = rand::random::<[u8; 2]>().to_vec();
        let opt = u8::from(query.edns().is_some());
        message.extend([bits & RD, bits & (AD | CD), 0, 1, 0, 0, 0, 0, 0, opt]);
        message.extend_from_slice(query.question());
        if opt > 0 {
            push_opt(&mut message, 0, bits & DO > 0, &[]);
        }
        Self { query, message }
    }

    /// A response, with our id, to our question.
    fn is_answered_by(&self, answer: &[u8]) -> bool {
        answer.starts_with(&self.message[..2]) && is_answer_to(answer, self.query)
    }

    /// A refusal, with our id, of who does not repeat the question.
    fn is_refused_by(&self, answer: &[u8]) -> bool {
        answer.starts_with(&self.message[..2]) && is_bare_refusal(answer)
    }

    /// The same with the question.
    fn refusal(&self, bare: &[u8]) -> Vec<u8> {
        let mut answer = [bare, self.query.question()].concat();
        answer[5] = 1;
        answer
    }
}

/// Only of what [`Asked::is_answered_by`].
fn is_truncated(answer: &[u8]) -> bool {
    answer[2] & 0x02 != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use super::*;

    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x00\x00\x41\x00\x01";

    #[test]
    fn only_an_answer_with_our_id_is_taken() {
        let query = Query::read(QUERY).unwrap();
        let asked = Asked::new(&query);
        let mut answer = asked.message.clone();
        assert!(!asked.is_answered_by(&answer), "our own question");
        answer[2] |= 0x80;
        assert!(asked.is_answered_by(&answer));
        answer[0] ^= 1;
        assert!(!asked.is_answered_by(&answer), "another id");
        assert!(!asked.is_answered_by(&answer[..1]));
    }

    #[test]
    fn ids_are_random() {
        let query = Query::read(QUERY).unwrap();
        let ids: std::collections::HashSet<_> = (0..1000)
            .map(|_| Asked::new(&query).message[..2].to_vec())
            .collect();
        assert!(ids.len() > 900, "{} of 1000", ids.len());
    }
}
