//! The metadata service: Nova's API, the secret shared with it, and what a guest may take.

use std::path::PathBuf;

use nix::unistd::{Group, User, geteuid};

use super::problem::{Code, quoted};
use super::reader::{Reader, default};
use crate::metadata::{
    Limits, MetadataSettings, NovaProtocol, NovaSettings, ProxySocket, RateLimit, Secret, Upstream,
    Window,
};
use crate::neutron::Role;

const SECRET: (&str, &str) = default("metadata_proxy_shared_secret");
const SOCKET: (&str, &str) = default("metadata_proxy_socket");
const VERSIONS: (&str, &str) = rate("ip_versions");

const fn rate(name: &'static str) -> (&'static str, &'static str) {
    ("metadata_rate_limiting", name)
}

pub(super) fn settings(reader: &mut Reader) -> MetadataSettings {
    let limits = Limits {
        idle: reader.seconds(("metadata_haproxy", "timeout_http_keep_alive")),
        request: reader.seconds(("metadata_haproxy", "timeout_server")),
        rate: rate_limit(reader),
        ..Limits::default()
    };
    let upstream = if reader.roles.contains(&Role::Metadata) {
        Upstream::Nova(nova(reader))
    } else {
        Upstream::Agent(socket(reader))
    };
    MetadataSettings { upstream, limits }
}

/// Where the process with the metadata role listens for those without it.
fn socket(reader: &mut Reader) -> PathBuf {
    let path = reader.path(SOCKET).unwrap_or_default();
    if !path.is_absolute() {
        reader.refuse(
            SOCKET,
            Code::BadValue,
            "this is no absolute path",
            "leave it out ($state_path/metadata_proxy)",
        );
    }
    path
}

/// The same where this is that process. `None`: it is not.
pub(super) fn proxies(reader: &mut Reader) -> Option<ProxySocket> {
    if !reader.roles.contains(&Role::Metadata) {
        return None;
    }
    let path = socket(reader);
    let (user, group) = (user(reader), group(reader));
    let mode = match reader.text(default("metadata_proxy_socket_mode")).as_str() {
        "user" => 0o644,
        "group" => 0o664,
        "all" => {
            reader.warn(
                default("metadata_proxy_socket_mode"),
                Code::Unusual,
                "every user may connect, and only root, the socket's owner and its group are answered",
                "leave it out (deduce)",
            );
            0o666
        }
        // Neutron's agent opens it to everyone where user and group are others; here it is given to them.
        _ if user.is_none() => 0o644,
        _ => 0o664,
    };
    Some(ProxySocket {
        path,
        mode,
        user,
        group,
    })
}

/// `None`: none is named, or it is root or our own.
fn user(reader: &mut Reader) -> Option<u32> {
    let find = |name: &str| User::from_name(name).map(|user| user.map(|user| user.uid.as_raw()));
    let user = account(reader, default("metadata_proxy_user"), find)?;
    (user != 0 && user != geteuid().as_raw()).then_some(user)
}

fn group(reader: &mut Reader) -> Option<u32> {
    let find =
        |name: &str| Group::from_name(name).map(|group| group.map(|group| group.gid.as_raw()));
    account(reader, default("metadata_proxy_group"), find)
}

/// By number or by name.
fn account(
    reader: &mut Reader,
    name: (&'static str, &'static str),
    find: impl Fn(&str) -> nix::Result<Option<u32>>,
) -> Option<u32> {
    let text = reader.text(name);
    if text.is_empty() {
        return None;
    }
    let found = text.parse().ok().or_else(|| find(&text).ok().flatten());
    if found.is_none() {
        let why = format!("{}: it is not known on this host", quoted(&text));
        reader.refuse(
            name,
            Code::BadValue,
            why,
            "name another one, or leave it out",
        );
    }
    found
}

fn nova(reader: &mut Reader) -> NovaSettings {
    let secret = reader.text(SECRET);
    if secret.is_empty() {
        reader.warn(
            SECRET,
            Code::Missing,
            "it is empty, so anyone who reaches Nova's metadata API can be any instance there",
            "set it to Nova's [neutron] metadata_proxy_shared_secret",
        );
    }
    let protocol = match reader.text(default("nova_metadata_protocol")).as_str() {
        "https" => NovaProtocol::Https,
        _ => NovaProtocol::Http,
    };
    let insecure = reader.bool(default("nova_metadata_insecure"));
    if insecure && protocol == NovaProtocol::Https {
        reader.warn(
            default("nova_metadata_insecure"),
            Code::Unusual,
            "anyone can pretend to be Nova",
            "set auth_ca_cert, and this to false",
        );
    }
    let (cert, key) = ("nova_client_cert", "nova_client_priv_key");
    for (name, other) in [(cert, key), (key, cert)] {
        if reader.path(default(name)).is_some() && reader.path(default(other)).is_none() {
            reader.refuse(
                default(name),
                Code::Contradiction,
                format!("{other} is not set"),
                "set both or none",
            );
        }
    }
    NovaSettings {
        protocol,
        host: reader.text(default("nova_metadata_host")),
        port: reader.number(default("nova_metadata_port")),
        secret: Secret::new(&secret),
        insecure,
        ca: reader.path(default("auth_ca_cert")),
        client_cert: reader.path(default(cert)),
        client_key: reader.path(default(key)),
    }
}

/// Neutron's haproxy limits one version of IP only; here it can be both.
fn rate_limit(reader: &mut Reader) -> Option<RateLimit> {
    let enabled = reader.bool(rate("rate_limit_enabled"));
    let versions = reader.list(VERSIONS);
    if versions
        .iter()
        .any(|version| version != "4" && version != "6")
    {
        reader.refuse(
            VERSIONS,
            Code::BadValue,
            "there are but versions 4 and 6",
            "write 4, or 6, or 4,6",
        );
    }
    let has = |version: &str| versions.iter().any(|known| known == version);
    let limit = RateLimit {
        v4: has("4"),
        v6: has("6"),
        base: Window {
            requests: reader.number(rate("base_query_rate_limit")),
            duration: reader.seconds(rate("base_window_duration")),
        },
        burst: Window {
            requests: reader.number(rate("burst_query_rate_limit")),
            duration: reader.seconds(rate("burst_window_duration")),
        },
    };
    if enabled && !limit.v4 && !limit.v6 {
        reader.warn(
            VERSIONS,
            Code::Unusual,
            "it is empty, so no guest is limited",
            "write 4, or 6, or 4,6",
        );
    }
    (enabled && (limit.v4 || limit.v6)).then_some(limit)
}
