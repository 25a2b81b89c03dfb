//! Files copied into working containers.

use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use cask_image::Digest;
use cask_layer::{ApplyErrorKind, ApplyOptions, IdMaps, apply};
use cask_rootfs::Root;
use cask_storage::Image;

use super::{WorkingContainer, WorkingContainers};
use crate::context::Context;
use crate::copy::{CopyRequest, CopyTools, WriteOptions, prepare};
use crate::view::View;
use crate::working::state::Kind;
use crate::{Error, ErrorKind, Result};

/// How many bytes are handed over at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// What was copied into a working container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The digest of all that decides what was copied.
    pub digest: Digest,
    /// `file`, `dir` or `multi`: what history says before the digest.
    pub kind: &'static str,
    /// What the user is to be told.
    pub warnings: Vec<String>,
}

/// The files of this machine as a context: nothing hides any of them.
///
/// # Errors
/// [`ErrorKind::Io`].
pub fn machine_context() -> Result<Arc<Context>> {
    let root = Root::open("/")
        .map_err(|error| Error::new(ErrorKind::Io, "/", "cannot be opened").with_source(error))?;
    Ok(Arc::new(Context::local("this machine".to_owned(), root, None).keeping_privileges()))
}

impl WorkingContainers {
    /// The files of an image as a context, to be copied as they are.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn image_context(&self, image: &Image, name: &str) -> Result<Arc<Context>> {
        let view = View::of_store(&self.store, image.top_layer.as_ref())?;
        Ok(Arc::new(Context::of_view(name, view)))
    }
}

impl WorkingContainer {
    /// Its files as a context, to be copied as they are.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`].
    pub fn context(&self) -> Result<Arc<Context>> {
        let view = View::of_store(&self.store, Some(self.layer()?))?;
        let view = match (self.is_mapped(), self.is_upon_copy()?) {
            (false, _) => view,
            // The layers of the image have the owners that the image says.
            (true, false) => view.mapped(&self.users().of_layers(), 1),
            (true, true) => view.mapped(&self.users().of_layers(), usize::MAX),
        };
        Ok(Arc::new(Context::of_view(self.name(), view)))
    }

    /// Copies files into the container, by the rules of COPY, or of ADD. An empty destination is
    /// the container's working directory.
    ///
    /// # Errors
    /// As [`prepare`] and [`Prepared::write`](crate::Prepared::write); [`ErrorKind::Storage`].
    pub fn copy(
        &self,
        request: &CopyRequest,
        tools: &CopyTools<'_>,
        options: &WriteOptions,
    ) -> Result<Copied> {
        let files = self.files()?;
        let maps = self.users().of_layers();
        let view = View::of_root(files.root()?).named(self.name());
        let view = if self.is_mapped() { view.mapped(&maps, 1) } else { view };
        let to = (&files.root()?, maps);
        let copied = self.write_copy(request, tools, options, view, to)?;
        Ok(copied.0)
    }

    /// Copies files into a directory, and says where in it they are; `view` is what they come upon.
    pub(super) fn write_copy(
        &self,
        request: &CopyRequest,
        tools: &CopyTools<'_>,
        options: &WriteOptions,
        view: View,
        (root, maps): (&Root, IdMaps),
    ) -> Result<(Copied, String)> {
        let mut request = request.clone();
        self.state
            .execution_text(Kind::Oci, "WorkingDir")
            .clone_into(&mut request.working_directory);
        if request.destination.is_empty() {
            "./".clone_into(&mut request.destination);
        }
        let prepared = prepare(&request, tools)?;
        let (reader, writer) = io::pipe()
            .map_err(|error| Error::io(error, "a pipe cannot be made", Path::new(self.name())))?;
        let (written, applied) = thread::scope(|scope| {
            let prepared = &prepared;
            let writing = scope.spawn(move || {
                let output = BufWriter::with_capacity(BLOCK_BYTES, writer);
                prepared.write(&view, tools, options, output)
            });
            let mut extraction = ApplyOptions::default();
            extraction.user_namespace = self.store.options().rootless;
            extraction.id_maps = maps;
            let reader = BufReader::with_capacity(BLOCK_BYTES, reader);
            let applied = apply(reader, root, &extraction, ());
            let written = writing.join();
            (written.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), applied)
        });
        let subject = format!("the files of container {}", self.name());
        let written = match (written, applied) {
            (Ok(written), Ok(_)) => written,
            (Err(error), Ok(_)) => return Err(error),
            (Ok(_), Err(error)) => {
                return Err(
                    Error::new(ErrorKind::Io, subject, "cannot be written").with_source(error)
                );
            }
            // Of two errors one follows from the other: a stream that ends early tells nothing.
            (Err(error), Err(applied)) => {
                return Err(match applied.kind() {
                    ApplyErrorKind::NoSpace | ApplyErrorKind::Denied | ApplyErrorKind::Io => {
                        Error::new(ErrorKind::Io, subject, "cannot be written").with_source(applied)
                    }
                    _ => error,
                });
            }
        };
        let copied = Copied {
            digest: prepared.digest().clone(),
            kind: prepared.kind(),
            warnings: prepared
                .warnings()
                .iter()
                .cloned()
                .chain(prepared.lost_exceptions().iter().map(ToString::to_string))
                .collect(),
        };
        Ok((copied, written.destination))
    }
}
