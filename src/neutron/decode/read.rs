//! Taking typed values out of JSON: each failure knows where it was, what was found, and what was wanted.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{DecodeError, Decoded, Remark};

/// So much of a text that was found is repeated.
const SHOWN: usize = 60;
/// The longest problem of a remark, in characters.
const PROBLEM: usize = 400;
/// The longest text of any id, number or address.
const SHORT: usize = 64;
/// Names, owners and ids of devices: the longest that Neutron's API takes.
pub(super) const NAME: usize = 255;

pub(super) type Read<T> = Result<T, Fault>;

/// Why a value can't be taken; the way to it grows outwards.
#[derive(Debug)]
pub(super) struct Fault {
    /// Innermost first.
    steps: Vec<Step>,
    found: String,
    wanted: String,
}

#[derive(Debug)]
enum Step {
    Key(&'static str),
    Index(usize),
}

/// A JSON object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dict<'a>(&'a Map<String, Value>);

/// What was left out of one object so far.
#[derive(Debug)]
pub(super) struct Remarks {
    object: String,
    kept: Vec<Remark>,
    more: usize,
}

static NULL: Value = Value::Null;

impl<'a> Dict<'a> {
    pub(super) fn of(value: &'a Value) -> Read<Self> {
        let map = value.as_object();
        map.map(Self).ok_or_else(|| Fault::new(value, "an object"))
    }

    /// Absent is what null is: for most readers a fault.
    pub(super) fn required<T>(
        self,
        key: &'static str,
        read: impl FnOnce(&'a Value) -> Read<T>,
    ) -> Read<T> {
        let Some(value) = self.0.get(key) else {
            return read(&NULL).map_err(|fault| fault.absent().at(Step::Key(key)));
        };
        read(value).map_err(|fault| fault.at(Step::Key(key)))
    }

    /// `None`: absent or null.
    pub(super) fn optional<T>(
        self,
        key: &'static str,
        read: impl FnOnce(&'a Value) -> Read<T>,
    ) -> Read<Option<T>> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .map_err(|fault| fault.at(Step::Key(key))),
        }
    }

    /// Absent and null are an empty list. One bad element is a fault.
    pub(super) fn list<T>(
        self,
        key: &'static str,
        limit: usize,
        mut read: impl FnMut(&'a Value) -> Read<T>,
    ) -> Read<Vec<T>> {
        let all = self.elements(key, limit)?.iter().enumerate();
        all.map(|(index, value)| {
            read(value).map_err(|fault| fault.at(Step::Index(index)).at(Step::Key(key)))
        })
        .collect()
    }

    /// Bad elements are left out, with a remark each.
    pub(super) fn good_of<T>(
        self,
        key: &'static str,
        limit: usize,
        remarks: &mut Remarks,
        mut read: impl FnMut(&'a Value, &mut Remarks) -> Read<T>,
    ) -> Read<Vec<T>> {
        let mut good = Vec::new();
        for (index, value) in self.elements(key, limit)?.iter().enumerate() {
            match read(value, remarks) {
                Ok(element) => good.push(element),
                Err(fault) => remarks.left_out(&fault.at(Step::Index(index)).at(Step::Key(key))),
            }
        }
        Ok(good)
    }

    fn elements(self, key: &'static str, limit: usize) -> Read<&'a [Value]> {
        let found = self.optional(key, |value| {
            let list = value.as_array().filter(|list| list.len() <= limit);
            list.ok_or_else(|| Fault::new(value, format!("a list of at most {limit}")))
        });
        found.map(|list| list.map(Vec::as_slice).unwrap_or_default())
    }

    /// Kind and id, whatever state the id is in.
    pub(super) fn called(self, kind: &str, key: &str) -> String {
        match self.0.get(key) {
            Some(Value::String(id)) => format!("{kind} {}", shown(id)),
            Some(other) => format!("{kind} whose {key} is {}", described(other)),
            None => format!("{kind} without {key}"),
        }
    }
}

impl Fault {
    pub(super) fn new(value: &Value, wanted: impl Into<String>) -> Self {
        Self {
            steps: Vec::new(),
            found: described(value),
            wanted: wanted.into(),
        }
    }

    fn absent(mut self) -> Self {
        if self.steps.is_empty() {
            self.found = "absent".into();
        }
        self
    }

    fn at(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(super) fn under(self, key: &'static str) -> Self {
        self.at(Step::Key(key))
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            // Writing to a String does not fail.
            _ = match step {
                Step::Key(key) if path.is_empty() => write!(path, "{key}"),
                Step::Key(key) => write!(path, ".{key}"),
                Step::Index(index) => write!(path, "[{index}]"),
            };
        }
        if path.is_empty() {
            path.push_str("the whole");
        }
        path
    }

    pub(super) fn of(self, object: String) -> DecodeError {
        DecodeError {
            object,
            path: self.path(),
            found: self.found,
            wanted: self.wanted,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        write!(
            f,
            "{path} is {}, where {} is wanted",
            self.found, self.wanted
        )
    }
}

impl Remarks {
    pub(super) fn of(object: String) -> Self {
        Self {
            object,
            kept: Vec::new(),
            more: 0,
        }
    }

    pub(super) fn add(&mut self, problem: impl fmt::Display) {
        if self.kept.len() >= Remark::LIMIT {
            self.more += 1;
            return;
        }
        let problem = cut(&problem.to_string(), PROBLEM);
        let object = self.object.clone();
        self.kept.push(Remark { object, problem });
    }

    pub(super) fn left_out(&mut self, fault: &Fault) {
        self.add(format_args!("{fault}; it is left out"));
    }

    /// What was read; a fault is remarked.
    pub(super) fn good<T>(&mut self, read: Read<T>) -> Option<T> {
        read.inspect_err(|fault| self.left_out(fault)).ok()
    }

    /// Those of a part that has a name of its own.
    pub(super) fn adopt(&mut self, part: Self) {
        let room = Remark::LIMIT.saturating_sub(self.kept.len());
        self.more += part.more + part.kept.len().saturating_sub(room);
        self.kept.extend(part.kept.into_iter().take(room));
    }

    pub(super) fn with<T>(self, value: T) -> Decoded<T> {
        let mut remarks = self.kept;
        if self.more > 0 {
            remarks.push(Remark {
                object: self.object,
                problem: format!("{} more of this kind", self.more),
            });
        }
        Decoded { value, remarks }
    }
}

pub(super) fn text(limit: usize) -> impl Fn(&Value) -> Read<&str> {
    move |value| {
        let text = value.as_str().filter(|text| text.len() <= limit);
        text.ok_or_else(|| Fault::new(value, format!("a text of at most {limit} bytes")))
    }
}

pub(super) fn flag(value: &Value) -> Read<bool> {
    value
        .as_bool()
        .ok_or_else(|| Fault::new(value, "true or false"))
}

pub(super) fn number<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Read<T> {
    move |value| {
        let number = value.as_u64().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| Fault::new(value, format!("a number from {least} to {most}")))
    }
}

/// Anything whose text is short.
pub(super) fn parsed<T: FromStr>(wanted: &'static str) -> impl Fn(&Value) -> Read<T> {
    move |value| {
        let text = value.as_str().filter(|text| text.len() <= SHORT);
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| Fault::new(value, wanted))
    }
}

pub(super) fn uuid(value: &Value) -> Read<Uuid> {
    parsed("a UUID")(value)
}

pub(super) fn ip(value: &Value) -> Read<IpAddr> {
    parsed("an IP address")(value)
}

pub(super) fn net(value: &Value) -> Read<IpNet> {
    parsed("a network in CIDR notation")(value)
}

/// What people call it: cut, and without what would move a terminal's cursor, but never wrong.
pub(super) fn label(value: &Value) -> Read<String> {
    let text = value.as_str().ok_or_else(|| Fault::new(value, "a text"))?;
    let shown = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    Ok(text.chars().take(NAME).map(shown).collect())
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => cut(&number.to_string(), SHOWN),
        Value::String(text) => format!("the text {}", shown_quoted(text)),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(map) => format!("an object of {} keys", map.len()),
    }
}

/// Ids as they are, anything else quoted.
fn shown(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.len() <= SHORT && !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        shown_quoted(text)
    }
}

fn shown_quoted(text: &str) -> String {
    let start = cut(text, SHOWN);
    if start.len() == text.len() {
        format!("{text:?}")
    } else {
        format!("{start:?}.. of {} bytes", text.len())
    }
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
