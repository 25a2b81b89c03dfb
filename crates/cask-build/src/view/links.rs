//! From a path to what it leads to.

use cask_rootfs::Kind;

use crate::{Error, ErrorKind, Result};

/// The most links on the way to one file; the kernel's number.
const MAX_LINKS: usize = 40;

/// What is at a path that has no links in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Of a symbolic link.
    pub(crate) target: Vec<u8>,
}

/// Where a path leads. Paths in it have no links, no `.`, no `..` and no leading `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// To this.
    Found(Vec<u8>),
    /// Nowhere; it would be here.
    Missing(Vec<u8>),
    /// Through this, which is no directory.
    Blocked(Vec<u8>),
}

/// Follows a path from the root of a tree, of which `lookup` tells what is where.
///
/// Nothing leads out of the tree: absolute links begin at its root, and `..` stops there.
pub(crate) fn resolve(
    path: &[u8],
    follow_last: bool,
    mut lookup: impl FnMut(&[u8]) -> Result<Option<Node>>,
) -> Result<Resolution> {
    let mut pending: Vec<Vec<u8>> = Vec::new();
    push(&mut pending, path);
    let mut here: Vec<u8> = Vec::new();
    let mut links = 0;
    while let Some(component) = pending.pop() {
        if component == b".." {
            up(&mut here);
            continue;
        }
        let next = join(&here, &component);
        let Some(node) = lookup(&next)? else {
            here = next;
            while let Some(component) = pending.pop() {
                match component.as_slice() {
                    b".." => up(&mut here),
                    component => here = join(&here, component),
                }
            }
            return Ok(Resolution::Missing(here));
        };
        match node.kind {
            Kind::Directory => here = next,
            Kind::Symlink if pending.is_empty() && !follow_last => {
                return Ok(Resolution::Found(next));
            }
            Kind::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    let detail = "too many levels of symbolic links";
                    return Err(Error::new(ErrorKind::Invalid, super::shown(path), detail));
                }
                if node.target.first() == Some(&b'/') {
                    here.clear();
                }
                push(&mut pending, &node.target);
            }
            _ if pending.is_empty() => return Ok(Resolution::Found(next)),
            _ => return Ok(Resolution::Blocked(next)),
        }
    }
    Ok(Resolution::Found(here))
}

/// Puts the components of a path upon the others, the first on top.
fn push(pending: &mut Vec<Vec<u8>>, path: &[u8]) {
    let components = path.split(|byte| *byte == b'/');
    let real = components.filter(|component| !matches!(*component, b"" | b"."));
    let mut real: Vec<_> = real.map(<[u8]>::to_vec).collect();
    real.reverse();
    pending.append(&mut real);
}

fn up(path: &mut Vec<u8>) {
    let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    path.truncate(parent);
}

/// A name below a directory.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match (directory.is_empty(), name.is_empty()) {
        (true, _) => name.to_vec(),
        (_, true) => directory.to_vec(),
        _ => [directory, b"/", name].concat(),
    }
}

/// Splits a path before its last name, which is empty for the root.
pub(crate) fn parent_and_name(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &[u8]) -> Result<Option<Node>> {
        let link = |target: &str| Some((Kind::Symlink, target.to_owned()));
        let found = match path {
            b"d" | b"d/e" => Some((Kind::Directory, String::new())),
            b"f" | b"d/e/f" => Some((Kind::File, String::new())),
            b"absolute" => link("/d/e"),
            b"d/up" => link("../../../d"),
            b"dangling" => link("/w/t"),
            b"one" => link("two"),
            b"two" => link("one"),
            b"chain" => link("absolute/../up/e/f"),
            _ => None,
        };
        Ok(found.map(|(kind, target)| Node { kind, target: target.into_bytes() }))
    }

    #[test]
    fn links_stay_in_the_tree() {
        let check = |path: &str, expected: Resolution| {
            assert_eq!(resolve(path.as_bytes(), true, tree).unwrap(), expected, "{path}");
        };
        let found = |path: &str| Resolution::Found(path.into());
        let missing = |path: &str| Resolution::Missing(path.into());
        check("", found(""));
        check("/../..", found(""));
        check("f", found("f"));
        check("f/", found("f"));
        check("./d//e/.", found("d/e"));
        check("absolute/f", found("d/e/f"));
        check("d/up/e", found("d/e"));
        check("chain", found("d/e/f"));
        check("dangling", missing("w/t"));
        check("dangling/x/../y", missing("w/t/y"));
        check("nothing/../d", missing("d"));
        check("f/x", Resolution::Blocked(b"f".to_vec()));
        check("absolute/../../../../f", found("f"));
        assert_eq!(resolve(b"one", true, tree).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(resolve(b"absolute", false, tree).unwrap(), found("absolute"));
    }
}
