//! What a person meant who wrote another word.

use super::read::Key;

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

/// The candidate that a typing mistake leads to from `text`, if one is near enough.
pub(super) fn nearest<'c>(
    text: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let text = text.to_lowercase();
    let reach = text.chars().count().div_ceil(2).min(3);
    let near = candidates.into_iter().filter_map(|candidate| {
        let distance = distance(&text, &candidate.to_lowercase(), reach)?;
        Some((distance, candidate))
    });
    near.min().map(|(_, candidate)| candidate)
}

/// Levenshtein's edit distance, if it is at most `reach`.
fn distance(a: &str, b: &str, reach: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Nothing that long is a name someone mistyped; and the table below stays small.
    if a.len().abs_diff(b.len()) > reach || a.len() > 64 {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().filter(|distance| *distance <= reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_leads_to_its_word() {
        for (text, candidates, want) in [
            ("blu", &["blue", "green"][..], Some("blue")),
            ("Blue", &["blue", "green"], Some("blue")),
            ("gren", &["blue", "green"], Some("green")),
            ("yellow", &["blue", "green"], None),
            ("adresses", &["address", "addresses"], Some("addresses")),
            ("x", &["y"], Some("y")),
            ("", &["blue"], None),
        ] {
            assert_eq!(nearest(text, candidates.iter().copied()), want, "{text}");
        }
    }
}
