//! Forwarding: who of the forwarders is asked, in which order, and how long each is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout_at};

use super::ask::{self, Said};
use super::name::{Text, below};
use super::query::{Carrier, Query};
use super::response::Response;
use super::shared::{Settings, Tally};
use super::sockets::Sockets;
use crate::plan::scope::{DnsScope, Forwarder, Side};

/// With less time left than this, another try is not worth its packet.
const SHORTEST_TRY: Duration = Duration::from_millis(100);

/// So many forwarders are asked side by side: each costs a socket.
const MOST_AT_ONCE: usize = 3;

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
    Answer(Arc<Response>),
    /// An answer that is longer than the client takes by UDP.
    TooLong,
    /// It has addresses that names of elsewhere must not have.
    Rebinds,
    /// Nobody answered.
    Failed,
}

impl From<Said> for Outcome {
    fn from(said: Said) -> Self {
        match said {
            Said::Whole(response) => Self::Answer(Arc::new(response)),
            Said::TooLong => Self::TooLong,
        }
    }
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

    /// Asks one forwarder; where it is silent for a moment or has no answer, the next one as well. And all of them again as
    /// long as there is time and one of them was silent.
    ///
    /// An answer that is no answer (SERVFAIL, REFUSED) is the client's only if no other forwarder has a better one.
    pub(super) async fn ask(&self, query: &Query<'_>, carrier: Carrier, tally: &Tally) -> Outcome {
        let deadline = Instant::now() + self.settings.in_all;
        let is_time_left = || Instant::now() + SHORTEST_TRY < deadline;
        let order = self.order(query);
        let mut refusal = None;
        let mut silent = true;
        while silent && refusal.is_none() && is_time_left() {
            silent = false;
            let mut waiting = 0..order.len();
            let mut asked = Vec::new();
            let mut tries = FuturesUnordered::new();
            loop {
                if tries.len() < MOST_AT_ONCE
                    && is_time_left()
                    && let Some(number) = waiting.next()
                {
                    let until = deadline.min(Instant::now() + self.settings.per_forwarder);
                    let said = ask::ask(
                        &self.sockets,
                        order[number].forwarder,
                        query,
                        carrier,
                        tally,
                    );
                    tries.push(async move { (number, timeout_at(until, said).await) });
                    asked.push(number);
                } else if tries.is_empty() {
                    break;
                }
                let more = !waiting.is_empty() && tries.len() < MOST_AT_ONCE;
                let (number, said) = tokio::select! {
                    Some(ended) = tries.next() => ended,
                    () = sleep(self.settings.head_start), if more => continue,
                };
                asked.retain(|other| *other != number);
                match said {
                    Ok(Ok(Said::Whole(response))) if response.is_refusal() => {
                        refusal = Some(Outcome::Answer(Arc::new(response)));
                    }
                    Ok(Ok(said)) => {
                        order[number].resting_until.store(0, Ordering::Relaxed);
                        // Asked before, and silent still.
                        let slower = asked.iter().filter(|other| **other < number);
                        slower.for_each(|other| self.let_rest(&order[*other]));
                        return said.into();
                    }
                    Ok(Err(error)) => {
                        let forwarder = order[number].forwarder.address;
                        tracing::debug!(%forwarder, %error, "cannot ask");
                        self.let_rest(&order[number]);
                    }
                    Err(_elapsed) => {
                        silent = true;
                        self.let_rest(&order[number]);
                    }
                }
            }
        }
        refusal.unwrap_or(Outcome::Failed)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use super::*;

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
}
