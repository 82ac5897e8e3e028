//! The same questions to warren and to dnsmasq as Neutron starts it, both told to boot the same machines: what differs, and
//! why.

use std::fmt::Write;

use super::common::{Dnsmasq, Guest, Host, Running, blessed};
use super::questions::{BESIDE, CONFIG, MACHINES, options, questions, table};

/// With all of the machines.
const TOPOLOGY: &str = include_str!("lan.toml");

/// Every row, and below it who says what; `=`: the same as warren.
fn shown(tables: &[(&str, Vec<String>)]) -> String {
    let mut shown = String::new();
    for (at, (name, _)) in questions().iter().enumerate() {
        writeln!(shown, "{name}").unwrap();
        let our = &tables[0].1[at];
        for (whose, table) in tables {
            let said = &table[at];
            let same = *whose != "warren" && said == our;
            writeln!(shown, "  {whose:8}{}", if same { "=" } else { said }).unwrap();
        }
    }
    shown
}

#[test]
fn beside_dnsmasq() {
    let Some(host) = Host::new("beside") else {
        return;
    };
    let daemon = host.warren_run(TOPOLOGY);
    let mut tables = vec![("warren", table(tester(&host)))];
    drop((daemon, host));
    let host = Host::new("dnsmasq").unwrap();
    let running = start_dnsmasq(&host);
    tables.push(("dnsmasq", table(tester(&host))));
    drop(running);
    let text = shown(&tables);
    blessed(BESIDE, &text);
}

fn tester(host: &Host) -> Guest {
    host.guest("tester", "lan", "fa:16:3e:00:00:99")
}

fn start_dnsmasq(host: &Host) -> Running {
    host.bridge("lan");
    host.ip("link set lan address fa:16:3e:ff:00:02\naddr add 10.0.0.2/24 dev lan\naddr add 10.2.0.2/24 dev lan");
    let mut hosts = String::from("fa:16:3e:77:77:77,probe.example.org.,10.0.0.99\n");
    // One that is not sent, but stands with the MAC.
    let (ids, options): (Vec<_>, Vec<_>) = options()
        .into_iter()
        .partition(|(_, name, _)| *name == "client-id");
    for (mac, name, addresses) in MACHINES {
        let of_machine = ids.iter().filter(|(port, ..)| *port == name);
        let id: String = of_machine.map(|(.., id)| format!("id:{id},")).collect();
        for ip in addresses {
            let line =
                format!("fa:16:3e:00:00:{mac:02x},{id}{name}.example.org.,{ip},set:port-{name}");
            writeln!(hosts, "{line}").unwrap();
        }
    }
    let mut options: String = options
        .into_iter()
        .map(|(port, name, value)| {
            let named = name
                .bytes()
                .all(|byte| byte != b':' && !byte.is_ascii_digit());
            let option = if named { "option:" } else { "" };
            format!("tag:port-{port},{option}{name},{value}\n")
        })
        .collect();
    for (subnet, gateway) in [("near", "10.0.0.1"), ("far", "10.2.0.1")] {
        writeln!(options, "tag:subnet-{subnet},option:router,{gateway}").unwrap();
    }
    let served = Dnsmasq {
        hosts: &hosts,
        options: &options,
        config: CONFIG,
        ..Dnsmasq::default()
    };
    served.start(
        &host.place(),
        &[
            "--interface=lan",
            "--dhcp-range=set:subnet-near,10.0.0.0,static,255.255.255.0,86400s",
            "--dhcp-range=set:subnet-far,10.2.0.0,static,255.255.255.0,86400s",
            "--dhcp-option-force=option:mtu,1500",
            "--dhcp-lease-max=512",
            "--domain=example.org",
        ],
    )
}
