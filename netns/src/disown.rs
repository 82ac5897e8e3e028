//! Giving what we made to somebody else: it stays as it is, and does not say any more that it is ours.

use std::collections::BTreeSet;

use crate::error::{Error, Refusal};
use crate::link;
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::nft;
use crate::spec::Ownership;
use crate::stay::Stay;
use crate::step::Step;

/// Takes an owner's marks away: the aliases of devices that carry his, and his nftables table. Answers how many there were.
pub async fn disown(ns: &Namespace, owner: &Ownership) -> Result<usize, Error> {
    let (inside, owner) = (ns.clone(), owner.clone());
    ns.run(move || {
        let mut stay = Stay::begin(&inside)?;
        let marks = clear(&mut stay, &inside, &owner.alias, |_| true)?;
        let wire = stay.netfilter();
        let deleted = wire
            .map_err(Refusal::from)
            .and_then(|wire| wire.transact(&[nft::delete(&owner.table)]));
        let there = deleted.is_ok();
        let step = Step::DeleteTable { table: owner.table };
        conclude(deleted, libc::ENOENT, step, &inside)?;
        Ok(marks + usize::from(there))
    })
    .await
}

/// Takes an owner's alias away from those of these devices that carry it. Answers how many there were.
pub async fn disown_links(
    ns: &Namespace,
    alias: &str,
    devices: BTreeSet<DevName>,
) -> Result<usize, Error> {
    let (inside, alias) = (ns.clone(), alias.to_owned());
    ns.run(move || {
        let mut stay = Stay::begin(&inside)?;
        clear(&mut stay, &inside, &alias, |dev| devices.contains(dev))
    })
    .await
}

fn clear(
    stay: &mut Stay,
    ns: &Namespace,
    alias: &str,
    is_asked: impl Fn(&DevName) -> bool,
) -> Result<usize, Error> {
    let bodies = stay
        .route
        .dump(&link::list())
        .map_err(|source| Error::Look {
            place: ns.place().clone(),
            what: "devices",
            source,
        })?;
    let links = bodies
        .iter()
        .filter_map(|body| link::parse(body).ok().flatten());
    let marked = links.filter(|(dev, seen)| seen.alias.as_deref() == Some(alias) && is_asked(dev));
    let mut marks = 0;
    for (dev, _) in marked {
        let cleared = stay.route.ask(&link::alias(&dev, ""));
        let alias = String::new();
        conclude(
            cleared.map(drop),
            libc::ENODEV,
            Step::SetAlias { dev, alias },
            ns,
        )?;
        marks += 1;
    }
    Ok(marks)
}

/// What is gone by itself has no mark any more.
fn conclude(
    result: Result<(), Refusal>,
    gone: i32,
    step: Step,
    ns: &Namespace,
) -> Result<(), Error> {
    match result {
        Err(source) if source.errno() != gone => Err(Error::Step {
            place: ns.place().clone(),
            step: Box::new(step),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}
