//! What a person meant who wrote another word.

use super::read::Key;
use crate::spelling::nearest;

/// Words that people bring from elsewhere, and ours.
const ELSEWHERE: &[(&str, &str)] = &[
    ("vlan", "tag"),
    ("vlan_id", "tag"),
    ("vid", "tag"),
    ("segmentation_id", "tag"),
    ("segmentation_id", "vni"),
    ("vxlan_id", "vni"),
    ("physical_network", "device"),
    ("interface", "device"),
    ("dev", "device"),
    ("group_address", "group"),
    ("peers", "remotes"),
    ("nameservers", "dns_servers"),
    ("dns_nameservers", "dns_servers"),
    ("dns", "dns_servers"),
    ("dns", "dns_resolvers"),
    ("resolvers", "dns_resolvers"),
    ("domain", "dns_domain"),
    ("ntp", "ntp_servers"),
    ("enable_dhcp", "dhcp"),
    ("gateway_ip", "gateway"),
    ("allocation_pools", "allocation"),
    ("pool", "allocation"),
    ("range", "allocation"),
    ("prefix", "cidr"),
    ("subnets", "subnet"),
    ("ip", "addresses"),
    ("ip", "address"),
    ("ip_address", "addresses"),
    ("fixed_ips", "addresses"),
    ("mac_address", "mac"),
    ("extra_dhcp_opts", "dhcp_options"),
    ("server", "instance"),
    ("vm", "instance"),
    ("ssh_keys", "keys"),
    ("ssh_authorized_keys", "keys"),
    ("public_keys", "keys"),
    ("flavor", "instance_type"),
    ("tenant", "project"),
    ("project_id", "project"),
    ("external_gateway", "gateway"),
    ("enable_snat", "snat"),
    ("destination", "to"),
    ("nexthop", "via"),
    ("next_hop", "via"),
    ("floating_ips", "floating_ip"),
    ("fixed_ip", "fixed"),
    ("internal_address", "fixed"),
    ("internal_ip", "fixed"),
    ("ports", "port"),
    ("external", "external_port"),
    ("internal", "internal_port"),
    ("listen", "external_port"),
    ("lease_time", "lease"),
    ("nova", "url"),
    ("nova_metadata_host", "url"),
    ("shared_secret", "shared_secret_file"),
    ("metadata_proxy_shared_secret", "shared_secret_file"),
];

/// The key that is meant by this word, if it is clear.
pub(super) fn spelled(wrong: &str, keys: &'static [Key]) -> Option<&'static Key> {
    let find = |name: &str| keys.iter().find(|key| key.name == name);
    let translated = ELSEWHERE.iter().filter(|(theirs, _)| *theirs == wrong);
    let ours = translated.map(|(_, ours)| *ours).find_map(find);
    ours.or_else(|| nearest(wrong, keys.iter().map(|key| key.name)).and_then(find))
}
