//! Sockets that are born inside of a namespace, and stay there.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use common::{chain, converge, dev, ip, ipv4, namespace, net, ns, sandbox, specs};
use netns::datagrams::Packed;
use netns::spec::{Link, Place};
use netns::{Namespace, Neighbours, announce, socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Two namespaces with a pair between them: `left` has 10.0.0.1, `right` 10.0.0.2.
async fn two() -> (Namespace, Namespace) {
    let (left, right) = (namespace("left"), namespace("right"));
    let mut spec = specs::own();
    let far = Place::Named(ns("right"));
    spec.links.insert(
        dev("t0"),
        Link::veth(dev("t0"), far).addrs([net("10.0.0.1/24"), net("fd00::1/64")]),
    );
    converge(&left, &spec).await;
    spec.links.insert(
        dev("t0"),
        Link::existing().addrs([net("10.0.0.2/24"), net("fd00::2/64")]),
    );
    converge(&right, &spec).await;
    (left, right)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn udp_and_tcp() {
    sandbox("udp_and_tcp", || async {
        let (left, right) = two().await;
        for (bind, to, any) in [
            ("0.0.0.0:67", "10.0.0.1:67", "0.0.0.0:0"),
            ("[::]:53", "[fd00::1]:53", "[::]:0"),
        ] {
            let server = socket::udp(&left, at(bind), Some(&dev("t0")))
                .await
                .unwrap();
            let _second = socket::udp(&left, at(bind), Some(&dev("lo")))
                .await
                .unwrap();
            let client = socket::udp(&right, at(any), None).await.unwrap();
            client.connect(at(to)).await.unwrap();
            client.send(b"hello").await.unwrap();
            let mut buffer = [0; 16];
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], b"hello");
            server.send_to(b"there", from).await.unwrap();
            assert_eq!(client.recv(&mut buffer).await.unwrap(), 5);
        }
        let broadcast = socket::udp(&left, at("0.0.0.0:68"), None).await.unwrap();
        broadcast.send_to(b"all", at("10.0.0.255:9")).await.unwrap();

        // An address that is not there yet.
        let early = socket::tcp_listener(&left, at("169.254.169.254:80"), None)
            .await
            .unwrap();
        drop(early);
        let server = socket::tcp_listener(&left, at("10.0.0.1:80"), Some(&dev("t0")))
            .await
            .unwrap();
        let mut client = socket::tcp_stream(&right, at("10.0.0.1:80")).await.unwrap();
        let (mut served, from) = server.accept().await.unwrap();
        assert_eq!(from.ip(), ip("10.0.0.2"));
        client.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 5];
        served.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"hello");
        drop((server, served, client));
        let error = socket::tcp_stream(&right, at("10.0.0.1:81"))
            .await
            .unwrap_err();
        assert_eq!(
            chain(&error),
            "open a TCP to 10.0.0.1:81 socket in namespace right (see whether anyone listens there): Connection refused (os error 111)"
        );
        let error = socket::udp(&left, at("10.9.9.9:67"), None)
            .await
            .unwrap_err();
        assert!(
            chain(&error).contains("UDP 10.9.9.9:67 socket in namespace left (give a device in there the address first): Cannot assign"),
            "{error}"
        );
    });
}

#[test]
fn whole_frames() {
    sandbox("whole_frames", || async {
        let (left, right) = two().await;
        let (sender, receiver) = (
            socket::packet(&left, &dev("t0"), 0).await.unwrap(),
            socket::packet(&right, &dev("t0"), 0x88b5).await.unwrap(),
        );
        let mut frame = [0xff; 60];
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        let mut buffer = [0; 100];
        let mut heard = 0;
        // What is sent before the wire carries is dropped by the kernel: it is sent again until it is heard.
        for _ in 0..100 {
            sender.send(&frame).await.unwrap();
            let _queue_is_full = sender.try_send(&frame);
            let patience = Duration::from_millis(100);
            while let Ok(length) = tokio::time::timeout(patience, receiver.recv(&mut buffer)).await
            {
                assert_eq!(length.unwrap(), 60);
                assert_eq!(buffer[..60], frame);
                heard += 1;
            }
            if heard >= 2 {
                break;
            }
        }
        assert!(heard >= 2, "frames are heard");
        let nothing =
            tokio::time::timeout(Duration::from_millis(100), sender.recv(&mut buffer)).await;
        assert!(nothing.is_err(), "a socket to send by hears nothing");
        let many = socket::frame_sender(&left, &dev("t0")).await.unwrap();
        let mut frames = Packed::default();
        for frame in [&frame[..], &[0xff; 2000], &frame] {
            frames.add(|out| out.extend(frame));
        }
        assert_eq!(
            many.send_now(&frames),
            1,
            "the others are sent all the same"
        );
        for _ in 0..2 {
            assert_eq!(receiver.recv(&mut buffer).await.unwrap(), 60);
        }
        let error = socket::packet(&left, &dev("gone"), 0).await.unwrap_err();
        assert!(
            chain(&error).contains(
                "packet gone socket in namespace left (make the device first): No such device"
            ),
            "{}",
            chain(&error)
        );
    });
}

/// The kernel takes its time to close one, in which hundreds could be opened.
#[test]
fn packet_sockets_do_not_pile_up() {
    sandbox("packet_sockets_do_not_pile_up", || async {
        let (left, _right) = two().await;
        let before = open_files();
        for _ in 0..500 {
            drop(socket::frame_sender(&left, &dev("t0")).await.unwrap());
            assert!(open_files() < before + 80, "{}", open_files());
        }
        socket::packets_closed().await;
        assert_eq!(open_files(), before);
    });
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn addresses_are_announced() {
    sandbox("addresses_are_announced", || async {
        let (left, right) = two().await;
        let ear = socket::packet(&right, &dev("t0"), 0x0806).await.unwrap();
        let mac = netns::converge(&left, &specs::own()).await; // takes t0 away: it is not in that Spec
        assert!(mac.unwrap().steps.len() == 1);
        let error = announce(
            &left,
            &[(dev("t0"), vec![Ipv4Addr::LOCALHOST.into()])].into(),
        )
        .await
        .unwrap_err();
        assert_eq!(
            chain(&error),
            "announce t0 in namespace left (needs CAP_NET_RAW; neighbours also learn by asking): No such device (os error 19)"
        );
        drop(ear);

        let (left, right) = two().await;
        let ear = socket::packet(&right, &dev("t0"), 0x0806).await.unwrap();
        let ear6 = socket::packet(&right, &dev("t0"), 0x86dd).await.unwrap();
        let addresses = [ipv4("203.0.113.9"), ipv4("203.0.113.10")];
        let v6: Ipv6Addr = "2001:db8::9".parse().unwrap();
        let all = addresses.map(IpAddr::from).into_iter().chain([v6.into()]);
        // A device that is not there keeps no other from it.
        let both = [
            (dev("gone"), vec![Ipv4Addr::LOCALHOST.into()]),
            (dev("t0"), all.collect()),
        ];
        assert!(announce(&left, &both.into()).await.is_err());
        let mac = link_mac(&left).await;
        for address in addresses {
            for operation in [1, 2] {
                let mut frame = [0; 60];
                assert!(ear.recv(&mut frame).await.unwrap() >= 42);
                assert_eq!(
                    (&frame[..6], &frame[6..12]),
                    (&[0xff; 6][..], &mac[..]),
                    "to all, from the device"
                );
                assert_eq!(frame[20..22], [0, operation]);
                assert_eq!(
                    (&frame[22..28], &frame[28..32]),
                    (&mac[..], &address.octets()[..])
                );
                assert_eq!(frame[38..42], address.octets());
            }
        }
        // The kernel says other things there, too.
        let mut frame = [0; 128];
        while ear6.recv(&mut frame).await.unwrap() != 86 || frame[54] != 136 {}
        assert_eq!(
            (&frame[6..12], &frame[62..78]),
            (&mac[..], &v6.octets()[..])
        );
        assert_eq!(frame[80..86], mac);
    });
}

async fn link_mac(ns: &Namespace) -> [u8; 6] {
    let mut spec = specs::own();
    spec.links.insert(dev("t0"), Link::existing());
    converge(ns, &spec).await.links[&dev("t0")].mac.unwrap().0
}

#[test]
fn neighbours_are_asked_for() {
    sandbox("neighbours_are_asked_for", || async {
        let (left, right) = two().await;
        let links = netns::links(&right).await.unwrap();
        let theirs = links[&dev("t0")].mac.unwrap();
        let neighbours = Neighbours::open(&left, &dev("t0")).await.unwrap();
        let answer = async |address: &str| {
            neighbours.ask(ip(address)).unwrap();
            loop {
                let news = neighbours.next().await.unwrap();
                if let Some((_, mac)) = news.iter().find(|(of, _)| *of == ip(address)) {
                    return *mac;
                }
            }
        };
        // The second time the kernel knows it.
        for address in ["10.0.0.2", "fd00::2", "fd00::2"] {
            assert_eq!(answer(address).await, Some(theirs), "{address}");
        }
        let nobody = tokio::time::timeout(Duration::from_secs(20), answer("fd00::77")).await;
        assert_eq!(nobody, Ok(None), "looked for in vain");
        let error = Neighbours::open(&left, &dev("none")).await.unwrap_err();
        assert!(chain(&error).contains("neighbours none"), "{error}");
    });
}
