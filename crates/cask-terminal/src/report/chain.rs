//! An error and its causes as one text.

use std::error::Error;

/// More causes than this are a loop or a joke.
const LONGEST_CHAIN: usize = 64;

/// Joins an error and its causes with `: `.
///
/// Some errors repeat their cause, or start with what was said before; each part is said once.
///
/// ```
/// # use cask_terminal::report::error_text;
/// let error = std::io::Error::other("disk is full");
/// assert_eq!(error_text(&error), "disk is full");
/// ```
#[must_use]
pub fn error_text(error: &dyn Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause.filter(|_| parts.len() < LONGEST_CHAIN) {
        parts.push(error.to_string());
        cause = error.source();
    }
    join(parts)
}

fn join(parts: Vec<String>) -> String {
    let mut text = String::new();
    let mut last_start = 0;
    for part in parts {
        let part = part.trim_end();
        let said = format!(": {text}: ").contains(&format!(": {part}: "));
        if part.is_empty() || said {
            continue;
        }
        let last = &text[last_start..];
        if !last.is_empty() && part.strip_prefix(last).is_some_and(|rest| rest.starts_with(": ")) {
            // The cause says what was said last, and more.
            text.truncate(last_start);
        } else if !text.is_empty() {
            text.push_str(": ");
            last_start = text.len();
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_said_once() {
        let check = |parts: &[&str], expected: &str| {
            assert_eq!(join(parts.iter().map(|part| (*part).to_owned()).collect()), expected);
        };
        check(&[], "");
        check(&["a"], "a");
        check(&["a", "b", "c"], "a: b: c");
        check(&["a: b: c", "b: c", "c"], "a: b: c");
        check(&["a: b", "b", "c"], "a: b: c");
        check(&["a", "a", "b"], "a: b");
        check(&["a", "a: b"], "a: b");
        check(&["x", "a", "a: b", "c"], "x: a: b: c");
        check(&["opening ab", "b"], "opening ab: b");
        check(&["a\n", "", "b"], "a: b");
    }

    #[derive(Debug)]
    struct Endless;

    impl std::fmt::Display for Endless {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("again")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Endless)
        }
    }

    #[test]
    fn a_chain_without_end_ends() {
        assert_eq!(error_text(&Endless), "again");
    }
}
