//! The types of options as oslo.config reads them (`oslo_config.types`): text to value, or why not.
//!
//! The reasons never hold the text itself: it may be a secret in the wrong place.

use std::fmt;
use std::net::IpAddr;

use super::ini::space;

/// Which texts an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    /// Never shown.
    Secret,
    /// `transport_url`: shown without its passwords.
    Url,
    Bool,
    /// From, to.
    Int(i64, i64),
    /// Seconds, at least 0, with a fraction.
    Float,
    List,
    /// Given more than once, every one counts.
    Multi,
    Choice(&'static [&'static str]),
    /// Address or name of a host.
    Host,
}

/// Seconds that fit any clock here: 68 years.
pub(super) const LONG: i64 = i32::MAX as i64;
const LONG_FLOAT: f64 = i32::MAX as f64;

impl Kind {
    /// # Errors
    /// Why the option does not take this text.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Text | Self::Secret | Self::Url | Self::List | Self::Multi => Ok(()),
            Self::Bool => boolean(text).map(|_| ()).ok_or_else(|| {
                "this is neither true nor false (true, 1, on, yes; false, 0, off, no)".into()
            }),
            Self::Int(least, most) => match int(text) {
                None if text.trim_matches(space).is_empty() => {
                    Err("it is empty, which is no number, and not the default either".into())
                }
                None => Err("this is no whole number in decimal digits".into()),
                Some(number) if number < least => Err(format!("it is less than {least}")),
                Some(number) if number > most => Err(format!("it is more than {most}")),
                Some(_) => Ok(()),
            },
            Self::Float => match float(text) {
                Some(number) if (0.0..=LONG_FLOAT).contains(&number) => Ok(()),
                _ => Err("this is no number of seconds".into()),
            },
            Self::Choice(choices) if choices.contains(&text) => Ok(()),
            Self::Choice(choices) => Err(format!("it must be one of: {}", choices.join(", "))),
            Self::Host if is_host(text) => Ok(()),
            Self::Host => Err(
                "this is neither an IP address nor a host's name (letters, digits, `-`, dots)"
                    .into(),
            ),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Secret => f.write_str("secret"),
            Self::Url => f.write_str("URL"),
            Self::Bool => f.write_str("true or false"),
            Self::Int(1, 65535) => f.write_str("port"),
            Self::Int(least, LONG) => write!(f, "number >= {least}"),
            Self::Int(least, most) => write!(f, "number {least} to {most}"),
            Self::Float => f.write_str("seconds"),
            Self::List => f.write_str("list"),
            Self::Multi => f.write_str("repeatable"),
            Self::Choice(choices) => f.write_str(&choices.join(", ")),
            Self::Host => f.write_str("host"),
        }
    }
}

/// Untrimmed: a continued line makes it something else there, too.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

pub(super) fn int(text: &str) -> Option<i64> {
    digits(text)?.parse().ok()
}

pub(super) fn float(text: &str) -> Option<f64> {
    digits(text)?.parse().ok()
}

/// Python's numbers may have an underscore between two digits.
fn digits(text: &str) -> Option<String> {
    let text = text.trim_matches(space);
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let mut underscores = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    let fine = underscores.all(|(at, _)| digit(at.checked_sub(1)) && digit(Some(at + 1)));
    fine.then(|| text.replace('_', ""))
}

/// Trailing commas are dropped; an empty item between two others stays.
pub(super) fn list(text: &str) -> Vec<String> {
    let text = text.trim_matches(space).trim_end_matches(',');
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',')
        .map(|item| item.trim_matches(space).to_owned())
        .collect()
}

fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_host_name(text)
}

/// `oslo_config.types.Hostname`
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    text.len() <= 253
        && name.split('.').all(label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_oslo_config_takes_them() {
        let number = Kind::Int(0, LONG);
        for (kind, text, fine) in [
            (Kind::Text, "", true),
            (Kind::Bool, "True", true),
            (Kind::Bool, "YES", true),
            (Kind::Bool, "on", true),
            (Kind::Bool, "1", true),
            (Kind::Bool, "oFF", true),
            (Kind::Bool, "", false),
            (Kind::Bool, "enabled", false),
            (Kind::Bool, "true # really", false),
            (number, "0", true),
            (number, " +007 ", true),
            (number, "1_000", true),
            (number, "1__0", false),
            (number, "_1", false),
            (number, "1_", false),
            (number, "0x10", false),
            (number, "7.0", false),
            (number, "", false),
            (number, "-1", false),
            (number, "3000000000", false),
            (number, "99999999999999999999", false),
            (Kind::Int(-1, LONG), "-1", true),
            (Kind::Int(0, 65535), "65536", false),
            (Kind::Float, "30", true),
            (Kind::Float, "0.5", true),
            (Kind::Float, "1e3", true),
            (Kind::Float, "-1", false),
            (Kind::Float, "nan", false),
            (Kind::Float, "inf", false),
            (Kind::Float, "", false),
            (Kind::List, ",,", true),
            (Kind::Choice(&["PASS", "AH"]), "PASS", true),
            (Kind::Choice(&["PASS", "AH"]), "pass", false),
            (Kind::Host, "net1.example.com", true),
            (Kind::Host, "net1.example.com.", true),
            (Kind::Host, "10.0.0.1", true),
            (Kind::Host, "2001:db8::1", true),
            (Kind::Host, "[2001:db8::1]", false),
            (Kind::Host, "10.0.0.256", false),
            (Kind::Host, "net_1", false),
            (Kind::Host, "-net", false),
            (Kind::Host, "net-", false),
            (Kind::Host, "a..b", false),
            (Kind::Host, "", false),
            (Kind::Host, "1a", true),
        ] {
            let checked = kind.check(text);
            assert_eq!(checked.is_ok(), fine, "{kind:?} {text:?}: {checked:?}");
        }
    }

    #[test]
    fn lists_are_split_as_oslo_config_splits_them() {
        for (text, want) in [
            ("", &[] as &[&str]),
            (",", &[]),
            ("a", &["a"]),
            (" a , b ", &["a", "b"]),
            ("a,b,,,", &["a", "b"]),
            ("a,,b", &["a", "", "b"]),
            (",a", &["", "a"]),
            ("a\nb,\nc", &["a\nb", "c"]),
            ("'a','b'", &["'a'", "'b'"]),
        ] {
            assert_eq!(list(text), want, "{text:?}");
        }
    }
}
