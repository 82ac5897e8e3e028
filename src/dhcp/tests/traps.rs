//! What is known to go wrong in reading and writing DHCP, above all in dhcproto's own codec: each is closed here.

use super::*;
use crate::dhcp::request::Malformed;

fn read(packet: &[u8]) -> Result<Request<'_>, Malformed> {
    Request::decode(packet, Arrived::Broadcast, Ipv4Addr::UNSPECIFIED)
}

/// A DISCOVER with these bytes as all that follows its type.
fn with(options: &[u8]) -> Vec<u8> {
    let mut packet = bootp(ANN).packet();
    packet.truncate(240);
    packet.extend([53, 1, 1]);
    packet.extend(options);
    packet
}

#[test]
fn a_hardware_address_longer_than_its_field_is_refused() {
    for length in [0, 5, 7, 16, 17, 255] {
        let mut packet = discover(ANN).packet();
        packet[2] = length;
        let error = read(&packet).expect_err("not six bytes");
        assert_eq!(error, Malformed::Hardware(1, length));
    }
}

#[test]
fn the_cookie_is_looked_at() {
    let mut packet = discover(ANN).packet();
    packet[239] = 98;
    assert_eq!(read(&packet).expect_err("another"), Malformed::Cookie);
    // None at all is BOOTP as it was before there were options; what stands behind it is nothing.
    packet[236..240].fill(0);
    assert_eq!(read(&packet).unwrap().ask, crate::dhcp::request::Ask::Bootp);
    assert_eq!(read(&packet).unwrap().option(53), None);
    packet.truncate(239);
    assert_eq!(read(&packet).expect_err("cut"), Malformed::Length);
}

#[test]
fn a_strange_option_hides_no_other() {
    for (name, options, code, want) in [
        (
            "a host name that is no UTF-8",
            &[12, 2, 0xff, 0xfe, 60, 1, 7][..],
            60,
            Some(&[7][..]),
        ),
        (
            "option 150 of three bytes",
            &[150, 3, 1, 2, 3, 60, 1, 7],
            60,
            Some(&[7]),
        ),
        (
            "nothing in one that has to have something",
            &[50, 0, 81, 0, 82, 0, 60, 1, 7],
            60,
            Some(&[7]),
        ),
        ("padding between", &[0, 0, 60, 1, 7, 0], 60, Some(&[7])),
        ("after the end", &[255, 60, 1, 7], 60, None),
        (
            "one that runs over its end, after",
            &[60, 1, 7, 77, 200, 1],
            60,
            Some(&[7]),
        ),
        (
            "one that runs over its end, of the same code",
            &[60, 1, 7, 60, 200, 1],
            60,
            Some(&[7]),
        ),
        ("a code and nothing more", &[60, 1, 7, 77], 60, Some(&[7])),
    ] {
        let packet = with(options);
        let request = read(&packet).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(request.option(code), want, "{name}");
    }
}

/// RFC 3396, with which option 52 goes: options, then `file`, then `sname`.
#[test]
fn pieces_are_put_together() {
    let long = [&[77, 255][..], &[b'a'; 255], &[77, 2, b'b', b'c', 255]].concat();
    let packet = with(&long);
    let class = read(&packet).unwrap().option(77).unwrap().to_vec();
    assert_eq!(class, [&[b'a'; 255][..], b"bc"].concat(), "side by side");
    let packet = with(&[77, 1, b'a', 60, 1, 7, 77, 1, b'b', 255]);
    let request = read(&packet).unwrap();
    assert_eq!(
        (request.option(77), request.option(60)),
        (Some(&b"ab"[..]), Some(&[7][..])),
        "with others between"
    );
    let mut packet = with(&[52, 1, 3, 77, 1, b'a', 255]);
    packet[108..112].copy_from_slice(&[77, 1, b'b', 255]);
    packet[44..48].copy_from_slice(&[77, 1, b'c', 255]);
    let class = read(&packet).unwrap().option(77).unwrap().to_vec();
    assert_eq!(class, b"abc", "over the fields");
    for (overload, want) in [(1, &b"ab"[..]), (2, b"ac"), (0, b"a"), (4, b"a")] {
        packet[245] = overload;
        let class = read(&packet).unwrap().option(77).unwrap().to_vec();
        assert_eq!(class, want, "option 52 says {overload}");
    }
}

#[test]
fn of_what_has_a_fixed_length_the_first_counts() {
    let packet = with(&[53, 1, 3, 50, 4, 10, 0, 0, 1, 50, 4, 10, 0, 0, 2, 255]);
    let request = read(&packet).unwrap();
    assert_eq!(request.ask, crate::dhcp::request::Ask::Discover);
    assert_eq!(request.address(50), Some(ip("10.0.0.1")));
}

#[test]
fn a_long_list_of_wishes_is_one_list() {
    let packet = [&[55, 2, 1, 3][..], &[61, 1, 9], &[55, 1, 42, 255]].concat();
    let packet = with(&packet);
    let request = read(&packet).unwrap();
    let said = answer(&scope(), &request, &mut Leases::default(), Instant::now());
    let Answer::Reply(reply) = said else {
        panic!("{said:?}");
    };
    assert_eq!(
        order(&reply.message),
        [53, 54, 61, 51, 58, 59, 1, 28, 26, 3, 42]
    );
}

#[test]
fn replies_are_of_bootps_least_length() {
    let mut poor = World::of(DhcpScope {
        mtu: None,
        domain: None,
        ..scope()
    });
    for ask in [bootp(BOB), discover(BOB).list(&[]), reboot(BOB, "10.7.7.7")] {
        assert_eq!(poor.reply(&ask).message.len(), 300);
    }
}
