//! The nearest known name to an unknown one.

/// A longer word is not a slip of a known one, and is not compared.
const LONGEST: usize = 64;

/// The known name that differs from `word` in at most two characters; the first of the nearest.
pub(crate) fn nearest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    fold_case: bool,
) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let fold = |text: &str| if fold_case { text.to_lowercase() } else { text.to_owned() };
    let word = fold(word);
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let folded = fold(name);
        if folded == word {
            return None;
        }
        let limit = best.map_or(3, |(distance, _)| distance);
        if let Some(distance) = distance_below(&word, &folded, limit) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// The edit distance of two words if it is less than `limit`.
fn distance_below(one: &str, other: &str, limit: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().collect();
    if one.chars().count().abs_diff(other.len()) >= limit {
        return None;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().filter(|distance| *distance < limit)
}

/// ` (did you mean X?)`, or nothing, as BuildKit appends it.
pub(crate) fn did_you_mean(name: Option<&str>) -> String {
    name.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_two_characters_are_found() {
        fn check(word: &str, expected: Option<&str>) {
            assert_eq!(nearest(word, ["mount", "network", "security"], true), expected, "{word}");
        }
        check("mout", Some("mount"));
        check("MOUTN", Some("mount"));
        check("mount", None);
        check("netwrok", Some("network"));
        check("chown", None);
        check("", None);
    }
}
