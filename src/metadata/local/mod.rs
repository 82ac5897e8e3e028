//! The embedded source: what Nova would tell a machine about itself, from the model alone.
//!
//! [`answer`] is pure. The OpenStack tree is in `openstack`, its network part in `network_data`, the EC2 tree in `ec2`.
//! Real cloud-init must boot from these: every name that a listing shows answers 200.

mod ec2;
mod network_data;
mod openstack;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use hyper::{Method, StatusCode};

use super::path;
use crate::model::{Instance, Port, State};

/// One request of a guest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) method: &'a Method,
    /// As received, without query.
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
}

/// What there is to tell: the machine, and the port that it asks from.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) port: &'a Port,
    pub(super) instance: &'a Instance,
    /// What the machine left under `password`.
    pub(super) password: Option<&'a [u8]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    /// To be kept as the machine's password, unless it has one by now.
    pub(super) password: Option<Bytes>,
}

/// A file of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leaf {
    content_type: &'static str,
    body: Bytes,
}

const LISTING: &str = "text/plain; charset=UTF-8";
const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

/// Answers one request. `seed` is asked for 512 random bytes where the answer holds some.
pub(super) fn answer(
    question: Question<'_>,
    view: View<'_>,
    seed: impl FnOnce() -> [u8; 512],
) -> Answer {
    let Some(names) = path::names(question.path) else {
        return refuse(StatusCode::NOT_FOUND);
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if let ["openstack", version, "password"] = names[..] {
        return openstack::password(version, question, view.password);
    }
    let found = match names[..] {
        ["openstack", ref rest @ ..] => openstack::find(rest, view, seed),
        ["ec2", ref rest @ ..] | ref rest => ec2::find(rest, view),
    };
    match found {
        None => refuse(StatusCode::NOT_FOUND),
        Some(_) if ![Method::GET, Method::HEAD].contains(question.method) => {
            refuse(StatusCode::METHOD_NOT_ALLOWED)
        }
        Some(leaf) => leaf.into(),
    }
}

/// An error's body is for people: tools look at the code.
fn refuse(status: StatusCode) -> Answer {
    Answer {
        status,
        content_type: TEXT,
        body: Bytes::from_static(status.canonical_reason().unwrap_or_default().as_bytes()),
        password: None,
    }
}

impl Leaf {
    /// One name per line, and no line end behind the last.
    fn listing<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        Self {
            content_type: LISTING,
            body: names.join("\n").into(),
        }
    }

    fn json(content_type: &'static str, value: &serde_json::Value) -> Self {
        Self {
            content_type,
            body: value.to_string().into(),
        }
    }

    /// User data is served as it was given: it may be compressed.
    fn raw(bytes: &[u8]) -> Self {
        Self {
            content_type: TEXT,
            body: Bytes::copy_from_slice(bytes),
        }
    }
}

impl From<Leaf> for Answer {
    fn from(leaf: Leaf) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: leaf.content_type,
            body: leaf.body,
            password: None,
        }
    }
}

/// The machine's name with the domain of its first network: the name that DNS knows it by.
fn full_hostname(view: View<'_>) -> String {
    let instance = view.instance;
    let network = instance
        .ports
        .first()
        .and_then(|(network, _)| view.state.networks.get(network));
    match network {
        Some(network) if !network.dns_domain.is_empty() => {
            format!("{}.{}", instance.hostname, network.dns_domain)
        }
        _ => instance.hostname.clone(),
    }
}

/// The machine's ports that the model has, in the order of its devices.
fn ports(view: View<'_>) -> impl Iterator<Item = &Port> {
    let known = |(network, port)| view.state.port(network, port).map(AsRef::as_ref);
    view.instance.ports.iter().copied().filter_map(known)
}
