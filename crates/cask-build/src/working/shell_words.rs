//! Texts cut into words as a shell would, without anything being replaced.

/// Cuts a text into words.
///
/// Source: github.com/mattn/go-shellwords, with its defaults: quotes, backslashes and white space;
/// what would end a command (`;`, `&`, `|`, `<`, `>`, a parenthesis) ends the words.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut has_word = false;
    let (mut single, mut double, mut escaped) = (false, false, false);
    for c in text.chars() {
        if escaped {
            if c == 't' {
                word.push('\t');
            } else if c == 'n' {
                word.push('\n');
            } else {
                word.push(c);
            }
            (escaped, has_word) = (false, true);
            continue;
        }
        match c {
            '\\' if single => word.push(c),
            '\\' => escaped = true,
            ' ' | '\t' | '\r' | '\n' if !single && !double => {
                if has_word {
                    words.push(std::mem::take(&mut word));
                    has_word = false;
                }
            }
            '"' if !single => (double, has_word) = (!double, true),
            '\'' if !double => (single, has_word) = (!single, true),
            ';' | '&' | '|' | '<' | '>' | '(' | ')' if !single && !double => {
                return match c {
                    '(' | ')' => Err("invalid command line string".to_owned()),
                    _ => {
                        words.extend(has_word.then_some(word));
                        Ok(words)
                    }
                };
            }
            c => {
                word.push(c);
                has_word = true;
            }
        }
    }
    if single || double || escaped {
        return Err("invalid command line string".to_owned());
    }
    words.extend(has_word.then_some(word));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_a_shell_does() {
        fn check(text: &str, expected: &[&str]) {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        check("", &[]);
        check("  a  b ", &["a", "b"]);
        check("a 'b c' \"d e\"f", &["a", "b c", "d ef"]);
        check(r"a\ b \'", &["a b", "'"]);
        check("''", &[""]);
        check("'a\"b'", &["a\"b"]);
        check("a b; c", &["a", "b"]);
        for bad in ["'a", "\"a", "a\\", "(a)"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}
