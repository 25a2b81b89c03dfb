//! What registries want people to read.

/// The text of a `Warning` header, if it is one for people: code 299, unknown agent, no date.
///
/// Source: OCI distribution specification, section "Warnings"; RFC 9110 for the quoted string.
pub(crate) fn parse_warning(header: &[u8]) -> Option<String> {
    let quoted = header.strip_prefix(b"299 - \"")?;
    let mut text = Vec::new();
    let mut bytes = quoted.iter().copied();
    loop {
        let byte = match bytes.next()? {
            b'"' => break,
            b'\\' => bytes.next()?,
            byte => byte,
        };
        if byte != b'\t' && (byte < 0x20 || byte == 0x7f) {
            return None;
        }
        text.push(byte);
    }
    bytes.next().is_none().then(|| String::from_utf8_lossy(&text).into_owned())
}
