//! A resolver that a tenant has a say in: what it answers is as long as can be kept, or as can be told at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use super::common::Place;

pub const AT: &str = "127.0.0.1:5399";

/// Names that begin so have the longest answers that there are, by TCP.
pub const LONG: &str = "long";

/// Just below what is kept.
const KEPT: usize = 1200;
const LONGEST: usize = 65_000;

/// Its threads end with the test.
#[derive(Debug)]
pub struct Resolver;

impl Resolver {
    pub fn start(place: &Place) -> Self {
        let (udp, tcp) =
            place.inside(|| (UdpSocket::bind(AT).unwrap(), TcpListener::bind(AT).unwrap()));
        std::thread::spawn(move || answer_datagrams(&udp));
        std::thread::spawn(move || {
            for stream in tcp.incoming() {
                // Who asked may have gone.
                _ = stream.and_then(answer_at_length);
            }
        });
        Self
    }
}

fn answer_datagrams(socket: &UdpSocket) {
    let mut query = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut query) else {
            return;
        };
        let query = &query[..length];
        let answer = if query[13..].starts_with(LONG.as_bytes()) {
            truncated(query)
        } else {
            answer(query, KEPT)
        };
        _ = socket.send_to(&answer, from);
    }
}

fn answer_at_length(mut stream: TcpStream) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut query = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut query)?;
    let answer = answer(&query, LONGEST);
    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, &answer[..]].concat())
}

/// The header and the question, as a response with so many answers.
fn response(query: &[u8], flags: u8, answers: u16) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let mut message = query[..12 + name + 5].to_vec();
    message[2] = 0x80 | flags;
    message[3] = 0x80;
    message[6..8].copy_from_slice(&answers.to_be_bytes());
    message[8..12].fill(0);
    message
}

fn truncated(query: &[u8]) -> Vec<u8> {
    response(query, 2, 0)
}

/// One record of the type that was asked for, which fills the rest.
fn answer(query: &[u8], length: usize) -> Vec<u8> {
    let mut message = response(query, 0, 1);
    let kind = message.len() - 4;
    let kind_and_class = message[kind..].to_vec();
    message.extend([0xc0, 12]);
    message.extend(kind_and_class);
    message.extend([0, 1, 0, 0]); // for a day
    let rest = u16::try_from(length - message.len() - 2).unwrap();
    message.extend(rest.to_be_bytes());
    message.resize(length, b'x');
    message
}
