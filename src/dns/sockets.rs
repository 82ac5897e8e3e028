//! Sockets to ask forwarders with, on the side that each is to be asked from.
//!
//! A socket of a namespace is born inside, on threads that all other work inside shares. So it is kept after its
//! question, for the next one: cut off from its forwarder and its port, it gets a new random port when it connects
//! again. While everything is rebuilt, forwarding does not wait for that.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use netns::Namespace;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpStream, UdpSocket};

use crate::plan::scope::{Forwarder, Side};

/// So many are made at once: entering the namespace for one costs as much as for all.
const BATCH: usize = 4;

/// So many are kept; beyond, a socket is closed after its question.
const MOST_SPARE: usize = 16;

/// Somebody who sent more than this to one question's port is not worth the reading: the socket is closed.
const MOST_LEFT_OVER: usize = 64;

/// The sockets of one namespace's forwarding.
#[derive(Debug)]
pub(super) struct Sockets {
    namespace: Namespace,
    /// Born in the namespace, without port: for v4, and for v6.
    spare: [Mutex<Vec<UdpSocket>>; 2],
}

/// A socket for one question: on a port that the kernel picked at random, and hearing its forwarder only.
#[derive(Debug)]
pub(super) struct Lent<'s> {
    /// There until the drop.
    socket: Option<UdpSocket>,
    /// Where it goes afterwards; `None`: it is closed.
    back_to: Option<&'s Mutex<Vec<UdpSocket>>>,
}

impl Sockets {
    pub(super) fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            spare: Default::default(),
        }
    }

    pub(super) async fn udp(&self, forwarder: Forwarder) -> io::Result<Lent<'_>> {
        let to = forwarder.address;
        let (socket, back_to) = match forwarder.from {
            Side::Host => (register(portless(to)?)?, None),
            Side::Namespace => {
                let spare = &self.spare[usize::from(to.is_ipv6())];
                (self.born_inside(to, spare).await?, Some(spare))
            }
        };
        socket.connect(to).await?;
        Ok(Lent {
            socket: Some(socket),
            back_to,
        })
    }

    pub(super) async fn tcp(&self, forwarder: Forwarder) -> io::Result<TcpStream> {
        match forwarder.from {
            Side::Host => TcpStream::connect(forwarder.address).await,
            Side::Namespace => netns::socket::tcp_stream(&self.namespace, forwarder.address)
                .await
                .map_err(io::Error::other),
        }
    }

    async fn born_inside(
        &self,
        to: SocketAddr,
        spare: &Mutex<Vec<UdpSocket>>,
    ) -> io::Result<UdpSocket> {
        if let Some(socket) = lock(spare).pop() {
            return Ok(socket);
        }
        let make = move || {
            (0..BATCH)
                .map(|_| portless(to))
                .collect::<io::Result<Vec<_>>>()
        };
        let made = self.namespace.enter(make).await.map_err(io::Error::other)?;
        let mut sockets = made.into_iter().map(register);
        let socket = sockets.next().ok_or(io::ErrorKind::NotFound)?;
        let mut spare = lock(spare);
        for socket in sockets {
            keep(&mut spare, socket?);
        }
        socket
    }
}

impl Deref for Lent<'_> {
    type Target = UdpSocket;

    fn deref(&self) -> &UdpSocket {
        self.socket.as_ref().expect("only the drop takes it")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let (Some(socket), Some(spare)) = (self.socket.take(), self.back_to)
            && forget_port(&socket).is_ok()
        {
            keep(&mut lock(spare), socket);
        }
    }
}

/// Takes the port and the peer from a socket, and what it may still have heard.
fn forget_port(socket: &UdpSocket) -> io::Result<()> {
    // Without a port it hears nothing more; so what is read here was all.
    rustix::net::connect_unspec(socket)?;
    let raw = SockRef::from(socket);
    for _ in 0..MOST_LEFT_OVER {
        match raw.recv(&mut [MaybeUninit::uninit()]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // A datagram, or an ICMP error that was kept for us.
            Ok(_) | Err(_) => {}
        }
    }
    Err(io::ErrorKind::QuotaExceeded.into())
}

fn keep(spare: &mut Vec<UdpSocket>, socket: UdpSocket) {
    if spare.len() < MOST_SPARE {
        spare.push(socket);
    }
}

fn lock(spare: &Mutex<Vec<UdpSocket>>) -> MutexGuard<'_, Vec<UdpSocket>> {
    spare.lock().unwrap_or_else(PoisonError::into_inner)
}

fn portless(to: SocketAddr) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    Socket::new(Domain::for_address(to), kind, None)
}

fn register(socket: Socket) -> io::Result<UdpSocket> {
    UdpSocket::from_std(socket.into())
}
