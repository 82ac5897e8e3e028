//! Machines that boot over the network: real ROMs that fetch what they are told, a BOOTP client, and the same questions to
//! warren and to dnsmasq.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../common/mod.rs"]
mod common;

mod compare;
mod files;
mod machine;
mod questions;

use common::{Daemon, Guest, Host, wait_for};
use files::Files;
use machine::{Firmware, Machine, PATIENCE};

const MAC: &str = "fa:16:3e:00:00:0b";

/// As Ironic says it of a port: firmware gets iPXE, and iPXE a script.
const IRONIC: &str = r#"
"tag:!ipxe,67" = "snponly.efi"
"tag:ipxe,67" = "http://10.0.0.9/boot.ipxe"
66 = "10.0.0.9"
150 = "10.0.0.9"
server-ip-address = "10.0.0.9"
"#;

/// A machine whose port has these options, on a network that has those.
fn topology(of_port: &str, of_network: &str) -> String {
    format!(
        r#"
[[dhcp_tag]]
name = "efi64"
option = "client-arch"
value = [7]

[[dhcp_tag]]
name = "http"
vendor_class = "HTTPClient"

[[network]]
name = "lan"
bridge = "lan"
[network.dhcp_options]
{of_network}
[[network.subnet]]
cidr = "10.0.0.0/24"
dhcp_address = "10.0.0.2"
[[network.subnet]]
name = "v6"
cidr = "2001:db8:1::/64"

# iPXE waits a quarter of a minute for an IPv6 router before it goes on.
[[router]]
name = "r"
interfaces = ["v6"]

[[instance]]
name = "node"
[[instance.port]]
network = "lan"
mac = "{MAC}"
addresses = ["10.0.0.11"]
[instance.port.dhcp_options]
{of_port}
"#
    )
}

/// What iPXE was told, on its screen; then one file more, which proves that it can go on.
const SCRIPT: &str = "#!ipxe\n\
     echo told ${net0/ip} by ${net0/dhcp-server}: ${filename} of ${next-server}, user ${user-class}.\n\
     imgfetch tftp://${next-server}/second\n\
     imgfetch http://10.0.0.9/third\n";

/// A network whose options tell iPXE, firmware that boots by PXE and such that boots over HTTP apart, by DHCPv6; with more options,
/// subnets and addresses of the machine.
fn topology6(options: &str, subnets: &str, addresses: &str) -> String {
    format!(
        r#"
[[dhcp_tag]]
name = "efi64"
option = "option6:client-arch"
value = 7

[[dhcp_tag]]
name = "http"
vendor_class = "HTTPClient"

[[network]]
name = "lan"
bridge = "lan"
[network.dhcp_options]
{options}
"tag:efi64,option6:bootfile-url" = "tftp://[2001:db8:1::9]/snponly.efi"
"tag:http,option6:bootfile-url" = "http://[2001:db8:1::9]/snponly.efi"
"tag:ipxe6,option6:bootfile-url" = "http://[2001:db8:1::9]/boot6.ipxe"
{subnets}
[[network.subnet]]
name = "v6"
cidr = "2001:db8:1::/64"
ipv6_ra_mode = "dhcpv6-stateful"
ipv6_address_mode = "dhcpv6-stateful"

[[router]]
name = "r"
interfaces = ["v6"]

[[instance]]
name = "node"
[[instance.port]]
network = "lan"
mac = "{MAC}"
addresses = ["2001:db8:1::11"{addresses}]
"#
    )
}

const SCRIPT6: &str = "#!ipxe\n\
     echo told ${filename}, user ${user-class}.\n\
     imgfetch http://[2001:db8:1::9]/third\n";

/// A network with a boot server at 10.0.0.9.
struct Rack {
    files: Files,
    host: Host,
    /// Held for their `Drop`.
    _daemon: Daemon,
    _server: Guest,
}

impl Rack {
    fn new(name: &str, topology: &str) -> Option<Self> {
        let host = Host::new(name)?;
        let daemon = host.warren_run(topology);
        let server = host.guest("files", "lan", "fa:16:3e:00:00:09");
        server.ip("addr add 10.0.0.9/24 dev eth0\naddr add 2001:db8:1::9/64 dev eth0 nodad");
        let rom = host.place().path("/usr/lib/ipxe/snponly.efi");
        let files = [
            ("snponly.efi", std::fs::read(rom).unwrap()),
            ("boot.ipxe", SCRIPT.into()),
            ("boot6.ipxe", SCRIPT6.into()),
            ("second", b"second".into()),
            ("third", b"third".into()),
        ];
        Some(Self {
            files: Files::serve(&server, &files),
            host,
            _daemon: daemon,
            _server: server,
        })
    }

    /// Switches the machine on, and waits until it has fetched these files, in this order, and shown this.
    #[track_caller]
    fn boots(&self, firmware: Firmware, fetched: &[&str], shows: &str) {
        let mut node = Machine::on(&self.host, "node", "lan", MAC, firmware);
        node.shows(shows);
        let all = wait_for("the last file to be fetched", PATIENCE, || {
            let files = self.files.fetched();
            (files.len() >= fetched.len()).then_some(files)
        });
        assert_eq!(all, fetched);
    }
}

#[test]
fn a_bios_and_its_ipxe() {
    let topology = topology(IRONIC, "\"tag:ipxe,encap:175,190\" = \"ada\"");
    let Some(rack) = Rack::new("bios", &topology) else {
        return;
    };
    rack.boots(
        Firmware::Bios,
        &["http boot.ipxe", "tftp second", "http third"],
        "told 10.0.0.11 by 10.0.0.2: http://10.0.0.9/boot.ipxe of 10.0.0.9, user",
    );
}

#[test]
fn a_uefi_by_pxe_fetches_ipxe_and_that_goes_on() {
    let Some(rack) = Rack::new("uefi", &topology(IRONIC, "")) else {
        return;
    };
    rack.boots(
        Firmware::UefiPxe,
        &[
            "tftp snponly.efi",
            "http boot.ipxe",
            "tftp second",
            "http third",
        ],
        "told 10.0.0.11 by 10.0.0.2: http://10.0.0.9/boot.ipxe of 10.0.0.9, user",
    );
}

/// By the network's options, which know machines by what they say; nothing is said of this one.
#[test]
fn a_uefi_over_http() {
    let options = "\"tag:http,67\" = \"http://10.0.0.9/snponly.efi\"\n\
         \"tag:ipxe,67\" = \"http://10.0.0.9/boot.ipxe\"\n\
         server-ip-address = \"10.0.0.9\"\n";
    let Some(rack) = Rack::new("http", &topology("", options)) else {
        return;
    };
    rack.boots(
        Firmware::UefiHttp,
        &[
            "http snponly.efi",
            "http boot.ipxe",
            "tftp second",
            "http third",
        ],
        "told 10.0.0.11 by 10.0.0.2: http://10.0.0.9/boot.ipxe of 10.0.0.9, user",
    );
}

#[test]
fn a_uefi_by_pxe_over_ipv6() {
    let Some(rack) = Rack::new("uefi6", &topology6("", "", "")) else {
        return;
    };
    rack.boots(
        Firmware::UefiPxe6,
        &["tftp snponly.efi", "http boot6.ipxe", "http third"],
        "told http://[2001:db8:1::9]/boot6.ipxe",
    );
}

/// Which tries IPv4 first. Where nobody answered at all, that would take it a minute; a file that is not there, no time.
#[test]
fn a_uefi_over_http_and_ipv6() {
    let of_v4 = topology6(
        "\"tag:!ipxe,67\" = \"http://10.0.0.9/nothing\"",
        "[[network.subnet]]\ncidr = \"10.0.0.0/24\"\n",
        ", \"10.0.0.11\"",
    );
    let Some(rack) = Rack::new("http6", &of_v4) else {
        return;
    };
    rack.boots(
        Firmware::UefiHttp,
        &["http snponly.efi", "http boot6.ipxe", "http third"],
        "told http://[2001:db8:1::9]/boot6.ipxe",
    );
}

#[test]
fn a_machine_from_before_dhcp() {
    let options =
        "\"tag:bootp,67\" = \"vmunix\"\n67 = \"other\"\nserver-ip-address = \"10.0.0.9\"\n";
    let Some(rack) = Rack::new("bootp", &topology("", options)) else {
        return;
    };
    let old = rack.host.guest("old", "lan", MAC);
    // It sends to everybody by the kernel, which wants to know where that is.
    old.ip("route add 255.255.255.255 dev eth0");
    let client = [
        "bootpc",
        "--dev",
        "eth0",
        // It has no address yet, and no way to hear a frame that the kernel does not want.
        "--serverbcast",
        "--returniffail",
        "--timeoutwait",
        "10",
    ];
    let said = old.run(&client).ok();
    for line in [
        "IPADDR='10.0.0.11'",
        "BOOTFILE='vmunix'",
        "SERVER='10.0.0.9'",
    ] {
        assert!(said.contains(line), "{line} in:\n{said}");
    }
}
