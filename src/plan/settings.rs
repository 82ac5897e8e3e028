//! What the operator chose, checked: the same for every network and router of this daemon.

use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{DhcpOption, DhcpTag, Protocol};
use crate::pace::Limits;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Seconds; `u32::MAX` is for ever (Neutron: `dhcp_lease_duration`).
    pub lease: u32,
    /// T1 and T2 in seconds; `None`: 1/2 and 7/8 of the lease.
    pub renewal: Option<u32>,
    pub rebinding: Option<u32>,
    /// Every DHCP reply as broadcast (`dhcp_broadcast_reply`).
    pub broadcast_reply: bool,
    /// DHCPv6 gives a port all of its addresses of one subnet, instead of the last (`dnsmasq_enable_addr6_list`).
    pub every_address: bool,
    /// Clients that ask are told the domain to search as well (option 119), not only their own (15).
    #[serde(default)]
    pub domain_search: bool,
    /// What every client is told besides (`dnsmasq_config_file`). Of several with one code the last counts.
    #[serde(default)]
    pub dhcp_options: Vec<CommonOption>,
    /// Tags that clients have, and by which options are chosen, in order (`dnsmasq_config_file`).
    #[serde(default)]
    pub dhcp_tags: Vec<DhcpTag>,
    /// Resolvers that are asked from inside each network's namespace, for subnets without forwarders of their own
    /// (`dnsmasq_dns_servers`).
    #[serde(default)]
    pub forwarders: Vec<SocketAddr>,
    /// Resolvers for the names of certain domains; without a dot at either end.
    #[serde(default)]
    pub domain_forwarders: Vec<(String, SocketAddr)>,
    /// Resolvers of the host, asked from the host, where there are no forwarders at all.
    pub host_resolvers: Vec<SocketAddr>,
    /// So many answers of resolvers are kept for each network; 0: none.
    #[serde(default = "dns_cache")]
    pub dns_cache: usize,
    /// Names of elsewhere have no private addresses; `None`: they may.
    #[serde(default)]
    pub no_rebind: Option<Arc<NoRebind>>,
    /// Answered in every network (`dnsmasq_txt_record`).
    #[serde(default)]
    pub text: Option<Arc<TextRecord>>,
    /// Unknown names of a network's own domain do not exist, instead of being asked elsewhere.
    pub authoritative_dns: bool,
    /// Networks that a router joins see each other's names.
    pub joined_names: bool,
    pub metadata: Metadata,
    #[serde(default)]
    pub plugging: Plugging,
    /// Source ports of SNAT are drawn at random (`use_random_fully`).
    pub random_fully: bool,
    /// A router's way out for v6 where its external subnets name no gateway.
    pub ipv6_gateway: Ipv6Gateway,
    /// Seconds between unasked router advertisements: at least, at most (`min_rtr_adv_interval`, `max_rtr_adv_interval`).
    #[serde(default = "ra_interval")]
    pub ra_interval: (u16, u16),
    /// DHCP namespaces advertise the prefixes that no router of ours does; an option of our own.
    #[serde(default)]
    pub advertise_without_router: bool,
    /// What one network may ask of each kind of server; options of our own.
    #[serde(default)]
    pub limits: Limits,
    /// Kernel's names of those that it has: others are left out. Empty where they are not wanted (extension `conntrack_helper`).
    pub conntrack_helpers: BTreeSet<(String, Protocol)>,
}

impl Settings {
    /// What the clients of this IP version are told besides.
    pub(super) fn dhcp_options_of(&self, ip_version: u8) -> impl Iterator<Item = CommonOption> {
        let all = self.dhcp_options.iter();
        all.filter(move |common| common.option.ip_version == ip_version)
            .cloned()
    }
}

/// Protection against DNS rebinding (dnsmasq's `stop-dns-rebind`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoRebind {
    /// Names in these domains may have any address. Lower case, without a dot at either end.
    pub except: Vec<String>,
    /// Loopback addresses are harmless, as block lists give them.
    pub loopback_ok: bool,
}

/// A name with a TXT record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextRecord {
    /// Lower case, without a dot at either end.
    pub name: String,
    /// As the record has it: character strings (RFC 1035 section 3.3.14).
    pub data: Vec<u8>,
}

impl TextRecord {
    /// `None`: the name is none, or a text is longer than 255 bytes, or all are than a record.
    pub fn new<'t>(name: &str, texts: impl Iterator<Item = &'t str>) -> Option<Self> {
        let labels = name.split('.').all(|label| (1..=63).contains(&label.len()));
        let mut data = Vec::new();
        for text in texts {
            data.push(u8::try_from(text.len()).ok()?);
            data.extend_from_slice(text.as_bytes());
        }
        if data.is_empty() {
            data.push(0);
        }
        let fits = labels && name.len() <= 253 && data.len() <= usize::from(u16::MAX) / 2;
        fits.then(|| Self {
            name: name.to_owned(),
            data,
        })
    }
}

/// A DHCP option for the clients of all networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonOption {
    pub option: DhcpOption,
    /// Also told to who does not ask for it (`dhcp-option-force`).
    pub forced: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipv6Gateway {
    /// There is none, and what the outside advertises is not listened to.
    #[default]
    Nowhere,
    /// Whoever advertises itself there.
    Advertised,
    /// `ipv6_gateway`
    Address(Ipv6Addr),
}

/// What our ports' devices are (Neutron: `interface_driver`, `ovs_use_veth`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plugging {
    /// A pair: one end inside; the other, `tap..`, on the host, for a bridge of ours or for the agent that keeps bridges.
    #[default]
    Veth,
    /// A switch makes the device, and it is moved inside.
    Internal,
}

/// Where the metadata service is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// In router namespaces (`enable_metadata_proxy`).
    pub routed: bool,
    /// In the DHCP namespace of networks without a router (`enable_isolated_metadata`).
    pub isolated: bool,
    /// In every DHCP namespace (`force_metadata`).
    pub force: bool,
    /// Who asks in the DHCP namespace of a network with a router may live in any network of that router
    /// (`enable_metadata_network`).
    #[serde(default)]
    pub network: bool,
    /// Where router namespaces listen (`metadata_port`).
    pub port: u16,
    /// Whom the model does not know the source is asked for: a router's guests are answered, whatever is known of its networks.
    #[serde(default)]
    pub lookup: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: 86_400,
            renewal: None,
            rebinding: None,
            broadcast_reply: false,
            every_address: true,
            domain_search: true,
            dhcp_options: Vec::new(),
            dhcp_tags: Vec::new(),
            forwarders: Vec::new(),
            domain_forwarders: Vec::new(),
            host_resolvers: Vec::new(),
            dns_cache: dns_cache(),
            no_rebind: None,
            text: None,
            authoritative_dns: true,
            joined_names: true,
            metadata: Metadata {
                routed: true,
                isolated: true,
                force: false,
                network: false,
                port: 9697,
                lookup: false,
            },
            plugging: Plugging::default(),
            random_fully: true,
            ipv6_gateway: Ipv6Gateway::default(),
            ra_interval: ra_interval(),
            advertise_without_router: false,
            limits: Limits::default(),
            conntrack_helpers: BTreeSet::new(),
        }
    }
}

/// dnsmasq's.
pub fn dns_cache() -> usize {
    150
}

/// Neutron's.
fn ra_interval() -> (u16, u16) {
    (30, 100)
}
