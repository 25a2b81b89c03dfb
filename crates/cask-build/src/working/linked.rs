//! Layers of their own, for what is copied with `--link`: files lie beside the container's until it becomes an image.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cask_image::Timestamp;
use cask_layer::{IdMaps, diff_tree};
use cask_rootfs::Root;
use cask_storage::StagedLayer;
use serde_json::{Value, json};

use super::copy::Copied;
use super::state::State;
use super::{CommitOptions, WorkingContainer};
use crate::copy::{CopyRequest, CopyTools, WriteOptions};
use crate::view::View;
use crate::{Error, ErrorKind, Result};

/// Where a state lists them.
///
/// Source: buildah, `buildah.go`, `Builder`.
const LINKED: &str = "AppendedLinkedLayers";

/// A layer of an image that comes behind the container's own, and what the history says of it.
pub(super) type ExtraLayer = (StagedLayer, Value);

impl WorkingContainer {
    /// Copies files into a layer of their own, which comes behind that of the container when it becomes an image; the
    /// container does not see them.
    ///
    /// Source: buildah, `add.go`, `Add`.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub fn copy_linked(
        &mut self,
        request: &CopyRequest,
        tools: &CopyTools<'_>,
        options: &WriteOptions,
    ) -> Result<Copied> {
        let mut request = request.clone();
        request.link = true;
        let place = self.store.container_directory(self.id());
        let failed = |error| Error::io(error, "a directory for a layer cannot be made", &place);
        let directory = tempfile::Builder::new().prefix("link-stage-").tempdir_in(&place);
        let directory = directory.map_err(failed)?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).map_err(failed)?;
        let root = open(directory.path())?;
        let (copied, destination) = {
            let files = self.files()?;
            // It is asked for names of owners alone.
            let view = View::of_root(files.root()?).named(self.name());
            self.write_copy(&request, tools, options, view, (&root, IdMaps::default()))?
        };
        let verb = if request.add.as_ref().is_some_and(|add| add.unpack != Some(false)) {
            "ADD"
        } else {
            "COPY"
        };
        let Copied { kind, digest, .. } = &copied;
        let digest = digest.hex();
        let text = format!("/bin/sh -c #(nop) {verb} --link {kind}:{digest} in {destination} ");
        let created = Timestamp::from_unix(options.created_seconds, 0).ok_or_else(|| {
            let detail = "is a date outside of the years 0 to 9999";
            Error::new(ErrorKind::Invalid, options.created_seconds, detail)
        })?;
        let entry = json!({
            "History": {"created": created.to_string(), "created_by": text},
            "BlobPath": directory.path().to_string_lossy(),
        });
        self.update(|state| {
            let mut all = linked(state);
            all.push(entry);
            state.set(LINKED, Value::Array(all));
            Ok(())
        })?;
        // From now on it goes when the container does.
        let _ = directory.keep();
        Ok(copied)
    }

    /// The layers that were copied so, by whichever program.
    pub(super) fn stage_linked_copies(&self, options: &CommitOptions) -> Result<Vec<ExtraLayer>> {
        let all = linked(&self.state);
        if options.squash && !all.is_empty() {
            let detail = "has layers of its own, which --link made: leave --squash out";
            return Err(Error::new(ErrorKind::Invalid, self.name(), detail));
        }
        all.iter().map(|entry| self.stage_one(entry, options)).collect()
    }

    fn stage_one(&self, entry: &Value, options: &CommitOptions) -> Result<ExtraLayer> {
        let history = entry.get("History").cloned().unwrap_or_else(|| json!({}));
        let path = entry.get("BlobPath").and_then(Value::as_str).unwrap_or_default();
        let path = Path::new(path);
        // Who writes the state could name any directory of the machine.
        let place = |path: &Path| path.canonicalize().ok();
        let own = place(&self.store.container_directory(self.id()));
        let found = place(path);
        if own.is_none() || found.as_deref().and_then(Path::parent) != own.as_deref() {
            let detail = "is not a directory of the container, and no layer of it";
            return Err(Error::new(ErrorKind::Storage, path.display(), detail));
        }
        let root = open(path)?;
        let diff = super::commit::diff_options(options);
        let staged = self.stage(|output| diff_tree(&root, output, &diff))?;
        Ok((staged, history))
    }
}

fn open(path: &Path) -> Result<Root> {
    Root::open(path).map_err(|error| {
        Error::new(ErrorKind::Io, path.display(), "cannot be opened").with_source(error)
    })
}

fn linked(state: &State) -> Vec<Value> {
    state.value(LINKED).and_then(Value::as_array).cloned().unwrap_or_default()
}
