//! Where one JSON value ends and the next begins: RFC 7047 has no frames (section 4). Pure.

use serde_json::Value;

/// No answer to our narrow questions comes near it. A longer one ends the connection.
const LONGEST: usize = 4 << 20;

/// Why a stream makes no sense; its connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    #[error("a message is longer than {LONGEST} bytes")]
    TooLong,
    #[error("something else than a JSON object")]
    NoObject,
    #[error("no JSON: {0}")]
    NoJson(String),
    #[error("no message that an OVSDB server sends: {0}")]
    NoMessage(&'static str),
}

/// What came in, up to where a value is whole.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    buffer: Vec<u8>,
    /// So much of it was looked at.
    seen: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Splitter {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Garbled> {
        if self.buffer.len() + bytes.len() > LONGEST {
            return Err(Garbled::TooLong);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole value; `None`: not all of it has come. After an error the stream is of no use any more.
    pub(super) fn next(&mut self) -> Result<Option<Value>, Garbled> {
        while let Some(byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' if self.depth > 0 => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' if self.depth > 0 => self.depth += 1,
                b'{' => self.depth = 1,
                b'}' | b']' if self.depth > 0 => self.depth -= 1,
                b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => {
                    self.buffer.drain(..self.seen);
                    self.seen = 0;
                    continue;
                }
                _ if self.depth == 0 => return Err(Garbled::NoObject),
                _ => {}
            }
            if self.depth == 0 {
                let value = serde_json::from_slice(&self.buffer[..self.seen]);
                self.buffer.drain(..self.seen);
                self.seen = 0;
                return value
                    .map(Some)
                    .map_err(|error| Garbled::NoJson(error.to_string()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use serde_json::json;

    use super::*;

    fn all(splitter: &mut Splitter) -> Result<Vec<Value>, Garbled> {
        std::iter::from_fn(|| splitter.next().transpose()).collect()
    }

    #[test]
    fn values_end_where_they_end() {
        for (name, text, want, rest) in [
            ("one", r#"{"a":1}"#, vec![json!({"a": 1})], ""),
            (
                "back to back",
                r#"{}{"b":[]}{}"#,
                vec![json!({}), json!({"b": []}), json!({})],
                "",
            ),
            (
                "white space between",
                " {}\r\n\t{} \n",
                vec![json!({}), json!({})],
                "",
            ),
            (
                "braces in text",
                r#"{"a":"}{]["}"#,
                vec![json!({"a": "}{]["})],
                "",
            ),
            (
                "quotes in text",
                r#"{"a":"\"}\\"}{}"#,
                vec![json!({"a": "\"}\\"}), json!({})],
                "",
            ),
            (
                "nested",
                r#"{"a":{"b":[{"c":"d"}]}}"#,
                vec![json!({"a": {"b": [{"c": "d"}]}})],
                "",
            ),
            ("the rest waits", r#"{}{"a":"#, vec![json!({})], r#"{"a":"#),
            ("nothing", "", vec![], ""),
        ] {
            for chunk in [1, 2, 3, 1000] {
                let mut splitter = Splitter::default();
                let mut got = Vec::new();
                for bytes in text.as_bytes().chunks(chunk) {
                    splitter.push(bytes).unwrap();
                    got.extend(all(&mut splitter).unwrap());
                }
                assert_eq!(got, want, "{name}, {chunk} at a time");
                assert_eq!(splitter.buffer, rest.as_bytes(), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_object_ends_the_stream() {
        for (name, text) in [
            ("a number", "1"),
            ("text", "\"a\""),
            ("a list", "[]"),
            ("an end without a beginning", "}"),
            ("unmatched", "{]"),
            ("words", "{hello}"),
            ("not UTF-8", "{\"a\":\"\u{fffd}\"}"),
            (
                "deeper than anybody nests",
                &("{\"a\":".repeat(200) + "1" + &"}".repeat(200)),
            ),
        ] {
            let mut bytes = text.as_bytes().to_vec();
            if name == "not UTF-8" {
                bytes[6] = 0xff;
            }
            let mut splitter = Splitter::default();
            splitter.push(&bytes).unwrap();
            assert!(all(&mut splitter).is_err(), "{name}");
        }
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let mut splitter = Splitter::default();
        splitter.push(b"{\"a\":\"").unwrap();
        let chunk = [b'x'; 64 << 10];
        let taken =
            (0..1000).take_while(|_| splitter.push(&chunk).is_ok() && splitter.next() == Ok(None));
        assert!(taken.count() < LONGEST / chunk.len());
        assert_eq!(splitter.push(&chunk), Err(Garbled::TooLong));
    }

    /// Whatever comes in, in whatever pieces: no panic, and what is whole comes out or the stream ends.
    #[test]
    fn mutants_are_split_or_refused() {
        let whole = br#"{"id":1,"result":[{"rows":[{"name":"tap\"1","ofport":["set",[]]}]},{}],"error":null}{"id":"echo","method":"echo","params":[]}"#;
        let mut random = StdRng::seed_from_u64(7047);
        for _ in 0..20_000 {
            let mut bytes = whole.to_vec();
            for _ in 0..random.random_range(1..6) {
                let at = random.random_range(0..bytes.len());
                match random.random_range(0..3) {
                    0 => bytes[at] = random.random(),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"{}[]\"\\,: "[random.random_range(0..9)]),
                }
            }
            let mut splitter = Splitter::default();
            let pieces = bytes.chunks(random.random_range(1..40));
            for piece in pieces {
                splitter.push(piece).unwrap();
                if all(&mut splitter).map(|values| values.len() > bytes.len()) != Ok(false) {
                    break;
                }
            }
        }
    }
}
