//! How requests are read, and what is none.

use super::*;
use crate::dhcp::request::Malformed;

#[test]
fn what_is_no_request_is_named() {
    let whole = discover(ANN).packet();
    let with = |at: usize, byte: u8| {
        let mut packet = whole.clone();
        packet[at] = byte;
        packet
    };
    for (name, packet, want) in [
        ("empty", vec![], Malformed::Length),
        ("short", whole[..239].to_vec(), Malformed::Length),
        ("a reply", with(0, 2), Malformed::NoRequest(2)),
        ("token ring", with(1, 6), Malformed::Hardware(6, 6)),
        (
            "address longer than its field",
            with(2, 255),
            Malformed::Hardware(1, 255),
        ),
        ("address of a group", with(28, 1), Malformed::GroupAddress),
        ("no cookie", with(236, 0), Malformed::Cookie),
        (
            "a server's message",
            ask(ANN, MessageType::Ack).packet(),
            Malformed::MessageType(5),
        ),
        (
            "a message of others",
            ask(ANN, MessageType::LeaseQuery).packet(),
            Malformed::MessageType(10),
        ),
        (
            "a type of two bytes",
            bootp(ANN).raw(53, &[1, 1]).packet(),
            Malformed::Incomplete,
        ),
        (
            "request without any address",
            ask(ANN, MessageType::Request).packet(),
            Malformed::Incomplete,
        ),
        (
            "decline of nothing",
            ask(ANN, MessageType::Decline).server("10.0.0.2").packet(),
            Malformed::Incomplete,
        ),
        (
            "decline to nobody",
            ask(ANN, MessageType::Decline)
                .requested("10.0.0.10")
                .packet(),
            Malformed::Incomplete,
        ),
        (
            "release of nothing",
            ask(ANN, MessageType::Release).server("10.0.0.2").packet(),
            Malformed::Incomplete,
        ),
        (
            "inform from nowhere",
            ask(ANN, MessageType::Inform).packet(),
            Malformed::Incomplete,
        ),
    ] {
        let decoded = Request::decode(&packet, Arrived::Broadcast, Ipv4Addr::UNSPECIFIED);
        assert_eq!(decoded.err(), Some(want), "{name}");
    }
}

#[test]
fn options_of_a_request_may_be_in_file_and_sname() {
    let mut packet = bootp(ANN).raw(52, &[3]).packet();
    packet[108..112].copy_from_slice(&[53, 1, 1, 255]);
    packet[44..52].copy_from_slice(&[51, 4, 0, 0, 3, 0xe8, 255, 0]);
    let request = Request::decode(&packet, Arrived::Broadcast, Ipv4Addr::UNSPECIFIED).unwrap();
    let Answer::Reply(reply) = answer(&scope(), &request, &mut Leases::default(), Instant::now())
    else {
        panic!("no reply");
    };
    assert_eq!(
        value(&decode(&reply.message), 51),
        Some(1000u32.to_be_bytes().to_vec())
    );
}

#[test]
fn one_malformed_option_hides_only_what_follows() {
    // Neither a host name that is no UTF-8 nor a strange length of option 150 is any reason to be silent.
    let ask = discover(ANN)
        .raw(12, &[0xff, 0xfe])
        .raw(150, &[1, 2, 3])
        .raw(50, &[1]);
    assert!(World::new().said(&ask).starts_with("offer"));
}
