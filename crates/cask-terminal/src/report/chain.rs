//! An error and its causes as one text.

use std::error::Error;

/// More causes than this are a loop or a joke.
const LONGEST_CHAIN: usize = 64;

/// Joins an error and its causes with `: `.
///
/// Some errors repeat their cause, or start with what was said before; each part is said once.
/// What the system says is said as Go's programs say it, in lower case and without its number.
///
/// ```
/// # use cask_terminal::report::error_text;
/// let error = std::io::Error::other("disk is full");
/// assert_eq!(error_text(&error), "disk is full");
/// ```
#[must_use]
pub fn error_text(error: &dyn Error) -> String {
    let mut parts = vec![of_system(error.to_string())];
    let mut cause = error.source();
    while let Some(error) = cause.filter(|_| parts.len() < LONGEST_CHAIN) {
        parts.push(of_system(error.to_string()));
        cause = error.source();
    }
    join(parts)
}

/// `No such file or directory (os error 2)` as `no such file or directory`: scripts look for it.
fn of_system(mut text: String) -> String {
    const NUMBER: &str = " (os error ";
    let mut from = 0;
    while let Some(found) = text[from..].find(NUMBER) {
        let number = from + found;
        from = number + NUMBER.len();
        let digits = text[from..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || !text[from + digits..].starts_with(')') {
            continue;
        }
        text.replace_range(number..=from + digits, "");
        let words = text[..number].rfind(": ").map_or(0, |colon| colon + ": ".len());
        if let Some(first) = text.get_mut(words..=words) {
            first.make_ascii_lowercase();
        }
        from = number;
    }
    text
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

    #[test]
    fn the_system_speaks_as_in_go() {
        let check = |text: &str, expected: &str| assert_eq!(of_system(text.to_owned()), expected);
        check("No such file or directory (os error 2)", "no such file or directory");
        check("a: Is a directory (os error 21): more", "a: is a directory: more");
        check("a: B (os error 1): C (os error 2)", "a: b: c");
        check("A (os error x): B (os error ", "A (os error x): B (os error ");
        check(" (os error 2)", "");
        check("é (os error 5)", "é");
        let missing = std::io::Error::from_raw_os_error(2);
        assert_eq!(error_text(&missing), "no such file or directory");
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
