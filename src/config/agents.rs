//! What the three agents are to the server, and how networks and routers are served.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::limits::limits;
use super::problem::{Code, quoted};
use super::reader::{Reader, default};
use super::{bus, dnsmasq};
use crate::dns::{self, RESOLV_CONF};
use crate::model::Protocol;
use crate::neutron::{self, Dhcp, L3, Role};
use crate::plan;

/// dnsmasq gives no lease that is shorter.
const SHORTEST_LEASE: i64 = 120;
/// Those that Neutron's agent has and this one has not.
const OTHER_EXTENSIONS: [&str; 4] = ["fip_qos", "gateway_ip_qos", "ndp_proxy", "snat_log"];
const EXTENSIONS: [&str; 2] = ["port_forwarding", CONNTRACK_HELPER];
const CONNTRACK_HELPER: &str = "conntrack_helper";
/// Those that Neutron knows and that are one helper in the kernel, too (`conf/agent/l3/config.py`, `conntrack_helper.py`).
const HELPERS: [(&str, Protocol); 10] = [
    ("amanda", Protocol::Udp),
    ("ftp", Protocol::Tcp),
    ("irc", Protocol::Tcp),
    ("netbios-ns", Protocol::Udp),
    ("pptp", Protocol::Tcp),
    ("sane", Protocol::Tcp),
    ("sip", Protocol::Tcp),
    ("sip", Protocol::Udp),
    ("snmp", Protocol::Udp),
    ("tftp", Protocol::Udp),
];

const LEASE: (&str, &str) = default("dhcp_lease_duration");
const ZONE: (&str, &str) = ("AGENT", "availability_zone");
const LIST_OF_EXTENSIONS: (&str, &str) = ("AGENT", "extensions");

pub(super) fn settings(reader: &mut Reader, program: &str, machine: &str) -> neutron::Settings {
    let report_interval = reader.fraction(("AGENT", "report_interval"));
    let availability_zone = reader.text(ZONE);
    if availability_zone.chars().count() > 255 {
        reader.refuse(
            ZONE,
            Code::BadValue,
            "it is longer than 255 characters",
            "shorten it",
        );
    }
    neutron::Settings {
        host: host(reader, machine),
        roles: reader.roles.clone(),
        bus: bus::settings(reader, program, machine),
        report_interval: (report_interval > Duration::ZERO).then_some(report_interval),
        availability_zone,
        log_agent_heartbeats: reader.bool(("AGENT", "log_agent_heartbeats")),
        interface_driver: reader.text(default("interface_driver")),
        dhcp: dhcp(reader),
        l3: l3(reader),
        metadata: neutron::Metadata {
            nova_host: reader.text(default("nova_metadata_host")),
            nova_port: reader.number(default("nova_metadata_port")),
            proxy_socket: reader.text(default("metadata_proxy_socket")),
        },
    }
}

fn host(reader: &mut Reader, machine: &str) -> String {
    let name = default("host");
    if !reader.is_given(name) {
        return machine.to_owned();
    }
    // oslo.config takes it off, too.
    reader.text(name).trim_end_matches('.').to_owned()
}

fn dhcp(reader: &mut Reader) -> Dhcp {
    let driver = default("dhcp_driver");
    let class = reader.text(driver);
    if !class.ends_with(".Dnsmasq") {
        reader.refuse(
            driver,
            Code::NotServed,
            "DHCP is served by warren itself, which stands in for the Dnsmasq class",
            "leave it out (neutron.agent.linux.dhcp.Dnsmasq)",
        );
    }
    let resync_interval = reader.seconds(default("resync_interval"));
    let resync_throttle = reader.seconds(default("resync_throttle"));
    if resync_throttle > resync_interval {
        reader.refuse(
            default("resync_throttle"),
            Code::Contradiction,
            "it is more than resync_interval",
            "make it at most that",
        );
    }
    Dhcp {
        driver: class,
        lease: reader.number(LEASE),
        dns_domain: dns_domain(reader),
        resync_interval,
        resync_throttle,
    }
}

/// `dhcp_domain` was its name before 10.0; both were there side by side, so that it is no old name in oslo's sense.
fn dns_domain(reader: &mut Reader) -> String {
    let (present, old) = (default("dns_domain"), default("dhcp_domain"));
    let name = if reader.is_given(old) && !reader.is_given(present) {
        reader.warn(
            old,
            Code::OldName,
            "this is an old name; it is honoured",
            "write dns_domain",
        );
        old
    } else {
        if reader.is_given(old) {
            reader.warn(
                old,
                Code::NoEffect,
                "dns_domain is set, and counts",
                "leave it out",
            );
        }
        present
    };
    reader.text(name).trim_end_matches('.').to_owned()
}

fn l3(reader: &mut Reader) -> L3 {
    let extensions: BTreeSet<String> = reader.list(LIST_OF_EXTENSIONS).into_iter().collect();
    for name in &extensions {
        if OTHER_EXTENSIONS.contains(&&**name) {
            reader.warn(
                LIST_OF_EXTENSIONS,
                Code::NotServed,
                format!("{name} is not served by this version, and left out"),
                "leave it out, or see that nobody relies on it",
            );
        } else if !EXTENSIONS.contains(&&**name) {
            reader.refuse(
                LIST_OF_EXTENSIONS,
                Code::BadValue,
                format!("{:?} is no extension that is known", quoted(name)),
                "leave it out; port_forwarding is there",
            );
        }
    }
    L3 {
        agent_mode: reader.text(default("agent_mode")),
        handle_internal_only_routers: reader.bool(default("handle_internal_only_routers")),
        extensions: extensions
            .into_iter()
            .filter(|name| EXTENSIONS.contains(&&**name))
            .collect(),
        periodic_interval: reader.seconds(default("periodic_interval")),
    }
}

/// As Neutron's agents serve: names of elsewhere are asked elsewhere, and networks do not share names.
/// And whether they ask the host's resolvers, which may change.
pub(super) fn plan(reader: &mut Reader) -> (plan::Settings, bool) {
    let told = dnsmasq::told(reader);
    let no_rebind = told.no_rebind();
    let dnsmasq::Told {
        forwarders,
        domain_forwarders,
        dhcp_options,
        dhcp_tags,
        cache,
        text,
        ..
    } = told;
    let lease: i64 = reader.number(LEASE);
    if (0..SHORTEST_LEASE).contains(&lease) {
        reader.warn(
            LEASE,
            Code::Unusual,
            "120 seconds is the shortest lease, and taken",
            "make it longer",
        );
    }
    let local = default("dnsmasq_local_resolv");
    let ask_host =
        reader.bool(local) && forwarders.is_empty() && reader.roles.contains(&Role::Dhcp);
    let host_resolvers = if ask_host {
        host_resolvers(reader, local)
    } else {
        Vec::new()
    };
    let settings = plan::Settings {
        lease: match lease {
            ..0 => u32::MAX,
            seconds => u32::try_from(seconds.max(SHORTEST_LEASE)).unwrap_or(u32::MAX),
        },
        renewal: Some(reader.number(default("dhcp_renewal_time"))).filter(|seconds| *seconds > 0),
        rebinding: Some(reader.number(default("dhcp_rebinding_time")))
            .filter(|seconds| *seconds > 0),
        broadcast_reply: reader.bool(default("dhcp_broadcast_reply")),
        every_address: reader.bool(default("dnsmasq_enable_addr6_list")),
        domain_search: false,
        dhcp_options,
        dhcp_tags,
        forwarders,
        domain_forwarders,
        host_resolvers,
        dns_cache: cache,
        no_rebind,
        text,
        authoritative_dns: false,
        joined_names: false,
        metadata: plan::Metadata {
            routed: reader.bool(default("enable_metadata_proxy")),
            isolated: reader.bool(default("enable_isolated_metadata")),
            force: reader.bool(default("force_metadata")),
            network: reader.bool(default("enable_metadata_network")),
            port: reader.number(default("metadata_port")),
            lookup: true,
        },
        random_fully: reader.bool(("AGENT", "use_random_fully")),
        ipv6_gateway: ipv6_gateway(reader),
        ra_interval: ra_interval(reader),
        advertise_without_router: reader.bool(("warren", "advertise_without_router")),
        limits: limits(reader),
        // The driver says.
        plugging: plan::Plugging::default(),
        conntrack_helpers: helpers(reader),
    };
    (settings, ask_host)
}

/// All of them; which the kernel has is found out at the start.
fn helpers(reader: &mut Reader) -> BTreeSet<(String, Protocol)> {
    let extensions = reader.list(LIST_OF_EXTENSIONS);
    if !extensions.iter().any(|name| name == CONNTRACK_HELPER) {
        return BTreeSet::new();
    }
    let helper = |(name, protocol): (&str, Protocol)| (name.to_owned(), protocol);
    HELPERS.into_iter().map(helper).collect()
}

/// Unset, whoever advertises itself outside is the way out.
fn ipv6_gateway(reader: &mut Reader) -> plan::Ipv6Gateway {
    let name = default("ipv6_gateway");
    let text = reader.text(name);
    if text.is_empty() {
        return plan::Ipv6Gateway::Advertised;
    }
    match text.parse() {
        Ok(address) => plan::Ipv6Gateway::Address(address),
        Err(_) => {
            reader.refuse(
                name,
                Code::BadValue,
                format!("{:?} is no IPv6 address", quoted(&text)),
                "give the gateway's link-local address, as fe80::1, or leave it out",
            );
            plan::Ipv6Gateway::Nowhere
        }
    }
}

/// Within RFC 4861 section 6.2.1, where radvd would refuse its whole configuration.
fn ra_interval(reader: &mut Reader) -> (u16, u16) {
    let names = ["min_rtr_adv_interval", "max_rtr_adv_interval"].map(default);
    let [least, most] =
        names.map(|name| u16::try_from(reader.number::<i64>(name)).unwrap_or(u16::MAX));
    let sound_most = most.clamp(4, 1800);
    let sound_least = least.clamp(3, sound_most - sound_most.div_ceil(4));
    for (name, said, taken) in [(names[0], least, sound_least), (names[1], most, sound_most)] {
        if said != taken {
            let why = format!(
                "{taken} is taken: of 4 to 1800 seconds at most, 3 to three quarters of that at least"
            );
            reader.warn(name, Code::Unusual, why, "say seconds within these bounds");
        }
    }
    (sound_least, sound_most)
}

fn host_resolvers(reader: &mut Reader, name: (&'static str, &'static str)) -> Vec<SocketAddr> {
    dns::host_resolvers().unwrap_or_else(|error| {
        reader.warn(
            name,
            Code::Unreadable,
            format!(
                "{RESOLV_CONF} can't be read ({error}), so names of elsewhere are not resolved"
            ),
            "see why, or set dnsmasq_dns_servers",
        );
        Vec::new()
    })
}
