//! What the server tells unasked: routers that changed or went, and what they depend on.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;

use super::super::bus::Notice;
use super::super::decode::{self, L3Notice};
use super::super::{PUSH, not_understood};
use super::L3;
use super::errands::Lane;
use crate::model::{NetworkId, RouterId};

impl L3 {
    pub(super) async fn hear(&mut self, notice: Notice) {
        let args = Value::Object(notice.args);
        let heard = if notice.method == PUSH {
            // Their router as a whole is asked for, and with it all that belongs to it.
            decode::pushed_routers(&args).map(|routers| self.ask_known(routers))
        } else {
            match decode::l3_notice(&notice.method, &args) {
                Ok(Some(heard)) => {
                    self.take_in(heard).await;
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            }
        };
        match heard {
            // The server waits for this inside of a user's request.
            Ok(()) => drop(notice.reply),
            Err(error) => not_understood(&self.parts.remarked, notice.reply, &error),
        }
    }

    pub(super) async fn take_in(&mut self, notice: L3Notice) {
        let now = Instant::now();
        match notice {
            L3Notice::Changed(ids) => {
                for id in ids {
                    self.errands.add(id, Lane::Notice, now);
                }
            }
            L3Notice::Gone(id) => {
                self.errands.forget(id);
                self.settled(id);
                self.drop_router(id).await;
                self.count();
            }
            L3Notice::NetworkUpdated(network) => self.ask_known(self.routers_on(network)),
            L3Notice::AgentUpdated => self.sync_at(now),
            L3Notice::ForDistributed => {}
        }
    }

    fn ask_known(&mut self, routers: BTreeSet<RouterId>) {
        let now = Instant::now();
        for id in routers {
            if self.routers.contains_key(&id) {
                self.errands.add(id, Lane::Notice, now);
            }
        }
    }

    fn routers_on(&self, network: NetworkId) -> BTreeSet<RouterId> {
        let on = self.routers.values().filter(|router| {
            let gateway = router.gateway.as_ref().map(|gateway| &gateway.port);
            let mut legs = router.interfaces.iter().chain(gateway);
            legs.any(|leg| leg.network == network)
        });
        on.map(|router| router.id).collect()
    }
}
