//! State reports: how the server knows that an agent lives, and how many things it holds (`agents_db.py`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};
use uuid::Uuid;

use super::bus::{CallError, Link};
use super::server::Server;
use super::{Role, Settings};
use crate::chain;

/// After a report that failed though the broker was there.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What a role holds, as keys of `configurations`.
pub(super) type Counts = Map<String, Value>;

/// Reports one role's state, for ever.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) server: Server,
    pub(super) role: Role,
    pub(super) settings: Arc<Settings>,
    pub(super) counts: watch::Receiver<Counts>,
    pub(super) link: watch::Receiver<Link>,
    /// Told when everything should be fetched anew: we are known for the first time, were given up meanwhile, or lost the
    /// broker, and with it perhaps a notice. Several such reasons before the role comes to look are one.
    pub(super) sync_due: Arc<Notify>,
}

impl Reporter {
    pub(super) async fn run(mut self) {
        let Some(interval) = self.settings.report_interval else {
            info!(
                agent = self.role.agent_type(),
                "no state is reported, as configured; the server schedules nothing to an agent that it does not know"
            );
            return self.watch().await;
        };
        let (mut known, mut session, mut failed) = (false, None, false);
        loop {
            let connected = self.connected().await;
            let state = state(self.role, &self.settings, &self.counts.borrow(), !known);
            let pause = match self.server.report_state(interval, &state, &now()).await {
                Ok(greeting) => {
                    let news = is_news(greeting.as_deref());
                    if !known || news || session != Some(connected) {
                        info!(
                            agent = self.role.agent_type(),
                            greeting = greeting.as_deref().unwrap_or("none"),
                            "the server knows us"
                        );
                        self.sync_due.notify_one();
                    }
                    (known, session, failed) = (true, Some(connected), false);
                    interval
                }
                Err(error) => {
                    self.complain(&error, failed);
                    failed = true;
                    AGAIN_AFTER.min(interval)
                }
            };
            self.rest(pause, connected).await;
        }
    }

    /// Without reports: each connection is a reason to ask.
    async fn watch(&mut self) {
        loop {
            let session = self.connected().await;
            self.sync_due.notify_one();
            self.rest(Duration::MAX, session).await;
        }
    }

    /// Waits for the broker; answers which connection it is.
    async fn connected(&mut self) -> u64 {
        loop {
            if let Link::Connected { times, .. } = &*self.link.borrow_and_update() {
                return *times;
            }
            if self.link.changed().await.is_err() {
                // The bus has been closed: nothing more will be reported.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Until the next report is due; a new connection is told at once.
    async fn rest(&mut self, pause: Duration, session: u64) {
        let another = self
            .link
            .wait_for(|link| matches!(link, Link::Connected { times, .. } if *times != session));
        // Either way it is time to report; a closed bus is waited for in `connected`.
        let _ = tokio::time::timeout(pause, another).await;
    }

    /// Said when it is new.
    fn complain(&self, error: &CallError, again: bool) {
        if !again {
            warn!(agent = self.role.agent_type(), error = %chain(error), "state not reported; tried again until it is");
        }
    }
}

impl Role {
    pub(super) fn agent_type(self) -> &'static str {
        match self {
            Self::Dhcp => "DHCP agent",
            Self::L3 => "L3 agent",
            Self::Metadata => "Metadata agent",
        }
    }

    pub fn binary(self) -> &'static str {
        match self {
            Self::Dhcp => "neutron-dhcp-agent",
            Self::L3 => "neutron-l3-agent",
            Self::Metadata => "neutron-metadata-agent",
        }
    }

    fn topic(self) -> &'static str {
        match self {
            Self::Dhcp => super::DHCP_TOPIC,
            Self::L3 => super::L3_TOPIC,
            // It listens nowhere.
            Self::Metadata => "N/A",
        }
    }
}

/// The server had given us up, or forgotten us: what was ours may be another agent's, and what is ours now we must ask.
fn is_news(greeting: Option<&str>) -> bool {
    matches!(greeting, Some("revived" | "new"))
}

/// The inner `agent_state`; `first`: until a report has succeeded.
fn state(role: Role, settings: &Settings, counts: &Counts, first: bool) -> Value {
    let mut configurations = configurations(role, settings);
    configurations.extend(counts.clone());
    let mut state = json!({
        "agent_type": role.agent_type(),
        "binary": role.binary(),
        "host": settings.host,
        "topic": role.topic(),
        "configurations": configurations,
        "uuid": Uuid::new_v4(),
    });
    if role != Role::Metadata {
        state["availability_zone"] = json!(settings.availability_zone);
    }
    if first {
        state["start_flag"] = json!(true);
    }
    state
}

fn configurations(role: Role, settings: &Settings) -> Map<String, Value> {
    let own = match role {
        Role::Dhcp => json!({
            "dhcp_driver": settings.dhcp.driver,
            "dhcp_lease_duration": settings.dhcp.lease,
        }),
        Role::L3 => json!({
            "agent_mode": settings.l3.agent_mode,
            "handle_internal_only_routers": settings.l3.handle_internal_only_routers,
            "interface_driver": settings.interface_driver,
            "extensions": settings.l3.extensions,
        }),
        Role::Metadata => json!({
            "metadata_proxy_socket": settings.metadata.proxy_socket,
            "nova_metadata_host": settings.metadata.nova_host,
            "nova_metadata_port": settings.metadata.nova_port,
        }),
    };
    let Value::Object(mut configurations) = own else {
        return Map::new();
    };
    configurations.insert(
        "log_agent_heartbeats".into(),
        json!(settings.log_agent_heartbeats),
    );
    configurations
}

/// UTC with six decimals and no zone: what the server's parser takes.
fn now() -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]");
    OffsetDateTime::now_utc()
        .format(&format)
        .expect("a time of today has all of these parts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_given_up_or_forgotten_asks_for_everything() {
        for (greeting, want) in [
            (Some("revived"), true),
            (Some("new"), true),
            (Some("alive"), false),
            (None, false),
        ] {
            assert_eq!(is_news(greeting), want, "{greeting:?}");
        }
    }
}
