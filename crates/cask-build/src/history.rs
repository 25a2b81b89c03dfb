//! How instructions are named in the history of an image.

use std::fmt::Write as _;

use cask_image::{Healthcheck, go_duration};

/// What BuildKit puts into the comment of every entry; tools know its history by it.
pub(crate) const BUILDKIT_COMMENT: &str = "buildkit.dockerfile.v0";

/// What stands behind the text of a step that has a layer, in BuildKit's form.
const LAYER_MARK: &str = " # buildkit";

/// What stands before the text of a step that ran nothing, in Buildah's form.
const NOTHING_RUN: &str = "/bin/sh -c #(nop) ";

/// The text of a step in BuildKit's form.
pub(crate) fn buildkit(text: &str, has_layer: bool) -> String {
    format!("{text}{}", if has_layer { LAYER_MARK } else { "" })
}

/// The text of a step that ran nothing in Buildah's form: the instruction as it is written.
pub(crate) fn buildah(text: &str) -> String {
    format!("{NOTHING_RUN}{text}")
}

/// The text of a COPY or ADD in Buildah's form; `digest` names what was copied.
pub(crate) fn buildah_copy(keyword: &str, digest: &str, destination: &str) -> String {
    format!("{NOTHING_RUN}{keyword} {digest} in {destination} ")
}

/// The text of a RUN in Buildah's form; `text` is all behind the keyword, with heredocs.
pub(crate) fn buildah_run(arguments: &[(String, String)], text: &str) -> String {
    if arguments.is_empty() {
        return format!("/bin/sh -c {text}");
    }
    format!("{}/bin/sh -c {text}", argument_prefix(arguments))
}

/// The text of a RUN: the arguments of the build that it sees, then its words.
pub(crate) fn buildkit_run(arguments: &[(String, String)], words: &[String]) -> String {
    let prefix = if arguments.is_empty() { String::new() } else { argument_prefix(arguments) };
    buildkit(&format!("RUN {prefix}{}", words.join(" ")), true)
}

/// `|2 A=1 B=2 `
fn argument_prefix(arguments: &[(String, String)]) -> String {
    let mut text = format!("|{} ", arguments.len());
    for (name, value) in arguments {
        let _ = write!(text, "{name}={value} ");
    }
    text
}

/// Words as Go prints a list of strings with `%q`: `["a" "b"]`.
pub(crate) fn quoted_list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(" "))
}

/// A text as Go prints it with `%q`.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// HEALTHCHECK as Go prints a pointer to the struct with `%q`.
pub(crate) fn healthcheck(check: &Healthcheck) -> String {
    let times = [check.interval, check.timeout, check.start_period, check.start_interval];
    let times: Vec<String> = times.map(|time| quoted(&go_duration(time))).to_vec();
    let retries = char::from_u32(check.retries).unwrap_or('\u{fffd}');
    let retries = match retries {
        c if (c as u32) < 0x20 || c as u32 == 0x7f => match c {
            '\u{7}' => "\\a".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\t' => "\\t".to_owned(),
            '\n' => "\\n".to_owned(),
            '\u{b}' => "\\v".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\r' => "\\r".to_owned(),
            c => format!("\\x{:02x}", c as u32),
        },
        '\'' => "\\'".to_owned(),
        '\\' => "\\\\".to_owned(),
        c => c.to_string(),
    };
    format!("HEALTHCHECK &{{{} {} '{retries}'}}", quoted_list(&check.test), times.join(" "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn texts_are_those_of_the_peers() {
        let words = |all: &[&str]| -> Vec<String> { all.iter().map(|w| (*w).to_owned()).collect() };
        let shell = words(&["/bin/sh", "-c", "echo \"x\"\n"]);
        assert_eq!(quoted_list(&shell), r#"["/bin/sh" "-c" "echo \"x\"\n"]"#);
        let arguments = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())];
        let run = words(&["/bin/sh", "-c", "make"]);
        assert_eq!(buildkit_run(&arguments, &run), "RUN |2 A=1 B= /bin/sh -c make # buildkit");
        assert_eq!(buildkit_run(&[], &run), "RUN /bin/sh -c make # buildkit");
        assert_eq!(buildah_run(&arguments[..1], "make"), "|1 A=1 /bin/sh -c make");
        assert_eq!(buildah("USER x"), "/bin/sh -c #(nop) USER x");
        assert_eq!(buildah_copy("COPY", "file:ab", "/x"), "/bin/sh -c #(nop) COPY file:ab in /x ");
        let check = Healthcheck {
            test: words(&["CMD-SHELL", "curl x"]),
            interval: Duration::from_secs(30),
            retries: 3,
            ..Healthcheck::default()
        };
        assert_eq!(
            healthcheck(&check),
            r#"HEALTHCHECK &{["CMD-SHELL" "curl x"] "30s" "0s" "0s" "0s" '\x03'}"#
        );
    }
}
