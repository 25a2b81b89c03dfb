//! The grammar of references, read by hand: every function looks at each byte a fixed number of
//! times, and stops at the first one that cannot belong to a reference.
//!
//! ```text
//! reference  := name [ ":" tag ] [ "@" digest ]
//! name       := [ domain "/" ] component *( "/" component )
//! domain     := ( label *( "." label ) | "[" ( hex digits and colons ) "]" ) [ ":" digits ]
//! label      := [A-Za-z0-9] [ *[A-Za-z0-9-] [A-Za-z0-9] ]
//! component  := 1*[a-z0-9] *( ( "." | "_" | "__" | 1*"-" ) 1*[a-z0-9] )
//! tag        := [A-Za-z0-9_] *127[A-Za-z0-9_.-]
//! digest     := word *( [-_+.] word ) ":" 32*[0-9A-Fa-f]        word := [A-Za-z] *[A-Za-z0-9]
//! ```
//!
//! It needs no backtracking: `@` occurs only before a digest, a colon after the last slash only
//! before a tag, and a first component that reads as a domain is one, because whatever could
//! refuse the rest of the path refuses it as later components too.

use crate::TAG_MAX_BYTES;

/// Where reading stopped, and what could have stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// In bytes from the start of the text, on a character boundary.
    pub(crate) offset: usize,
    pub(crate) expected: &'static str,
}

impl Stop {
    fn at<T>(offset: usize, expected: &'static str) -> Result<T, Self> {
        Err(Self { offset, expected })
    }

    /// The same place, counted from a point that lies `start` bytes earlier.
    pub(crate) fn after(self, start: usize) -> Self {
        Self { offset: self.offset + start, ..self }
    }
}

/// What the first of several components may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// A domain if it reads as one, else the start of the path.
    DomainOrPath,
    /// The start of the path: the domain is known already.
    Path,
}

/// A reference cut into its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) domain: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) tag: Option<&'a str>,
    /// Well-formed by this grammar, which knows no algorithm: to be checked further.
    pub(crate) digest: Option<&'a str>,
}

impl Parts<'_> {
    /// Where the path starts in the text that was cut.
    pub(crate) fn path_offset(&self) -> usize {
        self.domain.map_or(0, |domain| domain.len() + 1)
    }

    /// Where the digest starts in the text that was cut, if it has one.
    pub(crate) fn digest_offset(&self) -> usize {
        self.path_offset() + self.path.len() + self.tag.map_or(0, |tag| tag.len() + 1) + 1
    }
}

/// Cuts a reference into its parts.
pub(crate) fn split(text: &str, first: First) -> Result<Parts<'_>, Stop> {
    let (tagged, digest) = match text.split_once('@') {
        Some((tagged, digest)) => (tagged, Some(digest)),
        None => (text, None),
    };
    let last_component = tagged.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match tagged[last_component..].find(':') {
        Some(colon) => {
            let colon = last_component + colon;
            (&tagged[..colon], Some(&tagged[colon + 1..]))
        }
        None => (tagged, None),
    };
    let domain = match first {
        First::DomainOrPath => split_name(name)?,
        First::Path => {
            path(name)?;
            None
        }
    };
    if let Some(tag) = tag {
        self::tag(tag).map_err(|stop| stop.after(name.len() + 1))?;
    }
    if let Some(digest) = digest {
        self::digest(digest).map_err(|stop| stop.after(tagged.len() + 1))?;
    }
    let path = domain.map_or(name, |domain: &str| &name[domain.len() + 1..]);
    Ok(Parts { domain, path, tag, digest })
}

/// Checks a name, and finds its domain if it has one.
fn split_name(name: &str) -> Result<Option<&str>, Stop> {
    let Some((first, rest)) = name.split_once('/') else {
        return path(name).map(|()| None);
    };
    let in_domain = match domain(first) {
        Ok(()) => {
            return path(rest).map(|()| Some(first)).map_err(|stop| stop.after(first.len() + 1));
        }
        Err(stop) => stop,
    };
    if first.ends_with(':') && rest.starts_with('/') {
        return Stop::at(0, "a host or a repository name, without a scheme before it");
    }
    // A first component with underscores is no domain, but may start a path.
    match path(name) {
        Ok(()) => Ok(None),
        Err(in_path) if in_path.offset > in_domain.offset => Err(in_path),
        Err(_) => Err(in_domain),
    }
}

/// Checks a host name or an address, with an optional port.
pub(crate) fn domain(text: &str) -> Result<(), Stop> {
    let bytes = text.as_bytes();
    let host_end = match bytes.first() {
        Some(b'[') => ipv6(bytes)?,
        _ => labels(bytes)?,
    };
    match bytes.get(host_end) {
        None => Ok(()),
        Some(b':') => {
            let port = host_end + 1;
            match run(bytes, port, |byte| byte.is_ascii_digit()) {
                end if end == bytes.len() && end > port => Ok(()),
                end => Stop::at(end, "a port number"),
            }
        }
        Some(_) => Stop::at(host_end, "':' and a port, or '/' and a repository"),
    }
}

/// Reads the labels of a host name, and gives their end.
fn labels(bytes: &[u8]) -> Result<usize, Stop> {
    let mut start = 0;
    loop {
        let end = run(bytes, start, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if end == start || bytes[start] == b'-' {
            return Stop::at(start, "a letter or a digit");
        }
        if bytes[end - 1] == b'-' {
            return Stop::at(end, "a letter or a digit after '-'");
        }
        if bytes.get(end) != Some(&b'.') {
            return Ok(end);
        }
        start = end + 1;
    }
}

/// Reads an address in brackets, and gives its end.
fn ipv6(bytes: &[u8]) -> Result<usize, Stop> {
    let end = run(bytes, 1, |byte| byte.is_ascii_hexdigit() || byte == b':');
    if end == 1 || bytes.get(end) != Some(&b']') {
        return Stop::at(end, "an IPv6 address of hexadecimal digits and ':', then ']'");
    }
    Ok(end + 1)
}

/// Checks the components of a path.
pub(crate) fn path(text: &str) -> Result<(), Stop> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let end = run(bytes, at, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if end == at {
            return Stop::at(at, "a lower-case letter or a digit");
        }
        at = match bytes.get(end) {
            None => return Ok(()),
            Some(b'/' | b'.') => end + 1,
            Some(b'_') if bytes.get(end + 1) == Some(&b'_') => end + 2,
            Some(b'_') => end + 1,
            Some(b'-') => run(bytes, end, |byte| byte == b'-'),
            Some(_) => return Stop::at(end, "a lower-case letter, a digit, or one of './_-'"),
        };
    }
}

/// Checks a tag.
pub(crate) fn tag(text: &str) -> Result<(), Stop> {
    let bytes = text.as_bytes();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !bytes.first().is_some_and(|byte| word(*byte)) {
        return Stop::at(0, "a tag, which starts with a letter, a digit or '_'");
    }
    let end = run(bytes, 1, |byte| word(byte) || matches!(byte, b'.' | b'-'));
    if end > TAG_MAX_BYTES {
        return Stop::at(TAG_MAX_BYTES, "the end of the tag, after at most 128 characters");
    }
    if end < bytes.len() {
        return Stop::at(end, "a letter, a digit, or one of '_.-' in the tag");
    }
    Ok(())
}

/// Checks the shape of a digest, of whatever algorithm.
fn digest(text: &str) -> Result<(), Stop> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        if !bytes.get(at).is_some_and(u8::is_ascii_alphabetic) {
            return Stop::at(at, "a digest algorithm, such as sha256");
        }
        at = run(bytes, at, |byte| byte.is_ascii_alphanumeric());
        match bytes.get(at) {
            Some(b'-' | b'_' | b'+' | b'.') => at += 1,
            Some(b':') => break,
            _ => return Stop::at(at, "':' and the digits of the digest"),
        }
    }
    let digits = at + 1;
    let end = run(bytes, digits, |byte| byte.is_ascii_hexdigit());
    if end < bytes.len() || end - digits < 32 {
        return Stop::at(end, "a hexadecimal digit of the digest");
    }
    Ok(())
}

/// Tells whether the text is 64 lower-case hexadecimal digits, which name an image by its ID.
pub(crate) fn is_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The text in lower case, one character for one, or `None` if it is so already.
///
/// Source: Go's `strings.ToLower`, which differs from Rust's for a final sigma and for U+0130.
pub(crate) fn lowered(text: &str) -> Option<String> {
    first_upper(text).map(|_| text.chars().map(lower).collect())
}

/// Where the first character is that is not in lower case, if there is one.
pub(crate) fn first_upper(text: &str) -> Option<usize> {
    text.char_indices().find(|(_, c)| lower(*c) != *c).map(|(at, _)| at)
}

fn lower(c: char) -> char {
    match c {
        'A'..='Z' => c.to_ascii_lowercase(),
        '\u{130}' => 'i',
        _ if c.is_ascii() => c,
        // All other characters have a lower case of one character.
        _ => c.to_lowercase().next().unwrap_or(c),
    }
}

/// The end of the run of bytes from `start` that satisfy the test.
fn run(bytes: &[u8], start: usize, test: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|byte| !test(*byte)).map_or(bytes.len(), |len| start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where reading stops, and some of the words of what is expected there.
    type StopsAt<'a> = Option<(usize, &'a str)>;

    fn check(cases: &[(&str, StopsAt<'_>)], read: fn(&str) -> Result<(), Stop>) {
        for (input, expected) in cases {
            match (read(input), expected) {
                (Ok(()), None) => {}
                (Err(stop), Some((offset, words)))
                    if stop.offset == *offset && stop.expected.contains(words) => {}
                (found, _) => panic!("{input:?}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn reading_stops_at_the_first_byte_that_cannot_belong_to_a_reference() {
        let cases = [
            ("a", None),
            ("", Some((0, "lower-case letter"))),
            ("a b", Some((1, "one of './_-'"))),
            (" a", Some((0, "lower-case letter"))),
            ("a\n", Some((1, "one of './_-'"))),
            ("aé", Some((1, "one of './_-'"))),
            ("a//b", Some((2, "lower-case letter"))),
            ("a/b/", Some((4, "lower-case letter"))),
            ("a/b_", Some((4, "lower-case letter"))),
            ("a/b___c", Some((5, "lower-case letter"))),
            ("a/b..c", Some((4, "lower-case letter"))),
            ("a/b.-c", Some((4, "lower-case letter"))),
            ("a/b---c", None),
            ("do__cker/x/", Some((11, "lower-case letter"))),
            ("bad_host:80/x", Some((8, "one of './_-'"))),
            ("host:http/x", Some((5, "port"))),
            ("host:80a/x", Some((7, "port"))),
            ("https://host/x", Some((0, "scheme"))),
            ("docker://x", Some((0, "scheme"))),
            ("[::1]:5000/x", None),
            ("[::1/x", Some((4, "IPv6"))),
            ("[]/x", Some((1, "IPv6"))),
            ("[::1%eth0]/x", Some((4, "IPv6"))),
            ("[::1]a/x", Some((5, "port"))),
            ("[::1]", Some((0, "lower-case letter"))),
            ("a-.b/x", Some((2, "after '-'"))),
            ("a:", Some((2, "tag"))),
            ("a:-", Some((2, "tag"))),
            ("a:b:c", Some((3, "tag"))),
            ("a:b~", Some((3, "tag"))),
            ("a/b:c/d", Some((3, "one of './_-'"))),
            ("a@", Some((2, "algorithm"))),
            ("a@sha256", Some((8, "':'"))),
            ("a@sha256:", Some((9, "hexadecimal"))),
            ("a@sha256:12345678901234567890123456789012", None),
            ("a@sha256:1234567890123456789012345678901", Some((40, "hexadecimal"))),
            ("a@x+y.z:12345678901234567890123456789012", None),
            ("a@x++y:12345678901234567890123456789012", Some((4, "algorithm"))),
            ("a@x:12345678901234567890123456789012@y", Some((36, "hexadecimal"))),
        ];
        check(&cases, |text| split(text, First::DomainOrPath).map(drop));
    }

    #[test]
    fn a_tag_has_at_most_128_characters() {
        let longest = "t".repeat(128);
        let longer = "t".repeat(129);
        check(&[(&longest, None), (&longer, Some((128, "end of the tag")))], tag);
    }

    #[test]
    fn a_known_domain_leaves_only_the_path() {
        let parts = split("a.b/c:d", First::Path).unwrap();
        assert_eq!(parts, Parts { domain: None, path: "a.b/c", tag: Some("d"), digest: None });
        assert_eq!(split("a.b:1/c", First::Path).unwrap_err().offset, 3);
    }

    #[test]
    fn lower_case_is_that_of_go() {
        for (text, expected) in [
            ("abc", None),
            ("aBc", Some("abc")),
            ("\u{212a}", Some("k")),
            ("\u{130}", Some("i")),
            ("ΑΣ", Some("ας".replace('ς', "σ").as_str())),
        ] {
            assert_eq!(lowered(text).as_deref(), expected, "{text}");
        }
    }
}
