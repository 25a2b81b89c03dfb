//! Entries of `layers.json`.

use cask_image::{Digest, Timestamp};
use cask_layer::Compression;

use super::fields::records_of;
use super::value::{Flags, IdMap};
use crate::Id;

/// The flag of a layer that is being made or deleted.
const INCOMPLETE: &str = "incomplete";

/// What the numbers in `compression` mean, from 0.
///
/// Source: containers/storage, `pkg/archive`, `Compression`.
const COMPRESSIONS: [Compression; 5] =
    [Compression::None, Compression::Bzip2, Compression::Gzip, Compression::Xz, Compression::Zstd];

records_of! {
    /// What the store knows of a layer.
    ///
    /// Layers of containers have an ID, names, a parent, a time of creation and, rarely, flags and
    /// ID maps; the other fields are those of layers that came as tar streams.
    ///
    /// Source: containers/storage, `layers.go`, `Layer`.
    pub struct LayerRecord {
        /// Names, unique over all layers: podman gives its containers' layers one.
        names: Vec<String> = "names";
        /// The layer below.
        parent: Option<Id> = "parent";
        /// Free text.
        metadata: String = "metadata";
        /// The SELinux label to mount it with.
        mount_label: String = "mountlabel";
        /// When it was made.
        created: Option<Timestamp> = "created";
        /// The digest of the blob that it came as: of the tar stream, where that was not
        /// compressed.
        compressed_digest: Option<Digest> = "compressed-diff-digest";
        /// The size of that blob.
        compressed_size_bytes: i64 = "compressed-size";
        /// The digest of the tar stream: the diff ID.
        diff_digest: Option<Digest> = "diff-digest";
        /// The size of the tar stream; -1 where it is not known.
        diff_size_bytes: i64 = "diff-size";
        /// The digest of the table of contents by which a part of the layer was fetched.
        toc_digest: Option<Digest> = "toc-digest";
        /// How the blob was compressed.
        compression: u32 = "compression";
        /// Owners of the files in the tar stream, sorted.
        uids: Vec<u32> = "uidset";
        /// Groups of the files in the tar stream, sorted.
        gids: Vec<u32> = "gidset";
        /// Flags: `incomplete`, `expected-layer-diffid` and others.
        flags: Flags = "flags";
        /// How owners are shifted on the disk.
        uid_map: Vec<IdMap> = "uidmap";
        /// How groups are shifted on the disk.
        gid_map: Vec<IdMap> = "gidmap";
        /// The names of what lies in the layer's own directory.
        big_data_names: Vec<String> = "big-data-names";
    }
}

impl LayerRecord {
    /// Whether the layer is being made or deleted, or was when somebody died.
    pub fn is_incomplete(&self) -> bool {
        self.flags.is_set(INCOMPLETE)
    }

    /// Says whether the layer is being made or deleted.
    pub(crate) fn set_incomplete(&mut self, incomplete: bool) {
        self.flags.set(INCOMPLETE, incomplete);
    }

    /// How the blob was compressed; `None` for a number that this crate does not know.
    pub fn compression(&self) -> Option<Compression> {
        COMPRESSIONS.get(usize::try_from(self.compression).ok()?).copied()
    }

    /// Says how the blob was compressed.
    pub(crate) fn set_compression(&mut self, compression: Compression) {
        let number = COMPRESSIONS.iter().position(|known| *known == compression);
        self.compression = number.map_or(0, |number| number as u32);
    }
}
