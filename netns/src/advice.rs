//! What to do when the kernel refuses a step or a socket.

use std::io;

use crate::error::Refusal;
use crate::spec::{Link, LinkKind};
use crate::step::Step;

/// Empty when the kernel's own words already say it.
pub(crate) fn text(step: &Step, refusal: &Refusal) -> String {
    let advice = advise(step, refusal.errno());
    if advice.is_empty() {
        String::new()
    } else {
        format!(" ({advice})")
    }
}

fn advise(step: &Step, errno: i32) -> &'static str {
    match (step, errno) {
        (_, libc::EPERM | libc::EACCES) if !matches!(step, Step::AddAddress { .. }) => {
            "needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN"
        }
        (_, libc::EPERM) => "needs root, or CAP_NET_ADMIN",
        (Step::AddAddress { .. }, libc::EACCES) => {
            "IPv6 is switched off there: see the sysctl disable_ipv6"
        }
        (Step::CreateLink { link, .. }, libc::EOPNOTSUPP) => no_kind(link),
        (Step::CreateLink { .. }, libc::EEXIST) => {
            "another device has the name, or the same tunnel id and port"
        }
        (Step::CreateLink { .. } | Step::SetMtu { .. }, libc::ERANGE | libc::EINVAL) => {
            "see which MTU and identifiers the device and those below it allow"
        }
        (Step::CreateLink { .. }, libc::ENODEV) => "a device that it stands on is not there",
        (Step::DeleteLink { .. }, libc::EOPNOTSUPP) => {
            "a physical device cannot be deleted: move or rename it"
        }
        (Step::AddRoute(_) | Step::ReplaceRoute { .. }, libc::ENETUNREACH | libc::EHOSTUNREACH) => {
            "the gateway is in no connected network: add an address or a route to it first, or say onlink"
        }
        (Step::AddRoute(_), libc::EEXIST) => {
            "a route of someone else has the same destination and metric"
        }
        (Step::AddRoute(_) | Step::ReplaceRoute { .. }, libc::ENETDOWN) => "its device is down",
        (
            Step::AddRoute(_)
            | Step::ReplaceRoute { .. }
            | Step::SetNeighbour(_)
            | Step::SetMaster { .. },
            libc::ENODEV,
        ) => "a device that it names is not there: whatever provides it must come first",
        (Step::SetUp { .. }, libc::ENETDOWN) => "the device below it is down",
        (Step::SetSysctl { .. }, libc::ENOENT) => {
            "there is no such setting: its device or kernel module is missing"
        }
        (Step::SetSysctl { .. }, libc::EINVAL) => "the setting does not take this value",
        (Step::LoadTable { .. }, libc::ENOENT) => {
            "install nftables: the program nft is not in PATH"
        }
        (_, libc::ENOBUFS | libc::ENOMEM) => "the kernel is out of memory for this",
        (_, _) => "",
    }
}

pub(crate) fn socket(refusal: &io::Error) -> &'static str {
    match refusal.raw_os_error() {
        Some(libc::EADDRINUSE) => "see who has it: `ss -lntup` in there",
        Some(libc::EADDRNOTAVAIL) => "give a device in there the address first",
        Some(libc::ENODEV | libc::ENXIO) => "make the device first",
        Some(libc::ECONNREFUSED | libc::ETIMEDOUT) => "see whether anyone listens there",
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => "give the namespace a route there first",
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit of open files",
        Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => {
            "the kernel lacks this kind: load its module"
        }
        _ => "needs root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE",
    }
}

fn no_kind(link: &Link) -> &'static str {
    match link.kind {
        LinkKind::Vlan { .. } => "the kernel has no 802.1Q support: load the module 8021q",
        LinkKind::Vxlan(_) => "the kernel has no VXLAN support: load the module vxlan",
        LinkKind::Bridge => "the kernel has no bridge support: load the module bridge",
        LinkKind::Veth { .. } => "the kernel has no veth support: load the module veth",
        LinkKind::Existing | LinkKind::Given => "",
    }
}
