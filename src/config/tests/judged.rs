//! What is refused, doubtful or without effect is told: all of it, with its line, its reason and the way out.

use super::*;
use crate::config::Code;
use crate::config::ini::normal_group;
use crate::config::options::{self, Treatment};
use crate::config::value::Kind;

/// Of the second file only.
fn about_own(text: &str) -> Vec<Problem> {
    let mut problems = loaded(text).problems;
    problems.retain(|problem| match &problem.place {
        Place::Line { path, .. } => path.ends_with("own.conf"),
        Place::Flag { .. } | Place::Variable { .. } | Place::Nowhere {} => true,
    });
    problems
}

#[test]
fn every_row_of_the_tables_does_what_it_says() {
    for known in options::all() {
        let say = |value: &str| format!("[{}]\n{} = {value}\n", known.group, known.name);
        let default = if known.default == "-" {
            ""
        } else {
            known.default
        };
        let of = |text: &str| {
            let problems = about_own(text);
            let of_it = |problem: &&Problem| problem.option.ends_with(&format!("] {}", known.name));
            let of_it: Vec<_> = problems
                .iter()
                .filter(of_it)
                .map(|problem| (problem.severity, problem.code))
                .collect();
            of_it
        };
        let name = format!("[{}] {}", known.group, known.name);
        match known.treatment {
            Treatment::Ignored => assert_eq!(
                of(&say("x")),
                [(Severity::Ignored, Code::NoEffect)],
                "{name}"
            ),
            Treatment::Warned => {
                // rabbit_host and the like; the cloud has a transport_url.
                assert_eq!(
                    of(&say("x")),
                    [(Severity::Warning, Code::NoEffect)],
                    "{name}"
                );
            }
            Treatment::WarnedUnless(fine) => {
                assert_eq!(of(&say(fine[0])), [], "{name}");
                let other = if known.kind == Kind::Bool {
                    flip(fine[0])
                } else {
                    "x"
                };
                assert_eq!(
                    of(&say(other)),
                    [(Severity::Warning, Code::NotServed)],
                    "{name}"
                );
            }
            Treatment::RefusedUnless(fine) => {
                assert_eq!(of(&say(fine[0])), [], "{name}");
                let other = match known.kind {
                    Kind::Bool => flip(fine[0]),
                    Kind::Choice(choices) => choices
                        .iter()
                        .find(|choice| !fine.contains(choice))
                        .unwrap(),
                    _ => "x",
                };
                assert_eq!(
                    of(&say(other)),
                    [(Severity::Refused, Code::NotServed)],
                    "{name}"
                );
            }
            Treatment::Honoured if known.default != "-" && !default.is_empty() => {
                let old = matches!(known.name, "rpc_backend" | "dhcp_domain");
                assert_eq!(of(&say(default)).len(), usize::from(old), "{name}");
            }
            Treatment::Honoured => {}
        }
        if known.treatment == Treatment::Honoured
            && matches!(
                known.kind,
                Kind::Bool | Kind::Int(..) | Kind::Float | Kind::Choice(_) | Kind::Host
            )
        {
            assert_eq!(
                of(&say("no such")),
                [(Severity::Refused, Code::BadValue)],
                "{name}"
            );
        }
        for (group, old) in known.old {
            let value = if default.is_empty() {
                "192.0.2.1"
            } else {
                default
            };
            let problems = about_own(&format!("[{group}]\n{old} = {value}\n"));
            let option = format!("[{group}] {old}");
            let honoured = known.treatment == Treatment::Honoured;
            let told = problems.iter().find(|problem| {
                problem.option == option && (!honoured || problem.code == Code::OldName)
            });
            let told = told.unwrap_or_else(|| panic!("{name} as {option}: {problems:?}"));
            assert!(
                !honoured || told.fix.contains(known.name),
                "{name}: {}",
                told.fix
            );
            assert!(told.place.to_string().ends_with("own.conf:2"), "{name}");
        }
        assert!(options::find(&normal_group(known.group), known.name).is_some());
    }
}

fn flip(value: &str) -> &'static str {
    if value == "true" { "false" } else { "true" }
}

#[test]
fn what_stands_against_a_start_is_told_with_the_way_out() {
    for (text, want) in [
        (
            "[DEFAULT]\ninterface_driver =",
            "refused 2 [DEFAULT] interface_driver: it is empty, so",
        ),
        (
            "[DEFAULT]\ninterface_driver = null",
            "refused 2 [DEFAULT] interface_driver: null: ports can't be plugged this way; set it to openvswitch or linuxbridge",
        ),
        (
            "[DEFAULT]\ntransport_url = kafka://h",
            "refused 2 [DEFAULT] transport_url: brokers of the kind kafka are not spoken to; write rabbit://",
        ),
        (
            "[DEFAULT]\ntransport_url = rabbit://u:p@h/?sssl=true",
            "refused 2 [DEFAULT] transport_url: behind its `?` is sssl, which is no option",
        ),
        (
            "[DEFAULT]\ntransport_url = rabbit://u:p@h/?ssl=maybe",
            "refused 2 [oslo_messaging_rabbit] ssl: \"maybe\": this is neither true nor false",
        ),
        (
            "[DEFAULT]\ntransport_url = rabbit://u:p@h1,h2",
            "warning 2 [DEFAULT] transport_url: some hosts have a user and others have none",
        ),
        (
            "[DEFAULT]\nrpc_backend = qpid",
            "refused 2 [DEFAULT] rpc_backend: only RabbitMQ is spoken to",
        ),
        (
            "[DEFAULT]\ndhcp_driver = my.Driver",
            "refused 2 [DEFAULT] dhcp_driver: DHCP is served by warren itself",
        ),
        (
            "[DEFAULT]\nresync_throttle = 9",
            "refused 2 [DEFAULT] resync_throttle: it is more than resync_interval",
        ),
        (
            "[DEFAULT]\ndhcp_lease_duration = 60",
            "warning 2 [DEFAULT] dhcp_lease_duration: 120 seconds is the shortest lease",
        ),
        (
            "[DEFAULT]\ndhcp_lease_duration =",
            "refused 2 [DEFAULT] dhcp_lease_duration: \"\": it is empty, which is no number",
        ),
        (
            "[DEFAULT]\ndnsmasq_dns_servers = resolver",
            "refused 2 [DEFAULT] dnsmasq_dns_servers: resolver: this is no resolver; write IP, IP#PORT or /DOMAIN/IP",
        ),
        (
            "[DEFAULT]\ndnsmasq_dns_servers = /x.org/",
            "refused 2 [DEFAULT] dnsmasq_dns_servers: /x.org/: this is no resolver",
        ),
        (
            "[DEFAULT]\ndnsmasq_txt_record = a..b,x",
            "refused 2 [DEFAULT] dnsmasq_txt_record: a..b,x: this is no TXT record",
        ),
        (
            "[DEFAULT]\ndnsmasq_config_file = /nonexistent/x",
            "refused 2 [DEFAULT] dnsmasq_config_file: /nonexistent/x: it can't be read",
        ),
        (
            "[agent]\nextensions = fip_qos,nonsense",
            "refused 2 [AGENT] extensions: \"nonsense\" is no extension that is known",
        ),
        (
            "[agent]\nextensions = fip_qos",
            "warning 2 [AGENT] extensions: fip_qos is not served by this version",
        ),
        (
            "[DEFAULT]\nnova_client_cert = /c",
            "refused 2 [DEFAULT] nova_client_cert: nova_client_priv_key is not set; set both or none",
        ),
        (
            "[DEFAULT]\nmetadata_proxy_shared_secret =",
            "warning 2 [DEFAULT] metadata_proxy_shared_secret: it is empty",
        ),
        (
            "[DEFAULT]\nnova_metadata_protocol = https\nnova_metadata_insecure = true",
            "warning 3 [DEFAULT] nova_metadata_insecure: anyone can pretend",
        ),
        (
            "[metadata_rate_limiting]\nip_versions = 4,5",
            "refused 2 [metadata_rate_limiting] ip_versions: there are but versions 4 and 6",
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_stream_fanout = true",
            "refused 2 [oslo_messaging_rabbit] rabbit_stream_fanout: streams need",
        ),
        (
            "[oslo_messaging_rabbit]\nssl = true",
            "warning 2 [oslo_messaging_rabbit] ssl: ssl_ca_file is not set",
        ),
        (
            "[oslo_messaging_rabbit]\nssl_ca_file = /ca",
            "warning 2 [oslo_messaging_rabbit] ssl_ca_file: the broker is spoken to without TLS",
        ),
        (
            "[oslo_messaging_rabbit]\nssl = true\nssl_ca_file = /ca\nssl_cert_file = /c",
            "refused 4 [oslo_messaging_rabbit] ssl_cert_file: ssl_key_file is not set",
        ),
        (
            "[DEFAULT]\ninterface_driver = openvswitch\n[ovs]\novsdb_connection = ssl:127.0.0.1:6640\nssl_key_file = /k",
            "refused 0 [OVS] ssl_cert_file: it is not set",
        ),
        (
            "[DEFAULT]\ninterface_driver = openvswitch\n[ovs]\novsdb_connection = tcp:db:6640",
            "refused 4 [OVS] ovsdb_connection: tcp:db:6640: this is no place of a database",
        ),
        (
            "[DEFAULT]\ninterface_driver = openvswitch\n[ovs]\nintegration_bridge = a/b",
            "refused 4 [OVS] integration_bridge: this is no name of a bridge",
        ),
        (
            "[DEFAULT]\nuse_syslog = true\nsyslog_log_facility = nowhere",
            "refused 3 [DEFAULT] syslog_log_facility: nowhere: no facility",
        ),
        (
            "[DEFAULT]\ndns_domain = $nobody",
            "refused 2 [DEFAULT] dns_domain: `$nobody` is no option",
        ),
        (
            "[DEFAULT]\ndns_domain = $dns_domain",
            "refused 2 [DEFAULT] dns_domain: options refer to one another without end",
        ),
        (
            "[DEFAULT]\ndhcp_domain = x\ndns_domain = y",
            "warning 2 [DEFAULT] dhcp_domain: dns_domain is set, and counts",
        ),
        // Names that are nobody's.
        (
            "[DEFAULT]\ninterfacedriver = x",
            "warning 2 [DEFAULT] interfacedriver: no agent has an option of this name, so it is ignored; is interface_driver meant?",
        ),
        (
            "[DEFAULT]\nentirely_made_up_thing = x",
            "warning 2 [DEFAULT] entirely_made_up_thing: no agent has",
        ),
        (
            "[DEFAULT]\navailability_zone = x",
            "warning 2 [DEFAULT] availability_zone: it is not read from this section; move it to [AGENT]",
        ),
        (
            "[default]\nhost = x",
            "warning 2 [default] host: nothing is read from this section; write [DEFAULT]",
        ),
        (
            "[ DEFAULT ]\nhost = x",
            "warning 2 [ default ] host: nothing is read from this section",
        ),
        (
            "[ovs]\nintegration_brige = x",
            "warning 2 [ovs] integration_brige: no agent has",
        ),
        (
            "[oslo_messaging_rabit]\nssl = true",
            "warning 2 [oslo_messaging_rabit] ssl: no agent reads this section; is [oslo_messaging_rabbit] meant?",
        ),
        // Lines that are none.
        (
            "[DEFAULT]\n  host = x",
            "refused 2 line: an indented line continues",
        ),
        ("[DEFAULT]\nhost", "refused 2 line: there is neither"),
    ] {
        let told = told(&about_own(text));
        assert!(
            told.iter().any(|line| line.starts_with(want)),
            "{want}\n{text}\n{told:#?}"
        );
    }
}

#[test]
fn what_is_others_is_passed_in_silence() {
    for text in [
        "[DEFAULT]\ncore_plugin = ml2\nservice_plugins = router\nbind_port = 9696\nmax_l3_agents_per_router = 2\nquota_network = 5",
        "[DEFAULT]\nnotify_nova_on_port_status_changes = true\nallow_overlapping_ips = true\nl3_ha = false",
        "[database]\nconnection = $nobody",
        "[keystone_authtoken]\nauth_url = x\n[nova]\nregion_name = x\n[ml2]\ntype_drivers = vxlan\n[ml2_type_vxlan]\nvni_ranges = 1:2",
        "[ovs]\nbridge_mappings = x:y\ntunnel_bridge = br-tun\nof_connect_timeout = 3\nsome_new_thing = 1",
        "[agent]\ntunnel_types = vxlan\npolling_interval = 2\nprevent_arp_spoofing = true",
        "[oslo_messaging_amqp]\nssl = true\n[oslo_messaging_kafka]\nssl_cafile = x\n[oslo_concurrency]\nlock_path = x",
        "[linux_bridge]\nphysical_interface_mappings = x:y\n[vxlan]\nlocal_ip = 192.0.2.1\n[securitygroup]\nfirewall_driver = noop",
    ] {
        assert_eq!(told(&about_own(text)), [] as [&str; 0], "{text}");
    }
}

#[test]
fn all_is_told_at_once_the_worst_first() {
    let told = told(&loaded("[DEFAULT]\nmetadata_workers = 2\nnova_metadata_ip = x\ndebug = maybe\nagent_mode = dvr\nhost\n").problems);
    let lines: Vec<_> = told
        .iter()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "refused 4",
            "refused 5",
            "refused 6",
            "warning 3",
            "ignored 2"
        ],
        "{told:#?}"
    );
}

#[test]
fn the_time_before_urls_is_told_its_url() {
    let file = |text: &str| {
        let dir = Files::with(&[(
            "neutron.conf",
            &format!("[DEFAULT]\ninterface_driver = linuxbridge\n{text}"),
        )]);
        let loaded = load(&asked(vec![Given::File(dir.path("neutron.conf"))]));
        assert!(loaded.configured.is_none(), "{text}");
        told(&loaded.problems).join("\n")
    };
    for (text, url) in [
        (
            "rabbit_host = controller\nrabbit_userid = open stack\nrabbit_password = s3cr3t\n",
            "rabbit://open%20stack:***@controller:5672/",
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_hosts = c1:5672, c2:5673\nrabbit_virtual_host = /os\n",
            "rabbit://guest:***@c1:5672,guest:***@c2:5673/%2Fos",
        ),
        (
            "rabbit_host = 2001:db8::1\nrabbit_port = 5671\n",
            "rabbit://guest:***@[2001:db8::1]:5671/",
        ),
        (
            "rabbit_password = s3cr3t\n",
            "rabbit://guest:***@localhost:5672/",
        ),
    ] {
        let told = file(text);
        assert!(
            told.contains(&format!("[DEFAULT] transport_url = {url}")),
            "{told}"
        );
        assert!(!told.contains("s3cr3t"), "{told}");
    }
    // Beside a URL they only are too much.
    let told = told(&about_own(
        "[DEFAULT]\nrabbit_host = x\nrabbit_password = s3cr3t",
    ));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|line| line.starts_with("warning")),
        "{told:?}"
    );
}

#[test]
fn lines_of_dnsmasq_are_told_with_their_numbers() {
    let dir = Files::with(&[
        ("cloud", CLOUD),
        (
            "dnsmasq.conf",
            "# ours\nlog-queries\nserver=192.0.2.7#5353\nserver=/x.org/192.0.2.8\ndhcp-option-force=26,1454\n",
        ),
        (
            "bad.conf",
            "log-dhcp\n\ndhcp-option=42,nonsense\ndomain=x.org\n",
        ),
    ]);
    let with = |name: &str| {
        dir.write(
            "own.conf",
            &format!(
                "[DEFAULT]\ndnsmasq_config_file = {}\n",
                dir.path(name).display()
            ),
        );
        load(&asked(vec![
            Given::File(dir.path("cloud")),
            Given::File(dir.path("own.conf")),
        ]))
    };
    let good = with("dnsmasq.conf");
    let plan = good.configured.unwrap().plan;
    assert_eq!(plan.forwarders, ["192.0.2.7:5353".parse().unwrap()]);
    let of_domain = ("x.org".to_owned(), "192.0.2.8:53".parse().unwrap());
    assert_eq!(plan.domain_forwarders, [of_domain]);
    assert_eq!(plan.dhcp_options.len(), 1);
    let told_of_good = told(&good.problems);
    assert!(
        told_of_good[0].starts_with("warning 5 dnsmasq's dhcp-option-force: told to every client"),
        "{told_of_good:?}"
    );
    let bad = with("bad.conf");
    assert!(bad.configured.is_none());
    let told_of_bad = told(&bad.problems);
    assert!(
        told_of_bad[0].starts_with("refused 3 dnsmasq's dhcp-option"),
        "{told_of_bad:?}"
    );
    assert!(
        told_of_bad[1].starts_with("refused 4 dnsmasq's domain"),
        "{told_of_bad:?}"
    );
}

#[test]
fn files_with_secrets_that_others_read_are_told() {
    let dir = Files::with(&[("cloud", CLOUD), ("plain", "[DEFAULT]\nhost = x\n")]);
    set_mode(&dir.path("plain"), 0o644);
    let mut asked = asked(vec![
        Given::File(dir.path("cloud")),
        Given::File(dir.path("plain")),
    ]);
    for (mode, strict, want) in [
        (0o640, false, ""),
        (0o640, true, ""),
        (0o644, false, "warning 3"),
        (0o642, false, "warning 3"),
        (0o644, true, "refused 3"),
    ] {
        set_mode(&dir.path("cloud"), mode);
        asked.strict_secrets = strict;
        let loaded = load(&asked);
        let told = told(&loaded.problems).join("\n");
        assert!(
            told.starts_with(want) && told.is_empty() == want.is_empty(),
            "{mode:o} {strict}: {told}"
        );
        assert_eq!(
            loaded.configured.is_none(),
            want.starts_with("refused"),
            "{told}"
        );
        assert!(told.is_empty() || told.contains("cloud"), "{told}");
    }
}

#[test]
fn no_secret_is_shown() {
    let secrets = "[DEFAULT]\ntransport_url = rabbit://user:hush1@h1,user:hush2 x@h2\nmetadata_proxy_shared_secret = $hush3\n\
        ha_vrrp_auth_password = hush4\nrabbit_password = hush5\nadmin_password = hush6\n\
        [oslo_messaging_notifications]\ntransport_url = rabbit://u:hush7@h\n";
    let loaded = loaded(secrets);
    let shown = format!(
        "{loaded:?} {}",
        serde_json::to_string(&loaded.problems).unwrap()
    );
    assert!(!shown.contains("hush"), "{shown}");

    let good = configured(
        "[DEFAULT]\ntransport_url = rabbit://user:hush1@h1\nmetadata_proxy_shared_secret = hush2\n",
    );
    let shown = format!("{good:?}");
    assert!(!shown.contains("hush") && shown.contains("h1"), "{shown}");
}
