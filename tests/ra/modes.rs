//! Every pair of `ipv6_ra_mode` and `ipv6_address_mode` (Neutron's table of sixteen): what an instance is told, behind a
//! router of ours, without one, and without one where the DHCP namespace advertises.

use std::fmt::Write;
use std::time::Duration;

use dhcproto::v4::{MessageType, OptionCode};
use dhcproto::{Encodable, Encoder};

use crate::common::{Client, Dhcp, Host, PATIENCE, Sender, blessed, settled, wait_until};
use crate::told::{self, Ask, MODES_FILE, all_pairs, dhcpv6, discover_listing, pairs};

/// A quarter of a minute: in it a client that hears nothing asks again and again.
const QUARTER: Duration = Duration::from_secs(15);

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
    told::told(&wire, sender)
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
    for (ra, address) in all_pairs() {
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
    let asks = |xid, listed: &[u8]| wire.send(&discover_listing(mac(1), xid, listed));
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
