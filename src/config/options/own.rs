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
    "limit_dhcp_client",                PER_SECOND,          "100",              DHCP,   H, "messages per second of each port, of DHCP and of DHCPv6 each (docs/operate.md)";
    "limit_dhcp_others",                PER_SECOND,          "200",              DHCP,   H, "the same of all other machines on a network together";
    "limit_dhcp_network",               PER_SECOND,          "120000",           DHCP,   H, "the same that are read of a network at all";
    "limit_dns_client",                 PER_SECOND,          "5000",             DHCP,   H, "queries per second of each port's address";
    "limit_dns_others",                 PER_SECOND,          "20",               DHCP,   H, "other addresses per second that are met for the first time";
    "limit_dns_network",                PER_SECOND,          "120000",           DHCP,   H, "queries per second that are read of a network at all";
    "limit_ra_client",                  PER_SECOND,          "2",                PORTS,  H, "router solicitations per second of each address";
    "limit_ra_others",                  PER_SECOND,          "100",              PORTS,  H, "addresses per second that solicit for the first time";
    "limit_metadata_client",            PER_SECOND,          "500",              ALL,    H, "connections per second of each instance's address, and as many requests";
    "limit_metadata_others",            PER_SECOND,          "100",              ALL,    H, "the same of all other addresses of a network together";
    "limit_metadata_network",           PER_SECOND,          "5000",             ALL,    H, "the same of a network, or of a router's, at all";
}
