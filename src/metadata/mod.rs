//! What machines learn about themselves at 169.254.169.254.
//!
//! A request's way: `server` (one listener per namespace, its limits in `limits`) -> `route` (who asks: namespace and
//! source address, nothing else) -> either `local`, the embedded source, or `nova`, which asks Nova in the
//! machine's name with headers that are all our own, signed by `sign`.
//!
//! The listener's address is put on a device, and traffic is brought to it, by `plan` and `netns`: nothing of that is here.

mod local;
mod path;
mod route;
#[cfg(test)]
mod sample;
mod secret;
mod sign;

pub use secret::{Secret, SecretError};
