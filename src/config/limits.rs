//! What one network may ask of each kind of server: options of our own.

use super::reader::Reader;
use crate::pace::{Limits, Rate};

/// A burst goes along with its rate.
pub(super) fn limits(reader: &mut Reader) -> Limits {
    let mut limits = Limits::default();
    let mut set = |rate: &mut Rate, name| {
        *rate = rate.scaled_to(reader.number(("warren", name)));
    };
    set(&mut limits.dhcp.client, "limit_dhcp_client");
    set(&mut limits.dhcp.others, "limit_dhcp_others");
    set(&mut limits.dhcp.network, "limit_dhcp_network");
    set(&mut limits.dns.client, "limit_dns_client");
    set(&mut limits.dns.others, "limit_dns_others");
    set(&mut limits.dns.network, "limit_dns_network");
    set(&mut limits.ra.client, "limit_ra_client");
    set(&mut limits.ra.others, "limit_ra_others");
    set(&mut limits.metadata.client, "limit_metadata_client");
    set(&mut limits.metadata.others, "limit_metadata_others");
    set(&mut limits.metadata.network, "limit_metadata_network");
    limits
}
