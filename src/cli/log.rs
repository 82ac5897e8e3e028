//! Where the log goes: standard error, a file, syslog, systemd's journal.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::CliError;
use super::datagrams::{Datagrams, Form};
use crate::config::Logging;

/// What an operator wants to read in a quiet week; `RUST_LOG` says otherwise. The AMQP library calls each broken connection
/// an error, and shows messages: what there is to say of it, the bus says.
const DEFAULT_FILTER: &str = "warn,warren=info,netns=info,lapin=off";
const DEBUG_FILTER: &str = "warn,warren=debug,netns=debug,lapin=off";

/// Standard error alone. Under systemd the journal has the time already, and there are no colours.
pub(super) fn plain(json: bool) -> Logging {
    Logging {
        debug: false,
        json,
        file: None,
        syslog: None,
        journal: false,
        stderr: true,
    }
}

/// The log's file, which may be moved away and made anew.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = Mutex::new(append_to(&path)?);
        Ok(Self { path, file })
    }

    /// What can't be opened anew goes on where it was.
    fn reopen(&self) {
        match append_to(&self.path) {
            Ok(file) => *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file,
            Err(error) => {
                warn!(%error, path = %self.path.display(), "the log file can't be opened anew; the old one is written on");
            }
        }
    }
}

impl Write for &LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// On SIGHUP, which whoever rotates logs sends. Ends only with the daemon.
pub(super) async fn reopen_when_told(file: Arc<LogFile>) {
    let mut told = match signal(SignalKind::hangup()) {
        Ok(told) => told,
        Err(error) => {
            warn!(%error, "SIGHUP can't be listened for; the log file stays the same");
            return;
        }
    };
    while told.recv().await.is_some() {
        file.reopen();
    }
}

/// Answers the file, if the log goes to one.
///
/// # Errors
/// When a place that was chosen can't be written to.
pub(super) fn start(logging: &Logging, program: &str) -> Result<Option<Arc<LogFile>>, CliError> {
    let default = if logging.debug {
        DEBUG_FILTER
    } else {
        DEFAULT_FILTER
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let mut places: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    let failed = |place: PathBuf| move |source| CliError::Log { place, source };
    let mut written = None;
    if let Some(path) = &logging.file {
        let file = Arc::new(LogFile::open(path.clone()).map_err(failed(path.clone()))?);
        let writer = BoxMakeWriter::new(Arc::clone(&file));
        places.push(place(writer, logging.json, true, false));
        written = Some(file);
    }
    if let Some(facility) = logging.syslog {
        let form = Form::Syslog { facility };
        let socket = Datagrams::connect(form, program).map_err(failed(form.path().into()))?;
        places.push(place(
            BoxMakeWriter::new(socket),
            logging.json,
            false,
            false,
        ));
    }
    if logging.journal {
        let socket = Datagrams::connect(Form::Journal, program)
            .map_err(failed(Form::Journal.path().into()))?;
        places.push(place(
            BoxMakeWriter::new(socket),
            logging.json,
            false,
            false,
        ));
    }
    if logging.stderr {
        let journal = std::env::var_os("JOURNAL_STREAM").is_some();
        let colours = io::stderr().is_terminal() && !journal;
        places.push(place(
            BoxMakeWriter::new(io::stderr),
            logging.json,
            !journal,
            colours,
        ));
    }
    tracing_subscriber::registry()
        .with(places.with_filter(filter))
        .init();
    Ok(written)
}

fn place(
    writer: BoxMakeWriter,
    json: bool,
    time: bool,
    colours: bool,
) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = fmt::layer().with_writer(writer).with_ansi(colours);
    match (json, time) {
        (true, _) => layer.json().boxed(),
        (false, true) => layer.boxed(),
        (false, false) => layer.without_time().boxed(),
    }
}
