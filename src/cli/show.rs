//! `warren status` and `warren show`: the running daemon's view.

use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

use super::tables::{facts, list, table};
use super::{block_on, fail, print, print_json};
use crate::status::{
    Ask, Convergence, InstanceView, LeaseView, NetworkView, PortView, Reply, RouterView, Status,
    socket,
};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    Network,
    Router,
    Instance,
}

pub(super) fn status(arguments: &super::Status) -> ExitCode {
    ask(&arguments.socket.socket, &Ask::Status, arguments.json.json)
}

pub(super) fn run(arguments: super::Show) -> ExitCode {
    let question = match arguments.kind {
        Kind::Network => Ask::Network(arguments.name),
        Kind::Router => Ask::Router(arguments.name),
        Kind::Instance => Ask::Instance(arguments.name),
    };
    ask(&arguments.socket.socket, &question, arguments.json.json)
}

fn ask(path: &Path, question: &Ask, json: bool) -> ExitCode {
    let reply = match block_on(socket::ask(path, question)) {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => return fail(&error),
        Err(error) => return fail(&error),
    };
    match reply {
        Reply::Alive => print("alive"),
        Reply::Status(view) if json => print_json(&view),
        Reply::Status(view) => print(&show_status(&view)),
        Reply::Network(view) if json => print_json(&view),
        Reply::Network(view) => print(&show_network(&view)),
        Reply::Router(view) if json => print_json(&view),
        Reply::Router(view) => print(&show_router(&view)),
        Reply::Instance(view) if json => print_json(&view),
        Reply::Instance(view) => print(&show_instance(&view)),
        Reply::Unknown { kind, name, known } => {
            eprintln!(
                "warren: there is no {kind} {name:?}; there are: {}",
                list(known)
            );
            ExitCode::FAILURE
        }
        Reply::Refused { reason } => {
            eprintln!("warren: the daemon refused the question: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn show_status(view: &Status) -> String {
    let head = facts([
        (
            "warren",
            format!(
                "{}, pid {}, up {} s",
                view.version, view.pid, view.uptime_seconds
            ),
        ),
        ("source", view.source.name.clone()),
        (
            "last change refused",
            view.source.refused.clone().unwrap_or_default(),
        ),
        (
            "serving",
            format!(
                "{} networks, {} routers, {} instances",
                view.networks, view.routers, view.instances
            ),
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
    format!(
        "{head}\n\n{}",
        table(["KIND", "NAME", "STATE", "NAMESPACE"], rows)
    )
}

fn show_network(view: &NetworkView) -> String {
    let head = facts([
        ("network", format!("{} ({})", view.name, view.id)),
        ("state", state(&view.convergence)),
        ("namespace", view.namespace.to_string()),
        (
            "bridge",
            view.bridge
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        ("attachment", view.attachment.clone()),
        ("mtu", view.mtu.to_string()),
        (
            "external",
            if view.external {
                "yes".into()
            } else {
                String::new()
            },
        ),
        ("domain", view.dns_domain.clone()),
    ]);
    let subnets = view.subnets.iter().map(|subnet| {
        let dhcp = if subnet.dhcp {
            list(subnet.dhcp_address)
        } else {
            "off".into()
        };
        [
            subnet.name.clone(),
            subnet.cidr.to_string(),
            list(subnet.gateway_ip),
            dhcp,
        ]
    });
    [
        head,
        table(["SUBNET", "CIDR", "GATEWAY", "DHCP"], subnets),
        show_ports(&view.ports),
        show_leases(&view.leases),
        format!("counters: {}", view.counters),
    ]
    .join("\n\n")
}

fn show_router(view: &RouterView) -> String {
    let head = facts([
        ("router", format!("{} ({})", view.name, view.id)),
        ("state", state(&view.convergence)),
        ("namespace", view.namespace.to_string()),
        ("snat", if view.snat { "on".into() } else { "off".into() }),
        (
            "routes",
            list(
                view.routes
                    .iter()
                    .map(|route| format!("{} via {}", route.destination, route.nexthop)),
            ),
        ),
    ]);
    let legs = view.interfaces.iter().chain(&view.gateway);
    let legs = legs.map(|leg| {
        [
            leg.device.to_string(),
            leg.network.clone(),
            leg.mac.to_string(),
            list(&leg.addresses),
        ]
    });
    let floating = view.floating_ips.iter().map(|floating| {
        let fixed = floating
            .fixed_ip
            .map_or_else(|| "-".to_owned(), |fixed| fixed.to_string());
        [floating.floating_ip.to_string(), fixed]
    });
    let forwardings = view.port_forwardings.iter().map(|forwarding| {
        let (external, internal) = (forwarding.ports.external, forwarding.ports.internal);
        let protocol = format!("{:?}", forwarding.protocol).to_lowercase();
        [
            format!("{}:{}", forwarding.floating_ip, range(external)),
            protocol,
            format!("{}:{}", forwarding.internal_ip, range(internal)),
        ]
    });
    [
        head,
        table(["DEVICE", "NETWORK", "MAC", "ADDRESSES"], legs),
        table(["FLOATING IP", "FIXED IP"], floating),
        table(["FORWARDED", "PROTOCOL", "TO"], forwardings),
        format!("counters: {}", view.counters),
    ]
    .join("\n\n")
}

fn show_instance(view: &InstanceView) -> String {
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
    [head, show_ports(&view.ports), show_leases(&view.leases)].join("\n\n")
}

fn show_ports(ports: &[PortView]) -> String {
    let rows = ports.iter().map(|port| {
        [
            port.name.clone(),
            port.network.clone(),
            list(&port.bridge),
            port.mac.to_string(),
            list(&port.addresses),
            list(&port.names),
        ]
    });
    table(
        ["PORT", "NETWORK", "BRIDGE", "MAC", "ADDRESSES", "NAMES"],
        rows,
    )
}

fn show_leases(leases: &[LeaseView]) -> String {
    let rows = leases.iter().map(|lease| {
        [
            lease.mac.to_string(),
            lease.address.to_string(),
            lease.state.clone(),
            format!("{} s ago", lease.seen_seconds_ago),
        ]
    });
    table(["CLIENT", "ADDRESS", "LEASE", "SEEN"], rows)
}

fn state(convergence: &Convergence) -> String {
    match convergence {
        Convergence::Pending => "pending".into(),
        Convergence::Converged => "converged".into(),
        Convergence::Failed { error, failures } => format!("failed {failures} times: {error}"),
    }
}

fn range((first, last): (u16, u16)) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}
