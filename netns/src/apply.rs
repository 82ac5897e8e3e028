//! Doing it: the steps of `diff` once, or looking and doing until nothing differs.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diff::diff;
use crate::error::Error;
use crate::link::LinkId;
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::observe::{Actual, look};
use crate::spec::Spec;
use crate::stay::Stay;
use crate::step::Step;
use crate::work::Work;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    pub steps: Vec<Step>,
    /// Messages to the kernel that change something, and written settings.
    pub writes: usize,
    /// Time that the kernel took to answer over netlink: to change, and in [`converge`] also to look.
    pub in_kernel: Duration,
    /// The devices of the Spec, as they are now.
    pub links: BTreeMap<DevName, LinkId>,
}

/// Rounds of looking and changing; the second mends what the kernel did beyond the first, and more than four are a fight
/// with somebody.
const ROUNDS: usize = 4;

/// Does `steps`, which `diff` made of this `spec` and `actual`. What can be done is done; the error tells the rest.
///
/// What the kernel does beyond that (a deleted address takes others along) is left: [`converge`] looks again.
pub async fn apply(
    ns: &Namespace,
    spec: &Spec,
    actual: &Actual,
    steps: &[Step],
) -> Result<Applied, Error> {
    let (inside, spec) = (ns.clone(), spec.clone());
    let (actual, steps) = (actual.clone(), steps.to_vec());
    ns.run(move || {
        let mut stay = Stay::begin(&inside)?;
        let mut work = Work::new(&mut stay, &spec, &actual);
        steps.iter().for_each(|step| work.one(step));
        let (done, errors, links) = work.end();
        let applied = Applied {
            steps: done,
            writes: stay.writes,
            in_kernel: stay.in_kernel(),
            links,
        };
        Error::check(errors).map(|()| applied)
    })
    .await
}

/// Looks, compares and changes what differs, until nothing differs, in one stay inside of the namespace.
pub async fn converge(ns: &Namespace, spec: &Spec) -> Result<Applied, Error> {
    let (applied, refused) = attempt(ns, spec).await?;
    refused.map_or(Ok(applied), Err)
}

/// As [`converge`], for who goes on with what could be done: that, and what could not.
///
/// # Errors
/// Nothing was done.
pub async fn attempt(ns: &Namespace, spec: &Spec) -> Result<(Applied, Option<Error>), Error> {
    let (inside, spec) = (ns.clone(), spec.clone());
    ns.run(move || settle(&inside, &spec)).await
}

fn settle(ns: &Namespace, spec: &Spec) -> Result<(Applied, Option<Error>), Error> {
    let place = || ns.place().clone();
    spec.check().map_err(|mistake| Error::Mistake {
        place: place(),
        mistake,
    })?;
    let mut stay = Stay::begin(ns)?;
    let mut applied = Applied::default();
    let mut actual = look(&mut stay, spec)?;
    for _ in 0..ROUNDS {
        let steps = diff(spec, &actual);
        let mut work = Work::new(&mut stay, spec, &actual);
        steps.iter().for_each(|step| work.one(step));
        let (done, errors, links) = work.end();
        // What the kernel did beyond our words shows only when one looks again; and an error may have come of it.
        let again = done.iter().any(Step::has_side_effects);
        applied.steps.extend(done);
        applied.links = links;
        applied.writes = stay.writes;
        applied.in_kernel = stay.in_kernel();
        if !again {
            return Ok((applied, Error::check(errors).err()));
        }
        actual = match look(&mut stay, spec) {
            Ok(actual) => actual,
            Err(error) => return Ok((applied, Some(error))),
        };
    }
    let left = diff(spec, &actual);
    if left.is_empty() {
        return Ok((applied, None));
    }
    let left: Vec<String> = left.iter().map(Step::to_string).collect();
    let unsettled = Error::Unsettled {
        place: place(),
        rounds: ROUNDS,
        left: left.join(", "),
    };
    Ok((applied, Some(unsettled)))
}
