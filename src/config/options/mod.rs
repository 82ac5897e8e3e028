//! Every option that the three agents know, and what becomes of it here. `docs/neutron.md` shows these tables.
//!
//! One file per table; a row reads: name (and old names), type, default (`-`: none), roles, treatment, and what it
//! does here; where it does nothing or is refused: why, and what to write instead.

mod dhcp;
mod everyone;
mod foreign;
mod groups;
mod l3;
mod metadata;
mod own;
mod rabbit;

use super::value::Kind;
use crate::neutron::Role;
use crate::spelling::nearest;

/// An option of the agents.
#[derive(Debug)]
pub(super) struct Known {
    /// As Neutron spells it.
    pub(super) group: &'static str,
    pub(super) name: &'static str,
    /// Group and name by which it is read, too.
    pub(super) old: &'static [(&'static str, &'static str)],
    pub(super) kind: Kind,
    /// As it would be written; `-`: none.
    pub(super) default: &'static str,
    /// Those whom it concerns.
    pub(super) roles: &'static [Role],
    pub(super) treatment: Treatment,
    /// What it does; or why it has no effect or is refused.
    pub(super) about: &'static str,
    /// What to write instead, where something is.
    pub(super) instead: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Treatment {
    Honoured,
    /// Accepted, without effect here.
    Ignored,
    /// A word in the log, and ignored.
    Warned,
    /// As above, except for these values.
    WarnedUnless(&'static [&'static str]),
    RefusedUnless(&'static [&'static str]),
}

const DHCP: &[Role] = &[Role::Dhcp];
const L3: &[Role] = &[Role::L3];
const METADATA: &[Role] = &[Role::Metadata];
/// Those that plug ports.
const PORTS: &[Role] = &[Role::Dhcp, Role::L3];
const ALL: &[Role] = &[Role::Dhcp, Role::L3, Role::Metadata];

/// A table of options of one group; `old` names without a group are of the same.
macro_rules! options {
    ($name:ident [$group:literal] $(
        $option:literal $(old $([$old_group:literal])? $old:literal)*, $kind:expr, $default:literal, $roles:expr,
        $treatment:expr, $about:literal $(, $instead:literal)?;
    )*) => {
        pub(super) const $name: &[Known] = &[$(Known {
            group: $group,
            name: $option,
            old: &[$((options!(@group $group $($old_group)?), $old)),*],
            kind: $kind,
            default: $default,
            roles: $roles,
            treatment: $treatment,
            about: $about,
            instead: concat!($($instead)?),
        }),*];
    };
    (@group $group:literal $other:literal) => { $other };
    (@group $group:literal) => { $group };
}
use options;

pub(super) use foreign::is_foreign;

/// In the order in which they are documented, with their titles.
pub(super) const TABLES: &[(&str, &[Known])] = &[
    ("All agents", everyone::COMMON),
    ("The log", everyone::LOGGING),
    ("The DHCP agent", dhcp::DHCP_AGENT),
    ("The L3 agent", l3::L3_AGENT),
    ("The metadata agent", metadata::METADATA_AGENT),
    (
        "How often a guest may ask for metadata",
        metadata::RATE_LIMITING,
    ),
    ("The times of metadata", metadata::HAPROXY),
    ("The metadata agent's cache", metadata::CACHE),
    ("What all layers of agents share", groups::AGENT),
    ("Open vSwitch", groups::OVS),
    ("Logging of packets", groups::NETWORK_LOG),
    ("RabbitMQ", rabbit::RABBIT),
    ("Notifications", groups::NOTIFICATIONS),
    ("warren's own", own::WARREN),
    ("Of long ago: all agents", everyone::OLD),
    ("Of long ago: RabbitMQ", rabbit::OLD),
];

pub(super) fn all() -> impl Iterator<Item = &'static Known> {
    TABLES.iter().flat_map(|(_, rows)| *rows)
}

/// By its present name; the group as in a file, normalised.
pub(super) fn find(group: &str, name: &str) -> Option<&'static Known> {
    all().find(|known| known.name == name && same_group(known.group, group))
}

/// Is a group of the tables the one that was written so? Only `DEFAULT` has a case.
pub(super) fn same_group(known: &str, written: &str) -> bool {
    known == written || (known != "DEFAULT" && known.eq_ignore_ascii_case(written))
}

/// What to think of an entry that no row of the tables has.
#[derive(Debug, PartialEq)]
pub(super) enum Stranger {
    /// The server's, another agent's, or of a group that is not ours.
    Foreign,
    /// A mistake, most likely; with the name that is meant, if one is near.
    Misspelt(Option<&'static str>),
    /// It is read from another group.
    Elsewhere(&'static str),
    /// `[default]` and the like: nothing in it is read.
    NotDefault,
}

pub(super) fn stranger(group: &str, name: &str) -> Stranger {
    if group != "DEFAULT" && group.trim().eq_ignore_ascii_case("default") {
        return Stranger::NotDefault;
    }
    let ours = || all().filter(|known| same_group(known.group, group));
    if ours().next().is_none() || foreign::is_foreign(group, name) {
        return Stranger::Foreign;
    }
    if let Some(known) =
        all().find(|known| known.name == name || known.old.iter().any(|(_, old)| *old == name))
    {
        return Stranger::Elsewhere(known.group);
    }
    match nearest(name, ours().map(|known| known.name)) {
        None if foreign::SHARED.contains(&group) => Stranger::Foreign,
        near => Stranger::Misspelt(near),
    }
}

/// Is there a table for this group, or one that is nearly written so?
pub(super) fn misspelt_group(group: &str) -> Option<&'static str> {
    /// Shorter names are near to too much.
    const LONG: usize = 10;
    let ours = || {
        TABLES
            .iter()
            .map(|(_, rows)| rows[0].group)
            .filter(|group| group.len() >= LONG)
    };
    if group.len() < LONG
        || all().any(|known| same_group(known.group, group))
        || foreign::GROUPS.contains(&group)
    {
        return None;
    }
    nearest(group, ours())
}
