//! Giving what we made to somebody else: it stays as it is, and does not say any more that it is ours.

use crate::error::{Error, Refusal};
use crate::link;
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
        let place = || inside.place().clone();
        let bodies = stay
            .route
            .dump(&link::list())
            .map_err(|source| Error::Look {
                place: place(),
                what: "devices",
                source,
            })?;
        let links = bodies
            .iter()
            .filter_map(|body| link::parse(body).ok().flatten());
        let mut marks = 0;
        for (dev, _) in links.filter(|(_, seen)| seen.alias.as_deref() == Some(&owner.alias)) {
            let cleared = stay.route.ask(&link::alias(&dev, ""));
            let step = Step::SetAlias {
                dev,
                alias: String::new(),
            };
            conclude(cleared.map(drop), libc::ENODEV, step, place)?;
            marks += 1;
        }
        let wire = stay.netfilter();
        let deleted = wire
            .map_err(Refusal::from)
            .and_then(|wire| wire.transact(&[nft::delete(&owner.table)]));
        let there = deleted.is_ok();
        let step = Step::DeleteTable { table: owner.table };
        conclude(deleted, libc::ENOENT, step, place)?;
        Ok(marks + usize::from(there))
    })
    .await
}

/// What is gone by itself has no mark any more.
fn conclude(
    result: Result<(), Refusal>,
    gone: i32,
    step: Step,
    place: impl Fn() -> crate::Place,
) -> Result<(), Error> {
    match result {
        Err(source) if source.errno() != gone => Err(Error::Step {
            place: place(),
            step: Box::new(step),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}
