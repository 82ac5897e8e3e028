//! Which word a typing mistake was meant to be.

/// The candidate that a typing mistake leads to from `text`, if one is near enough.
pub(crate) fn nearest<'c>(
    text: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let text = text.to_lowercase();
    let reach = text.chars().count().div_ceil(2).min(3);
    let near = candidates.into_iter().filter_map(|candidate| {
        let distance = distance(&text, &candidate.to_lowercase(), reach)?;
        Some((distance, candidate))
    });
    near.min().map(|(_, candidate)| candidate)
}

/// Levenshtein's edit distance, if it is at most `reach`.
fn distance(a: &str, b: &str, reach: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Nothing that long is a name someone mistyped; and the table below stays small.
    if a.len().abs_diff(b.len()) > reach || a.len() > 64 {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().filter(|distance| *distance <= reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_leads_to_its_word() {
        for (text, candidates, want) in [
            ("blu", &["blue", "green"][..], Some("blue")),
            ("Blue", &["blue", "green"], Some("blue")),
            ("gren", &["blue", "green"], Some("green")),
            ("yellow", &["blue", "green"], None),
            ("adresses", &["address", "addresses"], Some("addresses")),
            ("x", &["y"], Some("y")),
            ("", &["blue"], None),
        ] {
            assert_eq!(nearest(text, candidates.iter().copied()), want, "{text}");
        }
    }
}
