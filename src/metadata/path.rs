//! A guest's path, made safe: pure.
//!
//! Nova gets it as Neutron's agent would send it, percent-decoded and encoded again, so that nothing in it can be
//! read in two ways by what stands before Nova.

use std::fmt::Write;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

/// Path and query as they go to Nova. `None`: the request's target is no path (`*`, or a proxy's `host:port`).
pub(super) fn canonical(uri: &Uri) -> Option<PathAndQuery> {
    let target = uri.path_and_query()?;
    let path = target.path();
    if !path.starts_with('/') {
        return None;
    }
    if is_plain(path) && target.query().is_none_or(str::is_ascii) {
        // Nearly every request: shares the bytes that were received.
        return Some(target.clone());
    }
    let mut text = encode(&without_dots(&decode(path)));
    if let Some(query) = target.query() {
        text.push('?');
        for byte in query.bytes() {
            push_byte(&mut text, byte, byte.is_ascii());
        }
    }
    text.parse().ok()
}

/// The names between a path's slashes, decoded; empty ones, `.` and `..` resolved. `None`: not text.
pub(super) fn names(path: &str) -> Option<Vec<String>> {
    let clean = String::from_utf8(without_dots(&decode(path))).ok()?;
    let names = clean.split('/').filter(|name| !name.is_empty());
    Some(names.map(str::to_owned).collect())
}

/// Nothing to decode, to encode or to resolve.
fn is_plain(path: &str) -> bool {
    path.bytes().all(is_unreserved_or_slash) && !path.contains("/.")
}

fn is_unreserved_or_slash(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)
}

/// `%41` is `A`. What is no escape stays as it is, as in Python's `unquote`.
fn decode(path: &str) -> Vec<u8> {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes.get(at..at + 3).filter(|_| byte == b'%');
        let mut value = [0];
        if escape.is_some_and(|escape| hex::decode_to_slice(&escape[1..], &mut value).is_ok()) {
            decoded.push(value[0]);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    decoded
}

/// RFC 3986 section 5.2.4, for a path that begins with a slash: nobody climbs above the root.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let mut parts = path.split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            b"." => {}
            b".." => {
                kept.pop();
            }
            name => {
                kept.push(name);
                continue;
            }
        }
        if last {
            // "a/." and "a/b/.." name a directory.
            kept.push(b"");
        }
    }
    let mut clean = vec![b'/'];
    clean.extend(kept.join(&b'/'));
    clean
}

/// Escapes all that RFC 3986 does not allow in a path, and `?` and `#`, which end one.
fn encode(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for &byte in path {
        let allowed = is_unreserved_or_slash(byte) || b"!$&'()*+,;=:@".contains(&byte);
        push_byte(&mut text, byte, allowed);
    }
    text
}

fn push_byte(text: &mut String, byte: u8, plain: bool) {
    if plain {
        text.push(char::from(byte));
    } else {
        write!(text, "%{byte:02X}").expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_reach_nova_decoded_and_encoded_again() {
        for (name, path, want) in [
            (
                "plain",
                "/openstack/latest/meta_data.json",
                Some("/openstack/latest/meta_data.json"),
            ),
            (
                "trailing slash stays",
                "/latest/meta-data/",
                Some("/latest/meta-data/"),
            ),
            ("query stays", "/a?x=%41&y=../b", Some("/a?x=%41&y=../b")),
            ("needless escapes go", "/%6fpenstack", Some("/openstack")),
            ("space", "/a%20b", Some("/a%20b")),
            (
                "line break stays escaped",
                "/a%0d%0aX-Instance-ID:%20x",
                Some("/a%0D%0AX-Instance-ID:%20x"),
            ),
            ("question mark stays in the path", "/a%3fb", Some("/a%3Fb")),
            ("no escape", "/100%", Some("/100%25")),
            ("half an escape", "/a%4", Some("/a%254")),
            ("not UTF-8", "/%ff", Some("/%FF")),
            (
                "escape of an escape",
                "/%252e%252e/a",
                Some("/%252e%252e/a"),
            ),
            ("dots", "/a/./b/../c", Some("/a/c")),
            ("escaped dots", "/a/%2e%2e/%2e%2e/%2e%2e/c", Some("/c")),
            ("escaped slash and dots", "/a%2f..%2fc", Some("/c")),
            ("dots at the end", "/a/b/..", Some("/a/")),
            ("only dots", "/..", Some("/")),
            ("hidden name", "/.git", Some("/.git")),
            ("doubled slash", "//a//b", Some("//a//b")),
            ("absolute form", "http://elsewhere.example/a", Some("/a")),
            (
                "absolute form without path",
                "http://elsewhere.example",
                Some("/"),
            ),
            ("asterisk form", "*", None),
            ("authority form", "elsewhere.example:80", None),
        ] {
            let uri: Uri = path.parse().expect(name);
            let got = canonical(&uri);
            assert_eq!(got.as_ref().map(PathAndQuery::as_str), want, "{name}");
        }
    }

    #[test]
    fn the_local_tree_is_searched_by_names() {
        for (name, path, want) in [
            ("root", "/", Some(vec![])),
            ("slashes do not matter", "//a///b/", Some(vec!["a", "b"])),
            ("dots", "/a/../b/.", Some(vec!["b"])),
            ("escapes", "/%61", Some(vec!["a"])),
            ("not text", "/%ff", None),
        ] {
            let got = names(path);
            let want = want.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(got, want, "{name}");
        }
    }
}
