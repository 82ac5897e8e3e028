//! Whose is it? What carries an owner's mark, found without a Spec: for cleaning up, and for what an earlier run left.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::link;
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::stay::Stay;

/// Devices of a namespace that carry this alias.
pub async fn marked_links(ns: &Namespace, alias: &str) -> Result<BTreeSet<DevName>, Error> {
    let (inside, alias) = (ns.clone(), alias.to_owned());
    ns.run(move || {
        let mut stay = Stay::begin(&inside)?;
        let failed = |source| Error::Look {
            place: inside.place().clone(),
            what: "devices",
            source,
        };
        let mut marked = BTreeSet::new();
        for body in stay.route.dump(&link::list()).map_err(failed)? {
            // A device that we cannot read is of a kind that we do not make.
            let Ok(Some((name, link))) = link::parse(&body) else {
                continue;
            };
            if link.alias.as_ref() == Some(&alias) {
                marked.insert(name);
            }
        }
        Ok(marked)
    })
    .await
}
