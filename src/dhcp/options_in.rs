//! The options of a packet that came in, put together again (RFC 2131 section 4.1, RFC 3396).
//!
//! Read by hand, so that nothing that a client sends is lost or doubled on the way: an option that runs over the end of
//! its field hides only what comes after it there, and one that came in several pieces is whole again, wherever they were.

use std::borrow::Cow;

use super::codes;
use super::request::{FILE, HEADER, SNAME};

/// Each code once, in the order in which they came.
#[derive(Debug)]
pub(super) struct OptionsIn<'a>(Vec<(u8, Cow<'a, [u8]>)>);

impl<'a> OptionsIn<'a> {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Of the options' own field, then of `file` and of `sname` if they hold options too (option 52). The packet is not
    /// shorter than its header.
    pub(super) fn of(packet: &'a [u8]) -> Self {
        let mut options = Self(Vec::with_capacity(16));
        let mut seen = [false; 256];
        options.read(&packet[HEADER..], &mut seen);
        let overload = options.get(codes::OVERLOAD).and_then(|value| value.first());
        let overload = overload.copied().unwrap_or(0);
        for (bit, field) in [(1, FILE), (2, SNAME)] {
            if overload & bit != 0 {
                options.read(&packet[field], &mut seen);
            }
        }
        options
    }

    pub(super) fn get(&self, code: u8) -> Option<&[u8]> {
        let found = self.0.iter().find(|(of, _)| *of == code)?;
        Some(&found.1)
    }

    /// One field, up to its end or to an option that does not fit into it.
    fn read(&mut self, mut field: &'a [u8], seen: &mut [bool; 256]) {
        loop {
            match field {
                [codes::PAD, after @ ..] => field = after,
                [codes::END, ..] => return,
                [code, length, after @ ..] => {
                    let Some((value, next)) = after.split_at_checked(usize::from(*length)) else {
                        return;
                    };
                    self.take(*code, value, seen);
                    field = next;
                }
                [] | [_] => return,
            }
        }
    }

    fn take(&mut self, code: u8, value: &'a [u8], seen: &mut [bool; 256]) {
        if !std::mem::replace(&mut seen[usize::from(code)], true) {
            self.0.push((code, Cow::Borrowed(value)));
        } else if !is_of_one_piece(code)
            && let Some((_, whole)) = self.0.iter_mut().find(|(of, _)| *of == code)
        {
            whole.to_mut().extend_from_slice(value);
        }
    }
}

/// Values of a fixed length are never split (RFC 3396 section 5); of two of them, the first is meant.
fn is_of_one_piece(code: u8) -> bool {
    matches!(
        code,
        codes::REQUESTED_ADDRESS
            ..=codes::SERVER_ID | codes::MAX_MESSAGE_SIZE | codes::SUBNET_SELECTION
    )
}
