//! Queries by UDP.

use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;

use netns::datagrams::{self, Packed, UdpListener};
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::places::Place;
use super::query::Carrier;
use super::server::{Due, LONGEST_QUERY, PAUSE, Serving};
use crate::turn::{self, Turn};

/// So many messages are taken in a row, then it is the turn of the other namespaces.
const TURN: usize = 32;

thread_local! {
    static OUTBOX: RefCell<Outbox> = RefCell::default();
}

/// The replies of one turn: one room per thread, as for what comes in.
#[derive(Debug, Default)]
struct Outbox {
    replies: Packed,
    clients: Vec<SocketAddr>,
}

/// Serves one socket for ever.
pub(super) async fn serve(serving: Arc<Serving>, mut socket: UdpListener) {
    let mut asking = JoinSet::new();
    let mut reply = Vec::new();
    loop {
        let turn = match socket.readable().await {
            Ok(()) => take_turn(&serving, &mut socket, &mut reply, &mut asking),
            Err(_) => Turn::Fault,
        };
        while asking.try_join_next().is_some() {}
        match turn {
            Turn::Empty => {}
            Turn::Over => yield_now().await,
            Turn::Flooded => {
                socket.rest();
                yield_now().await;
            }
            Turn::Rest(time) => {
                socket.rest();
                sleep(time).await;
            }
            Turn::Fault => sleep(PAUSE).await,
        }
    }
}

fn take_turn(
    serving: &Arc<Serving>,
    socket: &mut UdpListener,
    reply: &mut Vec<u8>,
    asking: &mut JoinSet<()>,
) -> Turn {
    turn::take(|inbox| {
        let Ok(more) = socket.receive(inbox, TURN, LONGEST_QUERY) else {
            return Turn::Fault;
        };
        let mut wasted = false;
        OUTBOX.with_borrow_mut(|outbox| {
            outbox.clear();
            for received in inbox.messages() {
                let client = received.from.address;
                if !serving.serves(client.ip()) {
                    wasted = true;
                    continue;
                }
                let Some(message) = received.message else {
                    serving.tally.malformed.add();
                    wasted = true;
                    continue;
                };
                match serving.receive(message, client, Carrier::Udp, reply) {
                    Due::Nothing => wasted = true,
                    Due::Reply => outbox.add(reply, client),
                    Due::Ask(place) => {
                        let (serving, socket) = (Arc::clone(serving), Arc::clone(socket.socket()));
                        asking.spawn(ask(serving, socket, message.into(), client, place));
                    }
                }
            }
            outbox.send(serving, socket.socket());
        });
        Turn::after(more, wasted, serving.read(inbox.len()))
    })
}

async fn ask(
    serving: Arc<Serving>,
    socket: Arc<UdpSocket>,
    message: Box<[u8]>,
    client: SocketAddr,
    _place: Place,
) {
    let reply = serving.ask(&message, Carrier::Udp).await;
    OUTBOX.with_borrow_mut(|outbox| {
        outbox.clear();
        outbox.add(&reply, client);
        outbox.send(&serving, &socket);
    });
}

impl Outbox {
    fn clear(&mut self) {
        self.replies.clear();
        self.clients.clear();
    }

    fn add(&mut self, reply: &[u8], client: SocketAddr) {
        self.replies.add(|out| out.extend(reply));
        self.clients.push(client);
    }

    /// A socket whose buffer is full is not waited for: the clients ask again.
    fn send(&self, serving: &Serving, socket: &UdpSocket) {
        serving.sent(datagrams::send(
            socket.as_fd(),
            &self.replies,
            &self.clients,
        ));
    }
}
