//! The daemon's views as text for people. `--json` shows the views themselves.

use super::tables::{count, counters, duration, facts, list, parts, table};
use crate::status::{
    Convergence, InstanceView, LeaseView, NetworkView, PortOwner, PortView, RouterView, Status,
};

pub(super) fn status(view: &Status) -> String {
    let head = facts([
        (
            "warren",
            format!(
                "{}, pid {}, up {}",
                view.version,
                view.pid,
                duration(view.uptime_seconds)
            ),
        ),
        ("source", view.source.name.clone()),
        ("refused", list(&view.source.refused)),
        (
            "serving",
            list([
                count(view.networks, "network"),
                count(view.routers, "router"),
                count(view.instances, "instance"),
            ]),
        ),
        ("pending", view.pending.to_string()),
    ]);
    let rows = view.targets.iter().map(|target| {
        [
            target.kind.clone(),
            target.name.clone(),
            state(&target.convergence),
            target.namespace.to_string(),
        ]
    });
    // Errors are long: below the table, each with whom it hit.
    let errors = view.targets.iter().filter_map(|target| {
        let error = error(&target.convergence)?;
        Some(format!("{} {}: {error}", target.kind, target.name))
    });
    parts([
        head,
        table(["KIND", "NAME", "STATE", "NAMESPACE"], rows),
        errors.collect::<Vec<_>>().join("\n"),
        counters(&view.counters),
    ])
}

pub(super) fn network(view: &NetworkView) -> String {
    let head = facts([
        ("network", format!("{} ({})", view.name, view.id)),
        ("state", state(&view.convergence)),
        ("error", list(error(&view.convergence))),
        ("namespace", view.namespace.to_string()),
        ("bridge", list(&view.bridge)),
        ("attachment", view.attachment.clone()),
        ("external", yes(view.external)),
        ("mtu", view.mtu.to_string()),
        ("domain", view.dns_domain.clone()),
    ]);
    let subnets = view.subnets.iter().map(|subnet| {
        let cidr = subnet.cidr.to_string();
        let dhcp = if subnet.dhcp {
            list(subnet.dhcp_address)
        } else {
            "off".into()
        };
        let named = if subnet.name == cidr {
            cidr
        } else {
            format!("{} ({cidr})", subnet.name)
        };
        [named, list(subnet.gateway_ip), dhcp]
    });
    let mut by_address: Vec<_> = view.ports.iter().collect();
    by_address.sort_by_key(|port| port.addresses.first());
    let ports = by_address.into_iter().map(|port| {
        [
            owner(port),
            port.mac.to_string(),
            list(&port.addresses),
            list(&port.names),
        ]
    });
    parts([
        head,
        table(["SUBNET", "GATEWAY", "DHCP"], subnets),
        table(["PORT OF", "MAC", "ADDRESSES", "NAMES"], ports),
        if view.subnets.iter().any(|subnet| subnet.dhcp) {
            leases(&view.leases)
        } else {
            String::new()
        },
        counters(&view.counters),
    ])
}

pub(super) fn router(view: &RouterView) -> String {
    let routes = view
        .routes
        .iter()
        .map(|route| format!("{} via {}", route.destination, route.nexthop));
    let snat = if view.gateway.is_none() {
        "off (no gateway)"
    } else if view.snat {
        "on"
    } else {
        "off"
    };
    let head = facts([
        ("router", format!("{} ({})", view.name, view.id)),
        ("state", state(&view.convergence)),
        ("error", list(error(&view.convergence))),
        ("namespace", view.namespace.to_string()),
        ("snat", snat.into()),
        ("routes", list(routes)),
    ]);
    let leg = |side: &str, leg: &crate::status::LegView| {
        [
            leg.device.to_string(),
            side.to_owned(),
            leg.network.clone(),
            leg.mac.to_string(),
            list(&leg.addresses),
        ]
    };
    let inside = view.interfaces.iter().map(|port| leg("interface", port));
    let outside = view.gateway.iter().map(|port| leg("gateway", port));
    let floating = view
        .floating_ips
        .iter()
        .map(|floating| [floating.floating_ip.to_string(), list(floating.fixed_ip)]);
    let forwardings = view.port_forwardings.iter().map(|forwarding| {
        let (external, internal) = (forwarding.ports.external, forwarding.ports.internal);
        [
            format!("{}:{}", forwarding.floating_ip, range(external)),
            format!("{:?}", forwarding.protocol).to_lowercase(),
            format!("{}:{}", forwarding.internal_ip, range(internal)),
        ]
    });
    parts([
        head,
        table(
            ["DEVICE", "AS", "NETWORK", "MAC", "ADDRESSES"],
            inside.chain(outside),
        ),
        table(["FLOATING IP", "FIXED IP"], floating),
        table(["FORWARDED", "PROTOCOL", "TO"], forwardings),
        counters(&view.counters),
    ])
}

pub(super) fn instance(view: &InstanceView) -> String {
    let head = facts([
        ("instance", format!("{} ({})", view.name, view.id)),
        ("hostname", view.hostname.clone()),
        (
            "floating IPs",
            list(
                view.floating_ips
                    .iter()
                    .map(|floating| floating.floating_ip),
            ),
        ),
    ]);
    let ports = view.ports.iter().map(|port| {
        [
            port.network.clone(),
            list(&port.bridge),
            port.mac.to_string(),
            list(&port.addresses),
            list(&port.names),
        ]
    });
    parts([
        head,
        table(["NETWORK", "BRIDGE", "MAC", "ADDRESSES", "NAMES"], ports),
        leases(&view.leases),
    ])
}

/// Who has a port; its own name behind, where it has one.
fn owner(port: &PortView) -> String {
    let of = port.of.as_deref().unwrap_or("?");
    let owner = match port.owner {
        PortOwner::Instance => of.to_owned(),
        PortOwner::Dhcp => "(DHCP and DNS)".into(),
        PortOwner::Router => format!("(router {of})"),
        PortOwner::Gateway => format!("(router {of}, gateway)"),
        PortOwner::FloatingIp => "(floating IP)".into(),
        PortOwner::Service => "(service)".into(),
    };
    if port.name.is_empty() {
        owner
    } else {
        format!("{owner}, {}", port.name)
    }
}

fn leases(leases: &[LeaseView]) -> String {
    let rows = leases.iter().map(|lease| {
        [
            lease.mac.to_string(),
            lease.address.to_string(),
            lease.state.clone(),
            format!("{} ago", duration(lease.seen_seconds_ago)),
        ]
    });
    let table = table(["DHCP CLIENT", "ADDRESS", "LEASE", "LAST SEEN"], rows);
    if table.is_empty() {
        "no DHCP client seen since the daemon started".into()
    } else {
        table
    }
}

fn state(convergence: &Convergence) -> String {
    match convergence {
        Convergence::Pending => "pending".into(),
        Convergence::Converged => "converged".into(),
        Convergence::Failed { failures: 1, .. } => "failed".into(),
        Convergence::Failed { failures, .. } => format!("failed {failures} times"),
    }
}

fn error(convergence: &Convergence) -> Option<&str> {
    match convergence {
        Convergence::Failed { error, .. } => Some(error),
        Convergence::Pending | Convergence::Converged => None,
    }
}

fn yes(is: bool) -> String {
    if is { "yes".into() } else { String::new() }
}

fn range((first, last): (u16, u16)) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}
