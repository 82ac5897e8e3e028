//! One question to one forwarder.
//!
//! It has a random id and a random port of its own, and takes an answer only from the address that was asked, and to the
//! question that was asked. The client's bits (RD, AD, CD, DO) go along. The rest of EDNS is between two neighbours (RFC
//! 6891 section 6.1.1), so its options, like cookies, stay here; the size is ours.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::query::{AD, CD, Carrier, DO, HEADER, Query, RD};
use super::reply::{OUR_SIZE, push_opt};
use super::response::Response;
use super::shared::Tally;
use super::sockets::Sockets;
use crate::plan::scope::Forwarder;

/// Whoever guesses at one port gets so many guesses; then the question is asked from another.
const MOST_FORGED: usize = 16;

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
    let whole = Response::read(answer, asked.question_end);
    whole
        .map(Said::Whole)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its records are not whole"))
}

async fn by_udp(
    sockets: &Sockets,
    forwarder: Forwarder,
    asked: &Asked,
    tally: &Tally,
) -> io::Result<Vec<u8>> {
    let socket = sockets.udp(forwarder).await?;
    socket.send(&asked.message).await?;
    let mut forged = 0;
    while forged < MOST_FORGED {
        socket.readable().await?;
        // One byte more tells what is too long.
        let mut answer = Vec::with_capacity(usize::from(OUR_SIZE) + 1);
        match socket.try_recv_buf(&mut answer) {
            Ok(_) if asked.is_answered_by(&answer) => return Ok(answer),
            Ok(_) => {
                tally.spoofed.add();
                forged += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "too many answers to what was not asked",
    ))
}

async fn by_tcp(sockets: &Sockets, forwarder: Forwarder, asked: &Asked) -> io::Result<Vec<u8>> {
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
struct Asked {
    message: Vec<u8>,
    /// Where its question ends.
    question_end: usize,
}

impl Asked {
    fn new(query: &Query<'_>) -> Self {
        let bits = query.bits();
        let mut message = rand::random::<[u8; 2]>().to_vec();
        let opt = u8::from(query.edns().is_some());
        message.extend([bits & RD, bits & (AD | CD), 0, 1, 0, 0, 0, 0, 0, opt]);
        message.extend_from_slice(query.question());
        let question_end = message.len();
        if opt > 0 {
            push_opt(&mut message, 0, bits & DO > 0, &[]);
        }
        Self {
            message,
            question_end,
        }
    }

    /// A response, with our id, to our question: the same type and class, and the same name in whatever case.
    fn is_answered_by(&self, answer: &[u8]) -> bool {
        let question = &self.message[HEADER..self.question_end];
        let (name, rest) = question.split_at(question.len() - 4);
        answer.len() >= self.question_end
            && answer[..2] == self.message[..2]
            && answer[2] & 0xf8 == 0x80
            && answer[4..6] == [0, 1]
            && answer[HEADER..HEADER + name.len()].eq_ignore_ascii_case(name)
            && answer[HEADER + name.len()..self.question_end] == *rest
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
    fn only_an_answer_to_our_question_is_taken() {
        let asked = Asked::new(&Query::read(QUERY).unwrap());
        let answer = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut answer = asked.message.clone();
            answer[2] |= 0x80;
            edit(&mut answer);
            answer
        };
        for (case, answer, want) in [
            ("ours", answer(&|_| ()), true),
            ("with records", answer(&|a| a.extend([0; 30])), true),
            ("in another case", answer(&|a| a[13] = b'W'), true),
            ("another id", answer(&|a| a[0] ^= 1), false),
            ("a query", answer(&|a| a[2] &= 0x7f), false),
            ("another opcode", answer(&|a| a[2] |= 0x08), false),
            ("no question", answer(&|a| a[5] = 0), false),
            ("two questions", answer(&|a| a[5] = 2), false),
            ("another name", answer(&|a| a[13] = b'v'), false),
            ("another type", answer(&|a| a[18] = 1), false),
            ("a type in another case", answer(&|a| a[18] ^= 0x20), false),
            ("another class", answer(&|a| a[20] = 3), false),
            ("cut short", answer(&|a| a.truncate(20)), false),
            ("cut in the header", answer(&|a| a.truncate(5)), false),
            ("nothing", Vec::new(), false),
        ] {
            assert_eq!(asked.is_answered_by(&answer), want, "{case}");
        }
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
