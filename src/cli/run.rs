//! `warren run`: the daemon.

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use super::fail;
use crate::app::{self, Options};

/// What an operator wants to read in a quiet week; `RUST_LOG` says otherwise. The AMQP library calls each broken connection
/// an error, and shows messages: what there is to say of it, the bus says.
const DEFAULT_FILTER: &str = "warn,warren=info,netns=info,lapin=off";

/// Threads that serve: on a large host more of them would only wait for one another.
const MOST_WORKERS: usize = 8;

pub(super) fn run(arguments: super::Run) -> ExitCode {
    log(arguments.log_json);
    let options = Options {
        topology: arguments.topology.topology,
        state_dir: arguments.state.state_dir,
        socket: arguments.socket.socket,
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.min(MOST_WORKERS))
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&super::CliError::Runtime(error)),
    };
    match runtime.block_on(app::run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// To standard error. Under systemd the journal has the time already, and there are no colours.
fn log(json: bool) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    if json {
        log.json().init();
    } else if journal {
        log.with_ansi(false).without_time().init();
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).init();
    }
}
