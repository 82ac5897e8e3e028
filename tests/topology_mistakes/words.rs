//! Values that are none, or not there.

use super::{BASE, Code, one_mistake_each};

#[test]
fn of_the_topology() {
    one_mistake_each(
        "",
        &[
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
}

#[test]
fn of_networks() {
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
        ],
    );
}

#[test]
fn of_subnets() {
    one_mistake_each(
        "",
        &[
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
        ],
    );
}

#[test]
fn of_instances() {
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
        ],
    );
}

#[test]
fn of_port_forwardings() {
    one_mistake_each(
        BASE,
        &[
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
