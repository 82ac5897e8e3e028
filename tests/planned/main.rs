//! A router as a cloud's server describes it, with all that a topology file cannot say: real packets through its plan.
#![allow(clippy::unwrap_used)] // in a test a panic is the report

mod cloud;
#[path = "../common/mod.rs"]
mod common;
mod packets;
mod scopes;
mod v6;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use common::{Guest, PATIENCE, wait_for};

/// The source address that `to` sees of a connection to its `port` from `from`, which calls `address`.
#[track_caller]
fn source_seen(from: &Guest, address: &str, to: &Guest, port: u16) -> IpAddr {
    try_source_seen(
        from,
        SocketAddr::new(address.parse().unwrap(), port),
        to,
        port,
    )
    .unwrap()
}

/// The same, where another port is called than that which `to` listens at.
fn try_source_seen(
    from: &Guest,
    called: SocketAddr,
    to: &Guest,
    port: u16,
) -> std::io::Result<IpAddr> {
    let any: IpAddr = if called.is_ipv4() {
        [0; 4].into()
    } else {
        [0u16; 8].into()
    };
    // The one before may still be open in a process that another test is about to start: it has them all until its `execve`.
    let listen = || {
        let bound = to.inside(move || TcpListener::bind((any, port)));
        bound
            .inspect_err(|error| assert_eq!(error.kind(), ErrorKind::AddrInUse))
            .ok()
    };
    let listener = wait_for("a port of its own", PATIENCE, listen);
    let connection = from.inside(move || TcpStream::connect_timeout(&called, PATIENCE))?;
    let (_, peer) = listener.accept().unwrap();
    drop(connection);
    Ok(peer.ip())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
