//! The EC2 tree, `/<version>/meta-data/..`: what cloud-init crawls at 169.254.169.254 beside the OpenStack one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use uuid::Uuid;

use super::{Leaf, TEXT, View, full_hostname, ports};
use crate::model::{Port, State};

/// Dates compare as text; `1.0` comes before them all.
const VERSIONS: [&str; 9] = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
];

enum Node {
    Value(String),
    Directory(Directory),
}

#[derive(Default)]
struct Directory {
    /// Shown in the parent's listing in place of the name.
    label: Option<String>,
    children: BTreeMap<String, Node>,
}

/// The file or listing at these names.
pub(super) fn find(names: &[&str], view: View<'_>) -> Option<Leaf> {
    let [version, names @ ..] = names else {
        return Some(Leaf::listing(VERSIONS.into_iter().chain(["latest"])));
    };
    let version = resolve(version)?;
    let user_data = view.instance.user_data.as_deref();
    match names {
        [] => {
            let files = ["meta-data/"].into_iter();
            Some(Leaf::listing(files.chain(user_data.map(|_| "user-data"))))
        }
        ["user-data"] => user_data.map(Leaf::raw),
        ["meta-data", names @ ..] => walk(&meta_data(version, view), names),
        _ => None,
    }
}

fn resolve(version: &str) -> Option<&'static str> {
    if version == "latest" {
        return VERSIONS.last().copied();
    }
    VERSIONS.into_iter().find(|known| *known == version)
}

fn walk(directory: &Directory, names: &[&str]) -> Option<Leaf> {
    let [name, rest @ ..] = names else {
        return Some(directory.listing());
    };
    match (directory.children.get(*name)?, rest) {
        (Node::Directory(inner), rest) => walk(inner, rest),
        (Node::Value(value), []) => Some(Leaf {
            content_type: TEXT,
            body: value.clone().into(),
        }),
        (Node::Value(_), _) => None,
    }
}

fn meta_data(version: &str, view: View<'_>) -> Directory {
    let instance = view.instance;
    let number = short_id(&instance.id.to_string());
    let hostname = full_hostname(view);
    let since = |first: &str| version >= first;
    let mut all = Directory::default();
    // We know no image; tools only want the key to be there.
    all.put("ami-id", "ami-00000000");
    all.put("ami-launch-index", "0");
    // Nova's own value for it, to the letter (`nova/api/metadata/base.py`).
    all.put("ami-manifest-path", "FIXME");
    all.put("instance-id", format!("i-{number:08x}"));
    all.put("reservation-id", format!("r-{number:08x}"));
    all.put("hostname", hostname.as_str());
    all.put("local-ipv4", local_address(view));
    // Security groups are not ours.
    all.put("security-groups", "");
    if !instance.public_keys.is_empty() {
        all.put_directory("public-keys", public_keys(view));
    }
    if since("2007-01-19") {
        all.put("local-hostname", hostname.as_str());
        all.put("public-hostname", hostname.as_str());
        all.put("public-ipv4", floating_address(view).unwrap_or_default());
    }
    if since("2007-08-29") {
        all.put("instance-type", &*instance.instance_type);
    }
    if since("2007-12-15") {
        // No ephemeral disk and no swap: cloud-init would mount a partition that happens to have their name.
        let mut devices = Directory::default();
        devices.put("ami", "vda");
        devices.put("root", "/dev/vda");
        all.put_directory("block-device-mapping", devices);
    }
    if since("2008-02-01") {
        let mut placement = Directory::default();
        placement.put("availability-zone", &*instance.availability_zone);
        all.put_directory("placement", placement);
    }
    if since("2008-09-01") {
        all.put("instance-action", "none");
    }
    all
}

fn public_keys(view: View<'_>) -> Directory {
    let mut keys = Directory::default();
    for (number, key) in view.instance.public_keys.iter().enumerate() {
        let mut formats = Directory {
            label: Some(format!("{number}={}", key.name)),
            ..Directory::default()
        };
        formats.put("openssh-key", key.key.as_str());
        keys.put_directory(&number.to_string(), formats);
    }
    keys
}

/// EC2 names things by 32 bits. Derived, so that a machine keeps its number.
fn short_id(id: &str) -> u32 {
    let uuid =
        Uuid::parse_str(id).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()));
    uuid.as_fields().0
}

/// The machine's first IPv4 address; without one, that of the asking port.
fn local_address(view: View<'_>) -> String {
    let addresses = |port: &Port| {
        let all: Vec<IpAddr> = port.fixed_ips.iter().map(|fixed| fixed.ip).collect();
        all
    };
    let first = ports(view).flat_map(addresses).find(IpAddr::is_ipv4);
    let first = first.or_else(|| addresses(view.port).first().copied());
    first.map(|ip| ip.to_string()).unwrap_or_default()
}

/// The first floating IP that leads to one of the machine's addresses.
fn floating_address(view: View<'_>) -> Option<String> {
    ports(view).find_map(|port| floating_address_of(view.state, port))
}

fn floating_address_of(state: &State, port: &Port) -> Option<String> {
    // Tenants' addresses overlap: only a router with a leg in the port's network means this port.
    let floating = state
        .routers_on(port.network)
        .flat_map(|router| &router.floating_ips)
        .find(|floating| {
            let to = floating.fixed_ip.map(IpAddr::V4);
            port.fixed_ips.iter().any(|fixed| Some(fixed.ip) == to)
        })?;
    Some(floating.floating_ip.to_string())
}

impl Directory {
    fn put(&mut self, name: &str, value: impl Into<String>) {
        self.children
            .insert(name.to_owned(), Node::Value(value.into()));
    }

    fn put_directory(&mut self, name: &str, directory: Directory) {
        self.children
            .insert(name.to_owned(), Node::Directory(directory));
    }

    fn listing(&self) -> Leaf {
        let lines: Vec<String> = self
            .children
            .iter()
            .map(|(name, node)| match node {
                Node::Value(_) => name.clone(),
                Node::Directory(Directory {
                    label: Some(label), ..
                }) => label.clone(),
                Node::Directory(_) => format!("{name}/"),
            })
            .collect();
        Leaf::listing(lines.iter().map(String::as_str))
    }
}
