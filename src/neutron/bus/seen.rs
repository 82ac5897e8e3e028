//! Which messages came already: a broker or a sender that is not sure sends again.

use std::collections::VecDeque;

/// As many as oslo.messaging remembers (`amqp: _MsgIdCache`).
const REMEMBERED: usize = 16;
/// An id is 32 letters; what is longer is not remembered.
const LONGEST_ID: usize = 64;

/// The last unique ids of one listener.
#[derive(Debug, Default)]
pub(super) struct Seen(VecDeque<String>);

impl Seen {
    /// False: this one was here before. A message without an id is always new.
    pub(super) fn is_new(&mut self, id: &str) -> bool {
        if id.is_empty() || id.len() > LONGEST_ID {
            return true;
        }
        if self.0.iter().any(|seen| seen == id) {
            return false;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(id.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sixteen_are_known() {
        let mut seen = Seen::default();
        for n in 0..17 {
            assert!(seen.is_new(&format!("id{n}")), "{n} is new");
        }
        for (name, id, new) in [
            ("the newest", "id16", false),
            ("the oldest that is remembered", "id1", false),
            ("a forgotten one, now the newest", "id0", true),
            ("which took the place of the oldest", "id1", true),
            ("none", "", true),
            ("none again", "", true),
        ] {
            assert_eq!(seen.is_new(id), new, "{name}");
        }
        let long = "x".repeat(65);
        assert!(
            seen.is_new(&long) && seen.is_new(&long),
            "not worth its memory"
        );
        assert_eq!(seen.0.len(), REMEMBERED);
    }
}
