//! Queries by TCP (RFC 7766): several in flight per connection, answered in whatever order answers come.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::query::{Carrier, HEADER};
use super::server::{Due, LONGEST_QUERY, PAUSE, Serving};

/// Queries of one connection that wait for a forwarder; beyond these nothing is read from it.
const MOST_IN_FLIGHT: usize = 16;

/// Replies are gathered up to this size before they are written.
const GATHER: usize = 16 * 1024;

/// Accepts for ever.
pub(super) async fn serve(serving: Arc<Serving>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => take(&serving, stream, client, &mut connections),
                Err(_) => sleep(PAUSE).await, // out of files or memory: later perhaps
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

fn take(
    serving: &Arc<Serving>,
    stream: TcpStream,
    client: SocketAddr,
    connections: &mut JoinSet<()>,
) {
    if !serving.serves(client.ip()) {
        return;
    }
    let Ok(place) = serving.connections.take(client.ip(), client.port().into()) else {
        serving.tally.connections_full.add();
        return;
    };
    serving.tally.connections.add();
    let serving = Arc::clone(serving);
    connections.spawn(async move {
        // How a connection ends (closed, reset, silent, out of order) is the client's affair.
        let _ = converse(&serving, stream, client).await;
        drop(place);
    });
}

/// Until the client ends it, breaks the format, or is idle or too slow to read.
async fn converse(
    serving: &Arc<Serving>,
    mut stream: TcpStream,
    client: SocketAddr,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let idle = serving.settings.idle;
    let mut asking = JoinSet::new();
    let mut received = BytesMut::new();
    let mut out = Vec::new();
    // The places of what is in there.
    let mut told = Vec::new();
    let mut reply = Vec::new();
    let mut ended = false;
    let mut wasted = false;
    let mut last = Instant::now();
    loop {
        while asking.len() < MOST_IN_FLIGHT
            && out.len() < GATHER
            && let Some(message) = next_message(&mut received)?
        {
            last = Instant::now();
            match serving.receive(&message, client, Carrier::Tcp, &mut reply) {
                Due::Nothing => wasted = true,
                Due::Reply => push(&mut out, &reply),
                Due::Ask(place) => {
                    let serving = Arc::clone(serving);
                    let ask = async move { (serving.ask(&message, Carrier::Tcp).await, place) };
                    asking.spawn(ask);
                }
            }
        }
        if !out.is_empty() {
            timeout(idle, stream.write_all(&out)).await??;
            out.clear();
            told.clear();
            continue; // there may be more in `received`
        }
        if wasted {
            // Who sends what is dropped is read slowly: here, other than by UDP, what comes waits on its side.
            wasted = false;
            sleep(PAUSE).await;
        }
        if ended && asking.is_empty() {
            return Ok(());
        }
        tokio::select! {
            read = stream.read_buf(&mut received), if !ended && asking.len() < MOST_IN_FLIGHT => {
                // A client that has asked all that it wants still gets its answers.
                ended = read? == 0;
            }
            Some(answer) = asking.join_next() => {
                last = Instant::now();
                if let Ok((answer, place)) = answer {
                    push(&mut out, &answer);
                    told.push(place);
                }
            }
            () = sleep_until(last + idle), if asking.is_empty() => return Ok(()),
        }
    }
}

/// Takes a whole message with its length (RFC 1035 section 4.2.2) from the front of `received`.
fn next_message(received: &mut BytesMut) -> io::Result<Option<BytesMut>> {
    let Some((head, rest)) = received.split_first_chunk() else {
        received.reserve(512);
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*head));
    if !(HEADER..=LONGEST_QUERY).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if rest.len() < length {
        received.reserve(2 + length);
        return Ok(None);
    }
    received.advance(2);
    Ok(Some(received.split_to(length)))
}

fn push(out: &mut Vec<u8>, message: &[u8]) {
    // Every reply is bounded by what fits a TCP message.
    let Ok(length) = u16::try_from(message.len()) else {
        return;
    };
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
}
