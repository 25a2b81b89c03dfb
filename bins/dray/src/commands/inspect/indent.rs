//! JSON with white space for people, and nothing else changed.

/// Indents a JSON document by four spaces, as Go's `json.MarshalIndent` does.
///
/// Order, numbers and escapes stay as they are. The document has to be valid.
pub(crate) fn indented(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + depth * 4, b' ');
    };
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => {
                let end = string_end(json, at);
                out.extend_from_slice(&json[at..end]);
                at = end;
                continue;
            }
            open @ (b'{' | b'[') => {
                out.push(open);
                let next = next_token(json, at + 1);
                if matches!(json.get(next), Some(b'}' | b']')) {
                    out.push(json[next]);
                    at = next + 1;
                    continue;
                }
                depth += 1;
                line(&mut out, depth);
            }
            close @ (b'}' | b']') => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(close);
            }
            b',' => {
                out.push(b',');
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            byte if byte.is_ascii_whitespace() => {}
            byte => out.push(byte),
        }
        at += 1;
    }
    out
}

/// Where the string that starts at `start` ends.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < json.len() {
        match json[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    json.len()
}

fn next_token(json: &[u8], from: usize) -> usize {
    (from..json.len()).find(|at| !json[*at].is_ascii_whitespace()).unwrap_or(json.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&indented(json.as_bytes())), expected);
    }

    #[test]
    fn only_white_space_changes() {
        check(
            r#"{"a":[1, 2],"b":{ },"c":[]}"#,
            "{\n    \"a\": [\n        1,\n        2\n    ],\n    \"b\": {},\n    \"c\": []\n}",
        );
        check(r#"{"x":"a \"{,:"}"#, "{\n    \"x\": \"a \\\"{,:\"\n}");
        check("1.50e3", "1.50e3");
    }
}
