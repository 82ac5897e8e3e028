//! What is kept, for how long and for whom; and what may not come in, or go out.

use std::time::Duration;

use super::common::{Guest, Running};
use super::dig;
use super::elsewhere::start;

fn asked(resolver: &Running, name: &str) -> usize {
    resolver.log().matches(name).count()
}

/// TTL of the first record of an answer or, where there is none, of its SOA.
fn ttl(guest: &Guest, question: &str) -> u32 {
    let text = dig(guest, "10.2.0.2", question).text;
    let mut records = text.lines().filter(|line| !line.starts_with(';'));
    let words: Vec<&str> = records
        .find(|line| line.contains("IN"))
        .unwrap_or_else(|| panic!("{text}"))
        .split_whitespace()
        .collect();
    words[1].parse().unwrap()
}

#[test]
fn answers_are_kept_for_their_time() {
    let Some((_host, daemon, _resolver, vm)) = start("dns-kept", "dns_cache = 3") else {
        return;
    };
    // An absence holds as long as the zone's SOA says at its end: 60 of 300 seconds.
    for (name, whole) in [
        ("www.example.org", 300),
        ("nobody.example.org", 60),
        ("www.example.org MX", 60),
    ] {
        assert_eq!(ttl(&vm, name), whole, "{name}");
        std::thread::sleep(Duration::from_millis(1100));
        let later = ttl(&vm, name);
        assert!((whole - 4..whole).contains(&later), "{name}: {later}");
    }
    let counters = || daemon.json(&["show", "network", "green"])["counters"]["dns"].clone();
    let before = counters();
    assert_eq!(
        (&before["cached"], &before["forwarded"]),
        (&3.into(), &3.into()),
        "{before:#}"
    );
    // Short ones are asked for again, and what holds for no time at all each time.
    assert_eq!(ttl(&vm, "short.example.org"), 2);
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(ttl(&vm, "short.example.org"), 2);
    for _ in 0..3 {
        assert_eq!(ttl(&vm, "zero.example.org"), 0);
    }
    let after = counters();
    assert_eq!(
        (&after["cached"], &after["forwarded"]),
        (&3.into(), &8.into()),
        "{after:#}"
    );
}

/// Addresses of the network's inside under a name of elsewhere: the browser of an instance would take them for that
/// site's own. Off unless asked for, as in dnsmasq.
#[test]
fn names_of_elsewhere_lead_outside() {
    let rule = "dns_rebind_protection = true\ndns_rebind_allowed = [\"home.example.org\"]";
    for (more, inside) in [("", 1), (rule, 0)] {
        let Some((_host, daemon, _resolver, vm)) = start("dns-rebind", more) else {
            return;
        };
        for (question, want) in [
            ("inside.example.org", inside),
            ("inside.example.org AAAA", inside),
            ("meta.example.org", inside),
            ("meta.example.org +tcp", inside),
            ("home.example.org", 1),
            ("www.example.org", 1),
            ("green1.demo.test", 1),
            ("green1", 1),
        ] {
            let answer = dig(&vm, "10.2.0.2", question);
            assert_eq!(answer.answers.len(), want, "{question}: {}", answer.text);
            assert_eq!(answer.status, "NOERROR", "{question}");
        }
        let view = daemon.json(&["show", "network", "green"]);
        assert_eq!(
            view["counters"]["dns"]["rebinding"],
            4 * (1 - inside),
            "{view:#}"
        );
    }
}

/// Names and addresses of a network are its own business: nobody outside hears that somebody asked for them.
#[test]
fn own_names_are_not_asked_elsewhere() {
    let Some((host, daemon, host_resolver)) = super::start("dns-own") else {
        return;
    };
    let vm = super::instance(&host, &daemon, "vm", "green", "10.2.0.11");
    for question in [
        "green1.demo.test",
        "green1.demo.test MX",
        "nobody.demo.test",
        "a.b.demo.test TXT",
        "demo.test",
        "nobody.shop.test",
        "red1.demo.test",
        "-x 10.2.0.11",
        "-x 10.2.0.99",
        "-x fd00:2::11",
        "-x fd00:2::99",
    ] {
        dig(&vm, "10.2.0.2", question);
    }
    dig(&vm, "10.2.0.2", "www.example.org");
    let log = host_resolver.log();
    assert!(log.contains("query[A] www.example.org"), "{log}");
    assert_eq!(log.matches("query[").count(), 1, "{log}");
    // A network's answers are not another's: each asks for itself.
    let other = super::instance(&host, &daemon, "other", "shop", "10.3.0.11");
    assert_eq!(
        dig(&other, "10.3.0.2", "www.example.org").answers,
        ["192.0.2.1"]
    );
    assert_eq!(asked(&host_resolver, "query[A] www.example.org"), 2);
}
