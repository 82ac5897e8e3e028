//! One nftables table of ours, split in two by how it changes: chains, rules and map declarations are replaced
//! whole when their digest differs; the elements of maps and sets change one by one, and cut no flow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use nftables::schema::NfListObject;
use serde::{Deserialize, Serialize};

/// The content of our table (family inet).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ruleset {
    /// Chains and rules, in order. Their `table` fields are the owner's table; no table, map or set objects.
    pub objects: Vec<NfListObject<'static>>,
    /// Maps and sets by name.
    pub maps: BTreeMap<String, Map>,
}

/// A named map or set and its elements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// Types of the key's parts, concatenated.
    pub key: Vec<ElementType>,
    /// `None`: a set.
    pub data: Option<ElementType>,
    /// Keys may be ranges or prefixes (`flags interval`).
    pub interval: bool,
    pub elements: BTreeMap<Vec<Element>, Option<Element>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElementType {
    Ipv4,
    /// `inet_proto`: 6 is TCP, 17 is UDP.
    Protocol,
    /// `inet_service`
    Port,
    /// `ifname`
    Device,
    Mark,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Element {
    Ipv4(Ipv4Addr),
    /// Address and prefix length; only in interval maps.
    Net(Ipv4Addr, u8),
    Protocol(u8),
    Port(u16),
    Device(String),
    Mark(u32),
}

/// Difference of one map, for the incremental path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapChange {
    pub remove: BTreeSet<Vec<Element>>,
    pub add: BTreeMap<Vec<Element>, Option<Element>>,
}
