//! The message bus beside the real RabbitMQ: each test has a broker of its own, in a namespace of its own, and does to it
//! what happens to brokers. The other side is oslo.messaging itself, a second bus, or a raw AMQP client.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "in a test a panic is the report, and a call that reads well beats a saved copy"
)]

#[path = "../neutron/cloud/broker.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the cloud's vocabulary, of which we speak some"
)]
mod broker;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod ground;
mod junk;
mod peer;
mod poison;
#[path = "../neutron/cloud/service.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the cloud's vocabulary, of which we speak some"
)]
mod service;
mod speed;
mod tls;
mod variants;

use std::time::Duration;

use service::Service;

/// Enough for what a broker does in seconds, on a machine that is busy with other tests.
const LONG: Duration = Duration::from_secs(60);
