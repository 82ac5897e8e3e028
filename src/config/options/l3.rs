//! `[DEFAULT]`: the L3 agent.

use super::Treatment::{Honoured as H, Ignored as I, RefusedUnless, WarnedUnless};
use super::{Known, L3, options};
use crate::config::value::Kind::{Bool, Choice, Int, Secret, Text};
use crate::config::value::LONG;

options! {
    L3_AGENT ["DEFAULT"]
    // name                             type                default             roles   treatment   what it does, or why not
    "agent_mode",                       Choice(&["legacy", "dvr", "dvr_snat", "dvr_no_external"]), "legacy", L3, RefusedUnless(&["legacy"]), "distributed routers are not served by this version", "set it to legacy, here and for the routers of this node";
    "metadata_port",                    Int(1, 65535),      "9697",             L3,     H, "where router namespaces listen for metadata";
    "enable_metadata_proxy",            Bool,               "true",             L3,     H, "metadata in router namespaces";
    "metadata_access_mark",             Text,               "0x1",              L3,     WarnedUnless(&["0x1", "1"]), "packets for metadata carry mark 0x1 inside the router's namespace", "leave it out";
    "external_ingress_mark",            Text,               "0x2",              L3,     WarnedUnless(&["0x2", "2"]), "packets from outside carry mark 0x2 inside the router's namespace", "leave it out";
    "handle_internal_only_routers",     Bool,               "true",             L3,     H, "routers without a gateway, too";
    "ipv6_gateway",                     Text,               "",                 L3,     H, "the way out for IPv6 where the external subnets name none; unset: whoever advertises itself there";
    "radvd_user",                       Text,               "",                 L3,     I, "there is no radvd";
    "ra_confs",                         Text,               "$state_path/ra",   L3,     I, "there is no radvd";
    "min_rtr_adv_interval",             Int(0, LONG),       "30",               L3,     H, "seconds between two router advertisements, at least";
    "max_rtr_adv_interval",             Int(0, LONG),       "100",              L3,     H, "seconds between two router advertisements, at most";
    "cleanup_on_shutdown",              Bool,               "false",            L3,     WarnedUnless(&["false"]), "routers stay when the daemon stops, so that their traffic goes on", "to remove them: `warren cleanup --all` once it is stopped";
    "ha_confs_path",                    Text,               "$state_path/ha_confs", L3, I, "highly available routers are not served by this version";
    "ha_vrrp_auth_type",                Choice(&["PASS", "AH"]), "PASS",        L3,     RefusedUnless(&["PASS"]), "no other way is there to prove oneself in VRRP", "set it to PASS on all nodes";
    "ha_vrrp_auth_password",            Secret,             "-",                L3,     I, "highly available routers are not served by this version";
    "ha_vrrp_advert_int",               Int(0, LONG),       "2",                L3,     I, "highly available routers are not served by this version";
    "ha_vrrp_health_check_interval",    Int(0, LONG),       "0",                L3,     I, "highly available routers are not served by this version";
    "ha_keepalived_state_change_server_threads", Int(1, LONG), "-",             L3,     I, "there is no keepalived";
    "keepalived_use_no_track",          Bool,               "true",             L3,     I, "there is no keepalived";
    "ha_conntrackd_enabled",            Bool,               "false",            L3,     RefusedUnless(&["false"]), "connections are not copied to another node by this version", "set it to false";
    "ha_conntrackd_hashsize",           Int(0, LONG),       "32768",            L3,     I, "there is no conntrackd";
    "ha_conntrackd_hashlimit",          Int(0, LONG),       "131072",           L3,     I, "there is no conntrackd";
    "ha_conntrackd_unix_backlog",       Int(0, LONG),       "20",               L3,     I, "there is no conntrackd";
    "ha_conntrackd_socketbuffersize",   Int(0, LONG),       "262142",           L3,     I, "there is no conntrackd";
    "ha_conntrackd_socketbuffersize_max_grown", Int(0, LONG), "655355",         L3,     I, "there is no conntrackd";
    "ha_conntrackd_ipv4_mcast_addr",    Text,               "225.0.0.50",       L3,     I, "there is no conntrackd";
    "ha_conntrackd_group",              Int(0, LONG),       "3780",             L3,     I, "there is no conntrackd";
    "ha_conntrackd_sndsocketbuffer",    Int(0, LONG),       "24985600",         L3,     I, "there is no conntrackd";
    "ha_conntrackd_rcvsocketbuffer",    Int(0, LONG),       "24985600",         L3,     I, "there is no conntrackd";
    "per_router_log_files",             Bool,               "false",            L3,     I, "all logs are one";
    "router_log_files_in_ha_confs",     Bool,               "true",             L3,     I, "all logs are one";
    "prefix_delegation_driver",         Text,               "dibbler",          L3,     WarnedUnless(&["", "dibbler"]), "prefixes are not asked of a provider", "leave it out";
    "pd_dhcp_driver",                   Text,               "dibbler",          L3,     WarnedUnless(&["", "dibbler"]), "prefixes are not asked of a provider", "leave it out";
    "pd_confs",                         Text,               "$state_path/pd",   L3,     I, "prefixes are not asked of a provider";
    "vendor_pen",                       Text,               "8888",             L3,     I, "prefixes are not asked of a provider";
    // Of long ago.
    "external_network_bridge",          Text,               "",                 L3,     RefusedUnless(&[""]), "gateways are no longer plugged into a bridge of their own, past the layer 2 agent; gone in 14.0", "leave it empty, and let bridge_mappings of the layer 2 agent name the bridge (moving a gateway there interrupts its traffic once)";
    "gateway_external_network_id",      Text,               "",                 L3,     RefusedUnless(&[""]), "one agent serves all external networks; gone in 15.0", "leave it out";
    "router_id",                        Text,               "",                 L3,     RefusedUnless(&[""]), "one agent serves all routers; gone in 9.0", "leave it out";
    "send_arp_for_ha",                  Int(0, LONG),       "3",                L3,     I, "how often addresses are announced is fixed; gone in 11.0";
}
