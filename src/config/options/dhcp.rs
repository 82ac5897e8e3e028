//! `[DEFAULT]`: the DHCP agent.

use super::Treatment::{Honoured as H, Ignored as I, Warned as W, WarnedUnless};
use super::{DHCP, Known, PORTS, options};
use crate::config::value::Kind::{Bool, Int, List, Text};
use crate::config::value::LONG;

options! {
    DHCP_AGENT ["DEFAULT"]
    // name                             type                default             roles   treatment   what it does, or why not
    "dhcp_driver",                      Text,               "neutron.agent.linux.dhcp.Dnsmasq", DHCP, H, "only reported to the server; another class is refused";
    "resync_interval",                  Int(1, LONG),       "5",                DHCP,   H, "seconds until networks that failed are looked at again";
    "resync_throttle",                  Int(0, LONG),       "1",                DHCP,   H, "seconds at least between two such looks; at most resync_interval";
    "enable_isolated_metadata",         Bool,               "false",            DHCP,   H, "metadata in the DHCP namespace of networks without a router";
    "force_metadata",                   Bool,               "false",            DHCP,   H, "metadata in the DHCP namespace of every network";
    "enable_metadata_network",          Bool,               "false",            DHCP,   H, "who asks on a network made for metadata alone (a subnet in 169.254.0.0/16 on a router) may live behind that router";
    "num_sync_threads",                 Int(1, LONG),       "4",                DHCP,   I, "networks are worked on side by side, within a limit of warren's own";
    "bulk_reload_interval",             Int(0, LONG),       "0",                DHCP,   I, "a change reloads nothing, so there is nothing to gather";
    "dhcp_renewal_time",                Int(0, LONG),       "0",                DHCP,   H, "T1 in seconds; 0 is half the lease";
    "dhcp_rebinding_time",              Int(0, LONG),       "0",                DHCP,   H, "T2 in seconds; 0 is 7/8 of the lease";
    "dhcp_broadcast_reply",             Bool,               "false",            DHCP,   H, "every DHCP reply as broadcast";
    "dhcp_confs",                       Text,               "$state_path/dhcp", DHCP,   I, "nothing is written there: leases come from the ports";
    "dnsmasq_config_file",              Text,               "",                 DHCP,   H, "of its lines `server=`, `dhcp-option=`, `dhcp-option-force=`, `dhcp-boot=`, `dhcp-match=`, `dhcp-vendorclass=`, `dhcp-userclass=`, `dhcp-mac=`, `tag-if=`, `cache-size=`, `stop-dns-rebind`, `rebind-domain-ok=` and `rebind-localhost-ok` are honoured; `log-` and others of dnsmasq's own running are ignored; names that are no port's are warned about; each other line is refused with its number";
    "dnsmasq_dns_servers" old "dnsmasq_dns_server", List,   "",                 DHCP,   H, "resolvers to forward to, as `IP` or `IP#PORT`; `/DOMAIN/IP` is asked for that domain's names only";
    "dnsmasq_local_resolv",             Bool,               "false",            DHCP,   H, "forward to the host's resolvers where dnsmasq_dns_servers names none";
    "dnsmasq_base_log_dir",             Text,               "-",                DHCP,   WarnedUnless(&[""]), "there are no log files per network", "`warren show network` tells what DHCP and DNS did; RUST_LOG=warren=debug says more";
    "dnsmasq_lease_max",                Int(1, LONG),       "16777216",         DHCP,   I, "there is no table of leases to fill";
    "dnsmasq_enable_addr6_list",        Bool,               "false",            DHCP,   H, "DHCPv6 gives a port all of its addresses of one subnet, not only the last";
    "dnsmasq_txt_record",               Text,               "",                 DHCP,   H, "a TXT record that DNS answers in each network, as `NAME,TEXT`; a probe of liveness";
    // Of long ago.
    "dhcp_domain",                      Text,               "openstacklocal",   DHCP,   H, "taken where dns_domain is not set, with a warning";
    "dhcp_delete_namespaces",           Bool,               "true",             DHCP,   WarnedUnless(&["true"]), "namespaces that nothing wants are removed", "leave it out";
    "router_delete_namespaces",         Bool,               "true",             PORTS,  WarnedUnless(&["true"]), "namespaces that nothing wants are removed", "leave it out";
    "dhcp_agent_manager",               Text,               "-",                DHCP,   W, "a Python class; gone long ago", "leave it out";
    "ovsdb_interface",                  Text,               "native",           PORTS,  I, "the database is asked natively";
}
