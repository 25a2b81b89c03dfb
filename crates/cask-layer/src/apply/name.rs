//! From the name of a member to a path in the root.

use super::{ApplyError, ApplyErrorKind};

/// What begins the name of a whiteout.
pub(super) const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// What marks a directory as opaque.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What begins the names of AUFS's own files.
const AUFS_PREFIX: &[u8] = b".wh..wh.";

/// Puts the path of a name into `path`: no leading slash, no empty component, no `.` and no `..`,
/// which stops at the root. Empty for the root itself.
pub(super) fn clean(name: &[u8], path: &mut Vec<u8>) -> Result<(), ApplyError> {
    path.clear();
    let invalid = |detail| Err(ApplyError::new(ApplyErrorKind::InvalidLayer, name, detail));
    if name.contains(&0) {
        return invalid("its name holds a NUL byte");
    }
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                path.truncate(parent);
            }
            _ if component.len() > 255 => {
                return invalid("a part of its name is longer than 255 bytes");
            }
            _ => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(component);
            }
        }
    }
    if path.len() > 4095 {
        return invalid("its name is longer than 4095 bytes");
    }
    Ok(())
}

/// What a name says about older layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whiteout<'n> {
    /// Nothing: the name is a name.
    None,
    /// That this name is deleted.
    Deleted(&'n [u8]),
    /// That everything in the directory is deleted.
    Opaque,
    /// Nothing that is of use: AUFS's own book-keeping.
    Aufs,
    /// That something is deleted which cannot be: no name, `.` or `..`.
    Invalid,
}

/// Reads the last component of a path.
pub(super) fn whiteout(last: &[u8]) -> Whiteout<'_> {
    match last.strip_prefix(WHITEOUT_PREFIX) {
        None => Whiteout::None,
        Some(_) if last == OPAQUE => Whiteout::Opaque,
        Some(_) if last.starts_with(AUFS_PREFIX) => Whiteout::Aufs,
        Some(b"" | b"." | b"..") => Whiteout::Invalid,
        Some(name) => Whiteout::Deleted(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_in_the_root() {
        let check = |name: &str, expected: Option<&str>| {
            let mut path = b"rest".to_vec();
            let found = clean(name.as_bytes(), &mut path).ok().map(|()| path);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{name:?}");
        };
        check("a/b", Some("a/b"));
        check("./a//b/", Some("a/b"));
        check("/a", Some("a"));
        check("../../a", Some("a"));
        check("/../a", Some("a"));
        check("a/../../b", Some("b"));
        check("a/b/../c", Some("a/c"));
        check("a/..", Some(""));
        check("...", Some("..."));
        for root in ["", ".", "./", "/", "..", "//./.."] {
            check(root, Some(""));
        }
        check("a\0b", None);
        check(&"a".repeat(255), Some(&"a".repeat(255)));
        check(&"a".repeat(256), None);
        check(&"a/".repeat(2048), Some("a/".repeat(2048).trim_end_matches('/')));
        check(&"a/".repeat(2049), None);
    }

    #[test]
    fn whiteouts_are_told_by_their_last_name() {
        let check = |last: &str, expected| {
            assert_eq!(whiteout(last.as_bytes()), expected, "{last:?}");
        };
        check("foo", Whiteout::None);
        check(".whfoo", Whiteout::None);
        check(".wh.foo", Whiteout::Deleted(b"foo"));
        check(".wh..foo", Whiteout::Deleted(b".foo"));
        check(".wh..wh..opq", Whiteout::Opaque);
        check(".wh..wh.plnk", Whiteout::Aufs);
        check(".wh.", Whiteout::Invalid);
        check(".wh..", Whiteout::Invalid);
        check(".wh...", Whiteout::Invalid);
    }
}
