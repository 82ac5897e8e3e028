//! IPv6: what a router says, what DHCPv6 gives, and what instances make of both, while subnets come and go.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Ground, SOON, here, qdhcp};
use crate::cloud::{Cloud, id};
use crate::common::{ALL_NODES, Advertised, Guest, HttpAnswer, HttpStub, settled, wait_until};

const PID: &str = "/run/dhclient6.pid";
const DHCLIENT: &str = "dhclient -6 -v -cf /peers/dhclient6.conf -lf /var/lib/dhcp/six -pf /run/dhclient6.pid -sf /peers/v6.hook";
const MAC: &str = "fa:16:3e:00:16:01";
/// What the kernel makes of it (RFC 4291 appendix A).
const SUFFIX: &str = "f816:3eff:fe00:1601";
/// What the metadata agent's file of the tests shares with Nova.
const SECRET: &[u8] = b"the-secret-of-the-tests";

/// What the operator says of a machine by its MAC.
const CONFIG: &str = "dhcp-mac=set:made,fa:16:3e:00:16:*\n\
     dhcp-option=tag:made,option6:sntp-server,[fd00:16::99]\n\
     dhcp-option=tag:!made,option6:sntp-server,[fd00:16::98]\n";

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn an_ipv6_life() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let ground = Ground::prepared(cloud, "life16", |node| {
        node.place().write("/etc/neutron/six.conf", CONFIG);
        let line = "[DEFAULT]\ndnsmasq_config_file = /etc/neutron/six.conf";
        node.configure("dhcp_agent.ini", line);
        node.configure("metadata_agent.ini", "[DEFAULT]\nnova_metadata_port = 8783");
    });
    let nova = HttpStub::start(&cloud.place(), "10.254.0.1:8783", |request| {
        HttpAnswer::new(200, request.header("x-instance-id").unwrap_or("nobody"))
    });
    let router = cloud.create("router", here(&ground.node, "r16", json!({})));
    let life = Life {
        ground,
        router,
        nova,
    };
    life.stateful();
    // Behind one router with the same MAC: metadata knows them by their links.
    let twins = [
        life.configured_by_the_kernel("slaac", "fd00:16:3::/64", false),
        life.configured_by_the_kernel("dhcpv6-stateless", "fd00:16:4::/64", true),
    ];
    for (vm, port) in &twins {
        life.is_told_who_it_is(vm, port);
    }
    life.isolated();
    life.another_mode();
}

struct Life<'a> {
    ground: Ground<'a>,
    router: Value,
    nova: HttpStub,
}

impl Life<'_> {
    fn interface(&self, verb: &str, subnet: &Value) {
        let path = format!("/v2.0/routers/{}/{verb}_router_interface", id(&self.router));
        self.ground
            .cloud
            .put(&path, &json!({"subnet_id": id(subnet)}));
    }

    /// A subnet with the router on it.
    fn routed(&self, network: &Value, cidr: &str, mode: &str) -> Value {
        let modes = json!({"ipv6_ra_mode": mode, "ipv6_address_mode": mode, "dns_nameservers": ["fd00::53"]});
        let subnet = self.ground.subnet(network, cidr, modes);
        self.interface("add", &subnet);
        subnet
    }

    /// Beside IPv4, with options of the port's own; then the prefix is another.
    fn stateful(&self) {
        let cloud = self.ground.cloud;
        let blue = self.ground.network("blue", json!({}));
        let v4 = self.ground.subnet(&blue, "10.16.0.0/24", json!({}));
        self.interface("add", &v4);
        let old = self.routed(&blue, "fd00:16:1::/64", "dhcpv6-stateful");
        let sntp = |address: &str| json!([{"opt_name": "sntp-server", "opt_value": address, "ip_version": 6}]);
        let port = json!({
            "fixed_ips": [{"ip_address": "10.16.0.11"}, {"ip_address": "fd00:16:1::11"}],
            "extra_dhcp_opts": sntp("[fd00:16::123]"),
        });
        let port = cloud.instance_port(id(&blue), self.ground.node.name(), port);
        let change = |attributes: Value| cloud.update("port", id(&port), &attributes);
        let vm1 = self.ground.guest("vm1", &port);
        settled(&vm1, "eth0");
        let lease = vm1.udhcpc();
        assert_eq!(lease.address.to_string(), "10.16.0.11", "{lease:#?}");
        self.told(&vm1, &["Stateful address conf.: Yes"]);
        self.leased(&vm1, "new_ip6_address", "fd00:16:1::11");
        self.leased(&vm1, "new_dhcp6_name_servers", "fd00::53");
        self.leased(&vm1, "new_dhcp6_sntp_servers", "fd00:16::123");
        change(json!({"extra_dhcp_opts": sntp("[fd00:16::124]")}));
        self.leased(&vm1, "new_dhcp6_sntp_servers", "fd00:16::124");
        self.reaches(&vm1, &old);

        let pinging = vm1.pinging("10.16.0.1").flowing();
        change(json!({"fixed_ips": [{"ip_address": "10.16.0.11"}]}));
        self.interface("remove", &old);
        cloud.remove("subnet", id(&old));
        let new = self.routed(&blue, "fd00:16:2::/64", "dhcpv6-stateful");
        change(
            json!({"fixed_ips": [{"ip_address": "10.16.0.11"}, {"ip_address": "fd00:16:2::11"}]}),
        );
        self.leased(&vm1, "new_ip6_address", "fd00:16:2::11");
        self.reaches(&vm1, &new);
        self.ground.until("the old prefix to go", || {
            let own = self.ground.ip_in(&qdhcp(&blue), &["-6", "addr"]);
            own.contains("fd00:16:2::") && !own.contains("fd00:16:1::")
        });
        let told = self.told(&vm1, &["fd00:16:2::/64"]);
        assert!(!told.contains("fd00:16:1::"), "{told}");
        let report = pinging.stop();
        assert_eq!(report.lost(), 0, "IPv4 beside it: {report:?}");
    }

    /// The instance makes its address itself, of what the router says.
    fn configured_by_the_kernel(&self, mode: &str, cidr: &str, asks: bool) -> (Guest, Value) {
        let prefix = cidr.trim_end_matches("/64");
        let network = self.ground.network(mode, json!({}));
        let subnet = self.routed(&network, cidr, mode);
        let port = json!({ "mac_address": MAC });
        let port = self
            .ground
            .cloud
            .instance_port(id(&network), self.ground.node.name(), port);
        let address = format!("{}:0:{SUFFIX}", prefix.trim_end_matches("::"));
        assert_eq!(port["fixed_ips"][0]["ip_address"], address.as_str());
        let vm = self.ground.guest(mode, &port);
        self.has(&vm, &address, "dynamic");
        let other = if asks { "Yes" } else { "No" };
        let other = format!("Stateful other conf.: {other}");
        self.told(&vm, &["Stateful address conf.: No", &other]);
        self.reaches(&vm, &subnet);
        if asks {
            self.asked(&vm, "-S", "new_dhcp6_name_servers", "fd00::53");
            self.asked(&vm, "-S", "new_dhcp6_sntp_servers", "fd00:16::99");
        }
        (vm, port)
    }

    /// Its kernel has the address, and calls it that.
    #[track_caller]
    fn has(&self, vm: &Guest, address: &str, flag: &str) {
        let what = format!("{address}/64 on eth0, {flag}");
        self.ground.until(&what, || {
            let show = ["ip", "-6", "-o", "addr", "show", "dev", "eth0"];
            let addresses = vm.run(&show).ok();
            let own = format!("{address}/64");
            let mut lines = addresses.lines().filter(|line| line.contains(&own));
            lines.any(|line| line.contains(flag) && !line.contains("tentative"))
        });
    }

    /// Without a router, by IPv6 alone, from the DHCP namespace.
    fn isolated(&self) {
        let network = self.ground.network("alone", json!({}));
        let slaac = json!({"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"});
        self.ground.subnet(&network, "fd00:16:7::/64", slaac);
        let port = self.ground.cloud.instance_port(
            id(&network),
            self.ground.node.name(),
            json!({ "mac_address": MAC }),
        );
        let vm = self.ground.guest("alone", &port);
        settled(&vm, "eth0");
        self.is_told_who_it_is(&vm, &port);
    }

    /// Nova hears who asks, in warren's handwriting, and the instance its answer.
    #[track_caller]
    fn is_told_who_it_is(&self, vm: &Guest, port: &Value) {
        let path = "/latest/meta-data/instance-id";
        let url = format!("http://[fe80::a9fe:a9fe%25eth0]{path}");
        let quickly = ["--connect-timeout", "1"];
        let instance = port["device_id"].as_str().unwrap();
        let mut answer = None;
        self.ground.until("metadata over IPv6", || {
            answer = vm.curl_with(&url, &[], &quickly).ok();
            answer.as_ref().is_some_and(|answer| answer.status == 200)
        });
        assert_eq!(answer.unwrap().body, instance);
        let asked = self.nova.seen().pop().unwrap();
        let mut signature = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
        signature.update(instance.as_bytes());
        let signature = hex::encode(signature.finalize().into_bytes());
        let own = format!("fe80::{SUFFIX}");
        assert_eq!(asked.path, path);
        for (name, value) in [
            ("x-instance-id", Some(instance)),
            ("x-instance-id-signature", Some(signature.as_str())),
            ("x-tenant-id", port["project_id"].as_str()),
            ("x-forwarded-for", Some(own.as_str())),
        ] {
            assert_eq!(asked.header(name), value, "{name}: {asked:?}");
        }
    }

    /// Who makes its address itself learns that it is to ask for one, and that its own is not good any more.
    fn another_mode(&self) {
        let cloud = self.ground.cloud;
        let network = self.ground.network("turning", json!({}));
        let old = self.routed(&network, "fd00:16:5::/64", "slaac");
        let port = cloud.instance_port(
            id(&network),
            self.ground.node.name(),
            json!({ "mac_address": MAC }),
        );
        let vm = self.ground.guest("turning", &port);
        let own = format!("fd00:16:5:0:{SUFFIX}");
        self.has(&vm, &own, "dynamic");
        let wire = vm.wire();
        let new = self.routed(&network, "fd00:16:6::/64", "dhcpv6-stateful");
        let both = |said: &Advertised| {
            said.fields["managed (M)"] == "true"
                && said.fields.contains_key("prefix fd00:16:5::/64")
                && said.fields.contains_key("prefix fd00:16:6::/64")
        };
        self.ground.heard(&wire, "both modes", both);
        self.interface("remove", &old);
        let fading = |said: &Advertised| {
            let prefix = |name: &str| said.fields.get(name).map(String::as_str);
            said.to == ALL_NODES
                && said.fields["managed (M)"] == "true"
                && said.fields["router lifetime"] == "1800"
                && prefix("prefix fd00:16:5::/64")
                    == Some("on-link autonomous, valid 0, preferred 0")
                && prefix("prefix fd00:16:6::/64") == Some("on-link, valid 86400, preferred 14400")
        };
        self.ground.heard(&wire, "that the old prefix ends", fading);
        self.has(&vm, &own, "deprecated");
        cloud.remove("subnet", id(&old));
        let at = json!({"fixed_ips": [{"ip_address": "fd00:16:6::11"}]});
        cloud.update("port", id(&port), &at);
        self.leased(&vm, "new_ip6_address", "fd00:16:6::11");
        let told = self.told(&vm, &["Stateful address conf.: Yes", "fd00:16:6::/64"]);
        assert!(told.contains("Stateful other conf.: No"), "{told}");
        self.reaches(&vm, &new);

        // Then there is no router at all.
        wire.drain();
        self.interface("remove", &new);
        let last = |said: &Advertised| said.fields["router lifetime"] == "0";
        let said = self.ground.heard(&wire, "the end of the way out", last);
        assert_eq!(said.to, ALL_NODES, "{said:#?}");
        let of_prefixes = said.fields.keys().any(|name| name.starts_with("prefix "));
        assert!(!of_prefixes, "{said:#?}");
        self.ground.until("the way out to end", || {
            let show = ["ip", "-6", "route", "show", "default"];
            vm.run(&show).ok().is_empty()
        });
    }

    /// The router's leg, which has the subnet's gateway's address.
    fn reaches(&self, guest: &Guest, subnet: &Value) {
        let gateway = subnet["gateway_ip"].as_str().unwrap();
        self.ground
            .until(&format!("the way to {gateway}"), || guest.ping(gateway));
    }

    /// What the router says to who asks, in the words of rdisc6, once all of these are in it.
    #[track_caller]
    fn told(&self, guest: &Guest, words: &[&str]) -> String {
        let mut said = String::new();
        let told = wait_until(SOON, || {
            let output = guest.run(&["rdisc6", "-1", "-r3", "-w1000", "eth0"]).stdout;
            said = output.split_whitespace().collect::<Vec<_>>().join(" ");
            said = said.replace(" :", ":");
            words.iter().all(|word| said.contains(word))
        });
        assert!(told, "not {words:?}: {said}\n{}", self.ground.tails());
        said
    }

    #[track_caller]
    fn leased(&self, guest: &Guest, key: &str, value: &str) {
        self.asked(guest, "-1", key, value);
    }

    /// ISC's client, a new one each time, until it is told that.
    #[track_caller]
    fn asked(&self, guest: &Guest, how: &str, key: &str, value: &str) {
        let ask = format!(
            "rm -rf /run/lease6 /var/lib/dhcp/six; timeout 15 {DHCLIENT} {how} eth0; kill $(cat {PID})"
        );
        let wanted = format!("{key}={value}");
        let mut told = String::new();
        let right = wait_until(SOON, || {
            guest.sh(&ask);
            told = guest.sh("cat /run/lease6/*").stdout;
            told.lines().any(|line| line == wanted)
        });
        assert!(right, "not {wanted}:\n{told}\n{}", self.ground.tails());
    }
}
