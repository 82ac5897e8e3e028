//! The shape of the file: its tables and their keys, and nothing of what they mean together.
//! `docs/topology.md` says each key in full; a test compares the two.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use uuid::Uuid;

use super::mistake::{Notes, Span};
use super::options::{OptionName, OptionValue, Options};
use super::read::{At, Key, Read, Reader, Value, key_name, table};
use super::values::{Choice, Json, Number, OneOrMore, OrTable, Ports, Seconds, Texts};
use super::words::{
    AddressOrSubnet, Destination, Domain, HostName, Kind, Name, PublicKeyLine, Range, Reference,
    Resolver, SearchDomain, Source, Url,
};
use crate::model::{DevName, Ipv6Mode, MacAddr, Protocol};

table! {
    /// The whole file.
    File {
        dns_domain: Domain,
        dns_resolvers: Vec<Resolver>,
        dns_authoritative: bool,
        dns_joined: bool,
        dns_search: Vec<At<SearchDomain>>,
        dns_cache: Number<0, 10_000>,
        dns_rebind_protection: bool,
        dns_rebind_allowed: Vec<SearchDomain>,
        lease: Seconds,
        lease_renewal: Seconds,
        lease_rebinding: Seconds,
        dhcp_broadcast: bool,
        dhcp_tag: Vec<DhcpTag>,
        snat_random_ports: bool,
        advertise_without_router: bool,
        project: Name,
        host: Name,
        network: Vec<Network>,
        instance: Vec<Instance>,
        router: Vec<Router>,
        metadata: Metadata,
        limits: Limits,
    }
}

table! {
    /// One of `option`, `vendor_class`, `user_class`, `mac` and `tags`.
    DhcpTag {
        name: String [required],
        option: OptionName,
        value: OptionValue,
        vendor_class: String,
        user_class: String,
        mac: String,
        tags: Vec<String>,
    }
}

table! {
    /// One layer 2, and what is on it.
    Network {
        name: Name [required],
        id: Uuid,
        project: Name,
        r#type: Kind,
        device: DevName,
        /// The VLAN.
        tag: Number<1, 4094>,
        vni: Number<1, 16_777_215>,
        remotes: Vec<At<IpAddr>>,
        group: IpAddr,
        local: IpAddr,
        port: Number<1, 65_535>,
        // Less than 576 carries no DHCP reply (RFC 2131 section 2).
        mtu: Number<576, 65_535>,
        external: bool,
        bridge: DevName,
        dns_domain: Domain,
        dns_search: Vec<At<SearchDomain>>,
        dhcp_options: Options,
        subnet: Vec<Subnet>,
    }
}

table! {
    Subnet {
        cidr: IpNet [required],
        name: Name,
        id: Uuid,
        gateway: Choice<IpAddr>,
        dhcp: bool,
        dhcp_address: IpAddr,
        ipv6_ra_mode: Choice<Ipv6Mode>,
        ipv6_address_mode: Choice<Ipv6Mode>,
        allocation: Vec<At<Range>>,
        dns_servers: Choice<Vec<At<IpAddr>>>,
        dns_forwarders: Vec<IpAddr>,
        ntp_servers: Vec<At<IpAddr>>,
        host_routes: Vec<Route>,
    }
}

table! {
    Route {
        to: Destination [required],
        via: IpAddr [required],
    }
}

table! {
    /// A machine.
    Instance {
        name: Name [required],
        id: Uuid,
        project: Name,
        hostname: HostName,
        keys: Vec<At<OrTable<PublicKeyLine, PublicKey>>>,
        user_data: String,
        user_data_file: PathBuf,
        vendor_data: Json,
        vendor_data_file: PathBuf,
        metadata: Texts,
        availability_zone: String,
        instance_type: String,
        port: Vec<Port>,
    }
}

table! {
    PublicKey {
        name: Name [required],
        key: PublicKeyLine [required],
    }
}

table! {
    Port {
        network: Reference [required],
        name: Name,
        id: Uuid,
        mac: MacAddr,
        /// Each an address, or the name of a subnet to pick one of.
        addresses: Vec<At<AddressOrSubnet>>,
        dhcp_options: Options,
    }
}

table! {
    Router {
        name: Name [required],
        id: Uuid,
        project: Name,
        interfaces: Vec<At<OrTable<Reference, Interface>>>,
        gateway: OrTable<Reference, RouterGateway>,
        routes: Vec<Route>,
        floating_ip: Vec<FloatingIp>,
        port_forwarding: Vec<PortForwarding>,
    }
}

table! {
    /// One of `network` and `subnet`.
    Interface {
        network: Reference,
        subnet: Reference,
        address: IpAddr,
    }
}

table! {
    RouterGateway {
        network: Reference [required],
        address: OneOrMore<At<IpAddr>>,
        snat: bool,
    }
}

table! {
    FloatingIp {
        address: Ipv4Addr,
        id: Uuid,
        instance: Reference,
        port: Reference,
        fixed: Ipv4Addr,
    }
}

table! {
    PortForwarding {
        address: Ipv4Addr,
        protocol: Protocol,
        external_port: Ports [required],
        internal_port: Ports,
        instance: Reference,
        port: Reference,
        fixed: Ipv4Addr,
    }
}

table! {
    Metadata {
        source: Source,
        url: Url,
        shared_secret_file: PathBuf,
        ca_file: PathBuf,
        cert_file: PathBuf,
        key_file: PathBuf,
        insecure: bool,
        isolated: bool,
        routed: bool,
        force: bool,
        port: Number<1, 65_535>,
    }
}

table! {
    /// Each of one network, per second.
    Limits {
        dhcp_client: PerSecond,
        dhcp_others: PerSecond,
        dhcp_network: PerSecond,
        dns_client: PerSecond,
        dns_others: PerSecond,
        dns_network: PerSecond,
        ra_client: PerSecond,
        ra_others: PerSecond,
        metadata_client: PerSecond,
        metadata_others: PerSecond,
        metadata_network: PerSecond,
    }
}

// None at all would be a server that nobody is answered by; more is no limit to anybody.
type PerSecond = Number<1, 1_000_000>;

/// The tables of a list, or none.
pub(super) fn all<T>(list: &Option<At<Vec<T>>>) -> &[T] {
    list.as_ref().map_or(&[], |list| &list.value)
}

/// Reads the tree. Every mistake of shape is in `notes` then.
pub(super) fn read(tree: DeTable<'_>, notes: &mut Notes<'_>) -> Option<File> {
    let root = Spanned::new(0..0, DeValue::Table(tree));
    File::read(&root, &mut Reader::new(notes))
}
