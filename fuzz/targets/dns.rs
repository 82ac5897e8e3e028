//! Queries of name service's clients.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use hickory_proto::op::Message;
use warren::dns::{Carrier, Verdict, answer};
use warren::model::DevName;
use warren::plan::scope::DnsScope;
use warren::plan::zone;

use super::{LAN, network};

pub(super) static SCOPE: LazyLock<DnsScope> = LazyLock::new(|| DnsScope {
    network: network().id,
    device: DevName::new("tap0").expect("a name"),
    listen: vec![IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))],
    zones: vec![Arc::new(zone(network(), &LAN.settings))],
    forwarders: Vec::new(),
    domain_forwarders: Vec::new(),
    clients: Vec::new(),
    text: None,
    cache: 0,
    no_rebind: Some(Arc::default()),
});

pub(super) fn dns(input: &[u8]) {
    let mut reply = Vec::new();
    for (carrier, most) in [(Carrier::Udp, 4096), (Carrier::Tcp, 65_535)] {
        if let Verdict::Reply(_) = answer(&SCOPE, input, carrier, &mut reply) {
            assert!(reply.len() <= most, "{} bytes", reply.len());
            assert_eq!(reply[..2], input[..2], "the id");
            assert_eq!(reply[2] & 0x80, 0x80, "a response");
            Message::from_vec(&reply).expect("a message");
        }
    }
}
