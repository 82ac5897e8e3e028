//! Whatever a guest sends, Nova gets our headers, each once, and nothing of its.

use super::nova::{Seen, Stub, status};
use super::*;

/// Everything that Nova may be told for `web`.
fn assert_ours(seen: &Seen) {
    for (name, value) in &seen.headers {
        let want = match name.as_str() {
            "host" => "127.0.0.2:8775",
            "x-forwarded-for" => WEB,
            "x-instance-id" => sample::WEB,
            "x-tenant-id" => "acme",
            "x-instance-id-signature" => {
                "4633e7111f29c507e8238f6f7329bb283016c1f803c84014b151db7954e61ff0"
            }
            "content-length" => &seen.body.len().to_string(),
            other => panic!("{other}: {value} is not ours: {seen:?}"),
        };
        assert_eq!(value, want, "{name} in {seen:?}");
        seen.header(name);
    }
    let there = [
        "host",
        "x-forwarded-for",
        "x-instance-id",
        "x-tenant-id",
        "x-instance-id-signature",
    ];
    assert!(
        there.iter().all(|name| seen.header(name).is_some()),
        "{seen:?}"
    );
}

/// All answers until the server closes, or has nothing more to say.
async fn converse(warren: &Warren, request: &[u8]) -> Vec<u16> {
    let mut stream = warren.connect(WEB).await;
    _ = stream.write_all(request).await;
    _ = stream.shutdown().await;
    let mut said = Vec::new();
    _ = stream.read_to_end(&mut said).await;
    let text = String::from_utf8_lossy(&said);
    text.match_indices("HTTP/1.1 ")
        .filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok())
        .collect()
}

#[test]
fn no_header_of_a_guest_reaches_nova() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let warren = Warren::start(nova.upstream());
        let other = "00000000-0000-0000-0000-0000000000db";
        let headers = [
            format!("X-Instance-ID: {other}\r\n"),
            format!("x-instance-id: {other}\r\nX-INSTANCE-ID: {other}\r\n"),
            format!("X_Instance_ID: {other}\r\n"),
            format!("X-Instance-ID : {other}\r\n"),
            format!(" X-Instance-ID: {other}\r\n"),
            format!("X-Instance-ID:\r\n {other}\r\n"),
            format!("X-Instance-ID\t: {other}\r\n"),
            format!("A: b\nX-Instance-ID: {other}\r\n"),
            format!("A: b\rX-Instance-ID: {other}\r\n"),
            format!("A: b\0X-Instance-ID: {other}\r\n"),
            format!(
                "Connection: X-Instance-ID, X-Tenant-ID, X-Instance-ID-Signature\r\nX-Instance-ID: {other}\r\n"
            ),
            "Connection: X-Instance-ID-Signature, Host, close\r\n".to_owned(),
            format!(
                "X-Tenant-ID: evil\r\nX-Instance-ID-Signature: {}\r\n",
                "0".repeat(64)
            ),
            "X-Forwarded-For: 127.0.1.2\r\nForwarded: for=127.0.1.2\r\n".to_owned(),
            "X-Metadata-Provider: x\r\nX-Metadata-Provider-Signature: y\r\n".to_owned(),
            "X-Neutron-Network-ID: x\r\nX-Neutron-Router-ID: y\r\n".to_owned(),
            "Host: other\r\nHost: another\r\n".to_owned(),
            "Authorization: Basic x\r\nX-Auth-Token: t\r\nCookie: c\r\n".to_owned(),
            "Accept-Encoding: gzip\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\n".to_owned(),
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n".to_owned(),
            "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n"
                .to_owned(),
            "TE: trailers\r\nTrailer: X-Instance-ID\r\n".to_owned(),
        ];
        let mut asked = 0;
        for header in headers {
            let request = format!("GET /a HTTP/1.1\r\nHost: x\r\n{header}\r\n");
            let statuses = converse(&warren, request.as_bytes()).await;
            let seen = std::mem::take(&mut *nova.seen.lock().unwrap());
            assert!(
                statuses == [200] && seen.len() == 1 || statuses == [400] && seen.is_empty(),
                "{header:?}: {statuses:?}, {seen:?}"
            );
            seen.iter().for_each(assert_ours);
            asked += seen.len();
        }
        assert!(asked >= 12, "most of these are legal: {asked}");
    });
}

#[test]
fn one_request_stays_one() {
    alone(async || {
        let nova = Stub::start(|_| status(200)).await;
        let warren = Warren::start(nova.upstream());
        let inner = "GET /inner HTTP/1.1\r\nHost: x\r\nX-Instance-ID: y\r\n\r\n";
        let length = inner.len();
        for (name, request) in [
            (
                "length and chunks",
                format!(
                    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"
                ),
            ),
            (
                "chunks and length",
                format!(
                    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{inner}"
                ),
            ),
            (
                "two lengths",
                format!(
                    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}"
                ),
            ),
            (
                "a list of lengths",
                format!(
                    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}, 0\r\n\r\n{inner}"
                ),
            ),
            (
                "a signed length",
                format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +{length}\r\n\r\n{inner}"),
            ),
            (
                "an unknown coding",
                format!(
                    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n{inner}"
                ),
            ),
            (
                "chunked is not last",
                format!(
                    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"
                ),
            ),
            (
                "a coding of HTTP/1.0",
                format!(
                    "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{inner}"
                ),
            ),
            (
                "a body that is a request",
                format!("GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{inner}"),
            ),
            (
                "a chunk that is a request",
                format!(
                    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{inner}\r\n0\r\nX-Instance-ID: y\r\n\r\n"
                ),
            ),
            (
                "a chunk's extension",
                format!(
                    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"\r\n0\r\n\r\n{inner}"
                ),
            ),
            (
                "a path that is a request",
                "GET /a%20HTTP/1.1%0d%0aX-Instance-ID:%20y%0d%0a%0d%0a HTTP/1.1\r\nHost: x\r\n\r\n"
                    .to_owned(),
            ),
            (
                "a query that is a request",
                "GET /a?%0d%0aX-Instance-ID:%20y HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            ),
            (
                "another host's path",
                "GET http://127.0.0.9/a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            ),
        ] {
            converse(&warren, request.as_bytes()).await;
            for seen in std::mem::take(&mut *nova.seen.lock().unwrap()) {
                assert_ours(&seen);
                // What stood behind the first may be a second one, but then of the guest alone, and ours again.
                assert!(
                    ["/a", "/inner"]
                        .iter()
                        .any(|path| seen.target.starts_with(path)),
                    "{name}: {seen:?}"
                );
                assert!(!seen.target.contains(['\r', '\n', ' ']), "{name}: {seen:?}");
            }
        }
    });
}
