//! `warren run`: the daemon.

use std::process::ExitCode;
use std::sync::Arc;

use tracing::{debug, warn};

use super::fail;
use super::log::{self, LogFile};
use crate::app::{self, Options, Source};
use crate::config::{self, Configured, Loaded, Severity};

/// Threads that serve: on a large host more of them would only wait for one another.
const MOST_WORKERS: usize = 8;
/// Words about the configuration in the log; `warren check` tells all.
const PROBLEMS_TOLD: usize = 50;

pub(super) fn run(arguments: super::Run) -> ExitCode {
    let agent = arguments.neutron.agent;
    let mut state_dir = arguments.state.dir();
    let mut file = None;
    let source = match arguments.neutron.asked() {
        None => {
            let logging = log::plain(arguments.log_json);
            if let Err(error) = log::start(&logging, "warren") {
                return fail(&error);
            }
            Source::Topology(arguments.topology.topology)
        }
        Some(asked) => match configured(config::load(&asked), &asked.program) {
            Ok((configured, log)) => {
                file = log;
                if let Some(role) = agent {
                    state_dir = arguments.state.of_agent(role, &configured.state_path);
                }
                Source::Neutron(configured)
            }
            Err(status) => return status,
        },
    };
    let options = Options {
        source,
        state_dir,
        socket: arguments.socket.path(agent),
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
    let running = async {
        if let Some(file) = file {
            tokio::spawn(log::reopen_when_told(file));
        }
        app::run(options).await
    };
    match runtime.block_on(running) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Starts the log as the files say, and tells what is doubtful in them. With something refused nothing is started, and
/// the reasons go to standard error: the log's place may be among them.
fn configured(
    loaded: Loaded,
    program: &str,
) -> Result<(Box<Configured>, Option<Arc<LogFile>>), ExitCode> {
    let Some(configured) = loaded.configured else {
        super::check::tell_refused(&loaded.problems);
        return Err(ExitCode::FAILURE);
    };
    let file = log::start(&configured.logging, program).map_err(|error| fail(&error))?;
    let (ignored, doubtful): (Vec<_>, Vec<_>) = loaded
        .problems
        .iter()
        .partition(|problem| problem.severity == Severity::Ignored);
    for problem in doubtful.iter().take(PROBLEMS_TOLD) {
        warn!(place = %problem.place, "[{}] {}", problem.code, problem.sentence());
    }
    if let Some(more) = doubtful
        .len()
        .checked_sub(PROBLEMS_TOLD)
        .filter(|more| *more > 0)
    {
        warn!(
            more,
            "more such words about the configuration; `warren check` tells them all"
        );
    }
    for problem in ignored.iter().take(PROBLEMS_TOLD) {
        debug!(place = %problem.place, "[{}] {}", problem.code, problem.sentence());
    }
    Ok((Box::new(configured), file))
}
