//! Steps -> kernel. Requests are gathered and leave together, up to where one needs the answer to another.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::error::{Error, Refusal};
use crate::link::{self, LinkId};
use crate::names::DevName;
use crate::observe::Actual;
use crate::spec::{Link, LinkKind, Place, Route, Spec};
use crate::stay::Stay;
use crate::step::Step;
use crate::wire::{Answer, Request};
use crate::{addr, load, neigh, nft, route, rule};

/// Steps being done. An error of one does not keep the others from being tried.
pub(crate) struct Work<'a> {
    stay: &'a mut Stay,
    spec: &'a Spec,
    actual: &'a Actual,
    /// Devices that are there by now.
    now: BTreeMap<DevName, LinkId>,
    /// Devices that could not be had: what needs them is left out, since an error tells of each already.
    unmade: BTreeSet<DevName>,
    done: Vec<Step>,
    errors: Vec<Error>,
    /// Gathered, not sent yet.
    waiting: Vec<(Step, Vec<Request>)>,
}

impl<'a> Work<'a> {
    pub(crate) fn new(stay: &'a mut Stay, spec: &'a Spec, actual: &'a Actual) -> Self {
        let now = actual
            .links
            .iter()
            .map(|(dev, seen)| (dev.clone(), seen.id()))
            .collect();
        let (unmade, done, errors, waiting) = (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            stay,
            spec,
            actual,
            now,
            unmade,
            done,
            errors,
            waiting,
        }
    }

    /// What was done, what was not, and the devices of the Spec.
    pub(crate) fn end(mut self) -> (Vec<Step>, Vec<Error>, BTreeMap<DevName, LinkId>) {
        self.flush();
        self.now.retain(|dev, _| self.spec.links.contains_key(dev));
        (self.done, self.errors, self.now)
    }

    pub(crate) fn one(&mut self, step: &Step) {
        match step {
            Step::Blocked(conflict) => {
                let (place, conflict) = (self.actual.place.clone(), conflict.clone());
                self.unmade.insert(conflict.dev().clone());
                self.errors.push(Error::Conflict { place, conflict });
            }
            Step::SetSysctl { key, value } => self.alone(step, |work| {
                work.stay.writes += 1;
                Ok(work.stay.settings().write(key, value)?)
            }),
            Step::LoadTable { .. } | Step::DeleteTable { .. } | Step::ChangeMaps { .. } => {
                self.alone(step, |work| work.table(step));
            }
            Step::DeletePeer { dev, place } => {
                self.alone(step, |work| work.delete_peer(dev, place));
            }
            _ => self.gather(step),
        }
    }

    /// Not by way of this namespace's netlink socket, so what waits there goes first.
    fn alone(&mut self, step: &Step, how: impl FnOnce(&mut Self) -> Result<(), Refusal>) {
        self.flush();
        let result = how(self);
        self.conclude(step.clone(), result);
    }

    fn table(&mut self, step: &Step) -> Result<(), Refusal> {
        match (step, &self.spec.ruleset) {
            (Step::ChangeMaps { table, changes }, _) => {
                let (messages, changed) = nft::change(self.stay.netfilter()?, table, changes);
                self.stay.writes += messages;
                changed
            }
            (Step::LoadTable { table, .. }, Some(ruleset)) => {
                self.stay.writes += 1;
                load::load(table, ruleset, self.actual.table.is_some())
            }
            (Step::DeleteTable { table }, _) => {
                self.stay.writes += 1;
                load::delete(table)
            }
            _ => Ok(()), // no such step
        }
    }

    fn delete_peer(&mut self, dev: &DevName, place: &Place) -> Result<(), Refusal> {
        let Some(there) = self.actual.peers.get(&(place.clone(), dev.clone())) else {
            return Ok(());
        };
        self.stay.writes += 1;
        match self.stay.elsewhere(place) {
            Ok(Some(elsewhere)) => match elsewhere.wire.ask(&link::delete(there.index)) {
                Err(refusal) if refusal.errno() != libc::ENODEV => Err(refusal),
                Ok(_) | Err(_) => Ok(()),
            },
            Ok(None) => Ok(()), // the namespace went, and the device with it
            Err(error) => Err(io::Error::other(error).into()),
        }
    }

    /// A step that is a request or two over this namespace's socket.
    fn gather(&mut self, step: &Step) {
        for dev in needed(step, self.spec) {
            if self.is_there(dev) {
                continue;
            }
            if !self.unmade.contains(dev) {
                let nothing = io::Error::from_raw_os_error(libc::ENODEV);
                self.conclude(step.clone(), Err(nothing.into()));
            } else if let Step::CreateLink { dev, .. } = step {
                self.unmade.insert(dev.clone());
            }
            return;
        }
        let far = match step {
            Step::CreateLink { link, .. } => match &link.kind {
                LinkKind::Veth { peer_in, .. } => self.stay.elsewhere(peer_in),
                _ => Ok(None),
            },
            _ => Ok(None),
        };
        let far = match far {
            Ok(far) => far.map(|far| far.namespace.clone()),
            Err(error) => return self.errors.push(error),
        };
        let requests = match step {
            Step::CreateLink { dev, link } => vec![
                link::create(
                    dev,
                    link,
                    below(link).and_then(|below| self.index(below)),
                    far.as_ref(),
                ),
                link::alias(dev, &self.spec.ownership.alias),
                link::get(dev),
            ],
            _ => self.requests(step).unwrap_or_default(),
        };
        if let Step::DeleteLink { dev, .. } = step {
            self.now.remove(dev);
        }
        self.waiting.push((step.clone(), requests));
    }

    /// For all devices that it needs being there.
    fn requests(&self, step: &Step) -> Option<Vec<Request>> {
        let protocol = self.spec.ownership.protocol;
        let at = |dev: &DevName| self.index(dev);
        let request = match step {
            Step::DeleteRoute(seen) => route::delete(seen),
            Step::DeleteRule(seen) => rule::delete(seen),
            Step::AddRule(rule) => rule::add(rule, protocol),
            Step::AddRoute(route) => route::add(route, &self.hops(route), protocol),
            Step::ReplaceRoute { route, .. } => route::replace(route, &self.hops(route), protocol),
            Step::DeleteNeighbour(old) => neigh::delete(at(&old.dev)?, old),
            Step::SetNeighbour(new) => neigh::set(at(&new.dev)?, new, protocol),
            Step::DeleteAddress { dev, address } => {
                let seen = self
                    .actual
                    .links
                    .get(dev)
                    .and_then(|link| link.addrs.get(address));
                addr::delete(at(dev)?, *address, seen)
            }
            Step::AddAddress { dev, address } => addr::add(at(dev)?, *address),
            Step::DeleteFlood { dev, remote } => neigh::delete_flood(at(dev)?, *remote),
            Step::AddFlood { dev, remote } => neigh::add_flood(at(dev)?, *remote),
            Step::DeleteLink { dev, .. } => link::delete(at(dev)?),
            Step::SetDown { dev } => link::down(at(dev)?),
            Step::SetUp { dev } => link::up(at(dev)?),
            Step::SetMac { dev, mac } => link::mac(at(dev)?, *mac),
            Step::SetMtu { dev, mtu } => link::mtu(at(dev)?, *mtu),
            Step::SetAlias { dev, alias } => link::alias(dev, alias),
            Step::SetMaster { dev, master } => {
                link::master(at(dev)?, master.as_ref().map_or(Some(0), at)?)
            }
            Step::SetBridge { dev } => return Some(link::bridge_settings(at(dev)?).into()),
            Step::Blocked(_)
            | Step::SetSysctl { .. }
            | Step::DeletePeer { .. }
            | Step::CreateLink { .. }
            | Step::DeleteTable { .. }
            | Step::LoadTable { .. }
            | Step::ChangeMaps { .. } => return None,
        };
        Some(vec![request])
    }

    fn hops(&self, route: &Route) -> Vec<route::Hop<u32>> {
        let hops = self.spec.hops(route).into_iter();
        hops.map(|(gateway, dev)| (gateway, dev.and_then(|dev| self.index(dev))))
            .collect()
    }

    fn index(&self, dev: &DevName) -> Option<u32> {
        self.now.get(dev).map(|id| id.index)
    }

    /// Sends what waits if that may be what makes `dev`, also as the far end of a pair.
    fn is_there(&mut self, dev: &DevName) -> bool {
        let makes = |(step, _): &(Step, Vec<Request>)| matches!(step, Step::CreateLink { .. });
        if !self.now.contains_key(dev) && self.waiting.iter().any(makes) {
            self.flush();
        }
        if !self.now.contains_key(dev) && self.spec.is_far_end(dev, &self.actual.place) {
            // A pair within one namespace: this end came with the other.
            if let Ok(Some(body)) = self.stay.route.ask(&link::get(dev)) {
                self.learn(&body);
            }
        }
        self.now.contains_key(dev)
    }

    fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let requests = waiting
            .iter()
            .flat_map(|(_, requests)| requests.iter().cloned());
        let requests: Vec<Request> = requests.collect();
        if requests.is_empty() {
            return;
        }
        self.stay.writes += requests
            .iter()
            .filter(|request| !request.only_asks())
            .count();
        match self.stay.route.exchange(&requests) {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for (step, requests) in waiting {
                    let answers: Vec<Answer> = answers.by_ref().take(requests.len()).collect();
                    self.answered(step, answers);
                }
            }
            Err(error) => {
                for (step, _) in waiting {
                    let same = io::Error::new(error.kind(), error.to_string());
                    self.conclude(step, Err(same.into()));
                }
            }
        }
    }

    fn answered(&mut self, step: Step, answers: Vec<Answer>) {
        let mut result = Ok(());
        for answer in answers {
            match answer {
                Ok(Some(body)) => self.learn(&body),
                Ok(None) => {}
                Err(refusal) if is_gone_already(&step, &refusal) => {}
                Err(refusal) if result.is_ok() => result = Err(refusal),
                Err(_) => {} // follows from the first
            }
        }
        if let (Step::CreateLink { link, .. }, Ok(())) = (&step, &result) {
            result = self.mark_far_end(&link.kind);
        }
        self.conclude(step, result);
    }

    /// So that a left-over of it can be told from others' devices later.
    fn mark_far_end(&mut self, kind: &LinkKind) -> Result<(), Refusal> {
        let LinkKind::Veth { peer, peer_in } = kind else {
            return Ok(());
        };
        self.stay.writes += 1;
        match self.stay.elsewhere(peer_in) {
            Ok(Some(there)) => there
                .wire
                .ask(&link::alias(peer, &self.spec.ownership.alias))
                .map(|_| ()),
            Ok(None) | Err(_) => Ok(()), // it was there a moment ago; gone, it took the pair along
        }
    }

    fn learn(&mut self, body: &[u8]) {
        if let Ok(Some((dev, seen))) = link::parse(body) {
            self.now.insert(dev, seen.id());
        }
    }

    fn conclude(&mut self, step: Step, result: Result<(), Refusal>) {
        match result {
            Ok(()) => self.done.push(step),
            Err(source) => {
                if let Step::CreateLink { dev, .. } = &step {
                    self.unmade.insert(dev.clone());
                }
                let place = self.actual.place.clone();
                self.errors.push(Error::Step {
                    place,
                    step: Box::new(step),
                    source,
                });
            }
        }
    }
}

/// Devices whose index the step's requests carry.
fn needed<'a>(step: &'a Step, spec: &'a Spec) -> Vec<&'a DevName> {
    match step {
        Step::AddRoute(route) | Step::ReplaceRoute { route, .. } => spec
            .hops(route)
            .into_iter()
            .filter_map(|(_, dev)| dev)
            .collect(),
        Step::DeleteNeighbour(neighbour) | Step::SetNeighbour(neighbour) => vec![&neighbour.dev],
        Step::SetMaster { dev, master } => [dev].into_iter().chain(master).collect(),
        Step::CreateLink { link, .. } => below(link).into_iter().collect(),
        Step::DeleteAddress { dev, .. }
        | Step::AddAddress { dev, .. }
        | Step::DeleteFlood { dev, .. }
        | Step::AddFlood { dev, .. }
        | Step::DeleteLink { dev, .. }
        | Step::SetDown { dev }
        | Step::SetUp { dev }
        | Step::SetMac { dev, .. }
        | Step::SetMtu { dev, .. }
        | Step::SetAlias { dev, .. }
        | Step::SetBridge { dev } => vec![dev],
        Step::DeleteRoute(_)
        | Step::DeleteRule(_)
        | Step::AddRule(_)
        | Step::Blocked(_)
        | Step::SetSysctl { .. }
        | Step::DeletePeer { .. }
        | Step::DeleteTable { .. }
        | Step::LoadTable { .. }
        | Step::ChangeMaps { .. } => Vec::new(),
    }
}

/// The device that a new one stands on.
fn below(link: &Link) -> Option<&DevName> {
    match &link.kind {
        LinkKind::Vlan { parent, .. } => Some(parent),
        LinkKind::Vxlan(tunnel) => tunnel.underlay.as_ref(),
        LinkKind::Existing | LinkKind::Given | LinkKind::Veth { .. } | LinkKind::Bridge => None,
    }
}

/// A deletion that finds nothing has what it wanted: another deletion took it along, or somebody was quicker.
fn is_gone_already(step: &Step, refusal: &Refusal) -> bool {
    let deletes = matches!(
        step,
        Step::DeleteRoute(_)
            | Step::DeleteRule(_)
            | Step::DeleteNeighbour(_)
            | Step::DeleteAddress { .. }
            | Step::DeleteFlood { .. }
            | Step::DeleteLink { .. }
    );
    let gone = [libc::ENODEV, libc::ESRCH, libc::ENOENT, libc::EADDRNOTAVAIL];
    deletes && gone.contains(&refusal.errno())
}
