//! Who gets which options, by what it says of itself.

use super::*;
use crate::model::{DhcpOption as Extra, DhcpTag};
use crate::plan::CommonOption;

fn world() -> World {
    let class = [
        DhcpTag::of_user_class("lab", "lab"),
        DhcpTag::of_vendor_class("http", "HTTPClient"),
    ];
    let class = class.into_iter().flat_map(Result::unwrap);
    let others = [
        DhcpTag::parse_vendor_class("set:intel,enterprise:343,PXEClient"),
        DhcpTag::parse_match("set:efi64,option6:client-arch,7"),
        DhcpTag::parse_match("set:v4,93,7"),
        DhcpTag::of_mac("bob", "fa:16:3e:00:00:0b"),
        DhcpTag::of_tags("rom", ["efi64", "!lab"]),
    ];
    let tags = class.chain(others.into_iter().map(Result::unwrap));
    let options = [
        ("59", "tftp://a/any"),
        ("tag:lab,59", "tftp://a/lab"),
        ("tag:http,59", "http://a/http"),
        ("tag:intel,59", "tftp://a/intel"),
        ("tag:v4,59", "tftp://a/v4"),
        ("tag:bob,59", "tftp://a/bob"),
        ("tag:rom,59", "tftp://a/rom"),
        ("tag:!known,59", "tftp://a/stranger"),
        ("tag:ipxe6,59", "tftp://a/ipxe"),
    ];
    let options = options.map(|(name, value)| CommonOption {
        option: Extra::parse_v6(name, value).unwrap(),
        forced: false,
    });
    World::of(Dhcp6Scope {
        tags: tags.collect(),
        options: options.into(),
        ..scope()
    })
}

fn value(reply: &Reply, code: u16) -> Option<Vec<u8>> {
    let all = wire_options(&reply.message[4..]);
    let found = all.into_iter().find(|(of, _)| *of == code)?;
    Some(found.1.to_vec())
}

#[test]
fn options_are_for_those_whom_a_rule_knows() {
    const INTEL: &[u8] = b"\0\0\x01\x57";
    let intel = |texts: &[u8]| [INTEL, texts].concat();
    let other = |texts: &[u8]| [b"\0\0\x01\x58", texts].concat();
    let ann = || says(ANN, SOLICIT).na(&[]);
    for (name, ask, want) in [
        ("nothing", ann(), "tftp://a/any"),
        ("user class", ann().raw(15, b"\0\x03lab"), "tftp://a/lab"),
        (
            "a part of the second",
            ann().raw(15, b"\0\x03box\0\x06my-lab"),
            "tftp://a/lab",
        ),
        (
            "over the bounds of two is no part",
            ann().raw(15, b"\0\x01l\0\x02ab"),
            "tftp://a/any",
        ),
        (
            "vendor class",
            ann().raw(16, &intel(b"\0\x09PXEClient")),
            "tftp://a/intel",
        ),
        (
            "another enterprise",
            ann().raw(16, &other(b"\0\x09PXEClient")),
            "tftp://a/any",
        ),
        (
            "whichever enterprise",
            ann().raw(16, &other(b"\0\x0aHTTPClient")),
            "http://a/http",
        ),
        (
            "of its second enterprise",
            ann()
                .raw(16, &other(b"\0\x01x"))
                .raw(16, &intel(b"\0\x09PXEClient")),
            "tftp://a/intel",
        ),
        ("architecture", ann().raw(61, &[0, 7]), "tftp://a/rom"),
        (
            "one of several",
            ann().raw(61, &[0, 0, 0, 7]),
            "tftp://a/rom",
        ),
        (
            "another architecture",
            ann().raw(61, &[0, 9, 7, 0]),
            "tftp://a/any",
        ),
        ("not of DHCPv4", ann().raw(93, &[0, 7]), "tftp://a/any"),
        ("MAC", says(BOB, SOLICIT).na(&[]), "tftp://a/bob"),
        ("iPXE", ann().raw(15, b"\0\x04iPXE"), "tftp://a/ipxe"),
        ("unknown", says(STRANGER, INFORMATION), "tftp://a/stranger"),
        (
            "a text that runs over the end",
            ann().raw(15, b"\0\x09lab"),
            "tftp://a/any",
        ),
        (
            "an enterprise that is cut",
            ann().raw(16, b"\0\0"),
            "tftp://a/any",
        ),
    ] {
        let reply = world().reply(&ask);
        let file = value(&reply, 59).unwrap();
        assert_eq!(String::from_utf8_lossy(&file), want, "{name}");
    }
}

#[test]
fn who_boots_over_http_is_told_what_it_says() {
    let class = b"\0\0\x01\x57\0\x0aHTTPClient";
    let says_more = b"\0\0\x01\x57\0\x1eHTTPClient:Arch:00016:UNDI:003";
    let ann = || says(ANN, SOLICIT).na(&[]).wanting(&[59]);
    let told = |ask: &Says| value(&world().reply(ask), 16);
    assert_eq!(told(&ann()), None);
    assert_eq!(told(&ann().raw(16, says_more)), Some(class.to_vec()));
    let by_pxe = ann().raw(16, b"\0\0\x01\x57\0\x09PXEClient");
    assert_eq!(told(&by_pxe), None);
    let lab = ann().raw(16, says_more).raw(15, b"\0\x04iPXE");
    assert_eq!(told(&lab), None, "it is given no file over HTTP");
}
