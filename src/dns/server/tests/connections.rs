//! Connections by TCP: how many, how long, and with what in them.

use super::*;

#[test]
fn connections_are_bounded_in_number_and_time() {
    sandboxed(
        "connections::connections_are_bounded_in_number_and_time",
        async {
            let ground = Ground::with(&[], |settings| {
                settings.idle = Duration::from_secs(1);
                settings.connections.per_namespace = 6;
            })
            .await;
            let server: SocketAddr = "10.0.0.2:53".parse().unwrap();
            let mut open = Vec::new();
            for _ in 0..4 {
                open.push(TcpStream::connect(server).await.unwrap());
            }
            for stream in &mut open {
                // Each is really served, so each was taken before the fifth comes.
                assert!(
                    ground::ask_on(stream, &question(1, "web.demo"))
                        .await
                        .is_some()
                );
            }
            assert!(
                closed(&mut TcpStream::connect(server).await.unwrap()).await,
                "a fifth"
            );
            let start = Instant::now();
            for mut stream in open {
                assert!(closed(&mut stream).await, "an idle one");
            }
            assert!(start.elapsed() < Duration::from_secs(3));
            let mut again = TcpStream::connect(server).await.unwrap();
            assert!(
                ground::ask_on(&mut again, &question(1, "web.demo"))
                    .await
                    .is_some()
            );

            // A byte now and then is idle too.
            again.write_all(&[0]).await.unwrap();
            let start = Instant::now();
            while again.write_all(&[255]).await.is_ok() {
                assert!(start.elapsed() < PATIENCE);
                sleep(Duration::from_millis(100)).await;
            }
            let counters = ground.server.counters();
            assert_eq!((counters.connections, counters.connections_full), (5, 1));
        },
    );
}

#[test]
fn a_connection_keeps_to_the_format() {
    sandboxed("connections::a_connection_keeps_to_the_format", async {
        let ground = Ground::new(&[]).await;
        let server: SocketAddr = "10.0.0.2:53".parse().unwrap();
        for (case, bytes) in [
            ("nothing", &b"\0\0"[..]),
            ("less than a header", b"\0\x0b"),
            ("more than a query has", b"\xff\xff"),
        ] {
            let mut stream = TcpStream::connect(server).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            assert!(closed(&mut stream).await, "{case}");
        }
        assert_eq!(ground.server.counters().queries, 0);
    });
}

#[test]
fn a_connection_carries_many_questions_at_once() {
    sandboxed(
        "connections::a_connection_carries_many_questions_at_once",
        async {
            let silent = Stub::at("127.0.0.1", |_| vec![]).await;
            let ground = Ground::new(&[silent.from(Side::Host)]).await;
            let server: SocketAddr = "10.0.0.2:53".parse().unwrap();
            let mut stream = TcpStream::connect(server).await.unwrap();
            let mut sent = Vec::new();
            for id in 0..1000 {
                let name = if id == 0 { "example.org" } else { "web.demo" };
                let question = question(id, name);
                sent.extend(u16::try_from(question.len()).unwrap().to_be_bytes());
                sent.extend(question);
            }
            let (mut read, mut write) = stream.split();
            let (_, replies) = tokio::join!(
                async {
                    for part in sent.chunks(997) {
                        write.write_all(part).await.unwrap();
                    }
                    write.shutdown().await.unwrap();
                },
                async {
                    let mut all = Vec::new();
                    timeout(PATIENCE, read.read_to_end(&mut all))
                        .await
                        .unwrap()
                        .unwrap();
                    all
                }
            );
            let mut ids = Vec::new();
            let mut rest = &replies[..];
            while let [high, low, after @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                ids.push(u16::from_be_bytes([after[0], after[1]]));
                rest = &after[length..];
            }
            assert_eq!(ids.len(), 1000);
            assert_eq!(
                ids.last(),
                Some(&0),
                "the one that waited holds up no other"
            );
            assert_eq!(ground.server.counters().answered, 999);
        },
    );
}

#[test]
fn who_does_not_read_harms_nobody() {
    sandboxed("connections::who_does_not_read_harms_nobody", async {
        let ground = Ground::with(&[], |settings| {
            settings.idle = Duration::from_millis(500);
        })
        .await;
        let server: SocketAddr = "10.0.0.2:53".parse().unwrap();
        let mut stream = TcpStream::connect(server).await.unwrap();
        let asked = question(1, "web.demo");
        let framed = [&[0, u8::try_from(asked.len()).unwrap()][..], &asked].concat();
        let flood = framed.repeat(1000);
        // Writes until neither side's buffers take more, then until the server has had enough.
        let flooding = async { while stream.write_all(&flood).await.is_ok() {} };
        let asking = async {
            let asker = Asker::new(server).await;
            for id in 0..100 {
                assert_eq!(asker.code(&question(id, "web.demo")).await, Some(0));
            }
        };
        let (ended, ()) = tokio::join!(timeout(PATIENCE * 2, flooding), asking);
        assert!(ended.is_ok(), "the connection was ended");
        drop(ground);
    });
}
