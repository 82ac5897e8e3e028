//! `dnsmasq_config_file`, `dnsmasq_dns_servers` and `dnsmasq_txt_record`: of what was told to dnsmasq, what is understood
//! here.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::problem::{Code, Place, Problem, Severity, quoted};
use super::reader::{Reader, default};
use crate::model::{DhcpOption, DhcpTag, When};
use crate::plan::{CommonOption, NoRebind, TextRecord, dns_cache};

const SERVERS: (&str, &str) = default("dnsmasq_dns_servers");
const FILE: (&str, &str) = default("dnsmasq_config_file");
const TEXT: (&str, &str) = default("dnsmasq_txt_record");

/// dnsmasq keeps no more either.
const MOST_CACHED: usize = 10_000;

/// Of dnsmasq's own running; without a meaning here.
const NO_EFFECT: &[&str] = &[
    "all-servers",
    "bind-dynamic",
    "bind-interfaces",
    "clear-on-reload",
    "dhcp-leasefile",
    "dhcp-lease-max",
    "dns-forward-max",
    "edns-packet-max",
    "enable-dbus",
    "except-interface",
    "group",
    "interface",
    "keep-in-foreground",
    "listen-address",
    "localise-queries",
    "max-cache-ttl",
    "max-port",
    "max-ttl",
    "min-port",
    "neg-ttl",
    "no-daemon",
    "no-dhcp-interface",
    "no-hosts",
    "no-negcache",
    "no-ping",
    "no-poll",
    "no-resolv",
    "pid-file",
    "port-limit",
    "query-port",
    "quiet-dhcp",
    "quiet-dhcp6",
    "quiet-ra",
    "strict-order",
    "user",
];

/// Of names that are no port's.
const NAMES: &[&str] = &[
    "addn-hosts",
    "address",
    "bogus-nxdomain",
    "bogus-priv",
    "cname",
    "domain-needed",
    "host-record",
    "interface-name",
    "local",
    "mx-host",
    "naptr-record",
    "ptr-record",
    "srv-host",
    "txt-record",
];

/// What Neutron itself passes to dnsmasq: known without being told (`agent/linux/dhcp.py: _build_cmdline_callback`).
const KNOWN: &[(&str, &str)] = &[
    ("dhcp-match", "set:ipxe,175"),
    ("dhcp-userclass", "set:ipxe6,iPXE"),
    // Who is no port of the network is never answered.
    ("dhcp-ignore", "tag:!known"),
];

/// Options that are told for each subnet, or each client; a line for all has no say there.
const OF_SUBNETS: &[u16] = &[1, 3, 6, 12, 28, 121, 249];
const OF_SUBNETS6: &[u16] = &[23];
const MTU: u16 = 26;

/// To dnsmasq they are the address that it answers from.
const OWN_ADDRESSES: &[&str] = &["0.0.0.0", "[::]", "[fe80::]", "[fd00::]"];

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
        told.text = text_record(&text).map(Arc::new);
        if told.text.is_none() {
            reader.refuse(
                TEXT,
                Code::BadValue,
                format!("{}: this is no TXT record", quoted(&text)),
                "write NAME or NAME,TEXT, with at most 255 bytes in each text",
            );
        }
    }
    told.dhcp_tags
        .sort_by_key(|tag| matches!(tag.when, When::Tagged(_)));
    let mut seen = BTreeSet::new();
    told.forwarders.retain(|address| seen.insert(*address));
    told
}

impl Told {
    /// Protection against DNS rebinding, if it was asked for.
    pub(super) fn no_rebind(&self) -> Option<Arc<NoRebind>> {
        self.stop_rebind.then(|| Arc::new(self.rebind.clone()))
    }

    /// `ip`, `ip#port`, `/domain/ip`, `/domain/other/ip#port`. False: it is none of these.
    fn server(&mut self, text: &str) -> bool {
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

    /// One line of dnsmasq's configuration: `option`, `option=value`, or a comment. What is to say about it.
    fn line(&mut self, line: &str) -> Option<Remark> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        // A comment needs a space before it: `server=192.0.2.1#5353` has none.
        let line = line.split(" #").next().unwrap_or_default();
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let (name, value) = (name.trim(), value.trim());
        match name {
            "server" if self.server(value) => None,
            "dhcp-option" | "dhcp-option-force" => self.option(value, name == "dhcp-option-force"),
            "dhcp-boot" => self.boot(value),
            "cache-size" => match value.parse::<usize>() {
                Ok(most) => {
                    self.cache = most.min(MOST_CACHED);
                    None
                }
                Err(_) => Some(Remark::refused(
                    "this is no number of answers to keep",
                    "write a number, 0 for none, or leave it out",
                )),
            },
            "stop-dns-rebind" | "rebind-localhost-ok" if value.is_empty() => {
                self.stop_rebind |= name == "stop-dns-rebind";
                self.rebind.loopback_ok |= name == "rebind-localhost-ok";
                None
            }
            "rebind-domain-ok" => {
                let domains = value.split('/').map(|domain| domain.trim_matches('.'));
                let domains = domains.filter(|domain| !domain.is_empty());
                self.rebind
                    .except
                    .extend(domains.map(str::to_ascii_lowercase));
                None
            }
            "domain" => Some(Remark::refused(
                "the domain is not taken from here",
                "leave it out, and set [DEFAULT] dns_domain",
            )),
            _ if NAMES.contains(&name) => Some(Remark::warning(
                "only ports have names here; all others are asked elsewhere",
                "leave it out, and let a resolver of dnsmasq_dns_servers know it",
            )),
            _ if name.starts_with("log-") || NO_EFFECT.contains(&name) => Some(Remark::NO_EFFECT),
            _ if KNOWN.contains(&(name, value)) => Some(Remark::NO_EFFECT),
            "pxe-service" | "pxe-prompt" | "dhcp-option-pxe" | "dhcp-pxe-vendor" => {
                Some(Remark::refused(
                    "no boot menus are shown",
                    "leave it out, and let the file that machines boot (dhcp-boot) show its own",
                ))
            }
            _ if name == "enable-tftp" || name.starts_with("tftp-") => Some(Remark::refused(
                "no files are served",
                "leave it out, and name a TFTP server: dhcp-option=option:server-ip-address,IP",
            )),
            "dhcp-match" | "dhcp-vendorclass" | "dhcp-userclass" | "dhcp-mac" | "tag-if" => {
                self.tags(name, value)
            }
            _ => Some(Remark::refused(
                "there is no dnsmasq, and this line is not understood",
                "leave it out; options for single instances can be their ports' extra_dhcp_opts",
            )),
        }
    }

    /// What clients with a tag have in common.
    fn tags(&mut self, name: &str, value: &str) -> Option<Remark> {
        if value.contains(",option6:") || value.contains(",enterprise:") {
            return Some(Remark::warning(
                "DHCPv6 clients are told apart by the tag ipxe6 alone",
                "leave it out",
            ));
        }
        let one = |tag| vec![tag];
        let tags = match name {
            "dhcp-match" => DhcpTag::parse_match(value).map(one),
            "dhcp-vendorclass" => DhcpTag::parse_vendor_class(value).map(one),
            "dhcp-userclass" => DhcpTag::parse_user_class(value).map(one),
            "dhcp-mac" => DhcpTag::parse_mac(value).map(one),
            _ => DhcpTag::parse_if(value),
        };
        match tags {
            Ok(tags) => {
                self.dhcp_tags.extend(tags);
                None
            }
            Err(why) => Some(Remark::refused(
                format!("{}: {why}", quoted(value)),
                "correct the line, or leave it out",
            )),
        }
    }

    /// `[tag:TAG,][option:]NAME,VALUE` or `[tag:TAG,]option6:NAME,VALUE`, as dnsmasq's `dhcp-option`.
    fn option(&mut self, text: &str, forced: bool) -> Option<Remark> {
        let (tags, rest) = prefixes(text);
        let (name, value) = rest.split_once(',').unwrap_or((rest, ""));
        // To dnsmasq it is the address that it answers from, but not inside of a vendor's options.
        let is_inner = tags.contains("vendor:") || tags.contains("encap:");
        let mut parts = value.split(',');
        if !is_inner && parts.any(|part| OWN_ADDRESSES.contains(&part.trim())) {
            return Some(Remark::refused(
                "0.0.0.0 and the like in place of our own address are not understood",
                "leave it out, or write the address",
            ));
        }
        let name = name.trim();
        let parsed = match name.strip_prefix("option6:") {
            Some(name) => DhcpOption::parse_v6(&format!("{tags}{name}"), value.trim()),
            None => {
                let name = name.trim_start_matches("option:");
                DhcpOption::parse_v4(&format!("{tags}{name}"), value.trim())
            }
        };
        let option = match parsed {
            Ok(option) => option,
            Err(error) => {
                return Some(Remark::refused(
                    error.to_string(),
                    "correct the line, or leave it out",
                ));
            }
        };
        let of_subnets = if option.ip_version == 4 {
            OF_SUBNETS
        } else {
            OF_SUBNETS6
        };
        let remark = match (option.ip_version, option.outer_code()) {
            (4, MTU) => Some(Remark::warning(
                "told to every client, whatever its network's own `mtu` is",
                "leave it out, and set the networks' mtu, or global_physnet_mtu at the server",
            )),
            (_, code) if of_subnets.contains(&code) => {
                return Some(Remark::warning(
                    "each subnet says this itself, or that there is none",
                    "leave it out; set the subnets' gateway_ip, dns_nameservers and host_routes, or dnsmasq_dns_servers",
                ));
            }
            _ => None,
        };
        self.dhcp_options.push(CommonOption { option, forced });
        remark
    }

    /// `[tag:TAG,]FILE[,SERVER[,ADDRESS]]`: three options at once. What a line leaves out, no other says in its place.
    fn boot(&mut self, text: &str) -> Option<Remark> {
        let (tags, rest) = prefixes(text);
        let names = ["bootfile-name", "tftp-server", "server-ip-address"];
        let values = rest.splitn(names.len(), ',').map(str::trim);
        let values = values.chain(std::iter::repeat(""));
        let told = names.iter().zip(values).map(|(name, value)| {
            if value.is_empty() {
                let blank = DhcpOption::blank_v4(&format!("{tags}{name}"));
                let forced = false;
                let blank = blank.map(|option| CommonOption { option, forced });
                // What is wrong with the tags is said of the value that is there.
                self.dhcp_options.extend(blank);
                return None;
            }
            self.option(&format!("{tags}{name},{value}"), false)
        });
        told.fold(None, Option::or)
    }
}

/// `NAME[,TEXT]...`, as dnsmasq's `txt-record`; a comma inside of quotes belongs to the text.
fn text_record(text: &str) -> Option<TextRecord> {
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

/// `tag:a,vendor:b,REST`: what stands in front, with its commas, and the rest.
fn prefixes(text: &str) -> (&str, &str) {
    const KINDS: [&str; 4] = ["tag:", "vendor:", "encap:", "vi-encap:"];
    let mut end = 0;
    while KINDS.iter().any(|kind| text[end..].starts_with(kind))
        && let Some(comma) = text[end..].find(',')
    {
        end += comma + 1;
    }
    text.split_at(end)
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

/// How bad a line is, why, and what to do.
#[derive(Debug, PartialEq)]
struct Remark {
    severity: Severity,
    why: Cow<'static, str>,
    fix: &'static str,
}

impl Remark {
    const NO_EFFECT: Self = Self {
        severity: Severity::Ignored,
        why: Cow::Borrowed("there is no dnsmasq"),
        fix: "",
    };

    fn warning(why: &'static str, fix: &'static str) -> Self {
        Self {
            severity: Severity::Warning,
            why: why.into(),
            fix,
        }
    }

    fn refused(why: impl Into<Cow<'static, str>>, fix: &'static str) -> Self {
        Self {
            severity: Severity::Refused,
            why: why.into(),
            fix,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use super::*;

    #[test]
    fn lines_of_dnsmasq_are_understood_or_not() {
        for (line, options, remark) in [
            ("", "", ""),
            ("  # log-queries", "", ""),
            ("log-queries", "", "Ignored"),
            ("log-facility=/var/log/dnsmasq.log", "", "Ignored"),
            ("no-resolv", "", "Ignored"),
            ("dhcp-option-force=26,1454", "26! 05ae", "Warning"),
            ("dhcp-option=option:mtu,1454", "26 05ae", "Warning"),
            ("dhcp-option=42,192.0.2.1", "42 c0000201", ""),
            (
                "dhcp-option = option:ntp-server,192.0.2.1,192.0.2.2 # ours",
                "42 c0000201c0000202",
                "",
            ),
            (
                "dhcp-option=tag:ipxe,67,http://a/b",
                "67[tag:ipxe] 687474703a2f2f612f62",
                "",
            ),
            ("dhcp-option=42,0.0.0.0", "", "Refused"),
            ("dhcp-option=option:router,10.0.0.1", "", "Warning"),
            ("dhcp-option=option:no-such,1", "", "Refused"),
            (
                "dhcp-option=vendor:PXEClient,1,0.0.0.0",
                "43/1 00000000",
                "",
            ),
            (
                "dhcp-option=tag:efi,encap:175,190,2b",
                "175/190[tag:efi] 02",
                "",
            ),
            ("dhcp-option=vendor:,6,2b", "", "Refused"),
            ("dhcp-option=vi-encap:343,1,x", "", "Refused"),
            ("dhcp-option=option6:dns-server,[::]", "", "Refused"),
            (
                "dhcp-option=option6:dns-server,[2001:db8::53]",
                "",
                "Warning",
            ),
            (
                "dhcp-option-force=option6:sntp-server,[2001:db8::1]",
                "31!v6 20010db8000000000000000000000001",
                "",
            ),
            (
                "dhcp-option=tag:ipxe6,option6:59,http://a/b",
                "59v6[tag:ipxe6] 687474703a2f2f612f62",
                "",
            ),
            ("dhcp-option=option6:no-such,1", "", "Refused"),
            (
                "dhcp-boot=tag:!ipxe,undionly.kpxe,boot,192.0.2.9",
                "67[tag:!ipxe] 756e64696f6e6c792e6b707865, 66[tag:!ipxe] 626f6f74, 255[tag:!ipxe] c0000209",
                "",
            ),
            (
                "dhcp-boot=pxelinux.0",
                "67 7078656c696e75782e30, 66 , 255 ",
                "",
            ),
            ("dhcp-match=set:ipxe,175", "", "Ignored"),
            ("pxe-service=x86PC,\"Install\",pxelinux", "", "Refused"),
            ("tftp-root=/srv/tftp", "", "Refused"),
            ("dhcp-ignore=tag:!known", "", "Ignored"),
            ("dhcp-ignore=tag:efi", "", "Refused"),
            ("dhcp-match=set:efi,option:client-arch,7", "efi", ""),
            ("dhcp-match=set:efi,option:client-arch,x86", "", "Refused"),
            ("dhcp-match=set:efi6,option6:61,7", "", "Warning"),
            ("dhcp-vendorclass=set:http,HTTPClient", "http", ""),
            (
                "dhcp-vendorclass=set:http,enterprise:343,HTTPClient",
                "",
                "Warning",
            ),
            ("dhcp-userclass=set:ipxe6,iPXE", "", "Ignored"),
            ("dhcp-userclass=set:lab,lab", "lab", ""),
            ("dhcp-mac=set:qemu,52:54:00:*:*:*", "qemu", ""),
            ("tag-if=set:both,set:all,tag:a,tag:!b", "both, all", ""),
            ("tag-if=tag:a", "", "Refused"),
            ("address=/intranet/192.0.2.5", "", "Warning"),
            ("domain=example.org", "", "Refused"),
            ("conf-dir=/etc/dnsmasq.d", "", "Refused"),
            ("server=192.0.2.1@eth0", "", "Refused"),
            ("nonsense", "", "Refused"),
        ] {
            let mut told = Told::default();
            let said = told
                .line(line)
                .map(|remark| format!("{:?}", remark.severity));
            assert_eq!(said.unwrap_or_default(), remark, "{line}");
            let shown = told
                .dhcp_options
                .iter()
                .map(|CommonOption { option, forced }| {
                    let tags: String = option.tags.iter().map(|tag| format!("[{tag}]")).collect();
                    let forced = if *forced { "!" } else { "" };
                    let version = if option.ip_version == 6 { "v6" } else { "" };
                    let outer = option.within.as_ref().map(|_| option.outer_code());
                    let outer = outer.map_or(String::new(), |outer| format!("{outer}/"));
                    format!(
                        "{outer}{}{forced}{version}{tags} {}",
                        option.code,
                        hex::encode(&option.value)
                    )
                });
            let shown = shown.chain(told.dhcp_tags.iter().map(|tag| tag.name.clone()));
            assert_eq!(shown.collect::<Vec<_>>().join(", "), options, "{line}");
        }
    }

    #[test]
    fn lines_about_dns_itself() {
        for (lines, cache, rebind) in [
            (&["no-hosts"][..], 150, None),
            (&["cache-size=0"], 0, None),
            (&["cache-size=20000"], 10_000, None),
            (&["rebind-localhost-ok"], 150, None),
            (&["stop-dns-rebind"], 150, Some((false, &[][..]))),
            (
                &[
                    "stop-dns-rebind",
                    "rebind-localhost-ok",
                    "rebind-domain-ok=/Corp.example/b.test./",
                    "rebind-domain-ok=c.test",
                ],
                150,
                Some((true, &["corp.example", "b.test", "c.test"])),
            ),
        ] {
            let mut told = Told::default();
            for line in lines {
                let remark = told.line(line);
                let ignored = remark.is_none_or(|remark| remark.severity == Severity::Ignored);
                assert!(ignored, "{line}");
            }
            assert_eq!(told.cache, cache, "{lines:?}");
            let got = told.no_rebind();
            let got = got
                .as_ref()
                .map(|rule| (rule.loopback_ok, rule.except.clone()));
            let want =
                rebind.map(|(ok, except)| (ok, except.iter().map(ToString::to_string).collect()));
            assert_eq!(got, want, "{lines:?}");
        }
        for line in ["cache-size=many", "stop-dns-rebind=yes"] {
            let remark = Told::default().line(line).unwrap();
            assert_eq!(remark.severity, Severity::Refused, "{line}");
        }
    }

    #[test]
    fn a_text_record_has_a_name_and_texts() {
        for (text, want) in [
            ("alive.test", Some(("alive.test", &b"\0"[..]))),
            ("Alive.Test.,yes", Some(("alive.test", b"\x03yes"))),
            ("a.b,x, \"y,z\"", Some(("a.b", b"\x01x\x03y,z"))),
            (",x", None),
            ("a..b,x", None),
        ] {
            let got = text_record(text);
            let got = got.as_ref().map(|text| (&*text.name, &*text.data));
            assert_eq!(got, want, "{text}");
        }
        assert_eq!(text_record(&format!("a,{}", "x".repeat(256))), None);
    }

    #[test]
    fn resolvers_are_for_all_names_or_for_a_domains() {
        for (text, want) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1#5353", "192.0.2.1:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("/Example.org/192.0.2.1", "example.org 192.0.2.1:53"),
            (
                "/a.org/b.org./192.0.2.1#54",
                "a.org 192.0.2.1:54, b.org 192.0.2.1:54",
            ),
            ("192.0.2.1#0", "no"),
            ("192.0.2.1@eth0", "no"),
            ("//192.0.2.1", "no"),
            ("/example.org/", "no"),
            ("/example.org", "no"),
            ("example.org", "no"),
        ] {
            let mut told = Told::default();
            let is_one = told.server(text);
            let all = told.forwarders.iter().map(SocketAddr::to_string);
            let own = told.domain_forwarders.iter();
            let own = own.map(|(domain, to)| format!("{domain} {to}"));
            let shown = all.chain(own).collect::<Vec<_>>().join(", ");
            let shown = if is_one { shown } else { format!("{shown}no") };
            assert_eq!(shown, want, "{text}");
        }
    }
}
