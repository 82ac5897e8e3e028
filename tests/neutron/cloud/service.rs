//! A daemon that a test ends and starts again.

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::LONG;
use crate::common::{Place, Running, wait_until};

#[derive(Debug)]
pub struct Service {
    name: String,
    place: Place,
    argv: Vec<String>,
    running: Option<Running>,
    /// What earlier starts said.
    past: String,
}

impl Service {
    /// Starts nothing yet.
    pub fn new(place: &Place, name: &str, argv: &[impl AsRef<str>]) -> Self {
        Self {
            name: name.to_owned(),
            place: place.clone(),
            argv: argv.iter().map(|word| word.as_ref().to_owned()).collect(),
            running: None,
            past: String::new(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.running.is_none(), "{} was started already", self.name);
        self.running = Some(self.place.spawn(&self.argv));
    }

    /// SIGTERM, and waits for its end.
    #[track_caller]
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// SIGKILL: nothing is tidied up.
    #[track_caller]
    pub fn kill9(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// To the daemon itself; its workers go on.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(running) = &mut self.running {
            running.signal(signal);
        }
    }

    /// Waits until it has said `text` since its last start.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        let said = wait_until(LONG, || self.now().contains(text) || !self.is_alive());
        assert!(
            said && self.now().contains(text),
            "{} did not say {text:?}:\n{}",
            self.name,
            self.tail()
        );
    }

    /// Whether it has said `text` since its last start.
    pub fn says_now(&self, text: &str) -> bool {
        self.now().contains(text)
    }

    /// Of the daemon itself, as seen from the test; `None`: it does not run.
    pub fn pid(&mut self) -> Option<Pid> {
        self.running.as_mut()?.pid()
    }

    pub fn is_alive(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_alive)
    }

    /// All that it has said since the first start.
    pub fn log(&self) -> String {
        format!("{}{}", self.past, self.now())
    }

    /// The end of its log, for a failure's message.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(40)..];
        format!("the end of {}'s log:\n{}\n", self.name, end.join("\n"))
    }

    fn now(&self) -> String {
        self.running.as_ref().map(Running::log).unwrap_or_default()
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) {
        let Some(mut running) = self.running.take() else {
            panic!("{} does not run", self.name);
        };
        running.signal(signal);
        let ended = wait_until(LONG, || !running.is_alive());
        if ended {
            running.ended();
        }
        self.past.push_str(&running.log());
        assert!(
            ended,
            "{} does not end on {signal}: {}",
            self.name,
            self.tail()
        );
    }
}
