//! A socket for whole frames, there while it is needed: some seconds around a machine's start, and for a few networks only;
//! others open theirs for each turn.
//!
//! The end of such a socket takes the kernel many milliseconds, one after the other: with one in each of 500 networks a
//! killed daemon would need five seconds to end, and its successor as long to begin.

use std::sync::Arc;
use std::time::Duration;

use netns::Namespace;
use netns::datagrams::Packed;
use netns::socket::FrameSender;
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
    waiting: Packed,
}

/// A socket, and its place among those that stay open.
#[derive(Debug)]
struct Kept {
    socket: FrameSender,
    _place: OwnedSemaphorePermit,
}

impl Frames {
    pub(super) fn new(namespace: &Namespace, device: &DevName, places: &Arc<Semaphore>) -> Self {
        Self {
            namespace: namespace.clone(),
            device: device.clone(),
            open: None,
            places: Arc::clone(places),
            waiting: Packed::default(),
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

    /// Sends at once, or keeps them for [`Frames::send_waiting`]. Returns how many could not be sent.
    pub(super) fn send(&mut self, frames: &Packed) -> usize {
        match &self.open {
            Some(kept) => kept.socket.send_now(frames),
            None => {
                for frame in frames.iter() {
                    self.waiting.add(|out| out.extend(frame));
                }
                0
            }
        }
    }

    /// Opens a socket for the frames that wait for it, and sends them; how many could not be sent.
    pub(super) async fn send_waiting(&mut self) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        let waiting = std::mem::take(&mut self.waiting);
        match netns::socket::frame_sender(&self.namespace, &self.device).await {
            Ok(socket) => {
                let unsent = socket.send_now(&waiting);
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
