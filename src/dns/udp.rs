//! Queries by UDP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::places::Place;
use super::query::Carrier;
use super::server::{Due, LONGEST_QUERY, PAUSE, Serving};

/// So many messages are taken in a row, then it is the turn of the other namespaces.
const TURN: usize = 64;

/// Why a turn ended.
enum Turn {
    /// Nothing is left for now.
    Empty,
    /// There may be more.
    Over,
    /// The network has had its share, and is left alone for so long.
    Rest(Duration),
    /// The socket has a fault.
    Fault,
}

/// Serves one socket for ever.
pub(super) async fn serve(serving: Arc<Serving>, socket: Arc<UdpSocket>) {
    let mut asking = JoinSet::new();
    let mut reply = Vec::new();
    loop {
        let turn = match socket.readable().await {
            Ok(()) => take_turn(&serving, &socket, &mut reply, &mut asking),
            Err(_) => Turn::Fault,
        };
        while asking.try_join_next().is_some() {}
        match turn {
            Turn::Empty => {}
            Turn::Over => yield_now().await,
            Turn::Rest(time) => sleep(time).await,
            Turn::Fault => sleep(PAUSE).await,
        }
    }
}

fn take_turn(
    serving: &Arc<Serving>,
    socket: &Arc<UdpSocket>,
    reply: &mut Vec<u8>,
    asking: &mut JoinSet<()>,
) -> Turn {
    // On the stack of one turn, not kept: there are hundreds of servers, most of them quiet.
    let mut buffer = [0; LONGEST_QUERY + 1];
    for read in 0..TURN {
        let (length, client) = match socket.try_recv_from(&mut buffer) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return rest_or(Turn::Empty, serving.read(read));
            }
            Err(_) => return Turn::Fault,
        };
        if !serving.serves(client.ip()) {
            continue;
        }
        let message = &buffer[..length];
        if length > LONGEST_QUERY {
            serving.tally.malformed.add();
            continue;
        }
        match serving.receive(message, client, Carrier::Udp, reply) {
            Due::Nothing => {}
            Due::Reply => send(serving, socket, reply, client),
            Due::Ask(place) => {
                let (serving, socket) = (Arc::clone(serving), Arc::clone(socket));
                asking.spawn(ask(serving, socket, message.into(), client, place));
            }
        }
    }
    rest_or(Turn::Over, serving.read(TURN))
}

fn rest_or(turn: Turn, rest: Duration) -> Turn {
    if rest.is_zero() {
        turn
    } else {
        Turn::Rest(rest)
    }
}

async fn ask(
    serving: Arc<Serving>,
    socket: Arc<UdpSocket>,
    message: Box<[u8]>,
    client: SocketAddr,
    place: Place,
) {
    let reply = serving.ask(&message, Carrier::Udp, place).await;
    send(&serving, &socket, &reply, client);
}

/// A socket whose buffer is full is not waited for: the client asks again.
fn send(serving: &Serving, socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    if let Err(error) = socket.try_send_to(reply, client) {
        serving.tally.unsent.add();
        if error.kind() == io::ErrorKind::WouldBlock {
            serving.jammed();
        }
    }
}
