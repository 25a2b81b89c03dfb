//! The manifests as they are written, once the blobs are.

use cask_image::{
    CompressionChange, Descriptor, Digest, ImageFormat, ImageManifest, Index, LayerChange,
    LayerCompression, MediaType, RawManifest,
};
use cask_layer::Compression;
use cask_transport::{Error, ErrorKind, Measured, Result};

use crate::graph::{ATTESTED, Content, Graph, Taken};
use crate::plan::{ManifestStep, ManifestWork};
use crate::{PartialIndex, Plan};

/// A blob as the destination has it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) measured: Measured,
    /// The compression, where it was looked at.
    pub(crate) compression: Option<Compression>,
}

/// Makes every manifest, in the order of the plan.
pub(crate) fn manifests(
    graph: &Graph,
    plan: &Plan,
    written: &[Option<Written>],
    partial_index: PartialIndex,
    index_types: &[MediaType],
) -> Result<Vec<RawManifest>> {
    let mut made: Vec<RawManifest> = Vec::with_capacity(plan.manifests.len());
    for (node, step) in graph.nodes().iter().zip(&plan.manifests) {
        let raw = match &step.work {
            ManifestWork::Keep => node.raw.clone(),
            ManifestWork::Image { manifest, blobs } => image(manifest, blobs, written)?,
            ManifestWork::Index => index(graph, step, &made, partial_index, index_types)?,
        };
        made.push(raw);
    }
    Ok(made)
}

fn image(
    manifest: &ImageManifest,
    blobs: &[Option<usize>],
    written: &[Option<Written>],
) -> Result<RawManifest> {
    let change = |(layer, place): (&Descriptor, &Option<usize>)| {
        let keep = LayerChange::keep(layer);
        let Some(written) = place.and_then(|place| written[place].as_ref()) else { return keep };
        // The media type was planned; the content has the last word.
        let compression = written
            .compression
            .and_then(layer_compression)
            .map_or(CompressionChange::Keep, CompressionChange::To);
        let Measured { digest, size } = written.measured.clone();
        LayerChange { digest, size, compression, ..keep }
    };
    let changes: Vec<_> = manifest.layers.iter().zip(blobs).map(change).collect();
    let manifest = manifest.with_layers(&changes).map_err(|error| {
        Error::new(ErrorKind::Unsupported, "writing manifest", "").with_source(error)
    })?;
    Ok(manifest.encode())
}

/// What media types call a compression; nothing for those that only reading knows.
pub(crate) fn layer_compression(compression: Compression) -> Option<LayerCompression> {
    match compression {
        Compression::None => Some(LayerCompression::None),
        Compression::Gzip => Some(LayerCompression::Gzip),
        Compression::Zstd => Some(LayerCompression::Zstd),
        _ => None,
    }
}

fn index(
    graph: &Graph,
    step: &ManifestStep,
    made: &[RawManifest],
    partial_index: PartialIndex,
    index_types: &[MediaType],
) -> Result<RawManifest> {
    let place = made.len();
    let Content::Index { index, entries } = &graph.nodes()[place].content else {
        unreachable!("only indexes are rewritten as indexes")
    };
    let mut index = in_format(index, step, index_types)?;
    let new_digest = |old: &Digest| {
        graph.nodes()[..place].iter().zip(made).find_map(|(node, made)| {
            (node.descriptor.digest == *old).then(|| made.digest().clone())
        })
    };
    let strips = partial_index == PartialIndex::Strip;
    let mut kept: Vec<Descriptor> = Vec::with_capacity(entries.len());
    for (entry, taken) in index.manifests.iter().zip(entries) {
        let mut entry = entry.clone();
        match taken {
            Taken::Left if strips => continue,
            Taken::Left | Taken::Blob => {}
            Taken::Node(child) => {
                let child = &made[*child];
                if *child.digest() != entry.digest {
                    entry.data = None;
                }
                entry.media_type = child.media_type().clone();
                entry.digest = child.digest().clone();
                entry.size = child.bytes().len() as u64;
            }
        }
        if let Some(attested) = entry.annotations.get_mut(ATTESTED)
            && let Some(new) = attested.parse().ok().and_then(|old: Digest| new_digest(&old))
        {
            *attested = new.to_string();
        }
        kept.push(entry);
    }
    if kept.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "copying", &step.source.digest)
            .with_detail("nothing of the index was chosen"));
    }
    index.manifests = kept;
    Ok(index.encode())
}

/// The index in a format that the destination holds.
fn in_format(index: &Index, step: &ManifestStep, index_types: &[MediaType]) -> Result<Index> {
    if index_types.contains(&index.format.index_type()) {
        return Ok(index.clone());
    }
    match index.format {
        ImageFormat::Docker => Ok(index.to_oci().manifest),
        ImageFormat::Oci => match index.to_docker(None) {
            Ok(conversion) => Ok(conversion.manifest),
            Err(error) => {
                Err(Error::new(ErrorKind::Unsupported, "converting index", &step.source.digest)
                    .with_source(error))
            }
        },
    }
}
