//! `dhcp_options` of a port or a network: a table by name or number, or a list where order or version matters.

use toml::de::DeValue;

use super::mistake::{Code, Span};
use super::read::{At, Key, Read, Reader, Value, key_name, table};
use super::values::{Number, scalar};
use crate::model::{DhcpOption, parse_client_id};

/// Typed and encoded; what could not be is left out, and noted.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    pub(super) sent: Vec<DhcpOption>,
    pub(super) client_id: Option<Vec<u8>>,
    /// That some depend on.
    pub(super) tags: Vec<(String, Span)>,
}

table! {
    /// One of the list form.
    OptionTable {
        /// dnsmasq's name, or the number; with tags in front if need be.
        name: OptionName [required],
        value: OptionValue [required],
        ip_version: Number<4, 6>,
    }
}

/// A name, or a number as such.
#[derive(Debug)]
pub(super) struct OptionName(String);

/// Lists are dnsmasq's comma lists.
#[derive(Debug)]
pub(super) struct OptionValue(String);

impl OptionName {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl OptionValue {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl Options {
    fn take(
        &mut self,
        name: &str,
        value: &OptionValue,
        version: Option<u32>,
        at: Span,
        reader: &mut Reader<'_, '_>,
    ) {
        if version != Some(6) && matches!(name, "client-id" | "61") {
            self.client_id = Some(parse_client_id(&value.0));
            return;
        }
        // As dnsmasq writes it, behind the tags.
        let (tags, last) = name.split_at(name.rfind(',').map_or(0, |comma| comma + 1));
        let parsed = match (version, last.strip_prefix("option6:")) {
            (Some(4), Some(_)) => {
                let why = format!("DHCP option {name:?}: its name says DHCPv6, and `ip_version` 4");
                return reader.mistake(Code::BadValue, at, why, "say one of them");
            }
            (_, Some(last)) => DhcpOption::parse_v6(&format!("{tags}{last}"), &value.0),
            (Some(6), None) => DhcpOption::parse_v6(name, &value.0),
            (_, None) => DhcpOption::parse_v4(name, &value.0),
        };
        match parsed {
            Ok(option) => {
                let tags = option.tags.iter().map(|tag| (tag.name.clone(), at));
                self.tags.extend(tags);
                self.sent.push(option);
            }
            Err(error) => {
                let why = format!("DHCP option {:?} with value {:?}", error.name, error.value);
                reader.mistake(Code::BadValue, at, why, error.reason);
            }
        }
    }
}

impl Read for Options {
    const KEYS: &'static [Key] = OptionTable::KEYS;

    fn kind() -> String {
        "table of options, or list of tables".to_owned()
    }

    fn example() -> String {
        "{ ntp-server = \"10.10.1.2\" }".to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let mut options = Self::default();
        match value.get_ref() {
            DeValue::Table(table) => {
                for (name, value) in table.iter() {
                    if let Some(text) = OptionValue::read(value, reader) {
                        options.take(name.get_ref(), &text, None, value.span().into(), reader);
                    }
                }
                // A table has no order: what is for some clients counts more than what is for all.
                options.sent.sort_by_key(|option| option.tags.len());
            }
            DeValue::Array(_) => {
                for option in Vec::<OptionTable>::read(value, reader)? {
                    let version = option.ip_version.as_ref();
                    if let Some(version) = version.filter(|version| version.0 == 5) {
                        let why = "`ip_version`: 5 is no version that DHCP has";
                        reader.mistake(Code::BadValue, version.at, why, "say 4 or 6");
                    } else if let (Some(name), Some(value)) = (option.name, option.value) {
                        let version = version.map(|version| version.0);
                        options.take(&name.0, &value, version, value.at, reader);
                    }
                }
            }
            _ => {
                reader.wrong_type::<Self>(value);
                return None;
            }
        }
        Some(options)
    }
}

impl Read for OptionName {
    fn kind() -> String {
        "name or number of an option".to_owned()
    }

    fn example() -> String {
        "\"ntp-server\"".to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let name = scalar(value);
        if name.is_none() {
            reader.wrong_type::<Self>(value);
        }
        name.map(Self)
    }
}

impl Read for OptionValue {
    fn kind() -> String {
        "text, number, or list of them".to_owned()
    }

    fn example() -> String {
        "\"10.10.1.2\"".to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let text = match value.get_ref() {
            DeValue::Array(values) => {
                let texts: Option<Vec<String>> = values.iter().map(scalar).collect();
                texts.map(|texts| texts.join(","))
            }
            _ => scalar(value),
        };
        if text.is_none() {
            reader.wrong_type::<Self>(value);
        }
        text.map(Self)
    }
}
