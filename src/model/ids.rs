//! Identities. Neutron's are UUIDs; an instance's and a project's are text that Nova and Keystone chose.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )*};
}
uuid_ids!(
    NetworkId,
    SubnetId,
    PortId,
    RouterId,
    FloatingIpId,
    AddressScopeId,
    SegmentId,
    PortForwardingId,
);

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(Text);

        impl<T: AsRef<str> + Into<Box<str>>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(Text::new(text))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
text_ids!(
    /// A port's `device_id` where its owner is a machine: what Nova calls the instance.
    InstanceId,
    ProjectId,
);

/// Almost always a UUID, as Nova writes them or as Keystone does, and there are two with each port: those need no heap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Text {
    Hyphenated(Uuid),
    Simple(Uuid),
    Other(Box<str>),
}

impl Text {
    fn new(text: impl AsRef<str> + Into<Box<str>>) -> Self {
        let written = |found: &Self| found.to_string() == text.as_ref();
        let found = Uuid::try_parse(text.as_ref()).ok().and_then(|uuid| {
            [Self::Hyphenated(uuid), Self::Simple(uuid)]
                .into_iter()
                .find(written)
        });
        found.unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hyphenated(uuid) => uuid.hyphenated().fmt(f),
            Self::Simple(uuid) => uuid.simple().fmt(f),
            Self::Other(text) => f.pad(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_text_that_it_was_made_of() {
        let texts = [
            "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "3f2504e04f8941d39a0c0305e82c3301",
            "3F2504E0-4F89-41D3-9A0C-0305E82C3301",
            "{3f2504e0-4f89-41d3-9a0c-0305e82c3301}",
            "urn:uuid:3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "i-00000001",
            "",
        ];
        let ids = texts.map(InstanceId::from);
        for (text, id) in texts.iter().zip(&ids) {
            assert_eq!(id.to_string(), *text);
            let json = serde_json::to_string(id).expect("text");
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(
                serde_json::from_str::<InstanceId>(&json).expect("its text"),
                *id
            );
        }
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), texts.len());
    }
}
