//! Short forms of digests.

/// The first twelve characters of an ID, without the algorithm of a digest.
///
/// What is no digest stays as it is, if it is shorter.
#[must_use]
pub fn short_id(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").or_else(|| id.strip_prefix("sha512:")).unwrap_or(id);
    hex.char_indices().nth(12).map_or(hex, |(end, _)| &hex[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_characters_are_left() {
        let check = |id: &str, expected: &str| assert_eq!(short_id(id), expected);
        check("sha256:0123456789abcdef", "0123456789ab");
        check("0123456789abcdef", "0123456789ab");
        check("abc", "abc");
        check("sha256:", "");
        check("", "");
        check("ééééééééééééé", "éééééééééééé");
    }
}
