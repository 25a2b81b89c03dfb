//! What the destination's answers change.

use std::collections::HashSet;

use cask_image::{Descriptor, Index, LayerCompression};
use cask_layer::Level;
use cask_transport::{Capabilities, Have, LayerForm};

use crate::graph::{Content, Graph, Taken};
use crate::plan::{BlobStep, ManifestStep, ManifestWork};
use crate::transform::{Form, Target, layer_compression};
use crate::{LayersWanted, Plan};

/// Takes layers in another compression for those that were asked for, where no manifest is harmed
/// by it; elsewhere they count as missing.
pub(crate) fn accept_equivalents(
    plan: &mut Plan,
    graph: &Graph,
    capabilities: &Capabilities,
    is_fixed: bool,
) {
    let uses = Uses::of(plan);
    let refers = graph.nodes().iter().any(|node| node.is_referrer);
    let mut is_any_taken = false;
    for blob in 0..plan.blobs.len() {
        let other = match plan.blobs[blob].have.clone() {
            Have::Equivalent(other) | Have::MountableEquivalent { other, .. } => other,
            _ => continue,
        };
        let is_taken = !is_fixed
            && !refers
            && other.media_type.layer_compression().is_some_and(|found| {
                is_wanted(found, &plan.blobs[blob], capabilities)
                    && uses.can_all_name(plan, blob, found)
            });
        if is_taken {
            uses.name_instead(plan, blob, &other);
            is_any_taken = true;
        } else {
            plan.blobs[blob].have = Have::Missing;
        }
    }
    if is_any_taken {
        follow_in_indexes(plan, graph);
    }
}

/// Has indexes change whose entries do.
fn follow_in_indexes(plan: &mut Plan, graph: &Graph) {
    for (place, node) in graph.nodes().iter().enumerate() {
        let Content::Index { index, entries } = &node.content else { continue };
        let changed = changed_entries(index, entries, &plan.manifests[..place]);
        let step = &mut plan.manifests[place];
        if let (false, ManifestWork::Index(work)) = (changed.is_empty(), &mut step.work) {
            work.is_rewritten = true;
        }
        let known: HashSet<String> = step.changes.iter().cloned().collect();
        step.changes.extend(changed.into_iter().filter(|change| !known.contains(change)));
    }
}

/// Which layers of which manifests each blob is.
struct Uses {
    /// The places of a manifest and of a layer in it.
    layers: Vec<Vec<(usize, usize)>>,
    /// Named by a manifest that stays as it is.
    is_pinned: Vec<bool>,
}

impl Uses {
    fn of(plan: &Plan) -> Self {
        let mut uses = Self {
            layers: vec![Vec::new(); plan.blobs.len()],
            is_pinned: vec![false; plan.blobs.len()],
        };
        for (place, step) in plan.manifests.iter().enumerate() {
            match &step.work {
                ManifestWork::Keep { blobs } => {
                    blobs.iter().for_each(|blob| uses.is_pinned[*blob] = true);
                }
                ManifestWork::Image(work) => {
                    for (layer, at) in work.layers.iter().enumerate() {
                        uses.layers[at.blob].push((place, layer));
                    }
                }
                ManifestWork::Index(_) => {}
            }
        }
        uses
    }

    /// Whether every manifest has a media type for a blob in another compression.
    fn can_all_name(&self, plan: &Plan, blob: usize, found: LayerCompression) -> bool {
        let can_name = |(place, layer): &(usize, usize)| match &plan.manifests[*place].work {
            ManifestWork::Image(work) => {
                let layer = &work.manifest.layers[*layer];
                work.manifest.format.layer_type(&layer.media_type, found).is_some()
            }
            ManifestWork::Keep { .. } | ManifestWork::Index(_) => false,
        };
        !self.is_pinned[blob] && self.layers[blob].iter().all(can_name)
    }

    fn name_instead(&self, plan: &mut Plan, blob: usize, other: &Descriptor) {
        let mut told = None;
        for (place, layer) in &self.layers[blob] {
            let step = &mut plan.manifests[*place];
            let ManifestWork::Image(work) = &mut step.work else { continue };
            let was = &work.manifest.layers[*layer].digest;
            if *was == other.digest {
                continue;
            }
            let change = format!("the destination has {was} as {}", other.digest);
            work.layers[*layer].is_changed = true;
            work.is_rewritten = true;
            if told.replace(*place) != Some(*place) {
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
fn is_wanted(found: LayerCompression, step: &BlobStep, capabilities: &Capabilities) -> bool {
    let is_asked = step.wanted != LayersWanted::AsDestinationWants;
    // What is there has no table of contents, as far as anybody knows.
    if is_asked && matches!(step.target, Some(Target::Compressed { form: Form::Chunked, .. })) {
        return false;
    }
    // At which level what is there was compressed, nobody knows.
    if is_asked && matches!(step.target, Some(Target::Compressed { level: Level::Exact(_), .. })) {
        return false;
    }
    let is_plain = found == LayerCompression::None;
    let fits_place = match capabilities.layer_form {
        LayerForm::Uncompressed => is_plain,
        LayerForm::Compressed => !is_plain || step.wanted == LayersWanted::Decompress,
        LayerForm::AsGiven => true,
    };
    let fits_wish = match step.wanted {
        LayersWanted::AsDestinationWants => true,
        LayersWanted::Keep => false,
        LayersWanted::Compress(wanted) => found == layer_compression(wanted),
        LayersWanted::CompressPlain(_) => !is_plain,
        LayersWanted::Decompress => is_plain,
    };
    // What is in no known form cannot be the same as something else.
    fits_place && fits_wish && step.source.media_type.layer_compression().is_some()
}
