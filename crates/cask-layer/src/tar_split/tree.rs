//! What a layer's members make of its root directory, as far as payloads are concerned.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;

use crate::{Member, MemberKind};

/// The most names of one layer. A layer of the field has at most a few hundred thousand.
const MAX_NODES: usize = 1 << 24;

/// The most symbolic links in the way to one name, as in the kernel.
const MAX_LINKS: usize = 40;

/// The longest path and the longest name that the kernel takes, in bytes.
const MAX_PATH_BYTES: usize = 4095;
const MAX_NAME_BYTES: usize = 255;

const ROOT: usize = 0;

/// The names of a layer so far. Replays what applying them does: later members replace earlier
/// ones, paths go through the layer's own symbolic links, within its root.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    free: Vec<usize>,
    /// Keyed hashes of the names, cleaned, that have an entry.
    seen: HashSet<u128>,
    keys: [RandomState; 2],
}

#[derive(Debug)]
enum Node {
    Directory(HashMap<Box<[u8]>, usize>),
    /// A file whose contents are those of this tar-split entry.
    File(u64),
    Symlink(Box<[u8]>),
    Other,
}

/// What to do with a member.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Whether the member gets an entry of its own.
    pub(crate) listed: bool,
    /// Whether its payload is not going to be in a file of its name, and must be a segment.
    pub(crate) inline: bool,
    /// The files, and their entries, that the member is about to replace.
    pub(crate) lost: Vec<(Vec<u8>, u64)>,
}

/// Where the last part of a name is.
struct Found {
    directory: usize,
    /// The way there, without links.
    path: Vec<Box<[u8]>>,
    through_link: bool,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::Directory(HashMap::new())],
            free: Vec::new(),
            seen: HashSet::new(),
            keys: [RandomState::new(), RandomState::new()],
        }
    }

    /// Takes in the next member, whose entry, if it gets one, will be number `entry`.
    ///
    /// A payload is odd, and becomes a segment, if its file cannot be found by its name
    /// afterwards: sparse files, absolute names and those with `..`, names through symbolic
    /// links, names given before, whiteouts with contents, what is no regular file.
    pub(crate) fn take(&mut self, member: &Member, entry: u64) -> io::Result<Verdict> {
        let mut verdict = Verdict::default();
        let has_payload = member.stream_size_bytes > 0;
        let (mut parts, unclean) = clean(&member.name);
        let too_long = member.name.len() > MAX_PATH_BYTES
            || parts.iter().any(|part| part.len() > MAX_NAME_BYTES);
        let first = self.seen.insert(self.key(&parts));
        let last = parts.pop();
        let whiteout = last.is_some_and(|last| last.starts_with(b".wh."));
        let found = match last {
            Some(_) if !too_long && changes(member.kind) => {
                self.resolve(&parts, Some(&mut verdict.lost))?
            }
            _ => None,
        };
        let odd = unclean
            || whiteout
            || member.sparse.is_some()
            || member.kind != MemberKind::File
            || found.as_ref().is_none_or(|found| found.through_link);
        verdict.inline = has_payload && (odd || !first);
        verdict.listed = first && !verdict.inline;
        let (Some(found), Some(last)) = (found, last) else { return Ok(verdict) };
        if whiteout {
            // What the layer brings itself stays.
            let name = &last[4..];
            if !name.starts_with(b".wh.") && self.child(found.directory, name).is_none() {
                self.replace(&found, name, Node::Other, &mut verdict.lost)?;
            }
            return Ok(verdict);
        }
        let node = match member.kind {
            MemberKind::Directory => {
                let existing = self.child(found.directory, last);
                if existing.is_some_and(|node| matches!(self.nodes[node], Node::Directory(_))) {
                    return Ok(verdict);
                }
                Node::Directory(HashMap::new())
            }
            MemberKind::File if has_payload && !verdict.inline => Node::File(entry),
            MemberKind::Symlink => Node::Symlink(member.link_name.as_slice().into()),
            MemberKind::HardLink => match self.linked(&member.link_name)? {
                Some(node) => node,
                // Applying fails.
                None => return Ok(verdict),
            },
            _ => Node::Other,
        };
        self.replace(&found, last, node, &mut verdict.lost)?;
        Ok(verdict)
    }

    fn key(&self, parts: &[&[u8]]) -> u128 {
        let [first, second] = self.keys.each_ref().map(|key| u128::from(key.hash_one(parts)));
        first << 64 | second
    }

    fn child(&self, directory: usize, name: &[u8]) -> Option<usize> {
        match &self.nodes[directory] {
            Node::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    /// What a hard link makes, if its target is there: another name of a symbolic link is one too.
    fn linked(&mut self, target: &[u8]) -> io::Result<Option<Node>> {
        let (mut parts, _) = clean(target);
        let Some(last) = parts.pop() else { return Ok(None) };
        let Some(found) = self.resolve(&parts, None)? else { return Ok(None) };
        let node = self.child(found.directory, last).map(|node| &self.nodes[node]);
        Ok(match node {
            Some(Node::Symlink(target)) => Some(Node::Symlink(target.clone())),
            Some(Node::File(_) | Node::Other) => Some(Node::Other),
            Some(Node::Directory(_)) | None => None,
        })
    }

    /// Goes to a directory. What is missing is made and what is none replaced, if there is a list
    /// for what gets lost. Nothing if there is none, or if there are too many links.
    fn resolve(
        &mut self,
        parts: &[&[u8]],
        mut lost: Option<&mut Vec<(Vec<u8>, u64)>>,
    ) -> io::Result<Option<Found>> {
        let mut found = Found { directory: ROOT, path: Vec::new(), through_link: false };
        let mut way: Vec<usize> = Vec::new();
        let mut ahead: Vec<Box<[u8]>> = parts.iter().rev().map(|&part| part.into()).collect();
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    found.directory = way.pop().unwrap_or(ROOT);
                    found.path.pop();
                    continue;
                }
                _ => {}
            }
            let child = self.child(found.directory, &part);
            if let Some(Node::Symlink(target)) = child.map(|child| &self.nodes[child]) {
                links += 1;
                found.through_link = true;
                if links > MAX_LINKS || target.len() > MAX_PATH_BYTES {
                    return Ok(None);
                }
                if target.starts_with(b"/") {
                    found.directory = ROOT;
                    found.path.clear();
                    way.clear();
                }
                ahead.extend(target.split(|&byte| byte == b'/').rev().map(Box::from));
                continue;
            }
            let next = match child {
                Some(child) if matches!(self.nodes[child], Node::Directory(_)) => child,
                _ => match &mut lost {
                    Some(lost) => {
                        self.replace(&found, &part, Node::Directory(HashMap::new()), lost)?
                    }
                    None => return Ok(None),
                },
            };
            way.push(found.directory);
            found.directory = next;
            found.path.push(part);
        }
        Ok(Some(found))
    }

    /// Puts a node into a directory, in place of what is there.
    fn replace(
        &mut self,
        found: &Found,
        name: &[u8],
        node: Node,
        lost: &mut Vec<(Vec<u8>, u64)>,
    ) -> io::Result<usize> {
        if let Some(existing) = self.child(found.directory, name) {
            let old = std::mem::replace(&mut self.nodes[existing], node);
            let mut path = found.path.join(&b'/');
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            self.lose(path, old, lost);
            return Ok(existing);
        }
        let index = match self.free.pop() {
            Some(index) => {
                self.nodes[index] = node;
                index
            }
            None if self.nodes.len() < MAX_NODES => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
            None => {
                let text = format!("more than {MAX_NODES} names in one layer");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        };
        if let Node::Directory(children) = &mut self.nodes[found.directory] {
            children.insert(name.into(), index);
        }
        Ok(index)
    }

    /// Notes the files among a node that is gone and all below it.
    fn lose(&mut self, path: Vec<u8>, node: Node, lost: &mut Vec<(Vec<u8>, u64)>) {
        let mut ahead = vec![(path, node)];
        while let Some((path, node)) = ahead.pop() {
            match node {
                Node::File(entry) => lost.push((path, entry)),
                Node::Directory(children) => {
                    for (name, index) in children {
                        let child = std::mem::replace(&mut self.nodes[index], Node::Other);
                        self.free.push(index);
                        ahead.push(([path.as_slice(), b"/", &name].concat(), child));
                    }
                }
                Node::Symlink(_) | Node::Other => {}
            }
        }
    }
}

/// Whether applying a member of this kind changes the tree.
fn changes(kind: MemberKind) -> bool {
    !matches!(kind, MemberKind::GlobalHeader | MemberKind::Other(_))
}

/// The parts of a name, without `.` and `..`, and whether it had `..` or a `/` in front.
pub(crate) fn clean(name: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut parts = Vec::new();
    let mut unclean = name.starts_with(b"/");
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                unclean = true;
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    (parts, unclean)
}

/// The path that a member's name, or the target of its hard link, stands for: relative to the root, without `.`, empty
/// parts and `..`, which stops at the root. Empty for the root itself.
pub fn member_path(name: &[u8]) -> Vec<u8> {
    clean(name).0.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(text: &str) -> Member {
        let (kind, rest) = text.split_at(1);
        let (name, link) = rest.split_once('>').unwrap_or((rest, ""));
        Member {
            name: name.into(),
            link_name: link.into(),
            kind: MemberKind::of_flag(kind.as_bytes()[0]),
            stream_size_bytes: u64::from(kind == "0"),
            ..Member::default()
        }
    }

    /// Each member with its verdict: `f` for an entry, `s` for a segment, `-` for neither.
    fn check(members: &str, verdicts: &str, lost: &[(&str, u64)]) {
        let mut tree = Tree::new();
        let mut found = String::new();
        let mut gone = Vec::new();
        for (entry, text) in (0..).zip(members.split(' ')) {
            let verdict = tree.take(&member(text), entry).unwrap();
            found.push(match (verdict.listed, verdict.inline) {
                (true, false) => 'f',
                (false, true) => 's',
                (false, false) => '-',
                (true, true) => panic!("both"),
            });
            for (path, entry) in verdict.lost {
                gone.push((String::from_utf8(path).unwrap(), entry));
            }
        }
        gone.sort();
        let lost: Vec<_> = lost.iter().map(|&(path, entry)| (path.to_owned(), entry)).collect();
        assert_eq!((found.as_str(), gone), (verdicts, lost), "{members}");
    }

    #[test]
    fn usual_layers_have_entries_only() {
        check("5. 5etc/ 0etc/a 2etc/b>a 1etc/c>etc/a 0./usr/d 3dev/null", "fffffff", &[]);
        check("0etc/.wh.a 0a/.wh..wh..opq", "ss", &[]);
    }

    #[test]
    fn names_outside_are_segments() {
        check("0../a 0/b 0c/../d 5/e", "sssf", &[]);
    }

    #[test]
    fn names_through_links_are_segments_and_replace_what_they_reach() {
        check("0d/f 2a>d 0a/f", "ffs", &[("d/f", 0)]);
        check("0d/f 2x/a>/d 0x/a/f", "ffs", &[("d/f", 0)]);
        check("0d/f 2x/a>../../d/. 0x/a/f", "ffs", &[("d/f", 0)]);
        check("0d/f 2a>d 1b>a 0b/f", "fffs", &[("d/f", 0)]);
        check("2a>a 0a/f", "fs", &[]);
    }

    #[test]
    fn names_given_twice_are_segments_both() {
        check("0a 0a", "fs", &[("a", 0)]);
        check("0a 0./a", "fs", &[("a", 0)]);
        check("5a 5a/", "f-", &[]);
        check("0a 0a 0a", "fss", &[("a", 0)]);
    }

    #[test]
    fn what_replaces_a_directory_loses_its_files() {
        check("0a/b 0a/c/d 2a>x", "fff", &[("a/b", 0), ("a/c/d", 1)]);
        check("0a/b 5a 0a/.wh.b 0.wh.a 5.wh..wh.a", "ffssf", &[]);
        check("0a 0a/b", "ff", &[("a", 0)]);
        check("0a 5a 0a/b", "f-f", &[("a", 0)]);
    }
}
