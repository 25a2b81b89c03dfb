//! Names of images, as far as the lints need them.

/// Whether a text may be the name of an image. What is accepted here may still be refused by a
/// registry; what is refused here is no name anywhere.
pub(super) fn is_image_name(text: &str) -> bool {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let is_hexadecimal =
        |text: &str| text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if digest.is_some_and(|d| !d.split_once(':').is_some_and(|(_, hex)| is_hexadecimal(hex))) {
        return false;
    }
    let (name, tag) = split_tag(name);
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return false;
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    let first = parts[0];
    let is_domain =
        first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first;
    if parts.len() > 1 && is_domain {
        parts.remove(0);
    }
    parts.iter().all(|part| is_component(part))
}

/// The tag of a name, if it has one.
pub(super) fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    }
}

fn is_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(is_word)
        && tag.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

fn is_component(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(is_word)
        && part.ends_with(is_word)
        && part.chars().all(|c| is_word(c) || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_known() {
        fn check(text: &str, expected: bool) {
            assert_eq!(is_image_name(text), expected, "{text}");
        }
        check("alpine", true);
        check("alpine:3.20", true);
        check("Quay.io:5000/team/app:1@sha256:0123456789abcdef0123456789abcdef", true);
        check("localhost/a_b.c", true);
        check("", false);
        check(":3", false);
        check("alpine:", false);
        check("alpine@", false);
        check("Alpine", false);
        check("a//b", false);
        check("a b", false);
        check("/a", false);
    }
}
