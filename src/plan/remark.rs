//! What of a router is not done as its owner may expect. Said once, when it comes up.

use std::collections::BTreeSet;
use std::fmt;

use super::{Settings, nat};
use crate::model::{ConntrackHelper, Router, SubnetId};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remark {
    Provisional(SubnetId),
    Helper(ConntrackHelper),
}

pub fn remarks(router: &Router, settings: &Settings) -> BTreeSet<Remark> {
    let gateway = router.gateway.iter().map(|gateway| &gateway.port);
    let legs = router.interfaces.iter().chain(gateway);
    let provisional = legs
        .flat_map(|leg| &leg.subnets)
        .filter(|subnet| subnet.is_provisional())
        .map(|subnet| Remark::Provisional(subnet.id));
    let helpers = router.conntrack_helpers.iter();
    let missing = helpers
        .filter(|helper| !nat::has_helper(helper, settings))
        .map(|helper| Remark::Helper(helper.clone()));
    provisional.chain(missing).collect()
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provisional(subnet) => write!(
                f,
                "subnet {subnet} waits for a delegated prefix, which warren does not ask for: it is not configured (give it a prefix of a subnet pool)"
            ),
            Self::Helper(ConntrackHelper {
                helper,
                protocol,
                port,
            }) => write!(
                f,
                "connections to {protocol} port {port} go without the helper {helper}: the extension conntrack_helper is off, or the kernel has no such helper (module nf_conntrack_{})",
                helper.replace('-', "_")
            ),
        }
    }
}
