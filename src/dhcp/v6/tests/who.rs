//! Who a message is taken to be from.

use super::*;
use crate::pace::Who;

#[test]
fn a_port_is_known_by_what_its_tenant_cannot_choose() {
    let anns = "advertise na1[2001:db8:1::a]";
    let nothing = "advertise na1[noaddrsavail] noaddrsavail";
    let duid_of = |last| [&[0, 3, 0, 1][..], &mac(last).0].concat();
    let private = "fe80::1234:5678:9abc:def0";
    let is = |last| Neighbour::Is(mac(last));
    let solicit = |last| says(last, SOLICIT).na(&[]);
    for (name, says, want) in [
        (
            "a stranger with another's DUID",
            solicit(STRANGER).duid(&duid_of(ANN)),
            format!("{nothing} to e fe80::f816:3eff:fe00:e"),
        ),
        (
            "a port with another's DUID (an image that was cloned)",
            solicit(ANN).duid(&duid_of(BOB)),
            format!("{anns} to a fe80::f816:3eff:fe00:a"),
        ),
        (
            "an address that is not made of the MAC",
            solicit(ANN).from(private),
            format!("who has {private}"),
        ),
        (
            "the neighbour is known",
            solicit(STRANGER).from(private).neighbour(is(ANN)),
            format!("{anns} to a {private}"),
        ),
        (
            "the neighbour counts, not the DUID",
            solicit(BOB).from(private).neighbour(is(ANN)),
            format!("{anns} to a {private}"),
        ),
        (
            "nobody says who it is: the answer goes to the DUID's MAC, and to nobody else",
            solicit(STRANGER)
                .duid(&duid_of(ANN))
                .from(private)
                .neighbour(Neighbour::Nobody),
            format!("{anns} to a {private}"),
        ),
        (
            "nobody, and no MAC in the DUID",
            solicit(STRANGER)
                .duid(b"\0\x04uuid")
                .from(private)
                .neighbour(Neighbour::Nobody),
            "nobody".into(),
        ),
        (
            "by the DUID that a port has for an id",
            solicit(STRANGER).duid(IDAS),
            "advertise na1[2001:db8:1::d] to e fe80::f816:3eff:fe00:e".into(),
        ),
        (
            "the same port by its MAC",
            solicit(IDA),
            "advertise na1[2001:db8:1::d] to d fe80::f816:3eff:fe00:d".into(),
        ),
        (
            "the DUID of another's port, which that may have for this very reason",
            solicit(ANN).duid(IDAS),
            format!("{anns} to a fe80::f816:3eff:fe00:a"),
        ),
        (
            "the same from a neighbour that is known",
            solicit(ANN).duid(IDAS).from(private).neighbour(is(ANN)),
            format!("{anns} to a {private}"),
        ),
        (
            "the same before the neighbour is known",
            solicit(ANN).duid(IDAS).from(private),
            format!("who has {private}"),
        ),
        (
            "nobody says who it is: the DUID that a port has for an id",
            solicit(STRANGER)
                .duid(IDAS)
                .from(private)
                .neighbour(Neighbour::Nobody),
            format!("advertise na1[2001:db8:1::d] to d {private}"),
        ),
        (
            "nobody is looked for in vain for another server's client",
            says(ANN, REQUEST).to(THEM).from(private),
            "silence".into(),
        ),
        (
            "a group's address in a DUID",
            solicit(STRANGER)
                .duid(&[0, 3, 0, 1, 1, 0, 0, 0, 0, 1])
                .from(private)
                .neighbour(Neighbour::Nobody),
            "nobody".into(),
        ),
    ] {
        assert_eq!(World::new().said(&says), want, "{name}");
    }
}

#[test]
fn a_whole_network_with_addresses_of_its_own_making_is_not_one_stranger() {
    let scope = scope();
    let unknown = |of: &str| Who::Newcomer(ip(of));
    for (name, says, want) in [
        (
            "a port",
            says(ANN, SOLICIT),
            Who::Known(mac(ANN).link_local()),
        ),
        (
            "perhaps one",
            says(ANN, SOLICIT).from("fe80::1"),
            unknown("fe80::1"),
        ),
        (
            "perhaps another",
            says(BOB, SOLICIT).from("fe80::2"),
            unknown("fe80::2"),
        ),
        (
            "perhaps a port by its DUID, perhaps another that has the same",
            says(IDA, SOLICIT).duid(IDAS).from("fe80::3"),
            unknown("fe80::3"),
        ),
        (
            "a port by its DUID",
            says(STRANGER, SOLICIT).duid(IDAS),
            Who::Known(mac(IDA).link_local()),
        ),
        (
            "none",
            says(STRANGER, SOLICIT),
            Who::Other(mac(STRANGER).link_local()),
        ),
    ] {
        let packet = says.packet();
        let request = Request::decode(&packet, says.arrived, says.source).unwrap();
        assert_eq!(sender(&scope, &request), want, "{name}");
    }
}
