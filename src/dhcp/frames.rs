//! A socket for whole frames, there while it is needed: some seconds around a machine's start, and for a few networks only;
//! others open theirs for each turn.
//!
//! The end of such a socket takes the kernel many milliseconds, one after the other: with one in each of 500 networks a
//! killed daemon would need five seconds to end, and its successor as long to begin.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use netns::Namespace;
use netns::socket::PacketSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::model::DevName;

#[derive(Debug)]
pub(super) struct Frames {
    namespace: Namespace,
    device: DevName,
    /// `None`: nobody has needed it for some time, or too many networks have theirs.
    open: Option<Kept>,
    /// One for each server that may keep its socket.
    places: Arc<Semaphore>,
    /// Frames that wait for that socket; not more than there are replies in a turn.
    waiting: Vec<Vec<u8>>,
}

/// A socket, and its place among those that stay open.
#[derive(Debug)]
struct Kept {
    socket: PacketSocket,
    _place: OwnedSemaphorePermit,
}

impl Frames {
    pub(super) fn new(namespace: &Namespace, device: &DevName, places: &Arc<Semaphore>) -> Self {
        Self {
            namespace: namespace.clone(),
            device: device.clone(),
            open: None,
            places: Arc::clone(places),
            waiting: Vec::new(),
        }
    }

    /// Waits for `work`. If that takes longer than `quiet`, nobody is starting here.
    pub(super) async fn rest_after<T>(
        &mut self,
        quiet: Duration,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        if self.open.is_some() {
            if let Ok(done) = timeout(quiet, &mut work).await {
                return done;
            }
            self.open = None;
        }
        work.await
    }

    /// Sends at once, or says `WouldBlock`; or keeps it for [`Frames::send_waiting`].
    pub(super) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        match &self.open {
            Some(kept) => kept.socket.try_send(frame),
            None => {
                self.waiting.push(frame.to_vec());
                Ok(())
            }
        }
    }

    /// Opens a socket for the frames that wait for it, and sends them; how many could not be sent.
    pub(super) async fn send_waiting(&mut self) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        let waiting = std::mem::take(&mut self.waiting);
        match netns::socket::packet(&self.namespace, &self.device, 0).await {
            Ok(socket) => {
                let refused = |frame: &&Vec<u8>| socket.try_send(frame).is_err();
                let unsent = waiting.iter().filter(refused).count();
                let place = Arc::clone(&self.places).try_acquire_owned().ok();
                self.open = place.map(|_place| Kept { socket, _place });
                unsent
            }
            Err(error) => {
                let error = crate::chain(&error);
                tracing::debug!(device = %self.device, %error, "DHCP can't send frames");
                waiting.len()
            }
        }
    }
}
