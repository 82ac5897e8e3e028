//! Machines with bad intentions, on networks of their own, each with many addresses that are all its ports'.
//!
//! An attack that mostly failed is none: it panics.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::ops::Range;
use std::time::Duration;

use netns::MacAddr;
use socket2::{Domain, Socket, Type};

use super::common::{Flood, Guest, Host};
use super::frames;
use super::resolver::LONG;

/// Networks: together they reach every bound that there is for all.
pub const HOSTILE: u8 = 8;
/// Of each: 32 connections of each address are as many as a network may have.
pub const ADDRESSES: u8 = 32;
const CONNECTIONS: usize = 32;
/// DNS by TCP: of each client, and clients.
const BY_TCP: usize = 4;
const ASKING: u8 = 5;
/// Names of each network; more than all may keep.
const NAMES: u16 = 6_000;
/// Queries of one client that wait for a resolver.
const AT_ONCE: u16 = 40;

const SOON: Duration = Duration::from_secs(5);
const METADATA: (Ipv4Addr, u16) = (Ipv4Addr::new(169, 254, 169, 254), 80);

pub struct Gang {
    guests: Vec<Guest>,
}

/// Connections that are kept until this is dropped.
pub type Held = Vec<TcpStream>;

pub fn mac(network: u8, number: u8) -> MacAddr {
    MacAddr([0xfa, 0x16, 0x3e, 0x02, network, number])
}

pub fn address(network: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, network, 1, number)
}

fn server(network: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, network, 0, 2)
}

impl Gang {
    pub fn new(host: &Host) -> Self {
        let guest = |network| {
            let name = format!("bad{network}");
            let guest = host.guest(
                &name,
                &format!("br-hostile{network}"),
                &mac(network, 0).to_string(),
            );
            let mut lines = String::new();
            for number in 0..ADDRESSES {
                lines += &format!("addr add {}/16 dev eth0\n", address(network, number));
            }
            let (to, via) = (METADATA.0, server(network));
            guest.ip(&format!("{lines}route add {to} via {via}"));
            guest
        };
        Self {
            guests: (0..HOSTILE).map(guest).collect(),
        }
    }

    /// Of each network.
    pub fn flood(&self, frames: &[Vec<u8>], per_second: u32) -> Vec<Flood> {
        let share = per_second / u32::from(HOSTILE);
        let guests = self.guests.iter();
        guests
            .map(|guest| guest.flood(frames.to_vec(), share))
            .collect()
    }

    /// Asks for more names than there is room for in all.
    pub fn fill_caches(&self) -> Held {
        let ask = |network: u8| {
            move || {
                let socket = UdpSocket::bind((address(network, 0), 0)).unwrap();
                socket.connect((server(network), 53)).unwrap();
                socket.set_read_timeout(Some(SOON)).unwrap();
                let mut told = Vec::new();
                for first in (0..NAMES).step_by(AT_ONCE.into()) {
                    for number in first..first + AT_ONCE {
                        socket.send(&frames::query(number, &name(number))).unwrap();
                    }
                    let mut message = [0; 2048];
                    // What was lost is lost.
                    let codes = (0..AT_ONCE)
                        .map_while(|_| socket.recv(&mut message).ok().map(|_| message[3] & 15));
                    told.push(codes.filter(|code| *code == 0).count());
                }
                told
            }
        };
        let told = self.each(ask).into_iter().sum();
        most("names", told, usize::from(HOSTILE) * usize::from(NAMES));
        Vec::new()
    }

    /// Asks for as much as a network's connections take, and reads none of the answers.
    pub fn long_answers(&self) -> Held {
        let held = self.each(|network| {
            move || {
                let mut held = Vec::new();
                for connection in 0..BY_TCP * usize::from(ASKING) {
                    let from = address(network, (connection / BY_TCP).try_into().unwrap());
                    let Some(mut stream) = connect(from, (server(network), 53)) else {
                        continue;
                    };
                    for number in 0..16 {
                        let name = format!("{LONG}{connection}-{number}.example.org");
                        let query = frames::query(number, &name);
                        let length = u16::try_from(query.len()).unwrap().to_be_bytes();
                        _ = stream.write_all(&[&length, &query[..]].concat());
                    }
                    held.push(stream);
                }
                held
            }
        });
        let asked = usize::from(HOSTILE) * BY_TCP * usize::from(ASKING);
        most("connections to DNS", held.len(), asked);
        held
    }

    /// Requests whose head, as long as it may be, has no end.
    pub fn half_heads(&self) -> Held {
        let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(16_000));
        self.connections(0..ADDRESSES, head.as_bytes())
    }

    /// Requests whose body, as long as it may be, has no end.
    pub fn half_bodies(&self) -> Held {
        let body = format!(
            "POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 65536\r\nX: {}\r\n\r\n{}",
            "x".repeat(12_000),
            "x".repeat(65_535)
        );
        self.connections(0..ADDRESSES, body.as_bytes())
    }

    /// Requests, many, for what is long; the answers are not read.
    pub fn untaken(&self) -> Held {
        let request = "GET /openstack/latest/user_data HTTP/1.1\r\nHost: x\r\n\r\n";
        self.connections(0..1, request.repeat(100).as_bytes())
    }

    /// Whether a machine of this network is told its metadata.
    pub fn asks(&self, network: u8) -> bool {
        self.guests[usize::from(network)].inside(move || {
            let Some(mut stream) = connect(address(network, 1), METADATA) else {
                return false;
            };
            let asked = stream.write_all(b"GET /latest/meta-data/instance-id HTTP/1.0\r\n\r\n");
            let mut answer = String::new();
            asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ")
        })
    }

    /// From each of these addresses of each network as many as it may have, on each of which this is said.
    fn connections(&self, numbers: Range<u8>, said: &[u8]) -> Held {
        let asked = usize::from(HOSTILE) * numbers.len() * CONNECTIONS;
        let held = self.each(|network| {
            let (numbers, said) = (numbers.clone(), said.to_vec());
            move || {
                let mut held = Vec::new();
                for number in numbers {
                    for _ in 0..CONNECTIONS {
                        let Some(mut stream) = connect(address(network, number), METADATA) else {
                            continue;
                        };
                        // As far as anybody takes it at once.
                        stream.set_nonblocking(true).unwrap();
                        _ = stream.write_all(&said);
                        held.push(stream);
                    }
                }
                held
            }
        });
        most("connections to metadata", held.len(), asked);
        held
    }

    /// Does the work of each network, at the same time.
    fn each<T, W>(&self, work: impl Fn(u8) -> W) -> Vec<T>
    where
        T: Send + 'static,
        W: FnOnce() -> Vec<T> + Send + 'static,
    {
        let begun = self.guests.iter().zip(0..).map(|(guest, network)| {
            let work = work(network);
            guest.inside(move || std::thread::spawn(work))
        });
        let begun: Vec<_> = begun.collect();
        begun
            .into_iter()
            .flat_map(|work| work.join().unwrap())
            .collect()
    }
}

#[track_caller]
fn most(what: &str, got: usize, asked: usize) {
    assert!(got * 10 >= asked * 9, "{got} {what} of {asked}");
}

fn name(number: u16) -> String {
    let label = "n".repeat(60);
    format!("a{number}.{label}.{label}.example.org")
}

/// With little room for answers, and much for what is said. `None`: nobody takes the connection.
fn connect(from: Ipv4Addr, to: (Ipv4Addr, u16)) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.set_send_buffer_size(128 * 1024).unwrap();
    // A reset at the end: millions of ends would leave ports in use.
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    let to = SocketAddr::from(to);
    socket.connect_timeout(&to.into(), SOON).ok()?;
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.set_write_timeout(Some(SOON)).unwrap();
    Some(socket.into())
}
