//! Taking over a node where Neutron's own agents ran, and giving it back.
//!
//! A stopped agent leaves its namespaces with devices, addresses and routes, its rules, and the processes that it had
//! started in there: the data plane goes on. Devices, addresses and routes are named as ours are, so converging keeps them.
//! What is left for this room is the rest, in this order: our table is loaded, then their processes end and our servers
//! begin, then their rules go. Two tables that translate alike do no harm to each other, and a connection keeps its
//! translation as long as any table of the namespace translates at all.
//!
//! `process` who runs in which namespace | `strangers` namespaces that the server does not know | `give_back` the way back

mod give_back;
mod process;
mod strangers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::PoisonError;

use netns::Namespace;
use netns::iptables::{self, Found, Names};
use tracing::{info, warn};

use crate::model::{Event, NsName, State, Target};
use crate::neutron::Role;
use crate::plan;

pub use give_back::{GiveBackError, Given, Share, give_back};
pub use process::{Agent, Child, Processes};

/// Chains of the DHCP and the L3 agent: their programs' names, cut to 16 bytes (`iptables_manager.py: get_binary_name`).
pub const CHAINS: Names = Names {
    prefixes: &["neutron-l3-agent-", "neutron-dhcp-age-"],
    shared: &["neutron-filter-top", "neutron-postrouting-bottom"],
};

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    #[error(
        "take the place of {program}: it runs on this host (pid {pid}); stop it first, and the data plane goes on (systemctl stop {program}), or leave its role to it with --roles"
    )]
    AgentRuns { program: &'static str, pid: i32 },
    #[error(
        "look for processes that other agents left, in /proc (it must be mounted, and those of the host be seen)"
    )]
    Processes(#[source] std::io::Error),
    #[error(
        "end {program} (pid {pid}), which an agent left in {ns} (needs CAP_KILL; or end it by hand)"
    )]
    End {
        program: &'static str,
        pid: i32,
        ns: NsName,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "end {program} (pid {pid}), which an agent left in {ns}: it goes on for seconds; look what keeps it"
    )]
    GoesOn {
        program: &'static str,
        pid: i32,
        ns: NsName,
    },
    #[error(transparent)]
    Kernel(#[from] netns::Error),
}

/// What the agents whose place we take left on this host, as it was when we began.
#[derive(Debug)]
pub struct Predecessor {
    roles: BTreeSet<Role>,
    /// Namespaces of these roles that were there.
    namespaces: BTreeSet<NsName>,
    /// By the namespace that they live in.
    children: Mutex<BTreeMap<u64, Vec<Child>>>,
    /// Namespaces in which no rule of theirs is left.
    cleared: Mutex<BTreeSet<u64>>,
}

impl Predecessor {
    /// # Errors
    /// An agent of one of these roles runs: two would work against each other.
    pub fn look(roles: &BTreeSet<Role>) -> Result<Self, AdoptError> {
        let processes = Processes::look()?;
        if let Some(agent) = processes
            .agents
            .iter()
            .find(|agent| roles.contains(&agent.role))
        {
            let (program, pid) = (agent.program, agent.pid);
            return Err(AdoptError::AgentRuns { program, pid });
        }
        if processes.hidden > 0 {
            warn!(
                processes = processes.hidden,
                "some processes of Neutron's agents can't be looked at; to end them when their networks are taken over needs CAP_SYS_PTRACE and CAP_KILL"
            );
        }
        let mut children: BTreeMap<u64, Vec<Child>> = BTreeMap::new();
        for child in processes.children {
            children.entry(child.namespace).or_default().push(child);
        }
        let ours =
            |name: &NsName| plan::is_ours(name).is_some_and(|it| roles.contains(&role_of(it)));
        Ok(Self {
            roles: roles.clone(),
            namespaces: Namespace::list()?.into_iter().filter(ours).collect(),
            children: Mutex::new(children),
            cleared: Mutex::default(),
        })
    }

    /// Where their processes are, they were here after us, and what we knew may be old: it waits for the source.
    pub fn distrust(&self, known: &mut State) {
        let networks = known
            .networks
            .keys()
            .map(|id| (Target::Network(*id), Event::NetworkGone(*id)));
        let routers = known
            .routers
            .keys()
            .map(|id| (Target::Router(*id), Event::RouterGone(*id)));
        let mut old = Vec::new();
        for (target, gone) in networks.chain(routers) {
            let namespace = Namespace::open(&plan::namespace(target));
            let has_children = |ns: &Namespace| lock(&self.children).contains_key(&ns.inode());
            if namespace.ok().flatten().as_ref().is_some_and(has_children) {
                old.push(gone);
            }
        }
        if !old.is_empty() {
            info!(
                objects = old.len(),
                "an agent had these since our last run; they wait for the server's word"
            );
        }
        for gone in old {
            known.apply(&gone);
        }
    }

    /// Ends the processes that an agent started in this target's namespace for this target. At once, as the agents
    /// themselves end them: an orderly end would take addresses and routers' advertisements along.
    pub(crate) async fn end_children(
        &self,
        ns: &Namespace,
        target: Target,
    ) -> Result<(), AdoptError> {
        let children = lock(&self.children).remove(&ns.inode()).unwrap_or_default();
        let name = plan::namespace(target);
        let (theirs, others) = children.into_iter().partition(|child| child.is_for(target));
        let theirs: Vec<Child> = theirs;
        let others: Vec<Child> = others;
        for child in &others {
            warn!(ns = %name, program = child.program, pid = child.pid, "left alone: it was not started for this namespace's object");
        }
        if theirs.is_empty() {
            return Ok(());
        }
        let ended = process::end(&theirs, &name).await;
        match &ended {
            Ok(()) => {
                let programs: Vec<&str> = theirs.iter().map(|child| child.program).collect();
                info!(ns = %name, ended = ?programs, "took over from an agent that was here before");
            }
            // To be tried again.
            Err(_) => drop(lock(&self.children).insert(ns.inode(), theirs)),
        }
        ended
    }

    /// Takes the agents' rules away, once ours are there.
    pub(crate) async fn remove_rules(&self, ns: &Namespace) -> Result<(), AdoptError> {
        if lock(&self.cleared).contains(&ns.inode()) {
            return Ok(());
        }
        let Found { chains, rules, .. } = iptables::remove(ns, CHAINS).await?;
        if chains > 0 {
            info!(place = %ns.place(), chains, rules, "removed the rules of an agent that was here before");
        }
        lock(&self.cleared).insert(ns.inode());
        Ok(())
    }
}

/// Whoever panicked under it left a map that is whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What would be taken over in one namespace.
#[derive(Debug)]
pub struct Prospect {
    pub name: NsName,
    pub target: Target,
    pub devices: Vec<String>,
    pub children: Vec<Child>,
    pub rules: Found,
}

/// Looks at the namespaces of these roles, and touches nothing.
///
/// # Errors
/// The kernel does not tell, or /proc.
pub async fn prospects(
    processes: &Processes,
    roles: &BTreeSet<Role>,
) -> Result<Vec<Prospect>, AdoptError> {
    let mut prospects = Vec::new();
    for name in Namespace::list()? {
        let Some(target) = plan::is_ours(&name).filter(|target| roles.contains(&role_of(*target)))
        else {
            continue;
        };
        let Some(namespace) = Namespace::open(&name)? else {
            continue;
        };
        let links = netns::links(&namespace).await?;
        let devices = links
            .iter()
            .filter(|(device, link)| {
                plan::is_port_device(device) && link.alias.as_deref() != Some(plan::MARK)
            })
            .map(|(device, _)| device.to_string());
        let children = processes
            .children
            .iter()
            .filter(|child| child.namespace == namespace.inode() && child.is_for(target));
        prospects.push(Prospect {
            devices: devices.collect(),
            children: children.cloned().collect(),
            rules: iptables::look(&namespace, CHAINS).await?,
            name,
            target,
        });
    }
    prospects
        .retain(|it| !it.devices.is_empty() || !it.children.is_empty() || !it.rules.is_nothing());
    Ok(prospects)
}

fn role_of(target: Target) -> Role {
    match target {
        Target::Network(_) => Role::Dhcp,
        Target::Router(_) => Role::L3,
    }
}
