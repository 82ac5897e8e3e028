//! Lines of DNS: who is asked, what is kept, and what nobody may say.

use std::net::{IpAddr, SocketAddr};

use super::Told;
use super::remark::Remark;
use crate::plan::TextRecord;

/// dnsmasq keeps no more either.
const MOST_CACHED: usize = 10_000;

impl Told {
    /// `ip`, `ip#port`, `/domain/ip`, `/domain/other/ip#port`. False: it is none of these.
    pub(super) fn server(&mut self, text: &str) -> bool {
        let Some(text) = text.strip_prefix('/') else {
            self.forwarders.extend(address(text));
            return address(text).is_some();
        };
        let (domains, to) = text.rsplit_once('/').unwrap_or(("", text));
        let Some(to) = address(to) else { return false };
        let domains: Vec<String> = domains
            .split('/')
            .map(|domain| domain.trim_matches('.').to_ascii_lowercase())
            .collect();
        // Names without a dot, which an empty domain stands for, are the network's own.
        if domains.iter().any(String::is_empty) {
            return false;
        }
        let of_domains = domains.into_iter().map(|domain| (domain, to));
        self.domain_forwarders.extend(of_domains);
        true
    }

    pub(super) fn cache_size(&mut self, most: &str) -> Option<Remark> {
        let Ok(most) = most.parse::<usize>() else {
            return Some(Remark::refused(
                "this is no number of answers to keep",
                "write a number, 0 for none, or leave it out",
            ));
        };
        self.cache = most.min(MOST_CACHED);
        None
    }

    /// `/DOMAIN/DOMAIN/`, or one alone: their names may have any address.
    pub(super) fn rebind_domains(&mut self, text: &str) {
        let domains = text.split('/').map(|domain| domain.trim_matches('.'));
        let domains = domains.filter(|domain| !domain.is_empty());
        self.rebind
            .except
            .extend(domains.map(str::to_ascii_lowercase));
    }
}

/// `NAME[,TEXT]...`, as dnsmasq's `txt-record`; a comma inside of quotes belongs to the text.
pub(super) fn text_record(text: &str) -> Option<TextRecord> {
    let mut quoted = false;
    let parts = text.split(|letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    });
    let mut parts = parts.map(|part| part.trim().trim_matches('"'));
    let name = parts.next()?.trim_matches('.').to_ascii_lowercase();
    TextRecord::new(&name, parts)
}

/// `IP` or `IP#PORT`
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once('#').unwrap_or((text, "53"));
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    Some((ip.parse::<IpAddr>().ok()?, port).into())
}
