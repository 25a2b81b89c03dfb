//! Layers of files that have other owners on the disk than in the layer: they are read as a stream, and written anew.

use std::io::{self, PipeWriter};
use std::path::Path;
use std::thread;

use cask_layer::{DiffError, DiffErrorKind, DiffOptions, Diffed, diff_upper};
use cask_rootfs::Root;
use cask_storage::{Id, StageOptions, StagedLayer, Store};

use crate::{Error, ErrorKind, Result};

/// Where the stream of a layer goes.
pub(crate) type LayerOutput = io::BufWriter<PipeWriter>;

/// Takes the stream that `walk` writes as a layer.
pub(crate) fn stage_stream(
    store: &Store,
    subject: &str,
    walk: impl FnOnce(LayerOutput) -> Result<(Diffed, LayerOutput), DiffError> + Send,
) -> Result<StagedLayer> {
    let (reader, writer) = io::pipe()
        .map_err(|error| Error::io(error, "a pipe cannot be made", Path::new(subject)))?;
    let (walked, staged) = thread::scope(|scope| {
        let walking = scope.spawn(move || {
            let output = io::BufWriter::with_capacity(1 << 18, writer);
            let (diffed, output) = walk(output)?;
            // What is left of it is written here, so that it is not lost silently.
            let ended = output.into_inner().map(drop);
            Ok::<_, DiffError>((diffed, ended.is_ok()))
        });
        let staged = store.stage_layer(reader, &StageOptions::default());
        let walked = walking.join();
        (walked.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), staged)
    });
    match (walked, staged) {
        // Then it is the other side that failed.
        (Err(error), Err(staged)) if error.kind() == DiffErrorKind::Write => {
            Err(Error::storage(staged, subject))
        }
        (Err(error), _) => {
            Err(Error::new(ErrorKind::Io, subject, "cannot be read").with_source(error))
        }
        (Ok(_), Err(error)) => Err(Error::storage(error, subject)),
        (Ok((_, false)), Ok(_)) => {
            Err(Error::new(ErrorKind::Io, subject, "the end of the layer was lost"))
        }
        (Ok((_, true)), Ok(staged)) => Ok(staged),
    }
}

/// Takes what was written upon a layer as one, with the owners that the maps of the options say.
pub(crate) fn stage_upper(
    store: &Store,
    parent: Option<&Id>,
    files: &Root,
    options: &DiffOptions,
    subject: &str,
) -> Result<StagedLayer> {
    let storage = |error| Error::storage(error, subject);
    let chain = match parent {
        Some(parent) => store.layer_chain(parent).map_err(storage)?,
        None => Vec::new(),
    };
    let below = chain.iter().map(|layer| store.layer_files(&layer.id));
    let below = below.collect::<cask_storage::Result<Vec<_>>>().map_err(storage)?;
    stage_stream(store, subject, |output| diff_upper(files, &below, output, options))
}
