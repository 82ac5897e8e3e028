//! Clients of many networks at once that want addresses and names: when each is answered, and for how long it is not.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dhcproto::v4::MessageType;
use hickory_proto::op::{Message, MessageType as Kind, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use nix::sys::socket::SockProtocol;

use crate::common::{Dhcp, Udp, discover, udp_frame};
use crate::frames::Frames;
use crate::objects::Tenant;

/// Where answers about names go. Somebody listens there, so that the node does not complain of them.
const NAMES: u16 = 53_000;

/// The longest time without an answer, of the network that had it worst.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silence {
    pub(crate) dhcp: Duration,
    pub(crate) dns: Duration,
}

#[derive(Debug)]
struct Asker {
    frames: Frames,
    tenants: Vec<Tenant>,
    /// When each round of questions was asked; answers name their round.
    rounds: Vec<Instant>,
    by_server: BTreeMap<Ipv4Addr, usize>,
    _names: UdpSocket,
}

/// What was answered: DHCP or DNS, of which network, to a question of which round.
enum Answer {
    Offer(usize, usize),
    Name(usize, usize),
}

/// Asks `every` so often until all have an offer. When each had it.
pub(crate) fn until_offered(
    tenants: Vec<Tenant>,
    every: Duration,
    deadline: Duration,
) -> Vec<Instant> {
    let mut asker = Asker::new(tenants);
    let begin = Instant::now();
    let mut offered: Vec<Option<Instant>> = vec![None; asker.tenants.len()];
    while let Some(first) = offered.iter().position(Option::is_none) {
        assert!(
            begin.elapsed() < deadline,
            "no offer for {deadline:?} in network {:?}",
            asker.tenants[first]
        );
        let next = asker.round(|number| offered[number].is_none(), false) + every;
        while Instant::now() < next && offered.contains(&None) {
            match asker.answer(next) {
                Some(Answer::Offer(number, _)) => {
                    offered[number].get_or_insert_with(Instant::now);
                }
                Some(Answer::Name(..)) | None => {}
            }
        }
    }
    offered.into_iter().flatten().collect()
}

/// Asks all of them `every` so often until told to stop.
pub(crate) fn watch(tenants: Vec<Tenant>, every: Duration, stop: &Arc<AtomicBool>) -> Silence {
    let mut asker = Asker::new(tenants);
    let begin = Instant::now();
    let mut last = [
        vec![begin; asker.tenants.len()],
        vec![begin; asker.tenants.len()],
    ];
    let mut longest = [Duration::ZERO; 2];
    while !stop.load(Ordering::Relaxed) {
        let next = asker.round(|_| true, true) + every;
        while Instant::now() < next {
            let (which, number, round) = match asker.answer(next) {
                Some(Answer::Offer(number, round)) => (0, number, round),
                Some(Answer::Name(number, round)) => (1, number, round),
                None => continue,
            };
            // A question that was asked in the silence, and answered after it, ends it.
            let asked = asker.rounds[round];
            longest[which] =
                longest[which].max(asked.saturating_duration_since(last[which][number]));
            last[which][number] = last[which][number].max(asked);
        }
    }
    for (longest, last) in longest.iter_mut().zip(&last) {
        let silent = last.iter().map(Instant::elapsed).max().unwrap_or_default();
        *longest = silent.max(*longest);
    }
    Silence {
        dhcp: longest[0],
        dns: longest[1],
    }
}

impl Asker {
    fn new(tenants: Vec<Tenant>) -> Self {
        let by_server = tenants.iter().enumerate();
        let by_server = by_server.map(|(number, tenant)| (tenant.own().address, number));
        Self {
            frames: Frames::open(SockProtocol::EthIp),
            by_server: by_server.collect(),
            tenants,
            rounds: Vec::new(),
            _names: UdpSocket::bind((Ipv4Addr::UNSPECIFIED, NAMES)).unwrap(),
        }
    }

    /// Asks those; when.
    fn round(&mut self, whom: impl Fn(usize) -> bool, names: bool) -> Instant {
        let round = self.rounds.len();
        let now = Instant::now();
        self.rounds.push(now);
        for (number, tenant) in self.tenants.iter().enumerate() {
            let Some(device) = self
                .frames
                .index(&tenant.own().device)
                .filter(|_| whom(number))
            else {
                continue;
            };
            let xid =
                u32::try_from(round << 16 | number).expect("there are fewer than 65536 rounds");
            self.frames.send(device, &discover(tenant.mac, xid));
            if names {
                self.frames.send(device, &who_is(tenant, round));
            }
        }
        now
    }

    fn answer(&self, until: Instant) -> Option<Answer> {
        let Some((_, frame)) = self.frames.receive() else {
            self.frames.wait(until);
            return None;
        };
        if let Some(dhcp) = Dhcp::parse(&frame) {
            let xid = dhcp.message.xid() as usize;
            let (round, number) = (xid >> 16, xid & 0xffff);
            let is_ours = round < self.rounds.len() && number < self.tenants.len();
            return (is_ours && dhcp.kind() == Some(MessageType::Offer))
                .then_some(Answer::Offer(number, round));
        }
        let udp = Udp::parse(&frame)?;
        let number = *self.by_server.get(udp.from.ip())?;
        let message = (udp.to.port() == NAMES).then(|| Message::from_vec(&udp.payload).ok())??;
        let round = usize::from(message.metadata.id);
        (!message.answers.is_empty() && round < self.rounds.len())
            .then_some(Answer::Name(number, round))
    }
}

/// Asks for the name of the instance's address, which every DNS server of an agent's knows.
fn who_is(tenant: &Tenant, round: usize) -> Vec<u8> {
    let id = u16::try_from(round).expect("there are fewer than 65536 rounds");
    let mut message = Message::new(id, Kind::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from(tenant.address), RecordType::PTR));
    let own = tenant.own();
    udp_frame(&Udp {
        to_mac: own.mac.0,
        from_mac: tenant.mac.0,
        from: SocketAddrV4::new(tenant.address, NAMES),
        to: SocketAddrV4::new(own.address, 53),
        payload: message.to_vec().unwrap(),
    })
}
