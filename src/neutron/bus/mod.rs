//! The message bus as oslo.messaging speaks it over RabbitMQ: calls, casts, notices.
//!
//! `settings` where the brokers are, and how queues are declared

mod settings;

pub use settings::{
    Broker, Compression, Failover, Login, Password, QueueManager, Queues, Retry, Settings, Tls,
};
