//! Every pair of `ipv6_ra_mode` and `ipv6_address_mode` (Neutron's table of sixteen): what an instance is told, behind a
//! router of ours, without one, and without one where the DHCP namespace advertises.

use std::fmt::Write;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use dhcproto::v4::{DhcpOption, MessageType, OptionCode};
use dhcproto::{Encodable, Encoder};

use crate::common::{
    Advertised, Client, Dhcp, Host, PATIENCE, Sender, Udp6, Wire, blessed, discover, settled,
    udp_frame, wait_until,
};

/// What each is told, as a file; docs/ipv6.md shows it as a table.
const MODES_FILE: &str = "tests/ra/modes.txt";
const MODES: [&str; 4] = ["none", "slaac", "dhcpv6-stateful", "dhcpv6-stateless"];
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// Whoever says nothing for so long will not say anything: who does, does so within half a second.
const SILENCE: Duration = Duration::from_secs(1);

/// Of a minute: in it a client that hears nothing asks again and again.
const QUARTER: Duration = Duration::from_secs(15);

/// The pairs that there are networks of, in the order of their numbers.
fn pairs() -> Vec<(&'static str, &'static str)> {
    let all = MODES
        .into_iter()
        .flat_map(|ra| MODES.map(|address| (ra, address)));
    all.filter(|(ra, address)| ra == address || [*ra, *address].contains(&"none"))
        .collect()
}

fn network(number: usize, (ra, address): (&str, &str)) -> String {
    format!(
        "\n[[network]]\nname = \"n{number}\"\nbridge = \"br-n{number}\"\n[[network.subnet]]\ncidr = \"fd00:{number:x}::/64\"\n\
         ipv6_ra_mode = \"{ra}\"\nipv6_address_mode = \"{address}\"\n\
         [[instance]]\nname = \"vm{number}\"\n[[instance.port]]\nnetwork = \"n{number}\"\nmac = \"{}\"\n",
        netns::MacAddr(mac(number))
    )
}

fn mac(number: usize) -> [u8; 6] {
    [0xfa, 0x16, 0x3e, 0, 0, u8::try_from(number).unwrap()]
}

/// What an instance of this network hears.
fn told(host: &Host, number: usize) -> String {
    let name = format!("vm{number}");
    let mac = netns::MacAddr(mac(number));
    let guest = host.guest(&name, &format!("br-n{number}"), &mac.to_string());
    // What is sent before that may be lost.
    settled(&guest, "eth0");
    let wire = guest.wire();
    let sender = Sender {
        mac: mac.0,
        ip: mac.link_local(),
    };
    let advertised = advertised(&wire, sender);
    let by_dhcp = dhcpv6(&wire, sender, Ask::Address);
    let options = dhcpv6(&wire, sender, Ask::Options);
    let by_dhcp = match (by_dhcp.as_deref(), options.as_deref()) {
        (Some("address"), Some(_)) => "address and the rest",
        (Some("none"), Some(_)) => "the rest",
        (None, None) => "nobody",
        other => panic!("{other:?}"),
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
enum Ask {
    /// SOLICIT
    Address,
    /// INFORMATION-REQUEST
    Options,
}

/// What is answered, or `None`.
fn dhcpv6(wire: &Wire, sender: Sender, ask: Ask) -> Option<String> {
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
        to_mac: crate::common::group_mac(SERVERS),
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

#[test]
fn every_pair_of_modes() {
    let mut text = String::new();
    let networks: String = (1..)
        .zip(pairs())
        .map(|(n, pair)| network(n, pair))
        .collect();
    let names: Vec<_> = (1..=pairs().len()).map(|n| format!("n{n}")).collect();
    let router = format!("\n[[router]]\nname = \"r1\"\ninterfaces = {names:?}\n");
    let mut columns = Vec::new();
    for (name, cloud) in [
        ("router", format!("{networks}{router}")),
        ("no router", networks.clone()),
        (
            "no router, advertised without",
            format!("advertise_without_router = true\n{networks}"),
        ),
    ] {
        let Some(host) = Host::new("modes") else {
            return;
        };
        let daemon = host.warren_run(&cloud);
        daemon.converged();
        let told: Vec<_> = (1..=pairs().len()).map(|n| told(&host, n)).collect();
        columns.push((name, told));
    }
    for ra in MODES {
        for address in MODES {
            writeln!(text, "ra {ra}, address {address}").unwrap();
            match pairs().iter().position(|pair| *pair == (ra, address)) {
                Some(at) => {
                    for (name, told) in &columns {
                        writeln!(text, "  {name}: {}", told[at]).unwrap();
                    }
                }
                None => writeln!(text, "  {}", refused((ra, address))).unwrap(),
            }
        }
    }
    blessed(MODES_FILE, &text);
}

/// By `warren check`.
fn refused(pair: (&str, &str)) -> String {
    let host = Host::new("modes-refused").unwrap();
    host.machine().write("/run/refused.toml", &network(1, pair));
    let checked = host.warren(&["check", "--topology", "/run/refused.toml"]);
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(!checked.succeeded(), "{said}");
    let code = said.split_once("error[").expect("a code").1;
    format!("refused: {}", code.split(']').next().unwrap())
}

/// Instances make their addresses of what a router of elsewhere advertises, and we know them all the same.
#[test]
fn an_external_router_and_our_dhcp() {
    let Some(host) = Host::new("modes-external") else {
        return;
    };
    let daemon = host.warren_run(&network(1, ("none", "dhcpv6-stateless")));
    let guest = host.guest("vm1", "br-n1", &netns::MacAddr(mac(1)).to_string());
    let outside = host.guest("outside", "br-n1", "02:00:00:00:ff:99");
    let router = Sender {
        mac: outside.wire().mac(),
        ip: "fe80::99".parse().unwrap(),
    };
    let prefix = crate::common::prefix_option("fd00:1::".parse().unwrap());
    outside.wire().send(&router.advertises(&prefix));
    crate::learned(&guest, "fd00:1::f816:3eff:fe00:1");
    let shown = daemon.json(&["show", "instance", "vm1"]);
    assert_eq!(
        shown["ports"][0]["addresses"][0],
        "fd00:1::f816:3eff:fe00:1"
    );
    let sender = Sender {
        mac: mac(1),
        ip: netns::MacAddr(mac(1)).link_local(),
    };
    let options = dhcpv6(&guest.wire(), sender, Ask::Options);
    assert_eq!(options.as_deref(), Some("none"), "the rest by DHCPv6");
    let server = &daemon.json(&["show", "network", "n1"])["subnets"][0]["dhcp_address"];
    let server = server.as_str().unwrap();
    crate::common::wait_for("our server to be reached", PATIENCE, || {
        guest.ping(server).then_some(())
    });
}

/// DHCPv4 there: who can do without IPv4 is told so (RFC 8925), and nobody else hears anything.
#[test]
fn where_there_is_no_ipv4() {
    let Some(host) = Host::new("only-v6") else {
        return;
    };
    let _daemon = host.warren_run(&network(1, ("slaac", "slaac")));
    let guest = host.guest("vm1", "br-n1", &netns::MacAddr(mac(1)).to_string());
    settled(&guest, "eth0");
    let wire = guest.wire();
    let asks = |xid: u32, listed: &[u8]| {
        let Dhcp {
            mut udp,
            mut message,
        } = Dhcp::parse(&discover(netns::MacAddr(mac(1)), xid)).unwrap();
        let listed = listed.iter().map(|code| OptionCode::from(*code)).collect();
        let listed = DhcpOption::ParameterRequestList(listed);
        message.opts_mut().insert(listed);
        udp.payload.clear();
        message.encode(&mut Encoder::new(&mut udp.payload)).unwrap();
        wire.send(&udp_frame(&udp));
    };
    // The second is answered, so what was to come of the first has come.
    asks(1, &[1, 3, 6]);
    asks(2, &[1, 3, 6, 108]);
    let offer = wire.recv(PATIENCE, Dhcp::of(MessageType::Offer)).unwrap();
    assert_eq!(offer.message.xid(), 2, "IPv4 alone gets no answer");
    assert!(offer.message.yiaddr().is_unspecified() && offer.is_broadcast());
    let told = offer.message.opts().get(OptionCode::from(108)).unwrap();
    let mut bytes = Vec::new();
    told.encode(&mut Encoder::new(&mut bytes)).unwrap();
    assert_eq!(bytes, [108, 4, 0, 0, 0, 0]);
}

/// dhcpcd there: one that can do without IPv4 is told so, and asks no more. One that cannot hears nothing, and goes on asking.
#[test]
fn a_client_that_can_do_without_gives_ipv4_up() {
    let Some(host) = Host::new("gives-up") else {
        return;
    };
    let daemon = host.warren_run(&network(1, ("slaac", "slaac")));
    let mac = netns::MacAddr(mac(1)).to_string();
    for can in [true, false] {
        let guest = host.guest("vm1", "br-n1", &mac);
        settled(&guest, "eth0");
        // As it comes it takes link-local addresses of IPv4; the clients' matrix has none.
        guest.sh("sed -i /noipv4ll/d /peers/dhcpcd.conf").ok();
        if can {
            guest.configure(Client::Dhcpcd, "option ipv6_only_preferred");
        }
        let wire = guest.wire();
        let client = guest.dhcp_probing(Client::Dhcpcd);
        let discovers = |time| wire.recv(time, Dhcp::of(MessageType::Discover)).is_some();
        assert!(discovers(PATIENCE), "{}", client.log());
        if can {
            let told = || client.log().contains("IPv6-Only Preferred received");
            assert!(wait_until(PATIENCE, told), "{}", client.log());
            wire.drain();
        }
        let goes_on = discovers(QUARTER);
        assert_eq!(goes_on, !can, "{}\n{}", client.log(), daemon.log());
    }
}
