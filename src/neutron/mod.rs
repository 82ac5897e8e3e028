//! A Neutron server as the source: its notices and answers become the model's [`Event`](crate::model::Event)s, and what
//! the loop reports becomes calls to the server. The wire to Neutron, and nothing else.
//!
//! `bus` RabbitMQ and oslo.messaging | `settings` what the agents' configuration files chose

pub mod bus;
mod settings;

pub use settings::{Dhcp, L3, Metadata, Role, Settings};
