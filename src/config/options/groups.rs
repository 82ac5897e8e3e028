//! Groups of which the agents read a part: the rest is the layer 2 agent's.

use super::Treatment::{Honoured as H, Ignored as I};
use super::{ALL, Known, L3, PORTS, options};
use crate::config::value::Kind::{Bool, Choice, Float, Int, List, Multi, Text, Url};
use crate::config::value::LONG;

options! {
    AGENT ["AGENT"]
    // name                             type                default             roles   treatment   what it does, or why not
    "report_interval",                  Float,              "30",               ALL,    H, "seconds between two state reports; 0: none";
    "log_agent_heartbeats",             Bool,               "false",            ALL,    H, "only reported to the server";
    "availability_zone",                Text,               "nova",             PORTS,  H, "reported to the server; up to 255 characters";
    "extensions",                       List,               "",                 L3,     H, "`port_forwarding` and `conntrack_helper` are honoured; `fip_qos`, `gateway_ip_qos`, `ndp_proxy` and `snat_log` are left out with a warning; others are refused";
    "use_random_fully",                 Bool,               "true",             L3,     H, "source ports of SNAT are drawn at random";
    "root_helper",                      Text,               "sudo",             ALL,    I, "no command is run as another user";
    "root_helper_daemon",               Text,               "-",                ALL,    I, "no command is run as another user";
    "use_helper_for_ns_read",           Bool,               "true",             ALL,    I, "no command is run as another user";
    "comment_iptables_rules",           Bool,               "true",             ALL,    I, "there are no iptables rules";
    "debug_iptables_rules",             Bool,               "false",            ALL,    I, "there are no iptables rules";
    "check_child_processes_interval",   Int(0, LONG),       "60",               ALL,    I, "there are no child processes";
    "check_child_processes_action",     Text,               "respawn",          ALL,    I, "there are no child processes";
    "check_child_processes",            Bool,               "-",                ALL,    I, "there are no child processes";
    "kill_scripts_path",                Text,               "/etc/neutron/kill_scripts/", ALL, I, "there are no child processes";
}

options! {
    OVS ["OVS"]
    "integration_bridge" old ["DEFAULT"] "ovs_integration_bridge", Text, "br-int", PORTS, H, "the bridge that ports are plugged into";
    "ovsdb_connection",                 Text,               "tcp:127.0.0.1:6640", PORTS, H, "where Open vSwitch's database listens: `tcp:IP:PORT`, `ssl:IP:PORT`, `unix:PATH`";
    "ovsdb_timeout" old ["DEFAULT"] "ovs_vsctl_timeout", Int(1, LONG), "10",    PORTS,  H, "seconds that a transaction may take";
    "ssl_key_file",                     Text,               "-",                PORTS,  H, "PEM file of our key, with `ssl:`";
    "ssl_cert_file",                    Text,               "-",                PORTS,  H, "PEM file of our certificate, with `ssl:`";
    "ssl_ca_cert_file",                 Text,               "-",                PORTS,  H, "PEM file of the database's authority, with `ssl:`";
    "datapath_type",                    Choice(&["system", "netdev"]), "system", PORTS, H, "netdev: checksums are not left to the device";
    "ovsdb_debug",                      Bool,               "false",            PORTS,  I, "RUST_LOG sets levels";
    "bridge_mac_table_size",            Int(0, LONG),       "50000",            PORTS,  I, "the layer 2 agent sets up bridges";
    "igmp_snooping_enable",             Bool,               "false",            PORTS,  I, "the layer 2 agent sets up bridges";
    "igmp_flood",                       Bool,               "false",            PORTS,  I, "the layer 2 agent sets up bridges";
    "igmp_flood_reports",               Bool,               "true",             PORTS,  I, "the layer 2 agent sets up bridges";
    "igmp_flood_unregistered",          Bool,               "false",            PORTS,  I, "the layer 2 agent sets up bridges";
}

options! {
    NETWORK_LOG ["network_log"]
    "rate_limit",                       Int(100, LONG),     "100",              L3,     I, "there is no logging of packets";
    "burst_limit",                      Int(25, LONG),      "25",               L3,     I, "there is no logging of packets";
    "local_output_log_base",            Text,               "-",                L3,     I, "there is no logging of packets";
}

options! {
    NOTIFICATIONS ["oslo_messaging_notifications"]
    "driver" old ["DEFAULT"] "notification_driver", Multi,  "",                 ALL,    I, "these agents send no notifications";
    "transport_url" old ["DEFAULT"] "notification_transport_url", Url, "-",     ALL,    I, "these agents send no notifications";
    "topics" old "notification_topics" old ["DEFAULT"] "notification_topics", List, "notifications", ALL, I, "these agents send no notifications";
    "retry",                            Int(-1, LONG),      "-1",               ALL,    I, "these agents send no notifications";
}
