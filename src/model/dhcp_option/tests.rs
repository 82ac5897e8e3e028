#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use super::{DhcpOption, Tag, parse_client_id};

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

#[test]
fn v4_values_are_typed_as_dnsmasq_types_them() {
    for (what, name, value, code, wire) in [
        ("address", "netmask", "255.255.255.0", 1, "ffffff00"),
        (
            "addresses",
            "ntp-server",
            "192.0.2.1, 192.0.2.2",
            42,
            "c0000201 c0000202",
        ),
        (
            "a known number is typed too",
            "42",
            "192.0.2.1",
            42,
            "c0000201",
        ),
        (
            "names in any case",
            "NTP-Server",
            "192.0.2.1",
            42,
            "c0000201",
        ),
        (
            "address pairs",
            "static-route",
            "10.0.0.1,192.0.2.1",
            33,
            "0a000001 c0000201",
        ),
        ("blank router: none", "router", "", 3, ""),
        ("blank router by number", "3", "  ", 3, ""),
        ("blank routes", "classless-static-route", "", 121, ""),
        ("one byte", "default-ttl", "64", 23, "40"),
        ("two bytes", "mtu", "1450", 26, "05aa"),
        ("four bytes", "arp-timeout", "60", 35, "0000003c"),
        ("ipv6-only", "ipv6-only", "1800", 108, "00000708"),
        ("negative offset", "time-offset", "-3600", 2, "fffff1f0"),
        ("plain seconds", "T1", "90", 58, "0000005a"),
        ("minutes", "T1", "10m", 58, "00000258"),
        ("hours", "T2", "12H", 59, "0000a8c0"),
        ("days", "T2", "1d", 59, "00015180"),
        ("weeks", "T2", "2w", 59, "00127500"),
        (
            "text",
            "domain-name",
            "example.org",
            15,
            "6578616d706c652e6f7267",
        ),
        (
            "text without its quotes",
            "bootfile-name",
            "\"a b\"",
            67,
            "612062",
        ),
        ("one quote is text", "bootfile-name", "\"a", 67, "2261"),
        (
            "text that looks like a number",
            "tftp-server",
            "10",
            66,
            "3130",
        ),
        (
            "search list, one",
            "domain-search",
            "ab.c",
            119,
            "02 6162 01 63 00",
        ),
        (
            "search list, compressed",
            "domain-search",
            "ab.c,x.ab.c",
            119,
            "02 6162 01 63 00 01 78 c000",
        ),
        (
            "search list, a shared tail",
            "domain-search",
            "ab.c,d.C",
            119,
            "02 6162 01 63 00 01 64 c003",
        ),
        (
            "search list, the same again",
            "domain-search",
            "ab.c,ab.c",
            119,
            "02 6162 01 63 00 c000",
        ),
        (
            "sip by address",
            "sip-server",
            "192.0.2.1",
            120,
            "01 c0000201",
        ),
        (
            "sip by name",
            "sip-server",
            "ab.c",
            120,
            "00 02 6162 01 63 00",
        ),
        (
            "routes",
            "classless-static-route",
            "10.0.0.0/8,192.0.2.1,0.0.0.0/0,192.0.2.2",
            121,
            "08 0a c0000201 00 c0000202",
        ),
        (
            "routes, odd width",
            "121",
            "10.1.128.0/17,192.0.2.1",
            121,
            "11 0a0180 c0000201",
        ),
        (
            "routes, host",
            "249",
            "169.254.169.254,192.0.2.1",
            249,
            "20 a9fea9fe c0000201",
        ),
        (
            "routes, host bits off",
            "249",
            "10.1.2.3/8,192.0.2.1",
            249,
            "08 0a c0000201",
        ),
        (
            "routes in hexadecimal",
            "249",
            "08:0a:c0:00:02:01",
            249,
            "080ac0000201",
        ),
        (
            "address list of 150",
            "150",
            "192.0.2.1,192.0.2.2",
            150,
            "c0000201 c0000202",
        ),
        ("siaddr", "server-ip-address", "192.0.2.9", 255, "c0000209"),
        ("siaddr by number", "255", "192.0.2.9", 255, "c0000209"),
        (
            "text of a known number",
            "67",
            "pxelinux.0",
            67,
            "7078656c696e75782e30",
        ),
        ("free: hexadecimal", "224", "1:fa:16", 224, "01fa16"),
        ("free: one byte", "224", "5", 224, "05"),
        ("free: two bytes", "224", "300", 224, "012c"),
        ("free: four bytes", "224", "70000", 224, "00011170"),
        ("free: forced to one", "224", "5b", 224, "05"),
        ("free: forced to two", "224", "5s", 224, "0005"),
        ("free: forced to four", "224", "5i", 224, "00000005"),
        ("free: negative", "224", "-1", 224, "ffffffff"),
        (
            "free: addresses",
            "224",
            "192.0.2.1,192.0.2.2",
            224,
            "c0000201c0000202",
        ),
        ("free: destination", "224", "10.1.0.0/16", 224, "100a01"),
        (
            "free: text",
            "224",
            "hello, world",
            224,
            "68656c6c6f2c20776f726c64",
        ),
        ("free: quoted number is text", "224", "\"5\"", 224, "35"),
        ("free: a path is text", "210", "/1.2/", 210, "2f312e322f"),
        (
            "free: vendor class",
            "vendor-class",
            "PXEClient",
            60,
            "505845436c69656e74",
        ),
        ("hostname by number", "12", "other", 12, "6f74686572"),
        ("vendor options by number", "43", "06:01:08", 43, "060108"),
    ] {
        let option =
            DhcpOption::parse_v4(name, value).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((option.ip_version, option.code), (4, code), "{what}");
        assert_eq!(
            hex::encode(&option.value),
            hex::encode(bytes(wire)),
            "{what}"
        );
        assert!(option.tags.is_empty(), "{what}");
    }
}

#[test]
fn v6_values_are_typed() {
    for (what, name, value, code, wire) in [
        (
            "address",
            "dns-server",
            "2001:db8::1",
            23,
            "20010db8000000000000000000000001",
        ),
        (
            "address in brackets",
            "23",
            "[2001:db8::1]",
            23,
            "20010db8000000000000000000000001",
        ),
        (
            "names",
            "domain-search",
            "ab.c,d.c",
            24,
            "02616201630001640163 00",
        ),
        ("seconds", "information-refresh-time", "1d", 32, "00015180"),
        (
            "time server",
            "ntp-server",
            "2001:db8::1",
            56,
            "0001 0010 20010db8000000000000000000000001",
        ),
        (
            "boot file",
            "bootfile-url",
            "tftp://[::1]/b",
            59,
            "746674703a2f2f5b3a3a315d2f62",
        ),
        (
            "boot parameters",
            "bootfile-param",
            "a,bc",
            60,
            "0001 61 0002 6263",
        ),
        ("unknown number", "200", "01:02", 200, "0102"),
        ("a number that v4 has not", "1000", "7", 1000, "07"),
    ] {
        let option =
            DhcpOption::parse_v6(name, value).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((option.ip_version, option.code), (6, code), "{what}");
        assert_eq!(
            hex::encode(&option.value),
            hex::encode(bytes(wire)),
            "{what}"
        );
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_what_would_be_right() {
    let long = "x".repeat(1025);
    let inner = "x".repeat(254);
    let enormous = "x".repeat(3000);
    let label = format!("{}.org", "x".repeat(64));
    for (what, name, value, reason) in [
        (
            "unknown name",
            "bootfile",
            "x",
            "is \"bootfile-name\" meant",
        ),
        ("nothing like it", "zzz", "x", "by its number"),
        ("empty name", "", "x", "no option of this name"),
        ("number 0", "0", "x", "from 1 to 255"),
        ("number 256", "256", "x", "from 1 to 255"),
        ("number too long", "99999999999999", "x", "from 1 to 255"),
        ("blank value", "mtu", "", "no value"),
        (
            "hostname by name",
            "hostname",
            "x",
            "follows the port's name",
        ),
        (
            "broadcast by name",
            "broadcast",
            "192.0.2.255",
            "28 overrides",
        ),
        ("vendor-encap by name", "vendor-encap", "x", "43"),
        (
            "requested-address",
            "requested-address",
            "192.0.2.1",
            "only clients",
        ),
        ("lease-time", "lease-time", "60", "the lease"),
        ("lease by number", "51", "60", "the lease"),
        ("overload", "option-overload", "1", "protocol"),
        ("message-type", "message-type", "1", "protocol"),
        ("message type by number", "53", "1", "protocol"),
        (
            "server-identifier",
            "server-identifier",
            "192.0.2.1",
            "protocol",
        ),
        ("server id by number", "54", "192.0.2.1", "protocol"),
        (
            "parameter-request",
            "parameter-request",
            "1",
            "only clients",
        ),
        ("message", "message", "x", "protocol"),
        (
            "max-message-size",
            "max-message-size",
            "1500",
            "only clients",
        ),
        ("client-id", "client-id", "x", "client id"),
        ("client id by number", "61", "x", "client id"),
        ("FQDN", "fqdn", "x", "protocol"),
        ("FQDN by number", "81", "x", "protocol"),
        ("agent-info", "agent-info", "x", "only relays"),
        ("agent info by number", "82", "x", "only relays"),
        (
            "subnet-select",
            "subnet-select",
            "192.0.2.0",
            "only clients",
        ),
        (
            "new line in the value",
            "domain-name",
            "a\ndhcp-option=3",
            "line break",
        ),
        ("new line in the name", "domain-name\n3", "a", "line break"),
        (
            "control character",
            "domain-name",
            "a\u{7}",
            "control character",
        ),
        ("NUL", "bootfile-name", "a\0b", "control character"),
        (
            "longer than an option",
            "domain-name",
            &long,
            "room for 1024",
        ),
        (
            "longer than anything",
            "domain-name",
            &enormous,
            "longer than 2048",
        ),
        (
            "two netmasks",
            "netmask",
            "255.0.0.0,255.0.0.0",
            "one IPv4 address",
        ),
        (
            "no address",
            "ntp-server",
            "time.example.org",
            "IPv4 addresses",
        ),
        (
            "v6 address in v4",
            "dns-server",
            "2001:db8::1",
            "IPv4 addresses",
        ),
        ("odd pair", "static-route", "10.0.0.1", "pairs"),
        ("number too large", "mtu", "65536", "from 0 to 65535"),
        ("negative", "mtu", "-1", "from 0 to 65535"),
        ("no number", "default-ttl", "many", "from 0 to 255"),
        ("no time", "T1", "1y", "takes seconds"),
        ("time too long", "T1", "99999w", "takes seconds"),
        ("bad label", "domain-search", "a..b", "no domain name"),
        ("long label", "domain-search", &label, "no domain name"),
        (
            "label with a space",
            "domain-search",
            "a b",
            "no domain name",
        ),
        (
            "half a route",
            "classless-static-route",
            "10.0.0.0/8",
            "pairs",
        ),
        (
            "bad width",
            "classless-static-route",
            "10.0.0.0/33,192.0.2.1",
            "pairs",
        ),
        ("nearly an address", "224", "1.2", "in quotes"),
        ("too large for its suffix", "224", "300b", "does not fit"),
        ("tag without option", "tag:ipxe", "x", "comma"),
        ("empty tag", "tag:,67", "x", "is no tag"),
        ("strange tag", "tag:a b,67", "x", "is no tag"),
        ("vendor without option", "vendor:PXEClient", "x", "comma"),
        (
            "vendor without class",
            "vendor:,6",
            "x",
            "vendor:PXEClient,6",
        ),
        (
            "a vendor's by name",
            "vendor:PXEClient,mtu",
            "8",
            "has a number",
        ),
        (
            "inside of two",
            "vendor:a,encap:175,6",
            "8",
            "one other only",
        ),
        ("inside of nothing", "encap:x,6", "8", "encap:175,190"),
        ("inside of the lease", "encap:51,6", "8", "encap:175,190"),
        (
            "vi-encap",
            "vi-encap:343,6",
            "8",
            "all of option 125 in hexadecimal",
        ),
        (
            "longer than what is inside",
            "encap:175,6",
            &inner,
            "room for 253",
        ),
    ] {
        let error = DhcpOption::parse_v4(name, value).expect_err(what);
        assert!(error.to_string().contains(reason), "{what}: {error}");
    }
    for (what, name, value) in [
        ("protocol number", "3", "x"),
        ("v4's name", "tftp-server", "x"),
        ("v4 address", "dns-server", "192.0.2.1"),
        ("a vendor's", "vendor:PXEClient,6", "8"),
    ] {
        DhcpOption::parse_v6(name, value).expect_err(what);
    }
}

#[test]
fn tags_stand_in_front() {
    let option = DhcpOption::parse_v4("tag:ipxe,tag:!ipxe6,67", "http://boot").unwrap();
    let shown: Vec<String> = option.tags.iter().map(Tag::to_string).collect();
    assert_eq!(
        (option.code, shown),
        (67, vec!["tag:ipxe".to_owned(), "tag:!ipxe6".to_owned()])
    );
    for (what, present, want) in [
        ("both hold", &["ipxe"][..], true),
        ("one is missing", &[], false),
        ("the negated is there", &["ipxe", "ipxe6"], false),
    ] {
        assert_eq!(
            option.tags.iter().all(|tag| tag.holds(present)),
            want,
            "{what}"
        );
    }
}

#[test]
fn client_ids_are_bytes() {
    for (what, value, want) in [
        (
            "hexadecimal",
            "01:fa:16:3e:00:00:01",
            bytes("01fa163e000001"),
        ),
        (
            "InfiniBand as Ironic writes it",
            "ff:00:00:2:c9",
            bytes("ff000002c9"),
        ),
        ("text", "host-7", b"host-7".to_vec()),
        ("text with colons", "urn:host", b"urn:host".to_vec()),
        ("quoted", "\"a\"", b"a".to_vec()),
        ("never mind ids", "*", vec![]),
    ] {
        assert_eq!(parse_client_id(value), want, "{what}");
    }
}
