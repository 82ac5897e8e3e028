//! DHCP servers of either version, raced against each other.
//!
//! Each server has a sandboxed host of its own, and serves the same clients, which one load generator plays on an
//! instance's interface. Server and load share one CPU, and only the server's CPU time counts: on a virtual machine that
//! is the steady figure. Neither takes the CPU from the other in the middle of its work (SCHED_BATCH, sched(7)), so that messages
//! come in handfuls, as from a network card, and not one for each time that the server is woken. Rounds alternate, so that a noisy
//! neighbour hits all.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each bench is a crate that compiles all of it and uses some of it"
)]

use std::collections::HashMap;
use std::marker::PhantomData;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use warren::dhcp::Shared;
use warren::pace::Budgets;

use crate::common::{Guest, Host, PATIENCE, Running, Wire, wait_for};
use crate::figures::{cpu_time, median, stolen};

/// The CPU that all share.
const CPU: usize = 0;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// Clients that are in the middle of an exchange at any time: a rack that boots.
const AT_ONCE: u16 = 32;
/// After so long without any reply, those in the middle ask again.
const RESEND: Duration = Duration::from_millis(500);

/// A version of DHCP as clients speak it. A client is a number; each has one exchange at a time, known by its transaction.
pub trait Clients {
    const NAME: &str;
    const COUNT: u16;

    /// The first message of an exchange.
    fn ask(client: u16, transaction: u32) -> Vec<u8>;
    /// What to make of a frame. `whose`: the client of a transaction, if it is under way. Panics if it is another's answer.
    fn hear(frame: &[u8], whose: impl Fn(u32) -> Option<u16>) -> Option<Heard>;
}

pub enum Heard {
    /// It is to be answered with this.
    Answer(Vec<u8>),
    /// This transaction's exchange is done.
    Done(u32),
}

/// One server, and its clients.
pub struct Race<C> {
    pub name: &'static str,
    goal: &'static str,
    pub host: Host,
    /// Held for its `Drop`.
    _guest: Guest,
    server: Running,
    pub load: Load<C>,
    rates: Vec<f64>,
}

/// What is raced: how it is called, what ratio is to be reached, how it is started.
pub type Entry = (&'static str, &'static str, fn(&Host) -> Running);

/// This bench again, as the server of that name.
pub fn start_own(host: &Host, name: &str) -> Running {
    let own = std::env::current_exe().unwrap();
    host.machine().spawn(&[own.to_str().unwrap(), name])
}

/// For servers that are to be as fast as they can be.
pub fn unlimited() -> Arc<Shared> {
    let shared = Shared::default();
    shared.limit(Budgets::UNLIMITED);
    Arc::new(shared)
}

/// On the one CPU from now on, as all that it starts. `ground` makes the server's `br0`. `None`: there may be no namespaces here.
pub fn line_up<C: Clients>(entries: &[Entry], ground: fn(&Host)) -> Option<Vec<Race<C>>> {
    let mut only_one = CpuSet::new();
    only_one.set(CPU).unwrap();
    sched_setaffinity(Pid::from_raw(0), &only_one).unwrap();
    let own = std::process::id().to_string();
    let batch = ["--batch", "--pid", "0", own.as_str()];
    assert!(Command::new("chrt").args(batch).status().unwrap().success());
    let line_up = |entry: &Entry| Race::new(*entry, ground);
    entries.iter().map(line_up).collect()
}

/// Races, and says how the first one did beside the others.
pub fn run<C: Clients>(races: &mut [Race<C>]) {
    let before = stolen();
    for _ in 0..ROUNDS {
        races.iter_mut().for_each(Race::round);
    }
    println!(
        "{} exchanges per CPU second of the server, {} clients, {AT_ONCE} at once, median of {ROUNDS} rounds of {} s (stolen meanwhile: {:.1} s)",
        C::NAME,
        C::COUNT,
        ROUND.as_secs(),
        stolen() - before
    );
    let warren = median(&races[0].rates);
    println!("warren: {warren:.0}, {:.1} us each", 1e6 / warren);
    for race in &races[1..] {
        let rate = median(&race.rates);
        println!(
            "{}: {rate:.0}, {:.1} us each; warren {:.1}x (to reach: {})",
            race.name,
            1e6 / rate,
            warren / rate,
            race.goal
        );
    }
}

impl<C: Clients> Race<C> {
    fn new((name, goal, start): Entry, ground: fn(&Host)) -> Option<Self> {
        let host = Host::new("bench-dhcp")?;
        host.bridge("br0");
        ground(&host);
        let guest = host.guest("load", "br0", "fa:16:3e:ff:00:09");
        let server = start(&host);
        let mut load = Load::new(guest.wire());
        wait_for("the first lease", PATIENCE, || {
            (load.exchanges(1, RESEND) == 1).then_some(())
        });
        Some(Self {
            name,
            goal,
            host,
            _guest: guest,
            server,
            load,
            rates: Vec::new(),
        })
    }

    /// Every client once: leases are there.
    pub fn warm_up(&mut self) {
        let all = u64::from(C::COUNT);
        let done = self.load.exchanges(all, PATIENCE);
        assert_eq!(done, all, "{}:\n{}", self.name, self.server.log());
    }

    fn round(&mut self) {
        let pid = self.server.pid().unwrap();
        let before = cpu_time(pid);
        let done = self.load.exchanges(u64::MAX, ROUND);
        let spent = cpu_time(pid) - before;
        let (name, log) = (self.name, self.server.log());
        assert!(done > 100, "{name} answers no more:\n{log}");
        #[allow(clippy::cast_precision_loss, reason = "there are not so many")]
        self.rates.push(done as f64 / spent.as_secs_f64());
    }
}

/// Plays the clients.
pub struct Load<C> {
    pub wire: Wire,
    going: Going<C>,
}

/// Who is in the middle of an exchange.
struct Going<C> {
    /// By transaction.
    clients: HashMap<u32, u16>,
    next_client: u16,
    next_transaction: u32,
    started: u64,
    done: u64,
    of: PhantomData<C>,
}

impl<C: Clients> Load<C> {
    fn new(wire: Wire) -> Self {
        let going = Going {
            clients: HashMap::new(),
            next_client: 0,
            next_transaction: 1,
            started: 0,
            done: 0,
            of: PhantomData,
        };
        Self { wire, going }
    }

    pub fn next_transaction(&mut self) -> u32 {
        self.going.next_transaction += 1;
        self.going.next_transaction - 1
    }

    /// Makes `wanted` exchanges, or as many as fit into `limit`.
    fn exchanges(&mut self, wanted: u64, limit: Duration) -> u64 {
        let end = Instant::now() + limit;
        let Self { wire, going } = self;
        (going.started, going.done) = (0, 0);
        going.clients.clear();
        wire.drain();
        let is_over = |going: &Going<C>| going.done == wanted || Instant::now() >= end;
        while !is_over(going) {
            // At first, and when no reply comes any more: what is going on is begun again.
            let lost: Vec<u16> = going.clients.drain().map(|(_, client)| client).collect();
            lost.into_iter().for_each(|client| going.ask(client, wire));
            while going.clients.len() < AT_ONCE.into() && going.started < wanted {
                going.begin(wire);
            }
            wire.recv(RESEND, |frame| {
                match C::hear(frame, |transaction| {
                    going.clients.get(&transaction).copied()
                })? {
                    Heard::Answer(answer) => wire.send(&answer),
                    Heard::Done(transaction) => {
                        going.clients.remove(&transaction);
                        going.done += 1;
                        if going.started < wanted {
                            going.begin(wire);
                        }
                    }
                }
                is_over(going).then_some(())
            });
        }
        going.done
    }
}

impl<C: Clients> Going<C> {
    /// The next one's turn.
    fn begin(&mut self, wire: &Wire) {
        let client = self.next_client;
        self.next_client = (client + 1) % C::COUNT;
        self.started += 1;
        self.ask(client, wire);
    }

    fn ask(&mut self, client: u16, wire: &Wire) {
        let transaction = self.next_transaction;
        self.next_transaction += 1;
        self.clients.insert(transaction, client);
        wire.send(&C::ask(client, transaction));
    }
}
