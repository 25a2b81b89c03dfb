//! Owners and permissions as the layers have them, where the disk cannot.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::sync::OnceLock;

use cask_layer::{MemberKind, MemberLimits, Members, TarSplitEntry, TarSplitReader, member_path};
use cask_storage::{Id, Store};

use super::Status;
use crate::{Error, ErrorKind, Result};

/// The most members of the recipes of one view; as many as a layer may have.
const MAX_MEMBERS: usize = 5_000_000;

/// What the recipes of some layers say, read when it is first asked for.
pub(super) struct Recorded {
    store: Store,
    /// The newest first; one, or with vfs the whole chain.
    layers: Vec<Id>,
    entries: OnceLock<Option<HashMap<Box<[u8]>, Owner>>>,
}

#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Recorded {
    pub(super) fn new(store: Store, layers: Vec<Id>) -> Self {
        Self { store, layers, entries: OnceLock::new() }
    }

    /// Puts what the layer has in the place of what the disk has.
    pub(super) fn apply(&self, path: &[u8], status: &mut Status) -> Result<()> {
        if self.entries.get().is_none() {
            let read = self.read()?;
            // Whoever was first has read the same.
            let _ = self.entries.set(read);
        }
        let Some(entries) = self.entries.get().and_then(Option::as_ref) else { return Ok(()) };
        match entries.get(path) {
            Some(owner) => {
                (status.uid, status.gid) = (owner.uid, owner.gid);
                if status.kind != cask_rootfs::Kind::Symlink {
                    status.mode = owner.mode;
                }
            }
            None => (status.uid, status.gid) = (0, 0),
        }
        Ok(())
    }

    /// `None` where a layer has no recipe.
    fn read(&self) -> Result<Option<HashMap<Box<[u8]>, Owner>>> {
        let mut entries = HashMap::new();
        for layer in &self.layers {
            let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
                let detail = "the recipe of its stream cannot be read";
                Error::new(ErrorKind::Storage, format!("layer {}", layer.short()), detail)
                    .with_source(error)
            };
            let recipe = self.store.layer_recipe(layer).map_err(|error| failed(error.into()))?;
            let Some(recipe) = recipe else { return Ok(None) };
            let mut of_layer = HashMap::new();
            read_layer(recipe, &mut of_layer).map_err(|error| failed(error.into()))?;
            if entries.len() + of_layer.len() > MAX_MEMBERS {
                let detail = format!("has more than {MAX_MEMBERS} members");
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!("layer {}", layer.short()),
                    detail,
                ));
            }
            for (path, owner) in of_layer {
                entries.entry(path).or_insert(owner);
            }
        }
        Ok(Some(entries))
    }
}

fn read_layer<R: Read>(
    recipe: TarSplitReader<R>,
    entries: &mut HashMap<Box<[u8]>, Owner>,
) -> io::Result<()> {
    let stream = Hollow { recipe, segment: Vec::new(), at: 0, zeros: 0 };
    let mut members = Members::new(stream, MemberLimits::default());
    while let Some(entry) = members.next_member().map_err(io::Error::other)? {
        let member = entry.member;
        let path = member_path(&member.name);
        let owner = Owner {
            uid: u32::try_from(member.uid).unwrap_or(0),
            gid: u32::try_from(member.gid).unwrap_or(0),
            mode: member.mode & 0o7777,
        };
        match member.kind {
            MemberKind::GlobalHeader | MemberKind::Other(_) => {}
            MemberKind::HardLink => {
                // It is what it is another name of.
                let target = entries.get(member_path(&member.link_name).as_slice()).copied();
                entries.insert(path.into(), target.unwrap_or(owner));
            }
            _ => {
                entries.insert(path.into(), owner);
            }
        }
    }
    Ok(())
}

/// A tar stream with nothing but zeros in its files.
struct Hollow<R> {
    recipe: TarSplitReader<R>,
    segment: Vec<u8>,
    at: usize,
    zeros: u64,
}

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl<R: Read> BufRead for Hollow<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.segment.len() && self.zeros == 0 {
            match self.recipe.next_entry().map_err(io::Error::other)? {
                None => return Ok(&[]),
                Some(TarSplitEntry::Segment(bytes)) => {
                    self.segment = bytes;
                    self.at = 0;
                }
                Some(TarSplitEntry::File { size_bytes, .. }) => self.zeros = size_bytes,
                Some(_) => {}
            }
        }
        if self.at < self.segment.len() {
            return Ok(&self.segment[self.at..]);
        }
        let room = usize::try_from(self.zeros).unwrap_or(usize::MAX).min(ZEROS.len());
        Ok(&ZEROS[..room])
    }

    fn consume(&mut self, count: usize) {
        if self.at < self.segment.len() {
            self.at = (self.at + count).min(self.segment.len());
        } else {
            self.zeros = self.zeros.saturating_sub(count as u64);
        }
    }
}

impl<R: Read> Read for Hollow<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(output.len());
        output[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
