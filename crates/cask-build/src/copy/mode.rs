//! `--chmod`.

use crate::{Error, ErrorKind, Result};

/// What `--chmod` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ModeChange {
    /// These twelve bits.
    Set(u32),
    /// These changes, one after the other.
    Edit(Vec<Edit>),
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// Whose bits, as a mask over all twelve.
    who: u32,
    operation: u8,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// `r`, `w`, `x`, `s`, `t` for everybody, and whether `X` is among them.
    Bits { bits: u32, x_if_any: bool },
    /// The permissions that these have: a shift.
    CopyOf(u32),
}

impl ModeChange {
    /// Reads an octal number up to 7777, or symbolic changes as `chmod` takes them: `u=rwX,go=rX`.
    /// Without any of `ugoa` a change is for all, whatever the umask.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            let detail = "invalid chmod parameter: it should be octal string and between 0 and \
                          07777, or symbolic as u=rwX,go=rX";
            Error::new(ErrorKind::Invalid, format!("--chmod={text}"), detail)
        };
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return mode.map(Self::Set).ok_or_else(invalid);
        }
        let clauses = text.split(',').map(clause);
        let edits: Option<Vec<Vec<Edit>>> = clauses.collect();
        Ok(Self::Edit(edits.ok_or_else(invalid)?.concat()))
    }

    /// The permissions that an entry gets.
    pub(super) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let edits = match self {
            Self::Set(mode) => return *mode,
            Self::Edit(edits) => edits,
        };
        edits.iter().fold(mode, |mode, edit| {
            let bits = match edit.what {
                What::Bits { bits, x_if_any } => {
                    let runs = x_if_any && (is_directory || mode & 0o111 != 0);
                    bits | if runs { 0o111 } else { 0 }
                }
                What::CopyOf(shift) => ((mode >> shift) & 0o7) * 0o111,
            } & edit.who;
            match edit.operation {
                b'+' => mode | bits,
                b'-' => mode & !bits,
                // A directory keeps setuid and setgid, as with chmod.
                _ if is_directory => mode & !(edit.who & !0o6000) | bits,
                _ => mode & !edit.who | bits,
            }
        })
    }
}

/// `[ugoa]*([-+=]([rwxXst]*|[ugo]))+`.
fn clause(text: &str) -> Option<Vec<Edit>> {
    let end = text.find(['+', '-', '='])?;
    let (names, mut rest) = text.split_at(end);
    let mut who = if names.is_empty() { 0o7777 } else { 0 };
    for name in names.bytes() {
        who |= match name {
            b'u' => 0o4700,
            b'g' => 0o2070,
            b'o' => 0o1007,
            b'a' => 0o7777,
            _ => return None,
        };
    }
    let mut edits = Vec::new();
    while let Some(operation) = rest.bytes().next() {
        rest = &rest[1..];
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let (what, behind) = rest.split_at(end);
        rest = behind;
        let what = match what {
            "u" => What::CopyOf(6),
            "g" => What::CopyOf(3),
            "o" => What::CopyOf(0),
            letters => {
                let (mut bits, mut x_if_any) = (0, false);
                for letter in letters.bytes() {
                    match letter {
                        b'r' => bits |= 0o444,
                        b'w' => bits |= 0o222,
                        b'x' => bits |= 0o111,
                        b's' => bits |= 0o6000,
                        b't' => bits |= 0o1000,
                        b'X' => x_if_any = true,
                        _ => return None,
                    }
                }
                What::Bits { bits, x_if_any }
            }
        };
        // `t` is nobody's but the directory's; `u=rw` says nothing about it.
        let who = match what {
            What::Bits { bits, .. } if bits & 0o1000 != 0 => who | 0o1000,
            _ => who & !0o1000,
        };
        edits.push(Edit { who, operation, what });
    }
    (!edits.is_empty()).then_some(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbolic_modes_are_those_of_chmod() {
        fn check(text: &str, before: u32, is_directory: bool, expected: u32) {
            let change = ModeChange::parse(text).unwrap();
            let found = change.apply(before, is_directory);
            assert_eq!(found, expected, "{text} on {before:o}: {found:o}, not {expected:o}");
        }
        check("640", 0o777, true, 0o640);
        check("04755", 0, false, 0o4755);
        check("u=rwX,go=rX", 0o600, false, 0o644);
        check("u=rwX,go=rX", 0o700, false, 0o755);
        check("u=rwX,go=rX", 0o600, true, 0o755);
        check("+x", 0o644, false, 0o755);
        check("-w", 0o666, false, 0o444);
        check("a=", 0o777, false, 0);
        check("g=u", 0o640, false, 0o660);
        check("go-rwx", 0o755, true, 0o700);
        check("u+s", 0o755, false, 0o4755);
        check("g+s", 0o755, true, 0o2755);
        check("+t", 0o777, true, 0o1777);
        check("u+x-w", 0o600, false, 0o500);
        check("u=rw", 0o1777, true, 0o1677);
        check("u=rw", 0o4755, false, 0o655);
        check("g=rx", 0o2775, true, 0o2755);
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for text in ["", "8", "10000", "rwx", "u", "u=rwz", "q+x", "u=r,,g=r", "0x1", "-1"] {
            let error = ModeChange::parse(text).unwrap_err();
            assert!(error.to_string().contains("invalid chmod parameter"), "{text}: {error}");
        }
    }
}
