#![allow(clippy::unwrap_used)] // A test that can't read an answer has failed.

use serde_json::{Value, json};

use super::super::sample;
use super::*;
use crate::model::{InstanceId, Ipv6Mode, NetworkId, Router};

/// Status and body, as text, of a request to `web`.
fn ask(method: &str, path: &str) -> (u16, String) {
    let answer = ask_with(&sample::state(), method, path, b"", None);
    (
        answer.status.as_u16(),
        String::from_utf8_lossy(&answer.body).into_owned(),
    )
}

fn ask_with(
    state: &State,
    method: &str,
    path: &str,
    body: &[u8],
    password: Option<&[u8]>,
) -> Answer {
    let instance = &state.instances[&InstanceId::from(sample::WEB)];
    let (network, port) = instance.ports[0];
    let view = View {
        state,
        port: state.port(network, port).unwrap(),
        instance,
        password,
    };
    let method: Method = method.parse().unwrap();
    let question = Question {
        method: &method,
        path,
        body,
    };
    answer(question, view, || [7; 512])
}

fn get(path: &str) -> String {
    let (status, body) = ask("GET", path);
    assert_eq!(status, 200, "{path}");
    body
}

fn document(path: &str) -> Value {
    serde_json::from_str(&get(path)).unwrap()
}

#[test]
fn the_ec2_tree() {
    let dates = "1.0\n2007-01-19\n2007-03-01\n2007-08-29\n2007-10-10\n2007-12-15\n2008-02-01\n2008-09-01\n2009-04-04\nlatest";
    let oldest = "ami-id\nami-launch-index\nami-manifest-path\nhostname\ninstance-id\nlocal-ipv4\npublic-keys/\nreservation-id\nsecurity-groups";
    let newest = "ami-id\nami-launch-index\nami-manifest-path\nblock-device-mapping/\nhostname\ninstance-action\ninstance-id\ninstance-type\nlocal-hostname\nlocal-ipv4\nplacement/\npublic-hostname\npublic-ipv4\npublic-keys/\nreservation-id\nsecurity-groups";
    for (path, want) in [
        ("/", dates),
        ("/ec2", dates),
        ("/ec2/latest/", "meta-data/\nuser-data"),
        ("/1.0", "meta-data/\nuser-data"),
        ("/1.0/meta-data", oldest),
        ("/2009-04-04/meta-data/", newest),
        ("//latest/./meta-data/x/..", newest),
        ("/latest/meta-data/instance-id", "i-00000000"),
        ("/latest/meta-data/hostname", "web.red.example"),
        ("/latest/meta-data/local-ipv4", "10.0.0.5"),
        ("/latest/meta-data/public-ipv4", "203.0.113.9"),
        ("/latest/meta-data/instance-type", "m1.small"),
        ("/latest/meta-data/security-groups", ""),
        ("/latest/meta-data/public-keys/", "0=alice\n1=bob"),
        ("/latest/meta-data/public-keys/1", "openssh-key"),
        (
            "/latest/meta-data/public-keys/1/openssh-key",
            "ssh-ed25519 AAAA bob",
        ),
        ("/latest/meta-data/block-device-mapping", "ami\nroot"),
        ("/latest/meta-data/placement/availability-zone", "nova"),
    ] {
        assert_eq!(get(path), want, "{path}");
    }
}

#[test]
fn the_openstack_tree() {
    let dates = "2012-08-10\n2013-04-04\n2013-10-17\n2015-10-15\n2016-06-30\n2016-10-06\n2017-02-22\n2018-08-27\n2020-10-14\nlatest";
    let newest = "meta_data.json\nuser_data\npassword\nvendor_data.json\nnetwork_data.json\nvendor_data2.json";
    for (path, want) in [
        ("/openstack", dates),
        ("/openstack/2012-08-10", "meta_data.json\nuser_data"),
        (
            "/openstack/2013-04-04",
            "meta_data.json\nuser_data\npassword",
        ),
        ("/openstack/latest/", newest),
        (
            "/openstack/2012-08-10/vendor_data2.json/../user_data",
            "\u{1f}\u{fffd}\0\u{fffd}",
        ),
        ("/openstack/latest/password", ""),
    ] {
        assert_eq!(get(path), want, "{path}");
    }
    let vendor = json!({"cloud-init": "#cloud-config\n{}"});
    assert_eq!(document("/openstack/latest/vendor_data.json"), vendor);
    assert_eq!(
        document("/openstack/latest/vendor_data2.json"),
        json!({"static": vendor})
    );
}

#[test]
fn meta_data_grows_with_its_versions() {
    let seed = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [7; 512]);
    let keys = |name: &str| format!("ssh-ed25519 AAAA {name}");
    let mut want = json!({
        "uuid": sample::WEB,
        "name": "web",
        "hostname": "web.red.example",
        "launch_index": 0,
        "availability_zone": "nova",
        "meta": {"role": "front"},
        "public_keys": {"alice": keys("alice"), "bob": keys("bob")},
        "keys": [
            {"name": "alice", "type": "ssh", "data": keys("alice")},
            {"name": "bob", "type": "ssh", "data": keys("bob")},
        ],
    });
    for (version, added) in [
        ("2012-08-10", json!({})),
        ("2013-04-04", json!({"random_seed": seed})),
        ("2013-10-17", json!({})),
        ("2015-10-15", json!({"project_id": "acme"})),
        ("2016-06-30", json!({"devices": []})),
        ("2018-08-27", json!({})),
        ("2020-10-14", json!({"dedicated_cpus": []})),
        ("latest", json!({})),
    ] {
        let added = added.as_object().unwrap().clone();
        want.as_object_mut().unwrap().extend(added);
        let path = format!("/openstack/{version}/meta_data.json");
        assert_eq!(document(&path), want, "{version}");
    }
}

#[test]
fn network_data_says_dhcp_or_all() {
    let want = json!({
        "links": [
            {"id": "tap000000a1-00", "vif_id": "000000a1-0000-0000-0000-000000000000", "type": "bridge",
             "mtu": null, "ethernet_mac_address": "fa:16:3e:00:00:05"},
            {"id": "tap000000a2-00", "vif_id": "000000a2-0000-0000-0000-000000000000", "type": "bridge",
             "mtu": 1450, "ethernet_mac_address": "fa:16:3e:00:00:05"},
        ],
        "networks": [
            {"id": "network0", "link": "tap000000a1-00", "type": "ipv4_dhcp",
             "network_id": "00000000-0000-0000-0000-000000000001"},
            {"id": "network1", "link": "tap000000a2-00", "type": "ipv4",
             "network_id": "00000000-0000-0000-0000-000000000002",
             "ip_address": "10.1.0.5", "netmask": "255.255.0.0",
             "routes": [
                 {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.1.0.1"},
                 {"network": "192.168.0.0", "netmask": "255.255.255.0", "gateway": "10.1.0.2"},
             ],
             "services": [{"type": "dns", "address": "9.9.9.9"}, {"type": "dns", "address": "149.112.112.112"}]},
            {"id": "network2", "link": "tap000000a2-00", "type": "ipv6",
             "network_id": "00000000-0000-0000-0000-000000000002",
             "ip_address": "fd00::5", "netmask": "ffff:ffff:ffff:ffff::",
             "routes": [{"network": "::", "netmask": "::", "gateway": "fd00::1"}],
             "services": [{"type": "dns", "address": "2620:fe::fe"}]},
        ],
        "services": [
            {"type": "dns", "address": "9.9.9.9"},
            {"type": "dns", "address": "149.112.112.112"},
            {"type": "dns", "address": "2620:fe::fe"},
        ],
    });
    assert_eq!(document("/openstack/latest/network_data.json"), want);
    assert_eq!(document("/openstack/2012-08-10/network_data.json"), want);
}

#[test]
fn network_data_says_how_ipv6_addresses_are_come_by() {
    let all = json!(["fd00::5", "ffff:ffff:ffff:ffff::", "fd00::1"]);
    let nothing = json!([null, null, null]);
    for (mode, want, told) in [
        (None, "ipv6_dhcp", &nothing),
        (Some(Ipv6Mode::Slaac), "ipv6_slaac", &all),
        (Some(Ipv6Mode::Stateful), "ipv6_dhcpv6-stateful", &all),
        (Some(Ipv6Mode::Stateless), "ipv6_dhcpv6-stateless", &all),
    ] {
        let mut state = sample::state();
        let blue = NetworkId(uuid::Uuid::from_u128(2));
        let blue = state.networks.get_mut(&blue).unwrap();
        let subnet = &mut std::sync::Arc::make_mut(blue).subnets[1];
        subnet.enable_dhcp = true;
        subnet.address_mode = mode;
        subnet.dns_nameservers = vec![sample::ip("::")];
        let path = "/openstack/latest/network_data.json";
        let answer = ask_with(&state, "GET", path, b"", None);
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        let network = &document["networks"][2];
        assert_eq!(network["type"], want);
        let found = json!([
            network["ip_address"],
            network["netmask"],
            network["routes"][0]["gateway"]
        ]);
        assert_eq!(found, *told, "{want}");
        let services = mode.map_or(Value::Null, |_| json!([]));
        assert_eq!(network["services"], services, "{want}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(r#""address":"::""#), "{text}");
    }
}

#[test]
fn what_is_not_there_is_refused() {
    for (method, path, want) in [
        ("GET", "/2021-03-23/meta-data/instance-id", 404),
        ("GET", "/latest/meta-data/kernel-id", 404),
        ("GET", "/latest/meta-data/instance-id/x", 404),
        ("GET", "/latest/meta-data/instance-id/x/y", 404),
        ("GET", "/1.0/meta-data/instance-type", 404),
        ("GET", "/latest/dynamic/instance-identity/document", 404),
        ("GET", "/latest/api/token", 404),
        ("PUT", "/latest/api/token", 404),
        ("GET", "/openstack/2011-01-01", 404),
        ("GET", "/openstack/2012-08-10/password", 404),
        ("POST", "/openstack/2012-08-10/password", 404),
        ("GET", "/openstack/2013-04-04/vendor_data.json", 404),
        ("GET", "/openstack/content", 404),
        ("GET", "/openstack/content/0000", 404),
        ("GET", "/ec2/openstack", 404),
        ("GET", "/%ff", 404),
        ("HEAD", "/openstack/latest/meta_data.json", 200),
        ("POST", "/openstack/latest/meta_data.json", 405),
        ("PUT", "/openstack/latest/password", 400),
    ] {
        assert_eq!(ask(method, path).0, want, "{method} {path}");
    }
}

#[test]
fn a_machine_that_was_told_little() {
    let mut state = sample::state();
    let id = InstanceId::from(sample::WEB);
    let bare = state
        .instances
        .get_mut(&id)
        .map(std::sync::Arc::make_mut)
        .unwrap();
    bare.public_keys = Box::default();
    bare.metadata.clear();
    bare.user_data = None;
    bare.vendor_data = None;
    let get = |path: &str| {
        let answer = ask_with(&state, "GET", path, b"", None);
        (
            answer.status.as_u16(),
            String::from_utf8_lossy(&answer.body).into_owned(),
        )
    };
    assert_eq!(get("/latest"), (200, "meta-data/".to_owned()));
    assert_eq!(get("/latest/user-data").0, 404);
    assert_eq!(get("/latest/meta-data/public-keys/").0, 404);
    assert!(!get("/latest/meta-data/").1.contains("public-keys"));
    assert_eq!(get("/openstack/latest/user_data").0, 404);
    assert!(!get("/openstack/latest").1.contains("user_data"));
    assert_eq!(
        get("/openstack/latest/vendor_data.json"),
        (200, "{}".to_owned())
    );
    let meta_data: Value =
        serde_json::from_str(&get("/openstack/latest/meta_data.json").1).unwrap();
    for key in ["meta", "keys", "public_keys"] {
        assert_eq!(meta_data.get(key), None, "{key}");
    }
}

/// cloud-init reads the whole tree, and retries every name that is listed and does not answer.
#[test]
fn every_listed_name_answers() {
    let mut todo: Vec<String> = get("/")
        .lines()
        .map(|version| format!("/{version}/meta-data/"))
        .collect();
    let mut seen = 0;
    while let Some(directory) = todo.pop() {
        for line in get(&directory).lines() {
            seen += 1;
            match line.split_once('=') {
                Some((number, _)) => todo.push(format!("{directory}{number}/")),
                None if line.ends_with('/') => todo.push(format!("{directory}{line}")),
                None => _ = get(&format!("{directory}{line}")),
            }
        }
    }
    for version in get("/openstack").lines() {
        for file in get(&format!("/openstack/{version}")).lines() {
            seen += 1;
            get(&format!("/openstack/{version}/{file}"));
        }
    }
    assert!(seen > 150, "only {seen} names");
}

#[test]
fn a_password_is_stored_once() {
    let state = sample::state();
    let path = "/openstack/latest/password";
    let longest = [b'x'; 1020];
    for (name, stored, body, status, kept) in [
        ("first", None, &b"secret"[..], 200, Some(&b"secret"[..])),
        ("longest", None, &longest[..], 200, Some(&longest[..])),
        ("too long", None, &[b'x'; 1021][..], 400, None),
        ("second", Some(&b"old"[..]), &b"new"[..], 409, None),
    ] {
        let answer = ask_with(&state, "POST", path, body, stored);
        assert_eq!(answer.status.as_u16(), status, "{name}");
        assert_eq!(answer.password.as_deref(), kept, "{name}");
    }
    let answer = ask_with(&state, "GET", path, b"", Some(b"old"));
    assert_eq!(&answer.body[..], b"old");
}

#[test]
fn addresses_overlap_between_tenants() {
    let mut state = sample::state();
    let mut router = Router::clone(state.routers.values().next().unwrap());
    // The same inside address, behind a router that has no leg in web's networks.
    router.interfaces[0].network = NetworkId(uuid::Uuid::from_u128(77));
    state.routers.insert(router.id, std::sync::Arc::new(router));
    let answer = ask_with(&state, "GET", "/latest/meta-data/public-ipv4", b"", None);
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b""[..]));
}
