//! oslo.messaging's envelope: a JSON object that holds the message as a string of JSON (`rpc.common: serialize_msg`),
//! compressed or not as kombu does it. Whatever comes, reading it ends, and takes no more memory than the caller allows.

use std::io::{Read, Write};

use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Compression;

const VERSION: &str = "2.0";
/// kombu's name for it. What it means by it is zlib's format, not gzip's. No other compression ever comes: `bz2`, which
/// oslo.messaging's option names besides, is no name that kombu knows, and fails in who sends.
const GZIP: &str = "application/x-gzip";

/// A body as it leaves, with the value of its `compression` header.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) compression: Option<&'static str>,
}

/// Why a body can't be read. The text is for a log: it holds nothing of the body.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it has more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("it is compressed in a way that is not known here ({compression:?})")]
    Compression { compression: String },
    #[error("it can't be decompressed")]
    Inflate(#[source] std::io::Error),
    #[error("it is no JSON as oslo.messaging writes it (line {line}, column {column})")]
    Json { line: usize, column: usize },
    #[error("its envelope is of version {version:?}, newer than {VERSION}")]
    Version { version: String },
    #[error("it has no usable {field:?}")]
    Field { field: &'static str },
}

#[derive(Serialize)]
struct Outgoing<'a> {
    #[serde(rename = "oslo.version")]
    version: &'a str,
    #[serde(rename = "oslo.message")]
    message: String,
}

#[derive(Deserialize)]
struct Incoming {
    #[serde(rename = "oslo.version")]
    version: Option<String>,
    #[serde(rename = "oslo.message")]
    message: Option<String>,
}

pub(super) fn seal(message: &Map<String, Value>, compression: Option<Compression>) -> Body {
    let json = |value: serde_json::Result<Vec<u8>>| {
        value.expect("maps with text as keys, and strings, can always be written as JSON")
    };
    let message = serde_json::to_string(message).map(String::into_bytes);
    let message = String::from_utf8_lossy(&json(message)).into_owned();
    let bytes = json(serde_json::to_vec(&Outgoing {
        version: VERSION,
        message,
    }));
    match compression {
        None => Body {
            bytes,
            compression: None,
        },
        Some(Compression::Gzip) => Body {
            bytes: deflate(&bytes),
            compression: Some(GZIP),
        },
    }
}

/// The message in a body, which may also come without an envelope. `compression` is the header of that name.
///
/// # Errors
/// When the body, or what it becomes by decompression, is longer than `limit` or not what oslo.messaging writes.
pub(super) fn open(
    body: &[u8],
    compression: Option<&str>,
    limit: u64,
) -> Result<Map<String, Value>, Unreadable> {
    if body.len() as u64 > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    let inflated;
    let body = match compression {
        None | Some("") => body,
        Some(GZIP | "gzip" | "zlib") => {
            inflated = inflate(body, limit)?;
            &inflated
        }
        Some(other) => {
            return Err(Unreadable::Compression {
                compression: other.chars().take(40).collect(),
            });
        }
    };
    let outer: Incoming = serde_json::from_slice(body).map_err(json)?;
    match outer {
        Incoming {
            version: Some(version),
            message: Some(message),
        } => {
            if !is_readable(&version) {
                let version = version.chars().take(20).collect();
                return Err(Unreadable::Version { version });
            }
            serde_json::from_str(&message).map_err(json)
        }
        Incoming { .. } => serde_json::from_slice(body).map_err(json),
    }
}

/// Same major, minor not above ours.
fn is_readable(version: &str) -> bool {
    let ours = super::request::Version::parse(VERSION);
    match (ours, super::request::Version::parse(version)) {
        (Some(ours), Some(theirs)) => ours.serves(theirs),
        _ => false,
    }
}

/// serde_json's own text may quote the body.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn json(error: serde_json::Error) -> Unreadable {
    Unreadable::Json {
        line: error.line(),
        column: error.column(),
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("a vector takes all that is written to it")
}

fn inflate(body: &[u8], limit: u64) -> Result<Vec<u8>, Unreadable> {
    let mut inflated = Vec::new();
    // One byte more than is allowed, to see that there is more.
    let most = limit + 1;
    let read = match body {
        [0x1f, 0x8b, ..] => GzDecoder::new(body).take(most).read_to_end(&mut inflated),
        _ => ZlibDecoder::new(body).take(most).read_to_end(&mut inflated),
    };
    read.map_err(Unreadable::Inflate)?;
    if inflated.len() as u64 > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    Ok(inflated)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use super::*;

    const LIMIT: u64 = 1 << 20;
    const RECORDED: &str = include_str!("recorded/report_state.json");

    #[test]
    fn a_recorded_body_is_read() {
        let message = open(RECORDED.as_bytes(), None, LIMIT).unwrap();
        assert_eq!(message["method"], "report_state");
        assert_eq!(message["version"], "1.2");
        let state = &message["args"]["agent_state"]["agent_state"];
        assert_eq!(state["binary"], "neutron-dhcp-agent");
    }

    #[test]
    fn what_is_sealed_opens() {
        let message = open(RECORDED.as_bytes(), None, LIMIT).unwrap();
        for compression in [None, Some(Compression::Gzip)] {
            let body = seal(&message, compression);
            assert_eq!(body.compression.is_some(), compression.is_some());
            let opened = open(&body.bytes, body.compression, LIMIT).unwrap();
            assert_eq!(opened, message, "{compression:?}");
        }
    }

    #[test]
    fn twice_json_with_the_names_that_oslo_reads() {
        let message = Map::from_iter([("ending".to_owned(), Value::Bool(true))]);
        let body = seal(&message, None).bytes;
        let want = r#"{"oslo.version":"2.0","oslo.message":"{\"ending\":true}"}"#;
        assert_eq!(String::from_utf8(body).unwrap(), want);
    }

    #[test]
    fn what_can_t_be_read_says_why() {
        let bomb = deflate(&vec![b' '; 4 << 20]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(br#"{"method": "m"}"#).unwrap();
        let gzip = gzip.finish().unwrap();
        let deep = "[".repeat(100_000);
        let inner = format!(r#"{{"oslo.version": "2.0", "oslo.message": "{{\"args\": {deep}"}}"#);
        for (name, body, compression, want) in [
            ("no envelope", br#"{"method": "m"}"#.as_slice(), None, "ok"),
            ("real gzip", &gzip, Some(GZIP), "ok"),
            (
                "nothing",
                b"",
                None,
                "it is no JSON as oslo.messaging writes it (line 1, column 0)",
            ),
            (
                "no JSON",
                b"secret!",
                None,
                "it is no JSON as oslo.messaging writes it (line 1, column 1)",
            ),
            (
                "no text",
                b"\xff\xfe",
                None,
                "it is no JSON as oslo.messaging writes it (line 1, column 1)",
            ),
            (
                "no object",
                b"[1, 2]",
                None,
                "it is no JSON as oslo.messaging writes it (line 1, column 3)",
            ),
            (
                "deep",
                deep.as_bytes(),
                None,
                "it is no JSON as oslo.messaging writes it (line 1, column 0)",
            ),
            (
                "deep inside",
                inner.as_bytes(),
                None,
                "it is no JSON as oslo.messaging writes it (line 1, column 137)",
            ),
            (
                "once JSON",
                br#"{"oslo.version": "2.0", "oslo.message": {"method": "m"}}"#,
                None,
                "it is no JSON as oslo.messaging writes it (line 1, column 41)",
            ),
            (
                "from the future",
                br#"{"oslo.version": "2.1", "oslo.message": "{}"}"#,
                None,
                r#"its envelope is of version "2.1", newer than 2.0"#,
            ),
            (
                "from the far future",
                br#"{"oslo.version": "3.0", "oslo.message": "{}"}"#,
                None,
                r#"its envelope is of version "3.0", newer than 2.0"#,
            ),
            (
                "no version",
                br#"{"oslo.version": "new", "oslo.message": "{}"}"#,
                None,
                r#"its envelope is of version "new", newer than 2.0"#,
            ),
            (
                "large",
                &vec![b' '; 2 << 20],
                None,
                "it has more than 1048576 bytes",
            ),
            (
                "a bomb",
                &bomb,
                Some(GZIP),
                "it has more than 1048576 bytes",
            ),
            (
                "half compressed",
                &bomb[..20],
                Some(GZIP),
                "it can't be decompressed",
            ),
            (
                "compressed otherwise",
                b"{}",
                Some("application/x-brotli"),
                r#"it is compressed in a way that is not known here ("application/x-brotli")"#,
            ),
        ] {
            let got = match open(body, compression, LIMIT) {
                Ok(_) => "ok".to_owned(),
                Err(error) => error.to_string(),
            };
            // Where in a line of brackets the reader gives up is its own affair.
            if want.starts_with("it is no JSON") {
                assert!(got.starts_with("it is no JSON"), "{name}: {got}");
            } else {
                assert_eq!(got, want, "{name}");
            }
        }
    }
}
