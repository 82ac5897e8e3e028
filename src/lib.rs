//! warren: DHCP, DNS, routing and metadata for tenant networks, in one daemon.
#![forbid(unsafe_code)]

pub mod model;
pub mod plan;
pub mod topology;
