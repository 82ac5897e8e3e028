//! One process per agent, as kolla and helm start them: three warrens under the agents' names, and each beside the others of
//! Neutron's own.

use serde_json::{Value, json};

use crate::cloud::{Cloud, LONG, Node, Service, id};
use crate::common::{Guest, HttpAnswer, HttpStub, wait_for};

const URL: &str = "http://169.254.169.254/latest/meta-data/instance-id";
const OWN_SOCKET: &str = "/var/lib/neutron/metadata_proxy";

/// One of the three, with `neutron.conf` and its own file; as soon as the server has heard of it.
pub(crate) fn agent(cloud: &Cloud, node: &Node, role: &str) -> Service {
    let binary = format!("neutron-{role}-agent");
    let own = format!("/etc/neutron/{role}_agent.ini");
    let args = [
        "--config-file",
        "/etc/neutron/neutron.conf",
        "--config-file",
        &own,
    ];
    let before = started_at(cloud, node, &binary);
    let mut agent = node.warren_as(&binary, &args);
    wait_for(&format!("{binary} to report"), LONG, || {
        assert!(agent.is_alive(), "{}", agent.tail());
        let now = started_at(cloud, node, &binary);
        (now.is_some() && now != before).then_some(())
    });
    agent
}

fn started_at(cloud: &Cloud, node: &Node, binary: &str) -> Option<Value> {
    Some(cloud.agent(node.name(), binary)?["started_at"].clone())
}

fn nova(cloud: &Cloud) -> HttpStub {
    cloud.nova(|request| HttpAnswer {
        headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
        ..HttpAnswer::new(200, request.header("x-instance-id").unwrap_or("nobody"))
    })
}

/// A network with two instances of a node.
struct Tenant {
    network: Value,
    subnet: Value,
    ports: [Value; 2],
    vms: [Guest; 2],
}

impl Tenant {
    fn new(cloud: &Cloud, node: &Node, name: &str, cidr: &str) -> Self {
        let hints = json!([node.name()]);
        let network = json!({"name": name, "availability_zone_hints": hints});
        let network = cloud.create("network", network);
        let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": cidr});
        let subnet = cloud.create("subnet", subnet);
        let ports = [1, 2].map(|_| cloud.instance_port(id(&network), node.name(), json!({})));
        let vms = [("1", &ports[0]), ("2", &ports[1])];
        let vms = vms.map(|(number, port)| {
            let vm = node.guest(&format!("{name}{number}"), port);
            cloud.port_active(id(port));
            vm.udhcpc();
            vm
        });
        Self {
            network,
            subnet,
            ports,
            vms,
        }
    }

    /// Each gets its own, and whatever it pretends never its neighbour's. The reference refuses some of it; we do not.
    fn assert_own(&self, what: &str, refused: bool) {
        for (vm, (port, other)) in self.vms.iter().zip([
            (&self.ports[0], &self.ports[1]),
            (&self.ports[1], &self.ports[0]),
        ]) {
            let own = port["device_id"].as_str().unwrap();
            let told = wait_for(&format!("{what}: {own} to be told who it is"), LONG, || {
                let answer = vm.curl(URL, &[]).ok()?;
                (answer.status == 200).then_some(answer.body)
            });
            assert_eq!(told, own, "{what}");
            let address = other["fixed_ips"][0]["ip_address"].as_str().unwrap();
            let network = id(&self.network);
            for headers in [
                vec![("X-Forwarded-For", address)],
                vec![
                    ("X-Neutron-Network-ID", network),
                    ("X-Forwarded-For", address),
                ],
                vec![(
                    "X-Neutron-Router-ID",
                    "00000000-0000-0000-0000-000000000001",
                )],
                vec![("X-Instance-ID", other["device_id"].as_str().unwrap())],
            ] {
                let answer = vm.curl(URL, &headers).unwrap();
                let is_own = answer.status == 200 && answer.body == own;
                let is_refused = refused && answer.status >= 400;
                assert!(is_own || is_refused, "{what}: {headers:?}: {answer:?}");
            }
        }
    }
}

/// A router between a tenant and the world; answers the first instance's floating IP.
fn route(cloud: &Cloud, node: &Node, tenant: &Tenant) -> String {
    let outside = cloud.create(
        "network",
        json!({"name": "outside", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "external"}),
    );
    cloud.create("subnet", json!({"network_id": id(&outside), "ip_version": 4, "cidr": "203.0.113.0/24", "gateway_ip": "203.0.113.1", "enable_dhcp": false}));
    let hints = json!([node.name()]);
    let gateway = json!({"network_id": id(&outside)});
    let router = json!({"external_gateway_info": gateway, "availability_zone_hints": hints});
    let router = cloud.create("router", router);
    let interface = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    cloud.put(&interface, &json!({"subnet_id": id(&tenant.subnet)}));
    let floating = json!({"floating_network_id": id(&outside), "port_id": id(&tenant.ports[0])});
    let floating = cloud.create("floatingip", floating);
    floating["floating_ip_address"].as_str().unwrap().to_owned()
}

#[test]
fn three_processes_are_the_three_agents() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let net1 = cloud.node("net1");
    net1.linuxbridge_agent();
    let mut dhcp = agent(&cloud, &net1, "dhcp");
    let mut metadata = agent(&cloud, &net1, "metadata");
    let _nova = nova(&cloud);

    // By the DHCP role's namespace.
    let tenant = Tenant::new(&cloud, &net1, "blue", "10.1.0.0/24");
    tenant.assert_own("isolated", false);

    // By the L3 role's.
    let mut l3 = agent(&cloud, &net1, "l3");
    let world = cloud.world("203.0.113.1/24");
    let floating = route(&cloud, &net1, &tenant);
    wait_for("a way in", LONG, || world.ping(&floating).then_some(()));
    tenant.vms.iter().for_each(|vm| _ = vm.udhcpc());
    assert!(tenant.vms[0].ping("203.0.113.1"), "{}", l3.tail());
    tenant.assert_own("routed", false);

    // Each is asked for what it has.
    let status = net1.warren(&["status", "--json"]).ok();
    let status: Value = serde_json::from_str(&status).unwrap();
    let served = |role: &str, kind: &str| status[role][kind].as_u64();
    assert_eq!(served("dhcp", "networks"), Some(1), "{status:#}");
    assert_eq!(served("l3", "routers"), Some(1), "{status:#}");
    assert_eq!(served("metadata", "networks"), Some(0), "{status:#}");
    let asked = &status["metadata"]["counters"]["metadata_proxy_socket"]["answers_2xx"];
    assert!(asked.as_u64() > Some(0), "{status:#}");
    let noticed = &status["dhcp"]["counters"]["bus"]["notices"];
    assert!(noticed.as_u64() > Some(0), "{status:#}");
    let shown = net1.warren(&["show", "network", id(&tenant.network)]).ok();
    assert!(shown.contains(id(&tenant.network)), "{shown}");
    let kept = net1.machine().sh("ls -d /var/lib/neutron/warren-*").ok();
    let kept: Vec<&str> = kept.lines().map(|line| &line[line.len() - 12..]).collect();
    assert_eq!(kept, ["/warren-dhcp", "on/warren-l3", "ren-metadata"]);

    // The end of one leaves what is the others', and it takes its own up again.
    let namespaces = net1.namespaces();
    for service in [&mut dhcp, &mut l3, &mut metadata] {
        service.stop();
        assert_eq!(
            net1.namespaces(),
            namespaces,
            "after {} stopped",
            service.name()
        );
        assert!(world.ping(&floating), "after {} stopped", service.name());
        service.start();
        wait_for("it to have synchronised", LONG, || {
            let status = net1.warren(&["status"]);
            status.succeeded().then_some(())
        });
        tenant.assert_own("started again", false);
        assert_eq!(
            net1.namespaces(),
            namespaces,
            "after {} came back",
            service.name()
        );
    }

    // Nobody else may say on whose behalf they ask.
    let place = net1.place();
    let nobody = |socket: &str| {
        let who = format!("X-Neutron-Network-ID: {}", id(&tenant.network));
        let address = tenant.ports[0]["fixed_ips"][0]["ip_address"]
            .as_str()
            .unwrap();
        let address = format!("X-Forwarded-For: {address}");
        place.run(&[
            "setpriv",
            "--reuid=65534",
            "--clear-groups",
            "curl",
            "-s",
            "-H",
            &who,
            "-H",
            &address,
            "--unix-socket",
            socket,
            "http://x/",
        ])
    };
    assert!(!nobody(OWN_SOCKET).succeeded(), "others may ask");
    place.sh(&format!("chmod 666 {OWN_SOCKET}")).ok();
    let answer = nobody(OWN_SOCKET);
    assert!(
        !answer.succeeded() && answer.stdout.is_empty(),
        "{answer:?}"
    );
}

#[test]
fn each_works_with_the_references_other_half() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let _nova = nova(&cloud);
    // Ours before Neutron's metadata agent.
    let net1 = cloud.node("net1");
    net1.linuxbridge_agent();
    net1.reference_metadata_agent();
    let _dhcp = agent(&cloud, &net1, "dhcp");
    let tenant = Tenant::new(&cloud, &net1, "blue", "10.1.0.0/24");
    tenant.assert_own("warren asks Neutron's metadata agent", false);
    let _l3 = agent(&cloud, &net1, "l3");
    let world = cloud.world("203.0.113.1/24");
    let floating = route(&cloud, &net1, &tenant);
    wait_for("a way in", LONG, || world.ping(&floating).then_some(()));
    tenant.vms.iter().for_each(|vm| _ = vm.udhcpc());
    tenant.assert_own("the L3 role asks it", false);

    // Ours behind Neutron's haproxys.
    let net2 = cloud.node("net2");
    net2.linuxbridge_agent();
    net2.reference_dhcp_agent();
    let _metadata = agent(&cloud, &net2, "metadata");
    let tenant = Tenant::new(&cloud, &net2, "green", "10.2.0.0/24");
    tenant.assert_own("Neutron's haproxy asks warren", true);
    // And the other one takes its place, as in a migration back.
    net2.reference_metadata_agent();
    tenant.assert_own("Neutron's haproxy asks Neutron's agent", true);
}
