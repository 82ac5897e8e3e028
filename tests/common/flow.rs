//! Traffic that goes on while something else happens, and what it noticed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::wait::{PATIENCE, wait_for, wait_until};
use super::{Guest, Place, Running};

/// Requests of half a second: so long a busy machine may keep an answer.
const LATE: u32 = 25;

/// Seconds without an answer that are worth telling.
const LONG: f64 = 0.2;

/// A `ping` that goes on.
#[derive(Debug)]
pub struct Pinging {
    running: Running,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PingReport {
    pub sent: u32,
    pub received: u32,
    /// Between two answers.
    pub longest_gap: Duration,
    /// When no answer came for long.
    pub silences: Vec<Span>,
    /// When requests were sent that were not answered, and how many: those before the last answer.
    pub losses: Vec<(Span, u32)>,
}

/// By the clock, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    pub from: f64,
    pub to: f64,
}

impl Span {
    fn length(self) -> f64 {
        self.to - self.from
    }

    fn overlap(self, other: Self) -> f64 {
        (self.to.min(other.to) - self.from.max(other.from)).max(0.0)
    }
}

impl PingReport {
    pub fn lost(&self) -> u32 {
        self.sent - self.received
    }

    /// Without what was sent and lost while `other` heard nothing either, for most of that time.
    pub fn lost_alone(&self, other: &Self) -> u32 {
        let shared = self.losses.iter().filter(|(span, _)| {
            let both: f64 = other.silences.iter().map(|it| span.overlap(*it)).sum();
            both > span.length() / 2.0
        });
        let shared = shared.map(|(_, lost)| lost).sum();
        self.lost().saturating_sub(shared)
    }
}

impl Pinging {
    pub(super) fn start(place: &Place, to: &str) -> Self {
        Self {
            running: place.spawn(&["ping", "-n", "-D", "-i0.02", to]),
        }
    }

    /// Waits until answers come.
    #[track_caller]
    pub fn flowing(mut self) -> Self {
        self.running.says("bytes from");
        self
    }

    /// How many answers there were so far.
    pub fn answers(&self) -> usize {
        self.running.log().matches("bytes from").count()
    }

    /// Waits for `count` more answers: the ping goes on.
    #[track_caller]
    pub fn goes_on(&self, count: usize) {
        let before = self.answers();
        wait_for("more answers to a ping", PATIENCE, || {
            (self.answers() >= before + count).then_some(())
        });
    }

    /// Stops, and reports. The last requests are not counted if their answers may be on their way.
    #[track_caller]
    pub fn stop(mut self) -> PingReport {
        self.running.signal(Signal::SIGINT);
        self.running.ended();
        let log = self.running.log();
        let answers: Vec<Answer> = log.lines().filter_map(Answer::parse).collect();
        let summary = log
            .lines()
            .find_map(|line| line.split_once(" packets transmitted"));
        let sent: u32 = summary
            .and_then(|(n, _)| n.parse().ok())
            .unwrap_or_else(|| panic!("ping ended oddly:\n{log}"));
        let received = u32::try_from(answers.len()).unwrap();
        let last = answers.last().map_or(0, |answer| answer.number);
        let silences = answers.windows(2).map(|pair| Span {
            from: pair[0].at,
            to: pair[1].at,
        });
        let gap = silences.clone().map(Span::length).fold(0.0, f64::max);
        let losses = answers.windows(2).map(|pair| {
            let (from, to) = (pair[0].asked_at, pair[1].asked_at);
            let between = pair[1].number.saturating_sub(pair[0].number + 1);
            (Span { from, to }, between)
        });
        PingReport {
            sent: if sent - last <= LATE { last } else { sent },
            received,
            longest_gap: Duration::from_secs_f64(gap),
            silences: silences.filter(|span| span.length() > LONG).collect(),
            losses: losses.filter(|(_, lost)| *lost > 0).collect(),
        }
    }
}

struct Answer {
    number: u32,
    /// By the clock, in seconds.
    at: f64,
    asked_at: f64,
}

impl Answer {
    /// "[1700000000.123456] 64 bytes from 10.0.0.1: icmp_seq=7 ttl=64 time=0.05 ms"
    fn parse(line: &str) -> Option<Self> {
        let (at, rest) = line.strip_prefix('[')?.split_once(']')?;
        let (_, rest) = rest.split_once("bytes from")?.1.split_once("icmp_seq=")?;
        let (number, rest) = rest.split_once(' ')?;
        let (_, rest) = rest.split_once("time=")?;
        let milliseconds: f64 = rest.split(' ').next()?.parse().ok()?;
        let at: f64 = at.parse().ok()?;
        Some(Self {
            number: number.parse().ok()?,
            at,
            asked_at: at - milliseconds / 1000.0,
        })
    }
}

/// A TCP connection on which numbers go out and come back, without end.
#[derive(Debug)]
pub struct TcpStreaming {
    stop: Arc<AtomicBool>,
    echoed: Arc<AtomicU64>,
    client: JoinHandle<StreamReport>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StreamReport {
    /// Numbers that came back.
    pub echoed: u64,
    /// Between two that came back.
    pub longest_stall: Duration,
    /// What broke the connection, if anything did.
    pub broken: Option<String>,
}

/// Connects from one guest to port `port` of `address`, where `to` listens (directly, or behind a floating IP), and keeps
/// numbers going round, one every 5 ms.
#[track_caller]
pub fn tcp_stream(from: &Guest, to: &Guest, address: Ipv4Addr, port: u16) -> TcpStreaming {
    let stop = Arc::new(AtomicBool::new(false));
    let listener = to.inside(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
    let echo_stop = Arc::clone(&stop);
    std::thread::spawn(move || {
        listener.set_nonblocking(true).unwrap();
        let accepted = wait_until_accepted(&listener, &echo_stop);
        if let Some(mut connection) = accepted {
            connection.set_nonblocking(false).unwrap();
            let mut number = [0; 8];
            // Ends when the other side closes.
            while connection.read_exact(&mut number).is_ok()
                && connection.write_all(&number).is_ok()
            {}
        }
    });
    let mut connection = from
        .inside(move || TcpStream::connect_timeout(&SocketAddr::from((address, port)), PATIENCE))
        .unwrap_or_else(|e| panic!("connect to {address}:{port}: {e}"));
    let client_stop = Arc::clone(&stop);
    let echoed = Arc::new(AtomicU64::new(0));
    let client_echoed = Arc::clone(&echoed);
    let client = std::thread::spawn(move || stream(&mut connection, &client_stop, &client_echoed));
    TcpStreaming {
        stop,
        echoed,
        client,
    }
}

impl TcpStreaming {
    /// Waits until so many more numbers have come back.
    #[track_caller]
    pub fn goes_on(&self, count: u64) {
        let wanted = self.echoed.load(Ordering::Relaxed) + count;
        let came = wait_until(PATIENCE, || self.echoed.load(Ordering::Relaxed) >= wanted);
        assert!(came, "the stream stands still");
    }

    /// Waits until the stream breaks by itself, or has stalled for long, and reports.
    pub fn ended(self) -> StreamReport {
        self.client.join().unwrap()
    }

    /// Ends the stream and reports.
    pub fn stop(self) -> StreamReport {
        self.stop.store(true, Ordering::Relaxed);
        self.client.join().unwrap()
    }
}

fn wait_until_accepted(listener: &TcpListener, stop: &AtomicBool) -> Option<TcpStream> {
    let mut accepted = None;
    wait_until(PATIENCE, || {
        accepted = listener.accept().ok();
        accepted.is_some() || stop.load(Ordering::Relaxed)
    });
    accepted.map(|(connection, _)| connection)
}

fn stream(connection: &mut TcpStream, stop: &AtomicBool, echoed: &AtomicU64) -> StreamReport {
    connection.set_nodelay(true).unwrap();
    // A stall is measured; one this long is a break.
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut report = StreamReport {
        echoed: 0,
        longest_stall: Duration::ZERO,
        broken: None,
    };
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        let number = report.echoed.to_be_bytes();
        let mut back = [0; 8];
        let round = connection
            .write_all(&number)
            .and_then(|()| connection.read_exact(&mut back));
        if let Err(e) = round {
            let e = if e.kind() == ErrorKind::WouldBlock {
                ErrorKind::TimedOut.into()
            } else {
                e
            };
            report.broken = Some(e.to_string());
            break;
        }
        if back != number {
            report.broken = Some(format!("sent {number:?}, got {back:?}"));
            break;
        }
        report.echoed += 1;
        echoed.store(report.echoed, Ordering::Relaxed);
        report.longest_stall = report.longest_stall.max(sent.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    report
}
