//! Traffic that goes on meanwhile, and what it noticed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dhcproto::Encodable;
use dhcproto::v4::{DhcpOption, Message, MessageType};

use super::life::{Life, NEIGHBOUR, OUTSIDE};
use crate::common::{
    Dhcp, Guest, Pinging, Place, StreamReport, TcpStreaming, Udp, tcp_stream, udp_frame,
};

/// Between two questions; a name server may take much quicker ones for an attack.
const PAUSE: Duration = Duration::from_millis(10);

/// Traffic both ways, by ping and TCP.
pub(super) struct Traffic {
    pings: [(&'static str, Pinging); 2],
    /// Past the router, between neighbours: nothing that changes hands is on its way. Where this is not answered either, the
    /// switch itself stands still. Open vSwitch in user space forwards in one thread, by turns with all else that it does. While
    /// the agents start that took 1.8 s on a busy machine, and the same 12 pings were lost here and through SNAT; the
    /// kernel's bridges beside it had no gap. A socket holds some hundred packets meanwhile: of a switch that is stopped for
    /// 6 s, 180 pings of 300 are lost.
    beside: Pinging,
    streams: [(&'static str, TcpStreaming); 2],
    asking: [Asking; 3],
}

impl Traffic {
    pub(super) fn begin(life: &Life<'_>, port: u16) -> Self {
        let Life {
            vm1, vm2, world, ..
        } = life;
        let server = life.name_server();
        Self {
            pings: [
                ("a ping through SNAT", vm2.pinging(OUTSIDE).flowing()),
                (
                    "a ping through a floating IP",
                    world.pinging(life.floating).flowing(),
                ),
            ],
            beside: vm2.pinging(NEIGHBOUR).flowing(),
            streams: [
                ("TCP through SNAT", tcp_stream(vm2, world, OUTSIDE, port)),
                (
                    "TCP through a floating IP",
                    tcp_stream(world, vm1, life.floating, port + 1),
                ),
            ],
            asking: [
                Asking::dns(vm2, server),
                Asking::dhcp(vm2),
                Asking::metadata(vm2),
            ],
        }
    }

    /// No connection broke, and no ping lost anything alone; `why` tells more if one did.
    #[track_caller]
    pub(super) fn end(self, why: impl Fn() -> String) {
        for (what, stream) in self.streams {
            let StreamReport {
                echoed,
                longest_stall,
                broken,
            } = stream.stop();
            println!("{what}: {echoed} numbers, longest stall {longest_stall:?}");
            assert_eq!(broken, None, "{what}");
            assert!(echoed > 100, "{what}: {echoed}");
        }
        let reports = self.pings.map(|(what, ping)| (what, ping.stop()));
        let beside = self.beside.stop();
        println!("a ping within the network: {beside:?}");
        for (what, report) in reports {
            println!("{what}: {report:?}");
            let lost = report.lost_alone(&beside);
            assert_eq!(lost, 0, "{what}: {report:?}\n{}", why());
        }
        self.asking.into_iter().for_each(Asking::end);
    }
}

/// Asks again and again, to see how long nobody answers.
struct Asking {
    what: &'static str,
    stop: Arc<AtomicBool>,
    asker: JoinHandle<Duration>,
}

impl Asking {
    fn begin(what: &'static str, mut ask: impl FnMut() -> bool + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let asker = std::thread::spawn(move || {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                if ask() {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
                std::thread::sleep(PAUSE);
            }
            longest.max(last.elapsed())
        });
        Self { what, stop, asker }
    }

    /// For the address of its own name.
    fn dns(guest: &Guest, server: Ipv4Addr) -> Self {
        let socket = guest.inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
        socket.set_read_timeout(Some(PAUSE)).unwrap();
        let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in ["host-10-1-0-78", "example", "org", ""] {
            question.push(u8::try_from(label.len()).unwrap());
            question.extend(label.as_bytes());
        }
        question.extend([0, 1, 0, 1]);
        Self::begin("DNS", move || {
            // Nobody there is an error, too.
            let _ = socket.send_to(&question, (server, 53));
            socket.recv(&mut [0; 512]).is_ok()
        })
    }

    /// For an offer.
    fn dhcp(guest: &Guest) -> Self {
        let wire = guest.wire();
        let (mac, any) = (wire.mac(), Ipv4Addr::UNSPECIFIED);
        let mut discover = Message::new(any, any, any, any, &mac);
        discover
            .opts_mut()
            .insert(DhcpOption::MessageType(MessageType::Discover));
        let frame = udp_frame(&Udp {
            to_mac: [0xff; 6],
            from_mac: mac,
            from: SocketAddrV4::new(any, 68),
            to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
            payload: discover.to_vec().unwrap(),
        });
        Self::begin("DHCP", move || {
            wire.drain();
            wire.send(&frame);
            wire.recv(2 * PAUSE, Dhcp::of(MessageType::Offer)).is_some()
        })
    }

    fn metadata(guest: &Guest) -> Self {
        let place = Place::clone(guest);
        Self::begin("metadata", move || {
            place.inside(|| ask_metadata().unwrap_or(false))
        })
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        println!(
            "longest time without {}: {:?}",
            self.what,
            self.asker.join().unwrap()
        );
    }
}

fn ask_metadata() -> std::io::Result<bool> {
    let address = SocketAddr::from(([169, 254, 169, 254], 80));
    let mut connection = TcpStream::connect_timeout(&address, 10 * PAUSE)?;
    connection.set_read_timeout(Some(50 * PAUSE))?;
    connection.write_all(
        b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.contains("you are "))
}
