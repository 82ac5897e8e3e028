//! `[warren]`: what Neutron's agents do not know. They pass over a group that is none of theirs.

use super::Treatment::Honoured as H;
use super::{DHCP, Known, options};
use crate::config::value::Kind::Bool;

options! {
    WARREN ["warren"]
    // name                             type                default             roles   treatment   what it does, or why not
    "advertise_without_router",         Bool,               "false",            DHCP,   H, "DHCP namespaces advertise the IPv6 prefixes that no Neutron router does (docs/ipv6.md)";
}
