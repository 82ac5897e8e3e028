//! `dnsmasq_config_file`, `dnsmasq_dns_servers` and `dnsmasq_txt_record`: of what was told to dnsmasq, what is understood
//! here.
//!
//! `lines` which lines of the file mean something | `options` those of DHCP | `names` those of DNS | `remark` what is said
//! about the others.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use self::remark::Remark;
use super::problem::{Code, Place, Problem, Severity, quoted};
use super::reader::{Reader, default};
use crate::model::DhcpTag;
use crate::plan::{CommonOption, NoRebind, TextRecord, dns_cache};

mod lines;
mod names;
mod options;
mod remark;

#[cfg(test)]
mod tests;

const SERVERS: (&str, &str) = default("dnsmasq_dns_servers");
const FILE: (&str, &str) = default("dnsmasq_config_file");
const TEXT: (&str, &str) = default("dnsmasq_txt_record");

/// What was told to dnsmasq for all networks.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    /// Where names that are not the network's own are asked.
    pub(super) forwarders: Vec<SocketAddr>,
    /// And where those of certain domains.
    pub(super) domain_forwarders: Vec<(String, SocketAddr)>,
    pub(super) dhcp_options: Vec<CommonOption>,
    /// What clients are told apart by; those that depend on others come last, as in dnsmasq.
    pub(super) dhcp_tags: Vec<DhcpTag>,
    /// So many of their answers are kept.
    pub(super) cache: usize,
    stop_rebind: bool,
    rebind: NoRebind,
    pub(super) text: Option<Arc<TextRecord>>,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            forwarders: Vec::new(),
            domain_forwarders: Vec::new(),
            dhcp_options: Vec::new(),
            dhcp_tags: Vec::new(),
            cache: dns_cache(),
            stop_rebind: false,
            rebind: NoRebind::default(),
            text: None,
        }
    }
}

pub(super) fn told(reader: &mut Reader) -> Told {
    let mut told = Told::default();
    for text in reader.list(SERVERS) {
        if !told.server(&text) {
            reader.refuse(
                SERVERS,
                Code::BadValue,
                format!("{}: this is no resolver", quoted(&text)),
                "write IP, IP#PORT or /DOMAIN/IP, with commas between",
            );
        }
    }
    if let Some(path) = reader.path(FILE) {
        file(reader, &path, &mut told);
    }
    let text = reader.text(TEXT);
    if !text.is_empty() {
        told.text = names::text_record(&text).map(Arc::new);
        if told.text.is_none() {
            reader.refuse(
                TEXT,
                Code::BadValue,
                format!("{}: this is no TXT record", quoted(&text)),
                "write NAME or NAME,TEXT, with at most 255 bytes in each text",
            );
        }
    }
    DhcpTag::order(&mut told.dhcp_tags);
    let mut seen = BTreeSet::new();
    told.forwarders.retain(|address| seen.insert(*address));
    told
}

impl Told {
    /// Protection against DNS rebinding, if it was asked for.
    pub(super) fn no_rebind(&self) -> Option<Arc<NoRebind>> {
        self.stop_rebind.then(|| Arc::new(self.rebind.clone()))
    }
}

fn file(reader: &mut Reader, path: &Path, told: &mut Told) {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("{}: it can't be read: {error}", path.display());
            return reader.refuse(
                FILE,
                Code::Unreadable,
                why,
                "correct the path, or leave it out",
            );
        }
    };
    let path: Arc<Path> = path.into();
    for (number, line) in text.lines().enumerate() {
        let Some(Remark { severity, why, fix }) = told.line(line) else {
            continue;
        };
        let code = if severity == Severity::Ignored {
            Code::NoEffect
        } else {
            Code::NotServed
        };
        let option = line.split('=').next().unwrap_or_default().trim();
        reader.problems.push(Problem {
            place: Place::Line {
                path: path.clone(),
                line: number + 1,
            },
            severity,
            code,
            option: format!("dnsmasq's {}", quoted(option)),
            why: why.into(),
            fix: fix.into(),
        });
    }
}
