//! What the destination's answers change.

use cask_image::{Descriptor, Index, LayerCompression};
use cask_transport::{Capabilities, Have, LayerForm};

use crate::graph::{Content, Graph, Taken};
use crate::plan::{BlobStep, ManifestStep, ManifestWork};
use crate::transform::layer_compression;
use crate::{CopyOptions, LayersWanted, Plan};

/// Takes layers in another compression for those that were asked for, where no manifest is harmed
/// by it; elsewhere they count as missing.
pub(crate) fn accept_equivalents(
    plan: &mut Plan,
    graph: &Graph,
    capabilities: &Capabilities,
    options: &CopyOptions,
    is_fixed: bool,
) {
    let refers = graph.nodes().iter().any(|node| node.is_referrer);
    for blob in 0..plan.blobs.len() {
        let Have::Equivalent(other) = plan.blobs[blob].have.clone() else { continue };
        let compression = other
            .media_type
            .layer_compression()
            .filter(|_| !is_fixed && !refers)
            .filter(|found| is_wanted(*found, &plan.blobs[blob], capabilities, options))
            .filter(|found| plan.manifests.iter().all(|step| can_name(step, blob, *found)));
        if compression.is_none() {
            plan.blobs[blob].have = Have::Missing;
            continue;
        }
        for step in &mut plan.manifests {
            name_instead(step, blob, &other);
        }
    }
    for (place, node) in graph.nodes().iter().enumerate() {
        let Content::Index { index, entries } = &node.content else { continue };
        let changed = changed_entries(index, entries, &plan.manifests[..place]);
        let step = &mut plan.manifests[place];
        if let (false, ManifestWork::Index(work)) = (changed.is_empty(), &mut step.work) {
            work.is_rewritten = true;
        }
        for change in changed {
            if !step.changes.contains(&change) {
                step.changes.push(change);
            }
        }
    }
}

/// Why an index changes: those of its entries that do. `decided` are the manifests before it.
pub(crate) fn changed_entries(
    index: &Index,
    entries: &[Taken],
    decided: &[ManifestStep],
) -> Vec<String> {
    let is_changed = |taken: &Taken| match taken {
        Taken::Node(place) => !decided[*place].changes.is_empty(),
        Taken::Blob | Taken::Left => false,
    };
    let entries = index.manifests.iter().zip(entries).filter(|(_, taken)| is_changed(taken));
    entries.map(|(entry, _)| format!("{} changes", entry.digest)).collect()
}

/// Whether the options and the place allow a layer in the compression in which it is there.
fn is_wanted(
    found: LayerCompression,
    step: &BlobStep,
    capabilities: &Capabilities,
    options: &CopyOptions,
) -> bool {
    let is_plain = found == LayerCompression::None;
    let fits_place = match capabilities.layer_form {
        LayerForm::Uncompressed => is_plain,
        LayerForm::Compressed => !is_plain || options.layers.wanted == LayersWanted::Decompress,
        LayerForm::AsGiven => true,
    };
    let fits_wish = match options.layers.wanted {
        LayersWanted::AsDestinationWants => true,
        LayersWanted::Keep => false,
        LayersWanted::Compress(wanted) => found == layer_compression(wanted),
        LayersWanted::CompressPlain(_) => !is_plain,
        LayersWanted::Decompress => is_plain,
    };
    // What is in no known form cannot be the same as something else.
    fits_place && fits_wish && step.source.media_type.layer_compression().is_some()
}

/// Whether a manifest has a media type for the blob in another compression.
fn can_name(step: &ManifestStep, blob: usize, found: LayerCompression) -> bool {
    match &step.work {
        ManifestWork::Image(work) => {
            let mut layers = work.manifest.layers.iter().zip(&work.layers);
            layers.all(|(layer, at)| {
                at.blob != blob
                    || work.manifest.format.layer_type(&layer.media_type, found).is_some()
            })
        }
        ManifestWork::Keep { blobs } => !blobs.contains(&blob),
        ManifestWork::Index(_) => true,
    }
}

fn name_instead(step: &mut ManifestStep, blob: usize, other: &Descriptor) {
    let ManifestWork::Image(work) = &mut step.work else { return };
    for (layer, at) in work.manifest.layers.iter().zip(&mut work.layers) {
        if at.blob != blob || layer.digest == other.digest {
            continue;
        }
        at.is_changed = true;
        work.is_rewritten = true;
        let change = format!("the destination has {} as {}", layer.digest, other.digest);
        if !step.changes.contains(&change) {
            step.changes.push(change);
        }
    }
}
