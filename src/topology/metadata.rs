//! What holds for the whole daemon: its settings, and where metadata comes from.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::check::{Check, open_regular};
use super::file::{self, all};
use super::limits::limits;
use super::mistake::{Code, Notes, Span};
use super::read::At;
use super::tags::tags;
use super::words::Source;
use crate::plan::{NoRebind, Settings};

/// Read or write for those who are neither owner nor group.
const OTHERS: u32 = 0o006;

/// Whose metadata instances get.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetadataSource {
    /// Ours, from the topology.
    #[default]
    File,
    Nova(Nova),
}

/// How to reach Nova. The files were there and readable when this was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nova {
    /// Scheme, host and port.
    #[serde(with = "uri_text")]
    pub url: hyper::Uri,
    /// Only owner and group could read it.
    pub shared_secret_file: PathBuf,
    /// `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate and key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The server's certificate is not looked at.
    pub insecure: bool,
}

/// A URI is text in JSON.
mod uri_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        uri: &hyper::Uri,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(uri)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<hyper::Uri, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

pub(super) fn settings(file: &file::File, notes: &mut Notes<'_>) -> Settings {
    let default = Settings::default();
    let seconds = |key: &Option<At<super::values::Seconds>>| key.as_ref().map(|time| time.value.0);
    let flag = |key: &Option<At<bool>>, default| key.as_ref().map_or(default, |flag| flag.value);
    let (renewal, rebinding) = (seconds(&file.lease_renewal), seconds(&file.lease_rebinding));
    let lease = seconds(&file.lease).unwrap_or(default.lease);
    // T1 < T2 < lease (RFC 2131 section 4.4.5); 1/2 and 7/8 of the lease where one is not said.
    let (t1, t2) = (
        renewal.unwrap_or(lease / 2),
        rebinding.unwrap_or(lease - lease / 8),
    );
    let said = file
        .lease_rebinding
        .as_ref()
        .or(file.lease_renewal.as_ref());
    if let Some(key) = said.filter(|_| t1 >= t2 || t2 >= lease) {
        let why = format!(
            "clients would renew after {t1} s, rebind after {t2} s, and lose the lease after {lease} s"
        );
        let fix = "keep lease_renewal < lease_rebinding < lease, or leave the first two out";
        notes.mistake(Code::BadValue, key.at, "topology", why, fix);
    }
    let metadata = file.metadata.as_ref().map(|metadata| &metadata.value);
    let in_metadata = |key: fn(&file::Metadata) -> &Option<At<bool>>, default| {
        metadata.map_or(default, |metadata| flag(key(metadata), default))
    };
    let port = metadata.and_then(|metadata| metadata.port.as_ref());
    Settings {
        lease,
        renewal,
        rebinding,
        broadcast_reply: flag(&file.dhcp_broadcast, default.broadcast_reply),
        dhcp_tags: tags(file, notes),
        host_resolvers: resolvers(file).unwrap_or_default(),
        dns_cache: file
            .dns_cache
            .as_ref()
            .and_then(|most| usize::try_from(most.value.0).ok())
            .unwrap_or(default.dns_cache),
        no_rebind: no_rebind(file, notes),
        authoritative_dns: flag(&file.dns_authoritative, default.authoritative_dns),
        joined_names: flag(&file.dns_joined, default.joined_names),
        metadata: crate::plan::Metadata {
            routed: in_metadata(|metadata| &metadata.routed, default.metadata.routed),
            isolated: in_metadata(|metadata| &metadata.isolated, default.metadata.isolated),
            network: default.metadata.network,
            force: in_metadata(|metadata| &metadata.force, default.metadata.force),
            port: port
                .and_then(|port| u16::try_from(port.value.0).ok())
                .unwrap_or(default.metadata.port),
            lookup: default.metadata.lookup,
        },
        plugging: default.plugging,
        random_fully: flag(&file.snat_random_ports, default.random_fully),
        advertise_without_router: flag(
            &file.advertise_without_router,
            default.advertise_without_router,
        ),
        limits: limits(file.limits.as_ref().map(|limits| &limits.value)),
        // The rest is Neutron's to say.
        ..default
    }
}

fn no_rebind(file: &file::File, notes: &mut Notes<'_>) -> Option<Arc<NoRebind>> {
    let on = file.dns_rebind_protection.as_ref();
    if let Some(allowed) = &file.dns_rebind_allowed
        && on.is_none_or(|on| !on.value)
    {
        let why = "`dns_rebind_allowed` makes exceptions from a protection that is off";
        let fix = "remove it, or say `dns_rebind_protection = true`";
        notes.mistake(Code::Misplaced, allowed.at, "topology", why, fix);
    }
    on.filter(|on| on.value).map(|_| {
        let allowed = all(&file.dns_rebind_allowed).iter();
        Arc::new(NoRebind {
            except: allowed.map(|domain| domain.0.clone()).collect(),
            loopback_ok: false,
        })
    })
}

/// `None`: the host's own.
pub(super) fn resolvers(file: &file::File) -> Option<Vec<SocketAddr>> {
    file.dns_resolvers.as_ref()?;
    Some(
        all(&file.dns_resolvers)
            .iter()
            .map(|resolver| resolver.0)
            .collect(),
    )
}

impl Check<'_, '_> {
    pub(super) fn metadata(&mut self, file: Option<&file::Metadata>) -> MetadataSource {
        let Some(file) = file else {
            return MetadataSource::File;
        };
        let source = file
            .source
            .as_ref()
            .map_or(Source::File, |source| source.value);
        let object = &file.object;
        if source == Source::File {
            let keys = [
                ("url", file.url.as_ref().map(|key| key.at)),
                (
                    "shared_secret_file",
                    file.shared_secret_file.as_ref().map(|key| key.at),
                ),
                ("ca_file", file.ca_file.as_ref().map(|key| key.at)),
                ("cert_file", file.cert_file.as_ref().map(|key| key.at)),
                ("key_file", file.key_file.as_ref().map(|key| key.at)),
                ("insecure", file.insecure.as_ref().map(|key| key.at)),
            ];
            for (key, at) in keys {
                if let Some(at) = at.filter(|_| !file.is_broken("source")) {
                    let why = format!("`{key}` is about Nova, but the source is this file");
                    self.mistake(
                        Code::Misplaced,
                        at,
                        object,
                        why,
                        "remove it, or say `source = \"nova\"`",
                    );
                }
            }
            return MetadataSource::File;
        }
        let needed = [
            ("url", file.url.is_none(), "\"http://192.0.2.10:8775\""),
            (
                "shared_secret_file",
                file.shared_secret_file.is_none(),
                "\"/etc/warren/metadata.secret\"",
            ),
        ];
        for (key, absent, example) in needed {
            if absent && !file.is_broken(key) {
                let why = format!("source \"nova\" needs `{key}`");
                self.mistake(
                    Code::MissingKey,
                    file.at,
                    object,
                    why,
                    format!("add `{key} = {example}`"),
                );
            }
        }
        let client = match (&file.cert_file, &file.key_file) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                let why = "a client certificate needs both `cert_file` and `key_file`";
                self.mistake(
                    Code::MissingKey,
                    one.at,
                    object,
                    why,
                    "add the other one, or remove this",
                );
                None
            }
        };
        let secret = file
            .shared_secret_file
            .as_ref()
            .map(|path| self.secret_file(path, object));
        let ca_file = file
            .ca_file
            .as_ref()
            .map(|path| self.readable_file(path, object));
        let client = client.map(|(cert, key)| {
            (
                self.readable_file(cert, object),
                self.secret_file(key, object),
            )
        });
        match (&file.url, secret) {
            (Some(url), Some(shared_secret_file)) => MetadataSource::Nova(Nova {
                url: url.value.0.clone(),
                shared_secret_file,
                ca_file,
                client,
                insecure: file
                    .insecure
                    .as_ref()
                    .is_some_and(|insecure| insecure.value),
            }),
            _ => MetadataSource::File,
        }
    }

    /// Not read here: who uses it reads it, once.
    fn readable_file(&mut self, path: &At<PathBuf>, object: &str) -> PathBuf {
        let full = self.file(path);
        if let Err(error) = open_regular(&full) {
            let why = format!("{} can't be read: {error}", full.display());
            self.unusable(path.at, object, why);
        }
        full
    }

    fn secret_file(&mut self, path: &At<PathBuf>, object: &str) -> PathBuf {
        let full = self.readable_file(path, object);
        if let Ok(found) = fs::metadata(&full) {
            if found.mode() & OTHERS != 0 {
                let why = format!(
                    "{} can be read or written by everyone (mode {:04o})",
                    full.display(),
                    found.mode() & 0o7777
                );
                let fix = format!("run: chmod o-rwx {}", full.display());
                self.mistake(Code::SecretOpen, path.at, object, why, fix);
            } else if found.is_file() && found.len() == 0 {
                self.unusable(path.at, object, format!("{} is empty", full.display()));
            }
        }
        full
    }

    fn unusable(&mut self, at: Span, object: &str, why: String) {
        let fix = "name a file that warren may read, relative to the topology file";
        self.mistake(Code::File, at, object, why, fix);
    }
}
