//! `[limits]`: what one network may ask of each kind of server.

use super::file;
use super::read::At;
use super::values::Number;
use crate::pace::{Limits, Rate};

/// A burst goes along with its rate.
pub(super) fn limits(file: Option<&file::Limits>) -> Limits {
    let mut limits = Limits::default();
    let Some(file) = file else {
        return limits;
    };
    set(&mut limits.dhcp.client, &file.dhcp_client);
    set(&mut limits.dhcp.others, &file.dhcp_others);
    set(&mut limits.dhcp.network, &file.dhcp_network);
    set(&mut limits.dns.client, &file.dns_client);
    set(&mut limits.dns.others, &file.dns_others);
    set(&mut limits.dns.network, &file.dns_network);
    set(&mut limits.ra.client, &file.ra_client);
    set(&mut limits.ra.others, &file.ra_others);
    set(&mut limits.metadata.client, &file.metadata_client);
    set(&mut limits.metadata.others, &file.metadata_others);
    set(&mut limits.metadata.network, &file.metadata_network);
    limits
}

fn set<const MIN: u32, const MAX: u32>(rate: &mut Rate, key: &Option<At<Number<MIN, MAX>>>) {
    if let Some(key) = key {
        *rate = rate.scaled_to(key.value.0);
    }
}
