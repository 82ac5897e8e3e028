//! Messages (of DHCPv6) whose sender's MAC the kernel is asked for. Nobody else waits for that: the others go on being answered.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use netns::datagrams::Sender;
use netns::{Namespace, Neighbours};
use tokio::time::timeout;

use crate::dhcp::v6::Neighbour;
use crate::model::DevName;

/// Messages that wait at once on one network; what comes when they are so many is dropped, and the client asks again. It
/// also bounds how many entries of the host's one neighbour table strangers can take up here.
const MOST: usize = 16;

/// A neighbour on the link answers within a millisecond. The kernel asks a second time after one second.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Messages by the address that they came from; of one address the latest.
#[derive(Debug)]
pub(super) struct Waiting {
    namespace: Namespace,
    device: DevName,
    /// There while somebody waits.
    open: Option<Neighbours>,
    parked: Vec<Parked>,
}

#[derive(Debug)]
pub(super) struct Parked {
    pub(super) packet: Vec<u8>,
    pub(super) from: Sender,
    address: Ipv6Addr,
    until: Instant,
    asked: bool,
}

impl Waiting {
    pub(super) fn new(namespace: &Namespace, device: &DevName) -> Self {
        Self {
            namespace: namespace.clone(),
            device: device.clone(),
            open: None,
            parked: Vec::new(),
        }
    }

    /// `false`: too many wait already.
    pub(super) fn park(
        &mut self,
        packet: &[u8],
        from: Sender,
        address: Ipv6Addr,
        now: Instant,
    ) -> bool {
        let same = self.parked.iter_mut().find(|of| of.address == address);
        if let Some(parked) = same {
            // Asked for already, and whatever comes of it is for this one.
            packet.clone_into(&mut parked.packet);
            parked.from = from;
            return true;
        }
        if self.parked.len() == MOST {
            return false;
        }
        self.parked.push(Parked {
            packet: packet.to_vec(),
            from,
            address,
            until: now + PATIENCE,
            asked: false,
        });
        true
    }

    /// Asks the kernel for who has not been asked for.
    pub(super) async fn ask(&mut self) {
        if self.parked.iter().all(|parked| parked.asked) {
            return;
        }
        if self.open.is_none() {
            match Neighbours::open(&self.namespace, &self.device).await {
                Ok(open) => self.open = Some(open),
                Err(error) => {
                    let error = crate::chain(&error);
                    tracing::debug!(device = %self.device, %error, "DHCPv6 can't ask for neighbours");
                }
            }
        }
        let now = Instant::now();
        for parked in self.parked.iter_mut().filter(|parked| !parked.asked) {
            parked.asked = true;
            let asked = self
                .open
                .as_ref()
                .map(|open| open.ask(parked.address.into()));
            if !matches!(asked, Some(Ok(()))) {
                parked.until = now;
            }
        }
    }

    /// The next messages that wait no longer, and what is known of their senders now. Never ready while nobody waits.
    /// Cancel-safe.
    pub(super) async fn found(&mut self) -> Vec<(Parked, Neighbour)> {
        let Some(until) = self.parked.iter().map(|parked| parked.until).min() else {
            return std::future::pending().await;
        };
        let left = until.saturating_duration_since(Instant::now());
        let news = match &self.open {
            Some(open) => timeout(left, open.next())
                .await
                .unwrap_or_else(|_| Ok(Vec::new())),
            None => Ok(Vec::new()),
        };
        let now = Instant::now();
        let is_lost = news.is_err();
        let news = news.unwrap_or_default();
        let mut found = Vec::new();
        for parked in std::mem::take(&mut self.parked) {
            let of = |(ip, _): &&(IpAddr, _)| *ip == IpAddr::V6(parked.address);
            match news.iter().find(of) {
                Some((_, Some(mac))) => found.push((parked, Neighbour::Is(*mac))),
                Some((_, None)) => found.push((parked, Neighbour::Nobody)),
                None if is_lost || parked.until <= now => found.push((parked, Neighbour::Nobody)),
                None => self.parked.push(parked),
            }
        }
        if is_lost || self.parked.is_empty() {
            self.open = None;
        }
        found
    }
}
