//! What machines that boot ask, and what was said to them: the same whichever server that is, and from wherever it knows them.

use std::fmt::Write;

use crate::common::Guest;
use crate::common::asker::{Ask, Asker, Mac, bootp, discover, inform, mac, renew};

/// What an operator of Neutron has in `dnsmasq_config_file`; `lan.toml` says the same.
pub(crate) const CONFIG: &str = include_str!("dnsmasq.conf");
/// What each said, as a file; a change of it is seen in review. Why they differ: docs/boot.md.
pub(crate) const BESIDE: &str = "tests/boot/beside.txt";

/// The machines: end of MAC, name, addresses.
pub(crate) const MACHINES: [(u8, &str, &[&str]); 8] = [
    (0xa, "ann", &["10.0.0.10"]),
    (0xb, "iron", &["10.0.0.11"]),
    (0xc, "far", &["10.2.0.12"]),
    (0xd, "two", &["10.0.0.13", "10.2.0.13"]),
    (0xe, "web", &["10.0.0.14"]),
    (0xf, "full", &["10.0.0.15"]),
    (0x12, "told", &["10.0.0.18"]),
    (0x13, "ida", &["10.0.0.19"]),
];

/// Of whose port, by name or number, and what.
pub(crate) fn options() -> Vec<(&'static str, &'static str, String)> {
    let ironic = [
        ("tag:!ipxe,67", "ironic/snponly.efi"),
        ("tag:ipxe,67", "http://10.0.0.6:8080/boot.ipxe"),
        ("66", "10.0.0.6"),
        ("150", "10.0.0.6"),
        ("server-ip-address", "10.0.0.6"),
        ("210", "/tftpboot/"),
    ];
    let web = [("60", "HTTPClient"), ("67", "http://10.0.0.6/web.efi")];
    let full = [
        ("67", "full".to_owned()),
        ("224", "a".repeat(200)),
        ("225", "b".repeat(100)),
        ("226", "c".repeat(50)),
    ];
    let told = [("93", "7"), ("94", "01:03:10"), ("97", "00:07:07:07:07")];
    let told = told.map(|(name, value)| ("told", name, value.to_owned()));
    let ironic = ironic.map(|(name, value)| ("iron", name, value.to_owned()));
    let web = web.map(|(name, value)| ("web", name, value.to_owned()));
    let full = full.map(|(name, value)| ("full", name, value));
    let ida = ("ida", "client-id", "ib-7".to_owned());
    let all = ironic.into_iter().chain(web).chain(full);
    all.chain(told).chain([ida]).collect()
}

const ANN: Mac = mac(0xa);
/// With the options that Ironic gives a port.
const IRON: Mac = mac(0xb);
const FAR: Mac = mac(0xc);
/// In both subnets.
const TWO: Mac = mac(0xd);
/// With a vendor class of its own.
const WEB: Mac = mac(0xe);
/// With more options than there is room for.
const FULL: Mac = mac(0xf);
/// Is told what else clients tell.
const TOLD: Mac = mac(0x12);
/// With a client id.
const IDA: Mac = mac(0x13);
const STRANGER: Mac = mac(0x10);

/// What a ROM asks for.
const WISHES: [u8; 11] = [1, 3, 43, 60, 66, 67, 97, 128, 150, 175, 210];
/// What is compared; the rest is in other tests.
const SHOWN: [u8; 19] = [
    1, 28, 43, 52, 60, 61, 66, 67, 82, 93, 94, 97, 118, 150, 175, 210, 224, 225, 226,
];

fn rom(mac: Mac, class: &[u8], arch: u8) -> Ask {
    let id = [&[0][..], &[7; 16]].concat();
    discover(mac)
        .option(60, class)
        .option(93, &[0, arch])
        .option(94, &[1, 3, 1])
        .option(97, &id)
}

fn bios(mac: Mac) -> Ask {
    rom(mac, b"PXEClient:Arch:00000:UNDI:002001", 0)
}

fn uefi(mac: Mac) -> Ask {
    rom(mac, b"PXEClient:Arch:00007:UNDI:003001", 7)
}

fn http(mac: Mac) -> Ask {
    rom(mac, b"HTTPClient:Arch:00016:UNDI:003001", 16)
}

fn ipxe(ask: Ask) -> Ask {
    ask.option(77, b"iPXE").option(175, &[177, 1, 1])
}

pub(crate) fn questions() -> Vec<(&'static str, Ask)> {
    let wishing = |ask: Ask| ask.list(&WISHES);
    let full = || discover(FULL).list(&[224, 225, 226]);
    let port = [1, 2, 7, 7];
    let elsewhere = [&port[..], &[5, 4, 10, 2, 0, 0]].concat();
    vec![
        ("BIOS", wishing(bios(ANN))),
        ("BIOS, without a list", bios(ANN)),
        ("BIOS, other wishes", bios(ANN).list(&[1, 3])),
        ("UEFI", wishing(uefi(ANN))),
        ("UEFI, other wishes", uefi(ANN).list(&[1, 3])),
        ("UEFI, renewing", {
            let ask = renew(ANN, "10.0.0.10").option(93, &[0, 7]);
            wishing(ask)
        }),
        ("UEFI over HTTP", wishing(http(ANN))),
        ("UEFI over HTTP, other wishes", http(ANN).list(&[1, 67])),
        ("UEFI over HTTP, the port's class", wishing(http(WEB))),
        ("iPXE of a BIOS", wishing(ipxe(bios(ANN)))),
        ("iPXE of a UEFI", wishing(ipxe(uefi(ANN)))),
        ("user class", wishing(discover(ANN).option(77, b"lab"))),
        (
            "user class, counted",
            wishing(discover(ANN).option(77, b"\x03lab")),
        ),
        ("BOOTP", bootp(ANN)),
        (
            "BOOTP, from before there were options",
            bootp(ANN).without_cookie(),
        ),
        ("BOOTP, by relay", bootp(FAR).relay("10.2.0.9")),
        ("BOOTP, unknown", bootp(STRANGER)),
        ("a machine that is up", {
            let ask = inform(ANN, "10.0.0.10").option(93, &[0, 7]);
            wishing(ask)
        }),
        ("Ironic's UEFI", wishing(uefi(IRON))),
        ("Ironic's UEFI, without a list", uefi(IRON)),
        ("Ironic's iPXE", wishing(ipxe(uefi(IRON)))),
        ("what clients tell, as options", {
            discover(TOLD).list(&[93, 94, 97])
        }),
        ("what clients tell, as options, asked for one", {
            discover(TOLD).list(&[97])
        }),
        ("no wishes at all", discover(ANN).list(&[])),
        ("a machine that is up, no wishes at all", {
            inform(ANN, "10.0.0.10").list(&[])
        }),
        ("client id beside the MAC", {
            let ask = bios(ANN).option(61, &[255, 1, 2, 3, 4, 0, 3]);
            ask.list(&[1])
        }),
        ("a port's client id, from another MAC", {
            discover(STRANGER).option(61, b"ib-7").list(&[1])
        }),
        ("a port's client id, behind a zero", {
            discover(STRANGER).option(61, b"\0ib-7").list(&[1])
        }),
        (
            "a port with a client id, and none",
            discover(IDA).list(&[1]),
        ),
        ("a port with a client id, and another", {
            discover(IDA).option(61, b"what").list(&[1])
        }),
        ("a port without, and another's client id", {
            discover(ANN).option(61, b"ib-7").list(&[1])
        }),
        ("two subnets", discover(TWO).list(&[1])),
        ("two subnets, the other wished", {
            let ask = discover(TWO).address(50, "10.0.0.13");
            ask.list(&[1])
        }),
        ("two subnets, by relay of the other", {
            discover(TWO).relay("10.0.0.9").list(&[1])
        }),
        ("two subnets, the other selected", {
            let ask = discover(TWO).address(118, "10.0.0.0");
            ask.list(&[1])
        }),
        ("subnet selection of none of ours", {
            let ask = discover(TWO).address(118, "10.9.0.0");
            ask.list(&[1])
        }),
        ("relay", {
            let ask = discover(FAR).relay("10.2.0.9").option(82, &port);
            ask.list(&[1])
        }),
        ("relay, broadcast flag", {
            let ask = discover(FAR).relay("10.2.0.9").broadcast_flag();
            ask.list(&[1])
        }),
        ("relay, another link", {
            let ask = discover(FAR).relay("10.0.0.9").option(82, &elsewhere);
            ask.list(&[1])
        }),
        ("broadcast flag", discover(ANN).broadcast_flag().list(&[1])),
        ("no room, no size", full()),
        ("no room, the least", full().option(57, &[2, 64])),
        ("some room", full().option(57, &[2, 158])),
        ("all the room", full().option(57, &[5, 120])),
        ("less than the least", full().option(57, &[0, 100])),
    ]
}

/// Options in their own field, then in those that option 52 names; by code, and those in pieces whole.
fn read(message: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut options = Vec::new();
    take(&message[240..], &mut options);
    let overload = overload_of(&options);
    if overload & 1 != 0 {
        take(&message[108..236], &mut options);
    }
    if overload & 2 != 0 {
        take(&message[44..108], &mut options);
    }
    options.sort();
    options
}

fn take(mut rest: &[u8], options: &mut Vec<(u8, Vec<u8>)>) {
    while let [code, after @ ..] = rest {
        match (code, after) {
            (0, _) => rest = after,
            (255, _) => return,
            (code, [length, after @ ..]) => {
                let (value, next) = after.split_at(usize::from(*length));
                match options.iter_mut().find(|(of, _)| of == code) {
                    Some((_, whole)) => whole.extend(value),
                    None => options.push((*code, value.to_vec())),
                }
                rest = next;
            }
            _ => panic!("an option is cut"),
        }
    }
}

fn overload_of(options: &[(u8, Vec<u8>)]) -> u8 {
    let found = options.iter().find(|(code, _)| *code == 52);
    found.map_or(0, |(_, value)| value[0])
}

fn text(bytes: &[u8]) -> String {
    let printed = |byte: &u8| byte.is_ascii_graphic();
    let (body, end) = match bytes {
        [body @ .., 0] if body.len() > 3 => (body, "\\0"),
        body => (body, ""),
    };
    match body {
        [first, _, _, ..] if body.iter().all(|byte| byte == first) && body.len() > 9 => {
            format!("{}*{:02x}", body.len(), first)
        }
        [_, _, _, ..] if body.iter().all(printed) => {
            format!("{}{end}", String::from_utf8_lossy(body))
        }
        _ => hex::encode(bytes),
    }
}

/// The answer in words: kind, address and way; where the file is; the options.
fn said(asker: &mut Asker, ask: &Ask) -> String {
    let Some(heard) = asker.hear(ask) else {
        return "silence".to_owned();
    };
    let message = &heard.0.udp.payload;
    let mut words = heard.words();
    if let Some(at) = words.find(" at ") {
        words.truncate(at);
    }
    let options = read(message);
    let overload = overload_of(&options);
    let until_zero = |field: &[u8]| {
        let end = field.iter().position(|byte| *byte == 0);
        String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
    };
    write!(words, " next {}", heard.0.message.siaddr()).unwrap();
    for (bit, name, field) in [(1, "file", 108..236), (2, "sname", 44..108)] {
        let value = until_zero(&message[field]);
        if overload & bit == 0 && !value.is_empty() {
            write!(words, " {name} {value}").unwrap();
        }
    }
    for (code, value) in options {
        if SHOWN.contains(&code) {
            write!(words, " {code}={}", text(&value)).unwrap();
        }
    }
    words
}

/// Every answer, in the order of [`questions`]. The guest is on the servers' link, its MAC the relay's.
pub(crate) fn table(guest: Guest) -> Vec<String> {
    guest.ip("addr add 10.0.0.9/24 dev eth0\naddr add 10.2.0.9/24 dev eth0");
    let mut asker = Asker::new(guest, "10.0.0.2");
    for (own, server) in [("10.0.0.9", "10.0.0.2"), ("10.2.0.9", "10.2.0.2")] {
        let ping = ["ping", "-c1", "-W5", "-I", own, server];
        asker.guest.run(&ping).ok();
    }
    let rows = questions();
    rows.iter().map(|(_, ask)| said(&mut asker, ask)).collect()
}
