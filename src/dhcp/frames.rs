//! A socket for whole frames, there while it is needed: some seconds around a machine's start.
//!
//! The end of such a socket takes the kernel many milliseconds, one after the other: with one in each of 500 networks a
//! killed daemon would need five seconds to end, and its successor as long to begin.

use std::io;
use std::time::Duration;

use netns::Namespace;
use netns::socket::PacketSocket;
use tokio::time::timeout;

use crate::model::DevName;

#[derive(Debug)]
pub(super) struct Frames {
    namespace: Namespace,
    device: DevName,
    /// `None`: nobody has needed it for some time.
    open: Option<PacketSocket>,
    /// Frames that wait for that socket; not more than there are replies in a turn.
    waiting: Vec<Vec<u8>>,
}

impl Frames {
    pub(super) fn new(namespace: &Namespace, device: &DevName) -> Self {
        Self {
            namespace: namespace.clone(),
            device: device.clone(),
            open: None,
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
            Some(open) => open.try_send(frame),
            None => {
                self.waiting.push(frame.to_vec());
                Ok(())
            }
        }
    }

    /// Opens the socket for the frames that wait for it, and sends them; how many could not be sent.
    pub(super) async fn send_waiting(&mut self) -> usize {
        if self.waiting.is_empty() {
            return 0;
        }
        let waiting = std::mem::take(&mut self.waiting);
        match netns::socket::packet(&self.namespace, &self.device, 0).await {
            Ok(open) => {
                let open = self.open.insert(open);
                let refused = |frame: &&Vec<u8>| open.try_send(frame).is_err();
                waiting.iter().filter(refused).count()
            }
            Err(error) => {
                let error = crate::chain(&error);
                tracing::debug!(device = %self.device, %error, "DHCP can't send frames");
                waiting.len()
            }
        }
    }
}
