//! neutron-server: one program in Debian's release, several in the newest.

use super::Service;
use crate::common::Place;

/// Whose Neutron it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// Debian 12's.
    Zed,
    /// The newest of PyPI: tests/peers/packages.newest says which.
    Newest,
}

/// All its programs as one.
#[derive(Debug)]
pub struct Server(Vec<Service>);

const CONFIG: [&str; 2] = ["--config-file", "/etc/neutron/server.conf"];

/// The newest has no program for the API: it is an object for somebody's WSGI server. It takes the command line, of which
/// nothing is its own, for options.
const API: &str = "\
import sys
sys.argv = ['neutron-api']
from waitress import serve
from neutron.wsgi.api import application
serve(application, listen='0.0.0.0:9696', threads=8)
";

impl Server {
    /// Starts nothing yet.
    pub(super) fn new(place: &Place, release: Release) -> Self {
        let program = |name: &str| Service::new(place, name, &[&[name], &CONFIG[..]].concat());
        Self(match release {
            Release::Zed => vec![program("neutron-server")],
            Release::Newest => {
                let config = "OS_NEUTRON_CONFIG_FILES=server.conf";
                let api = ["env", config, "/opt/neutron/bin/python", "-c", API];
                vec![
                    program("neutron-rpc-server"),
                    program("neutron-periodic-workers"),
                    Service::new(place, "neutron-api", &api),
                ]
            }
        })
    }

    /// Does not wait.
    #[track_caller]
    pub fn start(&mut self) {
        self.0.iter_mut().for_each(Service::start);
    }

    /// In good order, and waits for its end.
    #[track_caller]
    pub fn stop(&mut self) {
        self.0.iter_mut().for_each(Service::stop);
    }

    pub fn is_alive(&mut self) -> bool {
        self.0.iter_mut().all(Service::is_alive)
    }

    /// All that it has said since the first start.
    pub fn log(&self) -> String {
        self.0.iter().map(Service::log).collect()
    }

    /// The end of its log, for a failure's message.
    pub fn tail(&self) -> String {
        self.0.iter().map(Service::tail).collect()
    }
}
