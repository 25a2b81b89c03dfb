//! Deciding what happens to each manifest and blob.

mod blobs;
mod fixed;
mod format;
mod image;
mod index;
mod layer;
#[cfg(test)]
mod layer_tests;
mod reuse;
mod schema1;

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use cask_image::{Digest, MediaType};
use cask_layer::Compression;
use cask_transport::{Capabilities, Error, ErrorKind, ManifestRole, Result, VerifiedSource};

use crate::graph::{Content, Graph, Node};
use crate::held::HeldLayers;
use crate::plan::{BlobStep, ManifestStep, ManifestWork};
use crate::{CopyOptions, LayerOptions};

use blobs::BlobKey;
pub(crate) use fixed::Fixed;
use fixed::Refusal;
pub(crate) use format::other as other_format;
pub(crate) use image::{conversion_error, has_layers};
pub(crate) use reuse::accept_equivalents;

/// How many bytes of configs one operation may hold: 256 MiB.
pub const MAX_TOTAL_CONFIG_BYTES: u64 = 256 << 20;

/// Decides step by step; the lists grow in the order in which things are written.
pub(crate) struct Decider<'a> {
    source: &'a VerifiedSource,
    graph: &'a Graph,
    capabilities: &'a Capabilities,
    /// The destination's scheme.
    destination: &'a str,
    options: &'a CopyOptions,
    fixed: Option<Fixed>,
    held: &'a HeldLayers,
    decided: Decided,
    /// Which blob of the source, treated how, stands where in the list.
    known: HashMap<BlobKey, usize>,
    /// Configs that were read: images in two compressions share theirs.
    configs: HashMap<Digest, Bytes>,
    config_room: Room,
    /// Manifests whose digests change.
    changed: HashSet<Digest>,
    warned: HashSet<String>,
}

/// What was decided.
#[derive(Default)]
pub(crate) struct Decided {
    pub(crate) manifests: Vec<ManifestStep>,
    pub(crate) blobs: Vec<BlobStep>,
    pub(crate) warnings: Vec<String>,
}

/// Decides everything about a graph.
///
/// # Errors
/// `Unsupported` where the destination cannot hold something, or only by a change that is excluded;
/// `Corrupt` for configs that contradict their manifests; what reading configs says.
pub(crate) async fn decide(
    source: &VerifiedSource,
    graph: &Graph,
    (capabilities, destination): (&Capabilities, &str),
    options: &CopyOptions,
    fixed: Option<Fixed>,
    held: &HeldLayers,
) -> Result<Decided> {
    let mut decider = Decider {
        source,
        graph,
        capabilities,
        destination,
        options,
        fixed,
        held,
        decided: Decided::default(),
        known: HashMap::new(),
        configs: HashMap::new(),
        config_room: Room(MAX_TOTAL_CONFIG_BYTES),
        changed: HashSet::new(),
        warned: HashSet::new(),
    };
    decider.run().await?;
    Ok(decider.decided)
}

impl Decider<'_> {
    async fn run(&mut self) -> Result<()> {
        let top = self.graph.top_position();
        // What is below an index may not fit either, but the index says more plainly why.
        if let Content::Index { index, .. } = &self.graph.top().content {
            self.check_index_is_held(self.graph.top(), index)?;
        }
        for (place, node) in self.graph.nodes().iter().enumerate() {
            let role = match (place == top, node.is_referrer) {
                (true, _) => ManifestRole::Top,
                (false, true) => ManifestRole::Referrer,
                (false, false) => ManifestRole::Child,
            };
            let (work, mut changes) = match &node.content {
                Content::Image(image) => self.image(node, image).await?,
                Content::Schema1(schema1) => self.schema1(node, schema1).await?,
                Content::Index { index, entries } => self.index(node, index, entries)?,
            };
            if !self.capabilities.keeps_manifests {
                changes.push(format!("{} makes its manifests anew", self.destination));
            }
            self.check_changeable(node, &changes)?;
            self.check_subject(node, &work)?;
            let source = node.descriptor.clone();
            if !changes.is_empty() && node.added.is_none() {
                self.changed.insert(source.digest.clone());
            }
            self.decided.manifests.push(ManifestStep { source, role, changes, work });
        }
        Ok(())
    }

    fn check_changeable(&self, node: &Node, changes: &[String]) -> Result<()> {
        let Some(fixed) = self.fixed.filter(|_| !changes.is_empty()) else { return Ok(()) };
        let detail = format!(
            "its manifest would have to change ({}), but that is not possible: {}",
            changes.join("; "),
            fixed.reason()
        );
        Err(self.unsupported(node, Refusal::new(detail).with_hint(fixed.hint())))
    }

    /// Looks after what refers to another manifest, which may have changed.
    fn check_subject(&mut self, node: &Node, work: &ManifestWork) -> Result<()> {
        let Some(subject) = node.subject() else { return Ok(()) };
        let is_changed = self.changed.contains(&subject.digest);
        if !node.is_referrer {
            if is_changed {
                let digest = &node.descriptor.digest;
                self.warn(format!("{digest} refers to {}, whose digest changes", subject.digest));
            }
            return Ok(());
        }
        let alone = "without --referrers the image is copied alone";
        if !self.capabilities.referrers {
            let detail = format!("{} cannot tell what refers to an image", self.destination);
            return Err(self.unsupported(node, Refusal::new(detail).with_hint(alone)));
        }
        if is_changed {
            let detail = "it refers to a manifest whose digest changes on the way";
            let hint = "--preserve-digests says why; without --referrers the image is copied alone";
            return Err(self.unsupported(node, Refusal::new(detail).with_hint(hint)));
        }
        let keeps_subject = match work {
            ManifestWork::Keep { .. } => true,
            ManifestWork::Image(image) => image.manifest.subject.is_some() || !image.is_rewritten,
            ManifestWork::Index(index) => index.index.subject.is_some() || !index.is_rewritten,
        };
        if !keeps_subject {
            let detail = "Docker manifests cannot refer to others, and it would become one";
            return Err(self.unsupported(node, Refusal::new(detail).with_hint(alone)));
        }
        Ok(())
    }

    fn unsupported(&self, node: &Node, refusal: Refusal) -> Error {
        let error = Error::new(ErrorKind::Unsupported, "copying", &node.descriptor.digest)
            .with_detail(refusal.detail);
        match refusal.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Notes what the user should know, once.
    fn warn(&mut self, warning: String) {
        if self.warned.insert(warning.clone()) {
            self.decided.warnings.push(warning);
        }
    }

    /// What a manifest loses that is encoded anew in its own format.
    fn warn_of_unknown_fields(&mut self, media_type: &MediaType, fields: &[String]) {
        for field in fields {
            self.warn(format!("the changed {media_type} has no place for {field}"));
        }
    }

    /// What happens to the layers of an image.
    fn layers(&self, node: &Node) -> LayerOptions {
        node.added.map_or(self.options.layers, |format| self.options.layers.added(format))
    }

    fn wants_zstd(&self, node: &Node) -> bool {
        self.layers(node).wanted.compression() == Some(Compression::Zstd)
    }

    fn holds(&self, media_type: &MediaType) -> bool {
        self.capabilities.manifest_types.contains(media_type)
    }
}

/// How many bytes of configs may still come.
struct Room(u64);

impl Room {
    fn take(&mut self, config: &Digest, bytes: u64) -> Result<()> {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(Error::new(ErrorKind::LimitExceeded, "reading config", config)
                .with_detail(format!("more than {MAX_TOTAL_CONFIG_BYTES} bytes of configs"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_have_a_limit_together() {
        let config = cask_image::Hasher::digest(cask_image::Algorithm::Sha256, b"config");
        let mut room = Room(MAX_TOTAL_CONFIG_BYTES);
        for _ in 0..64 {
            room.take(&config, 4 << 20).unwrap();
        }
        let error = room.take(&config, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().ends_with("more than 268435456 bytes of configs"), "{error}");
        room.take(&config, 0).unwrap();
    }
}
