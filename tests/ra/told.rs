//! What an instance is told of its addresses, the way out and the rest, by advertisements and by DHCPv6: in words, which are the
//! same whoever tells, and from wherever that one knows it.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use dhcproto::v4::{DhcpOption, OptionCode};
use dhcproto::{Encodable, Encoder};

use crate::common::{Advertised, Dhcp, Sender, Udp6, Wire, discover, group_mac, udp_frame};

/// What each pair of modes is told, as a file; docs/ipv6.md shows it as a table.
pub(crate) const MODES_FILE: &str = "tests/ra/modes.txt";
pub(crate) const MODES: [&str; 4] = ["none", "slaac", "dhcpv6-stateful", "dhcpv6-stateless"];
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// Whoever says nothing for so long will not say anything: who does, does so within half a second.
const SILENCE: Duration = Duration::from_secs(1);

/// `ipv6_ra_mode` and `ipv6_address_mode`: all sixteen.
pub(crate) fn all_pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = MODES.into_iter();
    all.flat_map(|ra| MODES.map(|address| (ra, address)))
}

/// Those that there may be subnets of.
pub(crate) fn pairs() -> Vec<(&'static str, &'static str)> {
    all_pairs()
        .filter(|(ra, address)| ra == address || [*ra, *address].contains(&"none"))
        .collect()
}

/// What the machine on this wire is told when it asks for everything.
pub(crate) fn told(wire: &Wire, sender: Sender) -> String {
    wire.drain();
    let advertised = advertised(wire, sender);
    let by_dhcp = dhcpv6(wire, sender, Ask::Address);
    let options = dhcpv6(wire, sender, Ask::Options);
    let by_dhcp = match (by_dhcp.as_deref(), options.as_deref()) {
        (Some("address"), Some(_)) => "address and the rest",
        (Some("none"), Some(_)) => "the rest",
        (None, None) => "nobody",
        other => &format!("half: {other:?}"),
    };
    format!("RA {advertised}; DHCPv6 {by_dhcp}")
}

fn advertised(wire: &Wire, sender: Sender) -> String {
    wire.send(&sender.solicits());
    let Some(said) = wire.recv(SILENCE, Advertised::parse) else {
        return "nobody".to_owned();
    };
    let mut words = Vec::new();
    if said.fields["router lifetime"] != "0" {
        words.push("a way out");
    }
    for (field, word) in [("managed (M)", "M"), ("other (O)", "O")] {
        if said.fields[field] == "true" {
            words.push(word);
        }
    }
    let prefix = said
        .fields
        .iter()
        .find(|(name, _)| name.starts_with("prefix "));
    if let Some((_, flags)) = prefix {
        words.push("prefix");
        words.extend(flags.contains("autonomous").then_some("A"));
    }
    if said.fields.contains_key("name servers (RDNSS)") {
        words.push("name servers");
    }
    words.join(" ")
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    /// SOLICIT
    Address,
    /// INFORMATION-REQUEST
    Options,
}

/// What is answered, or `None`.
pub(crate) fn dhcpv6(wire: &Wire, sender: Sender, ask: Ask) -> Option<String> {
    let option = |code: u8, value: &[u8]| {
        let head = [0, code, 0, u8::try_from(value.len()).unwrap()];
        [&head[..], value].concat()
    };
    let (kind, identity) = match ask {
        Ask::Address => (1, option(3, &[0; 12])),
        Ask::Options => (11, Vec::new()),
    };
    let mut payload = vec![kind, 0, 0, kind];
    payload.extend(option(1, &[&[0, 3, 0, 1][..], &sender.mac].concat()));
    payload.extend(identity);
    let udp = Udp6 {
        to_mac: group_mac(SERVERS),
        from_mac: sender.mac,
        from: SocketAddrV6::new(sender.ip, 546, 0, 0),
        to: SocketAddrV6::new(SERVERS, 547, 0, 0),
        payload,
    };
    wire.drain();
    wire.send(&udp.frame());
    let heard = wire.recv(SILENCE, |frame| {
        Udp6::parse(frame).filter(|udp| udp.from.port() == 547)
    })?;
    // IA address option (5) of 24 bytes: code and length tell it among the rest.
    let has_address = heard.payload.windows(4).any(|head| head == [0, 5, 0, 24]);
    Some(if has_address { "address" } else { "none" }.to_owned())
}

/// A DISCOVER of a machine that lists these options.
pub(crate) fn discover_listing(mac: [u8; 6], xid: u32, listed: &[u8]) -> Vec<u8> {
    let Dhcp {
        mut udp,
        mut message,
    } = Dhcp::parse(&discover(netns::MacAddr(mac), xid)).unwrap();
    let listed = listed.iter().map(|code| OptionCode::from(*code)).collect();
    let listed = DhcpOption::ParameterRequestList(listed);
    message.opts_mut().insert(listed);
    udp.payload.clear();
    message.encode(&mut Encoder::new(&mut udp.payload)).unwrap();
    udp_frame(&udp)
}
