//! One line of dnsmasq's configuration, and what becomes of it.

use super::Told;
use super::remark::Remark;

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

impl Told {
    /// One line of dnsmasq's configuration: `option`, `option=value`, or a comment. What is to say about it.
    pub(super) fn line(&mut self, line: &str) -> Option<Remark> {
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
            "cache-size" => self.cache_size(value),
            "stop-dns-rebind" | "rebind-localhost-ok" if value.is_empty() => {
                self.stop_rebind |= name == "stop-dns-rebind";
                self.rebind.loopback_ok |= name == "rebind-localhost-ok";
                None
            }
            "rebind-domain-ok" => {
                self.rebind_domains(value);
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
                "leave it out, and name a TFTP server where the file is named: dhcp-boot=FILE,,IP",
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
}
