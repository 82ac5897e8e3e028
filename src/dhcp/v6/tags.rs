//! What is known of a client by what it says: the tags by which options are chosen.

use super::codes;
use super::request::Request;
use crate::model::{Class6, DhcpTag, MacAddr, When, begins};

/// The tags of one client; `mac` if that is known, `known` if its port is.
pub(super) fn tags<'a>(
    rules: &'a [DhcpTag],
    request: &Request<'_>,
    mac: Option<MacAddr>,
    known: bool,
) -> Vec<&'a str> {
    // As Neutron has dnsmasq look for it: `--dhcp-userclass=set:ipxe6,iPXE`.
    let is_ipxe = says_class(request, Class6::User, b"iPXE");
    let mut present: Vec<&str> = [("ipxe6", is_ipxe), ("known", known)]
        .into_iter()
        .filter_map(|(tag, holds)| holds.then_some(tag))
        .collect();
    for rule in rules {
        let holds = match &rule.when {
            When::Says { .. } => false,
            When::Says6 { code, sought } => {
                let value = request.option(*code);
                value.is_some_and(|value| sought.is_in(value))
            }
            When::Class6 { of, part } => says_class(request, *of, part),
            When::Mac(start) => mac.is_some_and(|mac| begins(&mac.0, start)),
            When::Tagged(tags) => tags.iter().all(|tag| tag.holds(&present)),
        };
        if holds {
            present.push(&rule.name);
        }
    }
    present
}

/// Whether one of the texts of this class has this in it.
fn says_class(request: &Request<'_>, of: Class6, part: &[u8]) -> bool {
    let has = |texts: &[u8]| {
        let mut texts = Texts(texts);
        texts.any(|text| text.windows(part.len().max(1)).any(|window| window == part))
    };
    match of {
        Class6::User => request.option(codes::USER_CLASS).is_some_and(has),
        Class6::Vendor(enterprise) => vendor_classes(request)
            .filter(|(of, _)| enterprise.is_none_or(|wanted| wanted == *of))
            .any(|(_, texts)| has(texts)),
    }
}

/// The enterprise of a client that boots over HTTP (UEFI 2.10 section 24.7), as it says it.
pub(super) fn boots_over_http(request: &Request<'_>) -> Option<u32> {
    let mut classes = vendor_classes(request);
    let http = classes.find(|(_, texts)| Texts(texts).any(|text| text.starts_with(HTTP_CLIENT)));
    http.map(|(enterprise, _)| enterprise)
}

/// What it says of itself, and wants to be told.
const HTTP_CLIENT: &[u8] = b"HTTPClient";

/// Enterprises and the texts that they gave (section 21.16).
fn vendor_classes<'a>(request: &Request<'a>) -> impl Iterator<Item = (u32, &'a [u8])> {
    let all = request.options(codes::VENDOR_CLASS);
    all.filter_map(|value| {
        let (enterprise, texts) = value.split_first_chunk()?;
        Some((u32::from_be_bytes(*enterprise), texts))
    })
}

/// Texts, each behind its length, up to the first that runs over the end.
struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        self.0 = rest;
        Some(text)
    }
}
