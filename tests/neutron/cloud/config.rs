//! The configuration files: small ones, as an installer would leave them. Agents and warren read the same.

use super::server::Release;

/// neutron-server's. In a later section of the same name, a later line wins. Each network may have two DHCP agents; nearly
/// all are made for one zone, where there is one.
pub(super) fn server(release: Release, more: &str) -> String {
    let own = match release {
        Release::Zed => ZED,
        Release::Newest => NEWEST,
    };
    format!(
        "{COMMON}
[DEFAULT]
service_plugins = router,metering,qos,segments,port_forwarding
api_workers = 2
rpc_workers = 1
rpc_state_report_workers = 1
dhcp_agents_per_network = 2
allow_automatic_dhcp_failover = True
dns_domain = example.org.
router_scheduler_driver = neutron.scheduler.l3_agent_scheduler.AZLeastRoutersScheduler
[database]
connection = mysql+pymysql://neutron:neutron@127.0.0.1/neutron
max_pool_size = 20
[quotas]
quota_network = -1
quota_subnet = -1
quota_port = -1
quota_router = -1
quota_floatingip = -1
quota_security_group = -1
quota_security_group_rule = -1
[ml2]
type_drivers = flat,vlan,vxlan
tenant_network_types = vxlan
extension_drivers = port_security,dns_domain_ports,qos
[ml2_type_flat]
flat_networks = *
[ml2_type_vlan]
network_vlan_ranges = external:1:4000
[ml2_type_vxlan]
vni_ranges = 1:9000
{own}
{more}
"
    )
}

const ZED: &str = "\
[experimental]
linuxbridge = true
[ml2]
mechanism_drivers = linuxbridge,openvswitch
[oslo_policy]
policy_file = /etc/neutron/policy.json
policy_dirs = /etc/neutron/policy.d
";

/// Nobody has the linuxbridge agent any more.
const NEWEST: &str = "\
[ml2]
mechanism_drivers = openvswitch
";

/// What agents on all nodes read first. Each is an availability zone of its own: a network or router made with
/// `availability_zone_hints` is scheduled to that node, whatever other tests of the same cloud do.
pub(super) fn node(name: &str) -> String {
    format!(
        "{COMMON}
[DEFAULT]
host = {name}
[agent]
availability_zone = {name}
root_helper = sudo neutron-rootwrap /etc/neutron/rootwrap.conf
root_helper_daemon = sudo neutron-rootwrap-daemon /etc/neutron/rootwrap.conf
report_interval = 10
"
    )
}

const COMMON: &str = "\
[DEFAULT]
auth_strategy = noauth
core_plugin = ml2
transport_url = rabbit://openstack:openstack@10.254.0.1:5672/
state_path = /var/lib/neutron
notify_nova_on_port_status_changes = False
notify_nova_on_port_data_changes = False
[oslo_concurrency]
lock_path = /var/lib/neutron/lock
";

pub(super) const DHCP: &str = "\
[DEFAULT]
interface_driver = linuxbridge
enable_isolated_metadata = True
";

pub(super) const L3: &str = "\
[DEFAULT]
interface_driver = linuxbridge
[agent]
extensions = port_forwarding
";

pub(super) const METADATA: &str = "\
[DEFAULT]
nova_metadata_host = 10.254.0.1
nova_metadata_port = 8775
metadata_proxy_shared_secret = the-secret-of-the-tests
metadata_workers = 1
";

pub(super) fn linuxbridge(address: &str) -> String {
    format!(
        "\
[linux_bridge]
physical_interface_mappings = external:external
[vxlan]
enable_vxlan = True
local_ip = {address}
vxlan_group = 239.0.0.1
[securitygroup]
enable_security_group = False
firewall_driver = noop
[agent]
polling_interval = 1
"
    )
}

pub(super) fn openvswitch(address: &str) -> String {
    format!(
        "\
[ovs]
datapath_type = netdev
ovsdb_connection = tcp:127.0.0.1:6640
bridge_mappings = external:br-external
local_ip = {address}
[agent]
tunnel_types = vxlan
polling_interval = 1
[securitygroup]
enable_security_group = False
firewall_driver = noop
"
    )
}

/// Finds programs in /usr/local first: there lie those that no rule of the machine's about paths applies to, and our
/// `ebtables`.
pub(super) const ROOTWRAP: &str = "\
[DEFAULT]
filters_path=/etc/neutron/rootwrap.d,/usr/share/neutron/rootwrap
exec_dirs=/usr/local/sbin,/usr/local/bin,/sbin,/usr/sbin,/bin,/usr/bin
use_syslog=False
daemon_timeout=600
";

/// The linuxbridge agent's rules against ARP spoofing fail with nftables' ebtables, which it then retries for a minute.
pub(super) const EBTABLES: &str = "#!/bin/sh\nexit 0\n";
