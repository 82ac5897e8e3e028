//! Namespaces that the agents left, of networks and routers that are not this host's any more: as the agents themselves do, we
//! remove them after the first full sync (`namespace_manager.py`, `dhcp/agent.py: _populate_networks_cache`).

use std::collections::BTreeSet;

use tracing::warn;

use super::{Predecessor, Processes, role_of};
use crate::chain;
use crate::model::{NsName, Target};
use crate::neutron::Role;
use crate::plan;

impl Predecessor {
    /// Those that were here when we began, and that the server did not name. None of an agent that runs.
    pub(crate) async fn strangers(&self, named: &BTreeSet<Target>) -> BTreeSet<NsName> {
        let Found { unknown, unnamed } = find(&self.namespaces, named);
        for role in unnamed.intersection(&self.roles) {
            warn!(%role, "namespaces of Neutron's agent stay: the server names nothing of this host for this role. If that is right, remove them with `ip netns delete`; else see whether host in neutron.conf is what the agents were known by");
        }
        if unknown.is_empty() || self.is_anyone_here().await {
            return BTreeSet::new();
        }
        unknown
    }

    /// An agent of our roles may have been started beside us: then they may be its.
    async fn is_anyone_here(&self) -> bool {
        let looked = tokio::task::spawn_blocking(Processes::look).await;
        let processes = match looked {
            Ok(Ok(processes)) => processes,
            Ok(Err(error)) => {
                warn!(error = %chain(&error), "namespaces that Neutron's agents left, and that the server does not know, stay");
                return true;
            }
            Err(_) => return true, // the daemon is ending
        };
        let agent = (processes.agents.iter()).find(|agent| self.roles.contains(&agent.role));
        if let Some(agent) = agent {
            warn!(
                program = agent.program,
                pid = agent.pid,
                "namespaces that the server does not know stay: this agent runs, stop it"
            );
        } else if processes.hidden > 0 {
            warn!(
                processes = processes.hidden,
                "namespaces that the server does not know stay: processes that may be their agents can't be looked at (CAP_SYS_PTRACE)"
            );
        }
        agent.is_some() || processes.hidden > 0
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    unknown: BTreeSet<NsName>,
    /// Roles with namespaces here of which nothing was named: more likely we ask in a wrong name than that all is gone.
    unnamed: BTreeSet<Role>,
}

fn find(here: &BTreeSet<NsName>, named: &BTreeSet<Target>) -> Found {
    let known: BTreeSet<Role> = named.iter().map(|target| role_of(*target)).collect();
    let mut found = Found::default();
    for name in here {
        let Some(target) = plan::is_ours(name).filter(|target| !named.contains(target)) else {
            continue;
        };
        let role = role_of(target);
        if known.contains(&role) {
            found.unknown.insert(name.clone());
        } else {
            found.unnamed.insert(role);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NetworkId, RouterId};
    use uuid::Uuid;

    type Row<'a> = (
        &'a str,
        &'a [Target],
        &'a [Target],
        &'a [Target],
        &'a [Role],
    );

    #[test]
    fn what_the_server_does_not_name_is_unknown_unless_it_names_nothing_at_all() {
        let network = |n| Target::Network(NetworkId(Uuid::from_u128(n)));
        let router = |n| Target::Router(RouterId(Uuid::from_u128(n)));
        // Name, what is here, what the server names, what is unknown of it, roles of which nothing is named.
        let rows: [Row<'_>; 5] = [
            ("nothing here", &[], &[network(1)], &[], &[]),
            (
                "all named",
                &[network(1)],
                &[network(1), router(2)],
                &[],
                &[],
            ),
            (
                "one unknown",
                &[network(1), network(2)],
                &[network(1)],
                &[network(2)],
                &[],
            ),
            (
                "no router named",
                &[network(2), router(1)],
                &[network(1)],
                &[network(2)],
                &[Role::L3],
            ),
            (
                "a network of the router's id",
                &[router(1)],
                &[network(1), router(2)],
                &[router(1)],
                &[],
            ),
        ];
        for (name, here, named, unknown, unnamed) in rows {
            let names =
                |targets: &[Target]| targets.iter().map(|it| plan::namespace(*it)).collect();
            let expected = Found {
                unknown: names(unknown),
                unnamed: unnamed.iter().copied().collect(),
            };
            let named = named.iter().copied().collect();
            assert_eq!(find(&names(here), &named), expected, "{name}");
        }
    }
}
