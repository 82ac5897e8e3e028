//! What Nova is asked, and what becomes of its answers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

/// A request as Nova saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(have, _)| have == name);
        let value = values.next()?;
        assert_eq!(
            values.next(),
            None,
            "{name} is there twice: {:?}",
            self.headers
        );
        Some(&value.1)
    }
}

type Reply = Response<Full<Bytes>>;

/// Nova's metadata API as far as it checks who asks. A request with a wrong signature never gets an answer but 403.
pub(super) struct Stub {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    pub(super) connections: Arc<AtomicUsize>,
}

impl Stub {
    pub(super) async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.2:8775").await.unwrap();
        let stub = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (Arc::clone(&stub.seen), Arc::clone(&stub.connections));
        let reply = Arc::new(reply);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, reply) = (Arc::clone(&seen), Arc::clone(&reply));
                tokio::spawn(async move {
                    let service = service_fn(|request| serve(request, &seen, &*reply));
                    let io = TokioIo::new(stream);
                    _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await;
                });
            }
        });
        stub
    }

    pub(super) fn upstream(&self) -> Upstream {
        Upstream::Nova(nova_at(self.address))
    }

    pub(super) fn last(&self) -> Seen {
        self.seen
            .lock()
            .unwrap()
            .last()
            .expect("Nova was asked")
            .clone()
    }
}

async fn serve(
    request: Request<Incoming>,
    seen: &Mutex<Vec<Seen>>,
    reply: &(dyn Fn(&Seen) -> Reply + Send + Sync),
) -> Result<Reply, hyper::Error> {
    let (head, body) = request.into_parts();
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
    let request = Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: body.collect().await?.to_bytes().to_vec(),
    };
    if request.target == "/hang" {
        std::future::pending::<()>().await;
    }
    let response = if is_signed(&request) {
        reply(&request)
    } else {
        status(403)
    };
    seen.lock().unwrap().push(request);
    Ok(response)
}

/// As `nova/api/metadata/handler.py` checks it, with code that is not the product's.
fn is_signed(request: &Seen) -> bool {
    use hmac::{KeyInit, Mac};
    let id = request.header("x-instance-id").unwrap();
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(id.as_bytes());
    let want = hex::encode(mac.finalize().into_bytes());
    request.header("x-instance-id-signature") == Some(&want)
}

pub(super) fn status(code: u16) -> Reply {
    let body = Full::new(Bytes::from(format!("Nova's {code}")));
    Response::builder().status(code).body(body).unwrap()
}

#[test]
fn nova_gets_our_headers_and_the_guests_request() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let warren = Warren::start(nova.upstream());
        let request = "POST /openstack/latest/password?a=%20b HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\n\
                       Accept-Encoding: gzip\r\nUser-Agent: me\r\nContent-Length: 4\r\n\r\nabcd";
        let answer = warren.ask(WEB, request).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"Nova's 200"[..]));
        let seen = nova.last();
        let headers = [
            ("host", "127.0.0.2:8775"),
            ("x-forwarded-for", WEB),
            ("x-instance-id", sample::WEB),
            ("x-tenant-id", "acme"),
            (
                "x-instance-id-signature",
                "4633e7111f29c507e8238f6f7329bb283016c1f803c84014b151db7954e61ff0",
            ),
            ("content-length", "4"),
        ];
        let want = Seen {
            method: "POST".to_owned(),
            target: "/openstack/latest/password?a=%20b".to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: b"abcd".to_vec(),
        };
        assert_eq!(seen, want);
    });
}

#[test]
fn nobody_is_not_asked_for() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let warren = Warren::start(nova.upstream());
        assert_eq!(warren.get(NOBODY, "/").await.status, 404);
        assert_eq!(
            warren
                .ask(WEB, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap()
                .status,
            400
        );
        assert_eq!(
            warren
                .ask(WEB, "CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap()
                .status,
            405
        );
        assert_eq!(*nova.seen.lock().unwrap(), []);
        let counters = warren.server.counters();
        assert_eq!(
            (counters.unknown, counters.requests, counters.answers_4xx),
            (1, 3, 3)
        );
    });
}

#[test]
fn novas_statuses_are_the_guests() {
    alone(async || {
        let nova = Stub::start(|seen| status(seen.target[1..].parse().unwrap())).await;
        let warren = Warren::start(nova.upstream());
        for (nova, want) in [
            (200, 200),
            (204, 204),
            (400, 400),
            (401, 401),
            (403, 403),
            (404, 404),
            (405, 405),
            (409, 409),
            (413, 413),
            (429, 429),
            (500, 500),
            (502, 502),
            (503, 503),
            (504, 504),
            // Nova gives none of these.
            (302, 502),
            (304, 502),
        ] {
            let answer = warren.get(WEB, &format!("/{nova}")).await;
            assert_eq!(answer.status, want, "Nova says {nova}");
            if want == nova && nova != 204 {
                assert_eq!(answer.body, format!("Nova's {nova}").as_bytes());
            }
        }
    });
}

#[test]
fn a_wrong_secret_is_novas_403() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let wrong = NovaSettings {
            secret: Secret::new("wrong"),
            ..nova_at(nova.address)
        };
        let warren = Warren::start(Upstream::Nova(wrong));
        assert_eq!(warren.get(WEB, "/").await.status, 403);
        // And the right one, without a restart.
        warren.shared.set_upstream(&nova.upstream()).unwrap();
        assert_eq!(warren.get(WEB, "/").await.status, 200);
    });
}

/// Bytes whose order shows.
fn pattern(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

#[test]
fn bodies_come_byte_for_byte() {
    alone(async || {
        let nova = Stub::start(|seen| {
            let size: usize = seen.target[1..].parse().unwrap();
            let body: Vec<u8> = pattern(size);
            Response::builder()
                .header("content-type", "application/octet-stream")
                .header("content-encoding", "gzip")
                .header("keep-alive", "timeout=5")
                .header("connection", "x-private")
                .header("x-private", "ours")
                .header("x-kept", "theirs")
                .body(Full::new(body.into()))
                .unwrap()
        })
        .await;
        let warren = Warren::start(nova.upstream());
        for size in [0, 1, 16384, 16385, 65536, 65537, 3_000_000] {
            let answer = warren.get(WEB, &format!("/{size}")).await;
            assert_eq!(answer.status, 200, "{size}");
            assert_eq!(answer.body.len(), size);
            assert!(answer.body == pattern(size), "{size}");
            let mut kept: Vec<&str> = answer.headers.keys().map(String::as_str).collect();
            kept.retain(|name| !["date", "content-length"].contains(name));
            assert_eq!(
                kept,
                ["content-encoding", "content-type", "x-kept"],
                "{size}"
            );
        }
    });
}

#[test]
fn head_has_a_length_and_no_body() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let warren = Warren::start(nova.upstream());
        let mut stream = warren.connect(WEB).await;
        for _ in 0..2 {
            stream
                .write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            let answer = Answer::read_to(&mut stream, "HEAD").await.unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!(answer.headers["content-length"], "10");
        }
        assert_eq!(nova.last().method, "HEAD");
    });
}

#[test]
fn connections_to_nova_are_kept() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let warren = Warren::start(nova.upstream());
        for from in [WEB, DB, WEB, DB] {
            assert_eq!(warren.get(from, "/").await.status, 200);
        }
        assert_eq!(nova.connections.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_kept_connection_that_nova_closed_is_no_error() {
    alone(async || {
        let nova = Stub::start(|_| {
            Response::builder()
                .header("connection", "close")
                .body(Full::default())
                .unwrap()
        })
        .await;
        let warren = Warren::start(nova.upstream());
        for _ in 0..3 {
            assert_eq!(warren.get(WEB, "/").await.status, 200);
        }
        // Without a word: one answer that promises to stay, and then the end.
        let rude = TcpListener::bind("127.0.0.3:8775").await.unwrap();
        warren
            .shared
            .set_upstream(&Upstream::Nova(nova_at(rude.local_addr().unwrap())))
            .unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = rude.accept().await.unwrap();
                let mut request = [0; 2048];
                _ = stream.read(&mut request).await;
                _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        for pause in [0, 0, 50, 50] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            assert_eq!(warren.get(WEB, "/").await.body, b"ok", "after {pause} ms");
        }
        let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(warren.ask(WEB, post).await.unwrap().status, 200);
    });
}

#[test]
fn without_nova_the_guest_is_told_so() {
    alone(async || {
        let limits = Limits {
            request: Duration::from_millis(200),
            ..Limits::default()
        };
        let address: SocketAddr = "127.0.0.2:8775".parse().unwrap();
        let warren = Warren::limited(Upstream::Nova(nova_at(address)), limits);
        assert_eq!(warren.get(WEB, "/").await.status, 503, "nobody listens");
        let listener = TcpListener::bind(address).await.unwrap();
        assert_eq!(warren.get(WEB, "/").await.status, 504, "it is silent");
        _ = listener.accept().await.unwrap();
        for (name, words, want) in [
            ("it closes", "", 502),
            ("it speaks something else", "220 mail ESMTP\r\n", 502),
            (
                "it breaks off in the head",
                "HTTP/1.1 200 OK\r\nContent",
                502,
            ),
            (
                "it breaks off in the body",
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
                502,
            ),
            (
                "it frames in two ways",
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                502,
            ),
        ] {
            let nova = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 2048];
                _ = stream.read(&mut request).await;
                stream.write_all(words.as_bytes()).await.unwrap();
            };
            let ((), answer) = tokio::join!(nova, warren.get(WEB, "/"));
            assert_eq!(answer.status, want, "{name}");
        }
    });
}

#[test]
fn who_speaks_no_tls_is_as_good_as_away() {
    alone(async || {
        let address: SocketAddr = "127.0.0.2:8775".parse().unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let https = NovaSettings {
            protocol: NovaProtocol::Https,
            insecure: true,
            ..nova_at(address)
        };
        let warren = Warren::start(Upstream::Nova(https));
        let nova = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 2048];
            _ = stream.read(&mut hello).await;
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
        };
        let ((), answer) = tokio::join!(nova, warren.get(WEB, "/"));
        assert_eq!(answer.status, 503);
    });
}

#[test]
fn a_stream_that_stalls_is_cut() {
    alone(async || {
        let limits = Limits {
            request: Duration::from_millis(200),
            ..Limits::default()
        };
        let address: SocketAddr = "127.0.0.2:8775".parse().unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let warren = Warren::limited(Upstream::Nova(nova_at(address)), limits);
        let nova = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nand then")
                .await
                .unwrap();
            stream
        };
        let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let (_silent, answer) = tokio::join!(nova, warren.ask(WEB, request));
        assert_eq!(answer, None, "a short answer must not look whole");
    });
}
