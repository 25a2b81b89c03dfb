//! Several layers as one.
//!
//! Nothing is mounted: what the layers have names for is taken from the view of all of them, and
//! what is gone from the view of those below becomes a whiteout.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};

use cask_layer::{MemberKind, MemberWriter, NewMember};
use cask_storage::Id;

use super::copy_step::stage_written;
use super::engine::Engine;
use super::headers::{headers, unreadable};
use super::request::LayerMode;
use super::state::StageState;
use crate::cache::{Found, LayerFact, Record};
use crate::key::KeyParts;
use crate::output::FileOptions;
use crate::view::{Status, View, Walker, join, parent_and_name};
use crate::{Error, ErrorKind, Result};

/// What a name in a layer begins with that says that another one is gone.
const WHITEOUT: &[u8] = b".wh.";

/// The name that says that nothing older in its directory is to be seen.
const OPAQUE: &[u8] = b".wh..wh..opq";

impl Engine {
    /// Makes one layer of those that are new in a stage, or of all.
    pub(crate) fn squash(&self, state: &StageState, mode: LayerMode) -> Result<StageState> {
        let keep = if mode == LayerMode::SquashAll { 0 } else { state.stage_layers };
        let mut squashed = state.clone();
        if state.layers.len() > keep + 1 {
            let new = self.squashed_layer(state, keep)?;
            squashed.layers.truncate(keep);
            squashed.config.diff_ids.truncate(keep);
            squashed.push_layer(&new);
        }
        if mode == LayerMode::SquashAll {
            // As with buildah, what the base was made by is not told of a layer that is all of it.
            let base = squashed.base_history.min(squashed.config.history.len());
            squashed.config.history.drain(..base);
            squashed.base_history = 0;
            if squashed.config.history.is_empty() && !squashed.layers.is_empty() {
                let base = state.base.as_ref().map(|base| format!("FROM {}", base.name));
                squashed.push_history(String::new(), base.unwrap_or_default(), false);
            }
        }
        let has_layer = squashed.layers.len() > keep;
        let from = if mode == LayerMode::SquashAll { 0 } else { state.stage_history };
        let history = squashed.config.history.get_mut(from..).unwrap_or_default();
        history.iter_mut().for_each(|entry| entry.empty_layer = true);
        if let Some(last) = history.last_mut().filter(|_| has_layer) {
            last.empty_layer = false;
        }
        Ok(squashed)
    }

    fn squashed_layer(&self, state: &StageState, keep: usize) -> Result<LayerFact> {
        let below = keep.checked_sub(1).map(|last| &state.layers[last].0);
        let mut parts = KeyParts::new("squash");
        parts.add("parent", below.map_or("scratch", Id::as_str));
        parts.add("layers", state.files_key());
        let store = &self.tools.store;
        if let Found::Record(record) = self.cache.find(&parts.key())
            && let (Some(layer), Some(id)) = (record.layer(), record.layer_id())
            && matches!(store.layer(&id), Ok(Some(_)))
        {
            return Ok(layer);
        }
        let squash = Squash {
            full: View::of_store(store, state.top())?,
            base: View::of_store(store, below)?,
            names: BTreeSet::new(),
        };
        let new: Vec<Id> = state.layers[keep..].iter().map(|(id, _)| id.clone()).collect();
        let names = squash.names(self, &new)?;
        let squash = Squash { names, ..squash };
        let staged = stage_written(store, &self.cancel, |output| {
            squash.write(FileOptions::default(), output)
        })?;
        let layer = LayerFact {
            diff_id: staged.diff_digest().clone(),
            size_bytes: staged.diff_size_bytes(),
        };
        let storage = |error| Error::storage(error, "the squashed layer");
        store.commit_layer(below, staged).map_err(storage)?;
        let mut record = Record::new(&parts, below, Some(&layer));
        record.text = "squash".to_owned();
        record.date = state.date;
        if let Err(error) = self.cache.put(&record) {
            self.warn(None, format!("the squashed layer cannot be kept for later: {error}"));
        }
        Ok(layer)
    }
}

/// Writes all files of a view as a tar archive, sorted by name.
pub(crate) fn write_tree(view: &View, options: FileOptions, output: &mut dyn Write) -> Result<()> {
    let mut names = BTreeSet::new();
    add_below(&mut view.walker(), Vec::new(), &mut names)?;
    names.remove(&Vec::new());
    Squash { full: view.clone(), base: View::scratch(), names }.write(options, output)
}

struct Squash {
    full: View,
    base: View,
    /// Everything that may differ between the two.
    names: BTreeSet<Vec<u8>>,
}

impl Squash {
    /// Every name that the layers have, with those that they hide.
    fn names(&self, engine: &Engine, layers: &[Id]) -> Result<BTreeSet<Vec<u8>>> {
        let mut names = BTreeSet::new();
        let mut hidden = BTreeSet::new();
        for id in layers {
            let mut members = headers(&engine.tools.store, id)?;
            while let Some(entry) = members.next_member().map_err(|e| unreadable(id, e))? {
                let member = entry.member;
                let path = clean(&member.name);
                let (parent, name) = parent_and_name(&path);
                if name == OPAQUE {
                    hidden.insert(parent.to_vec());
                } else if let Some(gone) = name.strip_prefix(WHITEOUT) {
                    hidden.insert(join(parent, gone));
                } else {
                    if member.kind != MemberKind::Directory {
                        hidden.insert(path.clone());
                    }
                    names.insert(path);
                }
            }
        }
        let mut walker = self.base.walker();
        for path in hidden {
            // What is in a directory that is hidden may be gone, or have come again.
            add_below(&mut walker, path, &mut names)?;
        }
        let parents: Vec<Vec<u8>> = names.iter().flat_map(|path| parents(path)).collect();
        names.extend(parents);
        names.remove(&Vec::new());
        Ok(names)
    }

    fn write(&self, options: FileOptions, output: &mut dyn Write) -> Result<()> {
        let mut writing = Writing {
            options,
            full: self.full.walker(),
            base: self.base.walker(),
            output: MemberWriter::new(output),
            first_names: HashMap::new(),
        };
        self.names.iter().try_for_each(|path| writing.entry(path))?;
        writing.output.finish().map_err(|error| unwritten(b"", error))?;
        Ok(())
    }
}

/// A name of a layer without `./`, a leading and a trailing `/`.
fn clean(name: &[u8]) -> Vec<u8> {
    let parts = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts.collect::<Vec<_>>().join(&b'/')
}

fn parents(path: &[u8]) -> Vec<Vec<u8>> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| path[..at].to_vec()).collect()
}

/// Adds a path and all that is below it, where there is something.
fn add_below(walker: &mut Walker, path: Vec<u8>, names: &mut BTreeSet<Vec<u8>>) -> Result<()> {
    let mut waiting = vec![path];
    while let Some(path) = waiting.pop() {
        if let Some(inside) = walker.names(&path)? {
            use std::os::unix::ffi::OsStrExt;
            waiting.extend(inside.iter().map(|name| join(&path, name.as_bytes())));
        }
        names.insert(path);
    }
    Ok(())
}

struct Writing<'a> {
    options: FileOptions,
    full: Walker,
    base: Walker,
    output: MemberWriter<&'a mut dyn Write>,
    /// By device and number: the first name of what has several.
    first_names: HashMap<(u64, u64), Vec<u8>>,
}

impl Writing<'_> {
    fn entry(&mut self, path: &[u8]) -> Result<()> {
        match self.full.status(path)? {
            Some(status) => self.file(path, &status),
            None => self.whiteout(path),
        }
    }

    fn whiteout(&mut self, path: &[u8]) -> Result<()> {
        let (parent, name) = parent_and_name(path);
        let has_parent = parent.is_empty()
            || self.full.status(parent)?.is_some_and(|status| status.is_directory());
        if !has_parent || self.base.status(path)?.is_none() {
            return Ok(());
        }
        let mut member = NewMember::default();
        member.name = join(parent, &[WHITEOUT, name].concat());
        self.output.member(&member).map_err(|error| unwritten(path, error))
    }

    fn file(&mut self, path: &[u8], status: &Status) -> Result<()> {
        let mut member = NewMember::default();
        member.name = path.to_vec();
        (member.uid, member.gid) = self.options.owner.unwrap_or((status.uid, status.gid));
        member.mode = status.mode;
        member.seconds = self.options.date.unwrap_or(status.modified.seconds);
        let failed = |error| unwritten(path, error);
        if status.links > 1 && !status.is_directory() {
            let file = (status.device, status.inode);
            if let Some(first) = self.first_names.get(&file) {
                member.kind = MemberKind::HardLink;
                member.link_name.clone_from(first);
                return self.output.member(&member).map_err(failed);
            }
            self.first_names.insert(file, path.to_vec());
        }
        member.xattrs = self.full.xattrs(path)?;
        // A layer has no sockets.
        let Some(kind) = MemberKind::of(status.kind) else { return Ok(()) };
        member.kind = kind;
        match member.kind {
            MemberKind::Directory => member.name.push(b'/'),
            MemberKind::Symlink => member.link_name = self.full.read_link(path)?,
            MemberKind::CharacterDevice | MemberKind::BlockDevice => {
                (member.device_major, member.device_minor) =
                    (status.device_major, status.device_minor);
            }
            MemberKind::File => member.size_bytes = status.size_bytes,
            _ => {}
        }
        self.output.member(&member).map_err(failed)?;
        if member.kind == MemberKind::File {
            let mut file = io::Read::take(self.full.open(path)?, status.size_bytes);
            io::copy(&mut file, &mut self.output).map_err(failed)?;
        }
        Ok(())
    }
}

fn unwritten(path: &[u8], error: io::Error) -> Error {
    Error::new(ErrorKind::Io, crate::view::shown(path), "cannot be written").with_source(error)
}
