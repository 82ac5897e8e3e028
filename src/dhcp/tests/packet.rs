//! What comes back as it was sent, and where options go when room is short.

use super::options::with_options;
use super::*;

#[test]
fn echoes() {
    let duid = [255, 0, 0, 0, 7, 0, 3, 0, 1, 0xfa, 0x16, 0x3e, 0, 0, 0xa]; // RFC 4361: IAID and DUID
    for (name, ask) in [
        ("offer", discover(ANN)),
        ("ack", renew(ANN, "10.0.0.10")),
        ("nak", reboot(ANN, "10.0.0.99")),
        ("inform", inform(ANN, "10.0.0.10")),
    ] {
        let message = decode(&World::new().reply(&ask.raw(61, &duid)).message);
        assert_eq!(value(&message, 61), Some(duid.to_vec()), "{name}");
    }
    let selected = decode(
        &World::new()
            .reply(&discover(BOB).raw(118, &[10, 0, 0, 0]))
            .message,
    );
    assert_eq!(value(&selected, 118), Some(vec![10, 0, 0, 0]), "RFC 3011");
}

#[test]
fn the_relays_option_comes_back_last_and_unchanged() {
    // Out of order, twice the same suboption, one that nobody knows: byte for byte all the same.
    let agent = [9, 3, 1, 2, 3, 1, 4, b'p', b'o', b'r', b't', 1, 1, 7, 200, 0];
    for (name, ask) in [
        ("offer", discover(FAR).relay("10.9.0.1")),
        (
            "ack",
            select(FAR, "10.0.0.2", "10.9.0.12").relay("10.9.0.1"),
        ),
        ("nak", reboot(FAR, "10.9.0.99").relay("10.9.0.1")),
        ("inform", inform(FAR, "10.9.0.12").relay("10.9.0.1")),
        ("bootp", bootp(FAR).relay("10.9.0.1")),
        ("without a relay's address", discover(ANN)),
    ] {
        let reply = World::new().reply(&ask.raw(82, &agent)).message;
        let wanted = [&[82, 16][..], &agent, &[255]].concat();
        let at = reply
            .windows(wanted.len())
            .position(|window| window == wanted);
        let at = at.unwrap_or_else(|| panic!("{name}: not echoed"));
        assert!(
            reply[at + wanted.len()..].iter().all(|byte| *byte == 0),
            "{name}: last"
        );
        assert_eq!(order(&reply).last(), Some(&82), "{name}");
    }
    // RFC 5107: the relay stands in for us, and what names it as the server means us.
    let overriding = [11, 4, 10, 9, 0, 1];
    let mut world = World::new();
    let message = decode(
        &world
            .reply(&discover(FAR).relay("10.9.0.1").raw(82, &overriding))
            .message,
    );
    assert_eq!(value(&message, 54), Some(vec![10, 9, 0, 1]));
    let select = select(FAR, "10.9.0.1", "10.9.0.12").relay("10.9.0.1");
    assert!(
        world
            .said(&select.clone().raw(82, &overriding))
            .starts_with("ack")
    );
    assert_eq!(world.said(&select), "silence");
}

#[test]
fn a_clients_full_name_is_answered_with_ours() {
    let wire = b"\x03ann\x07example\x03org\0";
    for (name, ask, want) in [
        (
            "server updates, wire form",
            discover(ANN).raw(81, &[5, 0, 0, 3, b'b', b'o', b'x']),
            Some([&[5, 255, 255][..], wire].concat()),
        ),
        (
            "client would update: overridden",
            discover(ANN).raw(81, &[4, 0, 0]),
            Some([&[7, 255, 255][..], wire].concat()),
        ),
        (
            "no updates: overridden",
            discover(ANN).raw(81, &[8, 0, 0]),
            Some(b"\x03\xff\xffann.example.org".to_vec()),
        ),
        (
            "text",
            discover(ANN).raw(81, b"\x01\0\0box"),
            Some(b"\x01\xff\xffann.example.org".to_vec()),
        ),
        (
            "on an ACK",
            renew(ANN, "10.0.0.10").raw(81, b"\x01\0\0box"),
            Some(b"\x01\xff\xffann.example.org".to_vec()),
        ),
        ("not sent, not answered", discover(ANN).list(&[81]), None),
        (
            "a port without a name",
            discover(BOB).raw(81, b"\x01\0\0box"),
            None,
        ),
        ("too short", discover(ANN).raw(81, &[1]), None),
    ] {
        let reply = World::new().reply(&ask).message;
        let at = order(&reply).iter().position(|code| *code == 81);
        assert_eq!(at.is_some(), want.is_some(), "{name}");
        if let Some(want) = want {
            let wanted = [&[81, u8::try_from(want.len()).unwrap()], &want[..]].concat();
            assert!(
                reply.windows(wanted.len()).any(|window| window == wanted),
                "{name}"
            );
        }
    }
}

#[test]
fn room_is_used_and_kept_to() {
    let (a, b, c) = ("a".repeat(200), "b".repeat(100), "c".repeat(50));
    let options = [("224", a.as_str()), ("225", &b), ("226", &c), ("227", &c)];
    let list = [224, 225, 226, 227];
    let size = |size: u16| discover(ANN).list(&list).max_size(size);
    for (name, ask, main, file, sname, overload) in [
        // 53 54 51 58 59 1 28 26 take 3+6+6+6+6+6+6+4 = 43 of 308 bytes; 1 is the end's and 3 are option 52's.
        (
            "no size named",
            discover(ANN).list(&list),
            vec![224, 226],
            vec![225],
            vec![227],
            Some(3),
        ),
        (
            "smaller than anything is allowed to be",
            size(100),
            vec![224, 226],
            vec![225],
            vec![227],
            Some(3),
        ),
        (
            "the least",
            size(576),
            vec![224, 226],
            vec![225],
            vec![227],
            Some(3),
        ),
        (
            "a little more",
            size(690),
            vec![224, 225, 226],
            vec![227],
            vec![],
            Some(1),
        ),
        (
            "plenty",
            size(1400),
            vec![224, 225, 226, 227],
            vec![],
            vec![],
            None,
        ),
        (
            "more than the link has",
            size(9000),
            vec![224, 225, 226, 227],
            vec![],
            vec![],
            None,
        ),
    ] {
        let reply = with_options(&options).reply(&ask).message;
        let ours = |codes: Vec<u8>| -> Vec<u8> {
            codes
                .into_iter()
                .filter(|code| list.contains(code))
                .collect()
        };
        assert_eq!(ours(order(&reply)), main, "{name}: options");
        let field = |range: std::ops::Range<usize>| {
            ours(order(&[&[0; 240][..], &reply[range], &[255]].concat()))
        };
        assert_eq!(field(108..236), file, "{name}: file");
        assert_eq!(field(44..108), sname, "{name}: sname");
        let message = decode(&reply);
        assert_eq!(
            value(&message, 52),
            overload.map(|bits| vec![bits]),
            "{name}: option 52"
        );
        assert!(reply.len() <= 1450 - 28, "{name}");
    }
    // A boot file's name is in the field: nothing may lie over it. What has no room then is left out.
    let mut world = with_options(&[&options[..], &[("67", "pxelinux.0")]].concat());
    let reply = world.reply(&discover(ANN).list(&list)).message;
    assert_eq!(&reply[108..119], b"pxelinux.0\0");
    assert_eq!(value(&decode(&reply), 52), Some(vec![2]));
    assert!(reply.len() <= 576 - 28);
    // Whatever comes back for the relay is kept room for.
    let reply = world
        .reply(&discover(ANN).list(&list).raw(82, &[7; 200]))
        .message;
    assert!(reply.len() <= 576 - 28, "{}", reply.len());
    assert_eq!(order(&reply).last(), Some(&82));
    // BOOTP clients know no overloading, and take no more than they send.
    let reply = world.reply(&bootp(ANN)).message;
    assert_eq!((reply.len(), value(&decode(&reply), 52)), (300, None));
}

#[test]
fn an_option_of_more_than_255_bytes_is_split() {
    // So many routes of 7 bytes each, and a size: how often option 121 is where, and option 52.
    for (routes, size, options, file, sname, overload) in [
        (40, 1400, 2, 0, 0, None),
        (40, 576, 2, 1, 0, Some(1)),
        (60, 576, 2, 1, 1, Some(3)),
        (110, 1400, 4, 0, 0, None),
        (70, 576, 0, 0, 0, None),
        (250, 1400, 0, 0, 0, None),
    ] {
        let mut scope = scope();
        scope.subnets[0].classless_routes = (0..routes)
            .map(|n| (format!("10.{n}.0.0/16").parse().unwrap(), ip("10.0.0.1")))
            .collect();
        let ask = discover(ANN).list(&[121]).max_size(size);
        let reply = World::of(scope).reply(&ask).message;
        let count = |bytes: &[u8]| order(bytes).iter().filter(|code| **code == 121).count();
        let field =
            |range: std::ops::Range<usize>| count(&[&[0; 240][..], &reply[range], &[255]].concat());
        assert_eq!(
            (count(&reply), field(108..236), field(44..108)),
            (options, file, sname),
            "{routes} in {size}"
        );
        assert!(reply.len() <= usize::from(size) - 28);
        // What a client that knows RFC 3396 makes of it.
        let mut read = reply.clone();
        read[0] = 1;
        let whole = super::super::options_in::OptionsIn::of(&read);
        let bits = whole.get(52).map(|value| value[0]);
        assert_eq!(bits, overload, "{routes} in {size}");
        let whole = whole.get(121).map(|routes| routes.len() / 7);
        assert_eq!(whole, (options > 0).then_some(routes), "{routes} in {size}");
    }
}
