//! `[warren]`: what Neutron's agents do not know. They pass over a group that is none of theirs.

use super::Treatment::Honoured as H;
use super::{ALL, DHCP, Known, PORTS, options};
use crate::config::value::Kind::{self, Bool, Int};

/// None at all would be a server that nobody is answered by; more is no limit to anybody.
const PER_SECOND: Kind = Int(1, 1_000_000);

options! {
    WARREN ["warren"]
    // name                             type                default             roles   treatment   what it does, or why not
    "advertise_without_router",         Bool,               "false",            DHCP,   H, "DHCP namespaces advertise the IPv6 prefixes that no Neutron router does (docs/ipv6.md)";
    "limit_dhcp_client",                PER_SECOND,          "100",              DHCP,   H, "messages of DHCP and DHCPv6, each: of each port";
    "limit_dhcp_others",                PER_SECOND,          "200",              DHCP,   H, "of all other machines on the network together";
    "limit_dhcp_network",               PER_SECOND,          "120000",           DHCP,   H, "read of the network at all";
    "limit_dns_client",                 PER_SECOND,          "20000",            DHCP,   H, "DNS queries: of each port's address";
    "limit_dns_others",                 PER_SECOND,          "20",               DHCP,   H, "of other addresses, those that were not met before";
    "limit_dns_network",                PER_SECOND,          "120000",           DHCP,   H, "read of the network at all";
    "limit_ra_client",                  PER_SECOND,          "2",                PORTS,  H, "router solicitations: of each address";
    "limit_ra_others",                  PER_SECOND,          "100",              PORTS,  H, "of addresses that were not met before";
    "limit_metadata_client",            PER_SECOND,          "500",              ALL,    H, "connections to metadata, and as many requests: of each instance's address";
    "limit_metadata_others",            PER_SECOND,          "100",              ALL,    H, "of all other addresses together";
    "limit_metadata_network",           PER_SECOND,          "5000",             ALL,    H, "of the network or router at all";
}
