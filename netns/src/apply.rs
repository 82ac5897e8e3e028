//! Steps -> kernel. Requests are gathered and leave together, up to where one needs an answer of another.

use std::collections::BTreeMap;

use crate::diff::diff;
use crate::error::{Error, Refusal};
use crate::link::{self, LinkId};
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::observe::{Actual, look};
use crate::spec::{LinkKind, Place, Route, Spec};
use crate::stay::Stay;
use crate::step::Step;
use crate::wire::{Answer, Request};
use crate::{addr, neigh, route, rule, sysctl};

/// What was done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    pub steps: Vec<Step>,
    /// Messages to the kernel that change something, and written settings.
    pub writes: usize,
    /// The devices of the Spec, as they are now.
    pub links: BTreeMap<DevName, LinkId>,
}

/// Rounds of looking and changing; the second mends what the kernel did beyond the first, a third would be a fight
/// with somebody.
const ROUNDS: usize = 4;

/// Does `steps`, which `diff` made of this `spec` and `actual`. What can be done is done; an error tells the rest.
pub async fn apply(
    ns: &Namespace,
    spec: &Spec,
    actual: &Actual,
    steps: &[Step],
) -> Result<Applied, Error> {
    let (inside, spec, actual, steps) = (ns.clone(), spec.clone(), actual.clone(), steps.to_vec());
    ns.run(move || {
        let mut work = Work::new(&spec, &actual);
        let mut stay = Stay::begin(&inside)?;
        let errors = work.all(&mut stay, &steps);
        let applied = Applied {
            writes: stay.writes,
            links: work.links(),
            steps: work.done,
        };
        Error::check(errors).map(|()| applied)
    })
    .await
}

/// Looks, compares and changes what differs, until nothing differs, in one stay inside of the namespace.
pub async fn converge(ns: &Namespace, spec: &Spec) -> Result<Applied, Error> {
    let (inside, spec) = (ns.clone(), spec.clone());
    ns.run(move || settle(&inside, &spec)).await
}

fn settle(ns: &Namespace, spec: &Spec) -> Result<Applied, Error> {
    let place = ns.place();
    spec.check().map_err(|mistake| Error::Mistake {
        place: place.clone(),
        mistake,
    })?;
    let mut stay = Stay::begin(ns)?;
    let mut applied = Applied::default();
    for _ in 0..ROUNDS {
        let actual = look(&mut stay, spec)?;
        let steps = diff(spec, &actual);
        let mut work = Work::new(spec, &actual);
        let errors = work.all(&mut stay, &steps);
        applied.links = work.links();
        applied.writes = stay.writes;
        // What the kernel did beyond our words shows only when one looks again; and an error may have come of it.
        let again = work.done.iter().any(Step::has_side_effects);
        applied.steps.append(&mut work.done);
        if !again {
            return Error::check(errors).map(|()| applied);
        }
    }
    let left = diff(spec, &look(&mut stay, spec)?);
    if left.is_empty() {
        return Ok(applied);
    }
    let left = left
        .iter()
        .map(Step::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    Err(Error::Unsettled {
        place: place.clone(),
        rounds: ROUNDS,
        left,
    })
}

/// Steps being done.
struct Work<'a> {
    spec: &'a Spec,
    actual: &'a Actual,
    /// Devices that are there by now.
    now: BTreeMap<DevName, LinkId>,
    done: Vec<Step>,
    errors: Vec<Error>,
    /// Gathered, not sent yet.
    waiting: Vec<Waiting>,
}

/// The requests of one step.
struct Waiting {
    step: Step,
    requests: Vec<Request>,
}

impl<'a> Work<'a> {
    fn new(spec: &'a Spec, actual: &'a Actual) -> Self {
        let there = actual.links.iter().map(|(dev, seen)| {
            (
                dev.clone(),
                LinkId {
                    index: seen.index,
                    mac: seen.mac,
                },
            )
        });
        let now = there.collect();
        Self {
            spec,
            actual,
            now,
            done: Vec::new(),
            errors: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn links(&self) -> BTreeMap<DevName, LinkId> {
        let ours = self
            .now
            .iter()
            .filter(|(dev, _)| self.spec.links.contains_key(*dev));
        ours.map(|(dev, id)| (dev.clone(), *id)).collect()
    }

    fn all(&mut self, stay: &mut Stay, steps: &[Step]) -> Vec<Error> {
        for step in steps {
            self.one(stay, step);
        }
        self.flush(stay);
        std::mem::take(&mut self.errors)
    }

    fn one(&mut self, stay: &mut Stay, step: &Step) {
        match step {
            Step::Blocked(conflict) => {
                self.errors.push(Error::Conflict {
                    place: self.actual.place.clone(),
                    conflict: conflict.clone(),
                });
            }
            Step::SetSysctl { key, value } => {
                self.flush(stay);
                stay.writes += 1;
                let written = sysctl::write(key, value).map_err(Refusal::from);
                self.conclude(step.clone(), written);
            }
            Step::DeletePeer { dev, place } => {
                self.flush(stay);
                let deleted = self.delete_peer(stay, dev, place);
                self.conclude_or(step.clone(), deleted);
            }
            Step::CreateLink { dev, link } => {
                let below = match &link.kind {
                    LinkKind::Vlan { parent, .. } => Some(parent),
                    LinkKind::Vxlan(tunnel) => tunnel.underlay.as_ref(),
                    LinkKind::Existing | LinkKind::Veth { .. } | LinkKind::Bridge => None,
                };
                if let Some(below) = below {
                    self.need(stay, below);
                    if !self.now.contains_key(below) {
                        let why = Refusal {
                            source: std::io::Error::from_raw_os_error(libc::ENODEV),
                            words: None,
                        };
                        return self.conclude(step.clone(), Err(why));
                    }
                }
                let index = below
                    .and_then(|below| self.now.get(below))
                    .map(|id| id.index);
                let far = match &link.kind {
                    LinkKind::Veth { peer_in, .. } => match stay.elsewhere(peer_in) {
                        Ok(far) => far.map(|far| far.namespace.clone()),
                        Err(error) => return self.errors.push(error),
                    },
                    LinkKind::Existing
                    | LinkKind::Bridge
                    | LinkKind::Vxlan(_)
                    | LinkKind::Vlan { .. } => None,
                };
                let requests = vec![
                    link::create(dev, link, index, far.as_ref()),
                    link::alias(dev, &self.spec.ownership.alias),
                    link::get(dev),
                ];
                self.waiting.push(Waiting {
                    step: step.clone(),
                    requests,
                });
            }
            _ => self.gather(stay, step),
        }
    }

    /// Steps that are one request about a device that is there, or about none.
    fn gather(&mut self, stay: &mut Stay, step: &Step) {
        let protocol = self.spec.ownership.protocol;
        let request = match step {
            Step::DeleteRoute(seen) => Some(route::delete(seen)),
            Step::DeleteRule(seen) => Some(rule::delete(seen)),
            Step::AddRule(rule) => Some(rule::add(rule, protocol)),
            Step::AddRoute(route) => self.route(stay, route, route::add),
            Step::ReplaceRoute { route, .. } => self.route(stay, route, route::replace),
            Step::DeleteNeighbour(old) => {
                self.at(stay, &old.dev, |index| neigh::delete(index, old))
            }
            Step::SetNeighbour(new) => {
                self.at(stay, &new.dev, |index| neigh::set(index, new, protocol))
            }
            Step::DeleteAddress { dev, address } => {
                let seen = self
                    .actual
                    .links
                    .get(dev)
                    .and_then(|link| link.addrs.get(address));
                self.at(stay, dev, |index| addr::delete(index, *address, seen))
            }
            Step::AddAddress { dev, address } => {
                self.at(stay, dev, |index| addr::add(index, *address))
            }
            Step::DeleteFlood { dev, remote } => {
                self.at(stay, dev, |index| neigh::delete_flood(index, *remote))
            }
            Step::AddFlood { dev, remote } => {
                self.at(stay, dev, |index| neigh::add_flood(index, *remote))
            }
            Step::DeleteLink { dev } => self.at(stay, dev, link::delete),
            Step::SetDown { dev } => self.at(stay, dev, link::down),
            Step::SetUp { dev } => self.at(stay, dev, link::up),
            Step::SetMac { dev, mac } => self.at(stay, dev, |index| link::mac(index, *mac)),
            Step::SetMtu { dev, mtu } => self.at(stay, dev, |index| link::mtu(index, *mtu)),
            Step::SetBridge { dev } => self.at(stay, dev, link::bridge_settings),
            Step::SetAlias { dev, alias } => Some(link::alias(dev, alias)),
            Step::SetMaster { dev, master } => {
                let bridge = match master {
                    Some(master) => self.index(stay, master),
                    None => Some(0),
                };
                bridge.and_then(|bridge| self.at(stay, dev, |index| link::master(index, bridge)))
            }
            Step::Blocked(_)
            | Step::SetSysctl { .. }
            | Step::DeletePeer { .. }
            | Step::CreateLink { .. }
            | Step::DeleteTable { .. }
            | Step::LoadTable { .. }
            | Step::ChangeMap { .. } => None, // are no such steps
        };
        // None: its device could not be made, and the error for that is already noted.
        if let Some(request) = request {
            if let Step::DeleteLink { dev } = step {
                self.now.remove(dev);
            }
            self.waiting.push(Waiting {
                step: step.clone(),
                requests: vec![request],
            });
        }
    }

    fn at(
        &mut self,
        stay: &mut Stay,
        dev: &DevName,
        request: impl FnOnce(u32) -> Request,
    ) -> Option<Request> {
        self.index(stay, dev).map(request)
    }

    fn route(
        &mut self,
        stay: &mut Stay,
        route: &Route,
        request: fn(&Route, u8, Option<u32>) -> Request,
    ) -> Option<Request> {
        let protocol = self.spec.ownership.protocol;
        match &route.dev {
            None => Some(request(route, protocol, None)),
            Some(dev) => self.at(stay, dev, |index| request(route, protocol, Some(index))),
        }
    }

    fn index(&mut self, stay: &mut Stay, dev: &DevName) -> Option<u32> {
        self.need(stay, dev);
        self.now.get(dev).map(|id| id.index)
    }

    /// Sends what waits if that is what makes `dev`, also as the far end of a pair.
    fn need(&mut self, stay: &mut Stay, dev: &DevName) {
        let being_made = self
            .waiting
            .iter()
            .any(|waiting| matches!(waiting.step, Step::CreateLink { .. }));
        if !self.now.contains_key(dev) && being_made {
            self.flush(stay);
        }
        if !self.now.contains_key(dev) && self.is_far_end(dev) {
            // A pair within one namespace: this end came with the other.
            if let Ok(Some(body)) = stay.route.ask(&link::get(dev)) {
                self.learn(&body);
            }
        }
    }

    fn is_far_end(&self, dev: &DevName) -> bool {
        let here = &self.actual.place;
        let is_end = |kind: &LinkKind| matches!(kind, LinkKind::Veth { peer, peer_in } if peer == dev && peer_in == here);
        self.spec.links.values().any(|link| is_end(&link.kind))
    }

    fn flush(&mut self, stay: &mut Stay) {
        let waiting = std::mem::take(&mut self.waiting);
        let requests: Vec<Request> = waiting
            .iter()
            .flat_map(|waiting| waiting.requests.iter().cloned())
            .collect();
        if requests.is_empty() {
            return;
        }
        stay.writes += requests
            .iter()
            .filter(|request| !request.only_asks())
            .count();
        let mut answers = match stay.route.exchange(&requests) {
            Ok(answers) => answers.into_iter(),
            Err(error) => {
                let steps = waiting.into_iter().map(|waiting| waiting.step);
                let failed = |step| self.refused(step, std::io::Error::from(error.kind()).into());
                let failed: Vec<Error> = steps.map(failed).collect();
                return self.errors.extend(failed);
            }
        };
        for Waiting { step, requests } in waiting {
            let answers: Vec<Answer> = answers.by_ref().take(requests.len()).collect();
            self.answered(stay, step, answers);
        }
    }

    fn answered(&mut self, stay: &mut Stay, step: Step, answers: Vec<Answer>) {
        let created = matches!(step, Step::CreateLink { .. });
        let mut first_refusal = Ok(());
        for answer in answers {
            match answer {
                Ok(Some(body)) if created => self.learn(&body),
                Ok(_) => {}
                Err(refusal) if is_gone_already(&step, &refusal) => {}
                Err(refusal) if first_refusal.is_ok() => first_refusal = Err(refusal),
                Err(_) => {} // follows from the first
            }
        }
        if first_refusal.is_ok() {
            if let Step::CreateLink { link, .. } = &step {
                first_refusal = self.mark_far_end(stay, &link.kind);
            }
        }
        self.conclude(step, first_refusal);
    }

    /// So that a left-over of it can be told from others' devices later.
    fn mark_far_end(&self, stay: &mut Stay, kind: &LinkKind) -> Result<(), Refusal> {
        let LinkKind::Veth { peer, peer_in } = kind else {
            return Ok(());
        };
        stay.writes += 1;
        match stay.elsewhere(peer_in) {
            Ok(Some(there)) => there
                .wire
                .ask(&link::alias(peer, &self.spec.ownership.alias))
                .map(|_| ()),
            Ok(None) | Err(_) => Ok(()), // it was there a moment ago; gone, it took the pair along
        }
    }

    fn delete_peer(
        &mut self,
        stay: &mut Stay,
        dev: &DevName,
        place: &Place,
    ) -> Result<Result<(), Refusal>, Error> {
        let Some(there) = self.actual.peers.get(&(place.clone(), dev.clone())) else {
            return Ok(Ok(()));
        };
        let request = link::delete(there.index);
        stay.writes += 1;
        Ok(match stay.elsewhere(place)? {
            Some(elsewhere) => elsewhere.wire.ask(&request).map(|_| ()),
            None => Ok(()),
        })
    }

    fn learn(&mut self, body: &[u8]) {
        if let Ok(Some((dev, seen))) = link::parse(body) {
            self.now.insert(
                dev,
                LinkId {
                    index: seen.index,
                    mac: seen.mac,
                },
            );
        }
    }

    fn conclude_or(&mut self, step: Step, result: Result<Result<(), Refusal>, Error>) {
        match result {
            Ok(result) => self.conclude(step, result),
            Err(error) => self.errors.push(error),
        }
    }

    fn conclude(&mut self, step: Step, result: Result<(), Refusal>) {
        match result {
            Ok(()) => self.done.push(step),
            Err(refusal) => {
                let error = self.refused(step, refusal);
                self.errors.push(error);
            }
        }
    }

    fn refused(&self, step: Step, source: Refusal) -> Error {
        Error::Step {
            place: self.actual.place.clone(),
            step: Box::new(step),
            source,
        }
    }
}

/// A deletion that finds nothing has what it wanted: another deletion of ours took it along, or somebody was quicker.
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
    deletes
        && matches!(
            refusal.errno(),
            libc::ENODEV | libc::ESRCH | libc::ENOENT | libc::EADDRNOTAVAIL
        )
}
