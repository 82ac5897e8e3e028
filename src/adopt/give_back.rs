//! The way back: Neutron's agents have been started again, and take over what is here as we did.
//!
//! Flows go on because a router's table of ours stays until the agent's own rules do all that it does. Then the table goes,
//! and with it whatever says that something is ours.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use netns::Namespace;
use netns::iptables::{self, Family};
use netns::spec::Link;
use tokio::time::{Instant, sleep};

use super::CHAINS;
use crate::model::{DevName, NsName, Target};
use crate::plan;
use crate::plug::{self, Plug};

/// Between two looks for the agent's rules; it takes seconds for a router.
const PAUSE: Duration = Duration::from_millis(500);

/// Of the L3 agent, in each family's table "mangle": what comes by which device is of which address scope
/// (`router_info.py: process_address_scope`).
const MARKING: &str = "neutron-l3-agent-scope";

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum GiveBackError {
    #[error(transparent)]
    Kernel(#[from] netns::Error),
    #[error(transparent)]
    Plug(#[from] plug::Error),
    #[error(
        "give back {0}: the L3 agent has not written its rules there (start it, see its log, then try again; until then ours go on translating)"
    )]
    NotTaken(NsName),
}

/// A namespace that does not say any more that it is ours.
#[derive(Debug)]
pub struct Given {
    pub name: NsName,
    pub target: Target,
}

/// Gives back all namespaces that are marked as ours, as soon as the agents have taken them, within `patience`; `say` hears of
/// each. One that is deleted meanwhile is given, too. Goes on after an error, and returns all.
pub async fn give_back(
    plug: &Plug,
    patience: Duration,
    mut say: impl FnMut(&Given),
) -> Vec<GiveBackError> {
    let mut errors = Vec::new();
    let mut waiting = match marked().await {
        Ok(waiting) => waiting,
        Err(error) => return vec![error.into()],
    };
    let deadline = Instant::now() + patience;
    loop {
        let mut left = Vec::new();
        for given in waiting {
            match give(&given).await {
                Ok(true) => say(&given),
                Ok(false) => left.push(given),
                Err(error) => errors.push(error.into()),
            }
        }
        waiting = left;
        if waiting.is_empty() || Instant::now() > deadline {
            break;
        }
        sleep(PAUSE).await;
    }
    if let Err(error) = give_rest(plug).await {
        errors.push(error);
    }
    let not_taken = waiting
        .into_iter()
        .map(|given| GiveBackError::NotTaken(given.name));
    errors.extend(not_taken);
    errors
}

/// Namespaces that say that they are ours.
pub(super) async fn marked() -> Result<Vec<Given>, netns::Error> {
    let mut marked = Vec::new();
    for name in Namespace::list()? {
        let (Some(target), Some(namespace)) = (plan::is_ours(&name), Namespace::open(&name)?)
        else {
            continue;
        };
        let actual = netns::observe(&namespace, &plan::everything_of_ours()).await?;
        let aliased = (actual.links.values()).any(|link| link.alias.as_deref() == Some(plan::MARK));
        if aliased || actual.table.is_some() {
            marked.push(Given { name, target });
        }
    }
    Ok(marked)
}

/// `false`: not yet.
async fn give(given: &Given) -> Result<bool, netns::Error> {
    let Some(namespace) = Namespace::open(&given.name)? else {
        return Ok(true);
    };
    if matches!(given.target, Target::Router(_)) && !is_taken(&namespace).await? {
        return Ok(false);
    }
    netns::disown(&namespace, &plan::everything_of_ours().ownership).await?;
    Ok(true)
}

/// The agent's own rules are there, and translate every address that the gateway has: it writes these before it touches an
/// address, and takes addresses away that it does not want any more. And it marks what it lets pass, which it writes last:
/// until then our mark carries packets through its rules.
async fn is_taken(ns: &Namespace) -> Result<bool, netns::Error> {
    let found = iptables::look(ns, CHAINS).await?;
    if found.is_nothing() {
        return Ok(false);
    }
    let devices = addresses(ns).await?;
    let gateways = (devices.iter()).filter(|(device, _)| plan::is_gateway_device(device));
    let all_translated = gateways
        .flat_map(|(_, addresses)| addresses)
        .all(|it| match it {
            IpAddr::V4(address) => found.translates(*address),
            IpAddr::V6(_) => true, // never is
        });
    let mut families = devices.values().flatten().map(family_of);
    let marks = |family| found.has_rules_in(family, "mangle", MARKING);
    Ok(all_translated && families.all(marks))
}

fn family_of(address: &IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// Of a router's devices; without link-local ones, which come by themselves.
async fn addresses(ns: &Namespace) -> Result<BTreeMap<DevName, Vec<IpAddr>>, netns::Error> {
    let links = netns::links(ns).await?.into_keys();
    let devices: Vec<DevName> = links.filter(plan::is_router_device).collect();
    let mut spec = plan::everything_of_ours();
    let named = devices
        .into_iter()
        .map(|device| (device, Link::existing().addrs([])));
    spec.links.extend(named);
    let actual = netns::observe(ns, &spec).await?;
    let links = actual.links.into_iter();
    let addresses = links.map(|(device, link)| {
        let all = link.addrs.keys().map(|net| net.addr());
        let usual = all.filter(|it| !matches!(it, IpAddr::V6(v6) if v6.is_unicast_link_local()));
        (device, usual.collect())
    });
    Ok(addresses.collect())
}

/// The far ends on the host, and what the switch knows.
async fn give_rest(plug: &Plug) -> Result<(), GiveBackError> {
    let home = Namespace::home()?;
    netns::disown(&home, &plan::everything_of_ours().ownership).await?;
    Ok(plug.disown().await?)
}
