//! Every option that is honoured reaches its setting.

use std::time::Duration;

use super::*;
use crate::metadata::{NovaProtocol, NovaSettings, RateLimit, Secret, Upstream, Window};
use crate::neutron::bus::{Compression, Failover, Login, QueueManager, Tls};
use crate::pace::Limits;
use crate::plug::{Driver, OvsdbAddress};

fn nova(configured: &Configured) -> &NovaSettings {
    match &configured.metadata.upstream {
        Upstream::Nova(nova) => nova,
        Upstream::Local | Upstream::Agent(_) => panic!("no Nova"),
    }
}

fn switch(configured: &Configured) -> &crate::plug::OpenVswitch {
    match configured.driver.as_ref().unwrap() {
        Driver::OpenVswitch(switch) => switch,
        Driver::LinuxBridge => panic!("a Linux bridge"),
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A line of a file, and whether the setting is as it says.
type Case = (&'static str, fn(&Configured) -> bool);

#[test]
fn defaults_are_those_of_the_agents() {
    let all = configured("");
    let checks: &[(&str, bool)] = &[
        ("host", !all.neutron.host.is_empty()),
        ("roles", all.neutron.roles.len() == 3),
        ("report", all.neutron.report_interval == Some(seconds(30))),
        ("limits", all.plan.limits == Limits::default()),
        ("zone", all.neutron.availability_zone == "nova"),
        (
            "driver",
            all.driver == Some(Driver::LinuxBridge)
                && all.neutron.interface_driver == "linuxbridge",
        ),
        ("domain", all.neutron.dhcp.dns_domain == "openstacklocal"),
        (
            "lease",
            all.plan.lease == 86_400 && all.neutron.dhcp.lease == 86_400,
        ),
        (
            "times",
            all.plan.renewal.is_none() && all.plan.rebinding.is_none(),
        ),
        (
            "names",
            !all.plan.authoritative_dns && !all.plan.joined_names,
        ),
        (
            "resolvers",
            all.plan.host_resolvers.is_empty() && all.plan.forwarders.is_empty(),
        ),
        (
            "isolated",
            !all.plan.metadata.isolated && !all.plan.metadata.force,
        ),
        (
            "routed",
            all.plan.metadata.routed && all.plan.metadata.port == 9697,
        ),
        (
            "socket",
            all.neutron.metadata.proxy_socket == "/var/lib/neutron/metadata_proxy",
        ),
        (
            "request",
            all.metadata.limits.request == seconds(32) && all.metadata.limits.idle == seconds(30),
        ),
        ("rate", all.metadata.limits.rate.is_none()),
        (
            "log",
            all.logging.stderr && all.logging.file.is_none() && !all.logging.debug,
        ),
        ("exchange", all.neutron.bus.exchange == "neutron"),
        (
            "login",
            all.neutron.bus.login == Login::AmqPlain && all.neutron.bus.tls.is_none(),
        ),
        (
            "ttl",
            all.neutron.bus.queues.transient_ttl == 1800
                && all.neutron.bus.queues.manager.is_none(),
        ),
        ("timeout", all.neutron.bus.response_timeout == seconds(60)),
    ];
    for (name, fine) in checks {
        assert!(fine, "{name}: {all:?}");
    }
}

#[test]
fn options_of_all_agents() {
    let cases: &[Case] = &[
        ("[DEFAULT]\nhost = net1.example.com.", |all| {
            all.neutron.host == "net1.example.com"
        }),
        ("[DEFAULT]\nstate_path = /srv/n", |all| {
            all.state_path == Path::new("/srv/n")
                && all.neutron.metadata.proxy_socket == "/srv/n/metadata_proxy"
        }),
        ("[DEFAULT]\ncontrol_exchange = x", |all| {
            all.neutron.bus.exchange == "x"
        }),
        (
            "[DEFAULT]\nrpc_response_timeout = 7\nrpc_response_max_timeout = 70",
            |all| {
                (
                    all.neutron.bus.response_timeout,
                    all.neutron.bus.response_max_timeout,
                ) == (seconds(7), seconds(70))
            },
        ),
        ("[DEFAULT]\nrpc_response_timeout = 900", |all| {
            all.neutron.bus.response_max_timeout == seconds(900)
        }),
        ("[DEFAULT]\nperiodic_interval = 7", |all| {
            all.neutron.l3.periodic_interval == seconds(7)
        }),
        (
            "[DEFAULT]\nrpc_backend = neutron.openstack.common.rpc.impl_kombu",
            |all| all.neutron.bus.brokers.len() == 1,
        ),
        ("[AGENT]\nreport_interval = 0.5", |all| {
            all.neutron.report_interval == Some(Duration::from_millis(500))
        }),
        ("[agent]\nreport_interval = 0", |all| {
            all.neutron.report_interval.is_none()
        }),
        ("[agent]\nlog_agent_heartbeats = on", |all| {
            all.neutron.log_agent_heartbeats
        }),
        ("[agent]\navailability_zone = az1", |all| {
            all.neutron.availability_zone == "az1"
        }),
        ("[agent]\nuse_random_fully = no", |all| {
            !all.plan.random_fully
        }),
        ("[DEFAULT]\ndebug = yes\nuse_json = 1", |all| {
            all.logging.debug && all.logging.json
        }),
        ("[DEFAULT]\nlog_file = x.log\nlog_dir = /l", |all| {
            all.logging.file.as_deref() == Some(Path::new("/l/x.log")) && !all.logging.stderr
        }),
        ("[DEFAULT]\nlog_dir = /l", |all| {
            all.logging.file.as_deref() == Some(Path::new("/l/warren.log"))
        }),
        ("[DEFAULT]\nlog_file = /x.log\nlog_dir = /l", |all| {
            all.logging.file.as_deref() == Some(Path::new("/x.log"))
        }),
        ("[DEFAULT]\nuse_syslog = true", |all| {
            all.logging.syslog == Some(1) && !all.logging.stderr
        }),
        (
            "[DEFAULT]\nuse_syslog = true\nuse_stderr = true\nsyslog_log_facility = local3",
            |all| all.logging.syslog == Some(19) && all.logging.stderr,
        ),
        ("[DEFAULT]\nuse_journal = true", |all| {
            all.logging.journal && !all.logging.stderr
        }),
    ];
    for (text, fine) in cases {
        let all = configured(text);
        assert!(fine(&all), "{text}\n{all:?}");
    }
}

#[test]
fn options_of_dhcp_and_l3() {
    let cases: &[Case] = &[
        ("[DEFAULT]\ndhcp_lease_duration = -1", |all| {
            all.plan.lease == u32::MAX && all.neutron.dhcp.lease == -1
        }),
        ("[DEFAULT]\ndhcp_lease_duration = 7200", |all| {
            all.plan.lease == 7200
        }),
        ("[DEFAULT]\ndhcp_lease_duration = 10", |all| {
            all.plan.lease == 120 && all.neutron.dhcp.lease == 10
        }),
        (
            "[DEFAULT]\ndhcp_renewal_time = 60\ndhcp_rebinding_time = 90",
            |all| (all.plan.renewal, all.plan.rebinding) == (Some(60), Some(90)),
        ),
        ("[DEFAULT]\ndhcp_broadcast_reply = true", |all| {
            all.plan.broadcast_reply
        }),
        ("[DEFAULT]\ndnsmasq_enable_addr6_list = true", |all| {
            all.plan.every_address
        }),
        ("[DEFAULT]\ndns_domain = example.org.", |all| {
            all.neutron.dhcp.dns_domain == "example.org"
        }),
        ("[DEFAULT]\ndns_domain =", |all| {
            all.neutron.dhcp.dns_domain.is_empty()
        }),
        ("[DEFAULT]\ndhcp_domain = old.example", |all| {
            all.neutron.dhcp.dns_domain == "old.example"
        }),
        (
            "[DEFAULT]\ndns_domain = new.example\ndhcp_domain = old.example",
            |all| all.neutron.dhcp.dns_domain == "new.example",
        ),
        (
            "[DEFAULT]\ndnsmasq_dns_servers = 192.0.2.1, 192.0.2.2#5353,2001:db8::1,/x.org/192.0.2.3,192.0.2.1",
            |all| {
                let forwarders = ["192.0.2.1:53", "192.0.2.2:5353", "[2001:db8::1]:53"]
                    .map(|text| text.parse().unwrap());
                all.plan.forwarders == forwarders
            },
        ),
        ("[DEFAULT]\ndnsmasq_txt_record = alive.test,yes", |all| {
            let text = all.plan.text.as_ref().unwrap();
            text.name == "alive.test" && text.data == b"\x03yes"
        }),
        ("[DEFAULT]", |all| {
            all.plan.text.is_none() && all.plan.no_rebind.is_none() && all.plan.dns_cache == 150
        }),
        ("[DEFAULT]\ndnsmasq_dns_server = 192.0.2.9", |all| {
            all.plan.forwarders.len() == 1
        }),
        (
            "[DEFAULT]\ndnsmasq_local_resolv = true\ndnsmasq_dns_servers = 192.0.2.9",
            |all| all.plan.host_resolvers.is_empty(),
        ),
        (
            "[DEFAULT]\nresync_interval = 9\nresync_throttle = 3",
            |all| {
                (
                    all.neutron.dhcp.resync_interval,
                    all.neutron.dhcp.resync_throttle,
                ) == (seconds(9), seconds(3))
            },
        ),
        ("[DEFAULT]\ndhcp_driver = some.other.Dnsmasq", |all| {
            all.neutron.dhcp.driver == "some.other.Dnsmasq"
        }),
        (
            "[DEFAULT]\nenable_isolated_metadata = True\nforce_metadata = True",
            |all| all.plan.metadata.isolated && all.plan.metadata.force,
        ),
        (
            "[DEFAULT]\nenable_metadata_proxy = False\nmetadata_port = 9000",
            |all| !all.plan.metadata.routed && all.plan.metadata.port == 9000,
        ),
        ("[DEFAULT]\nhandle_internal_only_routers = False", |all| {
            !all.neutron.l3.handle_internal_only_routers
        }),
        ("[warren]\nadvertise_without_router = True", |all| {
            all.plan.advertise_without_router
        }),
        (
            "[warren]\nlimit_dhcp_client = 10\nlimit_dhcp_others = 20\nlimit_dhcp_network = 12000",
            |all| {
                let by = Limits::DHCP;
                all.plan.limits.dhcp.client == by.client.scaled_to(10)
                    && all.plan.limits.dhcp.others == by.others.scaled_to(20)
                    && all.plan.limits.dhcp.network == by.network.scaled_to(12_000)
            },
        ),
        (
            "[warren]\nlimit_dns_client = 1\nlimit_dns_others = 2\nlimit_dns_network = 3",
            |all| {
                let by = Limits::DNS;
                all.plan.limits.dns.client == by.client.scaled_to(1)
                    && all.plan.limits.dns.others == by.others.scaled_to(2)
                    && all.plan.limits.dns.network == by.network.scaled_to(3)
            },
        ),
        (
            "[warren]\nlimit_ra_client = 4\nlimit_ra_others = 5",
            |all| {
                let by = Limits::RA;
                all.plan.limits.ra.client == by.client.scaled_to(4)
                    && all.plan.limits.ra.others == by.others.scaled_to(5)
            },
        ),
        (
            "[warren]\nlimit_metadata_client = 6\nlimit_metadata_others = 7\nlimit_metadata_network = 8",
            |all| {
                let by = Limits::METADATA;
                all.plan.limits.metadata.client == by.client.scaled_to(6)
                    && all.plan.limits.metadata.others == by.others.scaled_to(7)
                    && all.plan.limits.metadata.network == by.network.scaled_to(8)
            },
        ),
        ("[DEFAULT]\nagent_mode = legacy", |all| {
            all.neutron.l3.agent_mode == "legacy"
        }),
        ("[agent]\nextensions = port_forwarding,fip_qos", |all| {
            all.neutron.l3.extensions.iter().eq(["port_forwarding"])
        }),
        (
            "[DEFAULT]\ninterface_driver = neutron.agent.linux.interface.BridgeInterfaceDriver",
            |all| all.driver == Some(Driver::LinuxBridge),
        ),
        ("[DEFAULT]\ninterface_driver = openvswitch", |all| {
            let switch = switch(all);
            let at = OvsdbAddress::Tcp("127.0.0.1:6640".parse().unwrap());
            switch.bridge == "br-int"
                && switch.database == at
                && switch.timeout == seconds(10)
                && !switch.veth
        }),
        (
            "[DEFAULT]\ninterface_driver = neutron.agent.linux.interface.OVSInterfaceDriver\novs_use_veth = true",
            |all| switch(all).veth,
        ),
        (
            "[DEFAULT]\ninterface_driver = openvswitch\n[OVS]\ndatapath_type = netdev\nintegration_bridge = br-x\novsdb_timeout = 3",
            |all| {
                let switch = switch(all);
                switch.userspace && switch.bridge == "br-x" && switch.timeout == seconds(3)
            },
        ),
        (
            "[DEFAULT]\ninterface_driver = openvswitch\novs_integration_bridge = br-old\novs_vsctl_timeout = 4",
            |all| switch(all).bridge == "br-old" && switch(all).timeout == seconds(4),
        ),
        (
            "[DEFAULT]\ninterface_driver = openvswitch\n[ovs]\novsdb_connection = unix:/run/ovs.sock",
            |all| switch(all).database == OvsdbAddress::Unix("/run/ovs.sock".into()),
        ),
        (
            "[DEFAULT]\ninterface_driver = openvswitch\n[ovs]\novsdb_connection = ssl:[::1]:6640\nssl_key_file = /k\nssl_cert_file = /c\nssl_ca_cert_file = /a",
            |all| matches!(&switch(all).database, OvsdbAddress::Ssl(_, tls) if tls.ca == Path::new("/a") && tls.key == Path::new("/k")),
        ),
    ];
    for (text, fine) in cases {
        let all = configured(text);
        assert!(fine(&all), "{text}\n{all:?}");
    }
}

/// As agents do since 2025.1; before, they did not start.
#[test]
fn without_a_driver_it_is_open_vswitch() {
    let dir = Files::with(&[("neutron.conf", "[DEFAULT]\ntransport_url = rabbit://u:p@h")]);
    let loaded = load(&asked(vec![Given::File(dir.path("neutron.conf"))]));
    let all = loaded.configured.expect("nothing is refused");
    assert_eq!(switch(&all).bridge, "br-int");
    assert_eq!(all.neutron.interface_driver, "openvswitch");
}

#[test]
fn options_of_metadata() {
    let cases: &[Case] = &[
        (
            "[DEFAULT]\nnova_metadata_host = nova.example\nnova_metadata_port = 80",
            |all| {
                let nova = nova(all);
                (nova.host.as_str(), nova.port) == ("nova.example", 80)
                    && all.neutron.metadata.nova_port == 80
            },
        ),
        ("[DEFAULT]\nnova_metadata_ip = 192.0.2.1", |all| {
            nova(all).host == "192.0.2.1"
        }),
        (
            "[DEFAULT]\nnova_metadata_protocol = https\nnova_metadata_insecure = true\nauth_ca_cert = /ca",
            |all| {
                let nova = nova(all);
                nova.protocol == NovaProtocol::Https
                    && nova.insecure
                    && nova.ca.as_deref() == Some(Path::new("/ca"))
            },
        ),
        (
            "[DEFAULT]\nnova_client_cert = /c\nnova_client_priv_key = /k",
            |all| nova(all).client_cert.is_some() && nova(all).client_key.is_some(),
        ),
        (
            "[DEFAULT]\nmetadata_proxy_shared_secret = 'with spaces '",
            |all| nova(all).secret == Secret::new("with spaces "),
        ),
        (
            "[DEFAULT]\nmetadata_proxy_shared_secret = a$$b\\$c",
            |all| nova(all).secret == Secret::new("a$b$c"),
        ),
        ("[DEFAULT]\nmetadata_proxy_socket = $state_path/m", |all| {
            all.neutron.metadata.proxy_socket == "/var/lib/neutron/m"
        }),
        (
            "[metadata_rate_limiting]\nrate_limit_enabled = true\nip_versions = 4,6\nbase_query_rate_limit = 3\nbase_window_duration = 60\nburst_query_rate_limit = 2\nburst_window_duration = 5",
            |all| {
                all.metadata.limits.rate
                    == Some(RateLimit {
                        v4: true,
                        v6: true,
                        base: Window {
                            requests: 3,
                            duration: seconds(60),
                        },
                        burst: Window {
                            requests: 2,
                            duration: seconds(5),
                        },
                    })
            },
        ),
        (
            "[metadata_rate_limiting]\nrate_limit_enabled = true",
            |all| {
                all.metadata
                    .limits
                    .rate
                    .is_some_and(|rate| rate.v4 && !rate.v6)
            },
        ),
        (
            "[metadata_rate_limiting]\nbase_query_rate_limit = 3",
            |all| all.metadata.limits.rate.is_none(),
        ),
        (
            "[metadata_haproxy]\ntimeout_server = 5\ntimeout_http_keep_alive = 6",
            |all| {
                (all.metadata.limits.request, all.metadata.limits.idle) == (seconds(5), seconds(6))
            },
        ),
    ];
    for (text, fine) in cases {
        let all = configured(text);
        assert!(fine(&all), "{text}\n{all:?}");
    }
}

#[test]
fn options_of_the_bus() {
    let cases: &[Case] = &[
        (
            "[DEFAULT]\ntransport_url = rabbit://a:1@h1,b:2@[::1]:5673/v",
            |all| {
                let bus = &all.neutron.bus;
                bus.brokers.len() == 2
                    && bus.brokers[1].port == 5673
                    && bus.brokers[1].host == "::1"
                    && bus.vhost == "v"
            },
        ),
        ("[DEFAULT]\ntransport_url =", |all| {
            all.neutron.bus.brokers[0].user == "guest"
        }),
        (
            "[oslo_messaging_rabbit]\namqp_durable_queues = true\namqp_auto_delete = true\nrabbit_ha_queues = true",
            |all| {
                let queues = &all.neutron.bus.queues;
                queues.durable && queues.auto_delete && queues.ha
            },
        ),
        (
            "[DEFAULT]\namqp_auto_delete = true\nrabbit_ha_queues = true",
            |all| all.neutron.bus.queues.auto_delete && all.neutron.bus.queues.ha,
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_quorum_queue = true\nrabbit_quorum_delivery_limit = 3\nrabbit_quorum_max_memory_length = 4\nrabbit_quorum_max_memory_bytes = 5",
            |all| {
                let queues = &all.neutron.bus.queues;
                queues.quorum
                    && (
                        queues.delivery_limit,
                        queues.max_memory_length,
                        queues.max_memory_bytes,
                    ) == (3, 4, 5)
            },
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_quroum_max_memory_length = 4\nrabbit_quroum_max_memory_bytes = 5",
            |all| {
                let queues = &all.neutron.bus.queues;
                (queues.max_memory_length, queues.max_memory_bytes) == (4, 5)
            },
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_stream_fanout = true\nrabbit_transient_quorum_queue = true\nrabbit_qos_prefetch_count = 10",
            |all| {
                let bus = &all.neutron.bus;
                bus.queues.stream_fanout && bus.queues.transient_quorum && bus.prefetch == 10
            },
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_transient_queues_ttl = 0\nenable_cancel_on_failover = true",
            |all| {
                all.neutron.bus.queues.transient_ttl == 0
                    && all.neutron.bus.queues.cancel_on_failover
            },
        ),
        (
            "[oslo_messaging_rabbit]\nuse_queue_manager = true\nhostname = h\nprocessname = p",
            |all| {
                all.neutron.bus.queues.manager
                    == Some(QueueManager {
                        hostname: "h".into(),
                        process: "p".into(),
                    })
            },
        ),
        ("[oslo_messaging_rabbit]\nuse_queue_manager = true", |all| {
            all.neutron
                .bus
                .queues
                .manager
                .as_ref()
                .is_some_and(|names| names.process == "warren")
        }),
        (
            "[oslo_messaging_rabbit]\nheartbeat_timeout_threshold = 0",
            |all| all.neutron.bus.heartbeat == 0,
        ),
        (
            "[oslo_messaging_rabbit]\nssl = true\nssl_ca_file = /ca\nssl_cert_file = /c\nssl_key_file = /k\nssl_enforce_hostname_verification = false",
            |all| {
                let file = |name: &str| Some(PathBuf::from(name));
                let tls = Tls {
                    ca: file("/ca"),
                    cert: file("/c"),
                    key: file("/k"),
                    verify_host: false,
                };
                all.neutron.bus.tls == Some(tls)
            },
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_use_ssl = true\nkombu_ssl_ca_certs = /ca\nkombu_ssl_version = TLSv1_2",
            |all| {
                all.neutron
                    .bus
                    .tls
                    .as_ref()
                    .is_some_and(|tls| tls.ca.is_some() && tls.verify_host)
            },
        ),
        (
            "[DEFAULT]\ntransport_url = rabbit://u:p@h/?ssl=true&heartbeat_timeout_threshold=30\n[oslo_messaging_rabbit]\nheartbeat_timeout_threshold = 9\nssl_ca_file = /ca",
            |all| all.neutron.bus.tls.is_some() && all.neutron.bus.heartbeat == 30,
        ),
        (
            "[oslo_messaging_rabbit]\nrabbit_login_method = PLAIN",
            |all| all.neutron.bus.login == Login::Plain,
        ),
        ("[DEFAULT]\nrabbit_login_method = EXTERNAL", |all| {
            all.neutron.bus.login == Login::External
        }),
        (
            "[oslo_messaging_rabbit]\nrabbit_retry_interval = 3\nrabbit_retry_backoff = 4\nrabbit_interval_max = 5\nkombu_reconnect_delay = 0.5\nkombu_reconnect_splay = 1.5",
            |all| {
                let retry = &all.neutron.bus.retry;
                (retry.first, retry.backoff, retry.longest) == (seconds(3), seconds(4), seconds(5))
                    && (retry.delay, retry.splay)
                        == (Duration::from_millis(500), Duration::from_millis(1500))
            },
        ),
        ("[oslo_messaging_rabbit]\nkombu_compression = zlib", |all| {
            all.neutron.bus.compression == Some(Compression::Gzip)
        }),
        (
            "[oslo_messaging_rabbit]\nkombu_compression = gzip\nkombu_failover_strategy = shuffle",
            |all| {
                all.neutron.bus.compression == Some(Compression::Gzip)
                    && all.neutron.bus.failover == Failover::Shuffle
            },
        ),
        (
            "[oslo_messaging_rabbit]\nkombu_reconnect_timeout = 7",
            |all| all.neutron.bus.missing_consumer_timeout == seconds(7),
        ),
    ];
    for (text, fine) in cases {
        let all = configured(text);
        assert!(fine(&all), "{text}\n{all:?}");
    }
}

#[test]
fn roles_that_are_not_taken_ask_for_nothing() {
    let dir = Files::with(&[(
        "cloud",
        "[DEFAULT]\nagent_mode = dvr\nresync_interval = x\nuse_namespaces = false\n",
    )]);
    let mut asked = asked(vec![Given::File(dir.path("cloud"))]);
    asked.roles = BTreeSet::from([Role::Metadata]);
    let loaded = load(&asked);
    let configured = loaded
        .configured
        .unwrap_or_else(|| panic!("{:#?}", loaded.problems));
    assert_eq!(configured.driver, None);
    assert_eq!(configured.neutron.roles, asked.roles);
}
