//! A DHCP server that a tenant runs, in both versions: what it says to everybody, and to us, teaches us nothing.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use dhcproto::v4::MessageType;

use crate::common::{
    Dhcp, Host, PATIENCE, Udp, Udp6, Wire, discover, group_mac, settled, udp_frame, wait_for,
};
use crate::hostile::held;

const TOPOLOGY: &str = r#"
[[network]]
name = "near"
bridge = "br-near"
[[network.subnet]]
cidr = "10.5.0.0/24"
dhcp_address = "10.5.0.2"
[[network.subnet]]
cidr = "fd00:5::/64"
ipv6_address_mode = "dhcpv6-stateful"
dhcp_address = "fd00:5::2"

[[instance]]
name = "ann"
[[instance.port]]
network = "near"
mac = "fa:16:3e:00:05:01"
addresses = ["10.5.0.11", "fd00:5::11"]
"#;

const ANN: netns::MacAddr = netns::MacAddr([0xfa, 0x16, 0x3e, 0, 5, 1]);
const ROGUE: Ipv4Addr = Ipv4Addr::new(10, 5, 0, 66);
const ROGUE6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Whoever offers ann something, and what, until both have.
fn offers(wire: &Wire) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let mut offers = Vec::new();
    wait_for("two offers", PATIENCE, || {
        wire.send(&discover(ANN, 1));
        let mut kind = Dhcp::of(MessageType::Offer);
        wire.recv(std::time::Duration::from_secs(1), |frame| {
            let offer = kind(frame)?;
            offers.push((offer.server_id()?, offer.message.yiaddr()));
            offers.sort_unstable();
            offers.dedup();
            (offers.len() == 2).then_some(())
        })
    });
    offers
}

/// What the tenant's server tells ann is heard by us as well: with these bytes to our ports, and to our own address.
fn said_to_us(from_mac: [u8; 6], our_mac: [u8; 6]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let asked = Dhcp::parse(&discover(ANN, 7)).unwrap().udp.payload;
    // OFFER, ACK, NAK of an address that is not ann's.
    for kind in [2, 5, 6] {
        let mut payload = asked.clone();
        payload[0] = 2;
        payload[16..20].copy_from_slice(&[10, 5, 0, 99]);
        let end = payload.iter().rposition(|byte| *byte == 255).unwrap();
        payload.truncate(end);
        let typed = payload[240..].windows(2).position(|head| head == [53, 1]);
        payload[240 + typed.unwrap() + 2] = kind;
        payload.extend([54, 4, 10, 5, 0, 66, 51, 4, 0, 1, 0, 0, 255]);
        for (to_mac, to) in [
            ([0xff; 6], Ipv4Addr::BROADCAST),
            (our_mac, Ipv4Addr::new(10, 5, 0, 2)),
        ] {
            frames.push(udp_frame(&Udp {
                to_mac,
                from_mac,
                from: SocketAddrV4::new(ROGUE, 67),
                to: SocketAddrV4::new(to, 67),
                payload: payload.clone(),
            }));
        }
    }
    // ADVERTISE, REPLY, RECONFIGURE, and what a relay is answered, with an address that is not ann's.
    for kind in [2, 7, 10, 13] {
        let mut payload = vec![kind, 0, 0, 7];
        let address: Ipv6Addr = "fd00:5::99".parse().unwrap();
        payload.extend([&[0, 1, 0, 10, 0, 3, 0, 1][..], &ANN.0].concat());
        payload.extend([&[0, 2, 0, 10, 0, 3, 0, 1][..], &from_mac].concat());
        payload.extend([0, 3, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 24]);
        payload.extend([&address.octets()[..], &[0, 0, 9, 9], &[0, 0, 9, 9]].concat());
        for (to_mac, to) in [
            (group_mac(ALL_SERVERS), ALL_SERVERS),
            (our_mac, netns::MacAddr(our_mac).link_local()),
        ] {
            let told = Udp6 {
                to_mac,
                from_mac,
                from: SocketAddrV6::new(ROGUE6, 547, 0, 0),
                to: SocketAddrV6::new(to, 547, 0, 0),
                payload: payload.clone(),
            };
            frames.push(told.frame());
        }
    }
    frames
}

#[test]
fn a_tenants_server_teaches_us_nothing() {
    let Some(host) = Host::new("rogue-dhcp") else {
        return;
    };
    let daemon = host.warren_run(TOPOLOGY);
    let rogue = host.guest("rogue", "br-near", "02:00:00:00:66:66");
    rogue.ip(
        "addr add 10.5.0.66/24 dev eth0\naddr add fd00:5::66/64 dev eth0 nodad\n\
              addr add fe80::66/64 dev eth0 nodad",
    );
    let ann = host.guest("ann", "br-near", &ANN.to_string());
    settled(&ann, "eth0");
    settled(&rogue, "eth0");
    let namespace = daemon.json(&["show", "network", "near"])["namespace"].clone();
    let namespace = namespace.as_str().unwrap();
    let in_ours = |argv: &[&str]| host.run_in(namespace, argv).ok();
    let command = "dnsmasq -k --log-facility=- --log-dhcp --port=0 --user=root --conf-file=/dev/null \
                   --interface=eth0 --dhcp-authoritative --dhcp-leasefile=/run/leases \
                   --dhcp-range=10.5.0.100,10.5.0.200 --dhcp-range=fd00:5::100,fd00:5::200";
    let mut running = rogue.spawn(&command.split_whitespace().collect::<Vec<_>>());
    running.says("DHCP, IP range");
    let wire = ann.wire();
    let offers = offers(&wire);
    assert_eq!(
        offers[0],
        (Ipv4Addr::new(10, 5, 0, 2), Ipv4Addr::new(10, 5, 0, 11))
    );
    assert_eq!(offers[1].0, ROGUE, "{}", running.log());
    let holds = held(in_ours);
    let shown = daemon.json(&["show", "network", "near"]);
    let ports = shown["ports"].as_array().unwrap();
    let own = ports.iter().find(|port| port["owner"] == "dhcp").unwrap();
    let our_mac: netns::MacAddr = own["mac"].as_str().unwrap().parse().unwrap();

    let frames = said_to_us(rogue.wire().mac(), our_mac.0);
    let counted = |service: &str, word: &str| {
        let shown = daemon.json(&["show", "network", "near"]);
        shown["counters"][service][word].as_u64().unwrap()
    };
    let before = ["dhcp", "dhcp6"].map(|service| counted(service, "received"));
    frames.iter().for_each(|frame| rogue.wire().send(frame));
    for (service, before, count) in [("dhcp", before[0], 6), ("dhcp6", before[1], 8)] {
        wait_for("us to hear it", PATIENCE, || {
            (counted(service, "received") >= before + count).then_some(())
        });
        assert_eq!(counted(service, "malformed"), count, "{service}");
    }
    let known = |shown: &serde_json::Value| {
        let leases = shown["leases"].as_array().unwrap().iter();
        let of = |lease: &serde_json::Value| (lease["address"].clone(), lease["state"].clone());
        (shown["ports"].clone(), leases.map(of).collect::<Vec<_>>())
    };
    let after = daemon.json(&["show", "network", "near"]);
    assert_eq!(known(&after), known(&shown));
    assert_eq!(held(in_ours), holds);
    wire.drain();
    assert_eq!(self::offers(&wire), offers, "each goes on as before");
}
