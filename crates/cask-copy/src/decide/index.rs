//! Indexes.

use cask_image::{ImageFormat, Index};
use cask_layer::Compression;
use cask_transport::{BlobKind, Error, ErrorKind, Result};

use super::Decider;
use super::fixed::Refusal;
use super::format::{self, FormatQuestion};
use super::reuse::changed_entries;
use crate::graph::{Node, Taken};
use crate::plan::{IndexWork, ManifestWork};
use crate::{Instances, PartialIndex};

impl Decider<'_> {
    /// An index: its type, and entries that changed or are left out.
    pub(super) fn index(
        &mut self,
        node: &Node,
        index: &Index,
        entries: &[Taken],
    ) -> Result<(ManifestWork, Vec<String>)> {
        self.check_index_is_held(node, index)?;
        let held = self.capabilities.index_types;
        let (format, reason) = format::decide(&FormatQuestion {
            source: index.format,
            asked: self.options.format,
            // A place whose lists are Docker's only may hold OCI images in them all the same.
            wants_zstd: self.has_zstd(node) && held.contains(&ImageFormat::Oci.index_type()),
            held,
            destination: self.destination,
            type_of: ImageFormat::index_type,
        })
        .map_err(|refusal| self.unsupported(node, refusal))?;
        let mut changes: Vec<_> = reason.into_iter().collect();
        let left = entries.iter().filter(|taken| **taken == Taken::Left).count();
        let strips = self.options.partial_index == PartialIndex::Strip
            && matches!(self.options.instances, Instances::Platforms(_));
        if left > 0 && strips {
            changes.push(format!("{left} of {} entries are left out", entries.len()));
        }
        changes.extend(changed_entries(index, entries, &self.decided.manifests));
        for (entry, taken) in index.manifests.iter().zip(entries) {
            if *taken == Taken::Blob {
                self.add_copy(entry, BlobKind::Other)?;
            }
        }
        let converted = self.convert_index(node, index, format)?;
        let is_rewritten = !changes.is_empty();
        if is_rewritten && format == index.format {
            self.warn_of_unknown_fields(&format.index_type(), &index.unknown_fields);
        }
        let is_added = |taken: &&Taken| match taken {
            Taken::Node(place) => self.graph.nodes()[*place].added.is_some(),
            Taken::Blob | Taken::Left => false,
        };
        let added = entries.iter().filter(is_added).count();
        let work = IndexWork { index: converted, strips, added, is_rewritten };
        Ok((ManifestWork::Index(Box::new(work)), changes))
    }

    /// Whether images of it become zstd images, which OCI indexes alone can mark.
    fn has_zstd(&self, node: &Node) -> bool {
        let added = &self.options.added_compressions;
        self.wants_zstd(node) || added.iter().any(|added| added.compression == Compression::Zstd)
    }

    pub(super) fn check_index_is_held(&self, node: &Node, index: &Index) -> Result<()> {
        if self.capabilities.index_types.is_empty() {
            // The words of containers/image, which scripts search for.
            let detail = format!(
                "destination transport \"{}\" does not support copying multiple images as a group",
                self.destination
            );
            return Err(Error::new(ErrorKind::Unsupported, "copying multiple images", "")
                .with_detail(detail));
        }
        let is_nested = index.manifests.iter().any(|entry| entry.media_type.is_index());
        if is_nested && !self.capabilities.nested_indexes {
            let detail = format!("it lists an index, and {} cannot hold that", self.destination);
            return Err(self.unsupported(node, Refusal::new(detail)));
        }
        Ok(())
    }

    /// The index in another format, with the entries that it has now.
    fn convert_index(&mut self, node: &Node, index: &Index, format: ImageFormat) -> Result<Index> {
        if format == index.format {
            return Ok(index.clone());
        }
        let conversion = match format {
            ImageFormat::Oci => index.to_oci(),
            ImageFormat::Docker => index.to_docker(None).map_err(|error| {
                Error::new(ErrorKind::Unsupported, "converting index", &node.descriptor.digest)
                    .with_source(error)
            })?,
        };
        for loss in &conversion.losses {
            self.warn(format!("{} has no place for {loss}", format.index_type()));
        }
        Ok(conversion.manifest)
    }
}
