//! The list of blobs: each once, however many manifests name it.

use cask_image::{Descriptor, Digest};
use cask_transport::{BlobKind, Error, ErrorKind, Have, Result};

use super::Decider;
use crate::LayersWanted;
use crate::plan::{BlobAction, BlobStep};
use crate::transform::Target;

/// What makes two steps the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BlobKey {
    digest: Digest,
    action: BlobAction,
    target: Option<Target>,
}

impl Decider<'_> {
    pub(super) fn add_copy(&mut self, blob: &Descriptor, kind: BlobKind) -> Result<usize> {
        self.add_blob(copy_step(blob.clone(), kind))
    }

    /// Adds a blob unless the same is done with it already, and tells its place.
    ///
    /// # Errors
    /// `SizeMismatch` or `Corrupt` if two manifests say different things of it: it is read, and
    /// compared, once.
    pub(super) fn add_blob(&mut self, step: BlobStep) -> Result<usize> {
        let digest = step.source.digest.clone();
        let key = BlobKey { digest, action: step.action, target: step.target };
        let blobs = &mut self.decided.blobs;
        let Some(place) = self.known.get(&key) else {
            self.known.insert(key, blobs.len());
            blobs.push(step);
            return Ok(blobs.len() - 1);
        };
        check_same(&blobs[*place], &step)?;
        if blobs[*place].wanted != step.wanted {
            // What one of them takes instead, the other may not.
            blobs[*place].wanted = LayersWanted::Keep;
        }
        Ok(*place)
    }
}

fn check_same(known: &BlobStep, other: &BlobStep) -> Result<()> {
    let fail = |kind, detail: String| {
        Err(Error::new(kind, "reading manifests that name blob", &known.source.digest)
            .with_detail(detail))
    };
    let (one, two) = (known.source.size, other.source.size);
    if one != two {
        let detail = format!("one says that it has {one} bytes, and another {two}");
        return fail(ErrorKind::SizeMismatch, detail);
    }
    if let (BlobKind::Layer { diff_id: Some(one) }, BlobKind::Layer { diff_id: Some(two) }) =
        (&known.kind, &other.kind)
        && one.algorithm() == two.algorithm()
        && one != two
    {
        let detail = format!("one says that its DiffID is {one}, and another {two}");
        return fail(ErrorKind::Corrupt, detail);
    }
    Ok(())
}

/// A blob that is copied as it is.
pub(super) fn copy_step(source: Descriptor, kind: BlobKind) -> BlobStep {
    BlobStep {
        source,
        kind,
        action: BlobAction::Copy,
        reason: String::new(),
        have: Have::Missing,
        target: None,
        made: None,
        tried: None,
        wanted: LayersWanted::AsDestinationWants,
    }
}
