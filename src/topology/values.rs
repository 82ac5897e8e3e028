//! Values of the file that are more than one word: numbers, times, ports, choices, free tables.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::read::{Key, Read, Reader, Value};

impl Read for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }

    fn example() -> String {
        "true".to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            reader.wrong_type::<Self>(value);
        }
        read
    }
}

/// A whole number of a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> Read for Number<MIN, MAX> {
    fn kind() -> String {
        format!("number {MIN} to {MAX}")
    }

    fn example() -> String {
        // Every range has a usual value near its begin, but for MTUs.
        if (MIN..=MAX).contains(&1500) && MIN > 1 {
            "1500"
        } else {
            "100"
        }
        .to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let Some(number) = whole_number(value) else {
            reader.wrong_type::<Self>(value);
            return None;
        };
        match u32::try_from(number)
            .ok()
            .filter(|number| (MIN..=MAX).contains(number))
        {
            Some(number) => Some(Self(number)),
            None => {
                reader.bad_value::<Self>(value, format!("{number} is out of range"));
                None
            }
        }
    }
}

fn whole_number(value: &Value<'_>) -> Option<i128> {
    let integer = value.get_ref().as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// Seconds; `u32::MAX` is for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds(pub(super) u32);

impl Read for Seconds {
    fn kind() -> String {
        "time".to_owned()
    }

    fn example() -> String {
        "\"12h\"".to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let read = match value.get_ref() {
            DeValue::Integer(_) => {
                whole_number(value).and_then(|number| u32::try_from(number).ok())
            }
            DeValue::String(text) => seconds(text),
            _ => {
                reader.wrong_type::<Self>(value);
                return None;
            }
        };
        let read = read.filter(|seconds| *seconds > 0);
        if read.is_none() {
            let why = "it is no time: seconds, or a number with s, m, h, d or w, or \"infinite\"";
            reader.bad_value::<Self>(value, why);
        }
        read.map(Self)
    }
}

fn seconds(text: &str) -> Option<u32> {
    if text == "infinite" {
        return Some(u32::MAX);
    }
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    text[..text.len() - 1]
        .parse::<u32>()
        .ok()?
        .checked_mul(unit)
}

/// A port, or first and last of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports(pub(super) u16, pub(super) u16);

impl Read for Ports {
    fn kind() -> String {
        "port or range of ports".to_owned()
    }

    fn example() -> String {
        "8080".to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let read = match value.get_ref() {
            DeValue::Integer(_) => {
                let port = whole_number(value).and_then(|number| u16::try_from(number).ok());
                port.filter(|port| *port > 0).map(|port| Self(port, port))
            }
            DeValue::String(text) => match text.split_once(['-', ':']) {
                Some((first, last)) => port(first)
                    .zip(port(last))
                    .map(|(first, last)| Self(first, last)),
                None => port(text).map(|port| Self(port, port)),
            },
            _ => {
                reader.wrong_type::<Self>(value);
                return None;
            }
        };
        let read = read.filter(|ports| ports.0 <= ports.1);
        if read.is_none() {
            reader.bad_value::<Self>(
                value,
                "it is no port (1 to 65535) or range of them, as \"8000-8010\"",
            );
        }
        read
    }
}

/// A value that can also be left to warren, or switched off: `"auto"`, `"none"` or false, or the thing itself.
#[derive(Debug, Clone)]
pub(super) enum Choice<T> {
    Auto,
    None,
    Given(T),
}

impl<T: Read> Read for Choice<T> {
    fn kind() -> String {
        format!("{}, \"auto\" or \"none\"", T::kind())
    }

    fn example() -> String {
        T::example()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(true) => Some(Self::Auto),
            DeValue::Boolean(false) => Some(Self::None),
            DeValue::String(text) if text == "auto" => Some(Self::Auto),
            DeValue::String(text) if text == "none" => Some(Self::None),
            _ => T::read(value, reader).map(Self::Given),
        }
    }
}

/// One, or a list of them.
#[derive(Debug, Clone)]
pub(super) struct OneOrMore<T>(pub(super) Vec<T>);

impl<T: Read> Read for OneOrMore<T> {
    fn kind() -> String {
        format!("{} or list of them", T::kind())
    }

    fn example() -> String {
        T::example()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Array(_) => Vec::read(value, reader).map(Self),
            _ => T::read(value, reader).map(|one| Self(vec![one])),
        }
    }
}

/// The short form, one word, or a table with more.
#[derive(Debug)]
pub(super) enum OrTable<W, T> {
    Word(W),
    Table(T),
}

impl<W: Read, T: Read> Read for OrTable<W, T> {
    const KEYS: &'static [Key] = T::KEYS;

    fn kind() -> String {
        format!("{} or table", W::kind())
    }

    fn example() -> String {
        W::example()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(_) => W::read(value, reader).map(Self::Word),
            DeValue::Table(_) => T::read(value, reader).map(Self::Table),
            _ => {
                reader.wrong_type::<Self>(value);
                None
            }
        }
    }
}

/// Free keys with a text each; numbers and booleans are taken as they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts(pub(super) BTreeMap<String, String>);

impl Read for Texts {
    fn kind() -> String {
        "table of texts".to_owned()
    }

    fn example() -> String {
        "{ role = \"web\" }".to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            reader.wrong_type::<Self>(value);
            return None;
        };
        let mut texts = BTreeMap::new();
        for (key, value) in table.iter() {
            match scalar(value) {
                Some(text) => {
                    texts.insert(key.get_ref().to_string(), text);
                }
                None => reader.wrong_type::<Self>(value),
            }
        }
        Some(Self(texts))
    }
}

/// Text, numbers and booleans as text.
pub(super) fn scalar(value: &Value<'_>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(_) => whole_number(value).map(|number| number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// Anything: handed on as JSON.
#[derive(Debug, Clone)]
pub(super) struct Json(pub(super) serde_json::Value);

impl Read for Json {
    fn kind() -> String {
        "text or table of anything".to_owned()
    }

    fn example() -> String {
        "{ cloud-init = \"#cloud-config\\n\" }".to_owned()
    }

    fn read(value: &Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(_) | DeValue::Table(_) => Some(Self(json(value))),
            _ => {
                reader.wrong_type::<Self>(value);
                None
            }
        }
    }
}

/// The parser bounds how deep a value nests.
fn json(value: &Value<'_>) -> serde_json::Value {
    match value.get_ref() {
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Integer(_) => {
            match whole_number(value).and_then(|number| i64::try_from(number).ok()) {
                Some(number) => number.into(),
                None => scalar(value).into(),
            }
        }
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map_or(serde_json::Value::Null, Into::into),
        DeValue::Array(values) => values.iter().map(json).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), json(value)))
            .collect(),
        DeValue::String(_) | DeValue::Datetime(_) => scalar(value).into(),
    }
}
