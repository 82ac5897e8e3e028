//! What an operator may ask of the running daemon: the words, and the socket they go over.

pub mod socket;
mod view;

pub use view::{
    Ask, Convergence, InstanceView, LeaseView, LegView, NetworkView, PortOwner, PortView, Reply,
    RouterView, SourceView, Status, SubnetView, TargetView,
};
