//! What the server tells unasked: networks that come and go, and ports.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::super::bus::Notice;
use super::super::decode::{self, DhcpNotice};
use super::super::not_understood;
use super::Dhcp;
use super::journal::{self, Change};
use super::ready::Urgency;
use crate::model::{Event, Network, NetworkId, Port, PortId};

impl Dhcp {
    pub(super) async fn hear(&mut self, notice: Notice) {
        let args = Value::Object(notice.args);
        let heard = decode::dhcp_notice(&notice.method, &args, &self.naming);
        match heard {
            // Whoever called wants to know that it came, not what becomes of it.
            Ok(heard) => {
                drop(notice.reply);
                if let Some(heard) = heard {
                    self.take_in(heard).await;
                }
            }
            Err(error) => not_understood(&self.parts.remarked, notice.reply, &error),
        }
    }

    pub(super) async fn take_in(&mut self, notice: DhcpNotice) {
        let now = Instant::now();
        match notice {
            DhcpNotice::NetworkScheduled(id) => {
                self.meanwhile(id, true);
                self.errands.add(id, Urgency::Now, now);
            }
            DhcpNotice::NetworkUpdated {
                network,
                admin_state_up: true,
            } => self.errands.add(network, Urgency::Now, now),
            DhcpNotice::NetworkUpdated {
                network,
                admin_state_up: false,
            }
            | DhcpNotice::NetworkGone(network) => self.drop_network(network).await,
            DhcpNotice::SubnetChanged(network) => self.errands.add(network, Urgency::Now, now),
            DhcpNotice::SubnetGone { subnet, network } => {
                let known = self.networks.of_subnet(subnet, network);
                // One that is just being asked about may still have it in the answer.
                let asked = network.filter(|id| self.errands.has(*id));
                if let Some(id) = known.or(asked) {
                    self.errands.add(id, Urgency::Now, now);
                }
            }
            DhcpNotice::PortChanged(port) => {
                self.parts.remarked.tell(&port.remarks);
                self.put_port(port.value).await;
            }
            DhcpNotice::PortGone { port, network } => self.drop_port(port, network).await,
            DhcpNotice::AgentUpdated => self.sync_at(now),
        }
    }

    /// Told since everything was asked for.
    fn meanwhile(&mut self, id: NetworkId, is_ours: bool) {
        if self.syncing.is_some() {
            self.meanwhile.insert(id, is_ours);
        }
    }

    async fn drop_network(&mut self, id: NetworkId) {
        self.meanwhile(id, false);
        self.settled(id);
        self.errands.forget(id);
        self.starved.remove(&id);
        if let Some(asking) = self.asking.remove(&id) {
            asking.abort();
            self.errands.done(id);
            if self.networks.get(id).is_none() {
                // A port of ours may just have been made.
                self.release(id);
            }
        }
        self.disable(id).await;
    }

    pub(super) async fn put_port(&mut self, port: Port) {
        if self.tombs.has(port.id) || !journal::is_of_use(&port) {
            return;
        }
        let (id, network) = (port.id, port.network);
        let change = Change::Put(Arc::new(port));
        self.note(network, change.clone());
        let Some(known) = self.networks.get(network) else {
            // Not ours, or asked for just now: then the answer has it, or takes it in.
            return;
        };
        let own = known.dhcp_port.as_ref().filter(|own| own.id == id);
        if let (Some(own), Change::Put(port)) = (own, &change) {
            // What we caused ourselves is no news.
            if own.revision < port.revision || own.fixed_ips != port.fixed_ips {
                self.errands.add(network, Urgency::Now, Instant::now());
            }
            return;
        }
        if let Change::Put(port) = &change
            && self.networks.takes_an_address(port)
        {
            // An address cannot be two ports': which of them is right, the server must say.
            self.errands.add(network, Urgency::Now, Instant::now());
            return;
        }
        if self.change(network, change).await {
            self.ready.wait(network, id, Urgency::Now);
        }
    }

    async fn drop_port(&mut self, port: PortId, network: Option<NetworkId>) {
        self.tombs.add(port, Instant::now());
        let Some(id) = network.or_else(|| self.networks.of_port(port)) else {
            return;
        };
        self.note(id, Change::Gone(port));
        if self.starved.remove(&id) {
            self.errands.add(id, Urgency::Now, Instant::now());
        }
        let own = |known: &Arc<Network>| known.dhcp_port.as_ref().is_some_and(|own| own.id == port);
        if self.networks.get(id).is_some_and(own) {
            self.errands.add(
                id,
                Urgency::Now,
                Instant::now() + self.parts.settings.dhcp.resync_throttle,
            );
            return;
        }
        self.change(id, Change::Gone(port)).await;
    }

    /// One port of a network that we serve; false: that is known.
    async fn change(&mut self, id: NetworkId, change: Change) -> bool {
        let is_new = self.networks.change(id, &change);
        if is_new {
            let event = match change {
                Change::Put(port) => Event::Port(port),
                Change::Gone(port) => Event::PortGone(id, port),
            };
            self.parts.say(vec![event]).await;
            self.count();
        }
        is_new
    }
}
