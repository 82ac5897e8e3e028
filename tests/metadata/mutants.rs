//! Requests that were made wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::common::{Guest, Host, PATIENCE};
use crate::nova::{Nova, PLAIN, SECRET, is_signed, with_nova};
use crate::{ask, blue1, blue2};

/// What the mutants descend from.
const SEEDS: [&str; 5] = [
    "GET /openstack/latest/meta_data.json HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: curl\r\nAccept: */*\r\n\r\n",
    "GET /latest/meta-data/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /openstack/latest/password HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecret",
    "POST /a%20b/../c?d=e HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: y\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: x\r\nX-Instance-ID: y\r\nConnection: X-Tenant-ID, close\r\nExpect: 100-continue\r\n\r\n",
];

/// What is put into them.
const PIECES: [&[u8]; 16] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%",
    b"%2e%2e/",
    b"X-Instance-ID: y\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/1.1",
    b"\xff\xfe",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
];

fn mutated(random: &mut StdRng) -> Vec<u8> {
    let mut request = SEEDS.choose(random).unwrap().as_bytes().to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=request.len());
        let end = random.random_range(at..=request.len().min(at + 8));
        let piece = PIECES.choose(random).unwrap().iter().copied();
        match random.random_range(0..5) {
            0 => _ = request.splice(at..end, []),
            1 => _ = request.splice(at..at, piece),
            2 => _ = request.splice(at..end, piece),
            3 => request.truncate(at),
            _ => request
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = random.random()),
        }
    }
    request
}

/// Sends these, each on a connection of its own, and counts the answers that are 400.
fn send_all(guest: &Guest, requests: Vec<Vec<u8>>) -> usize {
    guest.inside(move || {
        let to = SocketAddr::from(([169, 254, 169, 254], 80));
        let answers = requests.iter().map(|request| {
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            _ = stream.write_all(request);
            _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            _ = stream.read_to_end(&mut answer);
            answer
        });
        answers
            .filter(|answer| answer.starts_with(b"HTTP/1.1 400 "))
            .count()
    })
}

/// 1,200 requests that were made wrong, no more than a guest may make at once. After each batch the daemon answers, and Nova
/// has heard nothing but our words.
#[test]
fn no_request_brings_it_down() {
    let Some(host) = Host::new("mutants") else {
        return;
    };
    let nova = Nova::start(&host, None);
    let mut daemon = with_nova(&host, SECRET, PLAIN);
    let (bad, good) = (blue1(&host), blue2(&host));
    let mut random = StdRng::seed_from_u64(2);
    let (mut heard, mut refused) = (0, 0);
    for batch in 0..20 {
        let requests: Vec<Vec<u8>> = (0..60).map(|_| mutated(&mut random)).collect();
        refused += send_all(&bad, requests);
        for seen in nova.take() {
            assert!(is_signed(&seen), "{seen:?}");
            assert_eq!(
                seen.header("X-Instance-ID"),
                "00000000-0000-0000-0000-0000000000b1",
                "{seen:?}"
            );
            assert_eq!(seen.header("X-Forwarded-For"), "10.0.1.11", "{seen:?}");
            assert!(seen.headers.len() <= 6, "{seen:?}");
            let path = seen.target.split('?').next().unwrap();
            assert!(path.split('/').all(|name| name != ".."), "{seen:?}");
            heard += 1;
        }
        let answer = ask(&good, "/alive")
            .unwrap_or_else(|output| panic!("batch {batch}: {output}\n{}", daemon.log()));
        assert!(
            answer
                .body
                .starts_with("00000000-0000-0000-0000-0000000000b2"),
            "batch {batch}: {answer:?}"
        );
        assert!(daemon.is_alive(), "batch {batch}: {}", daemon.log());
        nova.take();
    }
    assert!(
        heard > 100 && refused > 100,
        "the mutants are too wild or too tame: {heard} heard, {refused} refused"
    );
}
