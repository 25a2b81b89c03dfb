//! Images of an index that come in other compressions too.

use std::collections::{HashMap, HashSet};

use cask_image::{Descriptor, Platform};
use cask_layer::Compression;
use cask_transport::{Error, ErrorKind, Result};

use super::{Content, Graph, Node, Taken};
use crate::CompressionFormat;

impl Graph {
    /// Has the images of the top index come in these compressions too, for each platform that has none so: behind the
    /// others, in their order. Artifacts, and what attests images, come once.
    ///
    /// Source: containers/image, `copy/multiple.go`, `prepareInstanceCopies`.
    ///
    /// # Errors
    /// `Unsupported` where the top is an image.
    pub(crate) fn add_compressions(&mut self, formats: &[CompressionFormat]) -> Result<()> {
        if formats.is_empty() {
            return Ok(());
        }
        let top = self.top;
        let Content::Index { index, entries } = &self.nodes[top].content else {
            let detail =
                "only an index can have images in several compressions, and it is an image";
            return Err(Error::new(
                ErrorKind::Unsupported,
                "copying",
                &self.nodes[top].descriptor.digest,
            )
            .with_detail(detail));
        };
        let mut known: HashMap<Option<Platform>, HashSet<CompressionFormat>> = HashMap::new();
        for entry in &index.manifests {
            let format = if entry.is_marked_zstd() { Compression::Zstd } else { Compression::Gzip };
            known.entry(comparable(entry.platform.as_ref())).or_default().insert(format.into());
        }
        let mut added = Vec::new();
        for (entry, taken) in index.manifests.iter().zip(entries) {
            let Taken::Node(place) = *taken else { continue };
            let is_image = matches!(&self.nodes[place].content, Content::Image(image)
                if !image.is_artifact() && image.artifact_type.is_none());
            if !is_image || entry.is_attestation() {
                continue;
            }
            let known = known.entry(comparable(entry.platform.as_ref())).or_default();
            for format in formats.iter().filter(|format| known.insert(**format)) {
                added.push((entry.clone(), place, *format));
            }
        }
        self.insert_before_top(added);
        Ok(())
    }

    fn insert_before_top(&mut self, added: Vec<(Descriptor, usize, CompressionFormat)>) {
        let (top, count) = (self.top, added.len());
        // What stands behind the top moves.
        for node in &mut self.nodes[top..] {
            let Content::Index { entries, .. } = &mut node.content else { continue };
            for taken in entries {
                if let Taken::Node(place) = taken
                    && *place >= top
                {
                    *place += count;
                }
            }
        }
        for (offset, (entry, place, format)) in added.into_iter().enumerate() {
            let node = Node { added: Some(format), ..self.nodes[place].clone() };
            self.nodes.insert(top + offset, node);
            self.top += 1;
            let Content::Index { index, entries } = &mut self.nodes[self.top].content else {
                continue;
            };
            index.manifests.push(entry);
            entries.push(Taken::Node(top + offset));
        }
    }
}

/// A platform as others of the same are: the order of features says nothing.
fn comparable(platform: Option<&Platform>) -> Option<Platform> {
    let mut platform = platform?.clone();
    platform.os_features.sort();
    platform.features.clear();
    Some(platform)
}
