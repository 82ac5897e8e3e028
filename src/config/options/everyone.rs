//! `[DEFAULT]`: what all agents read.

use super::Treatment::{Honoured as H, Ignored as I, RefusedUnless, Warned as W, WarnedUnless};
use super::{ALL, Known, METADATA, PORTS, options};
use crate::config::value::Kind::{Bool, Host, Int, Secret, Text, Url};
use crate::config::value::LONG;

options! {
    COMMON ["DEFAULT"]
    // name                             type                default             roles   treatment   what it does, or why not
    "host",                             Host,               "-",                ALL,    H, "who these agents are to the server; without it: the machine's hostname";
    "state_path",                       Text,               "/var/lib/neutron", ALL,    H, "what `$state_path` means in other options; warren's own state is below `--state-dir`";
    "transport_url",                    Url,                "rabbit://",        ALL,    H, "the brokers, with user, password and virtual host; a `?` adds options of [oslo_messaging_rabbit]";
    "control_exchange",                 Text,               "neutron",          ALL,    H, "exchange of the calls";
    "rpc_response_timeout",             Int(1, LONG),       "60",               ALL,    H, "seconds that a call waits for its answer";
    "rpc_response_max_timeout",         Int(1, LONG),       "600",              ALL,    H, "the most that this grows to after time-outs";
    "periodic_interval",                Int(1, LONG),       "40",               ALL,    H, "seconds until a full sync of the L3 role that failed is tried again";
    "periodic_fuzzy_delay",             Int(0, LONG),       "5",                ALL,    H, "the first of these comes within so many seconds";
    "interface_driver",                 Text,               "openvswitch",      PORTS,  H, "`openvswitch` or `linuxbridge`, or their class paths; had to be set before 2025.1";
    "ovs_use_veth",                     Bool,               "false",            PORTS,  H, "a veth in place of an internal port of Open vSwitch";
    "dns_domain",                       Text,               "openstacklocal",   ALL,    H, "domain that DHCP and DNS give; empty: none";
    "dhcp_lease_duration",              Int(-1, 4294967294),"86400",            ALL,    H, "seconds; -1 is for ever";
    "external_pids",                    Text,               "$state_path/external/pids", PORTS, I, "there are no processes of ours beside the daemon";
    "executor_thread_pool_size" old "rpc_thread_pool_size", Int(0, LONG), "64",         ALL,    I, "messages are not handled by a pool of threads";
    "rpc_ping_enabled",                 Bool,               "false",            ALL,    I, "`warren status` tells whether it lives";
    "config_source",                    Text,               "-",                ALL,    RefusedUnless(&[""]), "options would come from elsewhere (`remote_file`), and warren would miss them", "put them into a file, and name it with --config-file";
    "backdoor_port",                    Text,               "-",                ALL,    I, "there is no backdoor";
    "backdoor_socket",                  Text,               "-",                ALL,    I, "there is no backdoor";
    "run_external_periodic_tasks",      Bool,               "true",             ALL,    I, "of Python's service library";
    "log_options",                      Bool,               "true",             ALL,    I, "`warren check` tells every option";
    "graceful_shutdown_timeout",        Int(0, LONG),        "60",               ALL,    I, "stopping takes no time; established flows go on";
    "setproctitle",                     Text,               "on",               ALL,    I, "the process keeps its name";
    "ip_lib_force_root",                Bool,               "false",            PORTS,  I, "the kernel is asked directly";
    "enable_code_profiling",            Bool,               "false",            ALL,    I, "of Python's code";
    "code_profiling_calls_to_log",      Int(0, LONG),        "50",               ALL,    I, "of Python's code";
}

options! {
    LOGGING ["DEFAULT"]
    "debug",                            Bool,               "false",            ALL,    H, "log every step; RUST_LOG says otherwise";
    "log_file" old "logfile",           Text,               "-",                ALL,    H, "file to append the log to; relative to `log_dir`";
    "log_dir" old "logdir",             Text,               "-",                ALL,    H, "alone: the file there is named after the program";
    "use_syslog",                       Bool,               "false",            ALL,    H, "log to the system's syslog";
    "syslog_log_facility",              Text,               "LOG_USER",         ALL,    H, "facility there, with or without `LOG_`";
    "use_journal",                      Bool,               "false",            ALL,    H, "log to systemd's journal";
    "use_json",                         Bool,               "false",            ALL,    H, "one JSON object per line";
    "use_stderr",                       Bool,               "false",            ALL,    H, "to standard error, beside file, syslog or journal; without these anyway";
    "log_date_format",                  Text,               "%Y-%m-%d %H:%M:%S",ALL,    I, "times are written as in RFC 3339";
    "log_config_append" old "log_config", Text, "-",           ALL,    WarnedUnless(&[""]), "a file of Python's logging; it is not read", "set debug, log_file, use_syslog, use_journal, use_json";
    "logging_context_format_string",    Text,               "-",                ALL,    I, "a format of Python's logging";
    "logging_default_format_string",    Text,               "-",                ALL,    I, "a format of Python's logging";
    "logging_debug_format_suffix",      Text,               "-",                ALL,    I, "a format of Python's logging";
    "logging_exception_prefix",         Text,               "-",                ALL,    I, "a format of Python's logging";
    "logging_user_identity_format",     Text,               "-",                ALL,    I, "a format of Python's logging";
    "instance_format",                  Text,               "-",                ALL,    I, "a format of Python's logging";
    "instance_uuid_format",             Text,               "-",                ALL,    I, "a format of Python's logging";
    "default_log_levels",               Text,               "-",                ALL,    I, "names modules of Python; RUST_LOG sets levels";
    "log_rotation_type",                Text,               "none",             ALL,    WarnedUnless(&["none", ""]), "the log file is not rotated", "let logrotate do it (with copytruncate, as Neutron's packages set it up)";
    "log_rotate_interval",              Int(0, LONG),        "1",                ALL,    I, "the log file is not rotated";
    "log_rotate_interval_type",         Text,               "days",             ALL,    I, "the log file is not rotated";
    "max_logfile_count",                Int(0, LONG),        "30",               ALL,    I, "the log file is not rotated";
    "max_logfile_size_mb",              Int(0, LONG),        "200",              ALL,    I, "the log file is not rotated";
    "rate_limit_interval",              Int(0, LONG),        "0",                ALL,    I, "the log has a limit of its own";
    "rate_limit_burst",                 Int(0, LONG),        "0",                ALL,    I, "the log has a limit of its own";
    "rate_limit_except_level",          Text,               "CRITICAL",         ALL,    I, "the log has a limit of its own";
    "watch_log_file",                   Bool,               "false",            ALL,    I, "rotate with copytruncate";
    "publish_errors",                   Bool,               "false",            ALL,    I, "errors are logged, not published";
    "fatal_deprecations",               Bool,               "false",            ALL,    I, "`warren check` tells old names";
    "log_color",                        Bool,               "false",            ALL,    I, "colours are shown on terminals alone";
    "use_eventlog",                     Bool,               "false",            ALL,    I, "of another operating system";
}

// What only guides of long ago write.
options! {
    OLD ["DEFAULT"]
    "rpc_backend",                  Text,               "rabbit",           ALL,    H, "`rabbit` or `...impl_kombu` is what there is, so it is ignored with a warning; others are refused";
    "fake_rabbit",                  Bool,               "false",            ALL,    W, "a fake broker for tests, gone in oslo.messaging 7.0", "leave it out";
    "verbose",                      Bool,               "true",             ALL,    I, "gone in 2017: what is informative is logged";
    "use_namespaces",               Bool,               "true",             PORTS,  RefusedUnless(&["true"]), "without namespaces tenants could not have the same addresses; gone in 8.0", "leave it out";
    "network_device_mtu",           Text,               "-",                PORTS,  W, "every network has its own `mtu`; gone in 9.0", "set global_physnet_mtu at the server";
    "advertise_mtu",                Bool,               "true",             PORTS,  W, "DHCP always tells the network's `mtu`; gone in 10.0", "leave it out";
    "auth_url",                     Text,               "-",                METADATA, I, "Neutron's API is not asked";
    "auth_region",                  Text,               "-",                METADATA, I, "Neutron's API is not asked";
    "auth_insecure",                Bool,               "false",            METADATA, I, "Neutron's API is not asked";
    "admin_tenant_name",            Text,               "-",                METADATA, I, "Neutron's API is not asked";
    "admin_user",                   Text,               "-",                METADATA, I, "Neutron's API is not asked";
    "admin_password",               Secret,             "-",                METADATA, I, "Neutron's API is not asked";
    "endpoint_type",                Text,               "adminURL",         METADATA, I, "Neutron's API is not asked";
}
