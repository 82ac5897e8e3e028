//! Somebody with a packet generator, or in a great hurry.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, bind, sendmmsg, socket,
};

use super::{Place, wire};

/// Frames that are sent by one system call; while it lasts, the CPU is nobody else's (a kernel without preemption).
const AT_ONCE: usize = 16;
/// It ends by itself after so long, whatever becomes of the test.
const LONGEST: Duration = Duration::from_secs(30);

/// Something sent in the background until this is dropped.
#[derive(Debug)]
pub struct Flood {
    ends: Arc<AtomicBool>,
    /// How much went out by each.
    sends: Vec<JoinHandle<u64>>,
}

impl Flood {
    /// Sends `frames` over and over, so many per second as far as the machine can.
    pub(super) fn start(
        place: &Place,
        device: &str,
        frames: Vec<Vec<u8>>,
        per_second: u32,
    ) -> Self {
        let device = device.to_owned();
        let socket = place.inside(move || {
            let address = wire::link_address(&device);
            // Of no protocol: it hears nothing.
            let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
            let socket = socket(AddressFamily::Packet, kind, flags, None::<SockProtocol>).unwrap();
            bind(socket.as_raw_fd(), &address).unwrap();
            socket
        });
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let sends = std::thread::spawn(move || send(&socket, &frames, per_second, &told));
        Self {
            ends,
            sends: vec![sends],
        }
    }

    /// Does `work` over and over, as fast as so many threads can. It says how much it did.
    pub(super) fn work(place: &Place, threads: usize, work: fn() -> u64) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        // They are of the namespace that the thread which starts them is in.
        let sends = place.inside(move || {
            let working = || {
                let told = Arc::clone(&told);
                std::thread::spawn(move || {
                    let (start, mut done) = (Instant::now(), 0);
                    while !told.load(Ordering::Relaxed) && start.elapsed() < LONGEST {
                        done += work();
                    }
                    done
                })
            };
            (0..threads).map(|_| working()).collect()
        });
        Self { ends, sends }
    }

    /// Ends it. How much went out.
    pub fn stop(mut self) -> u64 {
        self.end()
    }

    fn end(&mut self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        let sends = self.sends.drain(..).map(|sends| sends.join().unwrap());
        sends.sum()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.end();
    }
}

fn send(socket: &OwnedFd, frames: &[Vec<u8>], per_second: u32, ends: &AtomicBool) -> u64 {
    let slices: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
    let mut headers = MultiHeaders::<()>::preallocate(AT_ONCE, None);
    let start = Instant::now();
    let mut sent = 0;
    for batch in slices.chunks(AT_ONCE).cycle() {
        let elapsed = start.elapsed();
        if ends.load(Ordering::Relaxed) || elapsed > LONGEST {
            break;
        }
        let due = Duration::from_secs_f64(sent as f64 / f64::from(per_second));
        if due > elapsed {
            std::thread::sleep(due - elapsed);
        }
        let nowhere = [None; AT_ONCE];
        let done = sendmmsg(
            socket.as_raw_fd(),
            &mut headers,
            batch,
            &nowhere[..batch.len()],
            [],
            MsgFlags::empty(),
        );
        // A full queue passes.
        sent += done.map_or(0, |done| done.count() as u64);
    }
    sent
}
