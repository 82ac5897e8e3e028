//! Names of elsewhere: who is asked, whose answer is taken, and how long it is kept.

use super::*;

#[test]
fn forwards_from_the_right_side_with_the_clients_bits() {
    sandboxed(
        "forwarding::forwards_from_the_right_side_with_the_clients_bits",
        async {
            // Both are addresses of the host; only one can be reached from inside.
            for (address, side) in [("10.0.0.9", Side::Namespace), ("127.0.0.1", Side::Host)] {
                let stub = Stub::at(address, |query| {
                    let mut answer = record(query, 1);
                    answer[3] |= 0x20; // AD
                    vec![answer]
                })
                .await;
                let _ground = Ground::new(&[stub.from(side)]).await;
                let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
                let mut query = question(0x1234, "wWw.example.org");
                query[3] |= 0x30; // AD, CD
                query[11] = 1;
                let end = query.len();
                query.extend(b"\0\0\x29\x10\0\0\0\x80\0\0\x04\xfd\xe9\0\0"); // OPT, DO, an option
                let reply = asker.ask(&query).await.unwrap();
                assert_eq!(reply[..2], [0x12, 0x34], "the client's id");
                assert_eq!(reply[3], 0xb0, "RA, CD, and the forwarder's AD");
                let (heard, from) = stub.heard().pop().unwrap();
                assert_eq!(heard[2..end], query[2..end], "all but the id");
                let opt = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";
                assert_eq!(heard[end..], *opt, "its DO; our size, and no option");
                let inside: IpAddr = "10.0.0.2".parse().unwrap();
                assert_eq!(from.ip() == inside, side == Side::Namespace, "from {from}");
            }
        },
    );
}

#[test]
fn the_next_forwarder_is_asked() {
    sandboxed("forwarding::the_next_forwarder_is_asked", async {
        let silent = Stub::at("127.0.0.1", |_| vec![]).await;
        let refuses = Stub::at("127.0.0.1", |query| vec![refusal(query, 5)]).await;
        let fails = Stub::at("127.0.0.1", |query| vec![refusal(query, 2)]).await;
        // As Unbound does for who is not on its list: the header alone.
        let curt = Stub::at("127.0.0.1", |query| vec![ground::curt_refusal(query, 5)]).await;
        let good = Stub::at("127.0.0.1", |query| vec![record(query, 1)]).await;
        let nobody = Forward {
            address: "127.0.0.1:9".parse().unwrap(), // no one listens: ICMP says so
            from: Side::Host,
        };
        let [silent_, refuses_, fails_, curt_, good_] =
            [&silent, &refuses, &fails, &curt, &good].map(|stub| stub.from(Side::Host));
        for (case, forwarders, want) in [
            ("the first is good", vec![good_, silent_], Some(0)),
            ("silence", vec![silent_, good_], Some(0)),
            ("REFUSED", vec![refuses_, good_], Some(0)),
            ("SERVFAIL", vec![fails_, good_], Some(0)),
            ("REFUSED alone", vec![curt_, good_], Some(0)),
            ("nobody there", vec![nobody, good_], Some(0)),
            ("all three", vec![silent_, refuses_, nobody, good_], Some(0)),
            ("nobody better", vec![refuses_], Some(5)),
            ("nobody better, alone", vec![curt_], Some(5)),
            (
                "nobody better than the last",
                vec![fails_, refuses_],
                Some(5),
            ),
            ("nobody there at all", vec![nobody], Some(2)),
            ("silence everywhere", vec![silent_], Some(2)),
        ] {
            // Takes over from the one before, as a server does when its addresses change.
            let ground = Ground::new(&forwarders).await;
            let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
            assert_eq!(
                asker.code(&question(3, "example.org")).await,
                want,
                "{case}"
            );
            let counters = ground.server.counters();
            assert_eq!(counters.forwarded, 1, "{case}");
            assert_eq!(counters.spoofed, 0, "{case}");
            let failed = u64::from(case.contains("at all") || case.contains("everywhere"));
            assert_eq!(counters.forward_failed, failed, "{case}");
        }

        // Who was silent is asked last for a while, so that only one question waited for it.
        let _ground = Ground::new(&[silent_, good_]).await;
        let before = silent.heard().len();
        let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
        for id in 0..5 {
            let name = format!("{id}.example.org");
            assert_eq!(asker.code(&question(id, &name)).await, Some(0));
        }
        assert_eq!(silent.heard().len() - before, 1);
    });
}

#[test]
fn a_forwarder_that_lost_a_packet_is_asked_again() {
    sandboxed(
        "forwarding::a_forwarder_that_lost_a_packet_is_asked_again",
        async {
            let count = std::sync::atomic::AtomicU32::new(0);
            let stub = Stub::at("127.0.0.1", move |query| {
                let first = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
                if first {
                    vec![]
                } else {
                    vec![record(query, 1)]
                }
            })
            .await;
            let _ground = Ground::new(&[stub.from(Side::Host)]).await;
            let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
            assert_eq!(asker.code(&question(3, "example.org")).await, Some(0));
            let heard = stub.heard();
            assert_eq!(heard.len(), 2);
            assert_ne!(heard[0].0[..2], heard[1].0[..2], "another id");
            assert_ne!(heard[0].1, heard[1].1, "another port");
        },
    );
}

#[test]
fn spoofed_answers_are_not_taken() {
    sandboxed("forwarding::spoofed_answers_are_not_taken", async {
        let stub = Stub::with_rival("127.0.0.1", |query| {
            let wrong = |edit: &dyn Fn(&mut Vec<u8>)| {
                let mut answer = record(query, 66);
                edit(&mut answer);
                answer
            };
            vec![
                wrong(&|answer| answer[1] ^= 1),    // another id
                wrong(&|answer| answer[13] = b'x'), // another name
                wrong(&|answer| answer[2] = 0),     // no response
                wrong(&|answer| answer.truncate(9)),
                record(query, 1),
            ]
        })
        .await;
        let ground = Ground::new(&[stub.from(Side::Host)]).await;
        let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
        let reply = asker.ask(&question(3, "example.org")).await.unwrap();
        assert!(reply.ends_with(&[192, 0, 2, 1]), "{reply:x?}");
        assert_eq!(ground.server.counters().spoofed, 4);
    });
}

#[test]
fn ids_and_ports_cannot_be_guessed() {
    sandboxed("forwarding::ids_and_ports_cannot_be_guessed", async {
        let stub = Stub::at("10.0.0.9", |query| vec![record(query, 1)]).await;
        let _ground = Ground::new(&[stub.from(Side::Namespace)]).await;
        let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
        for id in 0..200 {
            let name = format!("{id}.example.org");
            asker.ask(&question(id, &name)).await.unwrap();
        }
        let heard = stub.heard();
        let ids: HashSet<_> = heard
            .iter()
            .map(|(query, _)| [query[0], query[1]])
            .collect();
        let ports: HashSet<_> = heard.iter().map(|(_, from)| from.port()).collect();
        assert!(ids.len() > 190, "{} ids of 200", ids.len());
        assert!(ports.len() > 190, "{} ports of 200", ports.len());
        let rising = heard
            .windows(2)
            .filter(|two| two[0].1.port() < two[1].1.port())
            .count();
        assert!((50..150).contains(&rising), "{rising} of 199 ports rise");
    });
}

#[test]
fn what_is_too_long_for_udp_comes_by_tcp() {
    sandboxed("forwarding::what_is_too_long_for_udp_comes_by_tcp", async {
        for (case, long) in [("says TC", 0), ("sends too much", 1300)] {
            let stub = Stub::at("10.0.0.9", move |query| {
                let mut answer = record(query, 1);
                answer.resize(answer.len() + long, 0); // not whole, and not looked at
                answer[2] |= u8::from(long == 0) << 1;
                vec![answer]
            })
            .await;
            stub.answers_by_tcp(|query| record(query, 2)).await;
            let _ground = Ground::new(&[stub.from(Side::Namespace)]).await;
            let server: SocketAddr = "10.0.0.2:53".parse().unwrap();
            let reply = Asker::new(server)
                .await
                .ask(&question(1, "example.org"))
                .await
                .unwrap();
            assert_eq!(reply[2] & 2, 2, "{case}: TC for who asked by UDP");
            assert!(reply.len() <= 512, "{case}");
            let reply = ground::by_tcp(server, &question(9, "example.org"))
                .await
                .unwrap();
            assert_eq!(reply[..2], [0, 9], "{case}");
            assert_eq!(reply[2] & 2, 0, "{case}: whole for who asked by TCP");
            assert!(reply.ends_with(&[192, 0, 2, 2]), "{case}: {reply:x?}");
        }
    });
}

#[test]
fn a_slow_forwarder_holds_nobody_up() {
    sandboxed("forwarding::a_slow_forwarder_holds_nobody_up", async {
        let silent = Stub::at("127.0.0.1", |_| vec![]).await;
        let good = Stub::at("fd00::9", |query| vec![record(query, 1)]).await;
        let forwarders = [silent.from(Side::Host), good.from(Side::Namespace)];
        let _ground = Ground::with(&forwarders, |settings| {
            settings.per_forwarder = Duration::from_secs(3);
            settings.in_all = Duration::from_secs(4);
            settings.head_start = Duration::from_secs(2);
        })
        .await;
        let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
        for (name, at_most) in [("one.example", 3), ("two.example", 2)] {
            let start = Instant::now();
            assert_eq!(asker.code(&question(1, name)).await, Some(0));
            let took = start.elapsed();
            assert!(took < Duration::from_secs(at_most), "{name}: {took:?}");
        }
        assert_eq!(silent.heard().len(), 1, "it is asked last now");
        assert!(good.heard().iter().all(|(_, from)| from.is_ipv6()));
    });
}

#[test]
fn an_answer_is_kept_for_its_time_and_for_its_network() {
    sandboxed(
        "forwarding::an_answer_is_kept_for_its_time_and_for_its_network",
        async {
            const LIFE: u8 = 4; // seconds
            let stub = Stub::at("127.0.0.1", |query| {
                let mut answer = record(query, 1);
                let ttl = answer.len() - 7;
                answer[ttl] = LIFE;
                vec![answer]
            })
            .await;
            let forwarders = [stub.from(Side::Host)];
            let ground = Ground::new(&forwarders).await;
            let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
            let asks = async |name| {
                let before = stub.heard().len();
                let reply = asker.ask(&question(3, name)).await.unwrap();
                assert!(reply.ends_with(&[192, 0, 2, 1]), "{reply:x?}");
                assert_eq!(reply[..2], [0, 3]);
                stub.heard().len() - before
            };
            let start = Instant::now();
            assert_eq!(asks("www.example.org").await, 1);
            assert_eq!(asks("WWW.example.ORG").await, 0);
            let asked = question(4, "www.example.org");
            let by_tcp = ground::by_tcp("10.0.0.2:53".parse().unwrap(), &asked).await;
            assert!(by_tcp.unwrap().ends_with(&[192, 0, 2, 1]));
            while asks("www.example.org").await == 0 {
                sleep(Duration::from_millis(100)).await;
            }
            let took = start.elapsed().as_secs();
            assert!((LIFE.into()..10).contains(&took), "kept for {took} s");
            let counters = ground.server.counters();
            assert_eq!(counters.forwarded, 2);
            assert!(counters.cached >= 2, "{counters:?}");

            // What others said before holds no more.
            let mut scope = ground::scope(&forwarders);
            ground.server.update(Arc::new(scope.clone()));
            assert_eq!(asks("www.example.org").await, 0, "the same forwarders");
            scope.domain_forwarders = vec![("example.net".into(), forwarders[0])];
            ground.server.update(Arc::new(scope.clone()));
            assert_eq!(asks("www.example.org").await, 1, "others");
            scope.cache = 0;
            ground.server.update(Arc::new(scope));
            assert_eq!(asks("www.example.org").await, 1, "none is kept");
            assert_eq!(asks("www.example.org").await, 1);
        },
    );
}

#[test]
fn the_same_question_of_many_is_asked_once() {
    sandboxed(
        "forwarding::the_same_question_of_many_is_asked_once",
        async {
            let stub = Stub::slow("127.0.0.1", Duration::from_millis(300)).await;
            let ground = Ground::with(&[stub.from(Side::Host)], |settings| {
                settings.per_forwarder = Duration::from_secs(3);
                settings.in_all = Duration::from_secs(4);
            })
            .await;
            let server = "10.0.0.2:53".parse().unwrap();
            let mut askers = Vec::new();
            for _ in 0..10 {
                askers.push(Asker::new(server).await);
            }
            for (number, asker) in (0..).zip(&askers) {
                asker.send(&question(number, "www.example.org")).await;
            }
            for (number, asker) in (0..).zip(&askers) {
                let reply = asker.receive().await.unwrap();
                assert_eq!(reply[..2], [0, number]);
                assert!(reply.ends_with(&[192, 0, 2, 1]), "{reply:x?}");
            }
            assert_eq!(stub.heard().len(), 1);
            // On a busy machine the last ones may come after the answer.
            let counters = ground.server.counters();
            assert_eq!(counters.forwarded + counters.cached, 10);
            assert!(counters.forwarded > 1, "{counters:?}");
        },
    );
}

#[test]
fn names_of_elsewhere_do_not_lead_inside() {
    sandboxed("forwarding::names_of_elsewhere_do_not_lead_inside", async {
        // 192.0.2.0/24 is one of those that nobody outside has.
        let stub = Stub::at("127.0.0.1", |query| vec![record(query, 1)]).await;
        let ground = Ground::new(&[stub.from(Side::Host)]).await;
        let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
        let answers = async |name| asker.ask(&question(1, name)).await.unwrap()[7];
        assert_eq!(answers("www.example.org").await, 1, "not protected");
        let mut scope = ground::scope(&[stub.from(Side::Host)]);
        scope.no_rebind = Some(Arc::new(NoRebind {
            except: vec!["corp.example".to_owned()],
            loopback_ok: false,
        }));
        ground.server.update(Arc::new(scope));
        assert_eq!(answers("www.example.org").await, 0);
        assert_eq!(answers("www.example.org").await, 0, "not kept either");
        assert_eq!(answers("www.corp.example").await, 1, "an exception");
        assert_eq!(answers("web.demo").await, 1, "own names");
        assert_eq!(ground.server.counters().rebinding, 2);
    });
}

#[test]
fn who_guesses_at_a_port_is_left_there() {
    sandboxed("forwarding::who_guesses_at_a_port_is_left_there", async {
        let forged = |query: &[u8]| {
            let mut forged = record(query, 66);
            forged[1] ^= 1;
            let mut said = vec![forged; 30];
            said.push(record(query, 1));
            said
        };
        let first = std::sync::atomic::AtomicBool::new(true);
        let once = Stub::at("127.0.0.1", move |query| {
            if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                forged(query)
            } else {
                vec![record(query, 1)]
            }
        })
        .await;
        let always = Stub::at("127.0.0.1", forged).await;
        let good = Stub::at("127.0.0.1", |query| vec![record(query, 2)]).await;
        let [once_, always_, good_] = [&once, &always, &good].map(|stub| stub.from(Side::Host));
        for (case, forwarders, want, spoofed) in [
            ("from another port", vec![once_], 1, 16),
            ("and at last somebody else", vec![always_, good_], 2, 48),
        ] {
            let ground = Ground::new(&forwarders).await;
            let asker = Asker::new("10.0.0.2:53".parse().unwrap()).await;
            let reply = asker.ask(&question(3, "example.org")).await.unwrap();
            assert!(reply.ends_with(&[192, 0, 2, want]), "{case}: {reply:x?}");
            assert_eq!(ground.server.counters().spoofed, spoofed, "{case}");
        }
        let ports: Vec<_> = once.heard().iter().map(|(_, from)| from.port()).collect();
        assert!(ports.len() == 2 && ports[0] != ports[1], "{ports:?}");
    });
}

#[test]
fn no_more_wait_than_may() {
    sandboxed("forwarding::no_more_wait_than_may", async {
        let silent = Stub::at("127.0.0.1", |_| vec![]).await;
        let ground = Ground::with(&[silent.from(Side::Host)], |settings| {
            settings.waiting = Bound {
                per_client: 3,
                per_namespace: 5,
                assured: 2,
                in_all: 100,
            };
        })
        .await;
        let server: SocketAddr = "10.0.0.2:53".parse().unwrap();
        let (one, two) = (
            Asker::new(server).await,
            Asker::from("10.0.0.10", server).await,
        );
        for id in 0..3 {
            one.send(&question(id, "example.org")).await;
            one.send(&question(id, "example.org")).await; // asks again: not forwarded again
        }
        assert_eq!(
            one.code(&question(9, "example.org")).await,
            Some(2),
            "the client's bound"
        );
        assert_eq!(
            one.code(&question(9, "web.demo")).await,
            Some(0),
            "own names go on"
        );
        two.send(&question(1, "example.org")).await;
        two.send(&question(2, "example.org")).await;
        assert_eq!(
            two.code(&question(9, "example.org")).await,
            Some(2),
            "the namespace's"
        );
        let counters = ground.server.counters();
        assert_eq!((counters.forwarded, counters.forward_repeated), (5, 3));
        assert_eq!(counters.forward_full, 2);
        // The places come back.
        for _ in 0..3 {
            assert_eq!(
                one.receive().await.unwrap()[3] & 15,
                2,
                "SERVFAIL in the end"
            );
        }
        one.send(&question(20, "example.org")).await;
        assert_eq!(one.receive().await.unwrap()[..2], [0, 20]);
        assert_eq!(ground.server.counters().forwarded, 6);
    });
}
