//! Names of members: made comparable, and refused where they lead out of the archive.

/// The longest name of a member, and of a link's target, in bytes.
pub const MAX_NAME_BYTES: usize = 4096;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadName(pub(crate) &'static str);

/// A name without what does not change its meaning: `./`, doubled and trailing slashes.
///
/// The name of the archive's root (`./`) gives an empty name.
///
/// # Errors
/// Absolute names, `..`, NUL bytes and names longer than [`MAX_NAME_BYTES`].
pub(crate) fn normalised(name: &[u8]) -> Result<Box<[u8]>, BadName> {
    if name.len() > MAX_NAME_BYTES {
        return Err(BadName("a name has more than 4096 bytes"));
    }
    if name.contains(&0) {
        return Err(BadName("a name contains a NUL byte"));
    }
    if name.first() == Some(&b'/') {
        return Err(BadName("the name is absolute"));
    }
    let mut clean = Vec::with_capacity(name.len());
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(BadName("the name contains \"..\"")),
            _ => push(&mut clean, component),
        }
    }
    Ok(clean.into())
}

/// Where a symbolic link leads: its target, seen from the directory that holds the link.
///
/// # Errors
/// Targets outside the archive, NUL bytes, and targets that are too long.
pub(crate) fn link_target(link: &[u8], target: &[u8]) -> Result<Box<[u8]>, BadName> {
    if target.len() > MAX_NAME_BYTES {
        return Err(BadName("the link's target has more than 4096 bytes"));
    }
    if target.contains(&0) {
        return Err(BadName("the link's target contains a NUL byte"));
    }
    if target.first() == Some(&b'/') {
        return Err(BadName("the link's target is absolute"));
    }
    let mut path = parent(link).to_vec();
    for component in target.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if path.is_empty() => return Err(BadName("the link leads out of the archive")),
            b".." => path.truncate(parent(&path).len()),
            _ => push(&mut path, component),
        }
    }
    Ok(path.into())
}

/// The directory of a normalised name; empty at the root.
fn parent(name: &[u8]) -> &[u8] {
    name.iter().rposition(|byte| *byte == b'/').map_or(&[], |slash| &name[..slash])
}

fn push(path: &mut Vec<u8>, component: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(component);
}

/// Whether `name` lies below `directory`; both normalised.
pub(crate) fn is_below(name: &[u8], directory: &[u8]) -> bool {
    name.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// Orders names so that a directory comes right before everything below it.
pub(crate) fn compare(left: &[u8], right: &[u8]) -> std::cmp::Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    left.iter().map(key).cmp(right.iter().map(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_comparable_or_refused() {
        let check = |name: &[u8], expected: Option<&[u8]>| {
            let found = normalised(name);
            assert_eq!(found.as_deref().ok(), expected, "{}", String::from_utf8_lossy(name));
        };
        check(b"a", Some(b"a"));
        check(b"./a//b/./c/", Some(b"a/b/c"));
        check(b"./", Some(b""));
        check(b"", Some(b""));
        check(b"a..b/...", Some(b"a..b/..."));
        check(b"\xff\n", Some(b"\xff\n"));
        check(b"/a", None);
        check(b"//a", None);
        check(b"..", None);
        check(b"a/../b", None);
        check(b"a/..", None);
        check(b"a\0b", None);
        check(&[b'a'; MAX_NAME_BYTES], Some(&[b'a'; MAX_NAME_BYTES]));
        check(&[b'a'; MAX_NAME_BYTES + 1], None);
    }

    #[test]
    fn links_stay_inside() {
        let check = |link: &[u8], target: &[u8], expected: Option<&[u8]>| {
            assert_eq!(link_target(link, target).as_deref().ok(), expected);
        };
        check(b"id/layer.tar", b"../x.tar", Some(b"x.tar"));
        check(b"id/layer.tar", b"x.tar", Some(b"id/x.tar"));
        check(b"a/b/c", b"../../d/./e", Some(b"d/e"));
        check(b"a/b/c", b"../../..", None);
        check(b"a", b"../a", None);
        check(b"a", b"/etc/passwd", None);
        check(b"a", b"b\0", None);
        check(b"a", &[b'b'; MAX_NAME_BYTES + 1], None);
    }

    #[test]
    fn a_directory_sorts_right_before_its_content() {
        let mut names: [&[u8]; 5] = [b"a-b", b"a/b", b"a", b"a.tar", b"a/a/x"];
        names.sort_by(|left, right| compare(left, right));
        assert_eq!(names, [b"a" as &[u8], b"a/a/x", b"a/b", b"a-b", b"a.tar"]);
    }
}
