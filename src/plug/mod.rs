//! How our ports reach the tenant's layer 2 where another agent keeps it.
//!
//! `settings` which way, and where Open vSwitch listens

mod settings;

pub use settings::{Driver, OpenVswitch, OvsdbAddress, OvsdbTls};
