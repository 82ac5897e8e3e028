//! Tables and lines as a terminal shows them.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// Rows under a header, without lines around them: easy to read and to cut. No rows: nothing.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| if cell.is_empty() { "-".into() } else { cell }));
    }
    if table.is_empty() {
        return String::new();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// `name: value` lines, the names aligned; without those that have no value.
pub(super) fn facts<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    let lines = rows
        .iter()
        .map(|(name, value)| format!("{:width$} {value}", format!("{name}:")));
    lines.collect::<Vec<_>>().join("\n")
}

/// Parts with an empty line between them; those that have nothing to say leave none.
pub(super) fn parts(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

pub(super) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// `3 networks`, `1 router`
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Seconds as people say them, to two places.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `dhcp: 3 received, 1 offers`: a line for every service that is there, of its counters those that have counted.
pub(super) fn counters(services: &Value) -> String {
    let services = services.as_object().into_iter().flatten();
    let lines = services.filter_map(|(service, counters)| {
        let counted = counters.as_object()?.iter();
        let counted = counted.filter(|(_, count)| count.as_u64() != Some(0));
        let counted = list(counted.map(|(name, count)| {
            let name = name.replace('_', " ");
            match count.as_str() {
                Some(text) => format!("{name} {text}"),
                None => format!("{count} {name}"),
            }
        }));
        let counted = if counted.is_empty() {
            "nothing yet".into()
        } else {
            counted
        };
        Some((service.as_str(), counted))
    });
    facts(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_places() {
        for (seconds, want) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3599, "59 min 59 s"),
            (3600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), want);
        }
    }

    #[test]
    fn counters_that_count_nothing_are_left_out() {
        let services = serde_json::json!({
            "dhcp": { "offers": 1, "naks": 0, "sent_late": 2, "loudest": "10.0.0.7" },
            "dns": { "queries": 0 },
            "metadata": null,
        });
        assert_eq!(
            counters(&services),
            "dhcp: loudest 10.0.0.7, 1 offers, 2 sent late\ndns:  nothing yet"
        );
    }

    #[test]
    fn empty_tables_and_parts_are_nothing() {
        assert_eq!(table(["A"], []), "");
        assert_eq!(parts(["x".into(), String::new(), "y".into()]), "x\n\ny");
        assert_eq!(
            table(["A", "B"], [[String::new(), "b".into()]]),
            "A  B\n-  b"
        );
    }
}
