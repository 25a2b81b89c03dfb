//! Layers made of what a container has written.

use cask_layer::{DiffOptions, FileTimes};

use super::open;
use super::recorded::record;
use crate::cache::not_found;
use crate::driver::copy;
use crate::staged::{StagedLayer, Staging};
use crate::{DriverKind, Id, Result, Store};

/// Whose the files of a container are once a layer was made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Taking {
    /// The container goes on with its files; the layer has copies, which share their blocks where the file system
    /// can do that.
    #[default]
    Copy,
    /// The container is removed before anybody writes to it again: the layer has the same files by other names,
    /// and nothing is copied. Where the container is mounted, or files get other times, they are copied all the
    /// same.
    Link,
}

impl Store {
    /// Makes a layer of what was written to the layer of a container, ready for
    /// [`commit_image`](Store::commit_image): files are read once, for the digests and for the recipe of the tar
    /// stream.
    ///
    /// The container stays as it is. What is written to it meanwhile is in the layer or is not.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for the layer or one below it; as [`WorkingLayer::stage`](super::WorkingLayer::stage).
    pub fn stage_changes(
        &self,
        id: &Id,
        options: &DiffOptions,
        taking: Taking,
    ) -> Result<StagedLayer> {
        let is_mounted = || Ok(self.mounts()?.iter().any(|mounted| mounted.layer == *id));
        let keeps_times = options.times == FileTimes::Keep;
        let can_link = keeps_times && self.driver() == DriverKind::Overlay;
        if taking == Taking::Link && can_link && !is_mounted()? {
            let staged = self.stage_files(id, options, taking)?;
            if !is_mounted()? {
                return Ok(staged);
            }
        }
        // With a mount somebody writes to it, whatever the caller thinks.
        self.stage_files(id, options, Taking::Copy)
    }

    fn stage_files(&self, id: &Id, options: &DiffOptions, taking: Taking) -> Result<StagedLayer> {
        self.check_writable()?;
        let inner = &self.inner;
        let chain = self.layer_chain(id)?;
        let Some((own, below)) = chain.split_first() else {
            return Err(not_found("finding layer", id));
        };
        let staging = Staging::begin(inner)?;
        let from = inner.places[own.place].layer_files(id);
        let rootless = self.options().rootless;
        let files = match self.driver() {
            DriverKind::Overlay => staging.directory.join("diff"),
            DriverKind::Vfs => staging.directory.join("tree"),
        };
        match (self.driver(), taking) {
            // Its processes may go on writing.
            (DriverKind::Vfs, _) => copy::living(&from, &files, rootless, false)?,
            (DriverKind::Overlay, Taking::Copy) => copy::living(&from, &files, rootless, true)?,
            (DriverKind::Overlay, Taking::Link) => copy::linked(&from, &files, rootless)?,
        }
        let lowers = below.iter().map(|layer| self.layer_files(&layer.id));
        let lowers = lowers.collect::<Result<Vec<_>>>()?;
        let facts = record(self.driver(), &open(&files)?, &lowers, options, &staging.tar_split)?;
        let tree = (self.driver() == DriverKind::Vfs).then_some(files);
        Ok(staging.finish(tree, facts))
    }
}
