//! Each thing that can be wrong with a topology file, and the one line that says so.
#![allow(clippy::unwrap_used)] // A test that can't make its files has failed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use warren::topology::{Code, Mistake, Severity, check};

/// Enough for everything that refers to something.
const BASE: &str = r#"
[[network]]
name = "blue"
[[network.subnet]]
cidr = "10.10.1.0/24"

[[network]]
name = "green"
[[network.subnet]]
cidr = "10.10.2.0/24"

[[network]]
name = "outside"
external = true
[[network.subnet]]
cidr = "203.0.113.0/24"

[[instance]]
name = "web"
[[instance.port]]
network = "blue"
addresses = ["10.10.1.11"]

[[router]]
name = "r1"
interfaces = ["blue", "green"]
gateway = { network = "outside", address = "203.0.113.10" }
"#;

/// `‸` marks where the mistake is; it is no part of the file.
fn mistakes_of(marked: &str) -> (Option<(usize, usize)>, Vec<Mistake>) {
    let place = marked.find('‸').map(|at| {
        let before = &marked[..at];
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |line| line.chars().count());
        (before.matches('\n').count() + 1, column + 1)
    });
    let text = marked.replace('‸', "");
    let mistakes = match check(&text, Path::new("dir/net.toml")) {
        Ok(topology) => topology.warnings,
        Err(mistakes) => mistakes,
    };
    (place, mistakes)
}

/// What is wrong, the file, the code, and words of the text.
type Row<'r> = (&'r str, &'r str, Code, &'r [&'r str]);

/// Each row is exactly one mistake, at its mark.
fn one_mistake_each(base: &str, rows: &[Row<'_>]) {
    let failed: Vec<String> = rows
        .iter()
        .filter_map(|row| judge(base, row).err())
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn judge(base: &str, (name, snippet, code, words): &Row<'_>) -> Result<(), String> {
    let (place, mistakes) = mistakes_of(&format!("{base}{snippet}"));
    let shown: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    let [mistake] = mistakes.as_slice() else {
        return Err(format!("{name}: exactly one mistake, not {shown:#?}"));
    };
    let text = &shown[0];
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    if mistake.code != *code || Some((mistake.line, mistake.column)) != place || !missing.is_empty()
    {
        return Err(format!(
            "{name}: {code} at {place:?} without missing {missing:?}: {text}"
        ));
    }
    Ok(())
}

#[test]
fn the_base_is_good() {
    assert_eq!(mistakes_of(BASE).1, vec![]);
}

#[test]
fn syntax() {
    one_mistake_each(
        "",
        &[
            (
                "text without quotes",
                "[[network]]\nname = ‸blue\n",
                Code::Syntax,
                &["quotes"],
            ),
            (
                "an address without quotes",
                "[[network]]\nname = \"b\"\ngateway = 10.0‸.0.1\n",
                Code::Syntax,
                &["quotes"],
            ),
            (
                "an open text",
                "[[network]]\nname = \"blue‸\n",
                Code::Syntax,
                &["expected `\"`"],
            ),
            (
                "a list that never ends",
                "[[router]]\nname = \"r\"\ninterfaces = ‸[\"a\",\n\"b\"\n[[network]]\nname = \"b\"\n",
                Code::Syntax,
                &["never closed"],
            ),
            (
                "a table that never ends",
                "[[router]]\nname = \"r\"\ngateway = ‸{ network = \"a\"\n",
                Code::Syntax,
                &["never closed"],
            ),
            (
                "a header that never ends",
                "[[router‸\nname = \"r\"\n",
                Code::Syntax,
                &["unclosed"],
            ),
            (
                "a key twice",
                "[[router]]\nname = \"r\"\n‸name = \"s\"\n",
                Code::Syntax,
                &["duplicate key"],
            ),
            (
                "a key alone",
                "[[router]]\nname‸\n",
                Code::Syntax,
                &["expected `=`"],
            ),
        ],
    );
}

/// What is whole in a broken file is judged too, and nothing is invented about the rest.
#[test]
fn syntax_and_more() {
    let (_, mistakes) = mistakes_of(
        "[[network]]\nname = blue\nmtu = 15\ncolour = 1\n[[router]]\nname = \"r\"\ninterfaces = [\"blue\"\n",
    );
    let found: Vec<_> = mistakes
        .iter()
        .map(|mistake| (mistake.line, mistake.code))
        .collect();
    assert_eq!(
        found,
        [
            (2, Code::Syntax),
            (3, Code::BadValue),
            (4, Code::UnknownKey),
            (7, Code::Syntax)
        ]
    );
}

#[test]
fn shape() {
    one_mistake_each(
        "",
        &[
            (
                "a misspelled key",
                "‸dns_domian = \"x\"\n",
                Code::UnknownKey,
                &["did you mean `dns_domain`"],
            ),
            (
                "Neutron's word",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\n‸enable_dhcp = true\n",
                Code::UnknownKey,
                &["did you mean `dhcp`"],
            ),
            (
                "a key below the wrong header",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\n‸mtu = 1500\n",
                Code::UnknownKey,
                &["key of network: move it above network.subnet"],
            ),
            (
                "a key above its header",
                "‸mtu = 1500\n",
                Code::UnknownKey,
                &["key of `network`"],
            ),
            (
                "a key too high",
                "[[network]]\nname = \"b\"\n‸cidr = \"10.0.0.0/24\"\n",
                Code::UnknownKey,
                &["key of `subnet`"],
            ),
            (
                "a key of nothing",
                "[[network]]\nname = \"b\"\n‸colour = \"blue\"\n",
                Code::UnknownKey,
                &["use one of: name, id"],
            ),
            (
                "another plural",
                "[[‸networks]]\nname = \"b\"\n",
                Code::UnknownKey,
                &["did you mean `network`"],
            ),
            (
                "single brackets",
                "‸[network]\nname = \"b\"\n",
                Code::WrongType,
                &["[[network]] with double brackets"],
            ),
            (
                "single brackets below",
                "[[network]]\nname = \"b\"\n‸[network.subnet]\ncidr = \"10.0.0.0/24\"\n",
                Code::WrongType,
                &["[[network.subnet]] with double brackets"],
            ),
            (
                "names for tables",
                "network = ‸[\"blue\"]\n",
                Code::WrongType,
                &["[[network]] with double brackets"],
            ),
            (
                "text for a number",
                "[[network]]\nname = \"b\"\nmtu = ‸\"1500\"\n",
                Code::WrongType,
                &["network \"b\": `mtu` is text", "number 576 to 65535"],
            ),
            (
                "a number for text",
                "[[network]]\nname = ‸5\n",
                Code::WrongType,
                &["`name` is a number"],
            ),
            (
                "one for a list",
                "dns_resolvers = ‸\"192.0.2.1\"\n",
                Code::WrongType,
                &["`dns_resolvers` is text", "[\"192.0.2.53\"]"],
            ),
            (
                "a name is missing",
                "‸[[network]]\nmtu = 1500\n",
                Code::MissingKey,
                &["network 1: `name` is missing"],
            ),
            (
                "a cidr is missing",
                "[[network]]\nname = \"b\"\n‸[[network.subnet]]\ndhcp = true\n",
                Code::MissingKey,
                &["network \"b\", subnet 1", "cidr = "],
            ),
        ],
    );
}

#[test]
fn words() {
    one_mistake_each(
        "",
        &[
            (
                "an empty name",
                "[[network]]\nname = ‸\"\"\n",
                Code::BadValue,
                &["no name"],
            ),
            (
                "an MTU too small",
                "[[network]]\nname = \"b\"\nmtu = ‸68\n",
                Code::BadValue,
                &["68 is out of range", "576 to 65535"],
            ),
            (
                "an MTU too large",
                "[[network]]\nname = \"b\"\nmtu = ‸65_536\n",
                Code::BadValue,
                &["65536 is out of range"],
            ),
            (
                "a negative MTU",
                "[[network]]\nname = \"b\"\nmtu = ‸-1\n",
                Code::BadValue,
                &["-1 is out of range"],
            ),
            (
                "a number beyond numbers",
                "[[network]]\nname = \"b\"\nmtu = ‸99999999999999999999\n",
                Code::BadValue,
                &["out of range"],
            ),
            (
                "VLAN 0",
                "[[network]]\nname = \"b\"\ntype = \"vlan\"\ndevice = \"eth1\"\ntag = ‸0\n",
                Code::BadValue,
                &["1 to 4094"],
            ),
            (
                "VLAN 4095",
                "[[network]]\nname = \"b\"\ntype = \"vlan\"\ndevice = \"eth1\"\ntag = ‸4095\n",
                Code::BadValue,
                &["1 to 4094"],
            ),
            (
                "a VNI of 25 bits",
                "[[network]]\nname = \"b\"\ntype = \"vxlan\"\nremotes = [\"192.0.2.1\"]\nvni = ‸16777216\n",
                Code::BadValue,
                &["1 to 16777215"],
            ),
            (
                "a type that is none",
                "[[network]]\nname = \"b\"\ntype = ‸\"gre\"\n",
                Code::BadValue,
                &["vxlan"],
            ),
            (
                "a bridge's name too long",
                "[[network]]\nname = \"b\"\nbridge = ‸\"sixteen-letters-\"\n",
                Code::BadValue,
                &["1 to 15"],
            ),
            (
                "no UUID",
                "[[network]]\nname = \"b\"\nid = ‸\"1\"\n",
                Code::BadValue,
                &["no UUID"],
            ),
            (
                "no cidr",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = ‸\"blue\"\n",
                Code::BadValue,
                &["no IP network"],
            ),
            (
                "an address for a cidr",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = ‸\"10.0.0.1\"\n",
                Code::BadValue,
                &["without prefix length"],
            ),
            (
                "a cidr with host bits",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = ‸\"10.0.0.1/24\"\n",
                Code::BadValue,
                &["did you mean \"10.0.0.0/24\""],
            ),
            (
                "a network of links",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = ‸\"fe80::/64\"\n",
                Code::Unusable,
                &["no network that hosts"],
            ),
            (
                "an IPv6 gateway",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\ngateway = ‸\"fe80::1\"\n",
                Code::OutsideSubnet,
                &["leads out of no 10.0.0.0/24"],
            ),
            (
                "a mode of IPv6 for IPv4",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\nipv6_ra_mode = ‸\"slaac\"\n",
                Code::Misplaced,
                &["on an IPv4 subnet"],
            ),
            (
                "a mode without DHCP",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"fd00::/64\"\ndhcp = false\nipv6_address_mode = ‸\"slaac\"\n",
                Code::Misplaced,
                &["not served"],
            ),
            (
                "two modes",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"fd00::/64\"\nipv6_ra_mode = \"slaac\"\nipv6_address_mode = ‸\"dhcpv6-stateful\"\n",
                Code::Misplaced,
                &["two ways"],
            ),
            (
                "SLAAC in no /64",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"fd00::/80\"\nipv6_ra_mode = ‸\"slaac\"\n",
                Code::Misplaced,
                &["64 bits"],
            ),
            (
                "no mode",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"fd00::/64\"\nipv6_ra_mode = ‸\"stateful\"\n",
                Code::BadValue,
                &["no IPv6 mode"],
            ),
            (
                "IPv6 where no packet of it fits",
                "[[network]]\nname = \"b\"\nmtu = 1000\n[[network.subnet]]\ncidr = ‸\"fd00::/64\"\n",
                Code::Unusable,
                &["1280"],
            ),
            (
                "a name server of the other version",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"fd00::/64\"\ndns_servers = [‸\"192.0.2.53\"]\n",
                Code::Misplaced,
                &["told to nobody"],
            ),
            (
                "a route that DHCPv6 could not tell",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"fd00::/64\"\nhost_routes = [{ to = \"fd01::/64\", via = ‸\"fd00::9\" }]\n",
                Code::Misplaced,
                &["IPv4 clients only"],
            ),
            (
                "a range backwards",
                "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\nallocation = [‸\"10.0.0.9-10.0.0.2\"]\n",
                Code::BadValue,
                &["ends before it begins"],
            ),
            (
                "a time that is none",
                "lease = ‸\"1 day\"\n",
                Code::BadValue,
                &["seconds, or a number with s, m, h, d or w"],
            ),
            ("no time at all", "lease = ‸0\n", Code::BadValue, &["time"]),
            (
                "a renewal after the lease",
                "lease = 100\nlease_rebinding = ‸\"2m\"\n",
                Code::BadValue,
                &["rebind after 120 s", "lose the lease after 100 s"],
            ),
            (
                "a domain that is none",
                "dns_domain = ‸\"a..b\"\n",
                Code::BadValue,
                &["no DNS domain"],
            ),
            (
                "a search list of nothing",
                "dns_search = [‸\"\"]\n",
                Code::BadValue,
                &["no domain to look in"],
            ),
            (
                "a search list that is too long",
                "dns_search = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", ‸\"g\"]\n",
                Code::BadValue,
                &["has 7 domains", "at most 6"],
            ),
            (
                "a cache that is too large",
                "dns_cache = ‸10001\n",
                Code::BadValue,
                &["10001 is out of range"],
            ),
            (
                "exceptions from no protection",
                "dns_rebind_allowed = ‸[\"a\"]\n",
                Code::Misplaced,
                &["a protection that is off"],
            ),
            (
                "a resolver that is none",
                "dns_resolvers = [‸\"dns.example\"]\n",
                Code::BadValue,
                &["no address of a resolver"],
            ),
        ],
    );
    one_mistake_each(
        BASE,
        &[
            (
                "a host name that is none",
                "[[instance]]\nname = \"x\"\nhostname = ‸\"a b\"\n[[instance.port]]\nnetwork = \"blue\"\n",
                Code::BadValue,
                &["no host name"],
            ),
            (
                "a name that makes no host name",
                "‸[[instance]]\nname = \"日本\"\n[[instance.port]]\nnetwork = \"blue\"\n",
                Code::MissingKey,
                &["hostname"],
            ),
            (
                "no MAC",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\nmac = ‸\"fa:16:3e\"\n",
                Code::BadValue,
                &["no MAC address"],
            ),
            (
                "a group's MAC",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\nmac = ‸\"01:00:5e:00:00:01\"\n",
                Code::BadValue,
                &["group"],
            ),
            (
                "no key",
                "[[instance]]\nname = \"x\"\nkeys = [‸\"~/.ssh/id_ed25519.pub\"]\n[[instance.port]]\nnetwork = \"blue\"\n",
                Code::BadValue,
                &["no public key"],
            ),
            (
                "an option that is none",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\ndhcp_options = { colour = ‸\"blue\" }\n",
                Code::BadValue,
                &["colour"],
            ),
            (
                "an option's bad value",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\ndhcp_options = [{ name = \"ntp-server\", value = ‸\"now\" }]\n",
                Code::BadValue,
                &["ntp-server", "IPv4"],
            ),
            (
                "a client id of everybody",
                "[[network]]\nname = \"x\"\ndhcp_options = ‸{ client-id = \"me\" }\n",
                Code::Misplaced,
                &["client-id", "single machine"],
            ),
            (
                "name servers of DHCPv6 for everybody",
                "[[network]]\nname = \"a\"\ndhcp_options = ‸{ \"option6:dns-server\" = \"2001:db8::53\" }\n",
                Code::Misplaced,
                &["option 23 is told for each subnet"],
            ),
            (
                "a tag by an option that DHCPv6 has not",
                "[[dhcp_tag]]\nname = \"efi\"\noption = ‸\"option6:client-arc\"\nvalue = 7\n",
                Code::BadValue,
                &["no option of this name", "client-arch"],
            ),
            (
                "a router for everybody",
                "[[network]]\nname = \"x\"\ndhcp_options = ‸{ router = \"10.0.0.1\" }\n",
                Code::Misplaced,
                &["option 3", "`gateway`"],
            ),
            (
                "an option inside of none",
                "[[network]]\nname = \"x\"\ndhcp_options = { \"vendor:PXEClient,menu\" = ‸\"x\" }\n",
                Code::BadValue,
                &["vendor:PXEClient,menu", "has a number"],
            ),
            (
                "a tag that nobody has",
                "[[network]]\nname = \"x\"\ndhcp_options = { \"tag:efi,67\" = ‸\"x\" }\n",
                Code::Unusual,
                &["\"efi\"", "dhcp_tag"],
            ),
            (
                "a tag of nobody",
                "‸[[dhcp_tag]]\nname = \"efi\"\n",
                Code::MissingKey,
                &["who has this tag", "vendor_class"],
            ),
            (
                "a tag in two ways",
                "[[dhcp_tag]]\nname = \"efi\"\noption = 93\nmac = ‸\"52:54:00\"\n",
                Code::Misplaced,
                &["keep one of them"],
            ),
            (
                "a value of no option",
                "[[dhcp_tag]]\nname = \"efi\"\nvalue = ‸7\nmac = \"52:54:00\"\n",
                Code::Misplaced,
                &["`value`", "which option"],
            ),
            (
                "a tag by no option",
                "[[dhcp_tag]]\nname = \"efi\"\noption = ‸\"client-arc\"\nvalue = 7\n",
                Code::BadValue,
                &["client-arch"],
            ),
            (
                "a tag by no architecture",
                "[[dhcp_tag]]\nname = \"efi\"\noption = ‸93\nvalue = \"x86\"\n",
                Code::BadValue,
                &["takes a number"],
            ),
            (
                "a tag that is none",
                "[[dhcp_tag]]\nname = \"e f i\"\nmac = ‸\"52:54:00\"\n",
                Code::BadValue,
                &["is no tag"],
            ),
            (
                "an option of no DHCP",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\ndhcp_options = [{ name = \"59\", value = \"x\", ip_version = ‸5 }]\n",
                Code::BadValue,
                &["5 is no version"],
            ),
            (
                "a port 0",
                "[[router.port_forwarding]]\nexternal_port = ‸0\ninstance = \"web\"\n",
                Code::BadValue,
                &["no port"],
            ),
            (
                "a protocol without ports",
                "[[router.port_forwarding]]\nprotocol = ‸\"icmp\"\nexternal_port = 80\ninstance = \"web\"\n",
                Code::BadValue,
                &["without ports"],
            ),
        ],
    );
}

#[test]
fn names_and_ids() {
    one_mistake_each(
        BASE,
        &[
            (
                "a network's name twice",
                "[[network]]\nname = ‸\"blue\"\n",
                Code::DuplicateName,
                &["line 3", "network \"blue\" already"],
            ),
            (
                "an instance's name twice",
                "[[instance]]\nname = ‸\"web\"\nhostname = \"web\"\n[[instance.port]]\nnetwork = \"green\"\n",
                Code::DuplicateName,
                &["instance \"web\" already"],
            ),
            (
                "a router's name twice",
                "[[router]]\nname = ‸\"r1\"\n",
                Code::DuplicateName,
                &["router \"r1\" already"],
            ),
            (
                "a host name twice",
                "[[instance]]\nname = \"other\"\nhostname = \"web\"\n‸[[instance.port]]\nnetwork = \"blue\"\n",
                Code::DuplicateName,
                &["line 20", "host name \"web\""],
            ),
            (
                "an id twice",
                "[[router]]\nname = \"r2\"\nid = \"0d60a1cc-5d0e-4f5e-8f3c-3f3a6c1a7d11\"\n[[router]]\nname = \"r3\"\nid = ‸\"0d60a1cc-5d0e-4f5e-8f3c-3f3a6c1a7d11\"\n",
                Code::DuplicateId,
                &["router \"r2\" (line 30)"],
            ),
            (
                "an unknown network, nearly known",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = ‸\"bleu\"\n",
                Code::UnknownName,
                &["did you mean \"blue\""],
            ),
            (
                "an unknown network",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = ‸\"somewhere\"\n",
                Code::UnknownName,
                &["there is no network \"somewhere\""],
            ),
            (
                "an unknown interface",
                "[[router]]\nname = \"r2\"\ninterfaces = [‸\"geen\"]\n",
                Code::UnknownName,
                &["did you mean \"green\""],
            ),
            (
                "an unknown gateway",
                "[[router]]\nname = \"r2\"\ngateway = ‸\"outsid\"\n",
                Code::UnknownName,
                &["did you mean \"outside\""],
            ),
            (
                "an unknown instance",
                "[[router.floating_ip]]\ninstance = ‸\"wob\"\n",
                Code::UnknownName,
                &["did you mean \"web\""],
            ),
            (
                "an unknown subnet",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ subnet = ‸\"10.10.9.0/24\" }]\n",
                Code::UnknownName,
                &["no subnet"],
            ),
            (
                "a subnet's name twice",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\nname = \"s\"\ncidr = \"10.1.0.0/24\"\n[[network.subnet]]\nname = ‸\"s\"\ncidr = \"10.2.0.0/24\"\n",
                Code::DuplicateName,
                &["subnet \"s\" already"],
            ),
            (
                "which of two subnets",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\n[[network.subnet]]\ncidr = \"10.2.0.0/24\"\n[[router]]\nname = \"r2\"\ninterfaces = [‸\"x\"]\n",
                Code::Ambiguous,
                &["10.1.0.0/24, 10.2.0.0/24"],
            ),
            (
                "which of two networks' subnets",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.10.1.0/24\"\n[[router]]\nname = \"r2\"\ninterfaces = [‸\"10.10.1.0/24\"]\n",
                Code::Ambiguous,
                &["more than one subnet"],
            ),
            (
                "network or subnet",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\nname = \"y\"\ncidr = \"10.1.0.0/24\"\n[[network]]\nname = \"y\"\n[[router]]\nname = \"r2\"\ninterfaces = [‸\"y\"]\n",
                Code::Ambiguous,
                &["both a network and a subnet"],
            ),
            (
                "an interface that says nothing",
                "[[router]]\nname = \"r2\"\ninterfaces = [‸{ }]\n",
                Code::MissingKey,
                &["neither network nor subnet"],
            ),
            (
                "an instance without port",
                "‸[[instance]]\nname = \"x\"\n",
                Code::MissingKey,
                &["[[instance.port]]"],
            ),
            (
                "two keys of one name",
                "[[instance]]\nname = \"x\"\nkeys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA a\", { name = \"a\", key = ‸\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\" }]\n[[instance.port]]\nnetwork = \"blue\"\n",
                Code::DuplicateName,
                &["two keys named \"a\""],
            ),
        ],
    );
}

#[test]
fn addresses() {
    one_mistake_each(
        BASE,
        &[
            (
                "subnets that overlap on one network",
                "‸[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/16\"\n[[network.subnet]]\ncidr = \"10.1.2.0/24\"\n",
                Code::Overlap,
                &["10.1.0.0/16 and 10.1.2.0/24"],
            ),
            (
                "subnets that overlap on one router",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.10.0.0/16\"\ngateway = \"10.10.9.9\"\n[[router]]\nname = \"r2\"\ninterfaces = [‸{ network = \"blue\", address = \"10.10.1.254\" }, \"x\"]\n",
                Code::Overlap,
                &[
                    "10.10.1.0/24 of network \"blue\"",
                    "10.10.0.0/16 of network \"x\"",
                ],
            ),
            (
                "a network of nobody",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = ‸\"127.0.0.0/24\"\n",
                Code::Unusable,
                &["no network that hosts"],
            ),
            (
                "a network of groups",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = ‸\"224.0.0.0/24\"\n",
                Code::Unusable,
                &["no network that hosts"],
            ),
            (
                "everything",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = ‸\"0.0.0.0/0\"\n",
                Code::Unusable,
                &["no network that hosts"],
            ),
            (
                "metadata's network",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = ‸\"169.254.0.0/16\"\n",
                Code::Unusable,
                &["169.254.169.254"],
            ),
            (
                "a gateway elsewhere",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ngateway = ‸\"10.2.0.1\"\n",
                Code::OutsideSubnet,
                &["not in 10.1.0.0/24"],
            ),
            (
                "a gateway that is broadcast",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ngateway = ‸\"10.1.0.255\"\n",
                Code::Unusable,
                &["broadcast"],
            ),
            (
                "a DHCP address elsewhere",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ndhcp_address = ‸\"10.2.0.1\"\n",
                Code::OutsideSubnet,
                &["not in 10.1.0.0/24"],
            ),
            (
                "a DHCP address without DHCP",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ndhcp = false\ndhcp_address = ‸\"10.1.0.2\"\n",
                Code::Misplaced,
                &["dhcp = true"],
            ),
            (
                "a DHCP address at the gateway",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\ndhcp_address = ‸\"10.1.0.1\"\n",
                Code::AddressTaken,
                &["gateway of 10.1.0.0/24"],
            ),
            (
                "an allocation elsewhere",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/24\"\nallocation = [‸\"10.1.0.200-10.1.1.20\"]\n",
                Code::OutsideSubnet,
                &["not within"],
            ),
            (
                "an address elsewhere",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"10.10.2.5\"]\n",
                Code::OutsideSubnet,
                &["in no subnet of network \"blue\"", "10.10.1.0/24"],
            ),
            (
                "a word for an address",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"green\"]\n",
                Code::BadValue,
                &["neither an address nor a subnet"],
            ),
            (
                "an address of the network",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"10.10.1.0\"]\n",
                Code::Unusable,
                &["network or broadcast"],
            ),
            (
                "an address twice",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"10.10.1.11\"]\n",
                Code::AddressTaken,
                &["instance \"web\", port \"blue\" (line 22) has 10.10.1.11"],
            ),
            (
                "the router's address",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [‸\"10.10.1.1\"]\n",
                Code::AddressTaken,
                &["router \"r1\""],
            ),
            (
                "the gateway of another router",
                "[[router]]\nname = \"r2\"\ninterfaces = [‸\"blue\"]\n",
                Code::AddressTaken,
                &["router \"r1\"", "with an `address` of its own"],
            ),
            (
                "a MAC twice",
                "[[instance]]\nname = \"x\"\n[[instance.port]]\nnetwork = \"blue\"\nmac = \"fa:16:3e:00:00:01\"\n[[instance]]\nname = \"y\"\n[[instance.port]]\nnetwork = \"blue\"\nmac = ‸\"FA-16-3E-00-00-01\"\n",
                Code::DuplicateMac,
                &["instance \"x\", port \"blue\" (line 32)"],
            ),
            (
                "more than there are",
                "[[network]]\nname = \"x\"\n[[network.subnet]]\ncidr = \"10.1.0.0/30\"\n[[instance]]\nname = \"y\"\n‸[[instance.port]]\nnetwork = \"x\"\n",
                Code::SubnetFull,
                &["1 free addresses for 2"],
            ),
            (
                "a network without subnet",
                "[[network]]\nname = \"x\"\n[[instance]]\nname = \"y\"\n‸[[instance.port]]\nnetwork = \"x\"\n",
                Code::SubnetFull,
                &["addresses = []"],
            ),
        ],
    );
}

#[test]
fn uplinks() {
    one_mistake_each(
        "",
        &[
            (
                "vlan without device",
                "‸[[network]]\nname = \"x\"\ntype = \"vlan\"\ntag = 5\n",
                Code::MissingKey,
                &["device = "],
            ),
            (
                "vlan without tag",
                "‸[[network]]\nname = \"x\"\ntype = \"vlan\"\ndevice = \"eth1\"\n",
                Code::MissingKey,
                &["tag = "],
            ),
            (
                "flat without device",
                "‸[[network]]\nname = \"x\"\ntype = \"flat\"\n",
                Code::MissingKey,
                &["device = "],
            ),
            (
                "vxlan without VNI",
                "‸[[network]]\nname = \"x\"\ntype = \"vxlan\"\nremotes = [\"192.0.2.1\"]\n",
                Code::MissingKey,
                &["vni = "],
            ),
            (
                "a VNI without vxlan",
                "[[network]]\nname = \"x\"\nvni = ‸5\n",
                Code::Misplaced,
                &["type \"local\"", "type = \"vxlan\""],
            ),
            (
                "a device of a local network",
                "[[network]]\nname = \"x\"\ndevice = ‸\"eth1\"\n",
                Code::Misplaced,
                &["type = \"flat\""],
            ),
            (
                "vxlan to nobody",
                "‸[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\n",
                Code::Underlay,
                &["remotes"],
            ),
            (
                "vxlan both ways",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nremotes = [\"192.0.2.1\"]\ngroup = ‸\"239.1.1.1\"\ndevice = \"eth0\"\n",
                Code::Underlay,
                &["both"],
            ),
            (
                "a group of one",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\ngroup = ‸\"192.0.2.1\"\ndevice = \"eth0\"\n",
                Code::Underlay,
                &["no multicast"],
            ),
            (
                "a group by no device",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\ngroup = ‸\"239.1.1.1\"\n",
                Code::Underlay,
                &["device = "],
            ),
            (
                "a remote that is us",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nlocal = \"192.0.2.1\"\nremotes = [‸\"192.0.2.1\"]\n",
                Code::Underlay,
                &["this host"],
            ),
            (
                "a remote that is many",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nremotes = [‸\"239.1.1.1\"]\n",
                Code::Underlay,
                &["no host's"],
            ),
            (
                "an underlay of two kinds",
                "‸[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nlocal = \"192.0.2.1\"\nremotes = [\"2001:db8::1\"]\n",
                Code::Underlay,
                &["mixes"],
            ),
            (
                "a VNI twice",
                "[[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 5\nremotes = [\"192.0.2.1\"]\n‸[[network]]\nname = \"y\"\ntype = \"vxlan\"\nvni = 5\nremotes = [\"192.0.2.1\"]\n",
                Code::SharedUplink,
                &["network \"x\" (line 1) has VNI 5"],
            ),
            (
                "a VLAN twice",
                "[[network]]\nname = \"x\"\ntype = \"vlan\"\ntag = 5\ndevice = \"eth1\"\n‸[[network]]\nname = \"y\"\ntype = \"vlan\"\ntag = 5\ndevice = \"eth1\"\n",
                Code::SharedUplink,
                &["VLAN 5 on eth1"],
            ),
            (
                "a device twice",
                "[[network]]\nname = \"x\"\ntype = \"flat\"\ndevice = \"eth1\"\n‸[[network]]\nname = \"y\"\ntype = \"flat\"\ndevice = \"eth1\"\n",
                Code::SharedUplink,
                &["device eth1"],
            ),
            (
                "a bridge twice",
                "[[network]]\nname = \"x\"\nbridge = \"br0\"\n‸[[network]]\nname = \"y\"\nbridge = \"br0\"\n",
                Code::SharedUplink,
                &["bridge br0"],
            ),
            (
                "a bridge that is a device",
                "[[network]]\nname = \"x\"\ntype = \"flat\"\ndevice = \"eth1\"\n‸[[network]]\nname = \"y\"\nbridge = \"eth1\"\n",
                Code::SharedUplink,
                &["also a network's device"],
            ),
        ],
    );
}

#[test]
fn routers() {
    one_mistake_each(
        BASE,
        &[
            (
                "a gateway inside",
                "[[router]]\nname = \"r2\"\ngateway = ‸\"green\"\n",
                Code::Gateway,
                &["not external", "external = true"],
            ),
            (
                "a gateway without subnet",
                "[[network]]\nname = \"x\"\nexternal = true\n[[router]]\nname = \"r2\"\ngateway = ‸\"x\"\n",
                Code::Gateway,
                &["no subnet"],
            ),
            (
                "a gateway address elsewhere",
                "[[router]]\nname = \"r2\"\ngateway = { network = \"outside\", address = ‸\"198.51.100.1\" }\n",
                Code::OutsideSubnet,
                &["203.0.113.0/24"],
            ),
            (
                "a gateway address of another",
                "[[router]]\nname = \"r2\"\ngateway = { network = \"outside\", address = ‸\"203.0.113.10\" }\n",
                Code::AddressTaken,
                &["router \"r1\", gateway"],
            ),
            (
                "the world's gateway",
                "[[router]]\nname = \"r2\"\ngateway = { network = \"outside\", address = ‸\"203.0.113.1\" }\n",
                Code::AddressTaken,
                &["gateway of 203.0.113.0/24"],
            ),
            (
                "in and out by one network",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"outside\", address = \"203.0.113.77\" }]\ngateway = ‸\"outside\"\n",
                Code::Gateway,
                &["interface already"],
            ),
            (
                "an interface twice",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"green\", address = \"10.10.2.9\" }, ‸{ network = \"green\", address = \"10.10.2.8\" }]\n",
                Code::AddressTaken,
                &["two interfaces"],
            ),
            (
                "an interface's address elsewhere",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"green\", address = ‸\"10.10.3.9\" }]\n",
                Code::OutsideSubnet,
                &["not in 10.10.2.0/24"],
            ),
            (
                "a next hop nowhere",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"green\", address = \"10.10.2.9\" }]\nroutes = [{ to = \"default\", via = ‸\"192.0.2.1\" }]\n",
                Code::NextHop,
                &["10.10.2.0/24"],
            ),
            (
                "a floating IP elsewhere",
                "[[router.floating_ip]]\naddress = ‸\"198.51.100.1\"\ninstance = \"web\"\n",
                Code::OutsideSubnet,
                &["203.0.113.0/24"],
            ),
            (
                "a floating IP at the gateway",
                "[[router.floating_ip]]\naddress = ‸\"203.0.113.10\"\ninstance = \"web\"\n",
                Code::AddressTaken,
                &["router \"r1\", gateway (line 27)"],
            ),
            (
                "a floating IP at the world's gateway",
                "[[router.floating_ip]]\naddress = ‸\"203.0.113.1\"\ninstance = \"web\"\n",
                Code::AddressTaken,
                &["gateway of 203.0.113.0/24"],
            ),
            (
                "a floating IP twice",
                "[[router.floating_ip]]\naddress = \"203.0.113.20\"\n[[router.floating_ip]]\naddress = ‸\"203.0.113.20\"\nid = \"0d60a1cc-5d0e-4f5e-8f3c-3f3a6c1a7d11\"\n",
                Code::AddressTaken,
                &["(line 29) has 203.0.113.20"],
            ),
            (
                "two floating IPs of one instance",
                "[[router.floating_ip]]\naddress = \"203.0.113.20\"\ninstance = \"web\"\n[[router.floating_ip]]\naddress = ‸\"203.0.113.21\"\nfixed = \"10.10.1.11\"\n",
                Code::ForwardingConflict,
                &["line 29"],
            ),
            (
                "a floating IP without gateway",
                "[[router]]\nname = \"r2\"\ninterfaces = [{ network = \"blue\", address = \"10.10.1.9\" }]\n‸[[router.floating_ip]]\ninstance = \"web\"\n",
                Code::Gateway,
                &["no gateway"],
            ),
            (
                "a floating IP of an instance out of reach",
                "[[router]]\nname = \"r2\"\ngateway = \"outside\"\ninterfaces = [{ network = \"green\", address = \"10.10.2.9\" }]\n[[router.floating_ip]]\ninstance = ‸\"web\"\n",
                Code::Unreachable,
                &["10.10.2.0/24"],
            ),
            (
                "a floating IP of a strange address",
                "[[router.floating_ip]]\nfixed = ‸\"10.10.9.9\"\n",
                Code::Unreachable,
                &["10.10.1.0/24, 10.10.2.0/24"],
            ),
            (
                "a floating IP of no such port",
                "[[router.floating_ip]]\ninstance = \"web\"\nport = ‸\"green\"\n",
                Code::Unreachable,
                &["no port \"green\""],
            ),
            (
                "a port of nobody",
                "[[router.floating_ip]]\nport = ‸\"green\"\n",
                Code::Misplaced,
                &["instance"],
            ),
            (
                "two targets",
                "[[router.floating_ip]]\ninstance = \"web\"\nfixed = ‸\"10.10.1.11\"\n",
                Code::Misplaced,
                &["both"],
            ),
            (
                "which of two ports",
                "[[router.floating_ip]]\ninstance = ‸\"two\"\n[[instance]]\nname = \"two\"\n[[instance.port]]\nnetwork = \"blue\"\n[[instance.port]]\nnetwork = \"green\"\n",
                Code::Ambiguous,
                &["add `port`"],
            ),
            (
                "a forwarding to nobody",
                "‸[[router.port_forwarding]]\nexternal_port = 80\n",
                Code::MissingKey,
                &["whom"],
            ),
            (
                "a forwarded port twice",
                "[[router.port_forwarding]]\nexternal_port = \"80-90\"\ninternal_port = 80\ninstance = \"web\"\n[[router.port_forwarding]]\nexternal_port = ‸85\ninstance = \"web\"\n",
                Code::ForwardingConflict,
                &["line 28"],
            ),
            (
                "a wider inside",
                "[[router.port_forwarding]]\nexternal_port = 80\ninternal_port = ‸\"80-81\"\ninstance = \"web\"\n",
                Code::ForwardingConflict,
                &["nobody could reach"],
            ),
            (
                "a forwarding of a floating IP in use",
                "[[router.floating_ip]]\naddress = \"203.0.113.20\"\ninstance = \"web\"\n[[router.port_forwarding]]\naddress = ‸\"203.0.113.20\"\nexternal_port = 80\ninstance = \"web\"\n",
                Code::ForwardingConflict,
                &["leads to an instance already"],
            ),
        ],
    );
}

/// One directory per test: they run side by side.
fn directory(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("warren-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn files_beside_it() {
    let dir = directory("files-beside");
    let put = |name: &str, content: &[u8], mode: u32| {
        fs::write(dir.join(name), content).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    put("secret", b"s3cr3t", 0o600);
    put("open", b"s3cr3t", 0o644);
    put("empty", b"", 0o600);
    put("cert.pem", b"certificate", 0o644);
    put("large", &vec![b'x'; 300 * 1024], 0o600);
    put("vendor.json", b"{\"a\": 1}", 0o600);
    put("broken.json", b"{\"a\": }", 0o600);
    nix::unistd::mkfifo(&dir.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let instance = |line: &str| {
        format!("{BASE}[[instance]]\nname = \"x\"\n{line}\n[[instance.port]]\nnetwork = \"blue\"\n")
    };
    let nova = |lines: &str| format!("[metadata]\nsource = \"nova\"\n{lines}\n");
    let (url, secret) = (
        "url = \"http://192.0.2.1:8775\"",
        "shared_secret_file = \"secret\"",
    );
    for (name, text, want) in [
        ("user data", instance("user_data_file = \"secret\""), None),
        (
            "no user data",
            instance("user_data_file = \"nope\""),
            Some((Code::File, "No such file")),
        ),
        (
            "a directory",
            instance("user_data_file = \".\""),
            Some((Code::File, "can't be read")),
        ),
        (
            "a pipe that nobody writes to",
            instance("user_data_file = \"pipe\""),
            Some((Code::File, "no regular file")),
        ),
        (
            "large user data",
            instance("user_data_file = \"large\""),
            Some((Code::File, "more than")),
        ),
        (
            "twice user data",
            instance("user_data_file = \"secret\"\nuser_data = \"x\""),
            Some((Code::Misplaced, "both")),
        ),
        (
            "vendor data",
            instance("vendor_data_file = \"vendor.json\""),
            None,
        ),
        (
            "broken vendor data",
            instance("vendor_data_file = \"broken.json\""),
            Some((Code::File, "no JSON")),
        ),
        ("Nova", nova(&format!("{url}\n{secret}")), None),
        (
            "Nova with certificate",
            nova(&format!(
                "{url}\n{secret}\nca_file = \"cert.pem\"\ncert_file = \"cert.pem\"\nkey_file = \"secret\""
            )),
            None,
        ),
        (
            "Nova nowhere",
            nova(secret),
            Some((Code::MissingKey, "url = ")),
        ),
        (
            "no secret",
            nova(url),
            Some((Code::MissingKey, "shared_secret_file = ")),
        ),
        (
            "a secret that is a pipe",
            nova(&format!("{url}\nshared_secret_file = \"pipe\"")),
            Some((Code::File, "no regular file")),
        ),
        (
            "a secret that is not there",
            nova(&format!("{url}\nshared_secret_file = \"nope\"")),
            Some((Code::File, "No such file")),
        ),
        (
            "an open secret",
            nova(&format!("{url}\nshared_secret_file = \"open\"")),
            Some((Code::SecretOpen, "chmod o-rwx")),
        ),
        (
            "an empty secret",
            nova(&format!("{url}\nshared_secret_file = \"empty\"")),
            Some((Code::File, "is empty")),
        ),
        (
            "half a certificate",
            nova(&format!("{url}\n{secret}\ncert_file = \"cert.pem\"")),
            Some((Code::MissingKey, "both")),
        ),
        (
            "an open key",
            nova(&format!(
                "{url}\n{secret}\ncert_file = \"cert.pem\"\nkey_file = \"open\""
            )),
            Some((Code::SecretOpen, "chmod")),
        ),
        (
            "Nova's keys without Nova",
            format!("[metadata]\n{url}\n"),
            Some((Code::Misplaced, "source = \"nova\"")),
        ),
        (
            "a URL with a path",
            nova(&format!("url = \"http://192.0.2.1/a\"\n{secret}")),
            Some((Code::BadValue, "http or https, a host and a port")),
        ),
        (
            "a URL with a password",
            nova(&format!("url = \"http://a:b@192.0.2.1\"\n{secret}")),
            Some((Code::BadValue, "http or https")),
        ),
    ] {
        let found: Vec<Mistake> = check(&text, &dir.join("net.toml"))
            .err()
            .unwrap_or_default();
        let shown: Vec<_> = found.iter().map(Mistake::to_string).collect();
        assert_eq!(
            found.len(),
            usize::from(want.is_some()),
            "{name}: {shown:#?}"
        );
        if let Some((code, word)) = want {
            assert_eq!(found[0].code, code, "{name}: {shown:?}");
            assert!(
                shown[0].contains(word),
                "{name}: {word:?} is not in {shown:?}"
            );
        }
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_is_unusual_is_only_a_warning() {
    let (place, warnings) = mistakes_of(
        "[[network]]\nname = \"x\"\nexternal = true\n[[network.subnet]]\ncidr = \"203.0.113.8/29\"\ngateway = ‸\"198.51.100.1\"\n",
    );
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(
        (warnings[0].severity, warnings[0].code),
        (Severity::Warning, Code::Unusual)
    );
    assert_eq!(Some((warnings[0].line, warnings[0].column)), place);
}

#[test]
fn limits() {
    one_mistake_each(
        "[limits]\n",
        &[
            (
                "nobody would be answered",
                "dhcp_client = ‸0\n",
                Code::BadValue,
                &["`dhcp_client`: 0 is out of range", "1 to 1000000"],
            ),
            (
                "a rate in words",
                "dns_others = ‸\"20/s\"\n",
                Code::WrongType,
                &["`dns_others` is text", "expected number 1 to 1000000"],
            ),
            (
                "advertisements have no limit of a network",
                "‸ra_network = 5\n",
                Code::UnknownKey,
                &["there is no key `ra_network` here"],
            ),
        ],
    );
}

/// A private key given by mistake is not printed for all to see.
#[test]
fn a_private_key_is_not_repeated() {
    let (_, mistakes) = mistakes_of(
        "[[instance]]\nname = \"x\"\nkeys = [\"-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjE\"]\n",
    );
    assert!(
        mistakes
            .iter()
            .all(|mistake| !mistake.to_string().contains("b3BlbnNz")),
        "{mistakes:?}"
    );
    assert!(
        mistakes
            .iter()
            .any(|mistake| mistake.why.contains("private key")),
        "{mistakes:?}"
    );
}

#[test]
fn all_at_once_in_the_order_of_the_file() {
    let (_, mistakes) = mistakes_of(
        "lease = 0\n[[network]]\nname = \"a\"\nmtu = 1\n[[network]]\nname = \"a\"\n[[router]]\nname = \"r\"\ninterfaces = [\"c\"]\n",
    );
    let found: Vec<_> = mistakes
        .iter()
        .map(|mistake| (mistake.line, mistake.code))
        .collect();
    assert_eq!(
        found,
        [
            (1, Code::BadValue),
            (4, Code::BadValue),
            (6, Code::DuplicateName),
            (9, Code::UnknownName)
        ]
    );
}

#[test]
fn one_line_for_people_and_json_for_programs() {
    let (_, mistakes) = mistakes_of("[[network]]\nname = \"b\"\nmtu = 1\n");
    assert_eq!(
        mistakes[0].to_string(),
        "dir/net.toml:3:7: error[W0203]: network \"b\": `mtu`: 1 is out of range; expected number 576 to 65535, such as 1500"
    );
    let json = serde_json::to_value(&mistakes[0]).unwrap();
    assert_eq!(json["code"], "W0203");
    assert_eq!(json["severity"], "error");
    assert_eq!(
        (json["line"].as_u64(), json["column"].as_u64()),
        (Some(3), Some(7))
    );
}
