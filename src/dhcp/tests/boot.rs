//! Machines that boot over the network: who gets which file, and what their ROMs want to read besides.

use super::*;
use crate::model::{DhcpOption, DhcpTag};
use crate::plan::CommonOption;

type Text<'t> = (&'t str, &'t str);

/// A world where ANN's port has `port`, and everybody `common`.
fn with(port: &[Text<'_>], common: &[Text<'_>], tags: &[&str]) -> World {
    let parse = |(name, value): &Text<'_>| DhcpOption::parse_v4(name, value).unwrap();
    let common = common.iter().map(|option| CommonOption {
        option: parse(option),
        forced: false,
    });
    let tags = tags.iter().flat_map(|line| {
        let (kind, text) = line.split_once('=').unwrap();
        match kind {
            "match" => vec![DhcpTag::parse_match(text).unwrap()],
            "vendor" => vec![DhcpTag::parse_vendor_class(text).unwrap()],
            "user" => DhcpTag::parse_user_class(text).unwrap().into(),
            "mac" => vec![DhcpTag::parse_mac(text).unwrap()],
            _ => DhcpTag::parse_if(text).unwrap(),
        }
    });
    let mut scope = DhcpScope {
        options: common.collect(),
        tags: tags.collect(),
        ..scope()
    };
    let mut ann = DhcpClient::clone(scope.clients.get(&mac(ANN)).unwrap());
    ann.options = port.iter().map(parse).collect();
    scope.clients.insert(ann.mac, ann.port, Arc::new(ann));
    World::of(scope)
}

/// The file's name, in its field or as an option.
fn file(reply: &[u8]) -> String {
    let message = decode(reply);
    let option = value(&message, 67);
    let name = option.unwrap_or_else(|| message.fname().unwrap_or_default().to_vec());
    String::from_utf8(name)
        .unwrap()
        .trim_end_matches('\0')
        .to_owned()
}

/// Of a UEFI's ROM.
fn uefi(ask: Ask) -> Ask {
    ask.raw(60, b"PXEClient:Arch:00007:UNDI:003001")
        .raw(93, &[0, 7])
        .raw(94, &[1, 3, 1])
}

#[test]
fn by_what_a_client_says_it_gets_its_file() {
    let tags = [
        "match=set:efi,option:client-arch,7",
        "match=set:efi,option:client-arch,9",
        "vendor=set:http,HTTPClient",
        "user=set:lab,lab",
        "mac=set:ann,fa:16:3e:*:*:0a",
        "if=set:efi-rom,tag:efi,tag:!ipxe",
        "if=set:first,tag:efi-rom,tag:known",
    ];
    let options = [
        ("tag:efi,67", "snponly.efi"),
        // Later, but for everybody.
        ("67", "undionly.kpxe"),
        ("tag:efi,tag:ipxe,67", "efi.ipxe"),
        ("tag:http,67", "http://boot/snponly.efi"),
        ("tag:lab,67", "lab.ipxe"),
        ("tag:bootp,67", "old"),
    ];
    let ipxe = |ask: Ask| ask.raw(175, &[0xb1, 1, 1]).raw(77, b"iPXE");
    for (name, ask, want) in [
        ("a BIOS", discover(ANN).raw(93, &[0, 0]), "undionly.kpxe"),
        ("a UEFI", uefi(discover(ANN)), "snponly.efi"),
        (
            "the other number",
            discover(ANN).raw(93, &[0, 6, 0, 9]),
            "snponly.efi",
        ),
        ("its iPXE", ipxe(uefi(discover(ANN))), "efi.ipxe"),
        (
            "a UEFI over HTTP",
            discover(ANN).raw(60, b"HTTPClient:Arch:00016:UNDI:003001"),
            "http://boot/snponly.efi",
        ),
        (
            "a user class, counted (RFC 3004)",
            discover(ANN).raw(77, b"\x03lab"),
            "lab.ipxe",
        ),
        ("another", discover(ANN).raw(77, b"office"), "undionly.kpxe"),
        ("BOOTP", bootp(ANN), "old"),
    ] {
        let reply = with(&[], &options, &tags).reply(&ask);
        assert_eq!(file(&reply.message), want, "{name}");
        // The port's own come after them.
        let reply = with(&[("67", "own")], &options, &tags).reply(&ask);
        assert_eq!(file(&reply.message), "own", "{name}");
    }
    for (name, option, last, want) in [
        ("by MAC", "tag:ann,67", ANN, "x"),
        ("another MAC", "tag:ann,67", BOB, ""),
        ("by other tags", "tag:first,67", ANN, "x"),
        ("not so", "tag:!first,67", ANN, ""),
        ("known", "tag:known,67", BOB, "x"),
    ] {
        let reply = with(&[], &[(option, "x")], &tags).reply(&uefi(discover(last)));
        assert_eq!(file(&reply.message), want, "{name}");
    }
}

#[test]
fn as_ironic_sets_it() {
    let port = [
        ("tag:!ipxe,67", "snponly.efi"),
        ("tag:ipxe,67", "http://192.0.2.9:8080/boot.ipxe"),
        ("66", "192.0.2.9"),
        ("150", "192.0.2.9"),
        ("server-ip-address", "192.0.2.9"),
        ("210", "/tftpboot/"),
    ];
    let list = [1, 3, 43, 60, 66, 67, 128, 150, 210];
    let reply = with(&port, &[], &[]).reply(&uefi(discover(ANN)).list(&list));
    let message = decode(&reply.message);
    assert_eq!(message.siaddr(), ip("192.0.2.9"));
    for (code, want) in [
        (66, Some(&b"192.0.2.9\0"[..])),
        (67, Some(b"snponly.efi\0")),
        (150, Some(&[192, 0, 2, 9])),
        (210, Some(b"/tftpboot/")),
        (60, None),
        (43, None),
    ] {
        assert_eq!(value(&message, code).as_deref(), want, "{code}");
    }
    let ipxe = discover(ANN).list(&list).raw(175, &[1]);
    let reply = with(&port, &[], &[]).reply(&ipxe);
    assert_eq!(file(&reply.message), "http://192.0.2.9:8080/boot.ipxe");
}

#[test]
fn vendors_have_options_of_their_own() {
    let port = [
        ("vendor:PXEClient,6", "8b"),
        ("vendor:PXEClient,8", "00:00:01:c0:00:02:09"),
        ("vendor:PXEClient,6", "3b"),
        ("vendor:HTTPClient,1", "7b"),
        ("tag:ipxe,encap:175,190", "user"),
        ("tag:ipxe,encap:175,191", "2b"),
    ];
    let pxe = b"PXEClient:Arch:00007:UNDI:003001".as_slice();
    let inner = [6, 1, 3, 8, 7, 0, 0, 1, 192, 0, 2, 9, 255];
    let ipxe = [190, 4, b'u', b's', b'e', b'r', 191, 1, 2, 255];
    for (name, ask, of43, of60, of175) in [
        (
            "asked for",
            uefi(discover(ANN)).list(&[43]),
            Some(&inner[..]),
            Some(pxe),
            None,
        ),
        (
            "with its class",
            uefi(discover(ANN)).list(&[60, 43]),
            Some(&inner),
            Some(pxe),
            None,
        ),
        (
            "not asked for",
            uefi(discover(ANN)).list(&[1]),
            None,
            None,
            None,
        ),
        (
            "without a list",
            uefi(discover(ANN)),
            Some(&inner),
            Some(pxe),
            None,
        ),
        (
            "another vendor's",
            discover(ANN).raw(60, b"MSFT 5.0").list(&[43, 60]),
            None,
            None,
            None,
        ),
        (
            "of no vendor",
            discover(ANN).list(&[43, 60]),
            None,
            None,
            None,
        ),
        (
            "iPXE's",
            discover(ANN).raw(175, &[1]).list(&[175]),
            None,
            None,
            Some(&ipxe[..]),
        ),
        (
            "nobody else's",
            discover(ANN).list(&[175]),
            None,
            None,
            None,
        ),
    ] {
        let message = decode(&with(&port, &[], &[]).reply(&ask).message);
        for (code, want) in [(43, of43), (60, of60), (175, of175)] {
            assert_eq!(value(&message, code).as_deref(), want, "{name}: {code}");
        }
    }
    // All of 43 at once comes first, and so does a class that is said.
    let whole = [&port[..], &[("43", "06:01:08"), ("60", "PXEClient")]].concat();
    let message = decode(&with(&whole, &[], &[]).reply(&uefi(discover(ANN))).message);
    assert_eq!(value(&message, 43).unwrap(), [6, 1, 8]);
    assert_eq!(value(&message, 60).unwrap(), b"PXEClient");
}

#[test]
fn who_boots_over_http_is_told_its_class() {
    let class = b"HTTPClient:Arch:00016:UNDI:003001";
    let url = [("67", "http://192.0.2.9/snponly.efi")];
    for (name, port, ask, want) in [
        (
            "as the UEFI asks",
            &url[..],
            discover(ANN).raw(60, class).list(&[60, 67]),
            Some(&b"HTTPClient"[..]),
        ),
        (
            "unasked",
            &url,
            discover(ANN).raw(60, class).list(&[67]),
            Some(b"HTTPClient"),
        ),
        (
            "without a list",
            &url,
            discover(ANN).raw(60, class),
            Some(b"HTTPClient"),
        ),
        (
            "TLS",
            &[("67", "https://boot/x.efi")],
            discover(ANN).raw(60, class).list(&[67]),
            Some(b"HTTPClient"),
        ),
        (
            "a file that is not on the web",
            &[("67", "snponly.efi")],
            discover(ANN).raw(60, class).list(&[60, 67]),
            None,
        ),
        (
            "somebody else",
            &url,
            uefi(discover(ANN)).list(&[60, 67]),
            None,
        ),
        (
            "said otherwise",
            &[url[0], ("60", "HTTPClient:lab")],
            discover(ANN).raw(60, class).list(&[67]),
            Some(b"HTTPClient:lab"),
        ),
    ] {
        let message = decode(&with(port, &[], &[]).reply(&ask).message);
        assert_eq!(value(&message, 60).as_deref(), want, "{name}");
    }
}

#[test]
fn what_is_forced_is_an_option_and_in_no_field() {
    let mut world = with(&[], &[("67", "forced"), ("66", "boot")], &[]);
    let options = world.scope.options.iter().cloned();
    let forced = options.map(|common| CommonOption {
        forced: true,
        ..common
    });
    world.scope.options = forced.collect();
    let reply = world.reply(&discover(ANN).list(&[1])).message;
    let message = decode(&reply);
    assert_eq!(value(&message, 67).unwrap(), b"forced\0");
    assert_eq!(value(&message, 66).unwrap(), b"boot\0");
    assert_eq!(reply[108], 0);
}
