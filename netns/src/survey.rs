//! What is there, and whose is it? Without a Spec: for cleaning up, and for what an earlier run left.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::link::{self, LinkSeen};
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::stay::Stay;

/// All devices of a namespace, without their addresses.
pub async fn links(ns: &Namespace) -> Result<BTreeMap<DevName, LinkSeen>, Error> {
    let inside = ns.clone();
    ns.run(move || {
        let mut stay = Stay::begin(&inside)?;
        let bodies = stay.route.dump(&link::list());
        let bodies = bodies.map_err(|source| Error::Look {
            place: inside.place().clone(),
            what: "devices",
            source,
        })?;
        // A device that we cannot read is of a kind that we do not make.
        Ok(bodies
            .iter()
            .filter_map(|body| link::parse(body).ok().flatten())
            .collect())
    })
    .await
}

/// Devices of a namespace that carry this alias.
pub async fn marked_links(ns: &Namespace, alias: &str) -> Result<BTreeSet<DevName>, Error> {
    let mut links = links(ns).await?;
    links.retain(|_, link| link.alias.as_deref() == Some(alias));
    Ok(links.into_keys().collect())
}
