//! Where the log goes: standard error, a file, syslog, systemd's journal.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Mutex;

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

/// # Errors
/// When a place that was chosen can't be written to.
pub(super) fn start(logging: &Logging, program: &str) -> Result<(), CliError> {
    let default = if logging.debug {
        DEBUG_FILTER
    } else {
        DEFAULT_FILTER
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let mut places: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    let failed = |place: PathBuf| move |source| CliError::Log { place, source };
    if let Some(path) = &logging.file {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed(path.clone()))?;
        places.push(place(
            BoxMakeWriter::new(Mutex::new(file)),
            logging.json,
            true,
            false,
        ));
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
    Ok(())
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
