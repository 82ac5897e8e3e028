//! Within the cloud: booting, metadata, names, and the way across the router.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::cast::{Cast, text};
use crate::transcript::Transcript;
use crate::{FILE, METADATA};

pub(crate) fn boot(say: &mut Transcript, cast: &Cast) {
    say.title("Four instances boot, each with a DHCP client as images have it");
    for instance in &cast.instances {
        let (name, client) = (&instance.name, instance.client);
        say.check(&format!("{name} boots with {client}"), |say| {
            let lease = instance.guest.lease(client);
            let subnet = &instance.network["subnets"][0];
            let router: Ipv4Addr = text(&subnet["gateway_ip"]).parse().unwrap();
            assert_eq!(lease.address, instance.address);
            assert_eq!(
                lease.dns,
                [text(&subnet["dhcp_address"]).parse::<Ipv4Addr>().unwrap()]
            );
            assert_eq!(lease.mtu.map(u64::from), instance.network["mtu"].as_u64());
            let routed = instance.guest.run(&["ip", "route", "show", "default"]).ok();
            assert!(routed.contains(&format!("via {router} ")), "{routed}");
            let metadata = lease
                .routes
                .iter()
                .any(|(to, _)| to.to_string() == "169.254.169.254/32");
            assert!(
                metadata,
                "no route to the metadata service: {:?}",
                lease.routes
            );
            let told = format!(
                "{}/{}, {} routes, DNS {}, MTU {}",
                lease.address,
                lease.prefix,
                lease.routes.len(),
                lease.dns[0],
                lease.mtu.unwrap()
            );
            say.tell(&format!("{name:8} {client:9} {told}"));
            ((), told)
        });
    }
}

pub(crate) fn who_am_i(say: &mut Transcript, cast: &Cast) {
    say.title("Each asks 169.254.169.254 who it is");
    say.check("each gets its own metadata and user data", |say| {
        for instance in &cast.instances {
            let url = format!("{METADATA}/openstack/latest/meta_data.json");
            let document = instance.guest.get(&url);
            let document: Value =
                serde_json::from_str(&document).unwrap_or_else(|e| panic!("{e}: {document}"));
            assert_eq!(
                (text(&document["uuid"]), text(&document["name"])),
                (instance.id.clone(), instance.name.clone())
            );
            say.shell(
                &instance.name,
                &format!("curl {url}"),
                &format!(
                    "{{\"uuid\": {}, \"hostname\": {}, ...}}",
                    document["uuid"], document["hostname"]
                ),
            );
            let answer = instance
                .guest
                .curl(&format!("{METADATA}/openstack/latest/user_data"), &[]);
            let answer = answer.unwrap_or_else(|output| panic!("{output}"));
            match &instance.user_data {
                Some(data) => assert_eq!(
                    (answer.status, &answer.body),
                    (200, data),
                    "{}",
                    instance.name
                ),
                None => assert_eq!(answer.status, 404, "{}: {}", instance.name, answer.body),
            }
        }
        let first = &cast.instances[0];
        say.shell(
            &first.name,
            &format!("curl {METADATA}/openstack/latest/user_data"),
            first.user_data.as_deref().unwrap_or_default(),
        );
        ((), format!("name, id and user data as in {FILE}"))
    });
    say.check("none gets its neighbour's, whatever it pretends", |say| {
        let (liar, other) = (&cast.instances[0], &cast.instances[1]);
        let address = other.address.to_string();
        let lies = [
            ("X-Forwarded-For", address.as_str()),
            ("X-Instance-ID", &other.id),
            ("Forwarded", &format!("for={address}")),
        ];
        let url = format!("{METADATA}/openstack/latest/meta_data.json");
        let answer = liar
            .guest
            .curl(&url, &lies)
            .unwrap_or_else(|output| panic!("{output}"));
        let document: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        say.shell(
            &liar.name,
            &format!(
                "curl -H 'X-Forwarded-For: {address}' -H 'X-Instance-ID: {}' ...",
                other.id
            ),
            &format!(
                "{{\"uuid\": {}, \"hostname\": {}, ...}}",
                document["uuid"], document["hostname"]
            ),
        );
        assert_eq!(text(&document["uuid"]), liar.id);
        (
            (),
            format!(
                "{} pretended to be {}, and got its own",
                liar.name, other.name
            ),
        )
    });
}

pub(crate) fn meet(say: &mut Transcript, cast: &Cast) {
    say.title("They reach each other by name, across the router");
    say.check("every instance pings every other one by name", |say| {
        let mut pings = 0;
        for from in &cast.instances {
            for to in cast.instances.iter().filter(|to| to.name != from.name) {
                let found = from.guest.resolve(&to.fqdn);
                assert_eq!(found, [to.address], "{} looks up {}", from.name, to.fqdn);
                assert!(from.guest.ping(&to.fqdn), "{} pings {}", from.name, to.fqdn);
                pings += 1;
            }
        }
        let (from, to) = (&cast.instances[0], cast.instances.last().unwrap());
        let said = from.guest.run(&["ping", "-c2", "-i0.2", &to.fqdn]).ok();
        say.shell(
            &from.name,
            &format!("ping {}", to.fqdn),
            said.lines().next().unwrap_or_default(),
        );
        ((), format!("{pings} pairs, in and across networks"))
    });
}
