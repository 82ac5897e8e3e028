//! Sizes, times and numbers are bounded; who goes beyond harms nobody else.

use std::time::Instant;

use super::super::{RateLimit, Window};

use super::nova::{Stub, status};
use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
/// Nova never answers this.
const HANG: &[u8] = b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n";

const SHORT: Duration = Duration::from_millis(300);

/// `db` is answered, and soon.
async fn db_is_served(warren: &Warren) {
    let begin = Instant::now();
    assert_eq!(warren.get(DB, "/").await.status, 200);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "after {:?}",
        begin.elapsed()
    );
}

/// Waits until the other side has closed; panics if it does not.
async fn closed(stream: &mut TcpStream) {
    let mut scrap = [0; 4096];
    while stream.read(&mut scrap).await.is_ok_and(|read| read > 0) {}
}

#[test]
fn sizes() {
    alone(async || {
        let nova =
            Stub::start(|seen| status(if seen.body.len() > 65536 { 500 } else { 200 })).await;
        let warren = Warren::start(nova.upstream());
        let sized = |size: usize| {
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
            [head.into_bytes(), vec![b'x'; size]].concat()
        };
        let chunked = |size: usize| {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n"
            );
            [
                head.into_bytes(),
                vec![b'x'; size],
                b"\r\n0\r\n\r\n".to_vec(),
            ]
            .concat()
        };
        let header = |size: usize| {
            format!(
                "GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n",
                "x".repeat(size)
            )
            .into_bytes()
        };
        let path = |size: usize| {
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(size)).into_bytes()
        };
        let headers = |count: usize| {
            format!("GET / HTTP/1.1\r\n{}\r\n", "X-Many: x\r\n".repeat(count)).into_bytes()
        };
        for (name, request, want) in [
            ("the largest body", sized(65536), 200),
            ("the largest body in chunks", chunked(65536), 200),
            ("a byte more", sized(65537), 413),
            ("a byte more in chunks", chunked(65537), 413),
            ("much more", sized(1_000_000), 413),
            ("large headers", header(15_000), 200),
            ("too large headers", header(17_000), 431),
            ("far too large headers", header(200_000), 431),
            ("a long path", path(15_000), 200),
            ("too long a path", path(70_000), 431),
            ("many headers", headers(99), 200),
            ("too many headers", headers(101), 431),
            (
                "no HTTP",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n".to_vec(),
                400,
            ),
        ] {
            let answer = warren.ask(WEB, request).await;
            assert_eq!(answer.map(|answer| answer.status), Some(want), "{name}");
            db_is_served(&warren).await;
        }
        // hyper knows it well enough to know that no answer of ours would be understood.
        let http2 = warren.ask(WEB, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert_eq!(http2, None);
        db_is_served(&warren).await;
    });
}

#[test]
fn who_sends_byte_by_byte_is_closed() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let limits = Limits {
            idle: SHORT,
            ..Limits::default()
        };
        let warren = Warren::limited(nova.upstream(), limits);
        let drip = async {
            let mut stream = warren.connect(WEB).await;
            let begin = Instant::now();
            // A request in each first, then an endless one.
            stream.write_all(GET).await.unwrap();
            assert_eq!(Answer::read(&mut stream).await.unwrap().status, 200);
            for byte in GET.iter().take(20) {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            closed(&mut stream).await;
            assert!(begin.elapsed() > SHORT);
        };
        let silent = async {
            let mut stream = warren.connect(WEB).await;
            closed(&mut stream).await;
        };
        let other = async {
            for _ in 0..10 {
                db_is_served(&warren).await;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        };
        tokio::join!(drip, silent, other);
        assert_eq!(warren.server.counters().connections_failed, 2);
    });
}

#[test]
fn who_sends_its_body_slowly_is_told() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let limits = Limits {
            request: SHORT,
            ..Limits::default()
        };
        let warren = Warren::limited(nova.upstream(), limits);
        let mut stream = warren.connect(WEB).await;
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nslow")
            .await
            .unwrap();
        assert_eq!(Answer::read(&mut stream).await.unwrap().status, 408);
        closed(&mut stream).await;
    });
}

#[test]
fn who_does_not_take_its_answer_is_closed() {
    alone(async || {
        let nova = Stub::start(|seen| {
            let size = if seen.target == "/large" {
                8_000_000
            } else {
                2
            };
            hyper::Response::new(vec![b'x'; size].into())
        })
        .await;
        let limits = Limits {
            request: SHORT,
            ..Limits::default()
        };
        let warren = Warren::limited(nova.upstream(), limits);
        let mut streams = Vec::new();
        for _ in 0..8 {
            let mut stream = warren.connect(WEB).await;
            stream
                .write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            streams.push(stream);
        }
        db_is_served(&warren).await;
        tokio::time::sleep(SHORT * 4).await;
        for mut stream in streams {
            assert_eq!(
                Answer::read(&mut stream).await,
                None,
                "cut, and seen to be cut"
            );
        }
        assert_eq!(warren.server.counters().connections_failed, 8);
        // All its requests are over.
        assert_eq!(warren.get(WEB, "/").await.status, 200);
    });
}

#[test]
fn connections_of_a_guest() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let warren = Warren::start(nova.upstream());
        let mut streams = Vec::new();
        for _ in 0..32 {
            let mut stream = warren.connect(WEB).await;
            stream.write_all(GET).await.unwrap();
            assert_eq!(Answer::read(&mut stream).await.unwrap().status, 200);
            streams.push(stream);
        }
        assert_eq!(warren.ask(WEB, GET).await, None, "one too many");
        assert_eq!(warren.server.counters().connections_refused, 1);
        db_is_served(&warren).await;
        streams.pop();
        let begin = Instant::now();
        while warren.ask(WEB, GET).await.is_none() {
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "its place was not given back"
            );
        }
    });
}

#[test]
fn requests_of_a_guest_wait_for_each_other() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let limits = Limits {
            request: SHORT,
            requests: 3,
            requests_per_guest: 2,
            ..Limits::default()
        };
        let warren = Warren::limited(nova.upstream(), limits);
        let mut streams = Vec::new();
        for _ in 0..4 {
            let mut stream = warren.connect(WEB).await;
            stream.write_all(HANG).await.unwrap();
            streams.push(stream);
        }
        db_is_served(&warren).await;
        let mut answers = Vec::new();
        for stream in &mut streams {
            answers.push(Answer::read(stream).await.unwrap().status);
        }
        // Two were with Nova; the others waited for them, and were late before or after their turn came.
        assert!(answers.contains(&504), "{answers:?}");
        assert!(
            answers.iter().all(|status| [503, 504].contains(status)),
            "{answers:?}"
        );
        assert_eq!(warren.get(WEB, "/").await.status, 200);
    });
}

#[test]
fn an_idle_connection_is_closed() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let limits = Limits {
            idle: SHORT,
            ..Limits::default()
        };
        let warren = Warren::limited(nova.upstream(), limits);
        let mut stream = warren.connect(WEB).await;
        for _ in 0..4 {
            // Each answer gives new time.
            tokio::time::sleep(SHORT / 2).await;
            stream.write_all(GET).await.unwrap();
            assert_eq!(Answer::read(&mut stream).await.unwrap().status, 200);
        }
        let begin = Instant::now();
        closed(&mut stream).await;
        assert!(begin.elapsed() >= SHORT / 2, "after {:?}", begin.elapsed());
    });
}

#[test]
fn who_asks_too_often_is_told() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let window = |requests, seconds| Window {
            requests,
            duration: Duration::from_secs(seconds),
        };
        let rate = RateLimit {
            v4: true,
            v6: false,
            base: window(100, 100),
            burst: window(5, 2),
        };
        let limits = Limits {
            rate: Some(rate),
            ..Limits::default()
        };
        let warren = Warren::limited(nova.upstream(), limits);
        let ask = async |from, times| {
            let mut statuses = Vec::new();
            for _ in 0..times {
                let answer = warren.get(from, "/").await;
                assert!(!answer.headers.contains_key("retry-after"));
                statuses.push(answer.status);
            }
            statuses
        };
        assert_eq!(ask(WEB, 7).await, [200, 200, 200, 200, 200, 429, 429]);
        assert_eq!(ask(DB, 1).await, [200], "another guest");
        assert_eq!(ask(NOBODY, 6).await[5], 429, "a stranger, too");
        assert_eq!(
            nova.seen.lock().unwrap().len(),
            6,
            "Nova hears nothing of it"
        );
        // On an open connection as well, which stays open.
        let mut stream = warren.connect(WEB).await;
        for _ in 0..2 {
            stream.write_all(GET).await.unwrap();
            assert_eq!(Answer::read(&mut stream).await.unwrap().status, 429);
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(ask(WEB, 1).await, [200], "after a pause");
    });
}

#[test]
fn habits_that_are_legal() {
    alone(async || {
        let nova = Stub::start(|seen| {
            let mut reply = status(200);
            *reply.body_mut() = seen.target.clone().into();
            reply
        })
        .await;
        let warren = Warren::start(nova.upstream());

        let mut half = warren.connect(WEB).await;
        half.write_all(b"GET /half HTTP/1.0\r\n\r\n").await.unwrap();
        half.shutdown().await.unwrap();
        assert_eq!(Answer::read(&mut half).await.unwrap().body, b"/half");

        let mut eager = warren.connect(WEB).await;
        eager
            .write_all(b"GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        for want in [b"/one", b"/two"] {
            assert_eq!(Answer::read(&mut eager).await.unwrap().body, want);
        }

        let mut polite = warren.connect(WEB).await;
        polite.write_all(b"POST /polite HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").await.unwrap();
        assert_eq!(Answer::read(&mut polite).await.unwrap().status, 100);
        polite.write_all(b"ok").await.unwrap();
        assert_eq!(Answer::read(&mut polite).await.unwrap().body, b"/polite");
        assert_eq!(nova.last().body, b"ok");
    });
}
