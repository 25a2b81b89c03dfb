//! A root directory in memory, to which a layer is applied.

use std::collections::BTreeMap;
use std::io;

use cask_layer::{Member, MemberKind};

type Path = Vec<Vec<u8>>;

/// Every name but the root's, by its path without links.
#[derive(Debug, Default)]
pub(crate) struct Model(BTreeMap<Path, Node>);

#[derive(Clone, Debug)]
enum Node {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Other,
}

/// Parts of a name as podman cleans it.
pub(crate) fn clean(name: &[u8]) -> Path {
    let mut path = Path::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(path.pop()),
            part => path.push(part.to_vec()),
        }
    }
    path
}

impl Model {
    /// Opens a file by its name, which must be its path: the field's tools would follow links out
    /// of the layer.
    pub(crate) fn open(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        match self.0.get(&clean(name)) {
            Some(Node::File(data)) => Ok(data.clone()),
            found => Err(io::Error::other(format!("{}: {found:?}", name.escape_ascii()))),
        }
    }

    pub(crate) fn damage(&mut self, name: &str, data: &[u8]) {
        self.0.insert(clean(name.as_bytes()), Node::File(data.to_vec()));
    }

    pub(crate) fn apply(&mut self, member: &Member, data: Vec<u8>) {
        let mut parts = clean(&member.name);
        let Some(last) = parts.pop() else { return };
        let node = match member.kind {
            MemberKind::File => Node::File(data),
            MemberKind::Directory => Node::Directory,
            MemberKind::Symlink => Node::Symlink(member.link_name.clone()),
            MemberKind::HardLink => {
                let mut target = clean(&member.link_name);
                let Some(last) = target.pop() else { return };
                let Some(mut path) = self.resolve(target, false) else { return };
                path.push(last);
                match self.0.get(&path) {
                    Some(Node::Directory) | None => return,
                    Some(found) => found.clone(),
                }
            }
            MemberKind::GlobalHeader | MemberKind::Other(_) => return,
            _ => Node::Other,
        };
        let Some(mut path) = self.resolve(parts, true) else { return };
        match last.strip_prefix(b".wh.") {
            Some(rest) => {
                path.push(rest.to_vec());
                self.0.entry(path).or_insert(Node::Other);
            }
            None => {
                path.push(last);
                self.put(path, node);
            }
        }
    }

    fn put(&mut self, path: Path, node: Node) {
        if let (Some(Node::Directory), Node::Directory) = (self.0.get(&path), &node) {
            return;
        }
        self.0.retain(|other, _| !other.starts_with(&path));
        self.0.insert(path, node);
    }

    /// Where a directory is; it may be made.
    fn resolve(&mut self, parts: Path, make: bool) -> Option<Path> {
        let mut path = Path::new();
        let mut ahead: Path = parts.into_iter().rev().collect();
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            match &part[..] {
                b"" | b"." => continue,
                b".." => {
                    path.pop();
                    continue;
                }
                _ => path.push(part),
            }
            match self.0.get(&path) {
                Some(Node::Symlink(target)) => {
                    links += 1;
                    if links > 40 {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        path.clear();
                    } else {
                        path.pop();
                    }
                    ahead.extend(target.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec));
                }
                Some(Node::Directory) => {}
                _ if make => self.put(path.clone(), Node::Directory),
                _ => return None,
            }
        }
        Some(path)
    }
}
