//! Elements as the kernel writes them, and as we do.

use super::*;

const START: u32 = 0;
const END: u32 = INTERVAL_END;

fn addresses(data: Option<ElementType>) -> Map {
    Map {
        key: vec![ElementType::Ipv4],
        data,
        interval: true,
        elements: BTreeMap::new(),
    }
}

fn dump(elements: &[([u8; 4], u32)]) -> Vec<Vec<u8>> {
    let mut body = crate::nft::header();
    attr::nest(&mut body, attribute::ELEMENTS, |list| {
        for (key, flags) in elements {
            attr::nest(list, attribute::LIST_ELEM, |element| {
                attr::nest(element, attribute::KEY, |value| {
                    attr::put(value, attribute::VALUE, key);
                });
                attr::put(element, attribute::FLAGS, &flags.to_be_bytes());
            });
        }
    });
    vec![body]
}

#[test]
fn ranges_are_read_from_starts_and_ends() {
    let net =
        |text: &str, length| Element::Net(text.parse().unwrap_or(Ipv4Addr::BROADCAST), length);
    let one = |text: &str| Element::Ipv4(text.parse().unwrap_or(Ipv4Addr::BROADCAST));
    for (name, elements, want) in [
        ("nothing", vec![], Some(vec![])),
        (
            "one net",
            vec![([10, 0, 0, 0], START), ([10, 0, 1, 0], END)],
            Some(vec![net("10.0.0.0", 24)]),
        ),
        (
            "the end in front that nft makes, and any order",
            vec![
                ([10, 0, 1, 0], END),
                ([0, 0, 0, 0], END),
                ([10, 0, 0, 0], START),
            ],
            Some(vec![net("10.0.0.0", 24)]),
        ),
        (
            "two next to each other",
            vec![
                ([10, 0, 0, 0], START),
                ([10, 0, 1, 0], END),
                ([10, 0, 1, 0], START),
                ([10, 0, 2, 0], END),
            ],
            Some(vec![net("10.0.0.0", 24), net("10.0.1.0", 24)]),
        ),
        (
            "one address",
            vec![([10, 0, 0, 7], START), ([10, 0, 0, 8], END)],
            Some(vec![one("10.0.0.7")]),
        ),
        (
            "open at the end",
            vec![([128, 0, 0, 0], START)],
            Some(vec![net("128.0.0.0", 1)]),
        ),
        (
            "everything",
            vec![([0, 0, 0, 0], START)],
            Some(vec![net("0.0.0.0", 0)]),
        ),
        (
            "the last address",
            vec![([255, 255, 255, 255], START)],
            Some(vec![one("255.255.255.255")]),
        ),
        (
            "no prefix",
            vec![([10, 0, 0, 0], START), ([10, 0, 0, 3], END)],
            None,
        ),
        (
            "not at its boundary",
            vec![([10, 0, 0, 1], START), ([10, 0, 0, 3], END)],
            None,
        ),
        (
            "two starts",
            vec![([10, 0, 0, 0], START), ([10, 0, 1, 0], START)],
            None,
        ),
        (
            "two ends",
            vec![
                ([10, 0, 0, 0], START),
                ([10, 0, 1, 0], END),
                ([10, 0, 2, 0], END),
            ],
            None,
        ),
    ] {
        let read = parse(&dump(&elements), &addresses(None));
        let read = read.map(|elements| elements.into_keys().flatten().collect::<Vec<_>>());
        assert_eq!(read, want, "{name}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let key = vec![
        ElementType::Device,
        ElementType::Ipv4,
        ElementType::Protocol,
        ElementType::Port,
    ];
    let map = Map {
        key,
        data: Some(ElementType::Mark),
        interval: false,
        elements: BTreeMap::new(),
    };
    let element = vec![
        Element::Device("qr-0123456789a".into()),
        Element::Ipv4(Ipv4Addr::new(10, 0, 0, 1)),
        Element::Protocol(6),
        Element::Port(8080),
    ];
    let add = BTreeMap::from([(element, Some(Element::Mark(0x0401_0002)))]);
    let change = MapChange {
        remove: [].into(),
        add: add.clone(),
    };
    let bodies: Vec<Vec<u8>> = self::change("t", "m", &change)
        .into_iter()
        .map(|sent| sent.body)
        .collect();
    assert_eq!(parse(&bodies, &map), Some(add));
    let other = Map {
        data: Some(ElementType::Port),
        ..map
    };
    assert_eq!(
        parse(&bodies, &other),
        None,
        "a map of another type is not ours"
    );
}

/// The kernel is trusted; but bytes that are cut off or odd are told apart, not believed, and never a panic.
#[test]
fn odd_bytes() {
    let whole = dump(&[([10, 0, 0, 0], START), ([10, 0, 1, 0], END)]);
    for length in 0..whole[0].len() {
        for map in [addresses(None), addresses(Some(ElementType::Mark))] {
            let _ = parse(&[whole[0][..length].to_vec()], &map);
            let mut changed = whole[0].clone();
            changed[length] ^= 0xff;
            let _ = parse(&[changed], &map);
        }
    }
}

#[test]
fn many_elements_take_several_messages() {
    let number = |number: u32| (vec![Element::Mark(number)], None);
    let change = MapChange {
        remove: [vec![Element::Mark(9)]].into(),
        add: (0..1000).map(number).collect(),
    };
    let messages = self::change("t", "m", &change);
    assert_eq!(
        messages
            .iter()
            .map(|message| message.kind)
            .collect::<Vec<_>>(),
        [DELETE, NEW, NEW, NEW]
    );
}
