//! Paths through a document, as one would write them: `layers[3].annotations["a.b/c"]`.

use std::fmt::Write as _;

use crate::quoted;

/// The longest key that stands in a path without quotation marks.
const MAX_PLAIN: usize = 60;

/// Adds the index of an element to a path: `layers` becomes `layers[3]`.
pub fn push_index(path: &mut String, index: usize) {
    write!(path, "[{index}]").expect("writing to a string does not fail");
}

/// Adds a key to a path: `config` becomes `config.digest`, or `config["a.b"]` where the key is not
/// letters, digits, `_` and `-` alone, or has more than 60 of them.
pub fn push_key(path: &mut String, key: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if key.is_empty() || !key.bytes().all(plain) || key.len() > MAX_PLAIN {
        write!(path, "[{}]", quoted(key)).expect("writing to a string does not fail");
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_where_they_could_be_misread() {
        #[track_caller]
        fn check(before: &str, key: &str, expected: &str) {
            let mut path = before.to_owned();
            push_key(&mut path, key);
            assert_eq!(path, expected);
        }
        check("", "config", "config");
        check("config", "media-type", "config.media-type");
        check("", "", "[\"\"]");
        check("a", "b.c", "a[\"b.c\"]");
        check("a", "é", "a[\"é\"]");
        check("", "a\"\n", r#"["a\"\n"]"#);
        check("", &"x".repeat(60), &"x".repeat(60));
        check("", &"x".repeat(61), &format!("[\"{}\"]", "x".repeat(61)));
        let mut path = "a".to_owned();
        push_index(&mut path, 7);
        assert_eq!(path, "a[7]");
    }
}
