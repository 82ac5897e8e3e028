//! The words of the file that are written as text, and what is said about one that is none.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use uuid::Uuid;

use super::read::{Read, Reader, Value};
use crate::model::{DevName, Ipv6Mode, MacAddr, Protocol};

/// A word that is read from text: its kind, an example, and how.
macro_rules! text_words {
    ($($word:ty: $kind:literal, $example:literal, $parse:expr;)*) => {$(
        impl Read for $word {
            fn kind() -> String {
                $kind.to_owned()
            }

            fn example() -> String {
                $example.to_owned()
            }

            fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
                let text = reader.text::<Self>(value)?;
                let parse: fn(&str) -> Result<$word, Wrong> = $parse;
                match parse(text) {
                    Ok(word) => Some(word),
                    Err(Wrong(why)) => {
                        reader.bad_value::<Self>(value, why);
                        None
                    }
                }
            }
        }
    )*};
}
text_words! {
    String: "text", "\"some text\"", |text| Ok(text.to_owned());
    Name: "name", "\"blue\"", Name::new;
    Reference: "name or id", "\"blue\"", |text| Ok(Reference(text.to_owned()));
    AddressOrSubnet: "IP address or subnet name", "\"10.10.1.10\"", |text| Ok(AddressOrSubnet(text.to_owned()));
    Uuid: "UUID", "\"0d60a1cc-5d0e-4f5e-8f3c-3f3a6c1a7d11\"", |text| text.parse().map_err(|_| bad(text, "no UUID"));
    Ipv4Addr: "IPv4 address", "\"10.10.1.10\"", ipv4;
    IpAddr: "IP address", "\"192.0.2.1\"", ip;
    IpNet: "IP network", "\"10.10.1.0/24\"", ip_net;
    Destination: "IP network or \"default\"", "\"192.168.0.0/16\"", destination;
    Range: "IP range", "\"10.10.1.100-10.10.1.199\"", range;
    MacAddr: "MAC address", "\"fa:16:3e:00:00:01\"", mac;
    DevName: "device name", "\"eth1\"", |text| text.parse().map_err(|_| bad(text, "no device name (1 to 15 printable characters without '/' and ':')"));
    PathBuf: "path", "\"user-data.yaml\"", |text| match text { "" => Err(bad(text, "no path")), text => Ok(text.into()) };
    Domain: "DNS domain", "\"demo.warren\"", Domain::new;
    SearchDomain: "domain", "\"corp.example\"", SearchDomain::new;
    HostName: "host name", "\"web-1\"", HostName::new;
    PublicKeyLine: "public key", "\"ssh-ed25519 AAAAC3Nz... ada@demo\"", PublicKeyLine::new;
    Resolver: "IP address with or without port", "\"192.0.2.53\"", resolver;
    Url: "URL", "\"http://192.0.2.10:8775\"", url;
    Kind: "\"local\", \"flat\", \"vlan\" or \"vxlan\"", "\"vxlan\"", kind;
    Source: "\"file\" or \"nova\"", "\"file\"", source;
    Ipv6Mode: "\"slaac\", \"dhcpv6-stateful\" or \"dhcpv6-stateless\"", "\"slaac\"", ipv6_mode;
    Protocol: "\"tcp\", \"udp\", \"sctp\" or \"dccp\"", "\"tcp\"", protocol;
}

/// Why a text is not the word.
struct Wrong(String);

fn bad(text: &str, what: &str) -> Wrong {
    Wrong(format!("{text:?} is {what}"))
}

/// What a thing is called, here and in `warren show`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) String);

impl Name {
    fn new(text: &str) -> Result<Self, Wrong> {
        let fits = (1..=255).contains(&text.chars().count());
        if !fits || text.trim() != text || text.chars().any(char::is_control) {
            return Err(bad(
                text,
                "no name (1 to 255 characters, no control characters or outer spaces)",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Names something else in the file.
#[derive(Clone)]
pub(super) struct Reference(String);

/// As mistakes quote it.
impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Deref for Reference {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Just that, or one to be picked of there.
#[derive(Debug, Clone)]
pub(super) struct AddressOrSubnet(pub(super) String);

/// A route's destination.
#[derive(Debug, Clone, Copy)]
pub(super) enum Destination {
    Net(IpNet),
    /// Everything of the next hop's family.
    Default,
}

impl Destination {
    pub(super) fn by(self, hop: IpAddr) -> IpNet {
        match (self, hop) {
            (Self::Net(net), _) => net,
            (Self::Default, IpAddr::V4(_)) => IpNet::V4(Ipv4Net::default()),
            (Self::Default, IpAddr::V6(_)) => IpNet::V6(Ipv6Net::default()),
        }
    }
}

/// First and last address, of one family.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range(pub(super) IpAddr, pub(super) IpAddr);

/// Lower case, without trailing dot; may be empty.
#[derive(Debug, Clone)]
pub(super) struct Domain(pub(super) String);

/// The same, and not empty.
#[derive(Debug, Clone)]
pub(super) struct SearchDomain(pub(super) String);

/// One label (RFC 1123 section 2.1), lower case.
#[derive(Debug, Clone)]
pub(super) struct HostName(pub(super) String);

impl Domain {
    fn new(text: &str) -> Result<Self, Wrong> {
        let domain = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        // Room for a host's label and its dot (RFC 1035 section 2.3.4: 253 characters in all).
        if domain.is_empty() || domain.len() <= 189 && domain.split('.').all(is_label) {
            Ok(Self(domain))
        } else {
            Err(bad(
                text,
                "no DNS domain (labels of 1 to 63 letters, digits and hyphens, 189 characters in all)",
            ))
        }
    }
}

impl SearchDomain {
    fn new(text: &str) -> Result<Self, Wrong> {
        match Domain::new(text)?.0 {
            domain if domain.is_empty() => Err(bad(text, "no domain to look in")),
            domain => Ok(Self(domain)),
        }
    }
}

impl HostName {
    fn new(text: &str) -> Result<Self, Wrong> {
        let name = text.to_ascii_lowercase();
        if is_label(&name) {
            Ok(Self(name))
        } else {
            Err(bad(
                text,
                "no host name (1 to 63 letters, digits and hyphens)",
            ))
        }
    }

    /// From a free name, as Nova does (`utils.sanitize_hostname`); `None` if nothing is left.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let kept = name.chars().filter_map(|c| match c {
            ' ' | '_' | '.' => Some('-'),
            c if c.is_ascii_alphanumeric() || c == '-' => Some(c.to_ascii_lowercase()),
            _ => None,
        });
        let label: String = kept.skip_while(|c| *c == '-').take(63).collect();
        let label = label.trim_end_matches('-');
        (!label.is_empty()).then(|| Self(label.to_owned()))
    }
}

/// One line of `authorized_keys` (sshd(8)).
#[derive(Debug, Clone)]
pub(super) struct PublicKeyLine(pub(super) String);

impl PublicKeyLine {
    /// The key itself is not repeated to anyone: it might be a private one.
    fn new(text: &str) -> Result<Self, Wrong> {
        let line = text.trim();
        let types = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-", "webauthn-"];
        // Options may stand in front of the type.
        let mut words = line.split_whitespace();
        let typed = words.any(|word| types.iter().any(|start| word.starts_with(start)));
        let why = if line.contains("PRIVATE KEY") {
            "this is a private key, which must not leave its owner"
        } else if line.lines().count() != 1 {
            "a key is exactly one line"
        } else if !typed || words.next().is_none_or(|body| body.len() < 16) {
            "this is no public key"
        } else {
            return Ok(Self(line.to_owned()));
        };
        Err(Wrong(why.to_owned()))
    }
}

/// Underscores too: domains have them (`_srv`), and DNS does not mind.
fn is_label(label: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(legal)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// How a network leaves this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    Flat,
    Vlan,
    Vxlan,
}

/// Whose metadata instances get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    File,
    Nova,
}

/// A resolver's address; port 53 if none is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver(pub(super) SocketAddr);

/// `http` or `https`, a host, perhaps a port; nothing behind it.
#[derive(Debug, Clone)]
pub(super) struct Url(pub(super) hyper::Uri);

fn ip(text: &str) -> Result<IpAddr, Wrong> {
    match text.parse::<IpAddr>() {
        // The same address in two forms would be two.
        Ok(IpAddr::V6(ip)) if is_mapped(ip) => Err(bad(
            text,
            "an IPv4 address in IPv6's clothes: write it plainly",
        )),
        Ok(ip) => Ok(ip),
        Err(_) if text.contains('/') => Err(bad(
            text,
            "more than an address: leave the prefix length out",
        )),
        Err(_) => Err(bad(text, "no IP address")),
    }
}

/// Where there is no IPv6: addresses that are translated.
fn ipv4(text: &str) -> Result<Ipv4Addr, Wrong> {
    match ip(text)? {
        IpAddr::V4(ip) => Ok(ip),
        IpAddr::V6(_) => Err(bad(
            text,
            "an IPv6 address, and these are routed and never translated",
        )),
    }
}

fn is_mapped(ip: Ipv6Addr) -> bool {
    ip.to_ipv4_mapped().is_some()
}

fn ip_net(text: &str) -> Result<IpNet, Wrong> {
    match text.parse::<IpNet>() {
        Ok(net) if net.trunc() == net => Ok(net),
        Ok(net) => Err(Wrong(format!(
            "{text:?} has bits right of its prefix: did you mean {:?}?",
            net.trunc().to_string()
        ))),
        Err(_) if text.parse::<IpAddr>().is_ok() => {
            Err(bad(text, "an address without prefix length"))
        }
        Err(_) => Err(bad(text, "no IP network")),
    }
}

fn destination(text: &str) -> Result<Destination, Wrong> {
    match text {
        "default" => Ok(Destination::Default),
        text => ip_net(text).map(Destination::Net),
    }
}

fn range(text: &str) -> Result<Range, Wrong> {
    let Some((first, last)) = text.split_once('-') else {
        return Err(bad(text, "no range of two addresses with '-' between"));
    };
    let (first, last) = (ip(first.trim())?, ip(last.trim())?);
    if first.is_ipv4() != last.is_ipv4() {
        return Err(bad(text, "a range from one IP version to the other"));
    }
    if last < first {
        return Err(bad(text, "a range that ends before it begins"));
    }
    Ok(Range(first, last))
}

fn mac(text: &str) -> Result<MacAddr, Wrong> {
    // People copy them with hyphens and in capitals; they mean the same.
    let mac =
        MacAddr::from_str(&text.replace('-', ":")).map_err(|_| bad(text, "no MAC address"))?;
    match mac {
        MacAddr([0, 0, 0, 0, 0, 0]) => Err(bad(text, "the MAC address of nobody")),
        mac if mac.is_multicast() => Err(bad(
            text,
            "a group's MAC address, none of a device (its first byte is odd)",
        )),
        mac => Ok(mac),
    }
}

fn resolver(text: &str) -> Result<Resolver, Wrong> {
    let with_port = || {
        text.parse::<SocketAddr>()
            .ok()
            .filter(|address| address.port() != 0)
    };
    let address = text
        .parse::<IpAddr>()
        .map(|ip| SocketAddr::new(ip, 53))
        .ok();
    address
        .or_else(with_port)
        .map(Resolver)
        .ok_or_else(|| bad(text, "no address of a resolver"))
}

fn url(text: &str) -> Result<Url, Wrong> {
    let uri = text
        .parse::<hyper::Uri>()
        .map_err(|error| bad(text, &format!("no URL ({error})")))?;
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    if !http || !plain || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(bad(text, "not just http or https, a host and a port"));
    }
    Ok(Url(uri))
}

fn kind(text: &str) -> Result<Kind, Wrong> {
    match text {
        "local" => Ok(Kind::Local),
        "flat" => Ok(Kind::Flat),
        "vlan" => Ok(Kind::Vlan),
        "vxlan" => Ok(Kind::Vxlan),
        "gre" | "geneve" => Err(bad(text, "no type of network that warren makes")),
        _ => Err(bad(text, "no type of network")),
    }
}

fn source(text: &str) -> Result<Source, Wrong> {
    match text {
        "file" => Ok(Source::File),
        "nova" => Ok(Source::Nova),
        _ => Err(bad(text, "no source of metadata")),
    }
}

fn ipv6_mode(text: &str) -> Result<Ipv6Mode, Wrong> {
    match text {
        "slaac" => Ok(Ipv6Mode::Slaac),
        "dhcpv6-stateful" => Ok(Ipv6Mode::Stateful),
        "dhcpv6-stateless" => Ok(Ipv6Mode::Stateless),
        _ => Err(bad(text, "no IPv6 mode")),
    }
}

fn protocol(text: &str) -> Result<Protocol, Wrong> {
    match text {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        "dccp" => Ok(Protocol::Dccp),
        "icmp" => Err(bad(text, "a protocol without ports")),
        _ => Err(bad(text, "no protocol that can be forwarded")),
    }
}
