//! Devices that are made elsewhere and given to a namespace: ours from then on, and asked for when they are missing.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use common::{chain, converge, converge_twice, dev, mac, namespace, net, run, sandbox, specs};
use netns::spec::{Link, Spec};
use netns::{Conflict, Error, Namespace};

const MAC: &str = "fa:16:3e:00:00:07";

fn spec() -> Spec {
    let mut spec = specs::own();
    let link = Link::given().mac(mac(MAC)).mtu(1400);
    spec.links
        .insert(dev("t1"), link.addrs([net("10.0.0.1/24")]));
    spec
}

/// What a switch does: a device called `t1` appears where the switch lives.
fn made() {
    run("ip link add t1 type veth peer name switch1");
}

#[test]
fn a_given_device_is_furnished_and_marked() {
    sandbox("a_given_device_is_furnished_and_marked", || async {
        let own = namespace("own");
        let home = Namespace::home().unwrap();
        let error = netns::converge(&own, &spec()).await.unwrap_err();
        let missing = Conflict::Missing { dev: dev("t1") };
        assert!(
            matches!(&error, Error::Conflict { conflict, .. } if *conflict == missing),
            "{error:?}"
        );
        assert!(
            error.is_transient() && chain(&error).contains("t1"),
            "{error}"
        );
        assert!(
            !netns::give(&home, &dev("t1"), mac(MAC), &own)
                .await
                .unwrap(),
            "there is none yet"
        );

        made();
        assert!(
            netns::give(&home, &dev("t1"), mac(MAC), &own)
                .await
                .unwrap()
        );
        converge_twice(&own, &spec()).await;
        let seen = run("ip -n own link show t1") + &run("ip -n own addr show t1");
        for part in [MAC, "mtu 1400", ",UP", "10.0.0.1/24", "alias netns"] {
            assert!(seen.contains(part), "{part}: {seen}");
        }

        // It went: what is missing is named, and another one is as good.
        run("ip -n own link del t1");
        netns::converge(&own, &spec()).await.unwrap_err();
        made();
        assert!(
            netns::give(&home, &dev("t1"), mac(MAC), &own)
                .await
                .unwrap()
        );
        converge_twice(&own, &spec()).await;

        // No longer wished for.
        converge(&own, &specs::own()).await;
        assert!(!netns::links(&own).await.unwrap().contains_key(&dev("t1")));
    });
}

#[test]
fn a_name_that_is_taken_inside_is_told() {
    sandbox("a_name_that_is_taken_inside_is_told", || async {
        let own = namespace("own");
        let home = Namespace::home().unwrap();
        run("ip -n own link add t1 type bridge");
        made();
        let error = netns::give(&home, &dev("t1"), mac(MAC), &own)
            .await
            .unwrap_err();
        let text = chain(&error);
        assert!(
            text.starts_with("move t1 from the home namespace to namespace own ("),
            "{text}"
        );
        assert!(run("ip link show t1").contains(MAC), "still there");
    });
}

#[test]
fn checksums_are_kept_once() {
    sandbox("checksums_are_kept_once", || async {
        let own = namespace("own");
        converge(&own, &specs::pair("far0")).await;
        assert!(netns::keep_checksums(&own, &dev("t0")).await.unwrap());
        assert!(
            !netns::keep_checksums(&own, &dev("t0")).await.unwrap(),
            "the second time there is nothing to do"
        );
        let error = netns::keep_checksums(&own, &dev("t9")).await.unwrap_err();
        assert!(
            chain(&error).starts_with(
                "keep checksums from being left to t9 in namespace own (needs CAP_NET_ADMIN): "
            ),
            "{error}"
        );
    });
}
