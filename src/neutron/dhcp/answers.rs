//! What the server answered: about all networks of this host, and about one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tracing::{debug, info, warn};

use super::super::decode;
use super::Dhcp;
use super::ask::{AskError, Asked, Verdict};
use super::journal::Moment;
use super::ready::Urgency;
use crate::chain;
use crate::model::{Event, NetworkId};

impl Dhcp {
    /// All of this host's networks: others that we know are not ours any more.
    pub(super) async fn synced(&mut self, dicts: Vec<Value>) {
        let asked = self.syncing.take().unwrap_or_else(|| self.journal.now());
        let now = Instant::now();
        info!(networks = dicts.len(), "full sync");
        let mut named = BTreeSet::new();
        for dict in dicts {
            // One without an id can't be told from another; nothing is served of it.
            let Some(id) = decode::id(&dict).map(NetworkId) else {
                continue;
            };
            if self.meanwhile.get(&id) != Some(&false) {
                named.insert(id);
                self.errands.add_given(id, dict, asked, now);
            }
        }
        let is_gone = |id: &NetworkId| {
            !named.contains(id) && self.meanwhile.get(id).is_none_or(|is_ours| !is_ours)
        };
        let known = self.networks.ids().chain(self.errands.waiting());
        let gone: BTreeSet<NetworkId> = known.filter(is_gone).collect();
        for id in gone {
            self.errands.forget(id);
            self.disable(id).await;
        }
        if self.parts.synced.is_some() {
            self.named.clone_from(&named);
            self.unsettled = Some(named);
        }
    }

    pub(super) async fn asked(
        &mut self,
        id: NetworkId,
        since: Moment,
        asked: Result<Option<Box<Asked>>, AskError>,
    ) {
        let first = self.parts.settings.dhcp.resync_interval;
        match asked {
            Ok(Some(asked)) => {
                let Asked {
                    mut network,
                    remarks,
                    trouble,
                } = *asked;
                self.parts.remarked.tell(&remarks);
                self.journal.catch_up(&mut network, since);
                match trouble {
                    Some(error) => {
                        warn!(network = %id, error = %chain(&error), "served as far as it goes; tried again");
                        self.errands.failed(id, first, Instant::now());
                    }
                    None => self.errands.done(id),
                }
                for port in self.tombs.among(&network) {
                    network.ports.remove(&port);
                }
                self.settled(id);
                self.starved.remove(&id);
                let all = network.ports.keys().copied();
                for port in all.chain(network.dhcp_port.as_ref().map(|own| own.id)) {
                    self.ready.wait(id, port, Urgency::Network);
                }
                let network = Arc::new(network);
                self.leaving.remove(&id);
                self.networks.put(Arc::clone(&network));
                self.parts.say(vec![Event::Network(network)]).await;
                self.count();
            }
            Ok(None) => {
                self.errands.done(id);
                self.settled(id);
                self.disable(id).await;
            }
            Err(error) => {
                if !error.is_transient() {
                    self.settled(id);
                }
                let verdict = error.verdict();
                match verdict {
                    Verdict::Leave | Verdict::AgainQuietly => {
                        debug!(network = %id, error = %chain(&error), "not served from here");
                    }
                    Verdict::Starved | Verdict::Again => {
                        self.parts.remarked.once(&id, &chain(&error));
                    }
                }
                match verdict {
                    Verdict::Again | Verdict::AgainQuietly => {
                        self.errands.failed(id, first, Instant::now());
                    }
                    Verdict::Leave => self.errands.done(id),
                    Verdict::Starved => {
                        self.errands.done(id);
                        self.starved.insert(id);
                    }
                }
            }
        }
    }
}
