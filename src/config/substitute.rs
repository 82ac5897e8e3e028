//! `$option` in a value, as oslo.config replaces it (`ConfigOpts._substitute`, `string.Template`).

/// How deep values may refer to values that refer to values.
const DEEPEST: usize = 16;
/// Values that double at each step end here.
const LONGEST: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// No option has this name.
    Unknown(String),
    /// Values refer to one another in a circle, or grow without end.
    Endless,
}

/// Replaces what `text` refers to. `look_up` gives an option's text, not yet substituted, and the group it is in; for a
/// name that stands in `group`.
pub(super) fn substitute<'v>(
    text: &str,
    group: &str,
    look_up: &impl Fn(&str, &str) -> Option<(&'v str, String)>,
) -> Result<String, Failure> {
    let mut left = LONGEST;
    step(text, group, look_up, DEEPEST, &mut left)
}

fn step<'v>(
    text: &str,
    group: &str,
    look_up: &impl Fn(&str, &str) -> Option<(&'v str, String)>,
    depth: usize,
    left: &mut usize,
) -> Result<String, Failure> {
    let text = text.replace("\\$", "$$");
    let mut done = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        done += &rest[..at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            done.push('$');
            rest = behind;
        } else if let Some((name, behind)) = reference(rest) {
            rest = behind;
            let depth = depth.checked_sub(1).ok_or(Failure::Endless)?;
            let (their_group, value) =
                look_up(group, name).ok_or_else(|| Failure::Unknown(name.to_owned()))?;
            done += &step(&value, their_group, look_up, depth, left)?;
        } else {
            done.push('$');
        }
    }
    done += rest;
    *left = left.checked_sub(done.len() + 1).ok_or(Failure::Endless)?;
    Ok(done)
}

/// `name` or `{name}`, and what is behind it. Anything else is a `$` that means itself.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (inside, braced) = match text.strip_prefix('{') {
        Some(inside) => (inside, true),
        None => (text, false),
    };
    if !inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let name_char = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let end = inside.find(|c| !name_char(c)).unwrap_or(inside.len());
    let (name, behind) = inside.split_at(end);
    if braced {
        Some((name, behind.strip_prefix('}')?))
    } else {
        Some((name, behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(group: &str, name: &str) -> Option<(&'static str, String)> {
        let (in_group, value) = match (group, name) {
            (_, "state_path") => ("DEFAULT", "/var/lib/neutron"),
            (_, "nested") => ("DEFAULT", "$state_path/x"),
            ("AGENT", "own") => ("AGENT", "agent's $own_too"),
            ("AGENT", "own_too") => ("AGENT", "too"),
            (_, "AGENT.own_too") => ("AGENT", "too"),
            (_, "empty") => ("DEFAULT", ""),
            (_, "circle") => ("DEFAULT", "${circle}"),
            (_, "double") => ("DEFAULT", "$double$double"),
            _ => return None,
        };
        Some((in_group, value.to_owned()))
    }

    #[test]
    fn references_are_replaced_as_oslo_config_replaces_them() {
        let unknown = |name: &str| Err(Failure::Unknown(name.to_owned()));
        for (text, want) in [
            ("plain", Ok("plain")),
            ("$state_path/dhcp", Ok("/var/lib/neutron/dhcp")),
            ("${state_path}dhcp", Ok("/var/lib/neutrondhcp")),
            ("a$nested:b", Ok("a/var/lib/neutron/x:b")),
            ("$own", unknown("own")),
            ("$AGENT.own_too", Ok("too")),
            ("<$empty>", Ok("<>")),
            ("pass$$word", Ok("pass$word")),
            ("pass\\$word", Ok("pass$word")),
            ("$$state_path", Ok("$state_path")),
            ("$", Ok("$")),
            (
                "5$ $9 ${} ${9} ${state_path $-",
                Ok("5$ $9 ${} ${9} ${state_path $-"),
            ),
            ("pass$word", unknown("word")),
            ("$state_path.x", unknown("state_path.x")),
            ("$STATE_PATH", unknown("STATE_PATH")),
            ("$circle", Err(Failure::Endless)),
            ("$double", Err(Failure::Endless)),
        ] {
            assert_eq!(
                substitute(text, "DEFAULT", &look_up),
                want.map(str::to_owned),
                "{text}"
            );
        }
        assert_eq!(
            substitute("$own", "AGENT", &look_up).as_deref(),
            Ok("agent's too")
        );
    }

    #[test]
    fn values_that_double_end_soon() {
        let doubling = |_: &str, name: &str| {
            let next = format!("${name}a");
            let value = if name.len() == 12 {
                "x".to_owned()
            } else {
                next.repeat(4)
            };
            Some(("DEFAULT", value))
        };
        let failed = substitute("$a", "DEFAULT", &doubling);
        assert_eq!(failed, Err(Failure::Endless));
    }
}
