//! Comparing keys as Go's `encoding/json` does.

use std::borrow::Cow;

/// The form of a key that is equal for all keys that Go takes for the same field.
///
/// Go folds by Unicode's simple case folding. Among ASCII letters that is lower case; two letters
/// outside ASCII fold to ASCII ones as well: the long s and the Kelvin sign. Without them, a
/// document could show `manifeſts` to Go only.
///
/// Source: `encoding/json`, `foldName`.
pub fn fold(key: &str) -> Cow<'_, str> {
    if key.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(key);
    }
    Cow::Owned(key.chars().map(fold_char).collect())
}

/// Whether Go takes two keys for the same field.
pub fn folds_equal(one: &str, other: &str) -> bool {
    one == other || one.chars().map(fold_char).eq(other.chars().map(fold_char))
}

fn fold_char(c: char) -> char {
    match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_case_long_s_and_kelvin_fold() {
        for (one, other, equal) in [
            ("layers", "Layers", true),
            ("manifests", "MANIFE\u{17f}TS", true),
            ("blobsum", "blobSum", true),
            ("link", "lin\u{212a}", true),
            ("layers", "layer", false),
            ("é", "É", false),
        ] {
            assert_eq!(folds_equal(one, other), equal, "{one} {other}");
            assert_eq!(fold(one) == fold(other), equal, "{one} {other}");
        }
    }
}
