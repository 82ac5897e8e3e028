//! Forwarding: a client's question goes to the forwarders as it is, and the answer comes back as it is.
//!
//! Every try has a random id and a random port of its own, and takes an answer only from the address that it asked and
//! to the question that it asked. What the client set (EDNS, DO, CD) is between it and the forwarder.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::name::{Text, below};
use super::query::{Carrier, HEADER, Query};
use super::shared::{Settings, Tally};
use super::sockets::Sockets;
use crate::plan::scope::{DnsScope, Forwarder, Side};

/// With less time left than this, another try is not worth its packet.
const SHORTEST_TRY: Duration = Duration::from_millis(100);

/// The forwarding of one namespace.
#[derive(Debug)]
pub(super) struct Forwarding {
    sockets: Sockets,
    forwarders: ArcSwap<Vec<Arc<Known>>>,
    settings: Settings,
    /// What [`Known::resting_until`] counts from.
    epoch: Instant,
}

/// A forwarder, and how it did.
#[derive(Debug)]
struct Known {
    forwarder: Forwarder,
    /// Whose names it is asked; `None`: those of no such domain.
    domain: Option<Arc<str>>,
    /// Milliseconds since the epoch; it did not answer, and is asked last until then.
    resting_until: AtomicU64,
}

/// What became of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// For the client as it is.
    Answer(Vec<u8>),
    /// An answer that is longer than the client takes by UDP.
    TooLong,
    /// Nobody answered.
    Failed,
}

impl Forwarding {
    pub(super) fn new(sockets: Sockets, scope: &DnsScope, settings: Settings) -> Self {
        let forwarding = Self {
            sockets,
            forwarders: ArcSwap::default(),
            settings,
            epoch: Instant::now(),
        };
        forwarding.update(scope);
        forwarding
    }

    /// Forwarders that stay keep what is known of them.
    pub(super) fn update(&self, scope: &DnsScope) {
        let old = self.forwarders.load();
        let known = |(domain, forwarder): (Option<&Arc<str>>, &Forwarder)| {
            let same = |known: &&Arc<Known>| {
                known.forwarder == *forwarder && known.domain.as_ref() == domain
            };
            old.iter().find(same).cloned().unwrap_or_else(|| {
                Arc::new(Known {
                    forwarder: *forwarder,
                    domain: domain.cloned(),
                    resting_until: AtomicU64::new(0),
                })
            })
        };
        let of_domains = scope.domain_forwarders.iter();
        let of_domains = of_domains.map(|(domain, forwarder)| (Some(domain), forwarder));
        let general = scope.forwarders.iter().map(|forwarder| (None, forwarder));
        let usable = of_domains
            .chain(general)
            .filter(|(_, one)| !is_ourselves(scope, one));
        self.forwarders.store(Arc::new(usable.map(known).collect()));
    }

    /// Nobody is asked such a thing.
    pub(super) fn is_nowhere(&self, query: &Query<'_>) -> bool {
        let all = self.forwarders.load();
        for_names_like(&all, query).next().is_none()
    }

    /// Asks one forwarder after the other, and all again as long as there is time and one of them was silent.
    ///
    /// An answer that is no answer (SERVFAIL, REFUSED) is the client's only if no other forwarder has a better one.
    pub(super) async fn ask(&self, query: &Query<'_>, carrier: Carrier, tally: &Tally) -> Outcome {
        let deadline = Instant::now() + self.settings.in_all;
        let order = self.order(query);
        loop {
            let mut refusal = None;
            let mut silent = false;
            for known in &order {
                let until = deadline.min(Instant::now() + self.settings.per_forwarder);
                let tried = self.ask_one(known.forwarder, query, carrier, tally);
                match timeout_at(until, tried).await {
                    Ok(Ok(Outcome::Answer(answer))) if is_refusal(&answer) => {
                        refusal = Some(Outcome::Answer(answer));
                    }
                    Ok(Ok(outcome)) => {
                        known.resting_until.store(0, Ordering::Relaxed);
                        return outcome;
                    }
                    Ok(Err(error)) => {
                        tracing::debug!(forwarder = %known.forwarder.address, %error, "cannot ask");
                        self.let_rest(known);
                    }
                    Err(_elapsed) => {
                        silent = true;
                        self.let_rest(known);
                    }
                }
            }
            let time_left = deadline.saturating_duration_since(Instant::now());
            match refusal {
                Some(refusal) => return refusal,
                None if !silent || time_left < SHORTEST_TRY => return Outcome::Failed,
                None => {}
            }
        }
    }

    /// Those that answered lately, then those that did not, each as the plan has them.
    fn order(&self, query: &Query<'_>) -> Vec<Arc<Known>> {
        let now = self.now();
        let all = self.forwarders.load();
        let mut order: Vec<_> = for_names_like(&all, query).cloned().collect();
        order.sort_by_key(|known| known.resting_until.load(Ordering::Relaxed) > now);
        order
    }

    fn let_rest(&self, known: &Known) {
        let rest = u64::try_from(self.settings.rest.as_millis()).unwrap_or(u64::MAX);
        let until = self.now().saturating_add(rest);
        known.resting_until.store(until, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// One question to one forwarder. Cancel-safe: what it opened goes with it.
    async fn ask_one(
        &self,
        forwarder: Forwarder,
        query: &Query<'_>,
        carrier: Carrier,
        tally: &Tally,
    ) -> io::Result<Outcome> {
        let asked = Asked::new(query);
        let mut answer = self.ask_by_udp(forwarder, query, &asked, tally).await?;
        let too_long = answer.len() > query.takes(Carrier::Udp);
        if carrier == Carrier::Udp && too_long {
            return Ok(Outcome::TooLong);
        }
        if carrier == Carrier::Tcp && (too_long || is_truncated(&answer)) {
            answer = self.ask_by_tcp(forwarder, &asked).await?;
        }
        answer[..2].copy_from_slice(&query.message()[..2]);
        Ok(Outcome::Answer(answer))
    }

    async fn ask_by_udp(
        &self,
        forwarder: Forwarder,
        query: &Query<'_>,
        asked: &Asked,
        tally: &Tally,
    ) -> io::Result<Vec<u8>> {
        let socket = self.sockets.udp(forwarder).await?;
        socket.send(&asked.message).await?;
        // One byte more than the client takes tells what is too long for it.
        let most = query.takes(Carrier::Udp) + 1;
        loop {
            socket.readable().await?;
            let mut answer = Vec::with_capacity(most);
            match socket.try_recv_buf(&mut answer) {
                Ok(_) if asked.is_answered_by(&answer) => return Ok(answer),
                Ok(_) => tally.spoofed.add(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn ask_by_tcp(&self, forwarder: Forwarder, asked: &Asked) -> io::Result<Vec<u8>> {
        let mut stream = self.sockets.tcp(forwarder).await?;
        let length = u16::try_from(asked.message.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes(), asked.message.as_slice()].concat();
        stream.write_all(&framed).await?;
        let length = usize::from(stream.read_u16().await?);
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        if asked.is_answered_by(&answer) {
            Ok(answer)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}

/// Those of the longest domain that the name is in, or else those of none.
fn for_names_like<'a>(
    all: &'a [Arc<Known>],
    query: &Query<'_>,
) -> impl Iterator<Item = &'a Arc<Known>> {
    let name = Text::of(query.name());
    let domains = all.iter().filter_map(|known| known.domain.as_deref());
    let its = domains.filter(|domain| below(name.as_str(), domain).is_some());
    let longest = its.max_by_key(|domain| domain.len());
    all.iter()
        .filter(move |known| known.domain.as_deref() == longest)
}

/// Asking ourselves would go round until nothing is left to wait with.
fn is_ourselves(scope: &DnsScope, forwarder: &Forwarder) -> bool {
    forwarder.from == Side::Namespace && scope.listen.contains(&forwarder.address.ip())
}

/// A client's message under an id of our own.
struct Asked {
    message: Vec<u8>,
    /// Where its question ends.
    question_end: usize,
}

impl Asked {
    fn new(query: &Query<'_>) -> Self {
        let mut message = query.message().to_vec();
        message[..2].copy_from_slice(&rand::random::<[u8; 2]>());
        Self {
            message,
            question_end: query.head().len(),
        }
    }

    /// A response, with our id, to our question: the same type and class, and the same name in whatever case.
    fn is_answered_by(&self, answer: &[u8]) -> bool {
        let question = &self.message[HEADER..self.question_end];
        let (name, rest) = question.split_at(question.len() - 4);
        answer.len() >= self.question_end
            && answer[..2] == self.message[..2]
            && answer[2] & 0xf8 == 0x80
            && answer[4..6] == [0, 1]
            && answer[HEADER..HEADER + name.len()].eq_ignore_ascii_case(name)
            && answer[HEADER + name.len()..self.question_end] == *rest
    }
}

/// SERVFAIL or REFUSED. Only of what [`Asked::is_answered_by`].
fn is_refusal(answer: &[u8]) -> bool {
    matches!(answer[3] & 0x0f, 2 | 5)
}

fn is_truncated(answer: &[u8]) -> bool {
    answer[2] & 0x02 != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use super::*;

    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x00\x00\x41\x00\x01";

    #[test]
    fn only_an_answer_to_our_question_is_taken() {
        let asked = Asked::new(&Query::read(QUERY).unwrap());
        let answer = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut answer = asked.message.clone();
            answer[2] |= 0x80;
            edit(&mut answer);
            answer
        };
        for (case, answer, want) in [
            ("ours", answer(&|_| ()), true),
            ("with records", answer(&|a| a.extend([0; 30])), true),
            ("in another case", answer(&|a| a[13] = b'W'), true),
            ("another id", answer(&|a| a[0] ^= 1), false),
            ("a query", answer(&|a| a[2] &= 0x7f), false),
            ("another opcode", answer(&|a| a[2] |= 0x08), false),
            ("no question", answer(&|a| a[5] = 0), false),
            ("two questions", answer(&|a| a[5] = 2), false),
            ("another name", answer(&|a| a[13] = b'v'), false),
            ("another type", answer(&|a| a[18] = 1), false),
            ("a type in another case", answer(&|a| a[18] ^= 0x20), false),
            ("another class", answer(&|a| a[20] = 3), false),
            ("cut short", answer(&|a| a.truncate(20)), false),
            ("cut in the header", answer(&|a| a.truncate(5)), false),
            ("nothing", Vec::new(), false),
        ] {
            assert_eq!(asked.is_answered_by(&answer), want, "{case}");
        }
    }

    #[test]
    fn the_longest_domain_decides_who_is_asked() {
        let known = |domain: Option<&str>, address: &str| {
            Arc::new(Known {
                forwarder: Forwarder {
                    address: address.parse().unwrap(),
                    from: Side::Namespace,
                },
                domain: domain.map(Arc::from),
                resting_until: AtomicU64::new(0),
            })
        };
        let all = [
            known(Some("example.org"), "192.0.2.1:53"),
            known(Some("lab.example.org"), "192.0.2.2:53"),
            known(Some("lab.example.org"), "192.0.2.3:53"),
            known(None, "192.0.2.4:53"),
        ];
        for (name, want) in [
            ("\x07example\x03org\0", &["192.0.2.1:53"][..]),
            ("\x03www\x07eXample\x03ORG\0", &["192.0.2.1:53"]),
            (
                "\x01a\x03lab\x07example\x03org\0",
                &["192.0.2.2:53", "192.0.2.3:53"],
            ),
            ("\x08yexample\x03org\0", &["192.0.2.4:53"]),
            ("\x03org\0", &["192.0.2.4:53"]),
            ("\0", &["192.0.2.4:53"]),
        ] {
            let mut message = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            message.extend(name.as_bytes());
            message.extend([0, 1, 0, 1]);
            let query = Query::read(&message).unwrap();
            let asked = for_names_like(&all, &query);
            let asked: Vec<_> = asked
                .map(|known| known.forwarder.address.to_string())
                .collect();
            assert_eq!(asked, want, "{name:?}");
        }
    }

    #[test]
    fn ids_are_random() {
        let query = Query::read(QUERY).unwrap();
        let ids: std::collections::HashSet<_> = (0..1000)
            .map(|_| Asked::new(&query).message[..2].to_vec())
            .collect();
        assert!(ids.len() > 900, "{} of 1000", ids.len());
    }
}
