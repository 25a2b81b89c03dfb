//! WORKDIR: a directory of the image.

use cask_containerfile::Behavior;
use cask_containerfile::instruction::Workdir;
use cask_layer::{MemberKind, MemberWriter, NewMember};
use cask_storage::StageOptions;

use super::request::LayerMode;
use super::stage::{Ground, Layered, Made, StageRun};
use crate::view::{View, parent_and_name};
use crate::{Error, ErrorKind, Result, config};

impl StageRun<'_> {
    /// Goes to a directory, and makes it where it does not exist.
    pub(crate) fn workdir(&mut self, workdir: &Workdir) -> Result<Layered> {
        let path = self.expand(&workdir.path.text)?;
        let path = config::working_directory(&self.state.config.config.working_dir, &path);
        self.state.config.config.working_dir.clone_from(&path);
        let text = format!("WORKDIR {path}");
        if path == "/" {
            self.note(&text, false);
            return Ok(Layered::nothing());
        }
        if !self.dialect().does(Behavior::WorkdirMakesLayer) {
            self.note(&text, false);
            let user = self.state.config.config.user.clone();
            let made = self.directory_without_layer(&path, &user)?;
            if self.engine.request.image.layers == LayerMode::Each {
                self.state.pending.working = Some(path);
            }
            return Ok(made);
        }
        let user = self.state.config.config.user.clone();
        let mut parts = self.key_parts("WORKDIR");
        parts.add("path", &path).add("user", &user);
        let mut layered =
            self.layered(&parts, Ground::Stage, |run| run.make_directory(&path, &user))?;
        if layered.layer_bytes.is_none() {
            layered.cache = super::event::CacheOutcome::NotNeeded;
        }
        self.note_as(text, layered.layer_bytes.is_some());
        Ok(layered)
    }

    /// Makes the directory of a WORKDIR or a VOLUME that is no layer of its own.
    ///
    /// Where all layers become one, it is made at once. Where each instruction is a layer, the next one
    /// that changes files has it: the caller notes it as pending.
    ///
    /// Source: buildah, whose working container has it, which is made anew from every step's image.
    pub(crate) fn directory_without_layer(&mut self, path: &str, user: &str) -> Result<Layered> {
        if self.engine.request.image.layers == LayerMode::Each {
            return Ok(Layered::nothing());
        }
        let mut parts = self.key_parts("WORKDIR");
        parts.add("path", path).add("user", user);
        let mut layered =
            self.layered(&parts, Ground::Stage, |run| run.make_directory(path, user))?;
        if layered.layer_bytes.is_none() {
            layered.cache = super::event::CacheOutcome::NotNeeded;
        }
        Ok(layered)
    }

    fn make_directory(&mut self, path: &str, user: &str) -> Result<Made> {
        let store = &self.engine.tools.store;
        let view = View::of_store(store, self.state.top())?;
        let nothing = Made { staged: None, date: self.state.date, cpu: Default::default() };
        let found = view.resolve(path)?;
        match found.status {
            Some(status) if status.is_directory() => return Ok(nothing),
            Some(_) => {
                let detail = "it is in the image, and is not a directory";
                return Err(Error::new(ErrorKind::Invalid, path, detail));
            }
            None => {}
        }
        let owner = if user.is_empty() { (0, 0) } else { view.owner(user)? };
        let tar = directories(&view, &found.path, owner, self.state.date)?;
        let staged = store.stage_layer(&*tar, &StageOptions::default());
        let staged = staged.map_err(|error| Error::storage(error, "the new layer"))?;
        Ok(Made { staged: Some(staged), ..nothing })
    }
}

/// The layer that makes a directory, and those above it that are missing: those that are there are
/// in it as they are.
fn directories(view: &View, path: &[u8], owner: (u32, u32), date: i64) -> Result<Vec<u8>> {
    let mut walker = view.walker();
    let mut all: Vec<&[u8]> = Vec::new();
    let mut next = path;
    while !next.is_empty() {
        all.push(next);
        next = parent_and_name(next).0;
    }
    let mut writer = MemberWriter::new(Vec::new());
    for path in all.into_iter().rev() {
        let mut member = NewMember::default();
        member.name = [path, b"/"].concat();
        member.kind = MemberKind::Directory;
        match walker.status(path)? {
            Some(status) => {
                (member.mode, member.uid, member.gid) = (status.mode, status.uid, status.gid);
                member.seconds = status.modified.seconds;
                member.xattrs = walker.xattrs(path)?;
            }
            None => {
                member.mode = 0o755;
                (member.uid, member.gid) = owner;
                member.seconds = date;
            }
        }
        writer.member(&member).map_err(|error| unwritten(path, error))?;
    }
    writer.finish().map_err(|error| unwritten(path, error))
}

fn unwritten(path: &[u8], error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, crate::view::shown(path), "it cannot be written").with_source(error)
}
